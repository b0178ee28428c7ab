//! Dead letters go back to where they came from, each once: what `drover dlq` and the Job of a
//! `DeadLetterReplay` do, without arguments, terminals and tables.
//!
//! Blocking, for a thread of its own; only questions are asynchronous. `letter` reads headers,
//! `filter` chooses, `marks` knows what was moved, `mover` moves in the transactions of
//! `kafka::redrive`. Errors are sentences for people; `words` are the names in them of what can be set.

pub mod filter;
mod headers;
pub mod histogram;
pub mod letter;
pub mod marks;
mod mover;
pub mod place;
pub mod reach;
pub mod replay;
pub mod report;
mod target;
pub mod words;

/// What anybody may have written, so that nothing in it moves a cursor or turns the direction of reading.
pub fn printable(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push(' '),
            c if c.is_control() || turns(c) => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(
            printable("a\nb\u{1b}[2J\u{9b}1m\u{202e}ä"),
            "a b\\u{1b}[2J\\u{9b}1m\\u{202e}ä"
        );
    }
}
