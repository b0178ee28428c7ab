//! Where the user limits how fast the fleet may deliver: pods beyond those that use the limit up bring nothing.
//!
//! Pods share the limit by their partitions, so that a pod of a larger fleet has the less of it. What a pod could
//! do is known from its handler all the same: waiting for leave to deliver is no time in the handler.

use super::limits::Bounds;
use super::plan::Plan;
use super::reading::Reading;
use super::sizes;
use super::state::State;
use super::{Policy, Why};

/// Pods that could do so many times the limit are enough: some have more to do than others.
const ROOM: f64 = 1.25;
/// They are too many only where fewer could do so many times: between the two nothing goes up and down.
const TOO_MANY: f64 = 1.6;
/// A fleet that can do this share of the limit shows the limit, not what its pods can do.
const NEAR: f64 = 0.7;

/// Whether the limit, and not its pods, may be what holds the fleet. Until they have said what they can do, it may.
pub(super) fn holds(policy: &Policy, state: &State, reading: &Reading<'_>) -> bool {
    let worth = sizes::worth(reading.sample.current, reading.partitions());
    let can = state.capacity.by_busy().map(|rate| rate * worth);
    limit(policy, state).is_some_and(|rate| can.is_none_or(|can| can >= NEAR * rate))
}

/// The limit in offsets.
fn limit(policy: &Policy, state: &State) -> Option<f64> {
    policy.rate.map(|rate| rate * state.capacity.per_record())
}

/// Seconds that the limit alone has what waits wait for; 0 without one.
pub(super) fn wait(policy: &Policy, state: &State, backlog: f64) -> f64 {
    let limit = limit(policy, state).filter(|rate| *rate > 0.0);
    limit.map_or(0.0, |rate| backlog / rate)
}

/// Orders no more pods than it takes to use the limit up.
pub(super) fn apply(
    plan: Plan,
    policy: &Policy,
    state: &State,
    reading: &Reading<'_>,
    bounds: &Bounds,
) -> Plan {
    let Some(rate) = policy.rate.filter(|_| reading.complete()) else {
        return plan;
    };
    let per_pod = state.capacity.per_pod(policy, 0.0) / state.capacity.per_record();
    let size_for = |times: f64| {
        let can = |size: u32| sizes::worth(size, reading.partitions()) * per_pod;
        let mut sizes = bounds.sizes.iter().copied();
        sizes.find(|&size| can(size) >= times * rate)
    };
    let why = |pods| Why::CappedByRate { pods, rate };
    match (size_for(ROOM), size_for(TOO_MANY)) {
        (_, Some(most)) if plan.current > most && plan.replicas > most => plan.set(most, why(most)),
        (Some(most), _) if plan.raises() && plan.replicas > most => {
            let to = most.max(plan.current);
            plan.set(to, why(most))
        }
        // Enough pods, and yet not in time.
        (Some(most), _)
            if wait(policy, state, reading.backlog()) > policy.max_delay.as_secs_f64() =>
        {
            plan.note(why(most))
        }
        _ => plan,
    }
}
