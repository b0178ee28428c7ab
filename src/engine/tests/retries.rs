//! Trying again: back-off, attempts, handlers that ask for less or are misconfigured.

use std::time::Duration;

use super::rig::{Rig, failure, ms, retry, settings};
use crate::engine::{Effect, Failure, NOT_CONNECTED, Settings, Verdict};
use crate::worker_config::{OnExhausted, Ordering};

fn slow_down(after: Option<Duration>) -> Verdict {
    Verdict::SlowDown {
        after,
        failure: failure(),
    }
}

#[test]
fn waits_double_and_attempts_count_up() {
    let mut rig = Rig::new(
        Settings {
            attempts: 9,
            ..settings()
        },
        1,
    );
    rig.read(0, 0, 7);
    for attempt in 1..8_u32 {
        let (ticket, said) = rig.deliveries()[0];
        assert_eq!(said, attempt);
        rig.answer(ticket, retry());
        let full = ms(100 * (1 << (attempt - 1)));
        let mut waited = ms(0);
        while rig
            .effects
            .iter()
            .all(|e| !matches!(e, Effect::Deliver { .. }))
        {
            waited += rig.pass_to_deadline();
            if !rig.commits().is_empty() {
                rig.committed(Ok(()));
            }
        }
        assert!(
            waited <= full && waited >= full / 2,
            "{attempt}: {waited:?}"
        );
    }
    assert_eq!(rig.engine.totals().failures, 7);
    assert_eq!(rig.engine.totals().retries, 7);
}

#[test]
fn being_cancelled_costs_no_attempt() {
    let mut rig = Rig::new(
        Settings {
            attempts: 1,
            ..settings()
        },
        1,
    );
    rig.read(0, 0, 7);
    for _ in 0..5 {
        let (ticket, attempt) = rig.deliveries()[0];
        assert_eq!(attempt, 1);
        rig.answer(ticket, Verdict::Cancelled);
        rig.pass(ms(100));
    }
    assert_eq!(rig.stalls(), []);
    assert_eq!(rig.engine.totals().failures, 0);
}

#[test]
fn a_record_that_a_pause_was_for_comes_soon_after_it_whatever_the_wait_after_a_failure() {
    let mut rig = Rig::new(
        Settings {
            concurrency: 1,
            initial_backoff: ms(600_000),
            max_backoff: ms(3_600_000),
            ..settings()
        },
        1,
    );
    rig.read(0, 0, 7);
    let ticket = rig.one();
    rig.answer(
        ticket,
        Verdict::SlowDown {
            after: Some(ms(1_000)),
            failure: failure(),
        },
    );
    rig.pass(ms(999));
    assert!(rig.offsets().is_empty());
    rig.pass(ms(501));
    assert_eq!(rig.offsets(), [0]);
}

#[test]
fn being_asked_for_less_costs_no_attempt_and_waits_as_long_as_asked() {
    let mut rig = Rig::new(
        Settings {
            attempts: 1,
            ..settings()
        },
        1,
    );
    rig.read(0, 0, 7);
    for _ in 0..5 {
        let (ticket, attempt) = rig.deliveries()[0];
        assert_eq!(attempt, 1);
        rig.answer(ticket, slow_down(Some(ms(7_000))));
        rig.pass(ms(6_999));
        assert_eq!(rig.deliveries(), []);
        rig.pass(ms(1));
    }
    assert_eq!(rig.engine.totals().slow_downs, 5);
    assert_eq!(rig.stalls(), []);
}

#[test]
fn being_asked_for_less_without_a_time_waits_longer_each_time() {
    let mut rig = Rig::new(settings(), 1);
    rig.read(0, 0, 7);
    for full_ms in [100, 200, 400, 800] {
        let ticket = rig.one();
        rig.answer(ticket, slow_down(None));
        rig.pass(ms(full_ms / 2 - 1));
        assert_eq!(rig.deliveries(), [], "{full_ms}");
        rig.pass(ms(full_ms / 2 + 1));
    }
}

/// How often records are delivered that are answered with `verdict` each time, a round trip of a millisecond, within ten
/// seconds: all of them, or one beside others that are done as they come.
fn asked_in_vain(verdict: &Verdict, concurrency: usize, all: bool) -> usize {
    let settings = Settings {
        ordering: Ordering::None,
        concurrency,
        budget_bytes: 10_000_000,
        ..settings()
    };
    let mut rig = Rig::new(settings, 1);
    let mut asked = 0;
    for offset in 0..10_000 {
        rig.read(0, offset, -1);
        for ticket in rig.delivered() {
            match all || ticket.offset.0 == 100 {
                true => {
                    asked += 1;
                    rig.answer(ticket, verdict.clone());
                }
                false => rig.done(ticket),
            }
        }
        if !rig.commits().is_empty() {
            rig.committed(Ok(()));
        }
        rig.pass(ms(1));
    }
    asked
}

/// Such as `Retry-After: 0`, or a date that is over by our clock.
#[test]
fn a_handler_that_asks_for_less_for_no_time_is_asked_as_seldom_as_if_it_named_none() {
    for concurrency in [1, 16] {
        for all in [true, false] {
            let without = asked_in_vain(&slow_down(None), concurrency, all);
            assert!((4..100).contains(&without), "{without}");
            for after in [ms(0), Duration::from_nanos(1), ms(99)] {
                let with = asked_in_vain(&slow_down(Some(after)), concurrency, all);
                assert_eq!(with, without, "{after:?}, {concurrency} at once");
            }
        }
    }
    // What it does name is kept.
    let each_200_ms = asked_in_vain(&slow_down(Some(ms(200))), 1, true);
    assert!((25..=50).contains(&each_200_ms), "{each_200_ms}");
}

#[test]
fn a_handler_that_asks_for_less_gets_less_until_it_takes_records_again() {
    let settings = Settings {
        ordering: Ordering::None,
        concurrency: 8,
        ..settings()
    };
    let mut rig = Rig::new(settings, 1);
    for offset in 0..200 {
        rig.read(0, offset, -1);
    }
    let round = rig.delivered();
    assert_eq!(round.len(), 8);
    for ticket in round {
        rig.answer(ticket, slow_down(Some(ms(60_000))));
    }
    let round = rig.delivered();
    assert_eq!(round.len(), 4, "one halving for one round");
    let mut in_flight = round;
    for _ in 0..100 {
        let ticket = in_flight.remove(0);
        rig.done(ticket);
        in_flight.extend(rig.delivered());
    }
    assert_eq!(in_flight.len(), 8);
}

#[test]
fn a_handler_that_refuses_even_one_is_left_alone_for_the_time_it_asked() {
    let settings = Settings {
        ordering: Ordering::None,
        concurrency: 1,
        ..settings()
    };
    let mut rig = Rig::new(settings, 1);
    for offset in 0..5 {
        rig.read(0, offset, -1);
    }
    let ticket = rig.one();
    rig.answer(ticket, slow_down(Some(ms(3_000))));
    rig.pass(ms(2_999));
    assert_eq!(rig.delivered(), [], "not even another record");
    rig.pass(ms(1));
    assert_eq!(rig.delivered().len(), 1);
}

#[test]
fn a_handler_that_is_not_there_is_tried_every_two_seconds_however_long_that_lasts() {
    let settings = Settings {
        initial_backoff: ms(500),
        max_backoff: ms(60_000),
        ..settings()
    };
    let mut rig = Rig::new(settings, 1);
    for offset in 0..100 {
        rig.read(0, offset, offset);
    }
    let absent = Verdict::SlowDown {
        after: None,
        failure: Failure {
            class: NOT_CONNECTED,
            ..failure()
        },
    };
    let (mut tried_at, mut tries) = (rig.now, 0);
    let end = rig.now + ms(600_000);
    while rig.now < end {
        for ticket in rig.delivered() {
            assert!(rig.now <= tried_at + ms(2_000), "{:?}", rig.now - tried_at);
            (tried_at, tries) = (rig.now, tries + 1);
            rig.answer(ticket, absent.clone());
        }
        rig.pass_to_deadline();
    }
    assert!(
        (300..1_000).contains(&tries),
        "{tries}: neither seldom nor without a pause"
    );
    // It is back: what waits goes on at once.
    while rig.now < end + ms(10_000) {
        for ticket in rig.delivered() {
            rig.done(ticket);
        }
        rig.commits();
        rig.pass(ms(100));
    }
    assert_eq!(rig.engine.totals().done, 100);
}

/// How many of `records`, one after the other or `concurrency` at once, are done within `time` where one of them is
/// always answered with `verdict`.
fn done_beside(verdict: &Verdict, concurrency: usize, records: i64, time: Duration) -> u64 {
    let settings = Settings {
        concurrency,
        ..settings()
    };
    let mut rig = Rig::new(settings, 1);
    for offset in 0..records {
        rig.read(0, offset, offset);
    }
    let end = rig.now + time;
    while rig.now < end {
        let round = rig.delivered();
        for &ticket in &round {
            match ticket.offset.0 {
                3 => rig.answer(ticket, verdict.clone()),
                _ => rig.done(ticket),
            }
        }
        if !rig.commits().is_empty() {
            rig.committed(Ok(()));
        }
        if round.is_empty() {
            rig.pass_to_deadline();
        }
    }
    rig.engine.totals().done
}

#[test]
fn a_record_that_the_handler_never_wants_keeps_no_other_waiting_for_long() {
    for verdict in [
        Verdict::Misconfigured(failure()),
        slow_down(None),
        slow_down(Some(ms(3_000))),
    ] {
        for concurrency in [1, 16] {
            let done = done_beside(&verdict, concurrency, 5_000, ms(40_000));
            assert_eq!(done, 4_999, "{verdict:?}, {concurrency} at once");
        }
    }
}

#[test]
fn a_misconfigured_handler_stalls_whatever_the_policy_and_recovers_by_itself() {
    for on_exhausted in [
        OnExhausted::DeadLetter,
        OnExhausted::Skip,
        OnExhausted::Stall,
    ] {
        let mut rig = Rig::new(
            Settings {
                on_exhausted,
                attempts: 2,
                ..settings()
            },
            1,
        );
        for offset in 0..50 {
            rig.read(0, offset, -1);
        }
        let round = rig.delivered();
        for ticket in round {
            rig.answer(ticket, Verdict::Misconfigured(failure()));
        }
        assert_eq!(rig.stalls().len(), 16);
        rig.commits();
        rig.committed(Ok(()));
        // One of the others after a wait that doubles: for as long as nothing goes well, there is one probe each time.
        for full in [100, 200, 400, 800, 1_600, 3_200] {
            rig.pass(ms(full / 2 - 1));
            assert_eq!(rig.delivered(), [], "{full}");
            rig.pass(ms(full / 2 + 1));
            let probe = rig.one();
            assert_eq!(rig.engine.in_flight(), 1);
            rig.answer(probe, Verdict::Misconfigured(failure()));
        }
        rig.pass(ms(10_000));
        // Its attempt is still the first.
        let (probe, attempt) = rig.deliveries()[0];
        assert_eq!(attempt, 1);
        assert_eq!(rig.engine.in_flight(), 1);
        rig.done(probe);
        assert_eq!(
            rig.engine.totals().dead_lettered + rig.engine.totals().passed_over,
            0
        );
        assert_eq!(rig.delivered().len(), 2, "and then more");
    }
}
