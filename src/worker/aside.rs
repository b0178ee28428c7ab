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

/// Returns when the handler has been out of reach for as long as `patience`. While Kafka is out of reach as well,
/// nobody could be told, and others may be no better off.
pub(super) async fn until_others_are_better(health: &Health, patience: Duration) {
    loop {
        let missing_for = health.handler_missing_for().unwrap_or_default();
        if missing_for >= patience && !health.kafka_is_missing() {
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
