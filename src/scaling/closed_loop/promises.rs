//! Promises of hours: room for peaks, and no reason to put off what a load that goes on brings.

use std::time::Duration;

use crate::scaling::small_world::{Outcome, World};
use crate::scaling::{Policy, State};

const HOUR: f64 = 3600.0;

/// 48 partitions, and pods that do 50 records per second.
fn run(promise: f64, size: u32, hours: f64, load: fn(f64) -> f64) -> Outcome {
    let world = World {
        partitions: 48,
        per_pod: 50.0,
        start_up: 30.0,
        pause: 4.0,
        period: 5.0,
        policy: Policy {
            min: 1,
            max_delay: Duration::from_secs_f64(promise),
            ..World::default().policy
        },
        ..World::default()
    };
    let state = State::resume(Some(50.0), Some(Duration::from_secs(30)));
    world.run(state, size, hours * HOUR, load)
}

#[test]
fn a_constant_load_keeps_its_pods_however_long_the_promise() {
    for promise in [120.0, 600.0, HOUR, 4.0 * HOUR, 24.0 * HOUR] {
        let outcome = run(promise, 7, 3.0, |_| 300.0);
        assert_eq!(outcome.changes, [], "{promise} s");
    }
}

/// The size that keeps up is found in one step; in two where fewer pods let nothing wait for long until it shows that the
/// load is no peak.
#[test]
fn a_load_that_has_come_to_stay_gets_the_size_that_keeps_up_with_it() {
    for promise in [HOUR, 4.0 * HOUR, 24.0 * HOUR] {
        let outcome = run(promise, 1, 6.0, |_| 310.0);
        let changes = &outcome.changes;
        let sizes: Vec<u32> = changes.iter().map(|change| change.1).collect();
        // A second change takes back what was only for the backlog of the beginning.
        let found = match sizes[..] {
            [fewer, ref rest @ ..] if fewer < 7 => matches!(rest, [7 | 8] | [8..=12, 7]),
            _ => matches!(sizes[..], [7 | 8] | [8..=12, 7]),
        };
        assert!(found, "{promise} s: {changes:?}");
        assert_eq!(outcome.late, 0.0, "{promise} s: {}", outcome.worst);
    }
}

/// Ten minutes of each hour bring six times as much; four pods do what comes on the whole.
#[test]
fn peaks_are_flattened_by_a_long_promise() {
    let load = |time: f64| if time % HOUR < 600.0 { 450.0 } else { 75.0 };
    let short = run(60.0, 2, 12.0, load);
    let long = run(4.0 * HOUR, 2, 12.0, load);
    assert_eq!((short.late, long.late), (0.0, 0.0));
    assert!(
        long.pod_seconds < 0.8 * short.pod_seconds,
        "{} and {}: {:?}",
        long.pod_seconds,
        short.pod_seconds,
        long.changes
    );
    let most = long.changes.iter().map(|change| change.1).max();
    assert!(most <= Some(12), "{:?}", long.changes);
}

/// What a large backlog took is no measure for what comes after it.
#[test]
fn a_fleet_comes_down_once_its_debt_is_worked_off() {
    let load = |time: f64| match time {
        _ if time < HOUR => 150.0,
        _ if time < 1.5 * HOUR => 1000.0,
        _ => 150.0,
    };
    let outcome = run(HOUR, 4, 6.0, load);
    assert_eq!(outcome.late, 0.0, "{}", outcome.worst);
    let last = outcome.changes.last().map(|change| change.1);
    assert!(matches!(last, Some(3..=5)), "{:?}", outcome.changes);
    assert!(outcome.changes.len() <= 4, "{:?}", outcome.changes);
}

/// Six hundred pod-seconds at once, each quarter of an hour: that is nearly one pod's work, and no rate.
#[test]
fn a_batch_that_one_pod_does_in_time_gets_one_pod_from_zero() {
    let world = World {
        partitions: 48,
        per_pod: 50.0,
        start_up: 30.0,
        pause: 4.0,
        period: 5.0,
        policy: Policy {
            min: 0,
            max_delay: Duration::from_secs(4 * 3600),
            idle_to_zero: Some(Duration::from_secs(300)),
            ..World::default().policy
        },
        ..World::default()
    };
    let batches = |time: f64| if time % 900.0 < 2.0 { 15_000.0 } else { 0.0 };
    for (state, size) in [
        (State::default(), 0),
        (State::resume(Some(50.0), Some(Duration::from_secs(30))), 0),
    ] {
        let outcome = world.run(state, size, 6.0 * HOUR, batches);
        let most = outcome.changes.iter().map(|change| change.1).max();
        assert_eq!(most, Some(1), "{:?}", outcome.changes);
        assert!(outcome.changes.len() <= 2, "{:?}", outcome.changes);
        assert_eq!(outcome.late, 0.0, "{}", outcome.worst);
    }
}

/// What comes to stay is no batch: the pods that keep up with it are there before anything waits for long.
#[test]
fn a_load_that_begins_at_zero_and_stays_gets_its_pods_in_time() {
    for promise in [900.0, 4.0 * HOUR] {
        let outcome = run(
            promise,
            1,
            6.0,
            |time| if time < 600.0 { 0.0 } else { 310.0 },
        );
        assert_eq!(outcome.late, 0.0, "{promise} s: {}", outcome.worst);
        let last = outcome.changes.last().map(|change| change.1);
        assert!(
            matches!(last, Some(7 | 8)),
            "{promise} s: {:?}",
            outcome.changes
        );
    }
}

/// Ten minutes of each three hours bring thirty times as much; less than two pods do what comes on the whole.
#[test]
fn a_peak_gets_no_pods_that_keep_up_with_it_where_fewer_let_nothing_wait_for_long() {
    let load = |time: f64| {
        if time % (3.0 * HOUR) < 600.0 {
            930.0
        } else {
            30.0
        }
    };
    let outcome = run(4.0 * HOUR, 1, 12.0, load);
    let changes = &outcome.changes;
    assert_eq!(outcome.late, 0.0, "{}", outcome.worst);
    assert!(changes.iter().all(|change| change.1 <= 8), "{changes:?}");
    assert!(changes.len() <= 8, "{changes:?}");
    let pods = outcome.pod_seconds / (12.0 * HOUR);
    assert!(pods < 2.05, "{pods} pods, {changes:?}");
}
