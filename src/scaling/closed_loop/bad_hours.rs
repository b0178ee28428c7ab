//! A bad hour behind the handler, and what it leaves behind.

use std::time::Duration;

use crate::scaling::small_world::{Outcome, World};
use crate::scaling::{Policy, State};

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
