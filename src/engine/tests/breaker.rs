//! When too much would be dead-lettered, nothing is, until the handler takes records again.

use super::rig::{Rig, failure, ms, settings};
use crate::engine::{Breaker, DeadLetterReason, Effect, Settings, Ticket, Verdict};
use crate::report::Report;
use crate::worker_config::{OnExhausted, Ordering};

const WINDOW_MS: u64 = 60_000;

fn breaking() -> Settings {
    Settings {
        ordering: Ordering::None,
        on_exhausted: OnExhausted::DeadLetter,
        concurrency: 4,
        breaker: Some(Breaker {
            percent: 50,
            min_records: 10,
            window: ms(WINDOW_MS),
        }),
        ..settings()
    }
}

fn rig() -> Rig {
    let mut rig = Rig::new(breaking(), 1);
    (0..200).for_each(|offset| rig.read(0, offset, -1));
    rig.commits();
    rig
}

fn letters(rig: &mut Rig) -> Vec<Ticket> {
    rig.take(|effect| match effect {
        Effect::DeadLetter { ticket, .. } => Some(*ticket),
        _ => None,
    })
}

fn told(rig: &mut Rig) -> Vec<bool> {
    rig.take(|effect| match effect {
        Effect::BreakerOpened { .. } => Some(true),
        Effect::BreakerClosed => Some(false),
        _ => None,
    })
}

/// The handler rejects everything: gives what was dead-lettered until the breaker opened.
fn reject_until_it_opens(rig: &mut Rig) -> usize {
    let mut dead = 0;
    for _ in 0..100 {
        for ticket in rig.delivered() {
            rig.answer(ticket, Verdict::Reject(failure()));
        }
        let letters = letters(rig);
        dead += letters.len();
        letters
            .into_iter()
            .for_each(|ticket| rig.dead_lettered(ticket, Ok(())));
        if rig.engine.breaker_is_open() {
            // Begun before it opened: they say nothing of the handler as it is now.
            for ticket in rig.delivered() {
                rig.answer(ticket, Verdict::Reject(failure()));
            }
            return dead;
        }
    }
    panic!("it does not open");
}

#[test]
fn a_handler_that_rejects_everything_costs_no_more_than_the_least_number_of_records() {
    let mut rig = rig();
    assert_eq!(reject_until_it_opens(&mut rig), 9);
    assert_eq!(told(&mut rig), [true]);
    // One at a time from now on, and none is given up.
    let mut waits = Vec::new();
    for _ in 0..6 {
        let mut waited = ms(0);
        let mut probes = rig.delivered();
        while probes.is_empty() {
            waited += rig.pass_to_deadline();
            if !rig.commits().is_empty() {
                rig.committed(Ok(()));
            }
            probes = rig.delivered();
        }
        assert_eq!(probes.len(), 1);
        rig.answer(probes[0], Verdict::Reject(failure()));
        waits.push(waited);
    }
    assert_eq!(letters(&mut rig), []);
    assert!(waits[5] > 4 * waits[1], "{waits:?}");
    assert_eq!(rig.engine.totals().dead_lettered, 9);
}

#[test]
fn every_partition_with_something_to_do_reports_it_at_once() {
    let mut rig = rig();
    rig.commits();
    rig.committed(Ok(()));
    reject_until_it_opens(&mut rig);
    let stuck = rig.report().stuck.unwrap();
    assert_eq!(
        stuck.error,
        "BreakerOpen 10 of 10 records would be dead-lettered: HttpStatus 500"
    );
}

#[test]
fn it_goes_on_when_some_in_a_row_went_well_and_then_gives_up_what_still_fails() {
    let mut rig = rig();
    let dead = reject_until_it_opens(&mut rig);
    told(&mut rig);
    let mut well = 0;
    while told(&mut rig).is_empty() {
        for ticket in rig.delivered() {
            rig.done(ticket);
            well += 1;
        }
        if rig.engine.breaker_is_open() && rig.engine.in_flight() == 0 {
            rig.pass_to_deadline();
            if !rig.commits().is_empty() {
                rig.committed(Ok(()));
            }
        }
        assert!(well < 100);
    }
    assert_eq!(well, 5);
    // All is well, but for one record.
    let poison = dead as i64;
    for _ in 0..1_000 {
        for ticket in rig.delivered() {
            if ticket.offset.0 == poison {
                rig.answer(ticket, Verdict::Reject(failure()));
            } else {
                rig.done(ticket);
            }
        }
        if !rig.commits().is_empty() {
            rig.committed(Ok(()));
        }
        if rig.engine.next_deadline().is_some() {
            rig.pass_to_deadline();
        }
    }
    let given_up = letters(&mut rig);
    assert!(given_up.iter().all(|ticket| ticket.offset.0 == poison));
    assert!(!rig.engine.breaker_is_open());
}

#[test]
fn a_share_below_the_limit_never_opens_it() {
    let mut rig = rig();
    for number in 0..200 {
        let delivered = rig.delivered();
        for ticket in delivered {
            if ticket.offset.0 % 5 > 2 {
                rig.answer(ticket, Verdict::Reject(failure()));
            } else {
                rig.done(ticket);
            }
        }
        for ticket in letters(&mut rig) {
            rig.dead_lettered(ticket, Ok(()));
        }
        assert!(!rig.engine.breaker_is_open(), "{number}");
    }
    assert_eq!(rig.engine.totals().dead_lettered, 80);
}

/// Such as what is no JSON: those between them that go well say nothing of those that do not.
#[test]
fn what_no_handler_can_be_given_does_not_go_on_to_be_dead_lettered_among_what_goes_well() {
    let mut rig = Rig::new(breaking(), 1);
    (0..5_000).for_each(|offset| rig.read(0, offset, -1));
    rig.commits();
    rig.committed(Ok(()));
    let (mut dead, mut opened) = (0, 0);
    for _ in 0..20_000 {
        for ticket in rig.delivered() {
            let verdict = match ticket.offset.0 % 5 {
                0 | 1 => Verdict::Done,
                _ => Verdict::Undeliverable {
                    reason: DeadLetterReason::NotJson,
                    failure: failure(),
                },
            };
            rig.answer(ticket, verdict);
        }
        for ticket in letters(&mut rig) {
            dead += 1;
            rig.dead_lettered(ticket, Ok(()));
        }
        opened += told(&mut rig).iter().filter(|opened| **opened).count();
        if rig
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Deliver { .. }))
        {
            continue;
        }
        if !rig.commits().is_empty() {
            rig.committed(Ok(()));
        }
        rig.pass_to_deadline();
        rig.effects
            .retain(|effect| !matches!(effect, Effect::Pause(_) | Effect::Resume(_)));
    }
    assert!(rig.engine.breaker_is_open());
    assert!(dead < 10, "{dead}");
    assert_eq!(opened, 1);
}

/// Behind a record that was stuck half of what waits is of its key; the other keys went on meanwhile.
#[test]
fn what_the_last_owner_had_finished_counts_for_the_handler() {
    let left = Report {
        ahead: vec![1..41],
        ..Report::default()
    };
    let mut rig = Rig::new(breaking(), 0);
    rig.assign(0, Some(0), Some(left));
    (0..80).for_each(|offset| rig.read(0, offset, -1));
    for _ in 0..80 {
        for ticket in rig.delivered() {
            match ticket.offset.0 % 2 {
                0 => rig.answer(ticket, Verdict::Reject(failure())),
                _ => rig.done(ticket),
            }
        }
        for ticket in letters(&mut rig) {
            rig.dead_lettered(ticket, Ok(()));
        }
        assert!(!rig.engine.breaker_is_open());
    }
    assert_eq!(rig.engine.totals().dead_lettered, 20);
}
