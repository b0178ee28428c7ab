//! Text within the columns that a terminal has, whatever it is made of. Pure.
//!
//! Where nobody looks there is no such bound (none), and nothing is cut or broken: programs get every line whole.

use ratatui_core::text::Span;

/// Columns that a terminal needs for it; wide characters take two.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// What does not fit is cut away, which is told by `…`.
pub(super) fn cut(text: &str, room: usize) -> String {
    let mut text = text.to_owned();
    if width(&text) > room {
        while width(&text) >= room.max(1) {
            text.pop();
        }
        text.push_str(if room > 0 { "…" } else { "" });
    }
    text
}

/// Every line cut to the width.
pub(super) fn cut_lines(text: &str, room: Option<usize>) -> String {
    let Some(room) = room else {
        return text.to_owned();
    };
    let lines = text.split('\n').map(|line| cut(line, room));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every line broken at spaces to the width; further lines are indented as the first, and more.
pub(super) fn wrapped_lines(text: &str, room: Option<usize>) -> String {
    let Some(room) = room else {
        return text.to_owned();
    };
    let parts = text.split('\n').flat_map(|line| wrapped(line, room));
    let lines = parts.map(|part| part.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
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

    #[test]
    fn lines_follow_the_width_where_there_is_one() {
        let text = "Not well\n  Stalled True: mend the handler\n";
        assert_eq!(wrapped_lines(text, None), text);
        assert_eq!(cut_lines(text, None), text);
        assert_eq!(
            wrapped_lines(text, Some(20)),
            "Not well\n  Stalled True: mend\n    the handler\n"
        );
        assert_eq!(
            cut_lines(text, Some(20)),
            "Not well\n  Stalled True: men…\n"
        );
        for room in [Some(32), Some(200)] {
            assert_eq!(wrapped_lines(text, room), text);
            assert_eq!(cut_lines(text, room), text);
        }
    }
}
