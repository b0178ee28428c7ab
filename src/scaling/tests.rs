//! Claims about single decisions; the closed loop is in `closed_loop`, the laws are in `laws`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::report::Stuck;
use crate::topic::Offset;

pub(super) fn policy() -> Policy {
    Policy {
        min: 0,
        max: None,
        schedule: Schedule::default(),
        max_delay: Duration::from_secs(30),
        idle_to_zero: None,
        rate: None,
        concurrency: 1,
    }
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + (seconds * 1000.0) as i64).unwrap()
}

fn partition(number: usize) -> TopicPartition {
    TopicPartition::new("orders", number as i32)
}

/// A sample of 12 partitions at `seconds` with `ends` and `committed` in each, `pods` ready.
pub(super) fn sample(seconds: f64, ends: i64, committed: i64, pods: u32) -> Sample {
    let one = PartitionSample {
        end: Offset(ends),
        start: Offset(0),
        committed: Some(Offset(committed)),
        beyond: None,
        stuck: None,
        pod: None,
    };
    Sample {
        at: at(seconds),
        partitions: (0..12)
            .map(|number| (partition(number), Some(one.clone())))
            .collect(),
        pods: BTreeMap::new(),
        current: pods,
        ready: pods,
        rolling: false,
        held_up: false,
    }
}

pub(super) fn one(sample: &mut Sample, number: usize) -> &mut PartitionSample {
    let slot = sample.partitions.get_mut(&partition(number)).unwrap();
    slot.as_mut().unwrap()
}

/// The decisions on samples, one after the other.
pub(super) fn decide(policy: &Policy, state: State, samples: &[Sample]) -> Vec<Decision> {
    let mut state = state;
    let mut decisions = Vec::new();
    for sample in samples {
        let (next, decision) = step(policy, state, sample, sample.at);
        state = next;
        decisions.push(decision);
    }
    decisions
}

fn last(policy: &Policy, state: State, samples: &[Sample]) -> Decision {
    decide(policy, state, samples).pop().unwrap()
}

pub(super) fn labels(decision: &Decision) -> Vec<&'static str> {
    decision.reasons.iter().map(Why::label).collect()
}

/// A fleet whose pods do 195 records per second and start in two seconds.
pub(super) fn known() -> State {
    State::resume(Some(195.0), Some(Duration::from_secs(2)))
}

#[test]
fn a_fleet_whose_rate_is_not_known_yet_or_still_falls_is_looked_at_again_soon() {
    let wait = |decision: &Decision, seconds: f64| {
        let wait = decision.look_again_at.duration_since(at(seconds));
        wait.as_secs_f64()
    };
    let first = decide(&policy(), known(), &[sample(0.0, 0, 0, 0)]);
    assert_eq!(first[0].outlook.arrival_per_second, None);
    assert!(wait(&first[0], 0.0) <= 5.0, "{:?}", first[0]);

    let rest: Vec<_> = (0..5).map(|n| sample(f64::from(n), 0, 0, 0)).collect();
    let rested = last(&policy(), known(), &rest);
    assert_eq!(rested.outlook.arrival_per_second, Some(0.0));
    assert!(wait(&rested, 4.0) > 30.0, "{rested:?}");

    // A burst that is done with long ago, while its rate still falls.
    let mut falls: Vec<_> = (0..5).map(|n| sample(f64::from(n), 0, 0, 0)).collect();
    falls.extend((5..8).map(|n| sample(f64::from(n), 100, 100, 0)));
    let falling = last(&policy(), known(), &falls);
    assert!(falling.outlook.arrival_per_second > Some(0.1));
    assert!(wait(&falling, 7.0) <= 5.0, "{falling:?}");
}

/// `seconds` of rest with `pods`, a sample each second, with all records done.
fn rest(seconds: usize, pods: u32) -> Vec<Sample> {
    (0..seconds)
        .map(|second| sample(second as f64, 1000, 1000, pods))
        .collect()
}

#[test]
fn from_zero_straight_to_the_size_needed() {
    // Never measured: 3,000 records at 100 ms each want all partitions, 20 want one pod.
    let thousands = last(&policy(), State::default(), &[sample(0.0, 250, 0, 0)]);
    assert_eq!(thousands.replicas, 12, "{thousands:?}");
    let mut twenty = sample(0.0, 0, 0, 0);
    one(&mut twenty, 0).end = Offset(20);
    assert_eq!(last(&policy(), State::default(), &[twenty]).replicas, 1);
    // Measured: 7,000 records at 195/s want three pods, not twelve and not one.
    let measured = last(&policy(), known(), &[sample(0.0, 580, 0, 0)]);
    assert_eq!(measured.replicas, 3, "{measured:?}");
    assert_eq!(measured.reasons[0].label(), "DelayProjected");
}

#[test]
fn the_next_best_sizes_are_told_with_what_they_would_come_to() {
    let decision = last(&policy(), known(), &[sample(0.0, 580, 0, 0)]);
    let prospects = &decision.outlook.prospects;
    assert_eq!(prospects.len(), 3, "{prospects:?}");
    assert_eq!(prospects[0].replicas, decision.replicas);
    let next: Vec<u32> = prospects[1..].iter().map(|next| next.replicas).collect();
    assert!(!next.contains(&decision.replicas), "{prospects:?}");
    assert!(prospects[1].cost <= prospects[2].cost, "{prospects:?}");
    // The decided one is the cheapest that keeps the promise.
    for other in &prospects[1..] {
        let keeps = other.delay < policy().max_delay;
        assert!(!keeps || other.cost >= prospects[0].cost, "{prospects:?}");
    }
    // At rest there is nothing to weigh, and where something is unknown nobody can.
    assert!(
        last(&policy(), known(), &rest(30, 0))
            .outlook
            .prospects
            .is_empty()
    );
    let mut unknown = sample(0.0, 580, 0, 0);
    unknown.partitions.insert(partition(7), None);
    assert!(
        last(&policy(), known(), &[unknown])
            .outlook
            .prospects
            .is_empty()
    );
}

#[test]
fn more_concurrency_makes_the_first_guess_smaller() {
    let policy = Policy {
        concurrency: 16,
        ..policy()
    };
    assert_eq!(
        last(&policy, State::default(), &[sample(0.0, 250, 0, 0)]).replicas,
        2
    );
}

#[test]
fn one_record_wakes_one_pod() {
    let mut samples = rest(30, 0);
    for second in [30.0, 30.5] {
        let mut sample = sample(second, 1000, 1000, 0);
        one(&mut sample, 3).end = Offset(1001);
        samples.push(sample);
    }
    let decisions = decide(&policy(), known(), &samples);
    assert_eq!(decisions[29].replicas, 0);
    assert_eq!(labels(&decisions[29]), ["AtRest"]);
    // The first sight of a burst is looked at twice; the second decides.
    assert_eq!(labels(&decisions[30]), ["SecondLook"]);
    assert!(decisions[30].look_again_at <= at(30.5));
    assert_eq!(decisions[31].replicas, 1);
}

#[test]
fn a_burst_that_is_over_is_not_looked_at_a_third_time() {
    let mut samples = rest(30, 0);
    for second in [30.0, 30.1] {
        let mut sample = sample(second, 1000, 1000, 0);
        one(&mut sample, 3).end = Offset(1100);
        samples.push(sample);
    }
    let decisions = decide(&policy(), known(), &samples);
    assert_eq!(labels(&decisions[30]), ["SecondLook"]);
    assert_eq!(decisions[30].watch, Watch::Growing);
    assert_eq!(decisions[31].replicas, 1);
}

/// A thousand records, and only then the other fifty-nine thousand.
#[test]
fn a_burst_that_begins_slowly_is_one_raise() {
    let mut samples = rest(2, 0);
    for (second, records) in [
        (30.0, 971),
        (30.1, 2000),
        (30.3, 5000),
        (30.5, 9000),
        (30.7, 60_000),
    ] {
        let mut sample = sample(second, 1000, 1000, 0);
        for number in 0..12 {
            one(&mut sample, number).end = Offset(1000 + records / 12);
        }
        samples.push(sample);
    }
    let decisions = decide(&policy(), known(), &samples);
    let raises: Vec<u32> = decisions.iter().map(|decision| decision.replicas).collect();
    let first = raises.iter().position(|&size| size > 0);
    assert_eq!(first.map(|first| raises[first]), Some(12), "{raises:?}");
}

#[test]
fn a_burst_that_goes_on_is_looked_at_until_its_size_is_seen() {
    // Three thousand a second, each tenth of a second: what waits at first wants one pod.
    let burst = |per_look: i64| {
        let mut samples = rest(2, 0);
        for look in 1..=25 {
            let mut sample = sample(30.0 + f64::from(look as i32) / 10.0, 1000, 1000, 0);
            for number in 0..12 {
                one(&mut sample, number).end = Offset(1000 + look * per_look / 12);
            }
            samples.push(sample);
        }
        decide(&policy(), known(), &samples)[2..].to_vec()
    };
    let decisions = burst(300);
    let first = decisions.iter().position(|decision| decision.replicas > 0);
    let first = first.expect("it is waited for, but not for ever");
    // Longer than the first few looks, and not as long as the rebalance that a second order would be.
    assert!((6..24).contains(&first), "{first}");
    for decision in &decisions[..first] {
        assert_eq!(labels(decision), ["SecondLook"]);
    }
    assert!(decisions[first].replicas >= 2, "{:?}", decisions[first]);
    // One that would be one pod's work even if it went on is not waited for.
    assert_eq!(burst(30)[1].replicas, 1);
    // And one that wants all partitions at once neither.
    assert_eq!(burst(60_000)[0].replicas, 12);
}

#[test]
fn at_zero_only_what_arrives_is_watched_for_until_something_waits() {
    let mut waits = sample(30.5, 1000, 1000, 0);
    one(&mut waits, 3).end = Offset(1001);
    let mut samples = rest(30, 0);
    samples.push(waits);
    let decisions = decide(&policy(), known(), &samples);
    assert_eq!(decisions[29].watch, Watch::ForArrivals);
    assert_ne!(decisions[30].watch, Watch::ForArrivals);
}

#[test]
fn a_second_look_is_taken_even_if_no_new_sample_comes() {
    let mut samples = rest(30, 0);
    let mut burst = sample(30.0, 1000, 1000, 0);
    one(&mut burst, 3).end = Offset(1100);
    samples.push(burst.clone());
    let mut state = known();
    for sample in &samples {
        state = step(&policy(), state, sample, sample.at).0;
    }
    let (_, decision) = step(&policy(), state, &burst, at(30.45));
    assert_eq!(decision.replicas, 1);
}

#[test]
fn unknown_lag_never_scales_down() {
    let mut samples = rest(300, 12);
    for sample in &mut samples {
        sample.partitions.insert(partition(7), None);
    }
    for decision in decide(&policy(), known(), &samples) {
        assert_eq!(decision.replicas, 12);
        assert_eq!(decision.reasons[0].label(), "LagUnknown");
        assert_eq!(decision.outlook.lag, None);
    }
}

#[test]
fn known_partitions_alone_may_demand_a_raise() {
    let mut sample = sample(0.0, 5000, 0, 1);
    sample.partitions.insert(partition(7), None);
    let decision = last(&policy(), known(), &[sample]);
    assert_eq!(decision.replicas, 12);
    assert!(labels(&decision).contains(&"LagUnknown"), "{decision:?}");
}

#[test]
fn old_offsets_change_nothing() {
    let empty = sample(0.0, 100, 100, 6);
    let full = sample(0.0, 90_000, 100, 1);
    for (sample, size) in [(empty, 6), (full, 1)] {
        let (_, decision) = step(&policy(), known(), &sample, at(11.0));
        assert_eq!(decision.replicas, size);
        assert_eq!(decision.reasons[0].label(), "OffsetsStale");
    }
}

#[test]
fn no_partitions_at_all_change_nothing() {
    let mut sample = sample(0.0, 0, 0, 4);
    sample.partitions.clear();
    let decision = last(&policy(), known(), &[sample]);
    assert_eq!(
        (decision.replicas, labels(&decision)[0]),
        (4, "NoPartitions")
    );
}

#[test]
fn a_topic_made_anew_is_unknown_not_empty() {
    let mut samples = rest(60, 3);
    let mut anew = sample(60.0, 1000, 1000, 3);
    one(&mut anew, 0).end = Offset(5);
    samples.push(anew);
    let decision = last(&policy(), known(), &samples);
    assert_eq!(decision.replicas, 3);
    let text = decision.reasons[0].to_string();
    assert!(
        text.contains("re-created") && text.contains("orders[0]"),
        "{text}"
    );
}

#[test]
fn retention_that_passed_the_group_counts_from_the_start() {
    let mut sample = sample(0.0, 1000, 10, 1);
    one(&mut sample, 0).start = Offset(900);
    assert_eq!(one(&mut sample, 0).lag().unwrap().0, 100);
    one(&mut sample, 0).committed = None;
    assert_eq!(one(&mut sample, 0).lag().unwrap().0, 100);
}

#[test]
fn the_largest_useful_size_within_max_is_chosen() {
    let policy = Policy {
        max: Some(11),
        ..policy()
    };
    let decision = last(&policy, known(), &[sample(0.0, 5000, 0, 0)]);
    assert_eq!(
        decision.replicas, 6,
        "7 to 11 pods leave the busiest two partitions, as 6 do"
    );
    assert_eq!(decision.reasons[0].label(), "CappedByMaxReplicas");
    assert!(decision.reasons[0].is_limit());
}

#[test]
fn partitions_limit_the_size_and_say_so() {
    let decision = last(&policy(), known(), &[sample(0.0, 50_000, 0, 3)]);
    assert_eq!(decision.replicas, 12);
    assert_eq!(decision.reasons[0].label(), "CappedByPartitions");
}

#[test]
fn min_is_respected_although_it_is_no_useful_size() {
    let policy = Policy { min: 5, ..policy() };
    let decision = last(&policy, known(), &[sample(0.0, 10, 10, 2)]);
    assert_eq!(
        (decision.replicas, labels(&decision)[0]),
        (5, "AtLeastMinReplicas")
    );
    // Beyond it only useful sizes are left.
    let decision = last(&policy, known(), &[sample(0.0, 1200, 0, 5)]);
    assert_eq!(decision.replicas, 5);
    let decision = last(&policy, known(), &[sample(0.0, 3500, 0, 5)]);
    assert_eq!(decision.replicas, 12, "{decision:?}");
}

#[test]
fn min_is_named_as_long_as_it_is_what_holds_the_size() {
    let policy = Policy { min: 4, ..policy() };
    let told = |samples: &[Sample]| labels(&last(&policy, known(), samples));
    assert_eq!(told(&rest(30, 4)), ["Enough", "AtLeastMinReplicas"]);
    // 12 partitions, so many records a second in each, and a pod does 195.
    let arrives = |each: i64, pods: u32| -> Vec<Sample> {
        let at = |second: i64| sample(second as f64, each * second, each * second - each, pods);
        (1..120).map(at).collect()
    };
    assert_eq!(told(&arrives(20, 4)), ["Enough", "AtLeastMinReplicas"]);
    assert_eq!(told(&arrives(55, 4)), ["Enough"], "it takes four");
    assert!(!told(&arrives(20, 6)).contains(&"AtLeastMinReplicas"));
    let mut unknown = rest(30, 4);
    if let Some(last) = unknown.last_mut() {
        last.partitions.insert(partition(0), None);
    }
    assert_eq!(told(&unknown), ["LagUnknown", "Enough"], "nobody knows");
}

#[test]
fn min_holds_without_any_data_and_max_too() {
    let mut sample = sample(0.0, 0, 0, 0);
    sample.partitions.clear();
    let least = Policy { min: 2, ..policy() };
    assert_eq!(
        last(&least, State::default(), &[sample.clone()]).replicas,
        2
    );
    sample.current = 9;
    let most = Policy {
        max: Some(4),
        ..policy()
    };
    assert_eq!(last(&most, State::default(), &[sample]).replicas, 4);
}

#[test]
fn pods_beyond_a_lowered_max_go_at_once() {
    let policy = Policy {
        max: Some(3),
        ..policy()
    };
    let decision = last(&policy, known(), &[sample(0.0, 5000, 0, 12)]);
    assert_eq!(
        (decision.replicas, labels(&decision)[0]),
        (3, "CappedByMaxReplicas")
    );
}

#[test]
fn what_is_beyond_the_limits_does_not_wait_with_a_lowering() {
    // An idle fleet of one partition, whose user has just allowed two pods.
    let policy = Policy {
        max: Some(2),
        ..policy()
    };
    let mut idle = sample(0.0, 0, 0, 3);
    idle.partitions
        .retain(|partition, _| partition.partition == 0);
    let decision = last(&policy, known(), &[idle.clone()]);
    assert_eq!(decision.replicas, 1, "{decision:?}");
    // The same of twelve partitions: two of three stay until one is known to be enough.
    let decision = last(&policy, known(), &[sample(0.0, 0, 0, 3)]);
    assert_eq!(decision.replicas, 2, "{decision:?}");
    let why = &decision.reasons[0];
    assert_eq!(why.label(), "BeyondLimit", "nobody wants more than two");
    assert!(!why.is_limit());
    assert_eq!(
        why.to_string(),
        "there are 3 pods, and scaling.maxReplicas allows 2: those beyond 2 go"
    );
}

#[test]
fn while_pods_start_only_a_broken_promise_raises() {
    let mut waiting = sample(10.0, 420, 0, 4);
    waiting.ready = 1;
    let decision = last(&policy(), known(), &[waiting.clone()]);
    assert_eq!(decision.replicas, 4, "{decision:?}");
    let mut broken = waiting;
    for number in 0..12 {
        one(&mut broken, number).end = Offset(9_000);
    }
    let decision = last(&policy(), known(), &[broken]);
    assert_eq!(decision.replicas, 12);
}

#[test]
fn a_roll_out_holds_the_size_unless_the_promise_breaks() {
    let mut samples = rest(200, 12);
    for sample in &mut samples {
        sample.rolling = true;
    }
    let decisions = decide(&policy(), known(), &samples);
    assert!(decisions.iter().all(|decision| decision.replicas == 12));
    assert_eq!(labels(&decisions[199])[0], "RollingOut");
    let mut overrun = sample(0.0, 50_000, 0, 2);
    overrun.rolling = true;
    assert_eq!(last(&policy(), known(), &[overrun]).replicas, 12);
}

#[test]
fn pods_that_never_come_do_not_hold_an_idle_fleet() {
    let samples: Vec<Sample> = rest(400, 3)
        .into_iter()
        .map(|mut sample| {
            sample.ready = 1;
            sample
        })
        .collect();
    let decisions = decide(&policy(), known(), &samples);
    assert_eq!(decisions[60].replicas, 3);
    assert_eq!(labels(&decisions[60])[0], "PodsStarting");
    assert_eq!(decisions[399].replicas, 0);
}

#[test]
fn a_stuck_partition_raises_nothing() {
    let mut samples = Vec::new();
    for second in 0..300 {
        let done = 1000 + second * 5;
        let mut sample = sample(second as f64, done, done, 1);
        let poisoned = one(&mut sample, 4);
        poisoned.committed = Some(Offset(10));
        poisoned.end = Offset(1000 + second * 50);
        poisoned.pod = Some("pod".to_owned());
        poisoned.stuck = Some(Stuck {
            offset: 10,
            attempts: 5,
            error: "HttpStatus 500".to_owned(),
        });
        samples.push(sample);
    }
    for decision in decide(&policy(), known(), &samples) {
        assert_eq!(decision.replicas, 1);
        assert_eq!(decision.outlook.stuck, [partition(4)]);
        let text = decision.reasons.last().unwrap().to_string();
        assert!(
            text.contains("orders[4] at offset 10 (HttpStatus 500)"),
            "{text}"
        );
    }
}

#[test]
fn a_consumer_without_reports_is_stuck_where_nothing_moves_while_others_do() {
    let mut samples = Vec::new();
    for second in 0..200 {
        let done = 1000 + second * 5;
        let mut sample = sample(second as f64, done + 3, done, 1);
        let poisoned = one(&mut sample, 4);
        poisoned.committed = Some(Offset(10));
        poisoned.end = Offset(11 + second * 20);
        samples.push(sample);
    }
    let decisions = decide(&policy(), known(), &samples);
    assert!(decisions[30].outlook.stuck.is_empty());
    assert_eq!(decisions[70].outlook.stuck, [partition(4)]);
    for decision in &decisions {
        assert_eq!(decision.replicas, 1, "{decision:?}");
    }
}

#[test]
fn a_fleet_of_which_nothing_moves_is_not_called_stuck() {
    // Nobody consumes: that is a fleet without pods or with a broken one, not a poison record.
    let samples: Vec<Sample> = (0..100).map(|s| sample(f64::from(s), 50, 0, 1)).collect();
    let decision = last(&policy(), known(), &samples);
    assert!(decision.outlook.stuck.is_empty());
}

fn failing(seconds: usize, ends: i64, pods: u32) -> Vec<Sample> {
    (0..seconds)
        .map(|second| {
            let mut sample = sample(second as f64, ends, 0, pods);
            let report = PodSample {
                done: second as u64,
                busy: Duration::from_secs(second as u64),
                slots: 1,
                failures: 5 * second as u64,
                slow_downs: 0,
            };
            sample.pods.insert("pod".to_owned(), report);
            sample
        })
        .collect()
}

#[test]
fn a_failing_handler_raises_nothing() {
    let decisions = decide(&policy(), known(), &failing(60, 3, 2));
    assert_eq!(decisions[59].replicas, 2);
    let mut samples = failing(60, 3, 2);
    for number in 0..12 {
        one(&mut samples[59], number).end = Offset(50_000);
    }
    let decision = last(&policy(), known(), &samples);
    assert_eq!(decision.replicas, 2);
    assert_eq!(labels(&decision)[0], "HandlerFailing");
    assert!(
        decision.reasons[0].to_string().contains("83 %"),
        "{}",
        decision.reasons[0]
    );
}

#[test]
fn a_failing_handler_is_never_scaled_to_zero() {
    // It skips: attempts fail, but nothing waits.
    let decisions = decide(&policy(), known(), &failing(400, 0, 2));
    assert!(decisions.iter().all(|decision| decision.replicas > 0));
}

/// The user lets the last pod go after thirty idle seconds.
fn half_a_minute() -> Policy {
    Policy {
        idle_to_zero: Some(Duration::from_secs(30)),
        ..policy()
    }
}

#[test]
fn the_last_pod_stays_as_long_as_the_user_wants_it_to() {
    let decisions = decide(&half_a_minute(), known(), &rest(100, 1));
    let zero = decisions
        .iter()
        .position(|decision| decision.replicas == 0)
        .unwrap();
    assert!((30..32).contains(&zero), "{zero}");
    assert_eq!(labels(&decisions[zero - 1])[0], "StaysAwake");
    assert_eq!(labels(&decisions[zero])[0], "Idle");
    // Decisions say when it is time, even if no sample comes before that.
    let soon = &decisions[zero - 2];
    assert!(soon.look_again_at <= at(zero as f64 + 1.0), "{soon:?}");
}

#[test]
fn the_others_of_an_idle_fleet_go_before_the_last_one_if_that_is_worth_it() {
    let decisions = decide(&half_a_minute(), known(), &rest(100, 12));
    let lower = decisions
        .iter()
        .position(|decision| decision.replicas < 12)
        .unwrap();
    assert_eq!(decisions[lower].replicas, 1);
    assert!((8..20).contains(&lower), "{lower}");
    // Nine seconds before the end two pods are not worth a rebalance of their own.
    let two = decide(&half_a_minute(), known(), &rest(100, 2));
    assert!(two.iter().all(|decision| decision.replicas != 1));
}

#[test]
fn a_longer_wait_than_is_worth_it_is_kept_too() {
    let policy = Policy {
        idle_to_zero: Some(Duration::from_secs(600)),
        ..policy()
    };
    let decisions = decide(&policy, known(), &rest(590, 1));
    assert!(decisions.iter().all(|decision| decision.replicas == 1));
}

#[test]
fn an_idle_fleet_goes_to_zero_once_it_is_worth_it() {
    let decisions = decide(&policy(), known(), &rest(200, 12));
    let zero = decisions
        .iter()
        .position(|decision| decision.replicas == 0)
        .unwrap();
    assert!((8..20).contains(&zero), "{zero}");
    assert_eq!(labels(&decisions[zero - 1])[0], "NotWorthItYet");
    assert_eq!(labels(&decisions[zero])[0], "Idle");
    // One pod costs less, so it is kept for longer.
    let decisions = decide(&policy(), known(), &rest(400, 1));
    let zero = decisions
        .iter()
        .position(|decision| decision.replicas == 0)
        .unwrap();
    assert!((100..200).contains(&zero), "{zero}");
}

#[test]
fn a_decision_to_lower_says_when_it_is_due() {
    let decisions = decide(&policy(), known(), &rest(3, 12));
    let due = decisions[2].look_again_at;
    assert!(due > at(2.0) && due <= at(7.1), "{due}");
}

#[test]
fn zero_is_not_allowed_where_waking_up_breaks_the_promise() {
    let slow = State::resume(Some(195.0), Some(Duration::from_secs(40)));
    let samples = rest(600, 2);
    let decisions = decide(&policy(), slow.clone(), &samples);
    assert!(decisions.iter().all(|decision| decision.replicas >= 1));
    let held = decisions.last().unwrap();
    assert_eq!(held.replicas, 1, "{held:?}");
    let last = last(&policy(), slow, &rest(600, 1));
    assert_eq!(last.replicas, 1);
    // With a longer promise it may.
    let patient = Policy {
        max_delay: Duration::from_secs(60),
        ..policy()
    };
    let slow = State::resume(Some(195.0), Some(Duration::from_secs(40)));
    let decisions = decide(&patient, slow, &rest(600, 1));
    assert_eq!(decisions.last().unwrap().replicas, 0);
}

#[test]
fn a_pod_that_restarts_does_not_spoil_the_measurement() {
    let mut samples = Vec::new();
    let (mut done, mut busy) = (50_000_u64, 250.0);
    for second in 0..120 {
        if second == 60 {
            (done, busy) = (0, 0.0);
        }
        done += 200;
        busy += 1.0;
        let mut sample = sample(f64::from(second), 10, 10, 1);
        let report = PodSample {
            done,
            busy: Duration::from_secs_f64(busy),
            slots: 1,
            failures: 0,
            slow_downs: 0,
        };
        sample.pods.insert("pod".to_owned(), report);
        samples.push(sample);
    }
    for decision in decide(&policy(), State::default(), &samples) {
        if let Some(capacity) = decision.outlook.capacity_per_pod {
            assert!((capacity - 200.0).abs() < 1.0, "{capacity}");
        }
    }
}

#[test]
fn capacity_counts_all_slots_of_a_pod() {
    let mut samples = Vec::new();
    for second in 0..20_u64 {
        let mut sample = sample(second as f64, 10, 10, 1);
        // Eight at once, 100 ms each.
        let report = PodSample {
            done: second * 40,
            busy: Duration::from_secs(second * 4),
            slots: 8,
            failures: 0,
            slow_downs: 0,
        };
        sample.pods.insert("pod".to_owned(), report);
        samples.push(sample);
    }
    let decision = last(&policy(), State::default(), &samples);
    let capacity = decision.outlook.capacity_per_pod.unwrap();
    assert!((capacity - 80.0).abs() < 0.1, "{capacity}");
}

#[test]
fn what_status_kept_is_used_after_a_restart() {
    let first = last(&policy(), known(), &[sample(0.0, 580, 0, 0)]);
    assert_eq!(first.outlook.capacity_per_pod, Some(195.0));
    assert_eq!(first.outlook.start_up, Some(Duration::from_secs(2)));
    let nonsense = State::resume(Some(f64::NAN), Some(Duration::ZERO));
    let first = last(&policy(), nonsense, &[sample(0.0, 580, 0, 0)]);
    assert_eq!(first.outlook.capacity_per_pod, None);
    assert_eq!(first.outlook.start_up, None);
}

#[test]
fn time_in_which_a_pod_is_kept_waiting_is_not_learned_as_its_start() {
    let learned = |held_up: bool| {
        let looks = (0..100).map(|second| {
            let (current, ready) = (u32::from(second > 0), u32::from(second > 90));
            Sample {
                current,
                ready,
                // Not at once: a pod may be on its way before anything is known to be in it.
                held_up: held_up && (5..90).contains(&second),
                ..sample(f64::from(second), 580, 0, 0)
            }
        });
        let samples: Vec<Sample> = looks.collect();
        let decision = last(&policy(), State::default(), &samples);
        decision.outlook.start_up.map(|took| took.as_secs())
    };
    assert_eq!(learned(true), None);
    assert_eq!(learned(false), Some(91));
}

#[test]
fn a_restarted_controller_lowers_nothing_until_it_has_watched() {
    let samples: Vec<Sample> = (0..40)
        .map(|second| {
            sample(
                f64::from(second),
                1000 + i64::from(second),
                1000 + i64::from(second),
                12,
            )
        })
        .collect();
    let decisions = decide(&policy(), known(), &samples);
    assert!(decisions.iter().all(|decision| decision.replicas == 12));
}

#[test]
fn a_wait_that_status_knew_of_goes_on_after_a_restart_until_those_records_are_done() {
    let late = || known().late_since(Some(at(-1320.0)));
    let waits = |samples: &[Sample]| last(&policy(), late(), samples).outlook.delay.unwrap();
    let mut samples: Vec<_> = (0..10)
        .map(|second| sample(f64::from(second), 200, 100, 1))
        .collect();
    assert!((1328..=1330).contains(&waits(&samples).as_secs()));
    samples.push(sample(10.0, 200, 150, 1));
    assert!(waits(&samples).as_secs() >= 1328, "some of them are left");
    samples.push(sample(11.0, 200, 200, 1));
    assert_eq!(waits(&samples), Duration::ZERO);
    samples.push(sample(12.0, 300, 200, 1));
    samples.push(sample(15.0, 300, 200, 1));
    assert!(waits(&samples).as_secs() < 10, "these are new");
}

/// The delay after samples of one a second, of ends and positions that are given for each.
fn delay_after(seconds: &[(f64, i64, i64)]) -> f64 {
    let samples: Vec<_> = seconds
        .iter()
        .map(|&(second, ends, committed)| sample(second, ends, committed, 1))
        .collect();
    let outlook = last(&policy(), known(), &samples).outlook;
    outlook.delay.unwrap().as_secs_f64()
}

#[test]
fn how_long_a_record_waits_is_known_however_many_come_behind_it() {
    // Three minutes of silence, then a record that nothing gets past, and one a second behind it.
    let silence = (0..180).map(|n| (f64::from(n), 1000, 1000));
    for stuck in [30, 60, 200, 2000] {
        let behind = (0..stuck).map(|n| (f64::from(180 + n), 1001 + i64::from(n), 1000));
        let delay = delay_after(&silence.clone().chain(behind).collect::<Vec<_>>());
        let waited = f64::from(stuck);
        assert!(
            (waited - 1.5..=waited).contains(&delay),
            "{delay} of {waited}"
        );
    }
}

#[test]
fn delay_is_read_off_the_past_of_the_end_offset() {
    // Ten records a second arrive in each partition and nobody works: the oldest arrived at 0.
    let samples: Vec<Sample> = (0..21)
        .map(|second| sample(f64::from(second), 100 + 10 * i64::from(second), 100, 1))
        .collect();
    let delay = last(&policy(), known(), &samples)
        .outlook
        .delay
        .unwrap()
        .as_secs_f64();
    assert!((19.5..20.0).contains(&delay), "{delay}");
    // With the group at the end of the fifteenth second it waits since then.
    let mut samples = samples;
    samples.push(sample(21.0, 310, 250, 1));
    let delay = last(&policy(), known(), &samples)
        .outlook
        .delay
        .unwrap()
        .as_secs_f64();
    assert!((5.5..6.1).contains(&delay), "{delay}");
    // Where everything is done nothing waits.
    assert_eq!(
        last(&policy(), known(), &rest(2, 1)).outlook.delay,
        Some(Duration::ZERO)
    );
    // What arrived before anybody looked has no known age.
    assert_eq!(
        last(&policy(), known(), &[sample(0.0, 9, 0, 1)])
            .outlook
            .delay,
        None
    );
}

#[test]
fn a_partition_hotter_than_a_pod_is_named() {
    let mut samples = Vec::new();
    for second in 0..60 {
        let done = 1000 + second * 10;
        let mut sample = sample(second as f64, done, done, 12);
        let hot = one(&mut sample, 5);
        hot.end = Offset(1000 + second * 400);
        hot.committed = Some(Offset(1000 + second * 190));
        samples.push(sample);
    }
    let decision = last(&policy(), known(), &samples);
    assert_eq!(decision.replicas, 12);
    assert!(labels(&decision).contains(&"HotPartition"), "{decision:?}");
}

/// A record that takes half a minute is as much as its partition gets in that time, not more.
#[test]
fn a_single_slow_record_makes_no_partition_hot() {
    let mut samples = Vec::new();
    for second in 0..60 {
        let mut sample = sample(second as f64, 1000, 1000, 12);
        let partition = one(&mut sample, 5);
        partition.end = Offset(if second < 50 { 1000 } else { 1001 });
        samples.push(sample);
    }
    let slow = State::resume(Some(0.01), Some(Duration::from_secs(2)));
    let decision = last(&policy(), slow, &samples);
    assert!(!labels(&decision).contains(&"HotPartition"), "{decision:?}");
}

#[test]
fn pods_that_start_too_slowly_for_the_promise_are_told_with_the_time_that_they_may_take() {
    let slow = State::resume(Some(195.0), Some(Duration::from_secs(40)));
    let decision = last(&policy(), slow, &rest(2, 1));
    let told = decision.reasons.iter();
    let told: Vec<String> = told
        .filter(|why| why.label() == "SLOUnreachable")
        .map(ToString::to_string)
        .collect();
    assert_eq!(told.len(), 1, "{decision:?}");
    assert!(told[0].contains("takes 40s"), "{told:?}");
    assert!(told[0].contains("a start of 16s"), "{told:?}");
    let quick = last(&policy(), known(), &rest(2, 1));
    assert!(!labels(&quick).contains(&"SLOUnreachable"));
}

#[test]
fn what_retention_is_about_to_take_orders_every_pod_that_helps() {
    let mut samples = Vec::new();
    for second in 0..240 {
        // Nothing of it presses the promise yet, but the oldest records go faster than they are read.
        let mut sample = sample(second as f64, 100_000, 90_000 + second, 1);
        for number in 0..12 {
            one(&mut sample, number).start = Offset(80_000 + 41 * second);
        }
        samples.push(sample);
    }
    let day = Policy {
        max_delay: Duration::from_secs(86_400),
        ..policy()
    };
    let decisions = decide(&day, known(), &samples);
    assert_eq!(decisions[1].replicas, 1, "{:?}", decisions[1]);
    let saved = decisions.last().unwrap();
    assert_eq!(saved.replicas, 12, "{saved:?}");
    assert_eq!(labels(saved)[0], "RetentionNear");
}

#[test]
fn a_partition_that_was_stuck_raises_nothing_while_it_catches_up() {
    let mut samples = Vec::new();
    for second in 0..400_i64 {
        let done = 1000 + second * 5;
        let mut sample = sample(second as f64, done, done, 1);
        let poisoned = one(&mut sample, 4);
        poisoned.end = Offset(1000 + second * 50);
        poisoned.pod = Some("pod".to_owned());
        if second < 200 {
            poisoned.committed = Some(Offset(10));
            poisoned.stuck = Some(Stuck {
                offset: 10,
                attempts: 5,
                error: "HttpStatus 500".to_owned(),
            });
        } else {
            poisoned.committed = Some(Offset((10 + (second - 199) * 130).min(1000 + second * 50)));
        }
        samples.push(sample);
    }
    let decisions = decide(&policy(), known(), &samples);
    for decision in &decisions {
        assert_eq!(decision.replicas, 1, "{decision:?}");
    }
    // All that arrives is told: eleven partitions with 5 a second each, and the stuck one with 50.
    for second in [150, 399] {
        let told = decisions[second].outlook.arrival_per_second.unwrap();
        assert!((95.0..115.0).contains(&told), "{second}: {told}");
    }
}

#[test]
fn a_few_records_that_waited_behind_a_stuck_one_raise_nothing_when_it_gets_loose() {
    let mut samples = Vec::new();
    for second in 0..260_i64 {
        let mut sample = sample(second as f64, 1000, 1000, 1);
        let poisoned = one(&mut sample, 4);
        poisoned.end = Offset(1000 + (second / 10).min(16));
        poisoned.pod = Some("pod".to_owned());
        poisoned.committed = Some(Offset(1000));
        if (12..200).contains(&second) {
            poisoned.stuck = Some(Stuck {
                offset: 1000,
                attempts: 5,
                error: "HttpStatus 500".to_owned(),
            });
        }
        if second > 210 {
            poisoned.committed = Some(Offset((1000 + (second - 210) / 2).min(1016)));
        }
        // What a pod can do is known, and is much more than waits.
        let done = 100 * u64::try_from(second).unwrap();
        let pod = PodSample {
            done,
            busy: Duration::from_secs_f64(done as f64 / 500.0),
            slots: 1,
            failures: 0,
            slow_downs: 0,
        };
        sample.pods.insert("pod".to_owned(), pod);
        samples.push(sample);
    }
    let policy = Policy { min: 1, ..policy() };
    for decision in decide(&policy, known(), &samples) {
        assert_eq!(decision.replicas, 1, "{decision:?}");
    }
}

#[test]
fn every_reason_reads_as_a_sentence() {
    let decision = last(&policy(), known(), &[sample(0.0, 580, 0, 0)]);
    assert_eq!(
        decision.reasons[0].to_string(),
        "raise from 0 to 3: 6960 records wait, the rate of arrivals is not known yet; a pod does \
         195 per second, and no record shall wait longer than 30s"
    );
}

/// A peak of `pods` that begins `begins` seconds after the first sample and lasts as many.
fn peak(begins: f64, lasts: f64, pods: u32) -> Schedule {
    let utc = jiff::tz::TimeZone::UTC;
    let shown = |seconds: f64| utc.to_datetime(at(seconds)).time();
    Schedule(vec![Peak {
        days: Days::Every,
        from: shown(begins),
        to: shown(begins + lasts),
        zone: utc.clone(),
        min: pods,
    }])
}

#[test]
fn a_fleet_at_zero_has_its_pods_when_a_peak_begins_and_goes_back_after_it() {
    let policy = Policy {
        schedule: peak(100.0, 300.0, 5),
        idle_to_zero: Some(Duration::from_secs(10)),
        ..policy()
    };
    // Pods start in two seconds and take some more to share the partitions.
    let (mut state, mut size) = (known(), 0);
    let mut changes = Vec::new();
    for second in 0..600 {
        let time = f64::from(second);
        let (next, decision) = step(&policy, state, &sample(time, 1000, 1000, size), at(time));
        state = next;
        if decision.replicas != size {
            changes.push((second, decision.replicas, labels(&decision)[0]));
            size = decision.replicas;
        }
    }
    let [(raised, 5, "Scheduled"), .., (lowered, 0, "Idle")] = changes[..] else {
        panic!("{changes:?}");
    };
    assert!((90..98).contains(&raised), "{changes:?}");
    assert!((400..500).contains(&lowered), "{changes:?}");
}

#[test]
fn a_peak_wakes_whoever_waits_for_it_and_needs_no_fresh_offsets() {
    let policy = Policy {
        schedule: peak(40.0, 300.0, 5),
        ..policy()
    };
    let mut state = known();
    for second in 0..5 {
        let time = f64::from(second);
        state = step(&policy, state, &sample(time, 0, 0, 0), at(time)).0;
    }
    let (state, waits) = step(&policy, state, &sample(5.0, 0, 0, 0), at(5.0));
    assert_eq!((waits.replicas, waits.watch), (0, Watch::ForArrivals));
    let wait = waits.look_again_at.duration_since(at(5.0)).as_secs_f64();
    assert!((25.0..34.0).contains(&wait), "{wait}");
    // At zero nobody reads offsets while nothing arrives.
    let (_, woken) = step(&policy, state, &sample(5.0, 0, 0, 0), waits.look_again_at);
    assert_eq!((woken.replicas, labels(&woken)[0]), (5, "Scheduled"));
    let words = woken.reasons[0].to_string();
    assert!(
        words.contains("scaling.schedule[0] keeps 5 from "),
        "{words}"
    );
    assert!(words.contains("(UTC)"), "{words}");
}

#[test]
fn a_peak_stays_within_the_limits_and_says_so() {
    let many = Policy {
        schedule: peak(-10.0, 300.0, 20),
        ..policy()
    };
    let decision = last(&many, known(), &[sample(0.0, 0, 0, 0)]);
    assert_eq!(decision.replicas, 12);
    let words = decision.reasons[0].to_string();
    assert!(words.contains("only 12 partitions"), "{words}");
    let few = Policy {
        min: 6,
        schedule: peak(-10.0, 300.0, 4),
        ..policy()
    };
    let decision = last(&few, known(), &[sample(0.0, 0, 0, 0)]);
    assert_eq!(
        (decision.replicas, labels(&decision)[0]),
        (6, "AtLeastMinReplicas")
    );
}

#[test]
fn a_peak_that_keeps_the_size_is_told_as_long_as_it_does() {
    let policy = Policy {
        schedule: peak(-10.0, 300.0, 5),
        ..policy()
    };
    let told =
        |seconds: usize| labels(&last(&policy, known(), &rest(seconds, 5))).contains(&"Scheduled");
    assert!(told(1) && told(200));
    assert!(!told(295), "it is over after 290 s");
}

#[test]
fn within_a_peak_the_load_may_ask_for_more() {
    let policy = Policy {
        schedule: peak(-10.0, 3000.0, 4),
        ..policy()
    };
    let decision = last(&policy, known(), &[sample(0.0, 3000, 0, 4)]);
    assert!(decision.replicas > 4, "{decision:?}");
    assert_eq!(labels(&decision)[0], "DelayProjected");
}

#[test]
fn an_order_of_somebody_elses_does_not_say_how_long_pods_take() {
    let mut samples = rest(3, 1);
    // Nobody looks at an idle fleet for a while, and then two more pods are there.
    let mut resized = sample(50.0, 1000, 1000, 3);
    resized.ready = 1;
    samples.push(resized);
    samples.push(sample(53.0, 1000, 1000, 3));
    let policy = Policy { min: 1, ..policy() };
    let told = last(&policy, known(), &samples).outlook.start_up;
    assert_eq!(told, Some(Duration::from_secs(2)));
}

#[test]
fn a_partition_that_waits_for_its_turn_under_a_rate_limit_is_not_stuck() {
    let rate = Some(0.1);
    let limited = Policy {
        rate,
        min: 1,
        ..policy()
    };
    let mut samples = Vec::new();
    for second in (0..900).step_by(5) {
        let mut sample = sample(f64::from(second), 20, 0, 1);
        for number in 0..12 {
            // One record each ten seconds, each time of the next partition.
            let turns = (second / 10 + 11 - number) / 12;
            let partition = one(&mut sample, usize::try_from(number).unwrap());
            partition.committed = Some(Offset(turns.into()));
            partition.pod = Some("pod".to_owned());
        }
        samples.push(sample);
    }
    for decision in decide(&limited, State::default(), &samples) {
        assert_eq!(decision.outlook.stuck, [], "{decision:?}");
        assert_eq!(decision.replicas, 1, "{decision:?}");
    }
}
