//! A fleet without pods in a small world: how its first size is found, and how it comes back.

use std::time::Duration;

use super::small_world::{Outcome, TICK, World};
use super::*;

/// 60,000 records in two and a half seconds, after some rest.
fn burst(time: f64) -> f64 {
    if (20.0..22.5).contains(&time) {
        24_000.0
    } else {
        0.0
    }
}

#[test]
fn a_burst_takes_a_known_fleet_from_zero_to_size_and_back_in_two_changes() {
    let state = State::resume(Some(195.0), Some(Duration::from_millis(1500)));
    let world = World::default();
    let outcome = world.run(state, 0, 120.0, burst);
    let sizes: Vec<u32> = outcome.changes.iter().map(|change| change.1).collect();
    assert_eq!(sizes, [12, 0], "{outcome:?}");
    assert!(outcome.changes[0].0 < 21.3, "{:?}", outcome.changes);
    assert!(outcome.finished - 20.0 < 28.5, "{}", outcome.finished);
    assert!(outcome.worst < 30.0, "{}", outcome.worst);
    assert!(outcome.pod_seconds < 500.0, "{}", outcome.pod_seconds);
}

#[test]
fn a_burst_on_a_fleet_that_was_never_measured_is_done_in_time_too() {
    let world = World::default();
    let outcome = world.run(State::default(), 0, 120.0, burst);
    let sizes: Vec<u32> = outcome.changes.iter().map(|change| change.1).collect();
    assert_eq!(sizes, [12, 0], "{outcome:?}");
    assert!(outcome.worst < 30.0, "{}", outcome.worst);
    assert!(outcome.pod_seconds < 500.0, "{}", outcome.pod_seconds);
    let learned = outcome.state.capacity.measured().unwrap();
    assert!((learned - 195.0).abs() < 20.0, "learned {learned}");
    let start_up = outcome.state.orders.learned_start_up().unwrap();
    assert!((1.0..3.0).contains(&start_up), "learned {start_up}");
}

#[test]
fn after_a_burst_one_pod_stays_awake_as_long_as_the_user_wants_it_to() {
    let state = State::resume(Some(195.0), Some(Duration::from_millis(1500)));
    let mut world = World::default();
    world.policy.idle_to_zero = Some(Duration::from_secs(30));
    let outcome = world.run(state, 0, 120.0, burst);
    let sizes: Vec<u32> = outcome.changes.iter().map(|change| change.1).collect();
    assert_eq!(sizes, [12, 1, 0], "{outcome:?}");
    let awake = outcome.changes[2].0 - outcome.finished;
    assert!((30.0..33.0).contains(&awake), "{awake}");
    assert!(outcome.pod_seconds < 550.0, "{}", outcome.pod_seconds);
}

/// What a demonstration shows: 60,000 records at once for a fleet at zero, of which the last pod stays
/// for half a minute.
#[test]
fn a_burst_at_once_is_one_raise_and_pods_that_have_nothing_to_do_go_early() {
    for start_up in [3.0, 8.0] {
        let mut world = World {
            per_pod: 200.0,
            start_up,
            pause: 1.0,
            ..World::default()
        };
        world.policy.idle_to_zero = Some(Duration::from_secs(30));
        let mut at_once = 60_000.0;
        let outcome = world.run(State::default(), 0, 150.0, |time| {
            if time < 20.0 {
                return 0.0;
            }
            std::mem::take(&mut at_once) / TICK
        });
        let sizes: Vec<u32> = outcome.changes.iter().map(|change| change.1).collect();
        assert!(
            sizes == [12, 0] || sizes == [12, 1, 0],
            "start-up {start_up}: {:?}",
            outcome.changes
        );
        assert!(outcome.changes[1].0 >= outcome.finished - 1.0);
        assert!(
            outcome.pod_seconds < 600.0,
            "start-up {start_up}: {} pod-seconds",
            outcome.pod_seconds
        );
    }
}

/// The sizes that a fleet at rest is given, and when after the first record.
fn raises(outcome: &Outcome) -> Vec<(f64, u32)> {
    let mut before = 0;
    let mut raises = Vec::new();
    for &(at, size) in &outcome.changes {
        if size > before {
            raises.push((at - 20.0, size));
        }
        before = size;
    }
    raises
}

/// A fleet that was never measured, and one that was.
fn fleets() -> [State; 2] {
    [
        State::default(),
        State::resume(Some(195.0), Some(Duration::from_millis(1500))),
    ]
}

/// Records that arrive between these seconds after the fleet has rested.
fn arriving(time: f64, stretches: &[(f64, f64, f64)]) -> f64 {
    let time = time - 20.0 + TICK / 2.0;
    let within = |&&(from, to, _): &&(f64, f64, f64)| (from..to).contains(&time);
    let records = stretches.iter().filter(within);
    records
        .map(|(from, to, records)| records / (to - from))
        .sum()
}

/// Sixty thousand records, of which the first few hundred come well before the others: a producer has
/// just started, on a machine that has other things to do too.
#[test]
fn a_burst_that_begins_slowly_or_pauses_is_one_raise() {
    let seen: &[(f64, f64, f64)] = &[
        (0.0, 0.2, 651.0),
        (0.2, 0.6, 5_000.0),
        (0.6, 1.0, 27_577.0),
        (1.0, 1.6, 26_772.0),
    ];
    let pauses: &[(f64, f64, f64)] = &[(0.0, 0.1, 651.0), (0.3, 1.6, 59_349.0)];
    let drips: &[(f64, f64, f64)] = &[
        (0.0, 0.1, 600.0),
        (0.2, 0.3, 900.0),
        (0.5, 0.6, 2_000.0),
        (0.8, 2.0, 56_500.0),
    ];
    let swells: &[(f64, f64, f64)] = &[
        (0.0, 0.2, 300.0),
        (0.2, 0.4, 1_000.0),
        (0.4, 0.6, 4_000.0),
        (0.6, 1.6, 54_700.0),
    ];
    for (name, burst) in [
        ("seen", seen),
        ("pauses", pauses),
        ("drips", drips),
        ("swells", swells),
    ] {
        for (known, state) in fleets().into_iter().enumerate() {
            let world = World {
                start_up: 3.0,
                pause: 1.0,
                ..World::default()
            };
            let outcome = world.run(state, 0, 120.0, |time| arriving(time, burst));
            let raises = raises(&outcome);
            assert!(
                matches!(raises[..], [(after, 12)] if after < 1.3),
                "{name}, known {known}: {raises:?}"
            );
            assert!(
                outcome.pod_seconds < 560.0,
                "{name}, known {known}: {} pod-seconds",
                outcome.pod_seconds
            );
        }
    }
}

/// What one pod does is not waited for.
#[test]
fn a_small_load_gets_its_pod_at_once() {
    for (known, state) in fleets().into_iter().enumerate() {
        for records in [1.0, 100.0] {
            let world = World::default();
            let load = [(0.0, TICK, records)];
            let outcome = world.run(state.clone(), 0, 60.0, |time| arriving(time, &load));
            let raises = raises(&outcome);
            // A pod that may do ten records a second is not believed to be enough for a hundred.
            let (soon, few) = if known == 1 { (0.15, 1) } else { (0.35, 2) };
            assert!(
                matches!(raises[..], [(after, size)] if after < soon && size <= few),
                "{records} records, known {known}: {raises:?}"
            );
        }
    }
}

/// A load that grows slowly from nothing is waited for no longer than a burst is.
#[test]
fn a_slow_ramp_from_zero_gets_its_first_pod_soon_and_the_others_in_time() {
    for (known, state) in fleets().into_iter().enumerate() {
        let world = World::default();
        let outcome = world.run(state, 0, 140.0, |time| {
            (10.0 * (time - 20.0)).clamp(0.0, 900.0)
        });
        let raises = raises(&outcome);
        assert!(raises[0].0 < 2.5, "known {known}: {raises:?}");
        assert!(raises.len() <= 5, "known {known}: {raises:?}");
        assert_eq!(outcome.late, 0.0, "known {known}: {}", outcome.worst);
    }
}
