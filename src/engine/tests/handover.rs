//! Giving partitions back.

use super::rig::{Rig, failure, ms, partition, retry, settings};
use crate::engine::{CommitFailure, Effect, Event, LaneState, Settings, Ticket, Verdict};
use crate::worker_config::{OnExhausted, Ordering};

/// Two partitions, reports out of the way, three records of lane 0 in flight and one waiting.
fn busy() -> (Rig, Vec<Ticket>) {
    let settings = Settings {
        ordering: Ordering::None,
        concurrency: 3,
        ..settings()
    };
    let mut rig = Rig::new(settings, 2);
    rig.pass(ms(1_000));
    for offset in 0..4 {
        rig.read(0, offset, -1);
    }
    let delivered = rig.delivered();
    rig.commits();
    rig.committed(Ok(()));
    rig.effects.clear();
    (rig, delivered)
}

fn later() -> CommitFailure {
    CommitFailure::Later("rebalance in progress".to_owned())
}

#[test]
fn a_revoked_partition_finishes_what_is_in_flight_commits_and_goes() {
    let (mut rig, delivered) = busy();
    rig.revoke(0);
    assert_eq!(
        rig.engine.lanes().next().unwrap().state,
        LaneState::Draining
    );
    rig.done(delivered[0]);
    rig.done(delivered[1]);
    assert_eq!(rig.delivered(), [], "nothing more is started");
    assert_eq!(rig.given_back(), [] as [i32; 0]);
    rig.commits();
    rig.committed(Ok(()));
    rig.done(delivered[2]);
    assert_eq!(rig.committed_offsets(), [(0, 3)]);
    assert_eq!(
        rig.given_back(),
        [] as [i32; 0],
        "not before its commit is answered"
    );
    rig.committed(Ok(()));
    assert_eq!(rig.given_back(), [0]);
    assert_eq!(rig.engine.held_bytes(), 0);
    assert!(!rig.engine.is_draining());
}

#[test]
fn a_partition_without_news_goes_at_once() {
    let (mut rig, _) = busy();
    rig.revoke(1);
    assert_eq!(rig.given_back(), [1]);
}

#[test]
fn partitions_revoked_together_go_together() {
    let (mut rig, delivered) = busy();
    rig.on(Event::Revoked(vec![partition(0), partition(1)]));
    assert_eq!(rig.given_back(), [] as [i32; 0]);
    for ticket in delivered {
        rig.answer(ticket, Verdict::Cancelled);
    }
    assert_eq!(rig.given_back(), [0, 1]);
}

#[test]
fn what_overruns_the_deadline_is_cancelled_and_does_not_hold_the_partition() {
    let (mut rig, delivered) = busy();
    rig.revoke(0);
    rig.done(delivered[1]);
    rig.commits();
    rig.committed(Ok(()));
    rig.pass(ms(29_999));
    assert_eq!(rig.cancelled(), [] as [i64; 0]);
    rig.commits();
    rig.committed(Ok(()));
    rig.pass(ms(1));
    assert_eq!(rig.cancelled(), [0, 2]);
    assert_eq!(rig.given_back(), [0]);
    let done = rig.engine.totals().done;
    rig.done(delivered[0]);
    rig.answer(delivered[2], Verdict::Cancelled);
    assert_eq!(rig.engine.totals().done, done, "late results are dropped");
    assert_eq!(rig.engine.totals().dropped_late, 2);
    assert!(rig.commits().is_empty());
}

#[test]
fn a_failure_while_draining_is_left_to_the_next_owner_with_its_attempts() {
    let (mut rig, delivered) = busy();
    rig.revoke(0);
    rig.answer(delivered[0], retry());
    rig.done(delivered[1]);
    rig.answer(
        delivered[2],
        Verdict::SlowDown {
            after: None,
            failure: failure(),
        },
    );
    let mut commits = rig.commits();
    rig.committed(Ok(()));
    commits.extend(rig.commits());
    rig.committed(Ok(()));
    let last = &commits.last().unwrap()[0];
    assert_eq!((last.offset.0, last.report.tried), (0, 1));
    assert_eq!(last.report.ahead, [1..2]);
    assert_eq!(rig.given_back(), [0]);
}

#[test]
fn a_record_that_is_exhausted_while_draining_still_gets_its_dead_letter() {
    let settings = Settings {
        attempts: 1,
        on_exhausted: OnExhausted::DeadLetter,
        ..settings()
    };
    let mut rig = Rig::new(settings, 1);
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.revoke(0);
    rig.answer(ticket, retry());
    assert!(
        rig.effects
            .iter()
            .any(|e| matches!(e, Effect::DeadLetter { .. }))
    );
    assert_eq!(rig.given_back(), [] as [i32; 0]);
    rig.commits();
    rig.committed(Ok(()));
    rig.dead_lettered(ticket, Ok(()));
    assert_eq!(rig.committed_offsets(), [(0, 1)]);
    rig.committed(Ok(()));
    assert_eq!(rig.given_back(), [0]);
}

#[test]
fn a_last_commit_that_must_wait_is_tried_until_it_is_taken() {
    let (mut rig, delivered) = busy();
    rig.revoke(0);
    for ticket in delivered {
        rig.done(ticket);
    }
    rig.commits();
    for _ in 0..3 {
        rig.committed(Err(later()));
        assert_eq!(rig.given_back(), [] as [i32; 0]);
        rig.pass(ms(1_000));
        assert_eq!(rig.committed_offsets(), [(0, 3)]);
    }
    rig.committed(Ok(()));
    assert_eq!(rig.given_back(), [0]);
}

#[test]
fn a_last_commit_that_was_refused_is_tried_again_soon_however_often_it_was() {
    let (mut rig, mut delivered) = busy();
    // As commits fail while the group rebalances again and again, they wait longer and longer.
    for ticket in delivered.drain(..2) {
        rig.done(ticket);
    }
    delivered.extend(rig.delivered());
    for _ in 0..6 {
        while rig.commits().is_empty() {
            rig.pass_to_deadline();
        }
        rig.committed(Err(later()));
    }
    rig.revoke(0);
    for ticket in delivered {
        rig.done(ticket);
    }
    for _ in 0..200 {
        assert_eq!(rig.committed_offsets(), [(0, 4)]);
        rig.committed(Err(later()));
        assert_eq!(rig.given_back(), [] as [i32; 0]);
        rig.pass(ms(100));
    }
    rig.committed_offsets();
    rig.committed(Ok(()));
    assert_eq!(rig.given_back(), [0]);
}

/// A topic that was made anew with fewer partitions: Kafka takes the commits of the others.
#[test]
fn a_partition_that_is_gone_holds_up_no_other_and_is_not_waited_for_long() {
    let (mut rig, delivered) = busy();
    rig.read(1, 0, -1);
    for ticket in delivered {
        rig.done(ticket);
    }
    for (ticket, _) in rig.deliveries() {
        rig.done(ticket);
    }
    assert_eq!(rig.committed_offsets(), [(0, 1)]);
    rig.committed(Ok(()));
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 4), (1, 1)]);
    rig.committed_without(&[1]);
    // It is said again in its time, and the other need not be.
    rig.pass(ms(500));
    assert!(rig.commits().is_empty());
    rig.pass(ms(500));
    assert_eq!(rig.committed_offsets(), [(1, 1)]);
    rig.committed_without(&[1]);

    rig.on(Event::Shutdown);
    let mut waited = 0;
    while rig.given_back().is_empty() {
        for commit in rig.commits() {
            let of: Vec<_> = commit
                .iter()
                .map(|frontier| frontier.partition.clone())
                .collect();
            assert_eq!(of, [partition(1)]);
            rig.committed_without(&[1]);
        }
        rig.pass(ms(100));
        waited += 100;
        assert!(waited <= 500, "it is waited for");
    }
    let lost = rig.take(|effect| match effect {
        Effect::Uncommitted { partitions, .. } => Some(partitions.clone()),
        _ => None,
    });
    assert_eq!(lost, [vec![partition(1)]]);
}

#[test]
fn a_last_commit_of_a_generation_that_is_over_is_said_again_in_the_new_one_at_once() {
    let (mut rig, delivered) = busy();
    rig.revoke(0);
    for ticket in delivered {
        rig.done(ticket);
    }
    rig.commits();
    // The answer came when the group had made up its mind.
    rig.pass(ms(3_000));
    for _ in 0..3 {
        let outdated = "illegal generation".to_owned();
        rig.committed(Err(CommitFailure::Outdated(outdated)));
        assert_eq!(rig.committed_offsets(), [(0, 3)]);
        rig.pass(ms(100));
    }
    // Not in circles where it comes at once.
    rig.committed(Ok(()));
    assert_eq!(rig.given_back(), [0]);

    let (mut rig, delivered) = busy();
    rig.revoke(0);
    for ticket in delivered {
        rig.done(ticket);
    }
    for _ in 0..3 {
        rig.commits();
        rig.committed(Err(CommitFailure::Outdated("stale".to_owned())));
        assert!(rig.commits().is_empty());
        rig.pass(ms(100));
    }
    assert_eq!(rig.committed_offsets(), [(0, 3)]);
}

#[test]
fn a_last_commit_that_cannot_succeed_or_never_answers_holds_nothing() {
    for failure in [
        CommitFailure::Dropped("fenced".to_owned()),
        CommitFailure::Fatal("not authorised".to_owned()),
    ] {
        let (mut rig, delivered) = busy();
        rig.revoke(0);
        for ticket in delivered {
            rig.done(ticket);
        }
        rig.commits();
        rig.committed(Err(failure));
        // What the commit said may be older than the last record: once more, then no more.
        rig.commits();
        rig.committed(Err(later()));
        assert_eq!(rig.given_back(), [0]);
    }
    let (mut rig, delivered) = busy();
    rig.revoke(0);
    for ticket in delivered {
        rig.done(ticket);
    }
    // 30 s to drain, of which the drain took none, and 5 s more.
    rig.pass(ms(34_999));
    assert_eq!(rig.given_back(), [] as [i32; 0]);
    rig.pass(ms(1));
    assert_eq!(rig.given_back(), [0]);
}

#[test]
fn a_partition_that_goes_without_its_last_commit_says_what_is_repeated_and_why() {
    let (mut rig, delivered) = busy();
    rig.revoke(0);
    rig.done(delivered[0]);
    rig.done(delivered[1]);
    rig.commits();
    rig.pass(ms(30_000));
    rig.committed(Err(later()));
    rig.commits();
    rig.pass(ms(5_000));
    assert_eq!(rig.given_back(), [0]);
    let why = "rebalance in progress".to_owned();
    assert_eq!(rig.uncommitted(), [(2, why)]);
    assert_eq!(rig.engine.totals().possible_duplicates, 2);

    let (mut rig, delivered) = busy();
    rig.revoke(0);
    for ticket in delivered {
        rig.done(ticket);
    }
    rig.commits();
    rig.pass(ms(35_000));
    assert_eq!(rig.given_back(), [0]);
    assert_eq!(rig.uncommitted(), [(3, "no answer in time".to_owned())]);

    let (mut rig, delivered) = busy();
    rig.revoke(0);
    for ticket in delivered {
        rig.done(ticket);
    }
    rig.commits();
    rig.committed(Ok(()));
    rig.commits();
    rig.committed(Ok(()));
    assert_eq!(rig.given_back(), [0]);
    assert_eq!(rig.uncommitted(), []);
}

#[test]
fn records_and_positions_of_a_draining_partition_are_ignored() {
    let (mut rig, delivered) = busy();
    rig.revoke(0);
    rig.read(0, 4, -1);
    rig.position(0, 9);
    for ticket in delivered {
        rig.done(ticket);
    }
    rig.commits();
    rig.committed(Ok(()));
    let offsets: Vec<_> = rig.commits().iter().flatten().map(|f| f.offset.0).collect();
    assert!(offsets.iter().all(|offset| *offset <= 3), "{offsets:?}");
    assert_eq!(rig.engine.totals().ignored, 1);
}

#[test]
fn a_lost_partition_goes_without_a_word() {
    let (mut rig, delivered) = busy();
    rig.done(delivered[0]);
    rig.commits();
    rig.effects.clear();
    rig.on(Event::Lost(vec![partition(0)]));
    assert_eq!(rig.cancelled(), [1, 2, 3]);
    assert_eq!(rig.engine.held_bytes(), 0);
    assert_eq!(rig.engine.in_flight(), 0);
    rig.committed(Err(CommitFailure::Dropped("fenced".to_owned())));
    rig.done(delivered[1]);
    rig.pass(ms(60_000));
    assert!(
        rig.commits()
            .iter()
            .flatten()
            .all(|f| f.partition.partition != 0)
    );
    assert_eq!(rig.given_back(), [] as [i32; 0]);
    assert_eq!(rig.engine.totals().possible_duplicates, 4);
}

#[test]
fn after_a_sleep_nothing_begins_before_the_group_can_have_taken_it_away() {
    let (mut rig, delivered) = busy();
    rig.on(Event::Slept);
    delivered.into_iter().for_each(|ticket| rig.done(ticket));
    assert_eq!(rig.offsets(), [] as [i64; 0]);
    rig.pass(ms(2_000));
    assert_eq!(rig.offsets(), [3]);
}

#[test]
fn a_result_of_an_earlier_assignment_settles_nothing() {
    let (mut rig, delivered) = busy();
    rig.on(Event::Lost(vec![partition(0)]));
    rig.assign(0, Some(0), None);
    rig.read(0, 0, -1);
    let again = rig.one();
    assert_ne!(again.epoch, delivered[0].epoch);
    rig.done(delivered[0]);
    assert_eq!(rig.engine.totals().done, 0);
    rig.done(again);
    assert_eq!(rig.engine.totals().done, 1);
}

#[test]
fn a_partition_assigned_anew_while_draining_starts_anew_and_is_not_given_back() {
    let (mut rig, delivered) = busy();
    rig.revoke(0);
    rig.effects.clear();
    rig.assign(0, Some(0), None);
    for ticket in delivered {
        rig.done(ticket);
    }
    rig.commits();
    rig.committed(Ok(()));
    rig.pass(ms(60_000));
    assert_eq!(rig.given_back(), [] as [i32; 0]);
    rig.read(0, 0, -1);
    assert_eq!(rig.offsets(), [0]);
}

#[test]
fn a_partition_that_is_not_ours_is_given_back_at_once() {
    let mut rig = Rig::new(settings(), 1);
    rig.on(Event::Revoked(vec![partition(5)]));
    assert_eq!(rig.given_back(), [5]);
    rig.revoke(0);
    rig.revoke(0);
    assert_eq!(rig.given_back(), [0, 0], "the second time it was not ours");
}

#[test]
fn shutdown_gives_everything_back_and_stops_once() {
    let (mut rig, delivered) = busy();
    rig.on(Event::Shutdown);
    assert!(rig.engine.is_draining());
    for ticket in delivered {
        rig.done(ticket);
    }
    rig.commits();
    rig.committed(Ok(()));
    rig.commits();
    rig.committed(Ok(()));
    let mut given = rig.given_back();
    given.sort_unstable();
    assert_eq!(given, [0, 1]);
    assert_eq!(rig.stopped(), 1);
    rig.on(Event::Shutdown);
    rig.assign(3, None, None);
    assert_eq!(rig.given_back(), [3], "what comes too late is not taken");
    rig.pass(ms(60_000));
    assert_eq!(rig.stopped(), 0);
    assert_eq!(rig.engine.next_deadline(), None);
}

#[test]
fn shutdown_with_nothing_assigned_stops_at_once() {
    let mut rig = Rig::new(settings(), 0);
    rig.on(Event::Shutdown);
    assert_eq!(rig.stopped(), 1);
}
