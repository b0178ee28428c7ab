//! What holds for any sample, however strange.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::report::{Later, Stuck};
use crate::topic::Offset;

/// What a pod reports: records, milliseconds, slots, failures, answers that asked for less.
type Pod = (u64, u64, u32, u64, u64);

/// A sample before it has a time.
#[derive(Clone, Debug)]
struct Look {
    /// Milliseconds since the one before.
    after: i64,
    /// Each partition: known, start, committed, end, stuck.
    partitions: Vec<(bool, i64, Option<i64>, i64, bool)>,
    pods: Vec<Pod>,
    /// Milliseconds since a pod was made, and since it became ready.
    starts: Vec<(i64, Option<i64>)>,
    current: u32,
    ready: u32,
    rolling: bool,
}

fn look(partitions: usize) -> impl Strategy<Value = Look> {
    let offset = prop_oneof![
        4 => 0..5_000_i64,
        1 => -5..5_i64,
        1 => Just(i64::MAX),
        1 => Just(i64::MIN),
        1 => 0..5_000_000_000_i64,
    ];
    let partition = (
        prop::bool::weighted(0.95),
        prop_oneof![4 => Just(0_i64), 1 => offset.clone()],
        prop::option::weighted(0.9, offset.clone()),
        offset,
        prop::bool::weighted(0.05),
    );
    // Anybody who may commit can write a report.
    let number = |most: u64| prop_oneof![30 => 0..most, 1 => Just(u64::MAX), 1 => any::<u64>()];
    let slots = prop_oneof![30 => 0..20_u32, 1 => Just(u32::MAX)];
    let pod = (
        number(100_000),
        number(100_000),
        slots,
        number(50),
        number(50),
    );
    let since = -5_000..900_000_i64;
    let start = (since.clone(), prop::option::weighted(0.8, since));
    (
        -2_000..20_000_i64,
        prop::collection::vec(partition, partitions),
        (
            prop::collection::vec(pod, 0..4),
            prop::collection::vec(start, 0..4),
        ),
        0..30_u32,
        0..30_u32,
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(after, partitions, (pods, starts), current, ready, rolling)| Look {
                after,
                partitions,
                pods,
                starts,
                current,
                ready,
                rolling,
            },
        )
}

fn policy() -> impl Strategy<Value = Policy> {
    (
        0..8_u32,
        prop::option::of(1..20_u32),
        0..120_000_u64,
        prop::option::of(0..120_000_u64),
        0..20_u32,
        prop::option::of(1..5_000_u32),
    )
        .prop_map(|(min, max, delay, idle, concurrency, rate)| Policy {
            min: min.min(max.unwrap_or(u32::MAX)),
            max,
            schedule: Schedule::default(),
            max_delay: Duration::from_millis(delay),
            idle_to_zero: idle.map(Duration::from_millis),
            rate: rate.map(f64::from),
            concurrency,
        })
}

fn run() -> impl Strategy<Value = Vec<Look>> {
    (0..14_usize).prop_flat_map(|partitions| prop::collection::vec(look(partitions), 1..12))
}

fn sample(look: &Look, at: Timestamp) -> Sample {
    let partition = |(number, &(known, start, committed, end, stuck)): (
        usize,
        &(bool, i64, Option<i64>, i64, bool),
    )| {
        let sample = known.then(|| PartitionSample {
            end: Offset(end),
            start: Offset(start),
            committed: committed.map(Offset),
            // Whatever a worker may say.
            beyond: committed
                .filter(|offset| offset % 2 == 0)
                .map(|offset| Beyond {
                    next: Offset(offset.saturating_add(end / 2)),
                    more: end.unsigned_abs() / 4,
                    retried: if offset % 4 == 0 { u64::MAX } else { 2 },
                    tried: 1,
                    later: (offset % 8 == 0).then(|| Later {
                        records: u64::MAX,
                        behind: u64::MAX,
                        next_at: end.unsigned_abs(),
                        next: offset.saturating_add(end / 2),
                        more: u64::MAX,
                    }),
                }),
            stuck: stuck.then(|| Stuck {
                offset: start,
                attempts: 3,
                error: "HttpStatus 500".to_owned(),
            }),
            pod: stuck.then(|| "pod".to_owned()),
        });
        (TopicPartition::new("t", number as i32), sample)
    };
    let pod = |(number, &(done, busy, slots, failures, slow_downs)): (usize, &Pod)| {
        let sample = PodSample {
            done,
            busy: Duration::from_millis(busy),
            slots,
            failures,
            slow_downs,
        };
        (format!("pod-{number}"), sample)
    };
    let before = |millis: i64| at - jiff::SignedDuration::from_millis(millis);
    let start = |&(made, ready): &(i64, Option<i64>)| PodStart {
        made: before(made),
        ready: ready.map(before),
    };
    Sample {
        at,
        partitions: look.partitions.iter().enumerate().map(partition).collect(),
        pods: look
            .pods
            .iter()
            .enumerate()
            .map(pod)
            .collect::<BTreeMap<_, _>>(),
        starts: look.starts.iter().map(start).collect(),
        current: look.current,
        ready: look.ready,
        rolling: look.rolling,
        held_up: false,
    }
}

/// Every sample with the state before it and the decision on it.
fn play(policy: &Policy, looks: &[Look]) -> Vec<(State, Sample, Timestamp, Decision)> {
    let mut now = Timestamp::from_second(1_800_000_000).unwrap();
    let mut state = State::default();
    let mut played = Vec::new();
    for look in looks {
        now += jiff::SignedDuration::from_millis(look.after);
        let sample = sample(look, now);
        let (next, decision) = step(policy, state.clone(), &sample, now);
        played.push((state, sample, now, decision));
        state = next;
    }
    played
}

fn is_known(sample: &Sample) -> bool {
    !sample.partitions.is_empty()
        && sample
            .partitions
            .values()
            .all(|p| p.as_ref().is_some_and(|p| p.lag().is_ok()))
}

/// 150 runs of each, or as many as `PROPTEST_CASES` asks for.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = std::env::var_os("PROPTEST_CASES").map_or(150, |_| asked.cases);
    ProptestConfig { cases, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_change_is_a_useful_size_inside_the_limits(policy in policy(), looks in run()) {
        for (_, sample, _, decision) in play(&policy, &looks) {
            let size = decision.replicas;
            prop_assert!(policy.max.is_none_or(|max| size <= max));
            if size == sample.current {
                continue;
            }
            let partitions = sample.partitions.len() as u32;
            let floor = policy.min.min(policy.max.unwrap_or(u32::MAX));
            prop_assert!(size >= floor.min(partitions) || policy.max == Some(size));
            if partitions > 0 && (is_known(&sample) || size > sample.current) {
                prop_assert!(size <= partitions, "{} of {}: {:?}", size, partitions, decision);
                let useful = sizes::useful(partitions);
                prop_assert!(
                    size == 0 || size == floor || size == 1 || useful.contains(&size),
                    "{} of {}: {:?}", size, partitions, decision
                );
            }
        }
    }

    #[test]
    fn unknown_data_lowers_nothing_below_the_users_max(policy in policy(), looks in run()) {
        for (_, sample, _, decision) in play(&policy, &looks) {
            if !is_known(&sample) {
                let kept = sample.current.min(policy.max.unwrap_or(u32::MAX));
                prop_assert!(decision.replicas >= kept, "{:?}", decision);
            }
        }
    }

    /// Two changes that follow each other too fast for the first to have shown anything are both
    /// raises, or a limit's; `closed_loop::pace` has the same of fleets that live.
    #[test]
    fn a_lowering_waits_until_the_change_before_it_has_worked(policy in policy(), looks in run()) {
        let mut changed: Option<Timestamp> = None;
        let mut before = None;
        for (state, sample, now, decision) in play(&policy, &looks) {
            if before.is_some_and(|size| size != sample.current) {
                changed = Some(now);
            }
            before = Some(sample.current);
            let by_load = matches!(decision.reasons[0].label(), "CapacityToSpare" | "Idle");
            if let Some(at) = changed.filter(|_| by_load && decision.replicas < sample.current && decision.replicas > 0) {
                let (after, _) = step(&policy, state, &sample, now);
                let reaction = after.orders.start_up(&policy) + after.orders.rebalance(&policy);
                prop_assert!(reaction > 0.0 || policy.max_delay.is_zero());
                prop_assert!(now.duration_since(at).as_secs_f64() >= reaction);
            }
        }
    }

    #[test]
    fn zero_is_reached_only_with_nothing_waiting(policy in policy(), looks in run()) {
        for (_, sample, _, decision) in play(&policy, &looks) {
            if decision.replicas == 0 && sample.current > 0 {
                prop_assert!(is_known(&sample));
                let lag = |p: &Option<PartitionSample>| p.as_ref().and_then(|p| p.lag().ok()).map(|lag| lag.0);
                prop_assert!(sample.partitions.values().all(|p| lag(p) == Some(0)));
            }
        }
    }

    #[test]
    fn the_same_question_has_the_same_answer(policy in policy(), looks in run()) {
        for (state, sample, now, decision) in play(&policy, &looks) {
            let (_, again) = step(&policy, state.clone(), &sample, now);
            prop_assert_eq!(again, decision);
        }
    }

    #[test]
    fn to_ask_twice_about_one_sample_changes_nothing(policy in policy(), looks in run()) {
        for (state, sample, now, decision) in play(&policy, &looks) {
            let (after, _) = step(&policy, state.clone(), &sample, now);
            let (_, again) = step(&policy, after, &sample, now);
            // The first sight of a rate is only used from the next step on, so a raise may grow.
            if decision.replicas <= sample.current {
                prop_assert!(again.replicas >= decision.replicas || again.replicas == sample.current);
            }
        }
    }

    #[test]
    fn every_decision_has_its_reasons_and_a_time_to_look_again(policy in policy(), looks in run()) {
        for (_, _, now, decision) in play(&policy, &looks) {
            prop_assert!(!decision.reasons.is_empty());
            prop_assert!(decision.look_again_at > now);
            for why in &decision.reasons {
                prop_assert!(why.to_string().len() > 10);
                prop_assert!(why.label().chars().all(char::is_alphanumeric));
            }
        }
    }

    /// From any state that two samples of a plausible fleet left, more backlog never means fewer
    /// pods, once it is seen how much a burst brings.
    #[test]
    fn more_backlog_never_means_fewer_pods(
        policy in policy(),
        partitions in 1..14_usize,
        current in 0..14_u32,
        arrivals in prop::collection::vec(0..400_i64, 3),
        committed in 0..2_000_i64,
        more in 0..2_000_i64,
        capacity in prop::option::of(1.0..500.0_f64),
    ) {
        let decide = |committed: i64| {
            let mut state = State::resume(capacity, Some(Duration::from_secs(3)));
            let mut end = 4_000;
            let mut wanted = None;
            for (second, more) in arrivals.iter().enumerate() {
                end += more;
                let last = second + 1 == arrivals.len();
                let look = Look {
                    after: 0,
                    partitions: vec![(true, 0, Some(if last { committed } else { 0 }), end, false); partitions],
                    pods: Vec::new(),
                    starts: Vec::new(),
                    current,
                    ready: current,
                    rolling: false,
                };
                let at = Timestamp::from_second(1_800_000_000 + second as i64).unwrap();
                let mut sample = sample(&look, at);
                // More of it waits: nobody says otherwise.
                for seen in sample.partitions.values_mut().flatten() {
                    seen.beyond = None;
                }
                let (next, decision) = step(&policy, state, &sample, at);
                state = next;
                wanted = match decision.watch {
                    Watch::Growing => None,
                    _ => Some(decision.replicas),
                };
            }
            wanted
        };
        let (little, much) = (decide(committed + more), decide(committed));
        prop_assert!(much.is_none() || much >= little, "{:?} with less, {:?} with more", little, much);
    }
}
