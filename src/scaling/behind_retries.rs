//! What waits only because records before it fail: for that, as for them, no pod is missing.
//!
//! A key that hangs keeps all of its later records waiting, and where partitions are handled in order the whole partition,
//! while slots of the same pod stand idle. Where that is all that presses, more pods, or another limit, change nothing.

use super::guards::MOST;
use super::limits::Bounds;
use super::reading::{Known, Reading};
use super::state::State;
use super::target::{self, COPES};
use super::{Policy, Why, notes};

/// Pods that are busy for this share of their time may be missed by what waits, whatever fails beside it.
const FULL: f64 = 0.7;

/// The records that fail, where what waits behind them is all that asks for pods; none where others ask for some as well,
/// where pods are full, and where it may be a pod, and not they, that fails.
pub(super) fn explains(
    policy: &Policy,
    state: &State,
    reading: &Reading<'_>,
    bounds: &Bounds,
) -> Option<Why> {
    if reading.sample.current == 0 {
        return None;
    }
    let why = notes::retries(policy, state, reading)?;
    let &Why::RetriesLeftOut {
        seconds, pod: None, ..
    } = &why
    else {
        return None;
    };
    let least = COPES * policy.max_delay.as_secs_f64();
    let held = |known: &Known<'_>| {
        let retries = known.sample.beyond.is_some_and(|beyond| beyond.retried > 0);
        let track = state.tracks.get(known.partition).filter(|_| retries);
        track.is_some_and(|track| track.unfinished(reading.now).seconds() > least)
    };
    let finishes = |known: &Known<'_>| {
        let pod = known.sample.pod.as_deref();
        let idle = pod.and_then(|pod| state.guards.finished_nothing_for(pod, reading.at));
        idle.is_none_or(|idle| idle <= MOST * seconds)
    };
    let mut behind = reading.known.iter().filter(|known| held(known));
    if state.capacity.in_use() >= FULL && behind.any(finishes) {
        return None;
    }
    let mut others = reading.clone();
    for known in others.known.iter_mut().filter(|known| held(known)) {
        (known.in_hand, known.waits) = (0, 0);
    }
    let needs = target::needs(policy, state, &others, bounds);
    (needs.enough <= reading.sample.current).then_some(why)
}
