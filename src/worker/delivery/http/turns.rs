//! Whether each request gets its turn with the handler.
//!
//! A server with fewer threads than we have connections (Puma's five, a thread for each connection) serves the
//! connections that it has taken, and while those are busy it takes no other: requests on others would wait until
//! they are overdue. A connection that is closed in time makes it take the next one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Monotonic;

/// A request that waits for longer than this, and than [`TIMES`] what another one took that began after it, has been
/// passed over.
const LONG: Duration = Duration::from_millis(500);
const TIMES: u32 = 4;
/// A request may also just take long: connections are not closed more often than this.
const APART: Duration = Duration::from_millis(100);

/// The requests under way.
#[derive(Debug)]
pub struct Turns {
    clock: Monotonic,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When each began, and its number.
    open: BTreeSet<(Duration, u64)>,
    last: u64,
    closed_at: Option<Duration>,
}

/// A request from its beginning until it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    turns: &'a Turns,
    began: (Duration, u64),
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            clock: Monotonic::start(),
            state: RefCell::default(),
        }
    }
}

impl Turns {
    /// A request begins.
    pub fn begin(&self) -> Turn<'_> {
        self.begin_at(self.clock.elapsed())
    }

    fn begin_at(&self, now: Duration) -> Turn<'_> {
        let mut state = self.state.borrow_mut();
        state.last += 1;
        let began = (now, state.last);
        state.open.insert(began);
        Turn { turns: self, began }
    }
}

impl Turn<'_> {
    /// It is answered; whether its connection is to be closed, so that another gets its turn.
    pub fn is_to_make_way(&self) -> bool {
        self.is_to_make_way_at(self.turns.clock.elapsed())
    }

    fn is_to_make_way_at(&self, now: Duration) -> bool {
        let mut state = self.turns.state.borrow_mut();
        let Some(&oldest) = state.open.first() else {
            return false;
        };
        let took = now.saturating_sub(self.began.0);
        let waits = now.saturating_sub(oldest.0);
        let passed_over = oldest < self.began && waits > LONG.max(took * TIMES);
        let closed = state.closed_at;
        if !passed_over || closed.is_some_and(|at| now.saturating_sub(at) < APART) {
            return false;
        }
        state.closed_at = Some(now);
        true
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.state.borrow_mut().open.remove(&self.began);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn nobody_makes_way_while_all_are_served() {
        let turns = Turns::default();
        for round in 0..1000 {
            let first = turns.begin_at(at(round * 100));
            let second = turns.begin_at(at(round * 100 + 5));
            assert!(!second.is_to_make_way_at(at(round * 100 + 60)));
            drop(second);
            assert!(!first.is_to_make_way_at(at(round * 100 + 90)));
        }
        assert!(turns.state.borrow().open.is_empty());
    }

    #[test]
    fn a_request_that_is_passed_over_gets_a_connection_closed_now_and_then() {
        let turns = Turns::default();
        let waiting = turns.begin_at(at(0));
        let mut closed = 0;
        for round in 1..100 {
            let served = turns.begin_at(at(round * 10));
            closed += u32::from(served.is_to_make_way_at(at(round * 10 + 9)));
        }
        assert_eq!(closed, 5, "each tenth of a second after the first half");
        drop(waiting);
        let served = turns.begin_at(at(2000));
        assert!(!served.is_to_make_way_at(at(2001)));
    }

    #[test]
    fn what_takes_long_for_all_is_no_reason() {
        let turns = Turns::default();
        let slow = turns.begin_at(at(0));
        let other = turns.begin_at(at(1000));
        assert!(!other.is_to_make_way_at(at(3000)), "it took as long itself");
        assert!(!slow.is_to_make_way_at(at(9000)), "it began first");
    }
}
