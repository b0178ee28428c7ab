//! What a worker had finished of a partition when it went, and the partition comes back to it.

use super::rig::{Rig, ms, partition, retry, settings};
use crate::engine::{
    Assignment, CommitFailure, DeadLetterReason, Effect, Engine, Event, LaneId, Settings,
};
use crate::report::Report;
use crate::topic::Offset;
use crate::worker_config::{OnExhausted, Ordering};

fn by(pod: &str) -> Option<Report> {
    Some(Report {
        pod: pod.to_owned(),
        done: 70,
        ..Report::default()
    })
}

fn unordered() -> Settings {
    Settings {
        ordering: Ordering::None,
        ..settings()
    }
}

/// Partition 0 came at 10 from pod-9, records up to 14 were read, 10, 11 and 13 are finished, and no commit of ours is taken.
fn away() -> Rig {
    let mut rig = Rig::new(unordered(), 0);
    rig.pass(ms(1));
    rig.assign(0, Some(10), by("pod-9"));
    assert_eq!(rig.committed_offsets(), [(0, 10)], "its first report");
    rig.committed(Err(CommitFailure::Later("no broker".to_owned())));
    read(&mut rig, 10..15);
    for ticket in rig.delivered() {
        if [10, 11, 13].contains(&ticket.offset.0) {
            rig.done(ticket);
        }
    }
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 12)]);
    rig.committed(Err(CommitFailure::Later("no broker".to_owned())));
    rig
}

fn read(rig: &mut Rig, offsets: std::ops::Range<i64>) {
    offsets.for_each(|offset| rig.read(0, offset, -1));
}

fn lose(rig: &mut Rig) {
    rig.on(Event::Lost(vec![partition(0)]));
    rig.effects.clear();
}

/// What is delivered of 10 to 14 when the partition comes back so.
fn again(rig: &mut Rig, committed: i64, left: Option<Report>) -> Vec<i64> {
    rig.assign(0, Some(committed), left);
    read(rig, committed..15);
    rig.offsets()
}

#[test]
fn what_a_worker_had_finished_of_a_lost_partition_is_not_delivered_again_when_it_comes_back_as_it_was()
 {
    let mut rig = away();
    lose(&mut rig);
    rig.assign(0, Some(10), by("pod-9"));
    rig.pass(ms(1_000));
    // Before anything is read again.
    let said = rig.commits().pop().unwrap().pop().unwrap();
    assert_eq!(said.offset, Offset(10));
    assert_eq!(said.report.ahead, [10..12, 13..14]);
    rig.committed(Ok(()));
    read(&mut rig, 10..15);
    assert_eq!(rig.offsets(), [12, 14]);
    assert_eq!(rig.engine.totals().finished_before, 3);
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 12)]);
}

#[test]
fn it_is_remembered_however_often_the_partition_goes_before_it_is_read() {
    let mut rig = away();
    for _ in 0..3 {
        lose(&mut rig);
        rig.assign(0, Some(10), by("pod-9"));
    }
    lose(&mut rig);
    assert_eq!(again(&mut rig, 10, by("pod-9")), [12, 14]);
}

#[test]
fn a_commit_of_its_own_is_known_again_also_if_its_answer_was_lost() {
    let mut rig = away();
    lose(&mut rig);
    assert_eq!(again(&mut rig, 12, by("pod-0")), [12, 14]);
    for (committed, left, expected) in [
        (12, by("pod-0"), vec![12, 14]),
        // It knows that 12 was taken: somebody went back.
        (11, by("pod-0"), vec![11, 12, 13, 14]),
        (10, by("pod-9"), vec![10, 11, 12, 13, 14]),
    ] {
        let mut rig = away();
        rig.pass(ms(1_000));
        assert_eq!(rig.committed_offsets(), [(0, 12)]);
        rig.committed(Ok(()));
        lose(&mut rig);
        assert_eq!(again(&mut rig, committed, left), expected);
    }
}

#[test]
fn whoever_has_committed_meanwhile_is_believed() {
    let all = |from: i64| Vec::from_iter(from..15);
    for (committed, left) in [
        // Offsets that were set, to an earlier place, a later one, or the very same.
        (8, None),
        (11, None),
        (10, None),
        (10, by("pod-7")),
        (11, by("pod-7")),
        (11, by("pod-9")),
        // By this worker, but before all that it knows of.
        (9, by("pod-0")),
    ] {
        let mut rig = away();
        lose(&mut rig);
        assert_eq!(again(&mut rig, committed, left.clone()), all(committed));
        // Nor later.
        lose(&mut rig);
        assert_eq!(again(&mut rig, 10, by("pod-9")), all(10), "{left:?}");
    }
}

#[test]
fn of_another_topic_or_without_a_committed_offset_nothing_is_remembered() {
    let of = |committed: Option<i64>, topic_id: &str| Assignment {
        partition: partition(0),
        lane: LaneId(0),
        left_behind: None,
        committed: committed.map(Offset),
        topic_id: Some(topic_id.to_owned()).filter(|id| !id.is_empty()),
    };
    for (before, after, expected) in [
        (of(Some(0), "a"), of(Some(0), "a"), vec![1]),
        (of(Some(0), "a"), of(Some(0), "b"), vec![0, 1]),
        // Not known.
        (of(Some(0), ""), of(Some(0), "a"), vec![1]),
        (of(Some(0), "a"), of(Some(0), ""), vec![1]),
        (of(None, "a"), of(None, "a"), vec![0, 1]),
        (of(None, "a"), of(Some(0), "a"), vec![0, 1]),
    ] {
        let mut rig = Rig::new(unordered(), 0);
        rig.on(Event::Assigned(vec![before]));
        read(&mut rig, 0..2);
        let first = rig.delivered()[0];
        rig.done(first);
        lose(&mut rig);
        rig.on(Event::Assigned(vec![after]));
        read(&mut rig, 0..2);
        assert_eq!(rig.offsets(), expected);
    }
}

#[test]
fn of_a_log_that_begins_anew_nothing_is_remembered() {
    let mut rig = away();
    read(&mut rig, 3..5);
    lose(&mut rig);
    assert_eq!(again(&mut rig, 10, by("pod-9")), Vec::from_iter(10..15));
    // It is seen only when it has come back.
    let mut rig = away();
    lose(&mut rig);
    rig.assign(0, Some(10), by("pod-9"));
    read(&mut rig, 3..15);
    assert_eq!(rig.offsets(), Vec::from_iter(3..15));
}

#[test]
fn it_is_forgotten_after_an_hour() {
    for (minutes, expected) in [(59, vec![12, 14]), (61, vec![10, 11, 12, 13, 14])] {
        let mut rig = away();
        lose(&mut rig);
        rig.pass(ms(minutes * 60_000));
        assert_eq!(again(&mut rig, 10, by("pod-9")), expected);
    }
}

#[test]
fn a_partition_that_was_given_back_without_its_last_commit_is_remembered_too() {
    let mut rig = away();
    rig.revoke(0);
    rig.pass(ms(60_000));
    assert_eq!(rig.uncommitted().len(), 1);
    rig.effects.clear();
    assert_eq!(again(&mut rig, 10, by("pod-9")), [12, 14]);
}

#[test]
fn what_the_handler_has_done_and_is_only_not_marked_counts() {
    let mut rig = Rig::new(unordered(), 0);
    rig.assign(0, Some(10), by("pod-9"));
    read(&mut rig, 10..15);
    let ticket = rig.delivered()[2];
    let hindered = None;
    rig.on(Event::Handled { ticket, hindered });
    lose(&mut rig);
    assert_eq!(again(&mut rig, 10, by("pod-9")), [10, 11, 13, 14]);
}

#[test]
fn a_dead_letter_that_was_written_is_not_written_again() {
    let settings = Settings {
        attempts: 1,
        on_exhausted: OnExhausted::DeadLetter,
        ..unordered()
    };
    let mut rig = Rig::new(settings, 0);
    rig.assign(0, Some(10), by("pod-9"));
    read(&mut rig, 10..11);
    let ticket = rig.one();
    rig.answer(ticket, retry());
    let letters = rig.take(|effect| match effect {
        Effect::DeadLetter { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(letters, [DeadLetterReason::AttemptsExhausted]);
    rig.dead_lettered(ticket, Ok(()));
    lose(&mut rig);
    assert_eq!(again(&mut rig, 10, by("pod-9")), [11, 12, 13, 14]);
}

/// As where a broker has fenced the client, and another takes its place.
#[test]
fn an_engine_leaves_what_it_knows_to_its_successor() {
    let mut rig = away();
    let next = Engine::new(unordered());
    let before = std::mem::replace(&mut rig.engine, next);
    rig.effects.clear();
    rig.engine.remember_all(before.into_remembered());
    assert_eq!(again(&mut rig, 10, by("pod-9")), [12, 14]);
}

#[test]
fn of_very_many_ranges_the_first_are_remembered() {
    let mut rig = Rig::new(
        Settings {
            concurrency: 10_000,
            ..unordered()
        },
        0,
    );
    rig.assign(0, Some(0), by("pod-9"));
    read(&mut rig, 0..4_000);
    for ticket in rig.delivered() {
        if ticket.offset.0 % 2 == 1 {
            rig.done(ticket);
        }
    }
    lose(&mut rig);
    rig.assign(0, Some(0), by("pod-9"));
    read(&mut rig, 0..4_000);
    assert_eq!(rig.engine.totals().finished_before, 1_024);
    assert_eq!(rig.offsets().len(), 4_000 - 1_024);
}
