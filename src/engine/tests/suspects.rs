//! A worker that was killed with its handler, and the records that may be why.

use super::rig::{Rig, broken, failure, ms, partition, retry, settings};
use crate::engine::{
    CommitFailure, DeadLetterReason, Effect, Event, LaneId, Settings, Ticket, Verdict,
};
use crate::report::{Report, Suspect};
use crate::topic::Offset;
use crate::worker_config::{OnExhausted, Ordering};

/// A worker that begins after one that had these offsets of partition 0, with the report of its last commit.
pub(super) fn after(settings: Settings, had: &[i64], left: Option<Report>) -> Rig {
    let mut rig = Rig::new(settings, 0);
    let had = had.iter().map(|offset| (partition(0), Offset(*offset)));
    rig.on(Event::Suspects(had.collect()));
    rig.assign(0, Some(0), left);
    rig
}

pub(super) fn to_topic() -> Settings {
    Settings {
        on_exhausted: OnExhausted::DeadLetter,
        ..settings()
    }
}

pub(super) fn suspects(of: &[(i64, u32)]) -> Vec<Suspect> {
    let suspect = |(offset, kills): &(i64, u32)| Suspect {
        offset: *offset,
        kills: *kills,
    };
    of.iter().map(suspect).collect()
}

pub(super) fn left(of: &[(i64, u32)]) -> Report {
    Report {
        pod: "pod-1".to_owned(),
        suspects: suspects(of),
        ..Report::default()
    }
}

/// The commit that is under way says this of suspects, and is taken.
#[track_caller]
pub(super) fn announces(rig: &mut Rig, said: &[(i64, u32)]) {
    assert_eq!(rig.report().suspects, suspects(said));
    rig.committed(Ok(()));
}

/// Whatever is committed, until there is no more to say.
fn commits_are_taken(rig: &mut Rig) {
    while !rig.commits().is_empty() {
        rig.committed(Ok(()));
    }
}

/// The handler has a suspect, as is committed.
fn with_one_alone() -> (Rig, Ticket) {
    let mut rig = after(settings(), &[0], None);
    rig.read(0, 0, 0);
    rig.commits();
    rig.committed(Ok(()));
    announces(&mut rig, &[(0, 1)]);
    let ticket = rig.one();
    (rig, ticket)
}

#[test]
fn a_suspect_is_delivered_alone_after_a_commit_that_says_so() {
    let mut rig = after(settings(), &[0, 2], None);
    announces(&mut rig, &[(0, 0), (2, 0)]);
    (0..4).for_each(|offset| rig.read(0, offset, offset));
    assert!(rig.offsets().is_empty(), "nobody is told yet");
    announces(&mut rig, &[(0, 1), (2, 0)]);
    let first = rig.one();
    assert_eq!(first.offset, Offset(0));
    rig.done(first);
    announces(&mut rig, &[(2, 0)]);
    assert!(rig.offsets().is_empty(), "the other one is next");
    announces(&mut rig, &[(2, 1)]);
    let second = rig.one();
    assert_eq!(second.offset, Offset(2));
    rig.done(second);
    assert!(rig.offsets().is_empty(), "its acquittal is not committed");
    announces(&mut rig, &[]);
    assert_eq!(rig.offsets(), [1, 3]);
    assert_eq!(rig.engine.suspects().count(), 0);
}

#[test]
fn what_is_in_flight_ends_before_a_suspect_is_announced() {
    let mut rig = Rig::new(settings(), 1);
    rig.read(0, 0, 0);
    let other = rig.one();
    rig.assign(1, Some(0), Some(left(&[(0, 0)])));
    rig.read(1, 0, 0);
    rig.read(0, 1, 1);
    let mut said = Vec::new();
    for _ in 0..3 {
        said.extend(rig.commits().into_iter().flatten());
        rig.committed(Ok(()));
        rig.pass(ms(1_000));
    }
    assert!(said.iter().all(|frontier| {
        let mut suspects = frontier.report.suspects.iter();
        suspects.all(|suspect| suspect.kills == 0)
    }));
    assert!(rig.offsets().is_empty());
    rig.done(other);
    commits_are_taken(&mut rig);
    let suspect = rig.one();
    assert_eq!(suspect.lane, LaneId(1));
}

#[test]
fn others_wait_until_the_suspects_of_a_partition_are_read_but_not_for_long() {
    let mut rig = after(settings(), &[2], None);
    commits_are_taken(&mut rig);
    rig.read(0, 0, 0);
    rig.read(0, 1, 1);
    assert!(rig.offsets().is_empty());
    rig.pass(ms(4_000));
    commits_are_taken(&mut rig);
    assert!(rig.offsets().is_empty());
    assert_eq!(rig.pass_to_deadline(), ms(1_000));
    assert_eq!(rig.offsets(), [0, 1]);
}

#[test]
fn nothing_is_delivered_until_the_letter_of_a_convicted_one_is_committed() {
    let mut rig = after(to_topic(), &[], Some(left(&[(1, 2)])));
    commits_are_taken(&mut rig);
    (0..3).for_each(|offset| rig.read(0, offset, offset));
    let letters = rig.take(|effect| match effect {
        Effect::DeadLetter { ticket, .. } => Some(*ticket),
        _ => None,
    });
    assert_eq!(letters.len(), 1);
    assert!(rig.offsets().is_empty());
    rig.dead_lettered(letters[0], Ok(()));
    assert!(rig.offsets().is_empty());
    announces(&mut rig, &[]);
    assert_eq!(rig.offsets(), [0, 2]);
}

#[test]
fn one_that_had_the_worker_killed_twice_alone_is_dead_lettered_and_not_delivered() {
    let mut rig = after(to_topic(), &[0], Some(left(&[(0, 2)])));
    rig.read(0, 0, 0);
    rig.read(0, 1, 0);
    assert!(rig.offsets().is_empty());
    let letters = rig.take(|effect| match effect {
        Effect::DeadLetter {
            ticket,
            reason,
            attempts,
            failure,
            ..
        } => Some((*ticket, *reason, *attempts, failure.clone())),
        _ => None,
    });
    let [(ticket, DeadLetterReason::WorkerKilled, 2, failure)] = &letters[..] else {
        panic!("{letters:?}");
    };
    assert_eq!(failure.class, "WorkerKilled");
    assert!(failure.message.contains("killed 2 times"), "{failure:?}");
    let ticket = *ticket;
    rig.dead_lettered(ticket, Ok(()));
    commits_are_taken(&mut rig);
    assert_eq!(rig.offsets(), [1], "the next of its key");
}

#[test]
fn another_revision_tries_it_again_and_alone() {
    let mut rig = after(
        Settings {
            pod: "mended-0".to_owned(),
            ..to_topic()
        },
        &[],
        Some(left(&[(0, 2)])),
    );
    announces(&mut rig, &[(0, 0)]);
    rig.read(0, 0, 0);
    announces(&mut rig, &[(0, 1)]);
    let ticket = rig.one();
    rig.read(0, 1, 1);
    assert!(rig.offsets().is_empty());
    rig.done(ticket);
    announces(&mut rig, &[]);
    assert_eq!(rig.offsets(), [1]);
}

#[test]
fn without_a_dead_letter_topic_it_is_stuck_and_stays_undelivered() {
    let mut rig = after(settings(), &[0], Some(left(&[(0, 2)])));
    announces(&mut rig, &[(0, 2)]);
    rig.read(0, 0, 0);
    rig.read(0, 1, 1);
    assert_eq!(rig.offsets(), [1], "others go on");
    assert_eq!(rig.stalls(), [(0, 1)]);
    let report = rig.report();
    assert_eq!(report.stuck.unwrap().error, "WorkerKilled");
    assert_eq!(report.suspects, suspects(&[(0, 2)]));
    for _ in 0..3 {
        rig.pass(ms(20_000));
        assert!(rig.offsets().is_empty());
    }
}

#[test]
fn a_failure_is_an_answer() {
    let (mut rig, ticket) = with_one_alone();
    rig.answer(ticket, retry());
    announces(&mut rig, &[]);
    rig.pass(ms(1_000));
    // Among others now.
    rig.read(0, 1, 1);
    assert_eq!(rig.offsets(), [0, 1]);
}

#[test]
fn what_was_not_tried_is_a_suspect_still_and_no_death_is_counted() {
    let slow_down = Verdict::SlowDown {
        after: Some(ms(100)),
        failure: failure(),
    };
    let (mut rig, ticket) = with_one_alone();
    rig.answer(ticket, slow_down);
    announces(&mut rig, &[(0, 0)]);
    rig.read(0, 1, 1);
    let other = rig.one();
    assert_eq!(other.offset, Offset(1), "while it waits others go on");
    rig.pass(ms(1_000));
    assert!(rig.offsets().is_empty(), "not beside the other");
    rig.commits();
    rig.done(other);
    commits_are_taken(&mut rig);
    assert_eq!(rig.offsets(), [0]);
}

#[test]
fn one_that_is_given_back_undelivered_has_killed_nobody() {
    let mut rig = after(settings(), &[0], None);
    rig.commits();
    rig.committed(Ok(()));
    rig.read(0, 0, 0);
    announces(&mut rig, &[(0, 1)]);
    let ticket = rig.one();
    rig.revoke(0);
    rig.pass(ms(30_000));
    assert_eq!(rig.cancelled(), [0]);
    rig.answer(ticket, Verdict::Cancelled);
    let said = rig.commits().pop().unwrap().pop().unwrap();
    assert_eq!(said.report.suspects, suspects(&[(0, 0)]));
}

#[test]
fn a_commit_that_is_never_taken_holds_nobody_up_for_long() {
    let mut rig = after(settings(), &[0], None);
    rig.read(0, 0, 0);
    for _ in 0..9 {
        rig.committed(Err(CommitFailure::Later("loading".to_owned())));
        rig.pass(ms(1_000));
        assert!(rig.offsets().is_empty());
    }
    rig.pass(ms(2_000));
    assert_eq!(rig.offsets(), [0]);
}

#[test]
fn in_order_of_the_partition_a_suspect_waits_for_those_before_it() {
    let in_order = Settings {
        ordering: Ordering::Partition,
        ..settings()
    };
    let mut rig = after(in_order, &[1], None);
    rig.commits();
    rig.committed(Ok(()));
    (0..3).for_each(|offset| rig.read(0, offset, -1));
    let first = rig.one();
    assert_eq!(first.offset, Offset(0));
    rig.done(first);
    announces(&mut rig, &[(1, 1)]);
    let suspect = rig.one();
    rig.done(suspect);
    announces(&mut rig, &[]);
    assert_eq!(rig.offsets(), [2]);
}

#[test]
fn no_other_is_announced_beside_one_that_is() {
    let in_order = Settings {
        ordering: Ordering::Partition,
        ..to_topic()
    };
    let letter = |effect: &Effect<i64>| match effect {
        Effect::DeadLetter { ticket, .. } => Some(*ticket),
        _ => None,
    };
    let mut rig = after(in_order, &[], Some(left(&[(0, 2), (1, 0)])));
    rig.assign(1, Some(0), Some(left(&[(0, 0)])));
    rig.read(0, 0, -1);
    rig.read(0, 1, -1);
    rig.read(1, 0, -1);
    // While the first is not written, what comes after it waits, and the other partition's suspect is announced.
    let first = rig.take(letter)[0];
    rig.dead_lettered(first, Err("no such topic"));
    rig.pass(ms(1_000));
    let again = rig.take(letter)[0];
    rig.dead_lettered(again, Ok(()));
    commits_are_taken(&mut rig);
    let ticket = rig.one();
    assert_eq!(ticket.lane, LaneId(1));
    rig.done(ticket);
    commits_are_taken(&mut rig);
    assert_eq!(rig.one().lane, LaneId(0));
}

#[test]
fn what_breaks_the_connection_to_a_handler_of_the_pod_twice_goes_alone() {
    let mut rig = Rig::new(
        Settings {
            attempts: 5,
            ..settings()
        },
        1,
    );
    (0..3).for_each(|offset| rig.read(0, offset, offset));
    for _ in 0..2 {
        let together = rig.delivered();
        assert_eq!(together.len(), 3);
        for ticket in together {
            rig.answer(ticket, Verdict::Retry(broken()));
        }
        commits_are_taken(&mut rig);
        rig.pass(ms(1_000));
    }
    for _ in 0..3 {
        commits_are_taken(&mut rig);
        let alone = rig.one();
        // The first is to blame, and goes on breaking it.
        let verdict = match alone.offset {
            Offset(0) => Verdict::Retry(broken()),
            _ => Verdict::Done,
        };
        rig.answer(alone, verdict);
    }
    commits_are_taken(&mut rig);
    rig.read(0, 3, 3);
    assert_eq!(rig.offsets(), [3]);
}

#[test]
fn a_handler_elsewhere_is_not_brought_down_by_one_record() {
    let elsewhere = Settings {
        attempts: 5,
        own_handler: false,
        ..settings()
    };
    let mut rig = Rig::new(elsewhere, 1);
    (0..2).for_each(|offset| rig.read(0, offset, offset));
    for _ in 0..3 {
        let together = rig.delivered();
        assert_eq!(together.len(), 2);
        for ticket in together {
            rig.answer(ticket, Verdict::Retry(broken()));
        }
        rig.pass(ms(20_000));
    }
}
