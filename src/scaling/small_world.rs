//! A small world for the planner's own tests: partitions, pods that take time to start, commits in
//! lumps. Seeded, so that every run is the same.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::topic::Offset;

/// The world's clock, seconds.
pub(super) const TICK: f64 = 0.1;

/// A world to run a fleet in.
pub(super) struct World {
    pub(super) partitions: usize,
    /// Records per second that a pod really does.
    pub(super) per_pod: f64,
    /// Seconds from order to ready.
    pub(super) start_up: f64,
    /// Seconds for which nobody works after a change of members.
    pub(super) pause: f64,
    /// Seconds between samples.
    pub(super) period: f64,
    /// Pods' own times are told.
    pub(super) timed: bool,
    /// Workers report; else the consumer is the user's own.
    pub(super) reports: bool,
    /// Kafka says which pod has which partitions, also where workers do not report.
    pub(super) told_apart: bool,
    /// Offsets that a record takes.
    pub(super) gap: f64,
    /// So many times the time inside the handler is what workers report.
    pub(super) reported: f64,
    /// All pods together never do more than this.
    pub(super) downstream: f64,
    /// Share of arrivals that all go to partition 0.
    pub(super) hot: f64,
    /// How many times its usual speed a pod works at, by time.
    pub(super) pace: fn(f64) -> f64,
    /// Pods that become ready at all, by their number in the order of their making, from 1, and by how many there are
    /// before it.
    pub(super) comes: fn(u32, usize) -> bool,
    /// Partitions that nobody gets anywhere with, by time and number.
    pub(super) stands: fn(f64, usize) -> bool,
    /// Partitions whose offsets cannot be read, by time and number.
    pub(super) unknown: fn(f64, usize) -> bool,
    pub(super) policy: Policy,
}

impl Default for World {
    fn default() -> Self {
        Self {
            partitions: 12,
            per_pod: 195.0,
            start_up: 1.5,
            pause: 0.5,
            period: 0.5,
            timed: false,
            reports: true,
            told_apart: false,
            gap: 1.0,
            reported: 1.0,
            downstream: f64::INFINITY,
            hot: 0.0,
            pace: |_| 1.0,
            comes: |_, _| true,
            stands: |_, _| false,
            unknown: |_, _| false,
            policy: Policy {
                min: 0,
                max: None,
                schedule: Schedule::default(),
                max_delay: Duration::from_secs(30),
                idle_to_zero: None,
                rate: None,
                concurrency: 1,
            },
        }
    }
}

#[derive(Clone)]
struct Pod {
    name: String,
    made: f64,
    ready_at: f64,
    done: f64,
    busy: f64,
}

#[derive(Default, Clone)]
struct Partition {
    end: f64,
    done: f64,
    committed: i64,
    arrivals: Vec<(f64, f64)>,
    head: usize,
    owner: Option<String>,
}

/// What became of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Every change of size: second and size.
    pub(super) changes: Vec<(f64, u32)>,
    /// What each of them rested on.
    pub(super) circumstances: Vec<Circumstances>,
    pub(super) pod_seconds: f64,
    /// The longest wait of a record, seconds.
    pub(super) worst: f64,
    /// Seconds with a record over the promise.
    pub(super) late: f64,
    /// When the last record was done.
    pub(super) finished: f64,
    pub(super) state: State,
    /// The labels of the first reasons, with their number.
    pub(super) reasons: BTreeMap<&'static str, u32>,
}

/// How things truly stood when a size was changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// The size before.
    pub(super) from: u32,
    /// Seconds that pods take to start and to get their partitions, as the planner had it.
    pub(super) reaction: f64,
    /// Records that nobody had done.
    pub(super) waits: f64,
    /// How long the oldest of them had waited, seconds.
    pub(super) waited: f64,
    /// Pods that were ready.
    pub(super) ready: u32,
    /// Records per second that a pod does, as the planner had it; none where it did not say.
    pub(super) per_pod: Option<f64>,
}

/// A small generator of uniform numbers in 0..1.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + (seconds * 1000.0) as i64).unwrap()
}

impl World {
    /// Runs for `length` seconds; `load` gives the records that arrive per second.
    pub(super) fn run(
        &self,
        state: State,
        size: u32,
        length: f64,
        load: impl FnMut(f64) -> f64,
    ) -> Outcome {
        let mut load = load;
        let mut outcome = Outcome {
            state,
            ..Outcome::default()
        };
        let mut random = Random(42);
        let mut partitions = vec![Partition::default(); self.partitions];
        let mut names = 0;
        let mut pod = |made: f64, ready_at: f64, before: usize| {
            names += 1;
            let comes = (self.comes)(names, before);
            Pod {
                name: format!("pod-{names}"),
                made,
                ready_at: if comes { ready_at } else { f64::INFINITY },
                done: 0.0,
                busy: 0.0,
            }
        };
        let mut pods: Vec<Pod> = (0..size)
            .map(|n| pod(-100.0 - self.start_up, -100.0, n as usize))
            .collect();
        let mut paused_until: f64 = 0.0;
        let mut members = size as usize;
        let (mut next_sample, mut next_commit) = (0.23, 0.0);
        let mut watch = Watch::Usual;
        let (mut time, mut whole, mut turn) = (0.0, 0.0, 0);
        while time < length {
            // Arrivals.
            whole += load(time) * TICK;
            let records = whole.floor();
            whole -= records;
            let hot = (records * self.hot).floor();
            partitions[0].end += hot;
            for _ in 0..(records - hot) as u64 {
                turn = (turn + 1) % self.partitions;
                partitions[turn].end += 1.0;
            }
            for partition in &mut partitions {
                partition.arrivals.push((time, partition.end));
            }
            // Membership and work.
            let ready = pods.iter().filter(|pod| pod.ready_at <= time).count();
            if ready != members {
                members = ready;
                paused_until = time + self.pause;
            }
            if ready > 0 && time >= paused_until {
                let usual = self.per_pod.min(self.downstream / ready as f64);
                let rate = usual * (self.pace)(time);
                let working = pods.iter_mut().filter(|pod| pod.ready_at <= time);
                for (index, pod) in working.enumerate() {
                    let mut own: Vec<usize> = (0..self.partitions)
                        .filter(|p| p % ready == index)
                        .collect();
                    for &number in &own {
                        partitions[number].owner = Some(pod.name.clone());
                    }
                    // By the share of the partitions, which waits outside the handler.
                    let share = own.len() as f64 / self.partitions as f64;
                    let allowed = self.policy.rate.map_or(f64::INFINITY, |rate| rate * share);
                    own.retain(|p| !(self.stands)(time, *p));
                    let mut left = rate.min(allowed) * TICK;
                    // Fair among its partitions: the emptiest first, each up to an equal share.
                    let mut order = own.clone();
                    let waiting = |p: usize| partitions[p].end - partitions[p].done;
                    order.sort_by(|&a, &b| waiting(a).total_cmp(&waiting(b)));
                    for (served, number) in order.into_iter().enumerate() {
                        let partition = &mut partitions[number];
                        let share = left / (own.len() - served) as f64;
                        let work = (partition.end - partition.done).min(share);
                        partition.done += work;
                        pod.done += work;
                        pod.busy += self.reported * work / rate.max(1e-9);
                        left -= work;
                    }
                }
            }
            // Waiting.
            let (mut late, mut oldest): (_, f64) = (false, 0.0);
            for partition in &mut partitions {
                while partition.head < partition.arrivals.len()
                    && partition.arrivals[partition.head].1 <= partition.done + 1e-6
                {
                    partition.head += 1;
                }
                if partition.end - partition.done > 1e-6 {
                    outcome.finished = time;
                    let waited = time - partition.arrivals[partition.head].0;
                    outcome.worst = outcome.worst.max(waited);
                    oldest = oldest.max(waited);
                    late |= waited > self.policy.max_delay.as_secs_f64();
                }
            }
            if late {
                outcome.late += TICK;
            }
            outcome.pod_seconds += pods.len() as f64 * TICK;
            if time >= next_commit {
                next_commit += 0.4;
                for partition in &mut partitions {
                    partition.committed = (partition.done + 1e-6) as i64;
                }
            }
            // The planner; at zero the first record that arrives wakes it.
            if watch == Watch::ForArrivals && records > 0.0 {
                next_sample = time;
            }
            if time >= next_sample {
                next_sample += self.period * (0.9 + 0.2 * random.next());
                let current = pods.len() as u32;
                let sample = self.sample(time, &partitions, &pods, ready as u32);
                let (state, decision) = step(
                    &self.policy,
                    std::mem::take(&mut outcome.state),
                    &sample,
                    at(time),
                );
                outcome.state = state;
                watch = decision.watch;
                if watch == Watch::Growing {
                    next_sample = time + TICK / 2.0;
                }
                *outcome
                    .reasons
                    .entry(decision.reasons[0].label())
                    .or_default() += 1;
                if decision.replicas != current {
                    outcome.changes.push((time, decision.replicas));
                    let orders = &outcome.state.orders;
                    let waits = partitions.iter().map(|one| one.end - one.done).sum();
                    outcome.circumstances.push(Circumstances {
                        from: current,
                        reaction: orders.start_up(&self.policy) + orders.rebalance(&self.policy),
                        waits,
                        waited: oldest,
                        ready: ready as u32,
                        per_pod: decision.reasons.iter().find_map(|why| match why {
                            Why::Raise { per_pod, .. } => Some(*per_pod),
                            _ => None,
                        }),
                    });
                    if std::env::var_os("SHOW").is_some() {
                        println!("{time:.2}s {current} -> {}", decision.replicas);
                        for why in &decision.reasons {
                            println!("      {}: {why}", why.label());
                        }
                    }
                }
                // As Kubernetes does: those that do not work go first.
                while pods.len() > decision.replicas as usize {
                    let idle = pods.iter().rposition(|pod| pod.ready_at > time);
                    pods.remove(idle.unwrap_or(pods.len() - 1));
                }
                while pods.len() < decision.replicas as usize {
                    let start_up = self.start_up * (0.8 + 0.4 * random.next());
                    pods.push(pod(time, time + start_up, pods.len()));
                }
            }
            time += TICK;
        }
        outcome
    }

    fn sample(&self, time: f64, partitions: &[Partition], pods: &[Pod], ready: u32) -> Sample {
        let read = |(number, partition): (usize, &Partition)| {
            let sample = PartitionSample {
                end: Offset((self.gap * partition.end + 1e-6) as i64),
                start: Offset(0),
                committed: Some(Offset((self.gap * partition.committed as f64) as i64)),
                beyond: None,
                stuck: None,
                pod: partition
                    .owner
                    .clone()
                    .filter(|_| self.reports || self.told_apart),
            };
            let sample = (!(self.unknown)(time, number)).then_some(sample);
            (TopicPartition::new("t", number as i32), sample)
        };
        let report = |pod: &Pod| {
            let sample = PodSample {
                done: pod.done as u64,
                busy: Duration::from_secs_f64(pod.busy),
                slots: 1,
                failures: 0,
                slow_downs: 0,
            };
            (pod.name.clone(), sample)
        };
        let start = |pod: &Pod| PodStart {
            made: at(pod.made),
            ready: (pod.ready_at <= time).then(|| at(pod.ready_at)),
        };
        Sample {
            at: at(time),
            partitions: partitions.iter().enumerate().map(read).collect(),
            pods: pods
                .iter()
                .filter(|pod| self.reports && pod.done > 0.0)
                .map(report)
                .collect(),
            starts: pods.iter().filter(|_| self.timed).map(start).collect(),
            current: pods.len() as u32,
            ready,
            rolling: false,
            held_up: false,
        }
    }
}
