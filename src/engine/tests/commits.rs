//! When frontiers are committed, and what follows from the answer.

use super::rig::{Rig, failure, ms, retry, settings};
use crate::engine::{CommitFailure, Event, Refused, Settings, Verdict};
use crate::worker_config::Ordering;

/// A rig whose first report, due with the first assignment, is out of the way.
fn quiet(lanes: u32) -> Rig {
    let mut rig = Rig::new(
        Settings {
            ordering: Ordering::None,
            ..settings()
        },
        lanes,
    );
    rig.pass(ms(1_000));
    rig.commits();
    rig.committed(Ok(()));
    rig
}

/// Reads and finishes a record.
fn finish(rig: &mut Rig, lane: u32, offset: i64) {
    rig.read(lane, offset, -1);
    let ticket = rig.one();
    rig.done(ticket);
}

#[test]
fn a_moved_frontier_is_committed_after_the_interval() {
    let mut rig = quiet(2);
    finish(&mut rig, 1, 5);
    finish(&mut rig, 1, 6);
    assert_eq!(
        rig.committed_offsets(),
        [(1, 6)],
        "the first after a rest at once"
    );
    rig.committed(Ok(()));
    rig.pass(ms(999));
    assert!(rig.commits().is_empty());
    rig.pass(ms(1));
    assert_eq!(rig.committed_offsets(), [(1, 7)]);
}

#[test]
fn one_commit_is_under_way_at_a_time() {
    let mut rig = quiet(1);
    finish(&mut rig, 0, 5);
    assert_eq!(rig.commits().len(), 1);
    finish(&mut rig, 0, 6);
    rig.pass(ms(60_000));
    assert!(rig.commits().is_empty());
    rig.committed(Ok(()));
    assert_eq!(rig.committed_offsets(), [(0, 7)]);
}

#[test]
fn an_unmoved_frontier_is_committed_again_with_a_fresh_report() {
    let mut rig = quiet(2);
    finish(&mut rig, 0, 5);
    finish(&mut rig, 1, 8);
    rig.commits();
    rig.committed(Ok(()));
    rig.pass(ms(30_000));
    rig.commits();
    rig.committed(Ok(()));
    let waited = rig.pass_to_deadline();
    assert_eq!(waited, ms(30_000));
    let commits = rig.commits();
    let frontiers: Vec<_> = commits[0]
        .iter()
        .map(|f| (f.offset.0, f.report.done))
        .collect();
    assert_eq!(frontiers, [(6, 2), (9, 2)]);
}

#[test]
fn the_report_tells_what_the_pod_did() {
    let mut rig = quiet(1);
    for offset in 0..3 {
        rig.read(0, offset, -1);
    }
    let delivered = rig.delivered();
    rig.answer(delivered[0], super::rig::retry());
    rig.done(delivered[2]);
    rig.committed(Ok(()));
    rig.pass(ms(50));
    rig.pass(ms(1_000));
    let commits = rig.commits();
    let report = &commits.last().unwrap()[0].report;
    assert_eq!(report.pod, "pod-0");
    assert_eq!((report.done, report.failures, report.slots), (1, 1, 16));
    assert_eq!(report.busy, ms(10));
    assert_eq!(report.tried, 1);
    assert_eq!(report.ahead, [2..3]);
}

#[test]
fn what_is_wrong_with_the_dead_letter_topic_is_said_at_once_for_every_partition() {
    let mut rig = quiet(2);
    finish(&mut rig, 0, 5);
    finish(&mut rig, 1, 8);
    rig.pass(ms(1_000));
    rig.commits();
    rig.committed(Ok(()));
    rig.pass(ms(1_000));
    rig.commits();
    // A commit that is under way would hold the news up.
    rig.committed(Ok(()));
    let said = |rig: &mut Rig| {
        let commits = rig.commits();
        let all = commits.into_iter().flatten();
        all.map(|frontier| frontier.report.dead_letter)
            .collect::<Vec<_>>()
    };
    rig.on(Event::DeadLetterTopic(Some("TooSmall")));
    assert_eq!(said(&mut rig), vec![Some("TooSmall".to_owned()); 2]);
    rig.committed(Ok(()));
    rig.on(Event::DeadLetterTopic(Some("TooSmall")));
    assert!(said(&mut rig).is_empty(), "no news");
    rig.on(Event::DeadLetterTopic(None));
    assert_eq!(said(&mut rig), [None, None]);
}

#[test]
fn that_the_handler_is_away_is_said_at_once_until_it_is_back() {
    let mut rig = quiet(1);
    finish(&mut rig, 0, 5);
    rig.pass(ms(1_000));
    rig.commits();
    rig.committed(Ok(()));
    rig.pass(ms(1_000));
    rig.commits();
    rig.committed(Ok(()));
    let said = |rig: &mut Rig| {
        let commits = rig.commits();
        let all = commits.into_iter().flatten();
        all.map(|frontier| frontier.report.handler)
            .collect::<Vec<_>>()
    };
    let why = || Some("connect to users:80: refused".to_owned());
    rig.on(Event::HandlerAway(why()));
    assert_eq!(said(&mut rig), [why()]);
    rig.committed(Ok(()));
    rig.on(Event::HandlerAway(why()));
    assert!(said(&mut rig).is_empty(), "no news");
    rig.on(Event::HandlerAway(None));
    assert_eq!(said(&mut rig), [None]);
}

#[test]
fn slots_are_the_partitions_where_each_has_one_record_in_flight() {
    let mut rig = Rig::new(
        Settings {
            ordering: Ordering::Partition,
            ..settings()
        },
        0,
    );
    rig.assign(0, Some(4), None);
    assert_eq!(rig.report().slots, 1);
}

#[test]
fn a_commit_that_may_succeed_later_is_tried_again_soon() {
    let mut rig = quiet(1);
    finish(&mut rig, 0, 5);
    rig.commits();
    for most_ms in [200, 400, 800, 1_600] {
        rig.committed(Err(CommitFailure::Later("rebalance".to_owned())));
        let mut waited = ms(0);
        let mut commits = Vec::new();
        while commits.is_empty() {
            waited += rig.pass_to_deadline();
            commits = rig.commits();
        }
        // Never sooner than the interval of a moved frontier.
        assert!(waited <= ms(most_ms.max(1_000)), "{waited:?}");
        assert_eq!(commits[0][0].offset.0, 6);
    }
}

#[test]
fn a_commit_of_an_older_generation_is_dropped_and_the_frontier_said_again() {
    let mut rig = quiet(1);
    finish(&mut rig, 0, 5);
    rig.commits();
    rig.committed(Err(CommitFailure::Dropped("illegal generation".to_owned())));
    rig.pass(ms(999));
    assert!(rig.commits().is_empty());
    rig.pass(ms(1));
    assert_eq!(rig.committed_offsets(), [(0, 6)]);
    assert_eq!(rig.engine.commit_error(), None);
}

#[test]
fn a_commit_that_cannot_succeed_is_tried_slowly_and_shown() {
    let mut rig = quiet(1);
    finish(&mut rig, 0, 5);
    rig.commits();
    rig.committed(Err(CommitFailure::Fatal("not authorised".to_owned())));
    assert_eq!(rig.engine.commit_error(), Some("not authorised"));
    rig.pass(ms(29_999));
    assert!(rig.commits().is_empty());
    rig.pass(ms(1));
    assert_eq!(rig.committed_offsets(), [(0, 6)]);
    rig.committed(Ok(()));
    assert_eq!(rig.engine.commit_error(), None);
}

#[test]
fn offsets_that_do_not_exist_hold_nothing() {
    let mut rig = quiet(1);
    rig.read(0, 5, -1);
    rig.read(0, 9, -1);
    let delivered = rig.delivered();
    rig.done(delivered[0]);
    assert_eq!(rig.committed_offsets(), [(0, 9)], "6 to 8 were never there");
    rig.committed(Ok(()));
    rig.done(delivered[1]);
    rig.position(0, 14);
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 14)]);
}

#[test]
fn a_position_does_not_pass_an_unfinished_record() {
    let mut rig = quiet(1);
    rig.read(0, 5, -1);
    rig.position(0, 14);
    rig.pass(ms(30_000));
    assert_eq!(rig.committed_offsets(), [(0, 5)]);
}

#[test]
fn nothing_is_committed_for_a_partition_of_which_nothing_is_known() {
    let mut rig = Rig::new(settings(), 1);
    rig.pass(ms(60_000));
    assert!(rig.commits().is_empty());
    assert!(rig.engine.next_deadline().is_some_and(|due| due > rig.now));
}

#[test]
fn a_record_read_twice_is_delivered_once() {
    let mut rig = quiet(1);
    rig.read(0, 5, -1);
    rig.read(0, 6, -1);
    rig.read(0, 6, -1);
    assert_eq!(rig.offsets(), [5, 6]);
    assert_eq!(rig.engine.totals().ignored, 1);
    assert_eq!(rig.engine.held_bytes(), 200);
}

fn not_authorised() -> Refused {
    Refused::Failed(CommitFailure::Fatal("not authorised".to_owned()))
}

/// Of two topics one may not be read any more.
#[test]
fn a_partition_whose_commit_is_refused_holds_up_no_other() {
    let mut rig = quiet(2);
    finish(&mut rig, 0, 0);
    rig.commits();
    rig.committed(Ok(()));
    finish(&mut rig, 1, 0);
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(1, 1)]);
    rig.refused(vec![(1, not_authorised())]);
    let mut tries = 0;
    for offset in 1..90 {
        finish(&mut rig, 0, offset);
        finish(&mut rig, 1, offset);
        rig.pass(ms(1_000));
        let commits = rig.commits();
        assert_eq!(commits.len(), 1, "each second");
        let of = |lane: i32| commits[0].iter().find(|f| f.partition.partition == lane);
        assert_eq!(of(0).map(|f| f.offset.0), Some(offset + 1));
        let refused = of(1).is_some();
        tries += usize::from(refused);
        match refused {
            true => rig.refused(vec![(1, not_authorised())]),
            false => rig.committed(Ok(())),
        }
        assert_eq!(rig.engine.commit_error(), Some("not authorised"));
    }
    assert_eq!(tries, 2, "every 30 s");
    // It is allowed again.
    for _ in 0..31 {
        rig.pass(ms(1_000));
        if !rig.commits().is_empty() {
            rig.committed(Ok(()));
        }
    }
    assert_eq!(rig.engine.commit_error(), None);
}

#[test]
fn a_last_commit_is_tried_whatever_an_earlier_one_was_refused_for() {
    let mut rig = quiet(2);
    finish(&mut rig, 0, 0);
    rig.commits();
    rig.committed(Ok(()));
    for lane in [0, 1] {
        rig.read(lane, 1, -1);
    }
    for ticket in rig.delivered() {
        rig.done(ticket);
    }
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 2), (1, 2)]);
    // That commit was sent before what follows.
    rig.read(0, 2, -1);
    let last = rig.one();
    rig.on(Event::Shutdown);
    rig.done(last);
    rig.refused(vec![(1, not_authorised())]);
    assert_eq!(rig.committed_offsets(), [(0, 3), (1, 2)]);
    rig.refused(vec![(1, not_authorised())]);
    assert_eq!(rig.uncommitted(), [(1, "not authorised".to_owned())]);
    assert_eq!(rig.given_back(), [0, 1]);
    assert_eq!(rig.engine.totals().possible_duplicates, 1);
}

/// A stuck record is told at once, but not with a commit for each record of the others while its partition cannot tell it.
#[test]
fn a_partition_whose_commit_is_refused_hurries_no_other() {
    let mut rig = quiet(2);
    finish(&mut rig, 0, 0);
    rig.commits();
    rig.committed(Ok(()));
    (0..2).for_each(|lane| rig.read(lane, 1, -1));
    for ticket in rig.delivered() {
        rig.done(ticket);
    }
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 2), (1, 2)]);
    rig.refused(vec![(1, not_authorised())]);
    finish(&mut rig, 0, 2);
    rig.read(1, 2, -1);
    let stuck = rig.one();
    rig.answer(stuck, Verdict::Misconfigured(failure()));
    assert!(rig.commits().is_empty());
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 3)]);
}

/// `offset.metadata.max.bytes`
#[test]
fn a_broker_that_takes_less_metadata_gets_shorter_reports() {
    let hour = ms(3_600_000);
    let mut rig = Rig::new(
        Settings {
            ordering: Ordering::None,
            initial_backoff: hour,
            max_backoff: hour,
            ..settings()
        },
        1,
    );
    for offset in 0..200 {
        rig.read(0, offset, -1);
        let ticket = rig.one();
        match offset % 2 {
            0 => rig.answer(ticket, retry()),
            _ => rig.done(ticket),
        }
    }
    rig.commits();
    rig.committed(Ok(()));
    rig.pass(ms(1_000));
    let mut lengths = Vec::new();
    loop {
        let commits = rig.commits();
        assert_eq!(commits.len(), 1, "without time passing");
        let frontier = &commits[0][0];
        let report = &frontier.report;
        let text = report.encode_within(frontier.offset, frontier.most_bytes);
        lengths.push(text.len());
        if text.len() <= 1_000 {
            break;
        }
        rig.refused(vec![(0, Refused::TooLarge)]);
    }
    assert!((2..5).contains(&lengths.len()), "{lengths:?}");
    rig.committed(Ok(()));
    assert_eq!(rig.engine.commit_error(), None);
    // There is an end to that.
    for offset in 200..210 {
        finish(&mut rig, 0, offset);
        rig.pass(ms(1_000));
        while !rig.commits().is_empty() {
            rig.refused(vec![(0, Refused::TooLarge)]);
        }
    }
    assert_eq!(rig.engine.report_room(), crate::report::LEAST_BYTES);
    assert!(rig.engine.commit_error().is_some());
}
