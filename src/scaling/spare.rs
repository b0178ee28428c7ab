//! Whether fewer pods would do.
//!
//! The size that would have cost least if the highest recent minute came again. At rest: the least.

use super::Policy;
use super::calm::Calm;
use super::cost::{MOVE, Outset};
use super::hope;
use super::limits::Bounds;
use super::reading::Reading;
use super::ride;
use super::rises::Known;
use super::smaller::{Smaller, TooFew};
use super::state::State;
use super::target::{COPES, enough};

/// The look-back of lowering: the highest average of a minute among those of so many seconds.
const MINUTE: f64 = 60.0;
/// What raises is a shorter rush: the highest average of so many seconds must not bring the pods back.
const RUSH: f64 = 30.0;
/// Less the noise of its number, so many times over.
const CLEARLY: f64 = 4.0;
const LOOK_BACK: f64 = 120.0;
/// Share of the promise that a smaller fleet may use if the look-back came again: well less than
/// what presses, or the next burst would bring the pods back.
const REPLAY: f64 = 0.25;

/// Where pods do not say what they can do, only too few of them show it: fewer are tried where each would have
/// to do so many times what is known, once the size has stood for so many seconds.
const HOPE: f64 = 1.2;
const RESTED: f64 = 300.0;

/// A smaller size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fewer {
    pub(super) size: u32,
    /// Whether it is enough is not known: it is tried.
    pub(super) hoped: bool,
}

impl Fewer {
    fn known(size: u32) -> Self {
        let hoped = false;
        Self { size, hoped }
    }

    fn hoped(size: u32) -> Self {
        let hoped = true;
        Self { size, hoped }
    }
}

/// The size to lower to; none while something that it takes to know is unknown. Beside it, why the next smaller one is not
/// enough, and what a larger one is held for.
pub(super) fn spare(
    policy: &Policy,
    state: &State,
    reading: &Reading<'_>,
    bounds: &Bounds,
    outset: &Outset<'_>,
    useful: &[u32],
    idle: Option<f64>,
) -> (Option<Fewer>, Option<Smaller>, Option<Known>) {
    let known = by_look_back(policy, state, reading, bounds, outset, useful, idle);
    let (fewer, smaller) = known.unwrap_or_default();
    let measured = state.capacity.measured().is_some();
    if idle.is_some() || !measured || reading.sample.current == 0 || policy.rate.is_some() {
        return (fewer, smaller, None);
    }
    let load = outset.load.cautious();
    let expected = Outset {
        load: &load,
        ..outset.clone()
    };
    let size = fewer.map(|fewer| fewer.size);
    let (size, peaks) = ride::lower_to(state, reading, &expected, bounds, useful, size);
    let lower = size.map(|size| match fewer {
        Some(fewer) if fewer.size == size => fewer,
        _ => Fewer::known(size),
    });
    (lower, smaller, peaks)
}

/// The size that is enough if what came of late came again; or why the next smaller one is not.
fn by_look_back(
    policy: &Policy,
    state: &State,
    reading: &Reading<'_>,
    bounds: &Bounds,
    outset: &Outset<'_>,
    useful: &[u32],
    idle: Option<f64>,
) -> Option<(Option<Fewer>, Option<Smaller>)> {
    let current = reading.sample.current;
    if !reading.complete() || current == 0 {
        return None;
    }
    if let Some(idle) = idle {
        let Some(left) = awake_for(policy, bounds, idle) else {
            return Some((Some(Fewer::known(bounds.floor)), None));
        };
        // The last pod stays for so long; the others may go before, if what is left of the time is
        // worth a rebalance.
        let least = bounds.sizes.first().copied().filter(|&n| n < current)?;
        let spared = f64::from(current - least) * left;
        return (spared > MOVE).then_some((Some(Fewer::known(least)), None));
    }
    let peak = state.arrivals.peak(MINUTE, LOOK_BACK - MINUTE)? * MINUTE;
    let peak = (peak - peak.sqrt()) / MINUTE;
    let waited = state.waited(reading)?.seconds();
    // Work that is put off is the same work: fewer pods would only take longer.
    if state.debt(reading).is_some() {
        return None;
    }
    let smaller = bounds.sizes.iter().rev().copied().filter(|&n| n < current);
    let Some(per_pod) = state.capacity.measured() else {
        // Nobody knows what a pod can do, and a fleet that is never short of pods never shows
        // it. One size less is a probe: if it is too few, the backlog says so in time.
        let probe = smaller.into_iter().next()?;
        let copes = waited < COPES * outset.promise;
        return copes.then_some((Some(Fewer::hoped(probe)), None));
    };
    let calm = state.calm.as_ref();
    let now = peak;
    let peak = peak * calm.map_or(1.0, |calm| calm.factor(reading.at));
    let mut load_of_fewer = outset.load.cautious();
    // That a size copes says nothing of a smaller one.
    load_of_fewer.per_pod = load_of_fewer.per_pod.min(per_pod);
    let settled_for = state.orders.since_change(reading);
    if state.capacity.by_busy().is_none() && settled_for >= RESTED {
        load_of_fewer.per_pod *= HOPE;
    }
    let again = Outset {
        load: &load_of_fewer,
        arrival: outset.arrival.max(peak * outset.margin),
        ..outset.clone()
    };
    let rush = state.arrivals.peak(RUSH, LOOK_BACK - RUSH)? * RUSH;
    let rush = (rush - CLEARLY * rush.sqrt()) / RUSH * outset.margin;
    let stay = again.cost(current).total;
    let load = peak / per_pod;
    let next = smaller.clone().next();
    let forbidden = |size: u32| state.scars.forbid(size, load, calm, reading.at);
    let worst = |size: u32| {
        let capacity = again.capacity(size);
        state.arrivals.replay(capacity, LOOK_BACK) / capacity.max(1e-9)
    };
    let mut sizes: Vec<(u32, f64)> = smaller
        .take_while(|&size| !forbidden(size))
        // However long the promise, a load that goes on needs pods that get it done.
        .take_while(|&size| outset.keeps_up(size))
        .take_while(|&size| worst(size) <= REPLAY * outset.promise)
        .map(|size| (size, again.cost(size).total))
        .filter(|(_, cost)| *cost < stay)
        .collect();
    sizes.sort_by(|a, b| a.1.total_cmp(&b.1));
    let stays = |&size: &u32| {
        // Not where the next look would bring the pods back.
        let there = Outset {
            // Those that go drain first, and the first commits come after that.
            backlog: again.backlog + again.arrival * (again.pause + state.commit_gap),
            arrival: again.arrival.max(rush),
            ready: again.at_work(size),
            current: size,
            absent: size - again.at_work(size),
            ..again.clone()
        };
        enough(&there, useful, there.backlog) == size
    };
    let known = sizes.into_iter().map(|(size, _)| size).find(stays);
    let silent = state.capacity.by_busy().is_none();
    let hoped = || {
        let next = next.filter(|_| silent)?;
        hope::try_fewer(policy, state, reading, outset, next).then_some(Fewer::hoped(next))
    };
    let fewer = known.map(Fewer::known).or_else(hoped);
    let too_few = |size: u32| {
        let does = again.capacity(size);
        let seconds = worst(size);
        let why = match again.arrival {
            _ if forbidden(size) => TooFew::AsBefore,
            comes if does < comes && does >= outset.arrival.max(now * outset.margin) => {
                let worth = calm.map_or(load, Calm::most);
                TooFew::AtTimes { worth }
            }
            comes if does < comes => TooFew::Slower {
                does,
                per_pod,
                comes,
            },
            _ if seconds > REPLAY * outset.promise => TooFew::Waits { seconds },
            _ => TooFew::Rush,
        };
        Smaller { size, why }
    };
    Some((fewer, next.filter(|_| fewer.is_none()).map(too_few)))
}

/// Whether only the least that is allowed keeps a fleet of that size from being smaller.
pub(super) fn fewer_would_do(
    reading: &Reading<'_>,
    bounds: &Bounds,
    outset: &Outset<'_>,
    useful: &[u32],
    idle: Option<f64>,
) -> bool {
    let current = reading.sample.current;
    if current == 0 || current != bounds.floor || !reading.complete() {
        return false;
    }
    let smaller = useful.iter().rev().find(|&&size| size < current);
    idle.is_some()
        || smaller.is_some_and(|&size| {
            let there = Outset {
                ready: outset.at_work(size),
                current: size,
                absent: size - outset.at_work(size),
                ..outset.clone()
            };
            there.capacity(size) >= there.arrival && there.cost(size).only_pods
        })
}

/// Seconds for which the last pod of an idle fleet stays, where the user says how long.
pub(super) fn awake_for(policy: &Policy, bounds: &Bounds, idle: f64) -> Option<f64> {
    let wait = policy.idle_to_zero.filter(|_| bounds.floor == 0)?;
    Some(wait.as_secs_f64() - idle).filter(|left| *left > 0.0)
}
