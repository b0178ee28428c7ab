//! Deliveries that the idempotency store decides: duplicates, records in progress elsewhere, a store
//! that is away.

use super::rig::{Rig, failure, ms, retry, settings};
use crate::engine::{Effect, Event, Settings, Verdict};

fn postponed(millis: u64) -> Verdict {
    Verdict::Postponed {
        after: ms(millis),
        failure: None,
        of_all: false,
    }
}

fn held_up(millis: u64) -> Verdict {
    Verdict::Postponed {
        after: ms(millis),
        failure: Some(failure()),
        of_all: true,
    }
}

/// The store says no to this key alone.
fn refused(millis: u64) -> Verdict {
    Verdict::Postponed {
        after: ms(millis),
        failure: Some(failure()),
        of_all: false,
    }
}

#[test]
fn a_duplicate_is_finished_and_its_key_goes_on() {
    let mut rig = Rig::new(settings(), 1);
    rig.read(0, 0, 7);
    rig.read(0, 1, 7);
    let first = rig.one();
    rig.answer(first, Verdict::Duplicate);
    let second = rig.one();
    assert_eq!(second.offset.0, 1);
    rig.done(second);
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 2)]);
    let totals = rig.engine.totals();
    assert_eq!(
        (totals.duplicates, totals.done, totals.finished()),
        (1, 1, 2)
    );
}

#[test]
fn a_record_in_progress_elsewhere_waits_its_time_and_spends_no_attempt() {
    let mut rig = Rig::new(
        Settings {
            attempts: 1,
            ..settings()
        },
        1,
    );
    rig.read(0, 0, 7);
    rig.read(0, 1, 8);
    let delivered = rig.delivered();
    for _ in 0..10 {
        rig.answer(delivered[0], postponed(250));
        assert!(rig.stalls().is_empty());
        rig.pass(ms(249));
        assert!(rig.offsets().is_empty());
        rig.pass(ms(1));
        assert_eq!(rig.deliveries(), [(delivered[0], 1)]);
    }
    // Others of other keys are not held up by it.
    rig.done(delivered[1]);
    assert_eq!(rig.engine.totals().failures, 0);
    rig.done(delivered[0]);
    assert_eq!(rig.engine.oldest_unfinished(rig.now), None);
}

#[test]
fn while_the_store_is_away_one_record_at_a_time_asks_and_all_come_after_it() {
    let mut rig = Rig::new(settings(), 1);
    for offset in 0..16 {
        rig.read(0, offset, offset);
    }
    let delivered = rig.delivered();
    assert_eq!(delivered.len(), 16);
    for ticket in &delivered {
        rig.answer(*ticket, held_up(1_000));
    }
    assert_eq!(rig.stalls().len(), 16);
    for _ in 0..5 {
        rig.pass(ms(1_000));
        let probes = rig.delivered();
        assert_eq!(probes.len(), 1, "{probes:?}");
        rig.answer(probes[0], held_up(1_000));
    }
    assert_eq!(rig.engine.totals().failures, 0, "nobody's attempt");
    // It is back.
    let mut finished = 0;
    while finished < 16 {
        rig.pass(ms(1_000));
        loop {
            let next = rig.delivered();
            if next.is_empty() {
                break;
            }
            for ticket in next {
                rig.done(ticket);
                finished += 1;
            }
        }
    }
    assert_eq!(rig.unstalled().len(), 16);
}

/// Such as one whose row in the database somebody holds.
#[test]
fn a_key_that_the_store_refuses_holds_no_other_up() {
    let mut rig = Rig::new(settings(), 2);
    for offset in 0..40 {
        rig.read(0, offset, offset);
        rig.read(1, offset, offset);
    }
    let mut waited = ms(0);
    for round in 1..9 {
        let mut asked = 0;
        loop {
            let delivered = rig.delivered();
            if delivered.is_empty() {
                break;
            }
            for ticket in delivered {
                if (ticket.lane.0, ticket.offset.0) == (0, 0) {
                    asked += 1;
                    rig.answer(ticket, refused(1_000));
                } else {
                    rig.done(ticket);
                }
            }
        }
        assert_eq!(asked, 1, "once in each wait");
        assert_eq!(rig.engine.totals().done, 79, "without time passing");
        assert_eq!(rig.stalls(), [(0, 1)], "round {round}");
        let before = rig.now;
        let is_asked = |effect: &Effect<i64>| matches!(effect, Effect::Deliver { .. });
        while !rig.effects.iter().any(is_asked) {
            if !rig.commits().is_empty() {
                rig.committed(Ok(()));
            }
            rig.pass_to_deadline();
        }
        waited = rig.now - before;
        assert!(waited >= ms(500), "{waited:?}");
    }
    assert!(waited > ms(2_000), "it is asked more and more seldom");
    assert_eq!(rig.engine.totals().failures, 0, "nobody's attempt");
}

#[test]
fn a_delivery_that_cannot_end_is_reported_as_stuck_until_it_does() {
    let mut rig = Rig::new(settings(), 1);
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.on(Event::Handled {
        ticket,
        hindered: Some(failure()),
    });
    assert_eq!(rig.stalls(), [(0, 1)]);
    rig.pass(ms(1_000));
    assert!(rig.report().stuck.is_some());
    rig.committed(Ok(()));
    rig.done(ticket);
    assert_eq!(rig.unstalled(), [0]);
    // What is said of a delivery that is over is old news.
    rig.on(Event::Handled {
        ticket,
        hindered: Some(failure()),
    });
    assert!(rig.stalls().is_empty());
}

#[test]
fn a_record_that_waits_is_let_go_when_its_partition_goes() {
    let mut rig = Rig::new(settings(), 1);
    rig.read(0, 0, 7);
    rig.read(0, 1, 8);
    let delivered = rig.delivered();
    rig.revoke(0);
    rig.answer(delivered[0], postponed(250));
    rig.answer(delivered[1], held_up(1_000));
    // With what its next owner should know.
    assert_eq!(rig.committed_offsets(), [(0, 0)]);
    rig.committed(Ok(()));
    assert_eq!(rig.given_back(), [0]);
    assert!(rig.offsets().is_empty());
}

#[test]
fn an_attempt_that_failed_counts_on_after_a_wait_for_the_store() {
    let mut rig = Rig::new(settings(), 1);
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.answer(ticket, retry());
    rig.pass(ms(200));
    assert_eq!(rig.deliveries(), [(ticket, 2)]);
    rig.answer(ticket, postponed(250));
    rig.pass(ms(250));
    assert_eq!(rig.deliveries(), [(ticket, 2)]);
}

/// The next owner would have it done again, with certainty.
#[test]
fn what_is_done_and_not_marked_is_finished_when_its_partition_must_go() {
    let mut rig = Rig::new(settings(), 1);
    for offset in 0..3 {
        rig.read(0, offset, offset);
    }
    let delivered = rig.delivered();
    for (ticket, hindered) in [(delivered[0], None), (delivered[1], Some(failure()))] {
        rig.on(Event::Handled { ticket, hindered });
    }
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 0)]);
    rig.committed(Ok(()));
    rig.revoke(0);
    rig.pass(ms(30_000));
    assert_eq!(rig.cancelled(), [0, 1, 2]);
    // The third is still with its handler.
    assert_eq!(rig.commits().last().unwrap()[0].offset.0, 2);
    rig.committed(Ok(()));
    assert_eq!(rig.given_back(), [0]);
    assert_eq!(rig.engine.totals().done, 2);
    // That its delivery ends then changes nothing.
    rig.done(delivered[0]);
    assert_eq!(rig.engine.totals().done, 2);
}
