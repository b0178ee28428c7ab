//! What the load asks for, before anything holds or limits it.
//!
//! The rule planner: raise when the projected delay uses up half of the promise, to the smallest
//! useful size that carries the arrivals and clears the backlog in what is left of it; lower to
//! what carried the highest recent minute; at rest go to the least.

use super::flow::seconds;
use super::gate::MOVE;
use super::limits::Bounds;
use super::plan::Plan;
use super::reading::Reading;
use super::sizes;
use super::state::State;
use super::{Policy, Why};

/// Share of the promise that a projected delay may use before it presses.
const PRESSING: f64 = 0.48;
/// Share of the promise in which a backlog should be gone once the pods are there.
const CLEARING: f64 = 0.6;
/// Load of the busiest pod to plan with.
const LOAD: f64 = 0.9;
/// A backlog that does not press is cleared in so many seconds beside the arrivals.
const UNHURRIED: f64 = 300.0;
/// Seconds from a change of the load to a step that sees it.
const TICK: f64 = 0.5;
/// The first sight of a surge is looked at once more after so many seconds, and, as long as it
/// goes on, again and again,
const SECOND_LOOK: f64 = 0.05;
/// but not for longer than this, seconds.
const LAST_LOOK: f64 = 0.4;
/// A burst that goes on is taken to do so for as long, seconds, when it is asked whether to wait for
/// its size.
const GOES_ON: f64 = 1.0;
/// The look-back of lowering: the highest average of a minute among those of the last minute.
const MINUTE: f64 = 60.0;
/// Share of the promise that a smaller fleet may use if the look-back came again: well less than
/// what presses, or the next burst would bring the pods back.
const REPLAY: f64 = 0.25;

/// What the load asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Needs {
    /// Records that wait in partitions that move.
    pub(super) backlog: f64,
    /// Records per second to plan for.
    pub(super) arrival: Option<f64>,
    /// Records per second and pod to plan with.
    pub(super) per_pod: f64,
    /// Seconds in which the last record that waits now is finished if nothing is done.
    pub(super) projected: f64,
    /// The projected delay presses: time to raise.
    pub(super) pressing: bool,
    /// The projected delay breaks the promise.
    pub(super) breach: bool,
    /// The smallest useful size that is enough, whatever the user's limits.
    pub(super) enough: u32,
    /// What would be enough if what has woken the fleet goes on; none where nobody can say yet.
    pub(super) enough_later: Option<u32>,
    /// The size to lower to, where everything that it takes to know is known.
    pub(super) spare: Option<u32>,
    /// Nothing waits and nothing arrives: for so many seconds.
    pub(super) idle: Option<f64>,
    /// The last pod of an idle fleet stays for so many seconds, as the user wants it.
    pub(super) awake_for: Option<f64>,
    /// Nothing will come of looking again at the same offsets.
    pub(super) resting: bool,
}

/// Works out what the load asks for.
pub(super) fn needs(
    policy: &Policy,
    state: &State,
    reading: &Reading<'_>,
    bounds: &Bounds,
) -> Needs {
    let sample = reading.sample;
    let partitions = reading.partitions();
    let promise = policy.max_delay.as_secs_f64();
    let per_pod = state.capacity.per_pod(policy);
    let backlog = reading.backlog();
    let arrival = state.arrival();

    let capacity = |pods: u32| sizes::capacity(pods, per_pod, partitions);
    let working = sample.ready.min(sample.current);
    // Where capacity is a mere guess, what is being done proves at least that much.
    let proven = match state.capacity.measured() {
        Some(_) => 0.0,
        None => state.progress.rate(15.0, 5.0).unwrap_or(0.0),
    };
    let now_done = capacity(working).max(if working > 0 { proven } else { 0.0 });
    let then_done = capacity(sample.current).max(now_done);

    let reaction = state.orders.start_up(policy) + state.orders.rebalance(policy) + 1.5 * TICK;
    let later = (backlog + state.arriving(reaction) - now_done * reaction).max(0.0);
    let newest = state.since_arrival(reading);
    let projected = if backlog <= 0.0 && later <= 0.0 {
        0.0
    } else {
        let wait = if now_done <= 0.0 { reaction } else { 0.0 };
        newest + wait + later.max(backlog - now_done * wait) / then_done.max(1e-9)
    };

    let left = (0.9 * promise - newest - reaction).clamp(0.2 * promise, CLEARING * promise);
    let steady = arrival.unwrap_or(0.0) / LOAD + later / UNHURRIED;
    let demand = steady.max(later / left.max(1e-3));
    let useful = sizes::useful(partitions);
    let enough = smallest(&useful, partitions, per_pod, demand);
    let enough_later = state.burst.as_ref().and_then(|burst| {
        let demand = steady.max((later + burst.rate? * GOES_ON) / left.max(1e-3));
        Some(smallest(&useful, partitions, per_pod, demand))
    });

    let idle = state
        .surplus
        .idle_since()
        .filter(|_| reading.complete())
        .map(|since| seconds(since, reading.at));
    Needs {
        backlog,
        arrival,
        per_pod,
        projected,
        pressing: backlog > 0.0 && projected > PRESSING * promise,
        breach: backlog > 0.0 && projected > promise,
        enough,
        enough_later,
        spare: spare(policy, state, reading, bounds, per_pod, idle),
        idle,
        awake_for: idle.and_then(|idle| awake_for(policy, bounds, idle)),
        resting: idle.is_some() && sample.current <= bounds.floor && sample.ready >= sample.current,
    }
}

/// The smallest of `sizes` that carries `demand`, or one pod more than the partitions would need.
fn smallest(sizes: &[u32], partitions: u32, per_pod: f64, demand: f64) -> u32 {
    sizes
        .iter()
        .copied()
        .find(|&size| sizes::capacity(size, per_pod, partitions) >= demand)
        .unwrap_or_else(|| (demand / per_pod.max(1e-9)).ceil().min(1e6) as u32)
}

/// The size to lower to; none while something that it takes to know is unknown.
fn spare(
    policy: &Policy,
    state: &State,
    reading: &Reading<'_>,
    bounds: &Bounds,
    per_pod: f64,
    idle: Option<f64>,
) -> Option<u32> {
    let promise = policy.max_delay.as_secs_f64();
    let current = reading.sample.current;
    if !reading.complete() || current == 0 {
        return None;
    }
    if let Some(idle) = idle {
        let Some(left) = awake_for(policy, bounds, idle) else {
            return Some(bounds.floor);
        };
        // The last pod stays for so long; the others may go before, if what is left of the time is
        // worth a rebalance.
        let least = bounds.sizes.first().copied().filter(|&n| n < current)?;
        let spared = f64::from(current - least) * left;
        return (spared > MOVE).then_some(least);
    }
    let peak = state.arrivals.peak(MINUTE, MINUTE)?;
    let arrival = peak.max(state.arrival()?);
    let waited = state.waited(reading, false)?.seconds();
    let partitions = reading.partitions();
    if state.capacity.measured().is_none() {
        // Nobody knows what a pod can do, and a fleet that is never short of pods never shows
        // it. One size less is a probe: if it is too few, the backlog says so in time.
        let probe = bounds.sizes.iter().rev().copied().find(|&n| n < current)?;
        return (waited < 0.2 * promise).then_some(probe);
    }
    let demand = arrival / LOAD + reading.backlog() / UNHURRIED;
    bounds.sizes.iter().copied().find(|&size| {
        let capacity = sizes::capacity(size, per_pod, partitions);
        let clearing = reading.backlog() / capacity.max(1e-9);
        let again = state.arrivals.replay(capacity, 2.0 * MINUTE) / capacity.max(1e-9);
        capacity >= demand && waited + clearing <= PRESSING * promise && again <= REPLAY * promise
    })
}

/// Seconds for which the last pod of an idle fleet stays, where the user says how long.
fn awake_for(policy: &Policy, bounds: &Bounds, idle: f64) -> Option<f64> {
    let wait = policy.idle_to_zero.filter(|_| bounds.floor == 0)?;
    Some(wait.as_secs_f64() - idle).filter(|left| *left > 0.0)
}

/// Raises or lowers by the needs alone.
pub(super) fn propose(
    policy: &Policy,
    state: &mut State,
    reading: &Reading<'_>,
    bounds: &Bounds,
    needs: &Needs,
) -> Plan {
    let current = reading.sample.current;
    let plan = Plan::stay(current);
    let wanted = needs.enough.max(1);
    if needs.pressing && wanted > current {
        if wanted < bounds.ceiling && grows(state, reading, needs) && affords_looks(policy, state) {
            let mut plan = plan.hold(Why::SecondLook).due_in(SECOND_LOOK);
            plan.growing = true;
            return plan;
        }
        return plan.set(wanted, Why::raised(policy, state, current, wanted, needs));
    }
    match needs.spare {
        Some(spare) if spare < current => {
            let why = match needs.idle {
                Some(idle) => Why::Idle { seconds: idle },
                None => Why::Spare {
                    from: current,
                    to: spare,
                    arrival: needs.arrival.unwrap_or(0.0),
                    per_pod: needs.per_pod,
                    measured: state.capacity.measured().is_some(),
                },
            };
            let mut plan = plan.set(spare, why);
            // How long to wait for zero was the user's to say, and is over.
            plan.at_once = spare == 0 && needs.idle.is_some() && policy.idle_to_zero.is_some();
            plan
        }
        _ if current == 0 && needs.backlog <= 0.0 => plan.hold(Why::AtRest),
        _ if current > 0 && needs.awake_for.is_some() => {
            let (idle, left) = (needs.idle.unwrap_or(0.0), needs.awake_for.unwrap_or(0.0));
            plan.hold(Why::StaysAwake { idle, left }).due_in(left)
        }
        _ => plan.hold(Why::Enough {
            replicas: current,
            backlog: needs.backlog as u64,
            arrival: needs.arrival,
            projected: needs.projected,
        }),
    }
}

/// Whether what has just woken a fleet may want more pods than what is seen of it: then a moment's
/// patience orders all of them in one step.
fn grows(state: &State, reading: &Reading<'_>, needs: &Needs) -> bool {
    let Some(burst) = &state.burst else {
        return false;
    };
    let looked_for = seconds(burst.noticed, reading.now);
    match needs.enough_later {
        None => looked_for < LAST_LOOK,
        Some(later) => looked_for < LAST_LOOK && later > needs.enough,
    }
}

/// Whether the promise is long enough for that patience.
fn affords_looks(policy: &Policy, state: &State) -> bool {
    let reaction = state.orders.start_up(policy) + state.orders.rebalance(policy);
    reaction + 4.0 * LAST_LOOK < CLEARING * policy.max_delay.as_secs_f64()
}
