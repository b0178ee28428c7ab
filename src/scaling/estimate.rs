//! What a pod can do, measured.
//!
//! Records done by time inside the handler says it at any load (DS2's idea); as a correction, what was committed while
//! everything was busy. Where workers do not report, only that is left: `silent`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Policy;
use super::flow::seconds;
use super::in_hand;
use super::rate;
use super::reading::Reading;
use super::reports::{Counters, MEMORY, MEMORY_LATELY, Work};
use super::sample::PodSample;
use super::silent::{self, Full};
use super::sizes;
use super::spacing::Spacing;
use super::state::State;
use super::stretch::Stretches;

/// Seconds that a record takes in a handler that was never measured. Cautious: a fleet that turns
/// out too large costs seconds of pods, one too small costs the promise.
const FIRST_GUESS: f64 = 0.1;
/// Weight of a new measurement by commits.
const WEIGHT_OF_RUN: f64 = 0.5;
/// A pod counts as like the others until it has done about so many records.
const ALIKE: f64 = 100.0;
/// A measurement by commits takes this long, seconds: commits come in lumps.
pub(super) const RUN: f64 = 10.0;
/// And so many times as long as they are apart.
const LUMPS: f64 = 2.0;
/// Pods that share partitions out, and for so many seconds after, do not show what they can.
const SETTLED: f64 = 2.0;
/// Time between deliveries is believed to take this much of a pod at most.
const LEAST_EFFICIENT: f64 = 0.6;
/// What lasts for so long, seconds, shows more than that: commits in lumps are off by less.
const LASTING: f64 = 60.0;
/// Where that is far from what done and busy say, these measure something else.
const LEAST_OF_ALL: f64 = 0.1;
const FAR_MORE: f64 = 1.15;
const MOST_OF_ALL: f64 = 64.0;
/// Pods that say to be busy for this share of the time and let nothing wait are not as busy as they say.
/// They are believed again once they say to be idle too.
const ALWAYS_BUSY: f64 = 0.95;
const OFTEN_BUSY: f64 = 0.7;
/// By so much commits under full load have to show more than they say.
const BUSY_IN_WORD: f64 = 1.3;
/// Fewer records than this do not say whether a raise has helped.
const TELLS: f64 = 20.0;
/// The same of commits under full load: pod-seconds and records.
const SHOWS: [f64; 2] = [15.0, TELLS];
/// A backlog of so many seconds, beside what commits are behind, keeps a pod busy.
const DEEP: f64 = 5.0;

/// What a pod can do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Capacity {
    /// Kept from before a restart.
    seed: Option<f64>,
    /// By done and busy, of all pods.
    work: Work,
    /// The same with the present size alone, since the group has settled,
    of_size: Work,
    /// at the end of that, and at the end of the size before: the handler may just have become slower.
    of_size_lately: Work,
    of_size_before: Work,
    /// By commits under full load.
    by_commits: Option<f64>,
    /// What full load showed, by what done and busy said: skew, slow pods and time between
    /// deliveries in one number. 1 until it was seen.
    efficiency: Option<f64>,
    /// The same while there is full load, of all of it together, until that is enough.
    brief: Option<Brief>,
    /// The most that was seen without full load: a pod can do that much at least.
    proven: Option<f64>,
    /// What pods can do at most that have only just begun: as if all that they have in hand was done now.
    at_most: Option<f64>,
    /// The share of their time that pods say to be busy, of late.
    in_use: f64,
    /// Pods are less busy than they say: done and busy are not believed.
    busy_in_word: bool,
    /// Offsets that a record takes. What pods report is in records, what is planned with in offsets.
    spacing: Spacing,
    /// Every pod's counters.
    pods: BTreeMap<String, Counters>,
    /// Full load, from its beginning.
    run: Option<Run>,
    /// The same where pods do not report,
    pub(super) full: Full,
    /// with the present size alone, and at the end of the one before,
    pub(super) full_of_size: Full,
    full_of_size_before: Full,
    /// and it is known which partitions each has.
    pub(super) stretches: Stretches,
}

/// What full load shows that is soon over: commits in lumps may be off by a third, and a fleet that was made too large by
/// that would never be full again to show it.
#[derive(Clone, Debug, PartialEq)]
struct Brief {
    efficiency: f64,
    /// Seconds of full load.
    seconds: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Run {
    since: Timestamp,
    /// When the first of the runs began that follow each other.
    loaded: Timestamp,
    pods: u32,
    /// Records committed before it.
    progress: f64,
    /// What pods said to have done since it began.
    work: Work,
}

impl Capacity {
    pub(super) fn resume(per_pod: Option<f64>) -> Self {
        Self {
            seed: per_pod.filter(|rate| rate.is_finite() && *rate > 0.0),
            ..Self::default()
        }
    }

    /// Records per second that one pod can do; none until it was measured.
    pub(super) fn measured(&self) -> Option<f64> {
        let brief = self.brief.as_ref().filter(|_| self.run.is_some());
        let efficiency = brief.map(|brief| brief.efficiency).or(self.efficiency);
        self.by_busy()
            .map(|rate| rate * efficiency.unwrap_or(1.0))
            .or(self.by_commits)
            .or(self.seed)
    }

    /// Records per second that one pod can do, to plan with.
    /// Where nobody knows it, what copes is taken to cope: `coped` is what each pod has to do now,
    /// while nothing waits for long.
    pub(super) fn per_pod(&self, policy: &Policy, coped: f64) -> f64 {
        let guess = f64::from(policy.concurrency.max(1)) / FIRST_GUESS;
        let proven = self.proven.unwrap_or(0.0);
        // Who takes longer than the promise for a record keeps it with no number of pods.
        let least = f64::from(policy.concurrency.max(1)) / policy.max_delay.as_secs_f64().max(1e-3);
        let at_most = self.at_most.map(|records| records * self.per_record());
        let at_most = at_most.unwrap_or(f64::INFINITY).max(proven).max(least);
        self.measured()
            .unwrap_or_else(|| guess.max(proven).max(coped).min(at_most))
    }

    /// Pods report, and have not been at work for long enough for it to say anything.
    pub(super) fn tells_soon(&self) -> bool {
        self.at_most.is_some()
    }

    /// Seconds that a record takes inside the handler, as pods say.
    pub(super) fn service_time(&self) -> Option<f64> {
        self.work.rate().map(|_| self.work.busy / self.work.done)
    }

    /// The share of their time that pods say to be busy, of late.
    pub(super) fn in_use(&self) -> f64 {
        self.in_use
    }

    /// Full load has shown so many records per second and pod.
    pub(super) fn by_commits(&mut self, rate: f64) {
        if rate.is_finite() && rate > 0.0 {
            self.by_commits = Some(rate);
        }
    }

    /// Offsets that a record takes.
    pub(super) fn per_record(&self) -> f64 {
        self.spacing.per_record()
    }

    /// By done and busy alone, without what full load showed.
    pub(super) fn by_busy(&self) -> Option<f64> {
        self.believed(self.said())
    }

    /// By done and busy with the present size alone: what a change of size did to it shows at once.
    pub(super) fn of_size(&self) -> Option<f64> {
        self.believed(self.said_of_size())
    }

    /// What pods say of records as offsets, where it is believed.
    fn believed(&self, said: Option<f64>) -> Option<f64> {
        let said = said.filter(|_| !self.busy_in_word)?;
        Some(said * self.per_record())
    }

    /// The same of records, believed or not. Where records wait, pods are as busy as they say, even if they said so before
    /// anything waited: because they share a limit, for example.
    pub(super) fn said(&self) -> Option<f64> {
        self.work.rate()
    }

    pub(super) fn said_of_size(&self) -> Option<f64> {
        self.of_size.rate()
    }

    /// What a pod does with the present size: by what it says, or by commits while it was full.
    pub(super) fn does(&self) -> Option<f64> {
        self.said_of_size()
            .or_else(|| self.full_of_size.rate_of(SHOWS, f64::INFINITY))
    }

    /// Whether there were enough records with the present size to compare what a pod does with what it did.
    pub(super) fn tells_gain(&self) -> bool {
        let shown = self.full_of_size.rate_of(SHOWS, f64::INFINITY);
        self.of_size.done >= TELLS || shown.is_some()
    }

    /// What a pod did before this size: at the end of the size before, or of late where that was too short; none where
    /// too few records say it.
    pub(super) fn did_before(&self) -> Option<f64> {
        let shown = || self.full_of_size_before.rate_of(SHOWS, f64::INFINITY);
        self.said_before().or_else(shown)
    }

    fn said_before(&self) -> Option<f64> {
        let told = [&self.of_size_before, &self.work];
        let told = told.into_iter().filter(|work| work.done >= TELLS);
        told.filter_map(Work::rate).next()
    }

    /// Notices pods that count as busy what is not: the time that they waited for records, say. The
    /// fewer records each got, the less it would seem to be able to do, and the more pods would be ordered.
    fn doubt(&mut self, waits: bool) {
        let Some(by_busy) = self.work.rate().map(|rate| rate * self.per_record()) else {
            return;
        };
        let shown = self.by_commits.or(self.seed);
        if self.in_use < OFTEN_BUSY {
            self.busy_in_word = false;
        } else if self.in_use > ALWAYS_BUSY
            && !waits
            && shown.is_none_or(|rate| rate > BUSY_IN_WORD * by_busy)
        {
            self.busy_in_word = true;
        }
    }

    /// What was done for a while shows that it can be done, whatever done and busy say.
    fn show(&mut self, pace: f64) {
        let by_busy = self.of_size().or_else(|| self.by_busy());
        let Some(by_busy) = by_busy.filter(|_| pace > 0.0) else {
            return;
        };
        let shown = pace / by_busy;
        if shown > FAR_MORE {
            let shown = shown.min(MOST_OF_ALL);
            self.efficiency = Some(self.efficiency.unwrap_or(1.0).max(shown));
        } else if let Some(efficiency) = self.efficiency {
            self.efficiency = Some(efficiency.max(shown.min(1.05)));
        }
    }

    /// Full load of so many seconds shows what pods can, by what they say. It is believed for good when there was enough.
    fn full_load_shows(&mut self, seen: f64, elapsed: f64) {
        if !(seen.is_finite() && seen > 0.0) {
            return;
        }
        let before = self.brief.take();
        let (known, seconds) = match &before {
            Some(brief) => (Some(brief.efficiency), brief.seconds),
            None => (self.efficiency, 0.0),
        };
        let mut value = known;
        follow(&mut value, seen, WEIGHT_OF_RUN);
        let efficiency = value.unwrap_or(seen);
        let seconds = seconds + elapsed;
        if seconds >= LASTING {
            self.efficiency = Some(efficiency);
        }
        self.brief = Some(Brief {
            efficiency,
            seconds,
        });
    }

    /// How fast this pod is, as a multiple of all; 1 until it is known.
    pub(super) fn speed(&self, pod: &str) -> f64 {
        let all = self.said().filter(|_| !self.busy_in_word);
        let (Some(all), Some(counters)) = (all, self.pods.get(pod)) else {
            return 1.0;
        };
        let Work { busy, slots, done } = counters.work;
        let share = if done > 0.0 { slots / done } else { 1.0 };
        (slots + ALIKE * share) / (busy * all + ALIKE * share)
    }

    /// The pods that have reported.
    pub(super) fn pods(&self) -> impl Iterator<Item = &str> {
        self.pods.keys().map(String::as_str)
    }

    /// Takes the counters in. Says how many records were done, and in how many slots, where all pods were counted before.
    fn count(
        &mut self,
        pods: &BTreeMap<String, PodSample>,
        watched: bool,
        settled: bool,
        elapsed: f64,
        at: Timestamp,
    ) -> Option<(f64, f64)> {
        let mut all = Work::default();
        let mut all_counted = true;
        let mut all_slots = 0.0;
        // Of pods that were counted before, and what those had time for.
        let (mut busy, mut time) = (0.0, 0.0);
        let (mut begun, mut at_most) = (Work::default(), 0.0);
        for (name, pod) in pods {
            let slots = f64::from(pod.slots.max(1));
            let known = match self.pods.get_mut(name) {
                Some(known) => known,
                // A pod that is new to a watched fleet began at zero. At the first look the
                // counters may be of any age, such as a report left behind by an older handler.
                None => {
                    let mut counters = Counters::new(at);
                    if !watched {
                        (counters.done, counters.busy) = (pod.done, pod.busy);
                    }
                    self.pods.entry(name.clone()).or_insert(counters)
                }
            };
            if pod.done < known.done || pod.busy < known.busy {
                // It has started again.
                let work = std::mem::take(&mut known.work);
                *known = Counters {
                    work,
                    ..Counters::new(at)
                };
            }
            let counted = known.tells;
            let age = seconds(known.since, at);
            known.tells |= in_hand::tells(pod.done as f64, pod.busy.as_secs_f64(), slots, age);
            if !known.tells {
                all_counted = false;
                if pod.failures > 0 {
                    // Their time is no record's.
                    continue;
                }
                let fresh = known.fresh(pod);
                at_most += (fresh.done + slots) * slots;
                begun.join(&fresh);
                continue;
            }
            all_counted &= counted;
            all_slots += slots;
            let more = known.count(pod, elapsed);
            if counted {
                busy += more.busy;
                time += elapsed * slots;
            }
            all.join(&more);
        }
        if self.pods.len() > pods.len() {
            self.pods.retain(|name, _| pods.contains_key(name));
        }
        self.at_most = (begun.busy >= 1.0).then(|| at_most / begun.busy);
        if time > 0.0 {
            let in_use = busy / time;
            self.in_use += (elapsed / MEMORY.seconds).min(1.0) * (in_use - self.in_use);
        }
        self.work.add(&all, elapsed, &MEMORY);
        if let Some(run) = &mut self.run {
            run.work.join(&all);
        }
        if settled {
            self.of_size.add(&all, elapsed, &MEMORY);
            self.of_size_lately.add(&all, elapsed, &MEMORY_LATELY);
        } else if self.of_size.done > 0.0 {
            self.of_size = Work::default();
            self.of_size_before = std::mem::take(&mut self.of_size_lately);
        }
        if !settled && self.full_of_size != Full::default() {
            self.full_of_size_before = std::mem::take(&mut self.full_of_size);
        }
        all_counted.then_some((all.done, all_slots))
    }
}

/// Takes reports and commits in.
pub(super) fn observe(policy: &Policy, state: &mut State, reading: &Reading<'_>) {
    if !reading.new {
        return;
    }
    let watched = state.seen.is_some();
    let current = reading.sample.current;
    let steady_for = state.orders.steady_for(reading);
    let settled = steady_for >= state.settling();
    let pods = &reading.sample.pods;
    let counted = state
        .capacity
        .count(pods, watched, settled, reading.elapsed, reading.at);

    let shown_for = steady_for.min(state.likely.known_for(reading.at));
    let whole = settled && reading.all_pods_there() && pods.len() >= current as usize;
    if let Some((records, slots)) = counted.filter(|_| whole && shown_for >= reading.elapsed) {
        let offsets = state.progress.within(reading.elapsed);
        let spacing = &mut state.capacity.spacing;
        spacing.add(reading.elapsed, offsets, records, slots);
    }
    let pace = |seconds: f64| {
        (current > 0 && shown_for >= seconds)
            .then(|| state.progress.rate(seconds, seconds).unwrap_or(0.0) / f64::from(current))
    };
    let (pace, lasting) = (pace(RUN), pace(LASTING));
    let waits = state
        .waited(reading)
        .is_none_or(|waited| waited.seconds() > DEEP + 2.0 * state.commit_gap);
    let capacity = &mut state.capacity;
    if let Some(pace) = pace {
        capacity.proven = Some(capacity.proven.unwrap_or(0.0).max(pace));
    }
    capacity.doubt(waits);
    if let Some(pace) = lasting {
        capacity.show(pace);
    }
    let held = rate::holds(policy, state, reading);
    if held || state.capacity.by_busy().is_none() {
        state.capacity.run = None;
        if !held {
            silent::observe(state, reading);
        }
        return;
    }
    let loaded = fully_loaded(state, reading);
    let progress = state.progress.total();
    let pods = current;
    let worth = sizes::worth(pods, reading.partitions()).max(1.0);
    // Commits in lumps: what is counted of them at both ends is off by one each.
    let length = RUN.max(state.service_time()).max(LUMPS * state.commit_gap);
    let capacity = &mut state.capacity;
    match &capacity.run {
        Some(run) if loaded && run.pods == pods => {
            let elapsed = seconds(run.since, reading.at);
            if elapsed < length {
                return;
            }
            let per_pod = (progress - run.progress) / elapsed / worth;
            if per_pod > 0.0 {
                capacity.by_commits = capacity.by_commits.or(capacity.seed);
                follow(&mut capacity.by_commits, per_pod, WEIGHT_OF_RUN);
                // By what pods said of the same seconds: the handler may just have become slower.
                let said = capacity.believed(run.work.rate());
                let said = said.or_else(|| capacity.of_size());
                if let Some(by_busy) = said.or_else(|| capacity.by_busy()) {
                    let lasts = seconds(run.loaded, reading.at) >= LASTING;
                    let least = if lasts { LEAST_OF_ALL } else { LEAST_EFFICIENT };
                    let most = capacity.efficiency.unwrap_or(1.0).max(1.05);
                    let seen = (per_pod / by_busy).clamp(least, most);
                    capacity.full_load_shows(seen, elapsed);
                }
            }
        }
        None if loaded => {}
        _ => {
            capacity.run = None;
            if !loaded {
                return;
            }
        }
    }
    let loaded = state
        .capacity
        .run
        .take()
        .map_or(reading.at, |run| run.loaded);
    state.capacity.run = Some(Run {
        since: reading.at,
        loaded,
        pods,
        progress,
        work: Work::default(),
    });
}

impl State {
    /// Seconds until a group of another size shows what it can.
    pub(super) fn settling(&self) -> f64 {
        SETTLED + self.orders.learned_rebalance().unwrap_or(SETTLED)
    }
}

/// Every pod has more to do than it can: all are there and settled, and nearly every partition
/// has a backlog of seconds.
fn fully_loaded(state: &State, reading: &Reading<'_>) -> bool {
    let settled = state.orders.steady_for(reading) >= state.settling() + state.turns();
    if !reading.all_pods_there() || !reading.complete() || !settled {
        return false;
    }
    let pace = state.progress.rate(RUN, 1.0).unwrap_or(0.0);
    // What was done since the last commit looks like a backlog, and is none; and a backlog in a
    // few partitions leaves the pods of the others idle.
    let share = (DEEP + 2.0 * state.commit_gap) * pace / f64::from(reading.partitions());
    let loaded = reading
        .moving()
        .filter(|known| known.waits as f64 > share)
        .count();
    loaded * 5 >= reading.sample.partitions.len() * 4
}

fn follow(value: &mut Option<f64>, seen: f64, weight: f64) {
    if seen.is_finite() && seen > 0.0 {
        *value = Some(match *value {
            Some(before) => before + weight * (seen - before),
            None => seen,
        });
    }
}
