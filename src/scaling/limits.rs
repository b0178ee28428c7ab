//! What the user and the partitions allow.

use std::time::Duration;

use super::flow::seconds;
use super::plan::Plan;
use super::reading::Reading;
use super::schedule::Standing;
use super::sizes;
use super::state::State;
use super::target::Needs;
use super::{Policy, Why};

/// Seconds until a wake-up is noticed at zero.
const NOTICE: f64 = 0.5;

/// What is allowed now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bounds {
    /// Pods at least.
    pub(super) floor: u32,
    /// Pods at most.
    pub(super) ceiling: u32,
    /// Sizes to choose from, ascending, none of them zero.
    pub(super) sizes: Vec<u32>,
    /// Zero is allowed by the user but breaks the promise: seconds that a wake-up takes.
    pub(super) zero_takes: Option<f64>,
    /// What the schedule says, where it asks for more than the user's usual minimum.
    pub(super) standing: Standing,
}

/// Works out what is allowed.
pub(super) fn bounds(policy: &Policy, state: &State, reading: &Reading<'_>) -> Bounds {
    let partitions = reading.partitions();
    // Of a fleet whose partitions nobody has seen only the user's limits are known.
    let most = match (policy.max, partitions) {
        (Some(max), 0) => max,
        (None, 0) => u32::MAX,
        (Some(max), partitions) => max.min(partitions),
        (None, partitions) => partitions,
    };
    let takes = NOTICE
        + state.orders.learned_start_up().unwrap_or(0.0)
        + state.orders.learned_rebalance().unwrap_or(0.0);
    let standing = standing(policy, state, reading);
    let least = standing.floor.as_ref().map_or(policy.min, |peak| peak.min);
    let zero_takes =
        (least == 0 && most > 0 && takes > policy.max_delay.as_secs_f64()).then_some(takes);
    let floor = if zero_takes.is_some() {
        1
    } else {
        least.min(most)
    };
    let useful = sizes::useful(partitions);
    let ceiling = useful
        .iter()
        .copied()
        .rfind(|&size| size <= most)
        .unwrap_or(if partitions == 0 { most } else { 0 })
        .max(floor);
    let mut sizes: Vec<u32> = useful
        .into_iter()
        .filter(|&size| size > floor && size <= ceiling)
        .collect();
    if floor > 0 {
        sizes.insert(0, floor);
    }
    Bounds {
        floor,
        ceiling,
        sizes,
        zero_takes,
        standing,
    }
}

/// What the schedule says: pods that take time to start are ordered before their peak begins.
fn standing(policy: &Policy, state: &State, reading: &Reading<'_>) -> Standing {
    let reaction = state.orders.start_up(policy) + state.orders.rebalance(policy);
    let lead = Duration::try_from_secs_f64(reaction).unwrap_or_default();
    // That its own pods were ready sooner than pods were thought to be ends no peak that has been ordered for.
    let lead = lead.max(state.lead);
    let mut standing = policy.schedule.at(reading.now, lead);
    standing.floor = standing.floor.filter(|peak| peak.min > policy.min);
    standing
}

/// Keeps in mind how long before its peak the floor was raised, until that begins.
pub(super) fn keep_lead(state: &mut State, reading: &Reading<'_>, bounds: &Bounds) {
    let ahead = bounds.standing.floor.as_ref();
    let begins = ahead.and_then(|floor| floor.begins.as_ref());
    let left = begins.map(|begins| seconds(reading.now, begins.timestamp()));
    let left = left.and_then(|left| Duration::try_from_secs_f64(left).ok());
    state.lead = left.map_or(Duration::ZERO, |left| left.max(state.lead));
}

/// Keeps the number inside of what is allowed, and says which limit held it.
pub(super) fn apply(
    mut plan: Plan,
    policy: &Policy,
    _state: &State,
    reading: &Reading<'_>,
    bounds: &Bounds,
    needs: &Needs,
) -> Plan {
    if let Some(at) = bounds.standing.changes_at {
        plan = plan.due_in(seconds(reading.now, at));
    }
    let wanted = plan.replicas;
    if wanted < bounds.floor {
        plan = match (bounds.zero_takes, &bounds.standing.floor) {
            (_, Some(peak)) => plan.set(
                bounds.floor,
                Why::Scheduled {
                    peak: Box::new(peak.clone()),
                    partitions: reading.partitions(),
                },
            ),
            (Some(takes), None) => plan.set(
                bounds.floor,
                Why::ZeroTooSlow {
                    takes,
                    promise: policy.max_delay,
                },
            ),
            (None, None) => plan.set(
                bounds.floor,
                Why::AtLeastMin {
                    min: policy.min,
                    partitions: reading.partitions(),
                },
            ),
        };
    }
    // What keeps the size from being less is told as long as it does.
    if wanted == bounds.floor {
        if let Some(peak) = bounds.standing.floor.as_ref() {
            plan = plan.note(Why::Scheduled {
                peak: Box::new(peak.clone()),
                partitions: reading.partitions(),
            });
        } else if needs.fewer_would_do {
            plan = plan.note(match bounds.zero_takes {
                Some(takes) => Why::ZeroTooSlow {
                    takes,
                    promise: policy.max_delay,
                },
                None => Why::AtLeastMin {
                    min: policy.min,
                    partitions: reading.partitions(),
                },
            });
        }
    }
    let most_now = most_now(policy, reading, bounds);
    if plan.current > most_now && plan.replicas >= most_now {
        plan.at_once = true;
        return cap(plan, policy, reading, bounds, needs);
    }
    if plan.raises() && plan.replicas > bounds.ceiling {
        let to = bounds.ceiling.max(plan.current.min(most_now));
        let why = limit(policy, reading, bounds, plan.replicas);
        plan = plan.set(to, why);
    } else if plan.raises() && !bounds.sizes.contains(&plan.replicas) {
        // A user's minimum that is no useful size may stand between two of them.
        let to = bounds
            .sizes
            .iter()
            .copied()
            .find(|&size| size >= plan.replicas)
            .unwrap_or(bounds.ceiling);
        plan.replicas = to.max(plan.current);
    } else if needs.pressing
        && needs.enough > bounds.ceiling
        && plan.current >= bounds.ceiling
        && !plan.is_rate_limited()
        && !plan.shares_limit
    {
        let why = limit(policy, reading, bounds, needs.enough);
        plan = plan.note(why);
    }
    plan
}

/// Takes away what is beyond a limit: that waits for nothing, whatever a lower size waits for.
pub(super) fn cap(
    plan: Plan,
    policy: &Policy,
    reading: &Reading<'_>,
    bounds: &Bounds,
    needs: &Needs,
) -> Plan {
    let most = most_now(policy, reading, bounds);
    if plan.current > most && plan.replicas > most {
        let wanted = needs.enough;
        let why = if needs.pressing && wanted > most && !plan.shares_limit {
            limit(policy, reading, bounds, wanted)
        } else {
            Why::BeyondLimit {
                pods: plan.current,
                max: limiting_max(policy, reading),
                useful: most,
            }
        };
        return plan.set(most, why);
    }
    plan
}

/// What the user forbids holds with or without data; the partitions' limit only lowers when they
/// are known.
fn most_now(policy: &Policy, reading: &Reading<'_>, bounds: &Bounds) -> u32 {
    if reading.complete() {
        bounds.ceiling
    } else {
        policy.max.unwrap_or(u32::MAX).max(bounds.floor)
    }
}

/// What the user allows, where that is less than the partitions do.
fn limiting_max(policy: &Policy, reading: &Reading<'_>) -> Option<u32> {
    let partitions = reading.partitions();
    policy
        .max
        .filter(|max| partitions == 0 || *max < partitions)
}

fn limit(policy: &Policy, reading: &Reading<'_>, bounds: &Bounds, wanted: u32) -> Why {
    match limiting_max(policy, reading) {
        Some(max) => Why::CappedByMax {
            wanted,
            max,
            useful: bounds.ceiling,
        },
        None => Why::CappedByPartitions {
            wanted,
            partitions: reading.partitions(),
        },
    }
}
