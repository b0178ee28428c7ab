//! The only place that asks for the time. Everything pure is given it.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The wall clock's time.
#[allow(clippy::disallowed_methods, reason = "this is the clock's home")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A clock that only goes forward, counted from its own start.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic {
    start: Instant,
}

impl Monotonic {
    /// Starts counting.
    #[allow(clippy::disallowed_methods, reason = "this is the clock's home")]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The instant at `elapsed` after the start, for a timer.
    pub fn at(&self, elapsed: Duration) -> Instant {
        self.start + elapsed
    }
}
