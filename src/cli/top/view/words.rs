//! Text in a given number of columns, filled up where there is room. Pure.

use crate::cli::columns::{UNKNOWN, count};
use crate::cli::fit::{cut, width};

/// In exactly so many columns; what is cut away is told by `…`.
pub(super) fn fit(text: &str, room: usize, at_right: bool) -> String {
    let text = cut(text, room);
    let blank = " ".repeat(room.saturating_sub(width(&text)));
    match at_right {
        true => blank + &text,
        false => text + &blank,
    }
}

/// A number in so many columns: with all its digits, or in thousands, millions and so on. Never with
/// digits cut away, which would be another number.
pub(super) fn number(value: Option<i64>, room: usize) -> String {
    let whole = count(value);
    if width(&whole) <= room {
        return whole;
    }
    let Some(mut value) = value else {
        return UNKNOWN.to_owned();
    };
    for unit in ["k", "M", "G", "T", "P", "E"] {
        value /= 1000;
        let text = count(Some(value)) + unit;
        if width(&text) <= room {
            return text;
        }
    }
    "#".repeat(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        for (text, room, at_right, fitted) in [
            ("ab", 4, false, "ab  "),
            ("ab", 4, true, "  ab"),
            ("abcde", 4, false, "abc…"),
            ("注文注文", 8, false, "注文注文"),
            ("注文注文", 6, false, "注文… "),
            ("ab", 1, false, "…"),
            ("ab", 0, false, ""),
        ] {
            assert_eq!(fit(text, room, at_right), fitted);
        }
    }

    #[test]
    fn a_number_never_loses_its_last_digits() {
        for (value, room, text) in [
            (Some(1_234_567), 9, "1,234,567"),
            (Some(1_234_567), 8, "1,234k"),
            (Some(1_234_567), 5, "1M"),
            (Some(i64::MAX), 11, "9,223,372T"),
            (Some(999_999), 1, "#"),
            (Some(0), 1, "0"),
            (None, 1, "-"),
        ] {
            assert_eq!(number(value, room), text);
        }
    }
}
