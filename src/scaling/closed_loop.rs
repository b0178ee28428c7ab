//! The planner in a small world: partitions, pods that take time to start, commits in lumps.
//! Seeded, so that every run is the same.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::topic::Offset;

/// The world's clock, seconds.
const TICK: f64 = 0.1;

/// A world to run a fleet in.
struct World {
    partitions: usize,
    /// Records per second that a pod really does.
    per_pod: f64,
    /// Seconds from order to ready.
    start_up: f64,
    /// Seconds for which nobody works after a change of members.
    pause: f64,
    /// Seconds between samples.
    period: f64,
    /// Workers report; else the consumer is the user's own.
    reports: bool,
    /// So many times the time inside the handler is what workers report.
    reported: f64,
    /// All pods together never do more than this.
    downstream: f64,
    /// Share of arrivals that all go to partition 0.
    hot: f64,
    policy: Policy,
}

impl Default for World {
    fn default() -> Self {
        Self {
            partitions: 12,
            per_pod: 195.0,
            start_up: 1.5,
            pause: 0.5,
            period: 0.5,
            reports: true,
            reported: 1.0,
            downstream: f64::INFINITY,
            hot: 0.0,
            policy: Policy {
                min: 0,
                max: None,
                max_delay: Duration::from_secs(30),
                idle_to_zero: None,
                concurrency: 1,
            },
        }
    }
}

#[derive(Clone)]
struct Pod {
    name: String,
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
struct Outcome {
    /// Every change of size: second and size.
    changes: Vec<(f64, u32)>,
    pod_seconds: f64,
    /// The longest wait of a record, seconds.
    worst: f64,
    /// Seconds with a record over the promise.
    late: f64,
    /// When the last record was done.
    finished: f64,
    state: State,
    /// The labels of the first reasons, with their number.
    reasons: BTreeMap<&'static str, u32>,
}

/// A small generator of uniform numbers in 0..1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
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
    fn run(&self, state: State, size: u32, length: f64, load: impl FnMut(f64) -> f64) -> Outcome {
        let mut load = load;
        let mut outcome = Outcome {
            state,
            ..Outcome::default()
        };
        let mut random = Random(42);
        let mut partitions = vec![Partition::default(); self.partitions];
        let mut names = 0;
        let mut pod = |ready_at: f64| {
            names += 1;
            Pod {
                name: format!("pod-{names}"),
                ready_at,
                done: 0.0,
                busy: 0.0,
            }
        };
        let mut pods: Vec<Pod> = (0..size).map(|_| pod(-100.0)).collect();
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
                let rate = self.per_pod.min(self.downstream / ready as f64);
                let working = pods.iter_mut().filter(|pod| pod.ready_at <= time);
                for (index, pod) in working.enumerate() {
                    let own: Vec<usize> = (0..self.partitions)
                        .filter(|p| p % ready == index)
                        .collect();
                    let mut left = rate * TICK;
                    // Fair among its partitions: the emptiest first, each up to an equal share.
                    let mut order = own.clone();
                    let waiting = |p: usize| partitions[p].end - partitions[p].done;
                    order.sort_by(|&a, &b| waiting(a).total_cmp(&waiting(b)));
                    for (served, number) in order.into_iter().enumerate() {
                        let partition = &mut partitions[number];
                        partition.owner = Some(pod.name.clone());
                        let share = left / (own.len() - served) as f64;
                        let work = (partition.end - partition.done).min(share);
                        partition.done += work;
                        pod.done += work;
                        pod.busy += self.reported * work / rate;
                        left -= work;
                    }
                }
            }
            // Waiting.
            let mut late = false;
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
                    if std::env::var_os("SHOW").is_some() {
                        println!("{time:.2}s {current} -> {}", decision.replicas);
                        for why in &decision.reasons {
                            println!("      {}: {why}", why.label());
                        }
                    }
                }
                pods.truncate(decision.replicas as usize);
                while pods.len() < decision.replicas as usize {
                    let start_up = self.start_up * (0.8 + 0.4 * random.next());
                    pods.push(pod(time + start_up));
                }
            }
            time += TICK;
        }
        outcome
    }

    fn sample(&self, time: f64, partitions: &[Partition], pods: &[Pod], ready: u32) -> Sample {
        let read = |(number, partition): (usize, &Partition)| {
            let sample = PartitionSample {
                end: Offset((partition.end + 1e-6) as i64),
                start: Offset(0),
                committed: Some(Offset(partition.committed)),
                stuck: None,
                pod: partition.owner.clone().filter(|_| self.reports),
            };
            (TopicPartition::new("t", number as i32), Some(sample))
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
        Sample {
            at: at(time),
            partitions: partitions.iter().enumerate().map(read).collect(),
            pods: pods
                .iter()
                .filter(|pod| self.reports && pod.done > 0.0)
                .map(report)
                .collect(),
            current: pods.len() as u32,
            ready,
            rolling: false,
        }
    }
}

/// 60,000 records in two and a half seconds, after some rest.
fn burst(time: f64) -> f64 {
    if (20.0..22.5).contains(&time) {
        24_000.0
    } else {
        0.0
    }
}

#[test]
fn a_burst_takes_a_known_fleet_from_zero_to_size_and_back_in_two_changes() {
    let state = State::resume(Some(195.0), Some(Duration::from_millis(1500)));
    let world = World::default();
    let outcome = world.run(state, 0, 120.0, burst);
    let sizes: Vec<u32> = outcome.changes.iter().map(|change| change.1).collect();
    assert_eq!(sizes, [12, 0], "{outcome:?}");
    assert!(outcome.changes[0].0 < 21.3, "{:?}", outcome.changes);
    assert!(outcome.finished - 20.0 < 28.5, "{}", outcome.finished);
    assert!(outcome.worst < 30.0, "{}", outcome.worst);
    assert!(outcome.pod_seconds < 500.0, "{}", outcome.pod_seconds);
}

#[test]
fn a_burst_on_a_fleet_that_was_never_measured_is_done_in_time_too() {
    let world = World::default();
    let outcome = world.run(State::default(), 0, 120.0, burst);
    let sizes: Vec<u32> = outcome.changes.iter().map(|change| change.1).collect();
    assert_eq!(sizes, [12, 0], "{outcome:?}");
    assert!(outcome.worst < 30.0, "{}", outcome.worst);
    assert!(outcome.pod_seconds < 500.0, "{}", outcome.pod_seconds);
    let learned = outcome.state.capacity.measured().unwrap();
    assert!((learned - 195.0).abs() < 20.0, "learned {learned}");
    let start_up = outcome.state.orders.learned_start_up().unwrap();
    assert!((1.0..3.0).contains(&start_up), "learned {start_up}");
}

#[test]
fn after_a_burst_one_pod_stays_awake_as_long_as_the_user_wants_it_to() {
    let state = State::resume(Some(195.0), Some(Duration::from_millis(1500)));
    let mut world = World::default();
    world.policy.idle_to_zero = Some(Duration::from_secs(30));
    let outcome = world.run(state, 0, 120.0, burst);
    let sizes: Vec<u32> = outcome.changes.iter().map(|change| change.1).collect();
    assert_eq!(sizes, [12, 1, 0], "{outcome:?}");
    let awake = outcome.changes[2].0 - outcome.finished;
    assert!((30.0..33.0).contains(&awake), "{awake}");
    assert!(outcome.pod_seconds < 550.0, "{}", outcome.pod_seconds);
}

/// What a demonstration shows: 60,000 records at once for a fleet at zero, of which the last pod stays
/// for half a minute.
#[test]
fn a_burst_at_once_is_one_raise_and_pods_that_have_nothing_to_do_go_early() {
    for start_up in [3.0, 8.0] {
        let mut world = World {
            per_pod: 200.0,
            start_up,
            pause: 1.0,
            ..World::default()
        };
        world.policy.idle_to_zero = Some(Duration::from_secs(30));
        let mut at_once = 60_000.0;
        let outcome = world.run(State::default(), 0, 150.0, |time| {
            if time < 20.0 {
                return 0.0;
            }
            std::mem::take(&mut at_once) / TICK
        });
        let sizes: Vec<u32> = outcome.changes.iter().map(|change| change.1).collect();
        assert!(
            sizes == [12, 0] || sizes == [12, 1, 0],
            "start-up {start_up}: {:?}",
            outcome.changes
        );
        assert!(outcome.changes[1].0 >= outcome.finished - 1.0);
        assert!(
            outcome.pod_seconds < 600.0,
            "start-up {start_up}: {} pod-seconds",
            outcome.pod_seconds
        );
    }
}

#[test]
fn constant_load_is_left_alone_once_its_size_is_found() {
    for worth in [0.7, 1.0, 2.6, 3.9, 5.5, 6.0, 9.0, 11.7] {
        let world = World {
            period: 5.0,
            ..World::default()
        };
        let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
        let outcome = world.run(state, 4, 4.0 * 3600.0, |_| worth * 195.0);
        let late = outcome.changes.iter().filter(|change| change.0 > 3600.0);
        assert_eq!(
            late.count(),
            0,
            "{worth} pods' worth: {:?}",
            outcome.changes
        );
    }
}

#[test]
fn noisy_constant_load_changes_the_size_rarely_and_keeps_the_promise() {
    for seed in 1..=2 {
        for (rate, most) in [(150.0, 2), (400.0, 4), (700.0, 4), (1100.0, 4)] {
            let mut random = Random(seed * 7919);
            let world = World::default();
            let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
            let outcome = world.run(state, 1, 700.0, |_| {
                rate * (0.5 + random.next()) * if random.next() < 0.02 { 4.0 } else { 0.94 }
            });
            let changes = outcome.changes.len();
            assert!(
                changes <= most,
                "{rate}/s, seed {seed}: {:?}",
                outcome.changes
            );
            assert!(
                outcome.late == 0.0,
                "{rate}/s, seed {seed}: late {}",
                outcome.late
            );
            let needed = (rate / 195.0).ceil() * 700.0;
            assert!(
                outcome.pod_seconds < needed * 2.1,
                "{rate}/s: {} pod-seconds",
                outcome.pod_seconds
            );
        }
    }
}

#[test]
fn a_step_of_the_load_is_answered_once_and_in_time() {
    for (from, to) in [(100.0, 600.0), (300.0, 1500.0), (50.0, 2000.0)] {
        let world = World {
            start_up: 4.0,
            pause: 1.0,
            ..World::default()
        };
        let state = State::resume(Some(195.0), Some(Duration::from_secs(4)));
        let outcome = world.run(state, 2, 300.0, |time| if time < 100.0 { from } else { to });
        let raises = outcome
            .changes
            .iter()
            .filter(|change| change.0 >= 100.0)
            .count();
        assert!(raises <= 2, "{from} to {to}: {:?}", outcome.changes);
        assert_eq!(outcome.late, 0.0, "{from} to {to}: worst {}", outcome.worst);
    }
}

#[test]
fn load_that_comes_and_goes_every_few_seconds_does_not_flap() {
    for (on, off) in [(3.0, 4.0), (5.0, 8.0), (10.0, 10.0), (10.0, 25.0)] {
        let world = World::default();
        let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
        let outcome = world.run(state, 0, 500.0, |time| {
            if time % (on + off) < on { 900.0 } else { 0.0 }
        });
        let changes = outcome.changes.len();
        assert!(changes <= 12, "{on}s on, {off}s off: {:?}", outcome.changes);
        let late = outcome.changes.iter().filter(|change| change.0 > 250.0);
        assert!(
            late.count() <= 2,
            "{on}s on, {off}s off: {:?}",
            outcome.changes
        );
        assert_eq!(outcome.late, 0.0, "{on}s on, {off}s off");
    }
}

#[test]
fn a_consumer_without_reports_is_measured_by_its_commits() {
    let world = World {
        reports: false,
        ..World::default()
    };
    let outcome = world.run(State::default(), 0, 200.0, |time| {
        if (20.0..22.5).contains(&time) {
            20_000.0
        } else {
            0.0
        }
    });
    let learned = outcome.state.capacity.measured().unwrap();
    assert!((150.0..240.0).contains(&learned), "learned {learned}");
    assert_eq!(outcome.changes.last().map(|change| change.1), Some(0));
}

#[test]
fn a_consumer_without_reports_is_probed_down_until_it_shows_what_a_pod_can_do() {
    let world = World {
        reports: false,
        ..World::default()
    };
    let outcome = world.run(State::default(), 12, 1800.0, |_| 300.0);
    let size = outcome.changes.last().map(|change| change.1).unwrap();
    assert!((2..=3).contains(&size), "{:?}", outcome.changes);
    assert_eq!(outcome.late, 0.0, "worst {}", outcome.worst);
    assert!(outcome.changes.len() <= 10, "{:?}", outcome.changes);
}

/// Workers that measure something else than the time inside the handler, or nothing: what is done
/// while everything is busy says how much a pod can do.
#[test]
fn reports_that_cannot_be_are_not_believed() {
    for reported in [0.0, 0.2, 5.0] {
        let world = World {
            reported,
            ..World::default()
        };
        let load = |time: f64| if time < 900.0 { 150.0 } else { 5.0 * 195.0 };
        let outcome = world.run(State::default(), 1, 3600.0, load);
        let learned = outcome.state.capacity.measured();
        assert!(
            outcome.late <= 30.0,
            "{reported}: {} s late, {:?}",
            outcome.late,
            outcome.changes
        );
        let size = outcome.changes.last().map_or(0, |change| change.1);
        assert!(
            (6..=12).contains(&size),
            "{reported}: {learned:?} {:?}",
            outcome.changes
        );
        assert!(
            outcome.changes.len() <= 10,
            "{reported}: {:?}",
            outcome.changes
        );
    }
}

/// A batch is a backlog, and no rate that goes on.
#[test]
fn a_batch_gets_the_pods_that_its_backlog_needs() {
    for period in [1.5, 5.0] {
        let world = World {
            partitions: 48,
            period,
            start_up: 20.0,
            pause: 3.0,
            policy: Policy {
                min: 1,
                max_delay: Duration::from_secs(60),
                ..World::default().policy
            },
            ..World::default()
        };
        let state = State::resume(Some(195.0), Some(Duration::from_secs(22)));
        let outcome = world.run(state, 1, 1200.0, |time| {
            if (600.0..600.95).contains(&time) {
                12_000.0
            } else {
                60.0
            }
        });
        let most = outcome.changes.iter().map(|change| change.1).max();
        assert!(
            most.is_some_and(|most| most <= 10),
            "{period}: {:?}",
            outcome.changes
        );
        assert_eq!(
            outcome.late, 0.0,
            "{period}: {} {:?}",
            outcome.worst, outcome.changes
        );
    }
}

/// More pods share a load that one was full with, so each does less; where nothing waits any more that
/// is no sign of a limit behind the handler.
#[test]
fn a_raise_that_ended_the_waiting_has_helped() {
    let world = World {
        reported: 1.0,
        downstream: 400.0,
        ..World::default()
    };
    let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
    let load = |time: f64| {
        if (200.0..230.0).contains(&time) {
            500.0
        } else {
            190.0
        }
    };
    let outcome = world.run(state, 1, 900.0, load);
    assert!(
        !outcome.reasons.contains_key("MorePodsDoNotHelp"),
        "{:?}",
        outcome.changes
    );
}

#[test]
fn pods_that_bring_no_capacity_are_given_back() {
    let world = World {
        downstream: 400.0,
        partitions: 48,
        ..World::default()
    };
    let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
    let outcome = world.run(state, 2, 900.0, |_| 600.0);
    assert!(
        outcome.reasons.contains_key("MorePodsDoNotHelp"),
        "{:?}",
        outcome.reasons
    );
    let mean = outcome.pod_seconds / 900.0;
    assert!(mean < 12.0, "{mean} pods on average: {:?}", outcome.changes);
}

#[test]
fn a_trickle_is_carried_by_one_pod() {
    let world = World::default();
    let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
    let outcome = world.run(state, 0, 600.0, |_| 2.0);
    let sizes: Vec<u32> = outcome.changes.iter().map(|change| change.1).collect();
    assert_eq!(sizes, [1]);
    assert!(outcome.worst < 5.0, "{}", outcome.worst);
}
