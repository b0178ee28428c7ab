//! All times that follow from `spec.handler.timeout`, in one place.
//!
//! With the default of 30 s: a drain may take 35 s, the pod has 45 s to go, and the group waits
//! 80 s for a member that is being drained.

use std::time::Duration;

use super::Handler;

/// All times that follow from the handler's time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For one record; for a consumer of the user's own, to stop after SIGTERM.
    pub handler_timeout: Duration,
    /// For what is in flight when partitions are given back.
    pub drain_deadline: Duration,
    /// `terminationGracePeriodSeconds`: whole seconds.
    pub grace_period: Duration,
    /// `max.poll.interval.ms`, which is also the group's rebalance time-out.
    pub max_poll_interval: Duration,
}

/// After the last answer, its dead letter may still have to be acknowledged by the broker.
const DEAD_LETTER: Duration = Duration::from_secs(5);
/// The commit of what was drained, tried again within this time.
const COMMIT: Duration = Duration::from_secs(5);
/// Leaving the group, flushing, ending the process.
const LEAVE: Duration = Duration::from_secs(5);
/// What an idempotency claim lasts beyond the handler's time: its own answer may take 4 s, and the
/// mark must be made before it runs out.
const CLAIM_AND_CONFIRM: Duration = Duration::from_secs(10);
/// librdkafka refuses a `max.poll.interval.ms` below `session.timeout.ms`, 45 s by default; a
/// quarter more lets users raise the session's a little.
const SHORTEST_POLL_INTERVAL: Duration = Duration::from_secs(60);

impl Timing {
    /// The times for a handler that may take `handler_timeout` for one record. `wished` is the
    /// template's own grace period: a longer one is kept, a shorter one is refused by `validate`.
    pub(super) fn new(handler: &Handler, handler_timeout: Duration, wished: Option<u64>) -> Self {
        let drain_deadline = match handler {
            // An attempt that has just begun may use all of its time; retries are not begun.
            Handler::Url(_)
            | Handler::Port { .. }
            | Handler::Socket { .. }
            | Handler::Exec { .. } => handler_timeout + DEAD_LETTER,
            // Its own drain is its own matter; we know no more than how long it takes.
            Handler::Consumer { .. } => handler_timeout,
        };
        Self {
            handler_timeout,
            drain_deadline,
            grace_period: needed_grace_period(drain_deadline)
                .max(Duration::from_secs(wished.unwrap_or(0))),
            // A member that drains must be back before the group gives up on it, with room for a
            // commit that has to be repeated: twice what it takes at most.
            max_poll_interval: (2 * (drain_deadline + COMMIT)).max(SHORTEST_POLL_INTERVAL),
        }
    }

    /// The sum behind the shortest grace period, for people: `35s drain + 5s commit + …`.
    pub(super) fn sum(&self) -> String {
        format!(
            "{}s to drain (from spec.handler.timeout) + {}s to commit + {}s to leave the group = {}s",
            self.drain_deadline.as_secs_f64(),
            COMMIT.as_secs(),
            LEAVE.as_secs(),
            needed_grace_period(self.drain_deadline).as_secs(),
        )
    }

    /// How long an idempotency claim stays if its holder is never heard of again: longer than any
    /// attempt, so that nobody begins beside one that is still at work.
    pub(super) fn idempotency_lease(&self) -> Duration {
        self.handler_timeout + CLAIM_AND_CONFIRM
    }

    /// The shortest grace period in which a pod can go quietly.
    pub(super) fn shortest_grace_period(&self) -> Duration {
        needed_grace_period(self.drain_deadline)
    }
}

/// Kubernetes counts whole seconds; a part of one counts as one.
fn needed_grace_period(drain_deadline: Duration) -> Duration {
    let needed = drain_deadline + COMMIT + LEAVE;
    Duration::from_secs(needed.as_secs() + u64::from(needed.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Handler {
        Handler::Url("http://users".to_owned())
    }

    #[test]
    fn every_time_has_room_for_the_one_inside_it() {
        for timeout_ms in [10, 500, 1_500, 30_000, 59_999, 1_800_000] {
            let timing = Timing::new(&url(), Duration::from_millis(timeout_ms), None);
            assert!(timing.drain_deadline > timing.handler_timeout);
            assert!(timing.grace_period >= timing.drain_deadline + COMMIT + LEAVE);
            assert!(timing.max_poll_interval > timing.drain_deadline + COMMIT);
            assert!(timing.max_poll_interval > Duration::from_secs(45));
            assert_eq!(timing.grace_period.subsec_nanos(), 0);
        }
    }

    #[test]
    fn a_longer_grace_period_of_the_template_is_kept() {
        let timing = Timing::new(&url(), Duration::from_secs(30), Some(300));
        assert_eq!(timing.grace_period, Duration::from_secs(300));
        let timing = Timing::new(&url(), Duration::from_secs(30), Some(1));
        assert_eq!(timing.grace_period, Duration::from_secs(45));
    }
}
