//! What a pod can do, measured.
//!
//! Records done by time inside the handler says it at any load (DS2's idea); where workers do not
//! report, and as a correction where they do, what was committed while everything was busy.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::Policy;
use super::flow::seconds;
use super::reading::Reading;
use super::sample::PodSample;
use super::state::State;

/// Seconds that a record takes in a handler that was never measured. Cautious: a fleet that turns
/// out too large costs seconds of pods, one too small costs the promise.
const FIRST_GUESS: f64 = 0.1;
/// Weight of a new measurement; one by commits takes ten seconds, so it counts for more.
const WEIGHT: f64 = 0.2;
const WEIGHT_OF_RUN: f64 = 0.5;
/// A measurement by commits takes this long, seconds: commits come in lumps.
const RUN: f64 = 10.0;

/// What a pod can do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Capacity {
    /// Kept from before a restart.
    seed: Option<f64>,
    /// By done and busy.
    by_busy: Option<f64>,
    /// By commits under full load.
    by_commits: Option<f64>,
    /// What full load showed, by what done and busy said: skew, slow pods and time between
    /// deliveries in one number. 1 until it was seen.
    efficiency: Option<f64>,
    /// The most that was seen without full load: a pod can do that much at least.
    proven: Option<f64>,
    /// Every pod's counters.
    pods: BTreeMap<String, Counters>,
    /// Collected for the next measurement.
    collected: Collected,
    /// Full load, from its beginning.
    run: Option<Run>,
}

#[derive(Clone, Debug, PartialEq)]
struct Counters {
    done: u64,
    busy: Duration,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Collected {
    /// Records.
    done: f64,
    /// Seconds inside the handler.
    busy: f64,
    /// Records, each times the slots of its pod.
    slots: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Run {
    since: Timestamp,
    pods: u32,
    /// Records committed before it.
    progress: f64,
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
        self.by_busy
            .map(|rate| rate * self.efficiency.unwrap_or(1.0))
            .or(self.by_commits)
            .or(self.seed)
    }

    /// Records per second that one pod can do, to plan with.
    pub(super) fn per_pod(&self, policy: &Policy) -> f64 {
        let guess = f64::from(policy.concurrency.max(1)) / FIRST_GUESS;
        self.measured()
            .unwrap_or_else(|| guess.max(self.proven.unwrap_or(0.0)))
    }

    /// By done and busy alone, without what full load showed.
    pub(super) fn by_busy(&self) -> Option<f64> {
        self.by_busy
    }

    /// Takes the counters in. One that went back is a pod that started again.
    fn count(&mut self, pods: &BTreeMap<String, PodSample>, watched: bool) {
        for (name, pod) in pods {
            let before = match self.pods.get(name) {
                Some(before) if pod.done >= before.done && pod.busy >= before.busy => {
                    Some((before.done, before.busy))
                }
                Some(_) => Some((0, Duration::ZERO)),
                // A pod that is new to a watched fleet began at zero. At the first look the
                // counters may be of any age, such as a report left behind by an older handler.
                None => watched.then_some((0, Duration::ZERO)),
            };
            if let Some((done, busy)) = before {
                let records = (pod.done - done) as f64;
                self.collected.done += records;
                self.collected.busy += (pod.busy - busy).as_secs_f64();
                self.collected.slots += records * f64::from(pod.slots.max(1));
            }
        }
        self.pods = pods
            .iter()
            .map(|(name, pod)| {
                let counters = Counters {
                    done: pod.done,
                    busy: pod.busy,
                };
                (name.clone(), counters)
            })
            .collect();

        let Collected { done, busy, slots } = self.collected;
        let enough = (done >= 10.0 && busy >= 1.0) || (done >= 1.0 && busy >= 10.0);
        // Handlers faster than the clock's grain are measured too, by many records.
        if enough || done >= 1000.0 {
            let rate = done / busy.max(1e-6) * (slots / done);
            follow(&mut self.by_busy, rate, WEIGHT);
            self.collected = Collected::default();
        }
    }
}

/// Takes reports and commits in.
pub(super) fn observe(state: &mut State, reading: &Reading<'_>) {
    if !reading.new {
        return;
    }
    let watched = state.seen.is_some();
    state.capacity.count(&reading.sample.pods, watched);

    let current = reading.sample.current;
    if current > 0 && state.orders.steady_for(reading) >= RUN {
        let pace = state.progress.rate(RUN, RUN).unwrap_or(0.0) / f64::from(current);
        state.capacity.proven = Some(state.capacity.proven.unwrap_or(0.0).max(pace));
    }
    let loaded = fully_loaded(state, reading);
    let progress = state.progress.total();
    let pods = current;
    let capacity = &mut state.capacity;
    match &capacity.run {
        Some(run) if loaded && run.pods == pods => {
            let elapsed = seconds(run.since, reading.at);
            if elapsed < RUN {
                return;
            }
            let per_pod = (progress - run.progress) / elapsed / f64::from(pods);
            if per_pod > 0.0 {
                capacity.by_commits = capacity.by_commits.or(capacity.seed);
                follow(&mut capacity.by_commits, per_pod, WEIGHT_OF_RUN);
                if let Some(by_busy) = capacity.by_busy {
                    let seen = (per_pod / by_busy).clamp(0.3, 1.05);
                    follow(&mut capacity.efficiency, seen, WEIGHT_OF_RUN);
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
    state.capacity.run = Some(Run {
        since: reading.at,
        pods,
        progress,
    });
}

/// Every pod has more to do than it can: all are there and settled, and nearly every partition
/// has a backlog of seconds.
fn fully_loaded(state: &State, reading: &Reading<'_>) -> bool {
    let sample = reading.sample;
    let there = sample.current > 0 && sample.ready >= sample.current && !sample.rolling;
    if !there || !reading.complete() || state.orders.steady_for(reading) < 2.0 {
        return false;
    }
    let pace = state.progress.rate(RUN, 1.0).unwrap_or(0.0);
    // What was done since the last commit looks like a backlog, and is none; and a backlog in a
    // few partitions leaves the pods of the others idle.
    let share = (1.0 + 1.5 * state.commit_gap()) * pace / f64::from(reading.partitions());
    let loaded = reading
        .moving()
        .filter(|(_, known)| known.lag as f64 > share)
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
