//! Waiting for conditions, never for time.

use std::time::Duration;

use drover::clock::{self, Monotonic};

use crate::history::Micros;

/// What no condition takes, however busy the machine is.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Microseconds since 1970.
pub fn now() -> Micros {
    clock::now().as_microsecond()
}

/// Waits until `condition` gives something.
#[track_caller]
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Monotonic::start();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(
            began.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}"
        );
        pause(Duration::from_millis(20));
    }
}

/// Lets time pass, where the passing of time is the fault itself.
pub fn pause(time: Duration) {
    let began = Monotonic::start();
    while let Some(left) = time
        .checked_sub(began.elapsed())
        .filter(|left| !left.is_zero())
    {
        std::thread::park_timeout(left);
    }
}
