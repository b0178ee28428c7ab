//! Counts of dead letters as tables. Pure.

use crate::cli::columns::aligned;
use crate::cli::grouped::grouped;
use crate::redrive::histogram::{Histogram, ROWS};
use crate::redrive::printable;

/// A table for each of what is counted.
pub(super) fn tables(histogram: &Histogram) -> String {
    let parts = histogram.parts();
    let tables = parts
        .iter()
        .map(|(name, counts)| table(name, counts, histogram.total));
    tables.collect::<Vec<_>>().join("\n")
}

fn table(name: &str, counts: &[(String, u64)], total: u64) -> String {
    let mut rows = vec![vec![name.to_owned(), "COUNT".to_owned(), String::new()]];
    for (what, count) in counts.iter().take(ROWS) {
        rows.push(vec![printable(what), number(*count), bar(*count, total)]);
    }
    if let Some(rest) = counts.len().checked_sub(ROWS).filter(|rest| *rest > 0) {
        let count = counts[ROWS..].iter().map(|(_, count)| count).sum();
        rows.push(vec![
            format!("{rest} more"),
            number(count),
            bar(count, total),
        ]);
    }
    aligned(&rows, "")
}

fn bar(count: u64, total: u64) -> String {
    let width = (count as f64 / total.max(1) as f64 * 30.0).round() as usize;
    "#".repeat(width.max(1))
}

/// A count with its thousands apart.
pub(super) fn number(count: u64) -> String {
    grouped(i64::try_from(count).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redrive::letter::tests::letter;

    #[test]
    fn counts_stand_below_what_they_count() {
        let mut histogram = Histogram::default();
        for _ in 0..3 {
            histogram.add(&letter(&[("drover-dlq-reason", "Rejected")]));
        }
        histogram.add(&letter(&[("drover-dlq-reason", "\u{1b}[2J")]));
        let text = tables(&histogram);
        assert!(text.contains("REASON     COUNT"), "{text}");
        assert!(text.contains("Rejected   3"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
