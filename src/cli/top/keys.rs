//! Keys and changes of size, read in a thread that may block.

use ratatui_crossterm::crossterm::event::{
    self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use tokio::sync::mpsc;

use super::model::Key;

/// Something that came from the terminal.
pub(super) enum Input {
    Key(Key),
    Resized,
}

/// Listens from now on. That the terminal has gone is not told: the reader does not notice it, see
/// `screen::is_there`.
pub(super) fn listen() -> mpsc::UnboundedReceiver<Input> {
    let (sender, receiver) = mpsc::unbounded_channel();
    // Never waited for: it blocks until a key comes, and ends with the process.
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let input = match event {
                Event::Key(key) => meaning(key).map(Input::Key),
                Event::Resize(..) => Some(Input::Resized),
                _ => None,
            };
            if input.is_some_and(|input| sender.send(input).is_err()) {
                return;
            }
        }
    });
    receiver
}

/// What a key means. One that means nothing is told as well: to a question it is a no.
fn meaning(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return Some(match key.code {
            KeyCode::Char('c') => Key::Interrupt,
            KeyCode::Char('z') => Key::Suspend,
            _ => Key::Other,
        });
    }
    Some(match key.code {
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Key::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Key::First,
        KeyCode::End | KeyCode::Char('G') => Key::Last,
        KeyCode::Enter | KeyCode::Right => Key::Open,
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => Key::Back,
        KeyCode::Char('p') => Key::Pause,
        KeyCode::Char('r') => Key::Resume,
        KeyCode::Char('y') => Key::Yes,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Key::Help,
        KeyCode::Char('q') => Key::Quit,
        _ => Key::Other,
    })
}
