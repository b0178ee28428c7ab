//! After the last attempt: dead letter, stall, skip.

use super::rig::{Rig, failure, ms, retry, settings};
use crate::engine::{DeadLetterReason, Effect, Settings, Ticket, Verdict};
use crate::worker_config::{OnExhausted, Ordering};

fn with(on_exhausted: OnExhausted) -> Settings {
    Settings {
        on_exhausted,
        attempts: 2,
        ..settings()
    }
}

/// Dead letters asked for: ticket, reason, attempts.
fn letters(rig: &mut Rig) -> Vec<(Ticket, DeadLetterReason, u32)> {
    rig.take(|effect| match effect {
        Effect::DeadLetter {
            ticket,
            reason,
            attempts,
            ..
        } => Some((*ticket, *reason, *attempts)),
        _ => None,
    })
}

/// The record at offset 0 fails twice.
fn exhaust(rig: &mut Rig) {
    let first = rig.one();
    rig.answer(first, retry());
    rig.pass(ms(100));
    let second = rig.one();
    rig.answer(second, retry());
}

#[test]
fn a_dead_letter_finishes_its_record_only_when_the_broker_has_it() {
    let mut rig = Rig::new(with(OnExhausted::DeadLetter), 1);
    rig.read(0, 0, 7);
    rig.read(0, 1, 7);
    exhaust(&mut rig);
    let asked = letters(&mut rig);
    let [(ticket, reason, attempts)] = asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!((reason, attempts), (DeadLetterReason::AttemptsExhausted, 2));
    rig.commits();
    rig.committed(Ok(()));
    rig.pass(ms(60_000));
    assert!(rig.commits().iter().flatten().all(|f| f.offset.0 == 0));
    assert_eq!(rig.delivered(), [], "its follower waits");
    rig.committed(Ok(()));

    rig.dead_lettered(ticket, Ok(()));
    assert_eq!(rig.offsets(), [1]);
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 1)]);
    assert_eq!(rig.engine.totals().dead_lettered, 1);
}

#[test]
fn a_dead_letter_that_fails_stalls_its_record_and_is_tried_again() {
    let mut rig = Rig::new(with(OnExhausted::DeadLetter), 1);
    rig.read(0, 0, 7);
    exhaust(&mut rig);
    for full_ms in [100, 200, 400] {
        let (ticket, ..) = letters(&mut rig)[0];
        rig.dead_lettered(ticket, Err("UnknownTopicOrPartition"));
        assert_eq!(rig.stalls(), [(0, 2)]);
        let stuck = rig.engine.stalled().next().unwrap().1.clone();
        assert_eq!(stuck.error, "DeadLetter UnknownTopicOrPartition");
        rig.pass(ms(full_ms / 2 - 1));
        assert!(letters(&mut rig).is_empty());
        rig.pass(ms(full_ms / 2 + 1));
        assert_eq!(rig.delivered(), [], "it is not handled again");
    }
    let (ticket, reason, attempts) = letters(&mut rig)[0];
    assert_eq!((reason, attempts), (DeadLetterReason::AttemptsExhausted, 2));
    rig.dead_lettered(ticket, Ok(()));
    assert_eq!(rig.unstalled(), [0]);
}

#[test]
fn dead_letters_under_way_take_no_place_of_a_delivery() {
    let settings = Settings {
        concurrency: 1,
        attempts: 1,
        ordering: Ordering::None,
        ..with(OnExhausted::DeadLetter)
    };
    let mut rig = Rig::new(settings, 1);
    rig.read(0, 0, -1);
    rig.read(0, 1, -1);
    let first = rig.one();
    rig.answer(first, retry());
    assert_eq!(rig.offsets(), [1]);
}

#[test]
fn a_stalled_record_is_tried_on_and_said_each_time_its_followers_wait() {
    let mut rig = Rig::new(with(OnExhausted::Stall), 2);
    rig.read(0, 0, 7);
    rig.read(0, 1, 7);
    exhaust(&mut rig);
    assert_eq!(rig.stalls(), [(0, 2)]);
    for attempts in [3, 4, 5] {
        rig.pass(ms(4_999));
        assert_eq!(rig.delivered(), []);
        rig.pass(ms(5_001));
        let ticket = rig.one();
        rig.answer(ticket, retry());
        assert_eq!(rig.stalls(), [(0, attempts)]);
    }
    rig.read(0, 2, 8);
    rig.read(1, 0, 7);
    assert_eq!(rig.offsets(), [2, 0], "others go on");
    rig.pass(ms(10_000));
    let ticket = rig.one();
    rig.done(ticket);
    assert_eq!(rig.unstalled(), [0]);
    assert_eq!(rig.offsets(), [1]);
}

#[test]
fn stalling_and_recovering_are_reported_at_once() {
    let settings = Settings {
        report_interval: ms(1_000_000),
        ..with(OnExhausted::Stall)
    };
    let mut rig = Rig::new(settings, 1);
    rig.pass(ms(1));
    rig.commits();
    rig.committed(Ok(()));
    rig.read(0, 0, 7);
    exhaust(&mut rig);
    let stuck = rig.report().stuck.unwrap();
    assert_eq!(
        (stuck.offset, stuck.attempts, stuck.error.as_str()),
        (0, 2, "HttpStatus 500")
    );
    rig.committed(Ok(()));
    rig.pass(ms(10_000));
    let ticket = rig.one();
    rig.done(ticket);
    assert_eq!(rig.report().stuck, None);
}

#[test]
fn a_skipped_record_is_told_with_its_failure_and_passed() {
    let mut rig = Rig::new(with(OnExhausted::Skip), 1);
    rig.read(0, 0, 7);
    rig.read(0, 1, 7);
    exhaust(&mut rig);
    let skipped = rig.take(|effect| match effect {
        Effect::Skipped {
            offset, failure, ..
        } => Some((offset.0, failure.clone())),
        _ => None,
    });
    assert_eq!(skipped, [(0, Some(failure()))]);
    assert_eq!(rig.offsets(), [1]);
    assert_eq!(rig.engine.totals().passed_over, 1);
}

#[test]
fn a_rejected_record_is_not_tried_again_but_treated_as_exhausted() {
    let mut rig = Rig::new(with(OnExhausted::DeadLetter), 1);
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.answer(ticket, Verdict::Reject(failure()));
    assert_eq!(letters(&mut rig), [(ticket, DeadLetterReason::Rejected, 1)]);

    let mut rig = Rig::new(with(OnExhausted::Stall), 1);
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.answer(ticket, Verdict::Reject(failure()));
    assert_eq!(rig.stalls(), [(0, 1)]);

    let mut rig = Rig::new(with(OnExhausted::Skip), 1);
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.answer(ticket, Verdict::Reject(failure()));
    assert_eq!(rig.engine.totals().passed_over, 1);
}

#[test]
fn what_cannot_be_delivered_is_treated_as_exhausted_and_no_attempt_is_spent() {
    let undeliverable = || Verdict::Undeliverable {
        reason: DeadLetterReason::DecryptionFailed,
        failure: failure(),
    };
    let mut rig = Rig::new(with(OnExhausted::DeadLetter), 1);
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.answer(ticket, undeliverable());
    assert_eq!(
        letters(&mut rig),
        [(ticket, DeadLetterReason::DecryptionFailed, 0)]
    );

    let mut rig = Rig::new(with(OnExhausted::Stall), 1);
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.answer(ticket, undeliverable());
    assert_eq!(rig.stalls().len(), 1);

    let mut rig = Rig::new(with(OnExhausted::Skip), 1);
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.answer(ticket, undeliverable());
    assert_eq!(rig.engine.totals().passed_over, 1);
}

#[test]
fn what_cannot_be_delivered_yet_stalls_whatever_the_policy_and_the_others_go_on() {
    for on_exhausted in [
        OnExhausted::DeadLetter,
        OnExhausted::Stall,
        OnExhausted::Skip,
    ] {
        let mut rig = Rig::new(with(on_exhausted), 1);
        rig.read(0, 0, 7);
        rig.read(0, 1, 7);
        let stuck = rig.one();
        rig.answer(stuck, Verdict::NotYet(failure()));
        assert_eq!(rig.stalls(), [(0, 1)]);
        // Its key waits, another one does not, and no fewer are in flight at once.
        for offset in 2..18 {
            rig.read(0, offset, -1);
        }
        let others = rig.delivered();
        assert_eq!(others.len(), 16);
        for ticket in others {
            rig.done(ticket);
        }
        rig.pass(ms(60_000));
        let (again, attempt) = rig.deliveries()[0];
        assert_eq!((again.offset, attempt), (stuck.offset, 1));
        rig.done(again);
        assert_eq!(rig.unstalled(), [0]);
        assert_eq!(rig.one().offset.0, 1);
        assert_eq!(rig.engine.totals().passed_over, 0);
    }
}
