//! Numbers in statuses take turns.
//!
//! A fleet at work has new numbers every moment, and each write costs the API server milliseconds and
//! etcd a revision: a thousand fleets at work would keep both busy with nothing else, and the writes that
//! matter would wait behind them. What people wait for (a size, a condition, a stuck record) is never
//! held up; of mere numbers so many a second are written, whatever the number of fleets.

use std::sync::Mutex;
use std::time::Duration;

/// The time for one write: 25 a second. So fifty fleets at work are written every two seconds, as one alone
/// is, and a thousand every forty.
const EACH: Duration = Duration::from_millis(40);
/// Turns that nobody took can be taken at once, of the last second.
const SAVED: Duration = Duration::from_secs(1);

/// Whose turn it is.
#[derive(Debug, Default)]
pub struct Pace {
    /// When the first turn begins that is not taken.
    free: Mutex<Duration>,
}

impl Pace {
    /// Takes the next turn: when it begins, at `now` or later.
    pub fn turn(&self, now: Duration) -> Duration {
        let mut free = self
            .free
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let turn = (*free).max(now.saturating_sub(SAVED));
        *free = turn + EACH;
        turn.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_few_fleets_never_wait() {
        let pace = Pace::default();
        for second in 1..60 {
            for fleet in 0..20 {
                let now = ms(1000 * second + fleet);
                assert_eq!(pace.turn(now), now);
            }
        }
    }

    #[test]
    fn many_take_turns_in_their_order_and_none_is_left_out() {
        let pace = Pace::default();
        let now = Duration::from_secs(100);
        let turns: Vec<_> = (0..1000).map(|_| pace.turn(now)).collect();
        assert!(turns.is_sorted());
        assert_eq!(turns.iter().filter(|turn| **turn == now).count(), 26);
        for second in 1..38 {
            let within = |turn: &&Duration| (**turn - now).as_secs() == second;
            assert_eq!(turns.iter().filter(within).count(), 25, "second {second}");
        }
        // Whoever comes later waits behind all of them.
        assert!(pace.turn(now + ms(500)) > *turns.last().unwrap());
    }

    #[test]
    fn time_that_nobody_used_is_not_saved_up() {
        let pace = Pace::default();
        let now = Duration::from_secs(3600);
        let at_once = (0..200).filter(|_| pace.turn(now) == now).count();
        assert_eq!(at_once, 26);
    }
}
