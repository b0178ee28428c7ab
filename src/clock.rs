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

    /// What the wall clock showed at the start, since 1970, going by what it shows now. It changes where that clock is
    /// set, and where this one stood still: while the machine slept.
    pub fn began(&self) -> Duration {
        let wall = now().duration_since(Timestamp::UNIX_EPOCH);
        let wall = Duration::try_from(wall).unwrap_or_default();
        wall.saturating_sub(self.elapsed())
    }

    /// The instant at `elapsed` after the start, for a timer.
    pub fn at(&self, elapsed: Duration) -> Instant {
        self.start + elapsed
    }
}
