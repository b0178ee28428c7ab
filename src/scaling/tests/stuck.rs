//! Partitions that are stuck raise nothing, also when they get loose; and what is not called stuck.

use std::time::Duration;

use super::{decide, known, last, one, partition, policy, sample};
use crate::report::Stuck;
use crate::scaling::{PodSample, Policy, Sample, State};
use crate::topic::Offset;

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
