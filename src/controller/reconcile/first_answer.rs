//! How long a fleet that is seen for the first time waits for Kafka.

use std::time::Duration;

use super::{MOMENT, Run};
use crate::controller::fleets::FleetMemory;
use crate::controller::offsets::{self, Group};
use crate::lag::Latest;

/// How long Kafka's first answer is waited for: by a new fleet, of which nothing is told meanwhile,
/// and by one of which everything was told before. Where Kafka does not answer, that is known sooner.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
const FIRST_ANSWER_AGAIN: Duration = Duration::from_secs(30);
/// And where its brokers are asked after others; for longer it is told why.
const IN_TURN: Duration = Duration::from_secs(130);

impl Run<'_> {
    /// A fleet that this process sees for the first time waits a moment for Kafka's first answer: a
    /// topic that does not exist is told before anything is made, a Deployment begins with the
    /// right size, and a controller that starts again does not say that it knows nothing.
    pub(super) fn waits_for_kafka(
        &self,
        lag: &Latest,
        memory: &mut FleetMemory,
    ) -> Option<Duration> {
        let left = self.patience_left(memory, lag.waits);
        (!offsets::answered(lag)).then_some(left).flatten()
    }

    /// The first offsets of a group are being written, or were and will be read back in a moment: only
    /// then is decided what the fleet begins with.
    pub(super) fn waits_for_first_offsets(&self, memory: &mut FleetMemory) -> Option<Duration> {
        let under_way = matches!(memory.group, Group::Beginning | Group::Given);
        let begins = under_way && self.workload.is_none() && self.trouble.is_none();
        begins.then(|| self.patience_left(memory, false)).flatten()
    }

    /// How much longer a fleet that this process sees for the first time waits; none if it does not.
    fn patience_left(&self, memory: &mut FleetMemory, in_turn: bool) -> Option<Duration> {
        let now = self.context.clock.elapsed();
        let first_seen = *memory.first_seen.get_or_insert(now);
        let patience = match &self.consumer.status {
            _ if in_turn => IN_TURN,
            Some(_) => FIRST_ANSWER_AGAIN,
            None => FIRST_ANSWER,
        };
        let left = patience.saturating_sub(now.saturating_sub(first_seen));
        (!left.is_zero()).then(|| left.max(MOMENT))
    }
}
