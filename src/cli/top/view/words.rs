//! Text in a given number of columns, whatever it is made of. Pure.

use ratatui_core::text::Span;

use crate::cli::columns::{UNKNOWN, count};

/// Columns that a terminal needs for it; wide characters take two.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// In exactly so many columns; what is cut away is told by `…`.
pub(super) fn fit(text: &str, room: usize, at_right: bool) -> String {
    let mut text = text.to_owned();
    if width(&text) > room {
        while width(&text) >= room.max(1) {
            text.pop();
        }
        text.push_str(if room > 0 { "…" } else { "" });
    }
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

/// Broken at spaces, or anywhere if there is none; further lines are indented as the first, and more.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let indent = text.len() - text.trim_start_matches(' ').len();
    let further = " ".repeat(if indent + 2 < room / 2 { indent + 2 } else { 0 });
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        if !line.trim().is_empty() && width(&line) + width(word.trim_end()) > room {
            lines.push(std::mem::replace(&mut line, further.clone()));
        }
        for c in word.chars() {
            if c != ' '
                && !line.is_empty()
                && width(&line) + width(c.encode_utf8(&mut [0; 4])) > room
            {
                lines.push(std::mem::replace(&mut line, further.clone()));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
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

    #[test]
    fn lines_are_broken_and_indented() {
        assert_eq!(
            wrapped("  one two three four five", 14),
            ["  one two ", "    three four ", "    five"]
        );
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("注文注文", 5), ["注文", "注文"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("ab", 1), ["a", "b"]);
    }
}
