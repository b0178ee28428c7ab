//! What changes no size and is told: hot partitions, and pods that start too slowly for the promise.

use std::time::Duration;

use super::{decide, known, labels, last, one, policy, rest, sample};
use crate::scaling::State;
use crate::topic::Offset;

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

/// All of one second's records have one key: that is over before anybody could spread keys.
#[test]
fn a_batch_of_one_second_makes_no_partition_hot() {
    for period in [1, 5] {
        let mut samples = Vec::new();
        for second in (0..90).filter(|second| second % period == 0) {
            let mut sample = sample(second as f64, 1000, 1000, 12);
            let batch = one(&mut sample, 5);
            if second >= 50 {
                batch.end = Offset(7000);
                batch.committed = Some(Offset((1000 + (second - 50) * 190).min(7000)));
            }
            samples.push(sample);
        }
        for decision in decide(&policy(), known(), &samples) {
            assert!(!labels(&decision).contains(&"HotPartition"), "{decision:?}");
        }
    }
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
    // All that it adds up is said.
    assert_eq!(
        told[0],
        "a sudden rise of the load breaks the promise of 30s: it is noticed after 10s, a pod takes 40s to start, and the group up to 5s to share its partitions out, which is 55s; it holds with a start of 15s, or raise scaling.maxDelay or scaling.minReplicas"
    );
    // A load that has been the same for a quarter of an hour is no sudden rise.
    let same: Vec<_> = (0..300)
        .map(|look| {
            sample(
                f64::from(look) * 5.0,
                1000 + i64::from(look) * 50,
                1000 + i64::from(look) * 50,
                1,
            )
        })
        .collect();
    let slow = || State::resume(Some(195.0), Some(Duration::from_secs(40)));
    let decision = last(&policy(), slow(), &same);
    assert_eq!(labels(&decision), ["Enough"], "{decision:?}");
    let decision = last(&policy(), slow(), &same[..100]);
    assert_eq!(
        labels(&decision),
        ["Enough", "SLOUnreachable"],
        "{decision:?}"
    );
    let quick = last(&policy(), known(), &rest(2, 1));
    assert!(!labels(&quick).contains(&"SLOUnreachable"));
}
