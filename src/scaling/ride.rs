//! Sizes that ride out rises which come again and again, without more pods for each.
//!
//! The promise comes first. A rise is waited out only as long as an order that is made at the next look still keeps it, should
//! the rise never end, unless no order would have; one that is higher or longer than those before is taken at its word.

use super::brief;
use super::cost::{Outset, PRICE, dear, delay};
use super::limits::Bounds;
use super::reading::Reading;
use super::rises::{Known, LONGEST, STRETCHES, alike, to_come};
use super::rounds::{Most, Round, Rounds};
use super::state::State;

/// Where a pod does so few records within the promise that chance asks for so many times the load, no rise is like another.
const CHANCE: f64 = 1.05;
/// Share of the promise that a size may use to ride the rises out, which it stands for,
const STANDS: f64 = 0.85;
/// that a rise which is waited out may use,
const RIDES: f64 = 0.9;
/// that is used at most where some more pods are ordered,
const WITH_MORE: f64 = 0.6;
/// and that an order at the last moment may use.
const LAST_MOMENT: f64 = 0.9;
/// Where nothing of a backlog were done by the end of the longest stretch it may go on growing: this share of its most is left.
const DONE: f64 = 0.5;

/// The size that is enough for the present rise if it is like those before, not smaller than the fleet; none
/// where it is not, or waiting for its end may break the promise.
pub(super) fn passes(
    state: &State,
    reading: &Reading<'_>,
    outset: &Outset<'_>,
    useful: &[u32],
    enough: u32,
) -> Option<(u32, Known)> {
    let rises = &state.rises;
    let current = outset.current;
    let whole = reading.complete() && outset.ready + outset.absent >= current;
    if current == 0 || !whole || outset.margin > CHANCE {
        return None;
    }
    let which = rises.recur(reading.at)?;
    let most = rises.most(which);
    let to_come = to_come(state, which, &most, reading.at)?;
    // Nobody waits for the end of what lasts, with a size that it is not for.
    if which == Rounds::All && stands(outset, useful, current, &most).is_none() {
        return None;
    }
    let waits = outset.load.waits(outset.ready);
    let look = reading.elapsed.max(1.0);
    let arrival = match brief::over_within(&most, outset.promise, look) {
        Some(place) => brief::sustained(state, outset, look, STRETCHES[place]),
        None => outset
            .arrival
            .max(sustained(state, outset, look) * outset.margin),
    };
    let sizes = useful
        .iter()
        .copied()
        .filter(|&size| size > current && size < enough && which == Rounds::Peaks);
    for size in std::iter::once(current).chain(sizes) {
        let Some(worst) = rides(outset, size, waits, &to_come) else {
            continue;
        };
        // While pods start no more are ordered until it is late.
        let (share, later) = match size == current {
            true => (RIDES, look),
            false => (WITH_MORE, outset.reaction),
        };
        if worst > share * outset.promise {
            continue;
        }
        let kept = in_time(outset, useful, waits, arrival, later)
            || no_order_helps(outset, useful, &most, arrival, later);
        return kept.then(|| (size, rises.known(which, worst, None)));
    }
    None
}

/// Records per second that come now. What only one look has shown may be a batch, if there is time for another.
fn sustained(state: &State, outset: &Outset<'_>, look: f64) -> f64 {
    let look = look.max(STRETCHES[0]);
    let newest = state.arrivals.within(look);
    let before = state.arrivals.within(2.0 * look) - newest;
    let soon = look <= (1.0 - LAST_MOMENT) * outset.promise;
    match soon {
        true => newest.min(before) / look,
        false => newest / look,
    }
}

/// How long a record waits at most if `waits` records wait, as many come as are `to_come`, and the fleet has `size`; none where
/// it does not get done with them.
fn rides(
    outset: &Outset<'_>,
    size: u32,
    waits: f64,
    to_come: &[f64; STRETCHES.len()],
) -> Option<f64> {
    let (now, then) = (outset.load.capacity(outset.ready), outset.capacity(size));
    let change = if size > outset.current {
        outset.reaction + outset.pause
    } else {
        0.0
    };
    let mut worst = delay(waits, now, change, then);
    let mut left = waits;
    for (&come, time) in to_come.iter().zip(STRETCHES) {
        let done = now * time.min(change) + then * (time - change).max(0.0);
        left = (waits + come - done).max(0.0);
        worst = worst.max(delay(left, now, change - time, then));
    }
    // A backlog that is still there after the longest stretch may go on growing.
    let done = left <= 0.0 || delay(left, now, change - LONGEST, then) < DONE * worst;
    let carries = to_come[STRETCHES.len() - 1] <= then * LONGEST;
    (done && carries).then_some(worst)
}

/// Whether an order that is made `later`, seconds, keeps the promise even if so many records per second never end.
fn in_time(outset: &Outset<'_>, useful: &[u32], waits: f64, arrival: f64, later: f64) -> bool {
    let grown = (arrival - outset.load.capacity(outset.ready)).max(0.0) * later;
    let then = Outset {
        arrival,
        backlog: waits + grown,
        ..outset.clone()
    };
    let mut larger = useful.iter().rev().filter(|&&size| size > then.current);
    let kept = |&&size: &&u32| then.cost(size).soon <= LAST_MOMENT * then.promise;
    let most = useful.last().is_none_or(|&most| then.current >= most);
    most || then.capacity(then.current) >= arrival || larger.any(|size| kept(&size))
}

/// Whether the promise could not even be kept by an order made when such a rise began, should it never end, and those that
/// are known were over before its pods came: then there is nothing to wait with, and what is known is all there is to plan for.
fn no_order_helps(
    outset: &Outset<'_>,
    useful: &[u32],
    most: &Most,
    arrival: f64,
    later: f64,
) -> bool {
    brief::over_before(most, outset.reaction) && !in_time(outset, useful, 0.0, arrival, later)
}

/// A size that would have ridden out all rises that are known.
struct Standing {
    size: u32,
    /// Those rises.
    which: Rounds,
    /// How long a record waits at most, seconds.
    worst: f64,
}

/// The cheapest size that would have ridden out all rises that are known, where they come again and again; `outset` has the load
/// as sizes are expected to have it.
fn standing(
    state: &State,
    reading: &Reading<'_>,
    outset: &Outset<'_>,
    bounds: &Bounds,
    useful: &[u32],
) -> Option<Standing> {
    let rises = &state.rises;
    if !reading.complete() || outset.margin > CHANCE {
        return None;
    }
    let which = rises.recur(reading.at)?;
    let most = rises.most_until_now(which);
    let too_small = rises.lesson(which).too_small(reading.at);
    let tried = bounds.sizes.iter().filter(|&&size| size > too_small);
    let sizes = tried.filter_map(|&size| {
        let worst = stands(outset, useful, size, &most)?;
        let rounds = rises
            .of(which)
            .map(|round| holds(outset, size, which, round));
        let standing = Standing { size, which, worst };
        Some((rounds.sum::<f64>(), standing))
    });
    let cheapest = sizes.min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(cheapest.1)
}

/// What it costs to hold `size` through such a round as this, pod-seconds, with what waits for long.
fn holds(outset: &Outset<'_>, size: u32, which: Rounds, round: &Round) -> f64 {
    f64::from(size) * round.seconds + PRICE * dear_wait(outset, size, round.most(which))
}

/// What the waiting in a rise costs with `size`, seconds at the promise.
fn dear_wait(outset: &Outset<'_>, size: u32, most: &Most) -> f64 {
    let capacity = outset.capacity(size);
    let (mut cost, mut before) = (0.0, 0.0);
    for (&come, time) in most.iter().zip(STRETCHES) {
        let waits = (f64::from(come) / capacity - time).max(0.0);
        cost += dear(waits / outset.promise) * (time - before);
        before = time;
    }
    cost
}

/// How things would stand with `size`, all of its pods there.
fn there<'a>(outset: &Outset<'a>, size: u32) -> Outset<'a> {
    Outset {
        ready: outset.at_work(size),
        current: size,
        absent: size - outset.at_work(size),
        ..outset.clone()
    }
}

/// How long a record would have waited at most with `size`; none where that is too long.
fn stands(outset: &Outset<'_>, useful: &[u32], size: u32, most: &Most) -> Option<f64> {
    let there = there(outset, size);
    let worst = rides(&there, size, 0.0, &alike(most))?;
    if worst > STANDS * outset.promise {
        return None;
    }
    // In the worst moment of those that there were it must still be possible to order more, or it would be done each time.
    let waits = rides(&there, size, 0.0, &most.map(f64::from))? * there.capacity(size);
    // What came within the shortest may have been a batch.
    let batch = brief::over_within(most, outset.promise, STRETCHES[0]).unwrap_or(0);
    let rate = f64::from(most[batch + 1] - most[batch]) / (STRETCHES[batch + 1] - STRETCHES[batch]);
    let arrival = outset.arrival.max(rate);
    let later = STRETCHES[0];
    let kept = in_time(&there, useful, waits, arrival, later)
        || no_order_helps(&there, useful, most, arrival, later);
    kept.then_some(worst)
}

/// The size to lower to, where `fewer` would do for what came of late.
pub(super) fn lower_to(
    state: &State,
    reading: &Reading<'_>,
    outset: &Outset<'_>,
    bounds: &Bounds,
    useful: &[u32],
    fewer: Option<u32>,
) -> (Option<u32>, Option<Known>) {
    let current = outset.current;
    let Some(standing) = standing(state, reading, outset, bounds, useful) else {
        return (fewer, None);
    };
    let Standing {
        mut size,
        which,
        mut worst,
    } = standing;
    let rises = &state.rises;
    if size > current {
        // Sizes are reckoned a little differently each time: what has stood is given up only where it breaks the promise.
        let most = alike(&rises.most_until_now(which));
        let rides = rides(&there(outset, current), current, 0.0, &most);
        let Some(rides) = rides.filter(|&worst| worst <= outset.promise) else {
            return (fewer, None);
        };
        (size, worst) = (current, rides);
    }
    let Some(fewer) = fewer.filter(|&fewer| fewer < size) else {
        // What is ridden out brings nothing back, unless what comes now is something else.
        let passes = which == Rounds::Peaks
            && to_come(state, which, &rises.most(which), reading.at).is_some();
        let lower = if passes {
            Some(size).filter(|&size| size < current)
        } else {
            fewer
        };
        return (lower, None);
    };
    let lesson = rises.lesson(which);
    let goes = |round: &Round| {
        let least = f64::from(fewer) * round.seconds;
        match stands(outset, useful, fewer, round.most(which)) {
            Some(_) => least,
            None => lesson.of(round).unwrap_or(0.0).max(least),
        }
    };
    let stays = f64::from(size) * rises.within(which);
    if rises.of(which).map(goes).sum::<f64>() < stays {
        return (Some(fewer), None);
    }
    let known = rises.known(which, worst, Some(fewer));
    ((size < current).then_some(size), Some(known))
}
