//! What holds a size: pods that start, a roll-out, a handler that fails.

use std::time::Duration;

use super::{decide, known, labels, last, one, policy, rest, sample};
use crate::scaling::{PodSample, Policy, Sample};
use crate::topic::Offset;

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
    let decisions = decide(&at_least_one(), known(), &samples);
    assert!(decisions.iter().all(|decision| decision.replicas == 12));
    assert_eq!(labels(&decisions[199])[0], "RollingOut");
    let mut overrun = sample(0.0, 50_000, 0, 2);
    overrun.rolling = true;
    assert_eq!(last(&policy(), known(), &[overrun]).replicas, 12);
}

fn at_least_one() -> Policy {
    Policy { min: 1, ..policy() }
}

/// `seconds` of rest, with so many of `pods` ready.
fn lacking(seconds: usize, pods: u32, ready: u32) -> Vec<Sample> {
    let mut samples = rest(seconds, pods);
    for sample in &mut samples {
        sample.ready = ready;
    }
    samples
}

#[test]
fn pods_that_never_come_do_not_hold_an_idle_fleet() {
    let decisions = decide(&at_least_one(), known(), &lacking(400, 3, 1));
    assert_eq!(decisions[60].replicas, 3);
    assert_eq!(labels(&decisions[60])[0], "PodsStarting");
    assert_eq!(decisions[399].replicas, 1);
}

/// One of three never comes and was given up; then a fourth is ordered, or one is let go.
#[test]
fn a_pod_that_was_given_up_is_not_waited_for_once_more() {
    let after = |pods: u32, ready: u32| {
        let mut samples = lacking(400, 3, 2);
        for mut sample in lacking(430, pods, ready).split_off(400) {
            for number in 0..12 {
                one(&mut sample, number).end = Offset(1001);
            }
            samples.push(sample);
        }
        let decisions = decide(&at_least_one(), known(), &samples);
        assert!(labels(&decisions[399]).contains(&"PodsMissing"));
        decisions
    };
    let lowered = after(2, 1);
    for decision in &lowered[400..] {
        assert!(!labels(decision).contains(&"PodsStarting"), "{decision:?}");
    }
    let raised = after(6, 3);
    let told = raised[405..].iter().flat_map(|decision| &decision.reasons);
    let told: Vec<String> = told.map(ToString::to_string).collect();
    let starting: Vec<_> = told.iter().filter(|why| why.contains("ordered")).collect();
    assert!(!starting.is_empty(), "{told:?}");
    for why in starting {
        assert!(why.ends_with("waits for 2 more"), "{why}");
    }
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

/// The handler answers everything with 503, from the 100th second on.
fn turned_away(seconds: usize) -> Vec<Sample> {
    let one = |second: usize| {
        let mut sample = sample(second as f64, 1000 + second as i64, 1000, 2);
        let (done, asked) = (second.min(100) as u64, second.saturating_sub(100) as u64);
        if second <= 100 {
            for number in 0..12 {
                one(&mut sample, number).committed = Some(Offset(1000 + second as i64));
            }
        }
        let report = PodSample {
            done,
            busy: Duration::from_secs(done),
            slots: 1,
            failures: 0,
            // Where nothing moves they come twice a minute.
            slow_downs: asked / 30 * 30,
        };
        sample.pods.insert("pod".to_owned(), report);
        sample
    };
    (0..seconds).map(one).collect()
}

#[test]
fn a_handler_that_takes_nothing_is_told_and_raises_nothing() {
    let decisions = decide(&policy(), known(), &turned_away(1000));
    let told = |decision: &crate::scaling::Decision| labels(decision).contains(&"HandlerTurnsAway");
    let first = decisions.iter().position(told).expect("it is told");
    assert!((160..=200).contains(&first), "{first}");
    for decision in &decisions[first..] {
        assert!(told(decision) && decision.replicas <= 2, "{decision:?}");
    }
    // One record that it takes ends that.
    let mut samples = turned_away(400);
    samples[399].pods.get_mut("pod").unwrap().done += 1;
    assert!(!told(&last(&policy(), known(), &samples)));
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
