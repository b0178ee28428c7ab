//! What is not known, or not known any more: it lowers nothing, and is looked at again soon.

use super::{at, decide, known, labels, last, one, partition, policy, rest, sample};
use crate::scaling::{Decision, step};
use crate::topic::Offset;

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
    sample.partitions = crate::topic::ByPartition::default();
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
fn at_zero_nobody_says_that_nothing_waits_where_that_is_not_known() {
    let mut samples = rest(60, 0);
    for sample in &mut samples {
        one(sample, 0).committed = Some(Offset(100_000));
    }
    for decision in decide(&policy(), known(), &samples) {
        assert_eq!(decision.replicas, 0);
        assert_eq!(labels(&decision), ["LagUnknown"]);
    }
}

#[test]
fn retention_that_passed_the_group_counts_from_the_start() {
    let mut sample = sample(0.0, 1000, 10, 1);
    one(&mut sample, 0).start = Offset(900);
    assert_eq!(one(&mut sample, 0).lag().unwrap().0, 100);
    one(&mut sample, 0).committed = None;
    assert_eq!(one(&mut sample, 0).lag().unwrap().0, 100);
}
