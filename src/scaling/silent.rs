//! What a pod can do, where pods do not say it: a consumer of the user's own, or reports that are not believed.
//!
//! Only commits tell, and only while pods have more to do than they can. A fleet that is never short of pods
//! never shows it, so a guess that is too low would stand for ever: every pod does less then, which looks as if
//! it could do no more. So nothing is learnt from a fleet that copes, and one that copes is not made larger. Where
//! Kafka says which pod has which partitions, single pods that are full show it: `stretch`.

use super::estimate::RUN;
use super::load::Load;
use super::reading::{Known, Owners, Reading};
use super::sizes;
use super::state::State;
use super::stretch;
use super::track::Waited;

/// A record that waits for so many seconds, beside what commits are behind, waits for want of a pod.
const LATE: f64 = 5.0;
/// Pods are full where this share of the partitions has a backlog,
const NEARLY_ALL: f64 = 0.8;
/// or so many partitions for each pod: slow handlers are full with few records.
const FOR_EACH: f64 = 4.0;
/// Records done under full load are forgotten at this pace: seconds, or records where those take longer.
const MEMORY: [f64; 2] = [60.0, 100.0];
/// So many of them say something; fewer, once so many runs have passed.
const FEW: f64 = 3.0;
const RUNS: f64 = 6.0;
/// A fleet of which nothing is known and that lets records wait for so long, seconds, with pods that are there
/// for so long, does what it can; what it did in this time says how much.
const FIRST_LATE: f64 = 20.0;
const FIRST_AFTER: f64 = 30.0;
const FIRST_OF: [f64; 2] = [60.0, 20.0];
/// What pods do for so many seconds shows something, if they are raised because it was not enough.
const SOON: f64 = 5.0;

/// Full load. What it has shown fades.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Full {
    /// Records done.
    done: f64,
    /// Time of pods, seconds.
    pod_seconds: f64,
    /// Records committed at the last look, while it lasts.
    committed: Option<f64>,
}

impl Full {
    pub(super) fn add(&mut self, done: f64, seconds: f64, pods: f64) {
        let [memory, records] = MEMORY;
        let fade = (-(seconds / memory).min(done / records)).exp();
        self.done = self.done * fade + done;
        self.pod_seconds = self.pod_seconds * fade + seconds * pods;
    }

    /// Records per second and pod, if there were so many seconds and records, or so many seconds of any.
    pub(super) fn rate_of(&self, [seconds, records]: [f64; 2], of_any: f64) -> Option<f64> {
        let enough = self.pod_seconds >= seconds && self.done >= records;
        (enough || self.pod_seconds >= of_any).then(|| self.done / self.pod_seconds)
    }

    /// Records per second and pod, of `pods` that need so many seconds to show it.
    fn rate(&self, pods: f64, turns: f64) -> Option<f64> {
        let runs = self.pod_seconds / (RUN.max(turns) * pods);
        let enough = runs >= 1.0 && self.done >= FEW || runs >= RUNS;
        enough.then(|| self.done / self.pod_seconds)
    }
}

/// Takes commits in.
pub(super) fn observe(state: &mut State, reading: &Reading<'_>) {
    let before = state.capacity.full.committed.take();
    if !reading.all_pods_there() || !reading.complete() {
        return;
    }
    let pods = reading.sample.current;
    let worth = worth(reading);
    let late = late(state, reading);
    let steady_for = state.orders.steady_for(reading);
    let unknown = state.capacity.measured().is_none() && !state.capacity.tells_soon();
    // What pods do while they have their first records in hand shows nothing.
    let turns = state.turns();
    let watched = steady_for.min(state.progress.span());
    let shown = steady_for >= FIRST_AFTER && watched >= turns;
    if unknown && late > FIRST_LATE.max(turns) && shown {
        let [window, least] = FIRST_OF;
        let pace = state.progress.rate(window.max(turns), least).unwrap_or(0.0);
        state.capacity.by_commits(pace / worth);
    }

    match reading.owners() {
        Owners::Pods => return stretch::observe(state, reading),
        Owners::Changing => return state.capacity.stretches.forget(),
        Owners::Unknown => {}
    }
    if steady_for < state.settling() + turns || late <= LATE + state.commit_gap {
        return;
    }
    let waiting = waiting(state, reading);
    let partitions = f64::from(reading.partitions());
    if waiting < (NEARLY_ALL * partitions).min(FOR_EACH * f64::from(pods)) {
        return;
    }
    let committed = state.progress.total();
    state.capacity.full.committed = Some(committed);
    let Some(before) = before else {
        return;
    };
    // Where some partitions have no backlog, some pods are not full: the busiest is.
    let load = Load::of(
        state,
        reading,
        state.capacity.measured().unwrap_or(1.0),
        0.0,
    );
    let idle = 1.0 - waiting / partitions;
    let hidden = 1.0 + (load.imbalance(pods) - 1.0) * idle;
    let done = (committed - before) * hidden;
    state.capacity.full.add(done, reading.elapsed, worth);
    let of_size = &mut state.capacity.full_of_size;
    of_size.add(done, reading.elapsed, worth);
    if let Some(rate) = state.capacity.full.rate(worth, turns) {
        state.capacity.by_commits(rate);
    }
}

/// A raise for records that wait shows what the pods did that were there, where nothing is known yet.
pub(super) fn learn(state: &mut State, reading: &Reading<'_>) {
    let steady_for = state.orders.steady_for(reading);
    let watched = steady_for.min(state.progress.span());
    let turns = state.turns();
    let shown = steady_for >= SOON && watched >= turns && !state.capacity.tells_soon();
    let shown = shown && late(state, reading) >= RUN.max(turns);
    if shown && reading.all_pods_there() && state.capacity.measured().is_none() {
        let pace = state.progress.rate(steady_for.min(FIRST_OF[0]), SOON);
        let rate = pace.unwrap_or(0.0) / worth(reading);
        state.capacity.by_commits(rate);
    }
}

/// So many pods the partitions can keep busy.
fn worth(reading: &Reading<'_>) -> f64 {
    sizes::worth(reading.sample.current, reading.partitions()).max(1.0)
}

/// For how long the oldest record has waited in partitions that are worked on, seconds.
fn late(state: &State, reading: &Reading<'_>) -> f64 {
    let patience = RUN.max(state.turns());
    let waited = state.waited_at_work(reading, patience);
    waited.map_or(0.0, Waited::seconds)
}

/// Partitions with more than what was done since their last commit.
fn waiting(state: &State, reading: &Reading<'_>) -> f64 {
    let pace = state.progress.rate(RUN, 1.0).unwrap_or(0.0);
    let on_paper = 2.0 * state.commit_gap * pace / f64::from(reading.partitions());
    let waits = |known: &&Known<'_>| known.waits as f64 > on_paper.max(0.5);
    reading.moving().filter(waits).count() as f64
}
