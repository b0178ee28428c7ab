//! A worker that was killed with its handler, and the records that may be why.

use super::rig::{Rig, failure, ms, partition, retry, settings};
use crate::engine::{CommitFailure, DeadLetterReason, Effect, Event, Settings, Verdict};
use crate::report::{Report, Suspect};
use crate::topic::Offset;
use crate::worker_config::{OnExhausted, Ordering};

/// A worker that begins after one that had these offsets of partition 0, with the report of its last commit.
fn after(settings: Settings, had: &[i64], left: Option<Report>) -> Rig {
    let mut rig = Rig::new(settings, 0);
    let had = had.iter().map(|offset| (partition(0), Offset(*offset)));
    rig.on(Event::Suspects(had.collect()));
    rig.assign(0, Some(0), left);
    rig
}

fn to_topic() -> Settings {
    Settings {
        on_exhausted: OnExhausted::DeadLetter,
        ..settings()
    }
}

fn suspects(of: &[(i64, u32)]) -> Vec<Suspect> {
    let suspect = |(offset, kills): &(i64, u32)| Suspect {
        offset: *offset,
        kills: *kills,
    };
    of.iter().map(suspect).collect()
}

fn left(of: &[(i64, u32)]) -> Report {
    Report {
        pod: "pod-1".to_owned(),
        suspects: suspects(of),
        ..Report::default()
    }
}

/// The commit that is under way says this of suspects, and is taken.
#[track_caller]
fn announces(rig: &mut Rig, said: &[(i64, u32)]) {
    assert_eq!(rig.report().suspects, suspects(said));
    rig.committed(Ok(()));
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
    assert!(rig.offsets().is_empty(), "the other one is next");
    announces(&mut rig, &[(2, 1)]);
    let second = rig.one();
    assert_eq!(second.offset, Offset(2));
    rig.done(second);
    assert_eq!(rig.offsets(), [1, 3]);
    assert_eq!(rig.engine.suspects().count(), 0);
}

#[test]
fn what_is_in_flight_ends_before_a_suspect_is_delivered() {
    let mut rig = after(settings(), &[1], None);
    rig.commits();
    rig.committed(Ok(()));
    rig.read(0, 0, 0);
    let other = rig.one();
    rig.read(0, 1, 1);
    rig.read(0, 2, 2);
    announces(&mut rig, &[(1, 1)]);
    assert!(rig.offsets().is_empty());
    rig.done(other);
    assert_eq!(rig.one().offset, Offset(1));
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
    rig.dead_lettered(*ticket, Ok(()));
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
    let mut rig = after(settings(), &[0], None);
    rig.read(0, 0, 0);
    rig.commits();
    rig.committed(Ok(()));
    announces(&mut rig, &[(0, 1)]);
    let ticket = rig.one();
    rig.answer(ticket, retry());
    rig.pass(ms(1_000));
    assert_eq!(rig.report().suspects, []);
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
    let mut rig = after(settings(), &[0], None);
    rig.read(0, 0, 0);
    rig.commits();
    rig.committed(Ok(()));
    announces(&mut rig, &[(0, 1)]);
    let ticket = rig.one();
    rig.answer(ticket, slow_down);
    rig.read(0, 1, 1);
    assert_eq!(rig.offsets(), [1], "while it waits others go on");
    rig.pass(ms(1_000));
    announces(&mut rig, &[(0, 0)]);
    assert!(rig.offsets().is_empty(), "announced anew");
    announces(&mut rig, &[(0, 1)]);
    assert!(rig.offsets().is_empty(), "after the other");
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
    assert_eq!(rig.offsets(), [2]);
}
