//! Records that take long and that pods have in hand, many at once: they wait for nobody.

use std::time::Duration;

use super::{at, decide, labels, partition, policy, sample};
use crate::scaling::{PodSample, Policy, Sample, State};
use crate::topic::Offset;

/// How long a record takes, how many a pod has in hand at once, and how many arrive per second in each of 12 partitions.
const TAKES: f64 = 60.0;
const SLOTS: u32 = 64;
const RATE: f64 = 0.5;

fn allows(minutes: u64) -> Policy {
    Policy {
        min: 1,
        max_delay: Duration::from_secs(60 * minutes),
        concurrency: SLOTS,
        ..policy()
    }
}

/// `seconds` after `pods` began, who finish each record [`TAKES`] seconds after it came.
fn at_work(seconds: f64, pods: u32, reports: bool) -> Sample {
    let end = |seconds: f64| (RATE * seconds.max(0.0)) as i64;
    let finished = end(seconds - TAKES);
    let mut sample = sample(seconds, end(seconds), finished, pods);
    let share = 12.0 / f64::from(pods);
    for number in 0..12 {
        let pod = format!("pod-{}", number as u32 % pods);
        super::one(&mut sample, number).pod = Some(pod);
    }
    if reports {
        // A record counts as busy for as long as it has been in hand.
        let busy = RATE * share * (seconds - TAKES).max(0.0) * TAKES
            + RATE * share * seconds.min(TAKES).powi(2) / 2.0;
        for pod in 0..pods {
            let told = PodSample {
                done: (share * finished as f64) as u64,
                busy: Duration::from_secs_f64(busy),
                slots: SLOTS,
                failures: 0,
                slow_downs: 0,
            };
            sample.pods.insert(format!("pod-{pod}"), told);
        }
    }
    sample
}

/// 360 records are in hand all the time, and six pods have room for 384.
#[test]
fn what_pods_have_in_hand_is_no_backlog() {
    for minutes in [5, 10, 60, 120] {
        for reports in [true, false] {
            let samples: Vec<Sample> = (0..360)
                .map(|look| at_work(5.0 * f64::from(look), 6, reports))
                .collect();
            let decisions = decide(&allows(minutes), State::default(), &samples);
            for (look, decision) in decisions.iter().enumerate() {
                assert!(
                    decision.replicas <= 6,
                    "{minutes} min, reports {reports}, at {} s: {:?}",
                    5 * look,
                    decision.reasons
                );
                let labels = labels(decision);
                assert!(
                    !labels.contains(&"StuckLeftOut") && !labels.contains(&"CatchingUp"),
                    "at {} s: {labels:?}",
                    5 * look
                );
            }
            if reports {
                let measured = decisions.last().unwrap().outlook.capacity_per_pod.unwrap();
                let truly = f64::from(SLOTS) / TAKES;
                assert!((measured / truly - 1.0).abs() < 0.05, "{measured}");
            }
        }
    }
}

/// Pods that have just begun have finished nothing, however many records they have in hand.
#[test]
fn pods_say_what_they_can_do_once_they_have_done_some() {
    let capacity = |seconds: f64| {
        let samples: Vec<Sample> = (0..)
            .map(|look| 5.0 * f64::from(look))
            .take_while(|time| *time <= seconds)
            .map(|time| at_work(time, 6, true))
            .collect();
        let decisions = decide(&allows(10), State::default(), &samples);
        decisions.last().unwrap().outlook.capacity_per_pod
    };
    assert_eq!(capacity(65.0), None, "the first ones are the shortest");
    assert!(capacity(400.0).is_some());
}

/// More than pods have room for does wait, for as long as it is behind.
#[test]
fn what_pods_have_no_room_for_waits() {
    let mut sample = at_work(600.0, 6, true);
    assert_eq!(sample.partitions.len(), 12);
    for number in 0..12 {
        super::one(&mut sample, number).end.0 += 1000;
    }
    let known = crate::scaling::reading::read(&allows(10), &sample, &State::default(), at(600.0));
    let first = known.of(&partition(0)).unwrap();
    assert_eq!((first.in_hand, first.waits), (32, 998), "{first:?}");
    assert_eq!(first.next, Offset(270));
    // Without pods nothing is in hand.
    sample.current = 0;
    sample.ready = 0;
    let known = crate::scaling::reading::read(&allows(10), &sample, &State::default(), at(600.0));
    assert_eq!(known.of(&partition(0)).unwrap().waits, 1030);
}
