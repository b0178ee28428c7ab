//! Partitions whose offsets cannot be read for minutes, as while a broker is away.

use std::time::Duration;

use crate::scaling::small_world::{Outcome, World};
use crate::scaling::{Policy, State};

/// 48 partitions of which some are `unknown`, and a load in pods' worth.
fn run(unknown: fn(f64, usize) -> bool, load: fn(f64) -> f64) -> Outcome {
    let world = World {
        partitions: 48,
        per_pod: 50.0,
        start_up: 30.0,
        pause: 4.0,
        period: 5.0,
        unknown,
        policy: Policy {
            min: 1,
            max_delay: Duration::from_secs(60),
            ..World::default().policy
        },
        ..World::default()
    };
    let state = State::resume(Some(50.0), Some(Duration::from_secs(30)));
    world.run(state, 10, 7200.0, |time| 50.0 * load(time))
}

/// What comes to the others says what comes to them.
#[test]
fn a_rise_is_answered_as_fast_where_half_of_the_partitions_are_unknown() {
    let rises = |time: f64| if time < 3600.0 { 2.0 } else { 13.0 };
    let known = run(|_, _| false, rises);
    let half = run(
        |time, number| (3500.0..3900.0).contains(&time) && number % 2 == 0,
        rises,
    );
    let raises = |outcome: &Outcome| {
        let changes = outcome.changes.windows(2).filter(|two| two[1].1 > two[0].1);
        changes.count()
    };
    assert_eq!(half.late, 0.0, "worst {}: {:?}", half.worst, half.changes);
    assert!(
        raises(&half) <= raises(&known) + 1,
        "{:?} instead of {:?}",
        half.changes,
        known.changes
    );
    assert!(
        half.pod_seconds < 1.1 * known.pod_seconds,
        "{:?}",
        half.changes
    );
}

/// Neither that they are unknown nor that they are known again is a change of the load.
#[test]
fn partitions_that_are_unknown_for_minutes_again_and_again_change_nothing() {
    for unknown in [
        (|time, number| time % 600.0 < 300.0 && number % 2 == 0) as fn(f64, usize) -> bool,
        |time, number| time % 600.0 < 300.0 && number % 10 > 0,
        |time, _| time % 600.0 < 300.0,
    ] {
        let outcome = run(unknown, |_| 8.0);
        let later = outcome.changes.iter().filter(|change| change.0 > 1800.0);
        assert_eq!(later.count(), 0, "{:?}", outcome.changes);
        let arrival = outcome.state.arrival();
        assert!(
            arrival.is_some_and(|rate| (390.0..410.0).contains(&rate)),
            "{arrival:?}"
        );
    }
}
