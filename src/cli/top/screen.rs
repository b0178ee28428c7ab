//! The terminal: taken over, drawn upon, and given back as it was, whatever happens.

use std::io::{self, IsTerminal, Stdout};
use std::mem::ManuallyDrop;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui_core::buffer::Buffer;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::cursor::{Hide, Show};
use ratatui_crossterm::crossterm::execute;
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

/// Somebody reads, and somebody draws, on a terminal that can move its cursor.
pub(super) fn is_drawable() -> bool {
    let moves = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
    moves && is_there()
}

/// The terminal has not been closed.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The terminal, ours until this is dropped.
pub(super) struct Screen {
    /// Never dropped: where the terminal has gone it complains to standard error, and panics if that is
    /// the terminal, too.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    _given_back: GivenBack,
}

/// It is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

struct GivenBack;

impl Drop for GivenBack {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::SeqCst);
        give_back();
    }
}

fn give_back() {
    // Where the terminal has gone there is nothing to give back.
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

impl Screen {
    /// Takes it over.
    ///
    /// # Errors
    /// If it does not let itself be.
    pub fn enter() -> io::Result<Self> {
        give_back_on_panic();
        enable_raw_mode()?;
        let given_back = GivenBack;
        TAKEN.store(true, Ordering::SeqCst);
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(Self {
            terminal: ManuallyDrop::new(Terminal::new(CrosstermBackend::new(io::stdout()))?),
            _given_back: given_back,
        })
    }

    /// Draws what has changed, in the size that the terminal has now.
    ///
    /// # Errors
    /// If the terminal has gone.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        self.terminal.draw(|frame| draw(frame.buffer_mut()))?;
        Ok(())
    }
}

/// Whoever panics, in whatever thread, does it on the terminal as it was, where the words can be read.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if TAKEN.swap(false, Ordering::SeqCst) {
                give_back();
            }
            before(info);
        }));
    });
}

#[cfg(test)]
mod tests;
