//! Later attempts: a record waits in its place for minutes or hours, while others go past it.

use std::time::Duration;

use proptest::prelude::*;

use super::rig::{Rig, failure, ms, partition, retry, settings};
use crate::engine::{Effect, Event, Settings, Ticket, Verdict};
use crate::report::{Later, MAX_BYTES, Report};
use crate::worker_config::{OnExhausted, Ordering};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// Two quick attempts, then one after a minute and one after an hour.
pub(super) fn tiers() -> Settings {
    Settings {
        attempts: 2,
        then: vec![MINUTE, HOUR],
        waiting: 90,
        on_exhausted: OnExhausted::DeadLetter,
        budget_bytes: 100_000_000,
        ..settings()
    }
}

impl Rig {
    /// Time passes until something is delivered, with every commit taken; how long that was, and what.
    pub(super) fn pass_to_delivery(&mut self) -> (Duration, Ticket, u32) {
        let from = self.now;
        for _ in 0..1_000 {
            if let Some((ticket, attempt)) = self.deliveries().pop() {
                return (self.now - from, ticket, attempt);
            }
            self.pass_to_deadline();
            self.commits();
            self.committed(Ok(()));
        }
        panic!("nothing is delivered");
    }

    /// Fails what is delivered until it has used up its quick attempts.
    pub(super) fn fail_quickly(&mut self, ticket: Ticket) {
        self.answer(ticket, retry());
        let (_, again, attempt) = self.pass_to_delivery();
        assert_eq!((again.offset, attempt), (ticket.offset, 2));
        self.answer(again, retry());
    }

    /// Its last report, and what the next owner reads of it.
    pub(super) fn last_report(&mut self) -> (i64, Report) {
        self.pass(ms(1_000));
        let commits = self.commits();
        let frontier = &commits.last().unwrap()[0];
        let text = frontier.report.encode(frontier.offset);
        assert!(text.len() <= MAX_BYTES);
        self.committed(Ok(()));
        let read = Report::decode(&text, frontier.offset).unwrap();
        (frontier.offset.0, read)
    }
}

fn within(wait: Duration, written: Duration) -> bool {
    wait >= written && wait <= written + written / 20
}

#[test]
fn after_the_quick_attempts_one_follows_each_wait_and_then_it_is_exhausted() {
    let mut rig = Rig::new(tiers(), 1);
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.fail_quickly(ticket);
    for (number, written) in [(3, MINUTE), (4, HOUR)] {
        let (waited, ticket, attempt) = rig.pass_to_delivery();
        assert_eq!(attempt, number);
        assert!(within(waited, written), "{waited:?}");
        rig.answer(ticket, retry());
    }
    let letters = rig.take(|effect| match effect {
        Effect::DeadLetter { attempts, .. } => Some(*attempts),
        _ => None,
    });
    assert_eq!(letters, [4]);
    assert_eq!(rig.stalls(), []);
}

#[test]
fn what_is_given_back_leaves_no_timers_for_hours_behind() {
    let at_once = Settings {
        attempts: 1,
        ..tiers()
    };
    let mut rig = Rig::new(at_once, 0);
    for round in 0..20 {
        rig.assign(0, Some(0), None);
        for offset in 0..50 {
            rig.read(0, offset, offset);
        }
        for ticket in rig.delivered() {
            rig.answer(ticket, retry());
        }
        rig.on(Event::Lost(vec![partition(0)]));
        assert!(rig.engine.timers.len() < 150, "{round}");
    }
}

#[test]
fn others_go_past_while_its_key_keeps_its_order() {
    let mut rig = Rig::new(tiers(), 1);
    for (offset, key) in [(0, 7), (1, 8), (2, 7), (3, 9)] {
        rig.read(0, offset, key);
    }
    let delivered = rig.delivered();
    for ticket in &delivered[1..] {
        rig.done(*ticket);
    }
    rig.fail_quickly(delivered[0]);
    let (_, report) = rig.last_report();
    let next_at = report.tries[0].next_at.unwrap();
    assert_eq!(
        report.later,
        Some(Later {
            records: 1,
            behind: 1,
            next_at,
            next: 4,
            more: 0
        })
    );
    assert_eq!(report.stuck, None, "it waits, which is no defect");
    let (_, ticket, attempt) = rig.pass_to_delivery();
    assert_eq!((ticket.offset.0, attempt), (0, 3));
    rig.done(ticket);
    assert_eq!(rig.offsets(), [2], "only now");
}

#[test]
fn the_next_owner_waits_for_the_rest_and_counts_on() {
    for asked_for in [true, false] {
        let mut rig = Rig::new(tiers(), 1);
        rig.read(0, 0, 7);
        let ticket = rig.one();
        rig.fail_quickly(ticket);
        let (_, third, _) = rig.pass_to_delivery();
        // Its third attempt fails, in good time or while the partition is given back: an hour is to pass.
        if asked_for {
            rig.revoke(0);
        }
        rig.answer(third, retry());
        let failed_at = rig.now;
        let (at, report) = rig.last_report();
        assert_eq!(report.later.unwrap().records, 1);
        rig.pass(20 * MINUTE);

        let now = rig.now;
        let mut next = Rig::new(tiers(), 0);
        next.now = now;
        next.assign(0, Some(at), Some(report));
        let (_, said) = next.last_report();
        assert_eq!(said.later.unwrap().records, 1, "also before it is read");
        next.read(0, 0, 7);
        let (_, ticket, attempt) = next.pass_to_delivery();
        assert_eq!(attempt, 4);
        let waited = next.now - failed_at;
        assert!(
            waited >= HOUR && waited <= HOUR + HOUR / 20 + ms(1_000),
            "{waited:?}"
        );
        next.answer(ticket, retry());
        let letters = next.take(|effect| matches!(effect, Effect::DeadLetter { .. }).then_some(()));
        assert_eq!(letters.len(), 1, "and that was the last");
    }
}

#[test]
fn what_stalled_before_and_waits_now_is_stuck_no_more() {
    let mut rig = Rig::new(tiers(), 1);
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.answer(ticket, Verdict::Misconfigured(failure()));
    assert_eq!(rig.stalls(), [(0, 1)]);
    let (_, ticket, attempt) = rig.pass_to_delivery();
    assert_eq!(attempt, 1, "that cost none");
    rig.fail_quickly(ticket);
    assert_eq!(rig.unstalled(), [0]);
    let (_, report) = rig.last_report();
    assert_eq!(report.stuck, None, "to wait is no defect");
    assert_eq!(report.later.unwrap().records, 1);
}

#[test]
fn where_the_wall_clock_is_set_the_next_owner_is_told_by_it_how_long_is_left() {
    for (set, forward) in [(20 * MINUTE, true), (HOUR, false)] {
        let mut rig = Rig::new(tiers(), 1);
        rig.read(0, 0, 7);
        let ticket = rig.one();
        rig.fail_quickly(ticket);
        let (_, third, _) = rig.pass_to_delivery();
        rig.answer(third, retry());
        let failed_at = rig.now;
        rig.last_report();
        let began = match forward {
            true => settings().began + set,
            false => settings().began - set,
        };
        rig.on(Event::ClockSet(began));
        let (at, report) = rig.last_report();
        rig.pass(5 * MINUTE);
        // The next owner has begun with the clock as it is now.
        let settings = Settings { began, ..tiers() };
        let mut next = Rig::new(settings, 0);
        next.now = rig.now;
        next.assign(0, Some(at), Some(report));
        next.read(0, 0, 7);
        let (_, _, attempt) = next.pass_to_delivery();
        assert_eq!(attempt, 4);
        let waited = next.now - failed_at;
        assert!(
            waited >= HOUR && waited <= HOUR + HOUR / 20 + ms(1_000),
            "{waited:?}"
        );
    }
}

#[test]
fn what_waits_holds_no_drain() {
    let mut rig = Rig::new(tiers(), 1);
    rig.read(0, 0, 7);
    rig.read(0, 1, 8);
    let delivered = rig.delivered();
    rig.done(delivered[1]);
    rig.fail_quickly(delivered[0]);
    rig.revoke(0);
    assert_eq!(rig.commits().len(), 1);
    rig.committed(Ok(()));
    assert_eq!(rig.given_back(), [0]);
}

/// One quick attempt, then one after an hour.
pub(super) fn hourly(waiting: usize) -> Settings {
    Settings {
        attempts: 1,
        then: vec![HOUR],
        waiting,
        pod: "orders-6d5f7c8b9d-x2k4v".to_owned(),
        ..tiers()
    }
}

#[test]
fn where_as_many_wait_as_can_be_told_others_are_tried_one_at_a_time() {
    let mut rig = Rig::new(hourly(3), 2);
    for offset in 0..3 {
        rig.read(0, offset, -1);
        let ticket = rig.one();
        rig.answer(ticket, retry());
    }
    for offset in 3..10 {
        rig.read(0, offset, -1);
    }
    let (_, report) = rig.last_report();
    let stuck = report.stuck.unwrap();
    assert_eq!((stuck.offset, stuck.attempts), (0, 0));
    assert!(
        stuck.error.starts_with("RetriesFull 3 records"),
        "{stuck:?}"
    );
    // One that goes well is followed by the next at once.
    for offset in 3..5 {
        let ticket = rig.one();
        assert_eq!(ticket.offset.0, offset);
        rig.done(ticket);
    }
    // After one that fails there is a pause; being asked for less is no failure.
    let ticket = rig.one();
    rig.answer(ticket, retry());
    assert!(rig.offsets().is_empty());
    rig.pass(settings().max_backoff - ms(1));
    assert!(rig.offsets().is_empty());
    rig.pass(ms(1));
    let ticket = rig.one();
    assert_eq!(ticket.offset.0, 6);
    rig.answer(ticket, Verdict::Cancelled);
    assert_eq!(rig.offsets(), [7]);
    // Other partitions take no part in it.
    for offset in 0..3 {
        rig.read(1, offset, -1);
    }
    assert_eq!(rig.offsets(), [0, 1, 2]);
    // When those that waited are done, all goes on as before.
    rig.pass(HOUR + HOUR / 20);
    let mut again = rig.deliveries();
    again.retain(|(ticket, attempt)| ticket.lane.0 == 0 && *attempt == 2);
    assert_eq!(again.len(), 4, "their times are kept");
    for (ticket, _) in again {
        rig.done(ticket);
    }
    assert_eq!(rig.offsets(), [6, 8, 9]);
}

#[test]
fn without_later_attempts_no_number_is_too_many() {
    let settings = Settings {
        then: Vec::new(),
        ordering: Ordering::None,
        attempts: 5,
        ..hourly(3)
    };
    let mut rig = Rig::new(settings, 1);
    for offset in 0..10 {
        rig.read(0, offset, -1);
        let ticket = rig.one();
        rig.answer(ticket, retry());
    }
    assert_eq!(rig.last_report().1.later, None);
}

#[test]
fn with_ordering_partition_all_behind_it_wait_and_are_said_to() {
    let settings = Settings {
        ordering: Ordering::Partition,
        ..hourly(1)
    };
    let mut rig = Rig::new(settings, 1);
    for offset in 0..4 {
        rig.read(0, offset, -1);
    }
    let ticket = rig.one();
    rig.answer(ticket, retry());
    let (_, report) = rig.last_report();
    let later = report.later.unwrap();
    assert_eq!((later.records, later.behind, later.next), (1, 3, 4));
    assert_eq!(report.stuck, None);
    let (_, ticket, attempt) = rig.pass_to_delivery();
    assert_eq!((ticket.offset.0, attempt), (0, 2));
    rig.done(ticket);
    assert_eq!(rig.offsets(), [1]);
}

proptest! {
    /// However many partitions are full of what waits, and however large its records are, the others are read on.
    #[test]
    fn what_waits_leaves_room_for_other_partitions(
        waiting in 1..12_u32, others in 1..4_u32, sizes in proptest::collection::vec(1..4_000_usize, 1..20),
    ) {
        let budget_bytes = 1_000_000;
        let settings = Settings { budget_bytes, concurrency: 10_000, ..hourly(usize::MAX) };
        let mut rig = Rig::new(settings, waiting + others);
        let mut paused = vec![false; (waiting + others) as usize];
        let mut sizes = sizes.into_iter().cycle();
        // All that the client may give us of those in which everything fails.
        for offset in 0..2_000 {
            for lane in 0..waiting {
                for (partition, is_paused) in rig.pauses() {
                    paused[partition.unsigned_abs() as usize] = is_paused;
                }
                if paused[lane as usize] {
                    continue;
                }
                rig.read_sized(lane, offset, -1, sizes.next().unwrap());
                for ticket in rig.delivered() {
                    rig.answer(ticket, retry());
                }
            }
        }
        prop_assert!(rig.engine.held_bytes() <= budget_bytes / 100 * 79, "{}", rig.engine.held_bytes());
        for offset in 0..500 {
            for lane in waiting..waiting + others {
                for (partition, is_paused) in rig.pauses() {
                    paused[partition.unsigned_abs() as usize] = is_paused;
                }
                prop_assert!(!paused[lane as usize]);
                rig.read_sized(lane, offset, -1, sizes.next().unwrap());
                let ticket = rig.one();
                prop_assert_eq!(ticket.lane.0, lane);
                rig.done(ticket);
            }
        }
    }
}
