//! What begins to arrive at a fleet at rest is looked at again until its size is seen.

use super::{at, decide, known, labels, one, policy, rest, sample};
use crate::scaling::{Watch, step};
use crate::topic::Offset;

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
