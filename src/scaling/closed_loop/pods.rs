//! Pods that do not come, that report nothing, or that report what cannot be.

use std::time::Duration;

use crate::scaling::small_world::World;
use crate::scaling::tests::known;
use crate::scaling::{Policy, State};

#[test]
fn pods_that_never_become_ready_are_made_up_for_by_others() {
    for worth in [7.5, 11.5] {
        // Of those that are made later every second one never comes.
        let world = World {
            partitions: 48,
            per_pod: 100.0,
            comes: |number, _| number <= 3 || number % 2 > 0,
            ..World::default()
        };
        let state = State::resume(Some(100.0), Some(Duration::from_secs(2)));
        let outcome = world.run(state, 3, 1800.0, |time| {
            100.0 * if time < 60.0 { 2.0 } else { worth }
        });
        let (changes, late) = (&outcome.changes, outcome.late);
        // What is missing is known after two minutes; by then as much waits.
        assert!(late < 220.0, "{worth}: late for {late} s: {changes:?}");
        assert!(changes.len() <= 6, "{worth}: {changes:?}");
    }
}

#[test]
fn where_there_is_no_room_for_more_pods_more_are_not_ordered_for_ever() {
    let world = World {
        comes: |_, before| before < 4,
        ..World::default()
    };
    let outcome = world.run(known(), 4, 3600.0, |time| {
        195.0 * if time < 60.0 { 2.0 } else { 5.5 }
    });
    let changes = &outcome.changes;
    assert!(changes.len() <= 3, "{changes:?}");
    assert!(changes.iter().all(|change| change.1 >= 4), "{changes:?}");
}

/// Looked at each 15 s a raise seems to take up to 15 s longer than it did; the pods know better.
#[test]
fn start_ups_are_learned_as_they_are_however_seldom_anybody_looks() {
    let learned = |timed: bool| {
        let world = World {
            partitions: 48,
            per_pod: 100.0,
            start_up: 10.0,
            period: 15.0,
            timed,
            ..World::default()
        };
        let load = |time: f64| 100.0 * (2.5 + 6.0 * (time / 1800.0 % 1.0));
        let state = world.run(State::default(), 3, 7200.0, load).state;
        state.orders.learned_start_up().expect("raises")
    };
    let (seen, told) = (learned(false), learned(true));
    assert!((8.0..=12.1).contains(&told), "{told} s are learned");
    assert!(seen > 13.0, "without times: {seen} s");
}

#[test]
fn a_consumer_without_reports_is_measured_by_its_commits() {
    let world = World {
        reports: false,
        ..World::default()
    };
    let outcome = world.run(State::default(), 0, 200.0, |time| {
        if (20.0..22.5).contains(&time) {
            20_000.0
        } else {
            0.0
        }
    });
    let learned = outcome.state.capacity.measured().unwrap();
    assert!((150.0..240.0).contains(&learned), "learned {learned}");
    assert_eq!(outcome.changes.last().map(|change| change.1), Some(0));
}

#[test]
fn a_consumer_without_reports_is_probed_down_until_it_shows_what_a_pod_can_do() {
    let world = World {
        reports: false,
        ..World::default()
    };
    let outcome = world.run(State::default(), 12, 1800.0, |_| 300.0);
    let size = outcome.changes.last().map(|change| change.1).unwrap();
    assert!((2..=3).contains(&size), "{:?}", outcome.changes);
    assert_eq!(outcome.late, 0.0, "worst {}", outcome.worst);
    assert!(outcome.changes.len() <= 12, "{:?}", outcome.changes);
}

/// Workers that measure something else than the time inside the handler, or nothing: what is done
/// while everything is busy says how much a pod can do.
/// A guess that is too low does not stand for ever: fewer pods are tried while nothing waits.
#[test]
fn a_guess_that_is_too_low_is_tried_with_fewer_pods() {
    let world = World {
        partitions: 48,
        reports: false,
        told_apart: true,
        ..World::default()
    };
    let guess = State::resume(Some(80.0), Some(Duration::from_secs(2)));
    let outcome = world.run(guess, 16, 3.0 * 3600.0, |_| 5.5 * 195.0);
    let last = outcome.changes.last().map(|change| change.1);
    assert!(matches!(last, Some(6 | 7)), "{:?}", outcome.changes);
    assert!(
        outcome.late < 1.0,
        "{}: {:?}",
        outcome.late,
        outcome.changes
    );
    let ups = outcome.changes.windows(2).filter(|two| two[1].1 > two[0].1);
    assert!(ups.count() <= 2, "{:?}", outcome.changes);
}

#[test]
fn reports_that_cannot_be_are_not_believed() {
    for reported in [0.0, 0.2, 5.0] {
        let world = World {
            reported,
            ..World::default()
        };
        let load = |time: f64| if time < 900.0 { 150.0 } else { 5.0 * 195.0 };
        let outcome = world.run(State::default(), 1, 3600.0, load);
        let learned = outcome.state.capacity.measured();
        assert!(
            outcome.late <= 30.0,
            "{reported}: {} s late, {:?}",
            outcome.late,
            outcome.changes
        );
        let size = outcome.changes.last().map_or(0, |change| change.1);
        assert!(
            (6..=12).contains(&size),
            "{reported}: {learned:?} {:?}",
            outcome.changes
        );
        assert!(
            outcome.changes.len() <= 12,
            "{reported}: {:?}",
            outcome.changes
        );
    }
}

/// A transaction of one record each: its marker takes an offset, too, and no pod any time.
#[test]
fn markers_between_records_bring_no_pods() {
    for (gap, size) in [(2.0, 8), (1.4, 8), (3.0, 8), (2.0, 1)] {
        let world = World {
            partitions: 48,
            per_pod: 100.0,
            start_up: 30.0,
            pause: 4.0,
            period: 5.0,
            gap,
            policy: Policy {
                min: 1,
                max_delay: Duration::from_secs(60),
                ..World::default().policy
            },
            ..World::default()
        };
        let outcome = world.run(State::default(), size, 3.0 * 3600.0, |_| 600.0);
        let changes = &outcome.changes;
        let last = changes.last().map_or(size, |change| change.1);
        assert!(last <= 8, "{gap} offsets, from {size}: {changes:?}");
        let late = changes.iter().filter(|change| change.0 > 1800.0).count();
        assert_eq!(late, 0, "{gap} offsets, from {size}: {changes:?}");
        let raised = changes.iter().any(|change| change.1 > 8);
        assert!(!raised || size == 1, "{gap} offsets: {changes:?}");
    }
}
