//! One fleet: its past, and everything that its status knows. Pure.

use std::ops::Range;

use jiff::Timestamp;

use super::spark::spark;
use super::{BOLD, CYAN, DIM, PLAIN, Page, colour, word};
use crate::cli::columns::count;
use crate::cli::fit::wrapped;
use crate::cli::status;
use crate::cli::top::model::Row;

/// Draws it from line `scroll` on; gives the last line from which there is still something to draw.
pub(super) fn draw(
    row: &Row,
    scroll: usize,
    now: Timestamp,
    body: Range<u16>,
    page: &mut Page<'_>,
) -> usize {
    let text = status::one(&row.consumer, now);
    let mut texts = text.lines();
    let title = format!("{}  ", texts.next().unwrap_or_default());
    let column = page.write(0, body.start, &title, BOLD);
    let level = row.trouble.level;
    page.write(column, body.start, word(level), colour(level));
    let mut line = body.start + 1;
    let width = usize::from(page.width());
    for (label, values) in [("lag", &row.past.lag), ("pods", &row.past.pods)] {
        if line >= body.end {
            return 0;
        }
        page.write(0, line, &format!("  {label}"), DIM);
        let drawn = spark(values, width.saturating_sub(24).min(60));
        let column = page.write(8, line, &drawn, CYAN);
        // Without it nobody knows how much the highest is.
        if let Some(highest) = values.iter().flatten().max() {
            let text = format!("  up to {}", count(Some(*highest)));
            page.write(column, line, &text, DIM);
        }
        line += 1;
    }
    let lines: Vec<(bool, String)> = texts
        .flat_map(|text| {
            let is_heading = !text.starts_with(' ');
            let parts = wrapped(text, width);
            parts.into_iter().map(move |part| (is_heading, part))
        })
        .collect();
    let room = usize::from(body.end.saturating_sub(line));
    let last = lines.len().saturating_sub(room);
    let shown = lines.iter().skip(scroll.min(last));
    for (line, (is_heading, text)) in (line..body.end).zip(shown) {
        page.write(0, line, text, if *is_heading { BOLD } else { PLAIN });
    }
    last
}
