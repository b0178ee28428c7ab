//! What pods that do not report may be able to do beyond what they have shown.
//!
//! A guess that is too low, or a measurement of pods that were not quite full, orders too many pods, and those are never
//! full again. So whatever was done can be done; and while nothing waits, fewer pods are tried: where they are too few,
//! a backlog shows both that and what they can do. Never so few that the promise would break before others are there, even
//! if pods can do no more than is known; and where fewer turned out too few, at longer and longer intervals.

use super::Policy;
use super::cost::Outset;
use super::load::Load;
use super::reading::{Owners, Reading};
use super::sizes;
use super::state::State;
use super::target::COPES;
use super::track::Waited;

/// What was done in so many seconds can be done.
const DONE: f64 = 60.0;
/// A size has to have stood for so many seconds before a smaller one is tried; each time that one turned out too small
/// for twice as many, up to so many.
const STOOD: f64 = 300.0;
const AT_LAST: f64 = 7200.0;
/// It takes so many seconds to see that it is.
const SEEN: f64 = 20.0;
/// Until others are there a record may have come to wait for this share of the promise.
const RISKED: f64 = 0.5;
/// A load of this share of one that a size was too small for is like that.
const LIKE: f64 = 0.9;
/// One that is off by this share is another.
const OTHER: f64 = 0.35;
/// Of a load that has grown by more than this share nothing was tried.
const GROWS: f64 = 0.1;
/// More than this share above its mean of five minutes a load rises.
const RISES: f64 = 0.05;
const MEAN: f64 = 300.0;

/// Fewer pods that were tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hope {
    /// The size at the last look.
    size: Option<u32>,
    /// A smaller one that was ordered to be tried.
    trying: Option<u32>,
    /// A size that was tried; none once it is changed.
    stands: Option<Stands>,
    /// How often in a row such a size was too small,
    failed: i32,
    /// the last one, and the records per second that it was too small for.
    too_small: Option<(u32, f64)>,
}

/// A size that was tried, for so many records per second, in the place of another.
#[derive(Clone, Debug, PartialEq)]
struct Stands {
    size: u32,
    before: u32,
    arrival: f64,
}

/// Takes in what was done, and what became of fewer pods.
pub(super) fn observe(policy: &Policy, state: &mut State, reading: &Reading<'_>) {
    if !reading.new {
        return;
    }
    let current = reading.sample.current;
    let arrival = state.arrivals.rate(DONE, DONE).unwrap_or(0.0);
    let hope = &mut state.hope;
    // Another load is another question.
    let other = |&(_, of): &(u32, f64)| (arrival - of).abs() > OTHER * of;
    if hope.too_small.as_ref().is_some_and(other) {
        hope.too_small = None;
    }
    let size = hope.size.replace(current).unwrap_or(current);
    if current < size {
        // The one that was tried before it has stood.
        hope.failed = (hope.failed - i32::from(hope.stands.is_some())).max(0);
        hope.stands = (hope.trying == Some(current)).then_some(Stands {
            size: current,
            before: size,
            arrival,
        });
    } else if current > size && hope.before(size, Some(arrival)).is_some() {
        hope.failed += 1;
        hope.too_small = Some((size, arrival));
    }
    // What was there before the one that was too small has been enough.
    if current > size {
        hope.stands = hope.stands.take().filter(|stands| stands.before == current);
        if let Some(stands) = &mut hope.stands {
            stands.size = current;
        }
    }
    if current != size {
        hope.trying = None;
    }

    let there = reading.all_pods_there() && reading.complete();
    let shown_for = state.orders.steady_for(reading);
    let shown_for = shown_for.min(state.likely.known_for(reading.at));
    if !there || shown_for < DONE || state.capacity.by_busy().is_some() {
        return;
    }
    let (Some(known), Some(done)) = (
        state.capacity.measured(),
        state.progress.rate(DONE, DONE).filter(|done| *done > 0.0),
    ) else {
        return;
    };
    // Commits come in lumps.
    let done = done * DONE / (DONE + state.commit_gap);
    let load = Load::of(state, reading, known, 0.0);
    let mut busiest = done / sizes::worth(current, reading.partitions()).max(1.0);
    if reading.owners() == Owners::Pods && copes(policy, state, reading) {
        busiest *= load.imbalance(current);
    }
    if busiest > known {
        state.capacity.by_commits(busiest);
    }
}

/// Whether a smaller size is to be tried, that may do although it is not known to.
pub(super) fn try_fewer(
    policy: &Policy,
    state: &State,
    reading: &Reading<'_>,
    outset: &Outset<'_>,
    size: u32,
) -> bool {
    let stands = state.orders.since_change(reading);
    let interval = (STOOD * 2_f64.powi(state.hope.failed)).min(AT_LAST);
    let arrival = state.arrivals.rate(DONE, DONE).unwrap_or(0.0);
    let usual = state.arrivals.rate(MEAN, MEAN).unwrap_or(0.0);
    let rises = arrival > (1.0 + RISES) * usual || state.surge.is_some();
    let too_small = state
        .hope
        .too_small
        .is_some_and(|(least, of)| size <= least && arrival > LIKE * of);
    // Where pods cannot be told apart it shows only in a fleet that is late as a whole whether a size is too small.
    let apart = reading.owners() == Owners::Pods;
    if !apart
        || stands < interval
        || too_small
        || rises
        || !reading.all_pods_there()
        || !copes(policy, state, reading)
    {
        return false;
    }
    // What would come to wait if pods can do no more than is known, until others are there.
    let short = 1.0 - outset.capacity(size) / outset.arrival.max(1e-9);
    let wait = short.max(0.0) * (SEEN + outset.reaction) + outset.pause;
    wait <= RISKED * outset.promise
}

impl Hope {
    /// Whether the fleet has a size that was tried for such a load: whatever its pods are known to do, it is
    /// enough as long as no record waits for long.
    pub(super) fn stands(&self, size: u32, arrival: Option<f64>) -> bool {
        self.like(size, arrival).is_some()
    }

    /// The size that was there before this one was tried: it has been enough.
    pub(super) fn before(&self, size: u32, arrival: Option<f64>) -> Option<u32> {
        let stands = self.like(size, arrival);
        Some(stands?.before).filter(|&before| before > size)
    }

    fn like(&self, size: u32, arrival: Option<f64>) -> Option<&Stands> {
        let most = |stands: &Stands| (1.0 + GROWS) * stands.arrival;
        let like = |stands: &&Stands| arrival.is_some_and(|arrival| arrival <= most(stands));
        self.stands
            .as_ref()
            .filter(|stands| stands.size == size)
            .filter(like)
    }

    /// A smaller size is ordered, to be tried.
    pub(super) fn tries(&mut self, size: u32) {
        self.trying = Some(size);
    }
}

/// No record waits for long.
fn copes(policy: &Policy, state: &State, reading: &Reading<'_>) -> bool {
    let waited = state.waited(reading).map(Waited::seconds);
    waited.is_some_and(|waited| waited < COPES * policy.max_delay.as_secs_f64())
}
