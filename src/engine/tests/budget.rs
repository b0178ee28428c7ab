//! Memory in use for records.

use super::rig::{Rig, ms, settings};
use crate::engine::{Effect, Event, Settings, Ticket};
use crate::worker_config::Ordering;

fn rig(lanes: u32, budget_bytes: usize) -> Rig {
    let settings = Settings {
        ordering: Ordering::None,
        concurrency: 1_000,
        budget_bytes,
        ..settings()
    };
    Rig::new(settings, lanes)
}

/// Reads records until something pauses.
fn fill(rig: &mut Rig) -> Vec<Ticket> {
    for offset in 0.. {
        rig.read(0, offset, -1);
        if rig.effects.iter().any(|e| matches!(e, Effect::Pause(_))) {
            break;
        }
    }
    rig.delivered()
}

#[test]
fn at_the_budget_reading_pauses_and_goes_on_at_four_fifths() {
    let mut rig = rig(1, 1_000);
    let delivered = fill(&mut rig);
    assert_eq!(rig.pauses(), [(0, true)]);
    assert_eq!(rig.engine.held_bytes(), 1_000);
    let mut finished = delivered.into_iter();
    while rig.engine.held_bytes() > 800 {
        assert_eq!(rig.pauses(), []);
        rig.done(finished.next().unwrap());
    }
    rig.done(finished.next().unwrap());
    assert_eq!(rig.pauses(), [(0, false)]);
}

#[test]
fn a_partition_assigned_while_the_budget_is_used_up_begins_paused() {
    let mut rig = rig(1, 1_000);
    let delivered = fill(&mut rig);
    rig.pauses();
    rig.assign(1, None, None);
    assert_eq!(rig.pauses(), [(1, true)]);
    for ticket in delivered {
        rig.done(ticket);
    }
    let mut resumed = rig.pauses();
    resumed.sort_unstable();
    assert_eq!(resumed, [(0, false), (1, false)]);
}

#[test]
fn a_new_assignment_is_told_whether_to_read() {
    let mut rig = rig(0, 1_000);
    rig.assign(0, None, None);
    assert_eq!(
        rig.pauses(),
        [(0, false)],
        "the client may have brought it back paused"
    );
}

#[test]
fn a_record_larger_than_the_budget_passes_alone() {
    let mut rig = rig(1, 1_000);
    rig.read_sized(0, 0, -1, 5_000);
    let ticket = rig.one();
    assert_eq!(rig.pauses(), [(0, true)]);
    rig.done(ticket);
    assert_eq!(rig.pauses(), [(0, false)]);
    rig.read(0, 1, -1);
    assert_eq!(rig.offsets(), [1]);
}

#[test]
fn one_partition_pauses_alone_before_it_takes_the_room_of_all() {
    let mut rig = rig(2, 100_000);
    fill(&mut rig);
    assert_eq!(rig.pauses(), [(0, true)]);
    assert!(
        rig.engine.held_bytes() <= 51_000,
        "{}",
        rig.engine.held_bytes()
    );
    rig.read(1, 0, -1);
    assert_eq!(rig.pauses(), []);
    assert_eq!(rig.offsets(), [0]);
}

#[test]
fn a_partition_paused_alone_reads_on_when_it_has_worked_off_its_share() {
    let mut rig = rig(2, 100_000);
    let delivered = fill(&mut rig);
    rig.pauses();
    for ticket in delivered {
        rig.done(ticket);
    }
    assert_eq!(rig.pauses(), [(0, false)]);
}

#[test]
fn a_partition_that_is_stuck_reads_on_when_the_others_hold_little_however_they_came_to() {
    let mut rig = rig(2, 100_000);
    rig.read_sized(1, 0, -1, 16_400);
    (1..29).for_each(|offset| rig.read(1, offset, -1));
    let others = rig.delivered();
    fill(&mut rig);
    assert_eq!(rig.pauses(), [(0, true)]);
    others.into_iter().for_each(|ticket| rig.done(ticket));
    assert_eq!(rig.pauses(), [(0, false)]);
}

#[test]
fn a_partition_that_is_left_alone_may_have_all_of_the_budget() {
    let mut rig = rig(2, 100_000);
    fill(&mut rig);
    assert_eq!(rig.pauses(), [(0, true)]);
    rig.on(Event::Lost(vec![super::rig::partition(1)]));
    assert_eq!(rig.pauses(), [(0, false)]);
}

#[test]
fn what_a_revoked_or_lost_partition_held_is_free_for_others() {
    let mut rig = rig(2, 1_000);
    for offset in 0..5 {
        rig.read(0, offset, -1);
        rig.read(1, offset, -1);
    }
    rig.pauses();
    assert_eq!(rig.engine.held_bytes(), 1_000);
    rig.on(Event::Lost(vec![super::rig::partition(0)]));
    assert_eq!(rig.engine.held_bytes(), 500);
    assert_eq!(rig.pauses(), [(1, false)]);
}

#[test]
fn the_age_of_the_oldest_unfinished_record_is_known() {
    let mut rig = rig(2, 1_000);
    assert_eq!(rig.engine.oldest_unfinished(rig.now), None);
    rig.read(0, 0, -1);
    rig.pass(ms(700));
    rig.read(1, 0, -1);
    rig.pass(ms(300));
    assert_eq!(rig.engine.oldest_unfinished(rig.now), Some(ms(1_000)));
    let first = rig.delivered()[0];
    rig.done(first);
    assert_eq!(rig.engine.oldest_unfinished(rig.now), Some(ms(300)));
}
