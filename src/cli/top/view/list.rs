//! All fleets in a table, a line each, and what the one of the cursor needs. Pure.

use std::ops::Range;

use ratatui_core::style::{Modifier, Style};

use super::spark::spark;
use super::words::{fit, number};
use super::{BOLD, DIM, PLAIN, Page, colour, word};
use crate::api::names::condition;
use crate::cli::columns::{UNKNOWN, text as or_unknown};
use crate::cli::fit::{width, wrapped};
use crate::cli::top::model::{Model, Row};

const CURSOR: Style = Style::new().add_modifier(Modifier::REVERSED);

/// A column: its heading, its width, whether it stands at the right.
struct Column {
    what: What,
    head: &'static str,
    width: u16,
    at_right: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Level,
    Pods,
    PastPods,
    Wanted,
    Lag,
    PastLag,
    Delay,
    Promise,
}

const fn column(what: What, head: &'static str, width: u16, at_right: bool) -> Column {
    Column {
        what,
        head,
        width,
        at_right,
    }
}

/// As they stand.
const COLUMNS: [Column; 8] = [
    column(What::Level, "STATE", 7, false),
    column(What::Delay, "DELAY", 7, true),
    column(What::Promise, "OF", 5, true),
    column(What::Lag, "LAG", 11, true),
    column(What::PastLag, "", 16, false),
    column(What::Pods, "PODS", 7, true),
    column(What::PastPods, "", 10, false),
    column(What::Wanted, "WANTED", 6, true),
];

/// As they are given room, the dearest first.
const DEAREST: [What; 8] = [
    What::Level,
    What::Delay,
    What::Lag,
    What::Pods,
    What::PastLag,
    What::PastPods,
    What::Wanted,
    What::Promise,
];

/// Room for the reason at the end of a line, without which it is left out.
const REASON: u16 = 16;

pub(super) fn draw(model: &Model, body: Range<u16>, page: &mut Page<'_>) {
    if body.is_empty() {
        return;
    }
    if model.rows.is_empty() {
        let elsewhere = if model.namespaces {
            ""
        } else {
            "; -A shows all namespaces"
        };
        let text = format!("No KafkaConsumers in {}{elsewhere}.", model.place);
        page.write(0, body.start, &text, PLAIN);
        return;
    }
    let names = model.rows.iter().map(|row| width(&name(model, row)));
    let widest = u16::try_from(names.max().unwrap_or(0)).unwrap_or(u16::MAX);
    let widest = widest.max(4).min((page.width() * 2 / 5).max(8));
    let columns = fitting(page.width(), widest);
    let body = explained(model, body, page);
    let heads = columns.iter().map(|column| column.head.to_owned());
    let style = Line {
        text: DIM,
        level: DIM,
    };
    style.write("NAME", widest, &columns, heads, "WHY", body.start, page);
    let room = usize::from(body.end.saturating_sub(body.start + 1));
    let cursor = model.index().unwrap_or(0);
    let first = (cursor + 1).saturating_sub(room);
    let rows = model.rows.iter().enumerate().skip(first);
    for (line, (index, row)) in (body.start + 1..body.end).zip(rows) {
        let mut style = Line {
            text: PLAIN,
            level: colour(row.trouble.level),
        };
        if index == cursor {
            let whole = " ".repeat(usize::from(page.width()));
            page.write(0, line, &whole, CURSOR);
            style = Line {
                text: CURSOR,
                level: CURSOR.patch(style.level),
            };
        }
        let cells = columns.iter().map(|column| cell(row, column));
        let why = why(row).unwrap_or_default();
        let name = name(model, row);
        style.write(&name, widest, &columns, cells, &why, line, page);
    }
}

/// What the fleet of the cursor needs, in whole, at the lower end of `body` if there is room enough;
/// gives what remains.
fn explained(model: &Model, body: Range<u16>, page: &mut Page<'_>) -> Range<u16> {
    let Some(why) = model.row().and_then(why) else {
        return body;
    };
    let lines = wrapped(&why, usize::from(page.width()));
    // The heading, at least three fleets, a blank line.
    let room = usize::from(body.end - body.start).saturating_sub(5);
    let lines = &lines[..lines.len().min(room).min(3)];
    let end = body.end - u16::try_from(lines.len()).unwrap_or(0);
    for (line, text) in (end..body.end).zip(lines) {
        page.write(0, line, text, BOLD);
    }
    body.start..end
}

/// How a line is written.
struct Line {
    text: Style,
    level: Style,
}

impl Line {
    #[allow(clippy::too_many_arguments, reason = "a line has as many parts")]
    fn write(
        &self,
        name: &str,
        widest: u16,
        columns: &[&Column],
        cells: impl Iterator<Item = String>,
        why: &str,
        line: u16,
        page: &mut Page<'_>,
    ) {
        page.write(0, line, &fit(name, usize::from(widest), false), self.text);
        let mut at = widest + 1;
        for (column, cell) in columns.iter().zip(cells) {
            let text = fit(&cell, usize::from(column.width), column.at_right);
            let is_level = column.what == What::Level;
            page.write(
                at,
                line,
                &text,
                if is_level { self.level } else { self.text },
            );
            at += column.width + 1;
        }
        let room = page.width().saturating_sub(at + 1);
        if room >= REASON {
            page.write(at + 1, line, &fit(why, usize::from(room), false), self.text);
        }
    }
}

/// Those that have room beside names of this width; the reason comes before the last three.
fn fitting(page: u16, widest: u16) -> Vec<&'static Column> {
    let mut room = page.saturating_sub(widest);
    let mut chosen = Vec::new();
    for (index, what) in DEAREST.into_iter().enumerate() {
        let kept = if index >= 5 { REASON + 20 } else { 0 };
        let found = COLUMNS.iter().find(|column| column.what == what);
        if let Some(column) = found.filter(|column| column.width + 1 + kept <= room) {
            room -= column.width + 1;
            chosen.push(what);
        }
    }
    let is_chosen = |column: &&Column| chosen.contains(&column.what);
    COLUMNS.iter().filter(is_chosen).collect()
}

fn cell(row: &Row, column: &Column) -> String {
    let status = row.consumer.status.as_ref();
    let room = usize::from(column.width);
    match column.what {
        What::Level => word(row.trouble.level).to_owned(),
        What::Pods => {
            let ready = status.and_then(|status| status.ready_replicas);
            let all = status.and_then(|status| status.replicas);
            let text = |count: Option<i32>| count.map_or(UNKNOWN.to_owned(), |n| n.to_string());
            match all {
                Some(_) => format!("{}/{}", text(ready), text(all)),
                None => UNKNOWN.to_owned(),
            }
        }
        What::PastPods => spark(&row.past.pods, room),
        What::Wanted => {
            let scaling = status.and_then(|status| status.scaling.as_ref());
            number(
                scaling.and_then(|scaling| scaling.wanted).map(i64::from),
                room,
            )
        }
        What::Lag => number(status.and_then(|status| status.lag), room),
        What::PastLag => spark(&row.past.lag, room),
        What::Delay => or_unknown(status.and_then(|status| status.delay.as_deref())),
        What::Promise => row.consumer.spec.scaling.max_delay.to_string(),
    }
}

/// `orders`, or `shop/orders`.
fn name(model: &Model, row: &Row) -> String {
    let (namespace, name) = &row.name;
    match model.namespaces {
        true => format!("{namespace}/{name}"),
        false => name.clone(),
    }
}

/// What is wrong; else what bounds its size; else why it has its size.
fn why(row: &Row) -> Option<String> {
    if let Some(why) = &row.trouble.why {
        return Some(why.clone());
    }
    let status = row.consumer.status.as_ref()?;
    let limited = status
        .conditions
        .iter()
        .find(|c| c.type_ == condition::SCALING_LIMITED && c.status == "True");
    let limited = limited.map(|c| format!("{}: {}", c.reason, c.message));
    limited.or_else(|| status.scaling.as_ref()?.reasons.first().cloned())
}
