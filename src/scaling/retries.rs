//! Records that failed and are tried again hold the committed offset, and no number of pods helps them.

use std::time::Duration;

use super::tests::{decide, known, labels, one, policy, sample};
use super::{Beyond, Decision, PodSample, Sample};
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
    });
    assert_eq!((held.next(), held.waits()), (Offset(30), 50));
    // An end that is older than the report, or a start beyond it.
    held.end = Offset(25);
    assert_eq!((held.next(), held.waits()), (Offset(25), 0));
    (held.start, held.end) = (Offset(60), Offset(100));
    assert_eq!((held.next(), held.waits()), (Offset(60), 20));
}
