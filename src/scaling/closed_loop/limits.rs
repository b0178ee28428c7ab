//! Limits that no number of pods lifts: of what is behind the handler, and of the rate that the user sets.

use std::time::Duration;

use crate::scaling::State;
use crate::scaling::small_world::World;
use crate::scaling::tests::known;

/// More pods share a load that one was full with, so each does less; where nothing waits any more that
/// is no sign of a limit behind the handler.
#[test]
fn a_raise_that_ended_the_waiting_has_helped() {
    let world = World {
        reported: 1.0,
        downstream: 400.0,
        ..World::default()
    };
    let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
    let load = |time: f64| {
        if (200.0..230.0).contains(&time) {
            500.0
        } else {
            190.0
        }
    };
    let outcome = world.run(state, 1, 900.0, load);
    assert!(
        !outcome.reasons.contains_key("MorePodsDoNotHelp"),
        "{:?}",
        outcome.changes
    );
}

#[test]
fn pods_that_bring_no_capacity_are_given_back() {
    let world = World {
        downstream: 400.0,
        partitions: 48,
        ..World::default()
    };
    let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
    let outcome = world.run(state, 2, 900.0, |_| 600.0);
    assert!(
        outcome.reasons.contains_key("MorePodsDoNotHelp"),
        "{:?}",
        outcome.reasons
    );
    let mean = outcome.pod_seconds / 900.0;
    assert!(mean < 12.0, "{mean} pods on average: {:?}", outcome.changes);
}

/// The size that a fleet goes back to is the least that does what it is seen to do, however many steps the raise took: four
/// pods' worth are there and used.
#[test]
fn a_fleet_goes_back_to_the_pods_that_use_the_limit_up() {
    for (load, finished) in [(690.0, true), (1200.0, false)] {
        let world = World {
            downstream: 800.0,
            per_pod: 200.0,
            start_up: 15.0,
            partitions: 48,
            ..World::default()
        };
        let outcome = world.run(State::default(), 1, 1800.0, |_| load);
        let changes = &outcome.changes;
        let told = outcome.reasons.contains_key("MorePodsDoNotHelp");
        let last = changes.last().map(|change| change.1);
        let raised: Vec<_> = changes.iter().skip_while(|change| change.1 < 4).collect();
        assert!(last <= Some(6) && (finished || told), "{load}: {changes:?}");
        // One size less may be tried, for as long as it takes to see what that does.
        let steps = raised.windows(2).filter(|pair| pair[0].1 < 4);
        let below: f64 = steps.map(|pair| pair[1].0 - pair[0].0).sum();
        assert!(below < 60.0 && last >= Some(4), "{load}: {changes:?}");
        assert!(outcome.late < 120.0 || !finished, "{load}: {outcome:?}");
    }
}

/// Pods that share a limit are busy all the time, also while nothing waits. That must not hide what more of
/// them bring.
#[test]
fn a_limit_shows_although_pods_were_busy_before_anything_waited() {
    let world = World {
        downstream: 780.0,
        partitions: 48,
        ..World::default()
    };
    let state = State::resume(Some(195.0), Some(Duration::from_secs(2)));
    let load = |time: f64| if time < 500.0 { 765.0 } else { 1000.0 };
    let outcome = world.run(state, 8, 1500.0, load);
    assert!(
        outcome.reasons.contains_key("MorePodsDoNotHelp"),
        "{:?}: {:?}",
        outcome.reasons,
        outcome.changes
    );
    let mean = outcome.pod_seconds / 1500.0;
    assert!(mean < 12.0, "{mean} pods on average: {:?}", outcome.changes);
}

/// Pods that wait for leave to deliver are not slow, and more of them get no more of it.
#[test]
fn a_rate_limit_gets_the_pods_that_use_it_up_whatever_waits() {
    for (rate, load, most) in [(300.0, 900.0, 3), (100.0, 1500.0, 1), (900.0, 700.0, 6)] {
        let mut world = World::default();
        world.policy.rate = Some(rate);
        // Of an unmeasured handler nobody knows how few are enough.
        for (state, first) in [(State::default(), 12), (known(), 0)] {
            let most = most.max(first);
            let arrivals = |time: f64| if time < 1200.0 { load } else { 0.0 };
            let outcome = world.run(state, 1, 1800.0, arrivals);
            let largest = outcome.changes.iter().map(|change| change.1).max();
            assert!(
                largest.is_none_or(|largest| largest <= most),
                "{rate}/s of {load}/s: {:?}",
                outcome.changes
            );
            assert_eq!(
                outcome.reasons.contains_key("CappedByRateLimit"),
                load > rate,
                "{:?}",
                outcome.reasons
            );
            assert!(!outcome.reasons.contains_key("MorePodsDoNotHelp"));
            let learned = outcome.state.capacity.measured().unwrap();
            assert!((150.0..240.0).contains(&learned), "learned {learned}");
            assert!(outcome.changes.len() <= 8, "{:?}", outcome.changes);
        }
    }
}

/// A few records a minute say nothing of what a pod can do, and their partitions wait for their turn.
#[test]
fn a_slow_rate_limit_makes_nobody_stuck_and_no_pod_slow() {
    for rate in [0.1, 0.5] {
        let mut world = World {
            per_pod: 200.0,
            period: 1.5,
            ..World::default()
        };
        world.policy.rate = Some(rate);
        world.policy.min = 1;
        let arrivals = |time: f64| if time < 1.0 { 120.0 } else { 0.0 };
        let outcome = world.run(State::default(), 1, 1500.0, arrivals);
        let sizes = &outcome.changes;
        assert!(
            sizes.iter().all(|change| change.1 <= 1),
            "{rate}: {sizes:?}"
        );
        for label in [
            "MostlyStuck",
            "StuckLeftOut",
            "MorePodsDoNotHelp",
            "CappedByMaxReplicas",
            "CappedByPartitions",
        ] {
            let told = outcome.reasons.contains_key(label);
            assert!(!told, "{rate}: {label} {:?}", outcome.reasons);
        }
        // Enough pods, and not in time: that is told.
        let told = outcome.reasons.contains_key("CappedByRateLimit");
        assert!(told, "{rate}: {:?}", outcome.reasons);
        assert_eq!(outcome.state.capacity.measured(), None);
    }
}

/// A limit that is set below what a large fleet does lets its pods go.
#[test]
fn pods_beyond_a_rate_limit_are_given_back_although_records_wait() {
    let mut world = World::default();
    world.policy.rate = Some(300.0);
    let outcome = world.run(known(), 12, 1800.0, |_| 1500.0);
    let last = outcome.changes.last().map(|change| change.1);
    assert_eq!(last, Some(3), "{:?}", outcome.changes);
    assert!(outcome.changes.len() <= 3, "{:?}", outcome.changes);
}
