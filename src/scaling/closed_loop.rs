//! The planner in a small world, for minutes and hours.

use std::time::Duration;

use super::small_world::{Outcome, Random, TICK, World};
use super::tests::known;
use super::*;

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

/// What a bad hour of what is behind the handler leaves behind. 48 partitions, four pods' worth.
fn after(pace: fn(f64) -> f64, stands: fn(f64, usize) -> bool) -> (u32, u32, usize, Outcome) {
    let world = World {
        partitions: 48,
        period: 5.0,
        start_up: 30.0,
        pause: 3.0,
        pace,
        stands,
        policy: Policy {
            min: 1,
            max_delay: Duration::from_secs(60),
            ..World::default().policy
        },
        ..World::default()
    };
    let state = State::resume(Some(195.0), Some(Duration::from_secs(30)));
    let outcome = world.run(state, 5, 4.0 * 3600.0, |_| 4.0 * 195.0);
    let size_at = |time: f64| {
        let before = outcome.changes.iter().take_while(|change| change.0 < time);
        before.last().map_or(5, |change| change.1)
    };
    let meanwhile = outcome.changes.iter();
    let meanwhile = meanwhile.filter(|change| (3600.0..7200.0).contains(&change.0));
    let (before, last, meanwhile) = (size_at(3600.0), size_at(1e9), meanwhile.count());
    (before, last, meanwhile, outcome)
}

#[test]
fn an_hour_in_which_nothing_moves_is_no_reason_to_stay_large() {
    let hangs = |time: f64| {
        if (3600.0..5400.0).contains(&time) {
            0.0
        } else {
            1.0
        }
    };
    let (before, last, _, outcome) = after(hangs, |_, _| false);
    assert!(last <= before + 1, "{before}: {:?}", outcome.changes);
}

#[test]
fn a_handler_that_was_slow_for_two_minutes_is_not_thought_slow_for_hours() {
    let slow = |time: f64| {
        if (3600.0..3720.0).contains(&time) {
            0.3
        } else {
            1.0
        }
    };
    let (before, last, _, outcome) = after(slow, |_, _| false);
    assert!(last <= before + 1, "{before}: {:?}", outcome.changes);
    let measured = outcome.state.capacity.measured().unwrap();
    assert!((185.0..205.0).contains(&measured), "{measured}");
}

/// A change of size gives stuck partitions new owners, who get no further.
#[test]
fn partitions_that_are_stuck_by_the_dozen_do_not_make_the_size_swing() {
    for stands in [
        (|time: f64, p: usize| (3600.0..7200.0).contains(&time) && p.is_multiple_of(4))
            as fn(_, _) -> _,
        |time, p| (3600.0..7200.0).contains(&time) && !p.is_multiple_of(4),
    ] {
        let (_, _, meanwhile, outcome) = after(|_| 1.0, stands);
        assert!(meanwhile <= 8, "{meanwhile}: {:?}", outcome.changes);
    }
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
