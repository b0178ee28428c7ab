//! A crowded partition, as many records of which wait as its report has room for, while others are tried.

use super::later::tiers;
use super::rig::{Rig, failure, ms, retry};
use crate::engine::{Effect, Settings, Ticket, Verdict};
use crate::worker_config::OnExhausted;

/// Three records wait for a minute, which is as many as may; ten were not tried yet.
fn crowded(on_exhausted: OnExhausted) -> Rig {
    let settings = Settings {
        waiting: 3,
        on_exhausted,
        ..tiers()
    };
    let mut rig = Rig::new(settings, 1);
    for offset in 0..3 {
        rig.read(0, offset, -1);
        let ticket = rig.one();
        rig.fail_quickly(ticket);
    }
    (10..20).for_each(|offset| rig.read(0, offset, -1));
    rig
}

fn letter(rig: &mut Rig) -> Ticket {
    let letters = rig.take(|effect| match effect {
        Effect::DeadLetter { ticket, .. } => Some(*ticket),
        _ => None,
    });
    assert_eq!(letters.len(), 1);
    letters[0]
}

#[test]
fn one_that_is_rejected_holds_nobody_up() {
    let mut rig = crowded(OnExhausted::DeadLetter);
    for offset in 10..20 {
        let ticket = rig.one();
        assert_eq!(ticket.offset.0, offset);
        rig.answer(ticket, Verdict::Reject(failure()));
        assert!(rig.offsets().is_empty(), "its letter is not written yet");
        let letter = letter(&mut rig);
        rig.dead_lettered(letter, Ok(()));
    }
    let mut rig = crowded(OnExhausted::Skip);
    for offset in 10..20 {
        let ticket = rig.one();
        assert_eq!(ticket.offset.0, offset);
        rig.answer(ticket, Verdict::Reject(failure()));
    }
}

/// No other is tried until the pause is over.
#[track_caller]
fn others_wait(rig: &mut Rig) {
    rig.pass(tiers().max_backoff - ms(1));
    let early = rig.offsets();
    assert!(early.iter().all(|offset| *offset == 10), "{early:?}");
    rig.pass(ms(1));
    assert!(rig.offsets().contains(&11));
}

#[test]
fn one_that_fails_or_is_rejected_and_stays_holds_them_up() {
    let mut rig = crowded(OnExhausted::DeadLetter);
    let ticket = rig.one();
    rig.answer(ticket, retry());
    others_wait(&mut rig);

    let mut rig = crowded(OnExhausted::DeadLetter);
    let ticket = rig.one();
    rig.answer(ticket, Verdict::Reject(failure()));
    let letter = letter(&mut rig);
    rig.dead_lettered(letter, Err("no such topic"));
    others_wait(&mut rig);

    let mut rig = crowded(OnExhausted::Stall);
    let ticket = rig.one();
    rig.answer(ticket, Verdict::Reject(failure()));
    others_wait(&mut rig);
}
