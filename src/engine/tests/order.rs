//! Which record is delivered when.

use super::rig::{Rig, ms, settings};
use crate::engine::{Effect, Run, Settings, Verdict};
use crate::worker_config::{OnExhausted, Ordering};

fn with(ordering: Ordering, concurrency: usize) -> Settings {
    Settings {
        ordering,
        concurrency,
        ..settings()
    }
}

#[test]
fn a_record_waits_for_the_one_before_it_of_its_key() {
    let mut rig = Rig::new(with(Ordering::Key, 16), 1);
    for (offset, key) in [(0, 7), (1, 8), (2, 7), (3, 7)] {
        rig.read(0, offset, key);
    }
    let delivered = rig.delivered();
    assert_eq!(
        delivered.iter().map(|t| t.offset.0).collect::<Vec<_>>(),
        [0, 1]
    );
    rig.done(delivered[0]);
    let second = rig.one();
    assert_eq!(second.offset.0, 2);
    rig.done(second);
    assert_eq!(rig.offsets(), [3]);
}

#[test]
fn the_oldest_ready_record_goes_first_so_that_the_frontier_follows() {
    let mut rig = Rig::new(with(Ordering::Key, 2), 1);
    for offset in 0..40 {
        rig.read(0, offset, offset % 4);
    }
    let mut order = Vec::new();
    loop {
        let delivered = rig.delivered();
        if delivered.is_empty() {
            break;
        }
        order.extend(delivered.iter().map(|ticket| ticket.offset.0));
        for ticket in delivered {
            rig.done(ticket);
        }
    }
    assert_eq!(order, (0..40).collect::<Vec<_>>());
}

#[test]
fn a_record_without_key_waits_for_none() {
    let mut rig = Rig::new(with(Ordering::Key, 16), 1);
    for offset in 0..4 {
        rig.read(0, offset, -1);
    }
    assert_eq!(rig.offsets(), [0, 1, 2, 3]);
}

#[test]
fn one_key_in_two_partitions_is_two_orders() {
    let mut rig = Rig::new(with(Ordering::Key, 16), 2);
    rig.read(0, 0, 7);
    rig.read(1, 0, 7);
    assert_eq!(rig.offsets().len(), 2);
}

#[test]
fn a_partition_has_one_record_in_flight_others_go_on() {
    let mut rig = Rig::new(with(Ordering::Partition, 16), 2);
    for (lane, offset) in [(0, 0), (0, 1), (1, 10), (1, 11)] {
        rig.read(lane, offset, -1);
    }
    let delivered = rig.delivered();
    assert_eq!(
        delivered.iter().map(|t| t.offset.0).collect::<Vec<_>>(),
        [0, 10]
    );
    rig.done(delivered[1]);
    assert_eq!(rig.offsets(), [11]);
}

#[test]
fn without_order_nothing_waits() {
    let mut rig = Rig::new(with(Ordering::None, 16), 1);
    for offset in 0..4 {
        rig.read(0, offset, 7);
    }
    assert_eq!(rig.offsets(), [0, 1, 2, 3]);
}

#[test]
fn no_more_than_the_concurrency_is_in_flight() {
    let mut rig = Rig::new(with(Ordering::None, 2), 2);
    for offset in 0..4 {
        rig.read(0, offset, -1);
        rig.read(1, offset, -1);
    }
    let delivered = rig.delivered();
    assert_eq!(delivered.len(), 2);
    assert_eq!(rig.engine.in_flight(), 2);
    rig.done(delivered[0]);
    assert_eq!(rig.delivered().len(), 1);
}

#[test]
fn a_backlog_of_one_partition_does_not_starve_the_others() {
    let mut rig = Rig::new(with(Ordering::None, 1), 3);
    for offset in 0..1000 {
        rig.read(0, offset, -1);
    }
    let first = rig.one();
    rig.read(1, 0, -1);
    rig.read(2, 0, -1);
    rig.done(first);
    let mut lanes = Vec::new();
    for _ in 0..4 {
        let ticket = rig.one();
        lanes.push(ticket.lane.0);
        rig.done(ticket);
    }
    assert_eq!(lanes, [0, 1, 2, 0]);
}

#[test]
fn others_overtake_a_key_that_backs_off_its_own_records_do_not() {
    let mut rig = Rig::new(with(Ordering::Key, 1), 1);
    for (offset, key) in [(0, 7), (1, 7), (2, 8)] {
        rig.read(0, offset, key);
    }
    let first = rig.one();
    rig.answer(first, super::rig::retry());
    // Not in a slot: the other key is delivered although the concurrency is 1.
    let other = rig.one();
    assert_eq!(other.offset.0, 2);
    rig.done(other);
    assert_eq!(rig.offsets(), [] as [i64; 0]);
    rig.pass_to_deadline();
    let (again, attempt) = rig.deliveries()[0];
    assert_eq!((again.offset.0, attempt), (0, 2));
    rig.done(again);
    assert_eq!(rig.offsets(), [1]);
}

#[test]
fn a_partition_waits_for_its_record_that_backs_off() {
    let mut rig = Rig::new(with(Ordering::Partition, 4), 1);
    rig.read(0, 0, -1);
    rig.read(0, 1, -1);
    let first = rig.one();
    rig.answer(first, super::rig::retry());
    assert_eq!(rig.offsets(), [] as [i64; 0]);
    rig.pass_to_deadline();
    assert_eq!(rig.offsets(), [0]);
}

#[test]
fn what_the_handler_skips_counts_as_finished_and_is_told() {
    let mut rig = Rig::new(settings(), 1);
    rig.read(0, 0, 7);
    rig.read(0, 1, 7);
    let first = rig.one();
    rig.answer(first, Verdict::Skip);
    assert_eq!(rig.offsets(), [1]);
    assert_eq!(
        (rig.engine.totals().skipped, rig.engine.totals().finished()),
        (1, 1)
    );
    assert!(
        rig.effects
            .iter()
            .any(|e| matches!(e, crate::engine::Effect::Skipped { failure: None, .. }))
    );
}

fn with_runs(records: usize, bytes: usize) -> Settings {
    Settings {
        run: Run { records, bytes },
        ..with(Ordering::Partition, 100)
    }
}

/// Offsets of what is delivered, batch by batch.
fn batches(rig: &mut Rig) -> Vec<Vec<i64>> {
    let delivered = rig.take(|effect| match effect {
        Effect::Deliver {
            ticket, follows, ..
        } => Some((ticket.offset.0, *follows)),
        _ => None,
    });
    let mut batches: Vec<Vec<i64>> = Vec::new();
    for (offset, follows) in delivered {
        match batches.last_mut() {
            Some(last) if follows => last.push(offset),
            _ => batches.push(vec![offset]),
        }
    }
    batches
}

#[test]
fn what_gathers_behind_a_run_is_the_next_run() {
    let mut rig = Rig::new(with_runs(3, 10_000), 1);
    rig.read(0, 0, -1);
    let first = rig.one();
    for offset in 1..6 {
        rig.read(0, offset, -1);
    }
    assert_eq!(rig.offsets(), [] as [i64; 0]);
    rig.done(first);
    assert_eq!(batches(&mut rig), [[1, 2, 3]]);
}

#[test]
fn a_run_has_no_more_bytes_than_allowed_but_for_its_first() {
    let mut rig = Rig::new(with_runs(10, 250), 1);
    rig.read(0, 0, -1);
    let first = rig.one();
    for (offset, bytes) in [(1, 100), (2, 100), (3, 100), (4, 900), (5, 10)] {
        rig.read_sized(0, offset, -1, bytes);
    }
    rig.done(first);
    let delivered = rig.deliveries();
    let offsets: Vec<_> = delivered
        .iter()
        .map(|(ticket, _)| ticket.offset.0)
        .collect();
    assert_eq!(offsets, [1, 2]);
    for (ticket, _) in delivered {
        rig.done(ticket);
    }
    let third = rig.one();
    assert_eq!(third.offset.0, 3);
    rig.done(third);
    let large = rig.one();
    assert_eq!(large.offset.0, 4);
    rig.done(large);
    assert_eq!(rig.offsets(), [5]);
}

#[test]
fn nothing_starts_before_the_whole_run_is_finished_and_what_failed_goes_alone() {
    let mut rig = Rig::new(with_runs(4, 10_000), 1);
    rig.read(0, 0, -1);
    let first = rig.one();
    for offset in 1..8 {
        rig.read(0, offset, -1);
    }
    rig.done(first);
    let run = rig.delivered();
    assert_eq!(
        run.iter().map(|t| t.offset.0).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    rig.done(run[0]);
    rig.answer(run[1], super::rig::retry());
    // What comes after a failure counts as not attempted.
    rig.answer(run[2], Verdict::Cancelled);
    rig.answer(run[3], Verdict::Cancelled);
    assert_eq!(rig.offsets(), [] as [i64; 0]);
    let mut alone = Vec::new();
    while alone.is_empty() {
        rig.pass_to_deadline();
        alone = rig.deliveries();
    }
    assert_eq!(alone.len(), 1);
    assert_eq!((alone[0].0.offset.0, alone[0].1), (2, 2));
    rig.done(alone[0].0);
    let mut rest = batches(&mut rig);
    while rest.is_empty() {
        rig.pass_to_deadline();
        rest = batches(&mut rig);
    }
    assert_eq!(rest, [[3, 4, 5, 6]]);
}

#[test]
fn what_comes_after_a_rejected_record_of_its_run_goes_on_as_soon_as_that_is_dead_lettered() {
    let mut rig = Rig::new(
        Settings {
            concurrency: 100,
            on_exhausted: OnExhausted::DeadLetter,
            initial_backoff: ms(30_000),
            max_backoff: ms(60_000),
            ..with_runs(100, 100_000)
        },
        1,
    );
    rig.read(0, 0, -1);
    let first = rig.one();
    (1..101).for_each(|offset| rig.read(0, offset, -1));
    rig.done(first);
    let run = rig.delivered();
    assert_eq!(run.len(), 100);
    for ticket in run {
        let verdict = match ticket.offset.0 {
            ..40 => Verdict::Done,
            40 => Verdict::Reject(super::rig::failure()),
            _ => Verdict::Cancelled,
        };
        rig.answer(ticket, verdict);
    }
    assert_eq!(rig.offsets(), [] as [i64; 0], "40 is not finished");
    let letters = rig.take(|effect| match effect {
        Effect::DeadLetter { ticket, .. } => Some(*ticket),
        _ => None,
    });
    assert_eq!(letters.len(), 1);
    rig.dead_lettered(letters[0], Ok(()));
    // Without time passing.
    assert_eq!(rig.offsets(), (41..101).collect::<Vec<_>>());
}

/// Such as for want of memory for what its value becomes.
#[test]
fn what_was_not_begun_is_begun_soon_whatever_the_wait_after_a_failure() {
    for ordering in [Ordering::Key, Ordering::Partition, Ordering::None] {
        let mut rig = Rig::new(
            Settings {
                ordering,
                initial_backoff: ms(30_000),
                max_backoff: ms(60_000),
                ..super::rig::settings()
            },
            1,
        );
        rig.read(0, 0, 7);
        let ticket = rig.one();
        for _ in 0..3 {
            rig.answer(ticket, Verdict::Cancelled);
            assert!(rig.offsets().is_empty(), "it does not spin");
            rig.pass(ms(50));
            assert_eq!(rig.offsets(), [0]);
        }
    }
}
