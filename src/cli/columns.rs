//! Text in columns, and numbers as people read them. Pure.

use jiff::Timestamp;

use crate::api::KafkaConsumerStatus;
use crate::cli::fit::{wrapped, wrapped_lines};
use crate::cli::grouped::grouped;
use crate::plural::noun;

/// What stands where nothing is known. Never a zero.
pub(super) const UNKNOWN: &str = "-";

/// Rows with their columns below each other, two spaces between them. The last is not filled up.
pub(super) fn aligned(rows: &[Vec<String>], indent: &str) -> String {
    aligned_to(&widths(rows), rows, indent)
}

/// The least room in which the last column is broken below itself.
const LEAST_ROOM: usize = 24;

/// As [`aligned`], with lines not longer than `room`: a last column that is too long goes on below itself.
pub(super) fn aligned_within(rows: &[Vec<String>], indent: &str, room: Option<usize>) -> String {
    let Some(room) = room else {
        return aligned(rows, indent);
    };
    let widths = widths(rows);
    let at = indent.len() + last_begins(&widths);
    if room < at + LEAST_ROOM {
        return wrapped_lines(&aligned(rows, indent), Some(room));
    }
    let mut lines = Vec::new();
    for row in rows {
        let Some((last, before)) = row.split_last().filter(|_| row.len() == widths.len()) else {
            lines.push(row.clone());
            continue;
        };
        let mut cells = before.to_vec();
        for part in wrapped(last, room - at) {
            cells.push(part.trim().to_owned());
            lines.push(std::mem::replace(
                &mut cells,
                vec![String::new(); widths.len() - 1],
            ));
        }
    }
    aligned_to(&widths, &lines, indent)
}

/// Whether a last column that is too long can go on below itself in lines of this length.
pub(super) fn last_has_room(rows: &[Vec<String>], room: usize) -> bool {
    room >= last_begins(&widths(rows)) + LEAST_ROOM
}

/// Where the last of these columns begins.
fn last_begins(widths: &[usize]) -> usize {
    let before = widths.split_last().map_or(&[][..], |(_, before)| before);
    before.iter().map(|width| width + 2).sum()
}

/// How wide each column is.
pub(super) fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    (0..columns).map(width).collect()
}

/// As [`aligned`], below rows of these widths.
pub(super) fn aligned_to(widths: &[usize], rows: &[Vec<String>], indent: &str) -> String {
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).enumerate();
        let line: Vec<String> = cells
            .map(|(column, (cell, width))| {
                if column + 1 == row.len() {
                    cell.clone()
                } else {
                    format!("{cell:<width$}", width = *width)
                }
            })
            .collect();
        text.push_str(indent);
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A count, or [`UNKNOWN`].
pub(super) fn count<T: Into<i64>>(number: Option<T>) -> String {
    number.map_or_else(|| UNKNOWN.to_owned(), |number| grouped(number.into()))
}

/// The same with what is counted: `1 record`, `12,345 records`, `- records`.
pub(super) fn counted<T: Into<i64>>(number: Option<T>, one: &str) -> String {
    let number = number.map(Into::into);
    let what = noun(one, number.unwrap_or_default());
    format!("{} {what}", count(number))
}

/// A text, or [`UNKNOWN`].
pub(super) fn text(text: Option<&str>) -> String {
    text.unwrap_or(UNKNOWN).to_owned()
}

/// A rate with as many digits as mean something.
pub(super) fn per_second(rate: f64) -> String {
    if rate >= 100.0 {
        format!("{}/s", grouped(rate.round() as i64))
    } else {
        format!("{rate:.1}/s")
    }
}

/// What arrives. That nothing does is not written of a fleet at rest before anything has.
pub(super) fn arrival(status: &KafkaConsumerStatus) -> String {
    let scaling = status.scaling.as_ref();
    match scaling.and_then(|scaling| scaling.arrival_per_second) {
        Some(rate) => per_second(rate),
        None if status.lag == Some(0) => "none".to_owned(),
        None => UNKNOWN.to_owned(),
    }
}

/// How long ago `then` was: `12s`, `5m`, `3h`, `2d`.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [
            vec!["A".into(), "BB".into()],
            vec!["long".into(), "c".into()],
        ];
        assert_eq!(aligned(&rows, "  "), "  A     BB\n  long  c\n");
    }

    #[test]
    fn a_last_column_goes_on_below_itself_in_a_narrow_terminal() {
        let says = "the oldest record waits 61s, drover lag says where";
        let rows = [
            vec!["WRONG".into(), "orders".into(), says.into()],
            vec!["well".into(), "CRD".into(), "installed".into()],
        ];
        let whole = aligned(&rows, "");
        assert_eq!(aligned_within(&rows, "", None), whole);
        assert_eq!(aligned_within(&rows, "", Some(65)), whole);
        assert_eq!(
            aligned_within(&rows, "", Some(44)),
            "\
WRONG  orders  the oldest record waits 61s,
               drover lag says where
well   CRD     installed
"
        );
        // Too narrow for columns: every line is broken as it is.
        assert_eq!(
            aligned_within(&rows, "", Some(24)),
            "\
WRONG  orders  the
  oldest record waits
  61s, drover lag says
  where
well   CRD     installed
"
        );
        for room in 1..120 {
            let text = aligned_within(&rows, "", Some(room));
            assert!(
                text.lines().all(|line| line.chars().count() <= room),
                "{room}: {text}"
            );
        }
    }

    #[test]
    fn unknown_is_not_zero() {
        assert_eq!(count(None::<i64>), "-");
        assert_eq!(count(Some(0_i64)), "0");
        assert_eq!(counted(None::<i64>, "record"), "- records");
        assert_eq!(counted(Some(0_i64), "record"), "0 records");
    }

    #[test]
    fn of_one_the_word_is_singular() {
        assert_eq!(counted(Some(1_i64), "record"), "1 record");
        assert_eq!(counted(Some(12_345_i64), "record"), "12,345 records");
    }

    #[test]
    fn times_and_rates_are_short() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (back, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_200, "2h"),
            (200_000, "2d"),
        ] {
            assert_eq!(
                ago(Timestamp::from_second(1_000_000 - back).unwrap(), now),
                text
            );
        }
        assert_eq!(ago(Timestamp::from_second(1_000_009).unwrap(), now), "0s");
        assert_eq!(per_second(2_000.4), "2,000/s");
        assert_eq!(per_second(3.25), "3.2/s");
    }
}
