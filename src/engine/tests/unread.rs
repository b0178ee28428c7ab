//! A partition that cannot be read on stalls there, alone, and is never jumped over.

use super::rig::{Rig, ms, partition, settings};
use crate::engine::{Barred, Effect, Event, Failure, Settings};
use crate::report::{Report, Stuck, unread};
use crate::topic::Offset;
use crate::worker_config::Ordering;

fn bare(lanes: u32) -> Rig {
    let mut rig = Rig::new(
        Settings {
            ordering: Ordering::None,
            ..settings()
        },
        0,
    );
    rig.pass(ms(1));
    for lane in 0..lanes {
        rig.assign(lane, Some(10), None);
    }
    rig.pass(ms(1));
    rig.commits();
    rig.committed(Ok(()));
    rig.effects.clear();
    rig
}

fn bar(rig: &mut Rig, at: Option<i64>, class: &'static str, again: bool) {
    rig.on(Event::Barred(Barred {
        partition: partition(0),
        at: at.map(Offset),
        failure: Failure {
            class,
            status: None,
            message: "its checksum is wrong".to_owned(),
        },
        again,
    }));
}

/// Partition 0 cannot be read at offset 12 for the moment.
fn bad_record(rig: &mut Rig) {
    rig.read(0, 10, -1);
    rig.read(0, 11, -1);
    bar(rig, Some(12), unread::UNREADABLE, true);
}

fn rereads(rig: &mut Rig) -> Vec<(i32, i64)> {
    rig.take(|effect| match effect {
        Effect::Reread { partition, from } => Some((partition.partition, from.0)),
        _ => None,
    })
}

#[test]
fn what_cannot_be_read_holds_the_frontier_and_others_go_on() {
    let mut rig = bare(2);
    bad_record(&mut rig);
    assert_eq!(rig.pauses(), [(0, true)]);
    assert_eq!(rig.stalls(), [(12, 1)]);
    // What librdkafka had read ahead, and the end of the partition.
    rig.read(0, 13, -1);
    rig.position(0, 14);
    rig.read(1, 10, -1);
    let delivered = rig.delivered();
    assert_eq!(delivered.len(), 3);
    delivered.into_iter().for_each(|ticket| rig.done(ticket));
    let commits = rig.commits();
    rig.committed(Ok(()));
    let stuck = commits[0][0].report.stuck.clone().unwrap();
    assert_eq!((stuck.offset, stuck.attempts), (12, 0));
    assert_eq!(stuck.error, "RecordUnreadable its checksum is wrong");
    rig.pass(ms(60_000));
    assert_eq!(rig.committed_offsets(), [(0, 12), (1, 11)]);
}

#[test]
fn it_is_read_again_from_the_same_record_after_waits_that_grow() {
    let mut rig = bare(1);
    bad_record(&mut rig);
    for (failures, full_ms) in [(1, 100), (2, 200), (3, 400)] {
        assert_eq!(rig.stalls(), [(12, failures)]);
        rig.pass(ms(full_ms / 2 - 1));
        assert_eq!(rereads(&mut rig), []);
        rig.pauses();
        rig.pass(ms(full_ms / 2 + 1));
        assert_eq!(rereads(&mut rig), [(0, 12)]);
        assert_eq!(rig.pauses(), [(0, false)]);
        bar(&mut rig, Some(12), unread::UNREADABLE, true);
        assert_eq!(rig.pauses(), [(0, true)]);
    }
    rig.pass(ms(800));
    rig.read(0, 12, -1);
    assert_eq!(rig.unstalled(), [12]);
    assert_eq!(rig.offsets(), [10, 11, 12]);
    assert_eq!(rig.engine.stalled().count(), 0);
}

#[test]
fn further_failures_behind_the_first_are_not_heard() {
    let mut rig = bare(1);
    bad_record(&mut rig);
    bar(&mut rig, Some(20), unread::UNREADABLE, true);
    assert_eq!(rig.stalls(), [(12, 1)]);
    rig.pass(ms(100));
    assert_eq!(rereads(&mut rig), [(0, 12)]);
}

#[test]
fn a_failure_never_moves_the_frontier_forward() {
    let mut rig = bare(1);
    rig.read(0, 10, -1);
    bar(&mut rig, Some(90), unread::UNREADABLE, true);
    let ticket = rig.one();
    rig.done(ticket);
    rig.pass(ms(1_000));
    let offsets: Vec<_> = rig.commits().into_iter().flatten().collect();
    assert!(offsets.iter().all(|f| f.offset.0 <= 11), "{offsets:?}");
    assert_eq!(rereads(&mut rig), [(0, 11)]);
}

#[test]
fn an_offset_that_kafka_does_not_have_stays_until_the_partition_goes() {
    let mut rig = bare(1);
    bar(&mut rig, Some(10), unread::OFFSET_OUT_OF_RANGE, false);
    assert_eq!(rig.stalls(), [(10, 1)]);
    // Asked for, Kafka says more.
    bar(&mut rig, None, unread::OFFSETS_EXPIRED, false);
    assert_eq!(rig.stalls(), [(10, 2)]);
    rig.commits();
    rig.committed(Ok(()));
    rig.read(0, 50, -1);
    rig.position(0, 60);
    for _ in 0..5 {
        rig.pass(ms(100_000));
        let commits = rig.commits();
        assert!(commits.iter().flatten().all(|f| f.offset.0 == 10));
        let stuck = commits[0][0].report.stuck.as_ref();
        assert!(stuck.is_some_and(|s| s.error.starts_with("OffsetsExpired")));
        rig.committed(Ok(()));
    }
    assert_eq!((rereads(&mut rig), rig.delivered()), (vec![], vec![]));
    rig.revoke(0);
    rig.commits();
    rig.committed(Ok(()));
    assert_eq!(rig.given_back(), [0]);
    rig.assign(0, Some(50), None);
    rig.read(0, 50, -1);
    assert_eq!(rig.offsets(), [50], "given back and taken anew it is read");
}

#[test]
fn what_cannot_be_read_is_told_even_where_nothing_was_ever_committed() {
    let mut rig = bare(0);
    rig.assign(0, None, None);
    bar(&mut rig, Some(3), unread::UNREADABLE, true);
    rig.pass(ms(1));
    let report = rig.report();
    assert_eq!(report.stuck.unwrap().offset, 3);
    rig.committed(Ok(()));
    rig.pass(ms(100));
    assert_eq!(rereads(&mut rig), [(0, 3)]);
}

#[test]
fn whoever_reads_it_at_last_begins_with_the_first_attempt() {
    let left = |offset| Report {
        stuck: Some(Stuck {
            offset,
            attempts: 0,
            error: "RecordUnreadable its checksum is wrong".to_owned(),
        }),
        ..Report::default()
    };
    for offset in [10, 12] {
        let mut rig = bare(0);
        rig.assign(0, Some(10), Some(left(offset)));
        assert_eq!(rig.engine.stalled().count(), 1);
        rig.read(0, 10, -1);
        rig.read(0, 12, -1);
        assert_eq!(rig.engine.stalled().count(), 0);
        let attempts: Vec<_> = rig.deliveries().into_iter().map(|(_, n)| n).collect();
        assert_eq!(attempts, [1, 1]);
    }
}

#[test]
fn a_full_budget_keeps_a_partition_paused_that_may_be_read_again() {
    let mut rig = Rig::new(
        Settings {
            budget_bytes: 1_000,
            ..settings()
        },
        2,
    );
    rig.read(0, 0, 1);
    bar(&mut rig, Some(1), unread::UNREADABLE, true);
    rig.pauses();
    rig.read_sized(1, 0, 2, 900);
    assert_eq!(rig.pauses(), [(1, true)]);
    rig.pass(ms(100));
    assert_eq!(rereads(&mut rig), [(0, 1)]);
    assert_eq!(rig.pauses(), []);
    let delivered = rig.delivered();
    delivered.into_iter().for_each(|ticket| rig.done(ticket));
    let mut resumed = rig.pauses();
    resumed.sort_unstable();
    assert_eq!(resumed, [(0, false), (1, false)]);
}
