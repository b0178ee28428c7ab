//! What size a fleet should have: by whose word, and by what the policy says of the newest offsets.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{MOMENT, Run, is_owned};
use crate::api::{KafkaConsumer, ScalingMode, Span};
use crate::clock;
use crate::controller::apply::size_is_placeholder;
use crate::controller::dereference::Observed;
use crate::controller::fleets::{FleetKey, FleetMemory};
use crate::controller::offsets::{self, Group};
use crate::controller::place::Move;
use crate::controller::size::{self, Situation};
use crate::controller::workload::Workload;
use crate::fleet::Fleet;
use crate::lag::Latest;
use crate::scaling::{self, Bounded, Outlook};

/// What keeps a template from being applied is looked at this often, whatever wakes the fleet.
const READ_BACK: Duration = Duration::from_secs(2);

impl Run<'_> {
    /// What size the fleet should have. Without offsets nothing is decided: unknown is not zero.
    pub(super) fn decide(
        &mut self,
        key: &FleetKey,
        fleet: &Fleet,
        lag: &Latest,
        memory: &mut FleetMemory,
    ) {
        let context = self.context;
        let size = self.workload.as_ref().map_or(0, |workload| workload.size);
        let deployment = self.observed.deployment.as_deref();
        let moves = Move::of(fleet, deployment, size);
        let pods = self.workload.as_ref().map_or(0, Workload::pods);
        let ready = offsets::ready(context, key, fleet, lag, &moves, (size, pods), memory);
        self.keeps_template = !moves.is_none() && memory.group != Group::Begun;
        if self.keeps_template {
            self.within(READ_BACK);
        }
        let offsets_ready = match ready {
            Ok(ready) => ready,
            Err(error) => {
                self.failed(&error, memory);
                memory.not_begun = Some(error.trouble());
                false
            }
        };
        // What went wrong stays said while it is tried again.
        if matches!(memory.group, Group::Given | Group::Begun) || lag.failure.is_some() {
            memory.not_begun = None;
        }
        self.trouble = self.trouble.take().or_else(|| memory.not_begun.clone());
        if !offsets_ready {
            // As a new one: no pod may start yet.
            self.lost = 0;
        }
        if let Some(wait) = offsets::away_in(lag) {
            self.within(wait.max(MOMENT));
        }
        let decidable = offsets_ready && offsets::away(lag).is_none();
        if let Some(sample) = self.sample.as_ref().filter(|_| decidable) {
            let now = clock::now();
            let state = memory
                .scaling
                .take()
                .unwrap_or_else(|| resumed(self.consumer));
            let state = match lag.offsets.as_ref().and_then(|read| read.oldest) {
                Some(oldest) => state.late_since(Some(oldest)),
                None => state,
            };
            let (state, decision) = scaling::step(&fleet.policy, state, sample, now);
            memory.scaling = Some(state);
            let again = decision.look_again_at.duration_since(now);
            self.wait = self
                .wait
                .min(again.try_into().unwrap_or(Duration::ZERO).max(MOMENT));
            offsets::pace(context, key, &decision);
            self.decision = Some(decision);
        }
        let bounded = self.bounded(fleet);
        self.order = size::order(
            fleet,
            &Situation {
                decision: self.decision.as_ref(),
                current: deployment
                    .map(|_| size)
                    .or((self.lost > 0).then_some(self.lost)),
                never_sized: deployment.is_none_or(size_is_placeholder),
                offsets_ready,
                bounded,
            },
        );
    }

    /// What is allowed of a size from outside, with or without an answer of Kafka: how many partitions there
    /// are does not change because it is away.
    fn bounded(&mut self, fleet: &Fleet) -> Option<Bounded> {
        let chosen = fleet.manual_replicas?;
        if fleet.mode != ScalingMode::External || fleet.paused {
            return None;
        }
        let outlook = self.decision.as_ref().map(|decision| &decision.outlook);
        let status = self.consumer.status.as_ref();
        let kept = status.and_then(|status| u32::try_from(status.partitions?).ok());
        let partitions = outlook.map(|outlook| outlook.partitions).or(kept);
        let start =
            |outlook: &Outlook| Some(outlook.start_up? + outlook.rebalance.unwrap_or_default());
        let lead = outlook.and_then(start).unwrap_or_default();
        let now = clock::now();
        let partitions = partitions.filter(|count| *count > 0);
        let bounded = scaling::bounded(&fleet.policy, chosen, partitions, lead, now);
        if let Some(at) = bounded.changes_at {
            let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            self.within(wait.max(MOMENT));
        }
        Some(bounded)
    }
}

/// How many pods a Deployment was to have that somebody has deleted; 0 where it is there, or never was.
pub(super) fn lost(
    consumer: &KafkaConsumer,
    observed: &Observed,
    workload: Option<&Workload>,
    memory: &mut FleetMemory,
) -> u32 {
    let Some((deployment, workload)) = observed.deployment.as_deref().zip(workload) else {
        return memory.size.unwrap_or(0);
    };
    // A predecessor's of the same name is on its way out.
    if is_owned(
        deployment,
        consumer.metadata.uid.as_deref().unwrap_or_default(),
    ) {
        memory.size = Some(workload.size);
    }
    0
}

/// What a controller that has just started knows from what status kept.
fn resumed(consumer: &KafkaConsumer) -> scaling::State {
    let kept = consumer
        .status
        .as_ref()
        .and_then(|status| status.scaling.as_ref());
    let start_up = kept.and_then(|kept| kept.start_up_seconds);
    let status = consumer.status.as_ref();
    let delay = status.and_then(|status| status.delay.as_deref());
    scaling::State::resume(
        kept.and_then(|kept| kept.capacity_per_pod),
        start_up.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    )
    .late_since(delay.and_then(late_since))
}

/// Since when the oldest record has waited at least: status does not say when that was written.
fn late_since(delay: &str) -> Option<Timestamp> {
    let delay: Span = delay.parse().ok()?;
    let delay = SignedDuration::try_from(delay.0).ok()?;
    // Anybody with the right may write a status: what no time is is not believed.
    let since = clock::now().checked_sub(delay).ok()?;
    (!delay.is_zero()).then_some(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_status_says_of_the_delay_is_no_reason_to_fall_over() {
        for nothing in [
            "0s",
            "",
            "soon",
            "-5s",
            "18446744073709551615ms",
            "5000000000h",
        ] {
            assert_eq!(late_since(nothing), None, "{nothing}");
        }
        let since = late_since("22m").unwrap();
        let waited = clock::now().duration_since(since).as_secs();
        assert!((1320..1330).contains(&waited), "{waited}");
    }
}
