//! A line on a terminal that is written over and over while a command runs.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::grouped::grouped;
use crate::clock::Monotonic;
use crate::kafka::scan::Scan;
use crate::plural::noun;

const EVERY: Duration = Duration::from_millis(250);

/// Whether the line stands there. The terminal is one, whoever writes to it.
static LINE: Mutex<bool> = Mutex::new(false);

/// Nobody else writes to the terminal until this goes; the line, if it stands there, is gone.
pub(super) fn aside() -> MutexGuard<'static, bool> {
    let mut line = LINE.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::take(&mut *line) {
        eprint!("\r\x1b[K");
        let _ = io::stderr().flush();
    }
    line
}

/// A line on standard error that is written over and over; nothing where that is no terminal. It goes with this.
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

    /// So many are to be dealt with in the end.
    pub fn expect(&mut self, count: u64) {
        self.expected = Some(count);
    }

    pub fn is_due(&self, elapsed: Duration) -> bool {
        self.shown && elapsed >= self.next
    }

    /// So many records were dealt with, at such a rate.
    pub fn show(&mut self, count: u64, elapsed: Duration) {
        let of = self
            .expected
            .map(|expected| format!(" of {}", grouped(expected as i64)));
        let rate = count as f64 / elapsed.as_secs_f64();
        let line = format!(
            "{}{} {}, {} a second",
            grouped(count as i64),
            of.unwrap_or_default(),
            noun("record", self.expected.unwrap_or(count)),
            grouped(rate as i64)
        );
        self.say(&line, elapsed);
    }

    /// In words of one's own.
    pub fn say(&mut self, line: &str, elapsed: Duration) {
        if self.shown {
            self.next = elapsed + EVERY;
            let mut there = aside();
            *there = true;
            eprint!("\r\x1b[K{line}");
            let _ = io::stderr().flush();
        }
    }

    pub fn clear(&self) {
        if self.shown {
            drop(aside());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// How far the reading of a topic has come.
pub(super) struct Reading {
    progress: Progress,
    total: u64,
    clock: Monotonic,
}

impl Reading {
    /// Of what is left to read now.
    pub fn of(scan: &Scan) -> Self {
        let total = scan.left();
        Self {
            progress: Progress::new(io::stderr().is_terminal(), Some(total)),
            total,
            clock: Monotonic::start(),
        }
    }

    /// After each step.
    pub fn look(&mut self, scan: &Scan) {
        let elapsed = self.clock.elapsed();
        if self.progress.is_due(elapsed) {
            self.progress
                .show(self.total.saturating_sub(scan.left()), elapsed);
        }
    }
}
