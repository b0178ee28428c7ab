//! Standing aside: a worker whose own handler, in the same pod, is out of reach can do nothing with its partitions,
//! while other pods of the fleet may be well. A consumer that crashes loses its partitions to the others of its group;
//! a worker outlives its handler, so it has to give them up itself, and joins again when the handler is back.
//!
//! Not so with a handler elsewhere: all pods of the fleet have the same one.

use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use super::health::Health;

/// How long a handler in the worker's own pod may be out of reach before the pod's partitions go to others: longer
/// than most containers take to be started again, in which case nothing should move.
pub const HANDLER_PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// So long a handler has to be there before the worker that stood aside for it once joins again. Twice as long each
/// time after, so that one that crashes again and again does not have partitions moved each time.
const PROOF: Duration = Duration::from_secs(5);
/// The longest that is asked for.
const LONGEST_PROOF: Duration = Duration::from_secs(300);
/// After so long in the group all is forgotten, as the kubelet forgets a container's crashes.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// Returns when the handler has been out of reach for as long as `patience`, and is. While Kafka is out of reach as well,
/// nobody could be told, and others may be no better off.
pub(super) async fn until_others_are_better(health: &Health, patience: Duration) {
    loop {
        let is_gone = health.handler_is_missing() && health.handler_absence() >= patience;
        if is_gone && !health.kafka_is_missing() {
            break;
        }
        sleep(LOOK).await;
    }
    let why = health.handler_trouble().unwrap_or_default();
    warn!(
        seconds = patience.as_secs(),
        why,
        "the handler in this pod could not be reached for long: others of the group have its partitions until it is back"
    );
}

/// How long the handler was out of reach lately: time in reach takes half as much away, so that a handler that is up for
/// a few seconds between two crashes is as good as gone.
#[derive(Debug, Default)]
pub(super) struct Absence {
    owed: Duration,
    at: Duration,
    is_absent: bool,
}

impl Absence {
    /// It is out of reach now, or not.
    pub fn set(&mut self, is_absent: bool, now: Duration) {
        self.owed = self.so_far(now);
        self.at = now;
        self.is_absent = is_absent;
    }

    /// How long, by now.
    pub fn so_far(&self, now: Duration) -> Duration {
        let since = now.saturating_sub(self.at);
        if self.is_absent {
            self.owed + since
        } else {
            self.owed.saturating_sub(since / 2)
        }
    }

    /// Nothing is held against it any more.
    pub fn forget(&mut self, now: Duration) {
        self.owed = Duration::ZERO;
        self.at = now;
    }
}

/// How often the worker has stood aside lately.
#[derive(Debug, Default)]
pub(super) struct Returns {
    times: u32,
}

impl Returns {
    /// It stood aside after `lived` in the group.
    pub fn stood_aside(&mut self, lived: Duration) {
        if lived >= FORGOTTEN {
            self.times = 0;
        }
        self.times += 1;
    }

    /// How long the handler has to be there before the group is joined.
    pub fn proof(&self) -> Duration {
        let Some(doublings) = self.times.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        PROOF.saturating_mul(factor).min(LONGEST_PROOF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_up_for_seconds_between_two_crashes_is_as_good_as_gone() {
        let at = Duration::from_secs;
        let mut absence = Absence::default();
        absence.set(true, at(100));
        assert_eq!(absence.so_far(at(112)), at(12));
        // Told again, it is no other absence.
        absence.set(true, at(112));
        absence.set(false, at(113));
        assert_eq!(absence.so_far(at(117)), at(11));
        absence.set(true, at(117));
        assert_eq!(absence.so_far(at(136)), HANDLER_PATIENCE);
        absence.forget(at(136));
        assert_eq!(absence.so_far(at(137)), at(1));
    }

    #[test]
    fn one_that_is_started_again_and_stays_is_forgiven() {
        let at = Duration::from_secs;
        let mut absence = Absence::default();
        absence.set(true, at(100));
        absence.set(false, at(125));
        assert_eq!(absence.so_far(at(175)), Duration::ZERO);
        absence.set(true, at(1_000));
        assert_eq!(absence.so_far(at(1_020)), at(20));
    }

    #[test]
    fn a_handler_that_goes_again_and_again_has_to_stay_longer_each_time() {
        let mut returns = Returns::default();
        assert_eq!(returns.proof(), Duration::ZERO, "it was never missed");
        let proofs = [5, 10, 20, 40, 80, 160, 300, 300];
        for seconds in proofs {
            returns.stood_aside(Duration::from_secs(40));
            assert_eq!(returns.proof(), Duration::from_secs(seconds));
        }
        for _ in 0..100 {
            returns.stood_aside(Duration::from_secs(40));
        }
        assert_eq!(returns.proof(), LONGEST_PROOF);
        returns.stood_aside(FORGOTTEN);
        assert_eq!(returns.proof(), PROOF, "it had been well for long");
    }
}
