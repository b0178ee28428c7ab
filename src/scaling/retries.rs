//! Records that failed and are tried again hold the committed offset, and no number of pods helps them.

use std::time::Duration;

use super::tests::{decide, known, labels, one, policy, sample};
use super::{Beyond, Decision, PodSample, Policy, Sample};
use crate::report::Later;
use crate::topic::Offset;

const PODS: u32 = 4;

/// 480 records a second, all done at once, but for one in each partition that fails, at offset 400.
fn some_fail(seconds: usize, told: bool) -> Vec<Sample> {
    (0..seconds)
        .map(|second| {
            let end = 40 * second as i64;
            let mut sample = sample(second as f64, end, end - 2, PODS);
            for pod in 0..PODS {
                let report = PodSample {
                    done: 120 * second as u64,
                    busy: Duration::from_millis(120 * 5 * second as u64),
                    slots: 1,
                    failures: 0,
                    slow_downs: 0,
                };
                sample.pods.insert(format!("pod-{pod}"), report);
            }
            for number in (0..12).filter(|_| end > 402) {
                let held = one(&mut sample, number);
                held.committed = Some(Offset(400));
                held.beyond = told.then_some(Beyond {
                    next: Offset(end - 2),
                    more: 0,
                    retried: 1,
                    tried: 1,
                    later: None,
                });
            }
            sample
        })
        .collect()
}

fn largest(decisions: &[Decision]) -> u32 {
    let sizes = decisions.iter().map(|decision| decision.replicas);
    sizes.max().unwrap_or_default()
}

#[test]
fn records_that_are_tried_again_ask_for_no_pods_and_that_is_told() {
    let decisions = decide(&policy(), known(), &some_fail(120, true));
    assert!(largest(&decisions[20..]) <= PODS);
    let last = decisions.last().unwrap();
    assert!(
        labels(last).contains(&"RetriesLeftOut"),
        "{:?}",
        last.reasons
    );
    let told = last.reasons.iter().map(ToString::to_string);
    let told: Vec<_> = told.filter(|why| why.contains("tried again")).collect();
    assert!(
        told[0].starts_with("12 records failed and are tried again, in orders["),
        "{told:?}"
    );
    // People are told of it all the same.
    let delay = last.outlook.delay.unwrap().as_secs();
    assert!((100..120).contains(&delay), "{delay}");
    assert_eq!(last.outlook.lag, Some(12 * (40 * 119 - 400)));

    // If nobody said so, all behind it would seem to wait.
    let decisions = decide(&policy(), known(), &some_fail(60, false));
    assert!(largest(&decisions[20..]) > PODS);
}

/// One of the pods has two partitions with a record that fails; the pods finish records or not, as is said.
fn at_one_pod(finishes: bool, pods: [&str; 2]) -> String {
    let samples: Vec<_> = (0..60)
        .map(|second| {
            let mut sample = sample(f64::from(second), 402, 401, PODS);
            for (number, pod) in pods.iter().enumerate() {
                let held = one(&mut sample, number);
                held.committed = Some(Offset(400));
                held.pod = Some((*pod).to_owned());
                held.beyond = Some(Beyond {
                    next: Offset(401),
                    more: 0,
                    retried: 1,
                    later: None,
                    tried: 1,
                });
                let report = PodSample {
                    done: 100 + if finishes { second as u64 } else { 0 },
                    busy: Duration::from_secs(second as u64),
                    slots: 1,
                    failures: second as u64 / 20,
                    slow_downs: 0,
                };
                sample.pods.insert((*pod).to_owned(), report);
            }
            sample
        })
        .collect();
    let last = decide(&policy(), known(), &samples).pop().unwrap();
    let told = last.reasons.iter().map(ToString::to_string);
    let told: Vec<_> = told.filter(|why| why.contains("tried again")).collect();
    assert_eq!(told.len(), 1, "{:?}", last.reasons);
    told[0].clone()
}

/// Its own handler may be gone, and then any other pod would handle them.
#[test]
fn that_no_number_of_pods_helps_is_not_said_of_one_pod_that_finishes_nothing() {
    let one = at_one_pod(false, ["pod-1", "pod-1"]);
    assert!(one.contains("all at pod pod-1"), "{one}");
    assert!(!one.contains("no number of pods"), "{one}");
    // A handler that answers others, and one that fails at several pods, tell of the records.
    for (finishes, pods) in [(true, ["pod-1", "pod-1"]), (false, ["pod-1", "pod-2"])] {
        let told = at_one_pod(finishes, pods);
        assert!(told.contains("no number of pods helps"), "{told}");
        assert!(!told.contains("pod-1"), "{told}");
    }
}

/// 4 pods at most, which do 50 records a second each. From second 10 on a record fails in the first of `held` partitions,
/// and 40 of its key come each second, which wait behind it; all others arrive at `arrives` a second and are done at
/// `done` a second, in each partition.
fn a_key_hangs(seconds: i64, held: usize, arrives: i64, done: i64) -> Vec<Sample> {
    const FROM: i64 = 10;
    (0..seconds)
        .map(|second| {
            let (end, finished) = (arrives * second, done * second);
            let mut sample = sample(second as f64, end, finished, PODS);
            for pod in 0..PODS {
                let of_pod = (3 * finished).unsigned_abs();
                let report = PodSample {
                    done: of_pod,
                    busy: Duration::from_millis(of_pod * 200),
                    slots: 10,
                    failures: (second / 20).unsigned_abs(),
                    slow_downs: 0,
                };
                sample.pods.insert(format!("pod-{pod}"), report);
            }
            for number in 0..12 {
                let one = one(&mut sample, number);
                one.pod = Some(format!("pod-{}", number % PODS as usize));
                if number >= held || second <= FROM {
                    continue;
                }
                let first = done * FROM;
                one.end = Offset(end + 40 * (second - FROM));
                one.committed = Some(Offset(first));
                one.beyond = Some(Beyond {
                    next: Offset(first + 1),
                    more: (finished - first - 1).unsigned_abs(),
                    retried: 1,
                    tried: 1,
                    later: None,
                });
            }
            sample
        })
        .collect()
}

fn of_four_pods(samples: &[Sample]) -> Vec<Decision> {
    let policy = Policy {
        max: Some(PODS),
        ..policy()
    };
    decide(&policy, known(), samples)
}

#[test]
fn no_reason_asks_for_more_pods_where_all_that_presses_waits_behind_a_record_that_fails() {
    let decisions = of_four_pods(&a_key_hangs(55, 1, 5, 5));
    for decision in &decisions {
        let asks = |label: &&str| label.starts_with("CappedBy") || *label == "DelayProjected";
        let labels = labels(decision);
        assert!(!labels.iter().any(asks), "{:?}", decision.reasons);
    }
    let last = decisions.last().unwrap();
    assert_eq!(labels(last), ["RetriesLeftOut"], "{:?}", last.reasons);
    let told = last.reasons[0].to_string();
    assert!(
        told.contains("no number of pods helps it, nor what waits behind it; drover lag"),
        "{told}"
    );
    // Nor is a pod ordered where there could be more.
    let decisions = decide(&policy(), known(), &a_key_hangs(55, 1, 5, 5));
    assert_eq!(largest(&decisions[20..]), PODS);
}

#[test]
fn a_record_that_fails_does_not_hide_that_others_need_more_pods() {
    for held in [1, 12] {
        let decisions = of_four_pods(&a_key_hangs(120, held, 40, 16));
        let last = decisions.last().unwrap();
        assert!(
            labels(last).contains(&"CappedByMaxReplicas"),
            "{held}: {:?}",
            last.reasons
        );
    }
}

/// All that is left failed, and is tried again.
fn only_retries(second: f64, pods: u32) -> Sample {
    let mut sample = sample(second, 10, 10, pods);
    let held = one(&mut sample, 0);
    held.committed = Some(Offset(7));
    held.beyond = Some(Beyond {
        next: Offset(10),
        more: 0,
        retried: 3,
        tried: 1,
        later: None,
    });
    sample
}

#[test]
fn a_pod_stays_for_what_is_tried_again() {
    let samples: Vec<_> = (0..900)
        .map(|second| only_retries(f64::from(second), 1))
        .collect();
    let decisions = decide(&policy(), known(), &samples);
    assert!(decisions.iter().all(|decision| decision.replicas == 1));
}

#[test]
fn what_is_to_be_tried_again_wakes_a_fleet() {
    let samples = [only_retries(0.0, 0), only_retries(1.0, 0)];
    let decisions = decide(&policy(), known(), &samples);
    assert_eq!(decisions[1].replicas, 1, "{:?}", decisions[1].reasons);
    assert_eq!(decisions[1].outlook.lag, Some(3));
}

#[test]
fn what_waits_is_neither_finished_nor_failed() {
    let mut sample = sample(0.0, 100, 10, 1);
    let held = one(&mut sample, 0);
    assert_eq!((held.next(), held.waits()), (Offset(10), 90));
    held.beyond = Some(Beyond {
        next: Offset(30),
        more: 20,
        retried: 1,
        tried: 1,
        later: None,
    });
    assert_eq!((held.next(), held.waits()), (Offset(30), 50));
    // An end that is older than the report, or a start beyond it.
    held.end = Offset(25);
    assert_eq!((held.next(), held.waits()), (Offset(25), 0));
    (held.start, held.end) = (Offset(60), Offset(100));
    assert_eq!((held.next(), held.waits()), (Offset(60), 20));
}

/// In each partition the record at 400 has failed at second 10, and waits an hour for its later attempt, 5 of its key behind
/// it; all others are done at once: 480 a second for two minutes, then 12.
fn some_wait_for_an_hour(seconds: i64) -> Vec<Sample> {
    const DUE: u64 = 1_800_003_610;
    (0..seconds)
        .map(|second| {
            let end = 40 * second.min(120) + second;
            let mut sample = sample(second as f64, end, end, PODS);
            for pod in 0..PODS {
                let report = PodSample {
                    done: 120 * second.min(120).unsigned_abs(),
                    busy: Duration::from_millis(120 * 5 * second.min(120).unsigned_abs()),
                    slots: 1,
                    failures: 0,
                    slow_downs: 0,
                };
                sample.pods.insert(format!("pod-{pod}"), report);
            }
            for number in (0..12).filter(|_| second >= 12) {
                let held = one(&mut sample, number);
                held.committed = Some(Offset(400));
                held.beyond = Some(Beyond {
                    next: Offset(end),
                    more: 0,
                    retried: 1,
                    tried: 0,
                    later: Some(Later {
                        records: 1,
                        behind: 5,
                        next_at: DUE,
                        next: end,
                        more: 0,
                    }),
                });
            }
            sample
        })
        .collect()
}

#[test]
fn records_that_wait_for_an_hour_neither_raise_nor_hold_the_size_and_are_no_delay() {
    let decisions = decide(&policy(), known(), &some_wait_for_an_hour(3_000));
    assert!(largest(&decisions[20..]) <= PODS);
    let last = decisions.last().unwrap();
    assert_eq!(last.replicas, 1, "what the rest needs: {:?}", last.reasons);
    assert_eq!(last.outlook.stuck, [], "that is no defect");
    // It is wanted so: no promise is broken by it. They are part of the lag, though.
    assert!(last.outlook.delay.unwrap() < Duration::from_secs(10));
    assert!(last.outlook.lag.unwrap() > 12);
    let told = last.reasons.iter().map(ToString::to_string);
    let told: Vec<_> = told.filter(|why| why.contains("tried again")).collect();
    assert!(
        told[0].contains("12 as spec.delivery.retry.then has it, the next at 2027-01-15T09:00:10Z"),
        "{told:?}"
    );
}

#[test]
fn where_all_that_is_left_waits_for_an_hour_one_pod_stays() {
    let mut samples = some_wait_for_an_hour(3_000);
    let (end, at) = (samples[200].clone(), |second: usize| samples[second].at);
    let times: Vec<_> = (0..3_000).map(at).collect();
    for (sample, at) in samples.iter_mut().zip(times).skip(200) {
        *sample = Sample { at, ..end.clone() };
    }
    let decisions = decide(&policy(), known(), &samples);
    assert_eq!(decisions.last().unwrap().replicas, 1);
}
