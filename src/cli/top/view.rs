//! Draws the model into a buffer of any size. Pure.

mod list;
mod one;
mod spark;
mod words;

use jiff::Timestamp;
use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Modifier, Style};

use super::model::{Model, Row};
use super::trouble::Level;
use crate::cli::columns::{UNKNOWN, ago};

const PLAIN: Style = Style::new();
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const RED: Style = BOLD.fg(Color::Red);
const YELLOW: Style = BOLD.fg(Color::Yellow);
const GREEN: Style = Style::new().fg(Color::Green);
const CYAN: Style = Style::new().fg(Color::Cyan);

const KEYS: [(&str, &str); 8] = [
    ("q", "quit"),
    ("↑ ↓ j k", "choose a fleet, or move the page of one"),
    ("space, PgUp PgDn Home End", "the same in larger steps"),
    ("enter", "open one: everything that its status knows"),
    ("esc", "back to all"),
    (
        "p",
        "pause, after a y: pods finish what they hold, commit and go",
    ),
    ("r", "resume: it goes on where it was"),
    ("ctrl-z", "leave the terminal to others until fg"),
];

/// With or without colours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Colours,
    Plain,
}

/// Draws everything; gives by how many lines what is opened can be moved. What does not fit is left
/// out, from the right and from below.
pub(super) fn draw(model: &Model, now: Timestamp, paint: Paint, buffer: &mut Buffer) -> usize {
    let mut page = Page { buffer, paint };
    let (width, height) = (page.width(), page.height());
    if width == 0 || height == 0 {
        return 0;
    }
    head(model, now, &mut page);
    // Above it the head, below it the keys.
    let body = 2..height.saturating_sub(1).max(2);
    let last = match model.row().filter(|_| model.opened) {
        _ if model.help => {
            help(body, &mut page);
            0
        }
        Some(row) => one::draw(row, model.scroll, now, body, &mut page),
        None => {
            list::draw(model, body, &mut page);
            0
        }
    };
    if height > 2 {
        foot(model, &mut page);
    }
    last
}

/// Where it is drawn.
struct Page<'a> {
    buffer: &'a mut Buffer,
    paint: Paint,
}

impl Page<'_> {
    fn width(&self) -> u16 {
        self.buffer.area.width
    }

    fn height(&self) -> u16 {
        self.buffer.area.height
    }

    /// Writes at a place of the page; gives the column after it. Control characters, which a terminal
    /// would obey, are blanks; what has no width (such as marks that turn the direction of text) is left out.
    fn write(&mut self, column: u16, line: u16, text: &str, style: Style) -> u16 {
        if line >= self.height() || column >= self.width() {
            return column;
        }
        let style = match self.paint {
            Paint::Colours => style,
            Paint::Plain => Style {
                fg: None,
                bg: None,
                ..style
            },
        };
        let text = text.replace(char::is_control, " ");
        let area = self.buffer.area;
        let room = usize::from(area.width - column);
        let (x, y) = (area.x + column, area.y + line);
        let (end, _) = self.buffer.set_stringn(x, y, text, room, style);
        end - area.x
    }
}

fn head(model: &Model, now: Timestamp, page: &mut Page<'_>) {
    let bad = |row: &&Row| matches!(row.trouble.level, Level::Broken | Level::Late);
    let bad = model.rows.iter().filter(bad).count();
    let column = page.write(0, 0, "drover top  ", BOLD);
    let text = format!("{bad} of {} in trouble", model.rows.len());
    let column = page.write(column, 0, &text, if bad > 0 { RED } else { GREEN });
    page.write(column, 0, &format!("  {}", model.place), PLAIN);
    if let Some(why) = &model.lost {
        let age = ago(model.heard, now);
        let text = format!("nothing new for {age}, still asking: {why}");
        page.write(0, 1, &text, RED);
    } else if let Some(vacancy) = &model.vacancy {
        page.write(0, 1, vacancy, RED);
    }
}

fn foot(model: &Model, page: &mut Page<'_>) {
    let (text, style) = match (&model.asked, &model.notice) {
        (Some((_, name)), _) => (
            format!(
                "y pauses {name}, any other key does not; its pods finish what they hold and go"
            ),
            BOLD,
        ),
        (None, Some(notice)) => (notice.clone(), BOLD),
        (None, None) if model.help => ("any key: back".to_owned(), DIM),
        (None, None) if model.opened => (
            "q quit  esc back  ? help  ↑↓ move  p pause  r resume".to_owned(),
            DIM,
        ),
        (None, None) => (
            "q quit  ? help  ↑↓ choose  enter open  p pause  r resume".to_owned(),
            DIM,
        ),
    };
    page.write(0, page.height() - 1, &text, style);
}

fn help(body: std::ops::Range<u16>, page: &mut Page<'_>) {
    let column = (page.width() >= 80).then_some(27);
    let levels = [
        (Level::Broken, "a condition says what is wrong"),
        (
            Level::Late,
            "the delay is longer than spec.scaling.maxDelay",
        ),
        (
            Level::Changing,
            "a roll-out or a change of size is under way",
        ),
        (Level::Unknown, "not known, or not yet"),
        (Level::Well, "it does what its spec says"),
        (Level::Paused, "stopped by spec.paused"),
    ];
    let keys = KEYS.map(|(key, text)| (key, PLAIN, text));
    let levels = levels.map(|(level, text)| (word(level), colour(level), text));
    let lines = keys
        .into_iter()
        .map(Some)
        .chain([None])
        .chain(levels.map(Some));
    for (line, told) in body.zip(lines) {
        if let Some((left, style, right)) = told {
            let end = page.write(0, line, left, style);
            page.write(column.unwrap_or(end + 2), line, right, PLAIN);
        }
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Broken => "TROUBLE",
        Level::Late => "LATE",
        Level::Changing => "changes",
        Level::Unknown => UNKNOWN,
        Level::Well => "well",
        Level::Paused => "paused",
    }
}

fn colour(level: Level) -> Style {
    match level {
        Level::Broken => RED,
        Level::Late => YELLOW,
        Level::Changing => CYAN,
        Level::Unknown | Level::Paused => DIM,
        Level::Well => GREEN,
    }
}

#[cfg(test)]
mod tests;
