//! A line on a terminal that is written over and over while a command runs.

use std::io::Write;
use std::time::Duration;

use super::grouped::grouped;
use crate::plural::noun;

const EVERY: Duration = Duration::from_millis(250);

/// A line on standard error that is written over and over; nothing where that is no terminal.
pub(super) struct Progress {
    shown: bool,
    expected: Option<u64>,
    next: Duration,
}

impl Progress {
    pub fn new(shown: bool, expected: Option<u64>) -> Self {
        Self {
            shown,
            expected,
            next: EVERY,
        }
    }

    pub fn is_due(&self, elapsed: Duration) -> bool {
        self.shown && elapsed >= self.next
    }

    pub fn show(&mut self, acknowledged: u64, elapsed: Duration) {
        self.next = elapsed + EVERY;
        let of = self
            .expected
            .map(|expected| format!(" of {}", grouped(expected as i64)));
        let rate = acknowledged as f64 / elapsed.as_secs_f64();
        eprint!(
            "\r\x1b[K{}{} {}, {} a second",
            grouped(acknowledged as i64),
            of.unwrap_or_default(),
            noun("record", self.expected.unwrap_or(acknowledged)),
            grouped(rate as i64)
        );
        let _ = std::io::stderr().flush();
    }

    pub fn clear(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}
