//! What raises a fleet, to which size, and how that is told.

use std::time::Duration;

use super::{decide, known, labels, last, one, partition, policy, rest, sample};
use crate::scaling::{Policy, State};
use crate::topic::Offset;

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
fn every_reason_reads_as_a_sentence() {
    let decision = last(&policy(), known(), &[sample(0.0, 580, 0, 0)]);
    assert_eq!(
        decision.reasons[0].to_string(),
        "raise from 0 to 3: 6960 records wait, the rate of arrivals is not known yet; a pod does \
         195 per second, and no record shall wait longer than 30s"
    );
}
