//! Loads that are constant, noisy, outgrown, or come and go: the size that is found, and how rarely it changes.

use std::time::Duration;

use crate::scaling::small_world::{Random, TICK, World};
use crate::scaling::{Policy, State};

#[test]
fn constant_load_is_left_alone_once_its_size_is_found() {
    for worth in [0.7, 1.0, 2.6, 3.9, 5.5, 6.0, 9.0, 11.7] {
        let world = World {
            period: 5.0,
            ..World::default()
        };
        let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
        let outcome = world.run(state, 4, 4.0 * 3600.0, |_| worth * 195.0);
        let late = outcome.changes.iter().filter(|change| change.0 > 3600.0);
        assert_eq!(
            late.count(),
            0,
            "{worth} pods' worth: {:?}",
            outcome.changes
        );
    }
}

#[test]
fn noisy_constant_load_changes_the_size_rarely_and_keeps_the_promise() {
    for seed in 1..=2 {
        for (rate, most) in [(150.0, 2), (400.0, 4), (700.0, 4), (1100.0, 4)] {
            let mut random = Random(seed * 7919);
            let world = World::default();
            let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
            let outcome = world.run(state, 1, 700.0, |_| {
                rate * (0.5 + random.next()) * if random.next() < 0.02 { 4.0 } else { 0.94 }
            });
            let changes = outcome.changes.len();
            assert!(
                changes <= most,
                "{rate}/s, seed {seed}: {:?}",
                outcome.changes
            );
            assert!(
                outcome.late == 0.0,
                "{rate}/s, seed {seed}: late {}",
                outcome.late
            );
            let needed = (rate / 195.0).ceil() * 700.0;
            assert!(
                outcome.pod_seconds < needed * 2.1,
                "{rate}/s: {} pod-seconds",
                outcome.pod_seconds
            );
        }
    }
}

#[test]
fn a_step_of_the_load_is_answered_once_and_in_time() {
    for (from, to) in [(100.0, 600.0), (300.0, 1500.0), (50.0, 2000.0)] {
        let world = World {
            start_up: 4.0,
            pause: 1.0,
            ..World::default()
        };
        let state = State::resume(Some(195.0), Some(Duration::from_secs(4)));
        let outcome = world.run(state, 2, 300.0, |time| if time < 100.0 { from } else { to });
        let raises = outcome
            .changes
            .iter()
            .filter(|change| change.0 >= 100.0)
            .count();
        assert!(raises <= 2, "{from} to {to}: {:?}", outcome.changes);
        assert_eq!(outcome.late, 0.0, "{from} to {to}: worst {}", outcome.worst);
    }
}

/// What is ordered comes after the promise has run out; all the same it is what ends the wait.
#[test]
fn a_load_that_has_outgrown_its_pods_is_answered_however_long_pods_take_to_start() {
    for (promise, start_up) in [(15, 70.0), (60, 240.0)] {
        let mut world = World {
            partitions: 48,
            per_pod: 50.0,
            start_up,
            pause: 2.0,
            period: 5.0,
            ..World::default()
        };
        world.policy.max_delay = Duration::from_secs(promise);
        let learned = Duration::from_secs_f64(start_up);
        let state = State::resume(Some(50.0), Some(learned));
        // A little more than three pods do, and more by little and little.
        let load = |time: f64| (140.0 + time / 60.0).min(165.0);
        let outcome = world.run(state, 3, 3000.0, load);
        assert!(
            outcome.late < 3.0 * start_up,
            "{promise} s, start {start_up} s: late {}, {:?}",
            outcome.late,
            outcome.changes
        );
    }
}

/// Pods that go in a lull of forty seconds would be missing a moment later.
#[test]
fn a_load_that_comes_and_goes_every_forty_seconds_keeps_its_pods() {
    let mut world = World {
        partitions: 48,
        per_pod: 50.0,
        start_up: 30.0,
        pause: 5.0,
        period: 5.0,
        ..World::default()
    };
    world.policy.max_delay = Duration::from_secs(60);
    world.policy.min = 1;
    let state = State::resume(Some(50.0), Some(Duration::from_secs(30)));
    let load = |time: f64| if time % 80.0 < 40.0 { 400.0 } else { 5.0 };
    let outcome = world.run(state, 4, 4.0 * 3600.0, load);
    let later = outcome.changes.iter().filter(|change| change.0 > 3600.0);
    assert!(later.count() <= 4, "{:?}", outcome.changes);
    assert_eq!(outcome.late, 0.0, "worst {}", outcome.worst);
}

#[test]
fn load_that_comes_and_goes_every_few_seconds_does_not_flap() {
    for (on, off) in [(3.0, 4.0), (5.0, 8.0), (10.0, 10.0), (10.0, 25.0)] {
        let world = World::default();
        let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
        let outcome = world.run(state, 0, 500.0, |time| {
            if time % (on + off) < on { 900.0 } else { 0.0 }
        });
        let changes = outcome.changes.len();
        assert!(changes <= 12, "{on}s on, {off}s off: {:?}", outcome.changes);
        let late = outcome.changes.iter().filter(|change| change.0 > 250.0);
        assert!(
            late.count() <= 2,
            "{on}s on, {off}s off: {:?}",
            outcome.changes
        );
        assert_eq!(outcome.late, 0.0, "{on}s on, {off}s off");
    }
}

/// The partition that gets a third of the load is on one pod, whatever their number: it says nothing of how the others lie.
#[test]
fn one_hot_partition_does_not_keep_pods_for_all_the_others() {
    let mut world = World {
        partitions: 48,
        per_pod: 100.0,
        start_up: 30.0,
        pause: 4.0,
        period: 5.0,
        hot: 0.3,
        ..World::default()
    };
    world.policy.max_delay = Duration::from_secs(60);
    let state = State::resume(Some(100.0), Some(Duration::from_secs(30)));
    let outcome = world.run(state, 8, 7200.0, |_| 200.0);
    let last = outcome.changes.last().map(|change| change.1);
    assert!(matches!(last, Some(4 | 5)), "{:?}", outcome.changes);
    assert!(outcome.changes.len() <= 3, "{:?}", outcome.changes);
    assert_eq!(outcome.late, 0.0, "worst {}", outcome.worst);
}

/// A batch is a backlog, and no rate that goes on.
#[test]
fn a_batch_gets_the_pods_that_its_backlog_needs() {
    for period in [1.5, 5.0] {
        let world = World {
            partitions: 48,
            period,
            start_up: 20.0,
            pause: 3.0,
            policy: Policy {
                min: 1,
                max_delay: Duration::from_secs(60),
                ..World::default().policy
            },
            ..World::default()
        };
        let state = State::resume(Some(195.0), Some(Duration::from_secs(22)));
        let outcome = world.run(state, 1, 1200.0, |time| {
            if (600.0..600.95).contains(&time) {
                12_000.0
            } else {
                60.0
            }
        });
        let most = outcome.changes.iter().map(|change| change.1).max();
        assert!(
            most.is_some_and(|most| most <= 10),
            "{period}: {:?}",
            outcome.changes
        );
        assert_eq!(
            outcome.late, 0.0,
            "{period}: {} {:?}",
            outcome.worst, outcome.changes
        );
    }
}

/// To wait for longer and longer spares nothing where the time to the next record does not depend on how long it was
/// quiet.
#[test]
fn single_records_far_apart_keep_no_pod_waiting_for_them() {
    let mut world = World {
        start_up: 30.0,
        pause: 5.0,
        period: 5.0,
        ..World::default()
    };
    world.policy.max_delay = Duration::from_secs(60);
    let (mut random, mut next) = (Random(11), 0.0);
    let length = 24.0 * 3600.0;
    let outcome = world.run(State::default(), 0, length, |time| {
        if time < next {
            return 0.0;
        }
        next = time - 600.0 * (1.0 - random.next()).ln();
        1.0 / TICK
    });
    assert_eq!(outcome.late, 0.0, "worst {}", outcome.worst);
    assert!(
        outcome.pod_seconds < 0.5 * length,
        "a pod is there for {:.2} of the time",
        outcome.pod_seconds / length
    );
}

#[test]
fn a_trickle_is_carried_by_one_pod() {
    let world = World::default();
    let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
    let outcome = world.run(state, 0, 600.0, |_| 2.0);
    let sizes: Vec<u32> = outcome.changes.iter().map(|change| change.1).collect();
    assert_eq!(sizes, [1]);
    assert!(outcome.worst < 5.0, "{}", outcome.worst);
}
