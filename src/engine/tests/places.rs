//! What takes long for failing, again and again, leaves the handler's places to others.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::rig::{Rig, failure, ms, settings};
use crate::engine::{Breaker, DeadLetterReason, Effect, Event, Run, Settings, Ticket, Verdict};
use crate::worker_config::{OnExhausted, Ordering};

/// How long the handler takes for a record, and what becomes of it.
type Fate = (Duration, Verdict);

/// Time passes, and the handler takes its own for what it is given, until `until` has passed or `wanted` records were done.
/// How many were, and how many were in flight at most in the second half of the time.
fn play(
    rig: &mut Rig,
    until: Duration,
    wanted: usize,
    fate: impl Fn(Ticket) -> Fate,
) -> (usize, usize) {
    let end = rig.now + until;
    let mut busy: Vec<(Duration, Ticket, Fate)> = Vec::new();
    let (mut done, mut most) = (0, 0);
    while rig.now < end && done < wanted {
        for ticket in rig.delivered() {
            let fate = fate(ticket);
            busy.push((rig.now + fate.0, ticket, fate));
        }
        if rig.now > end - until / 2 {
            most = most.max(busy.len());
        }
        let letters = rig.take(|effect| match effect {
            Effect::DeadLetter { ticket, .. } => Some(*ticket),
            _ => None,
        });
        for ticket in letters {
            rig.dead_lettered(ticket, Ok(()));
        }
        if !rig.commits().is_empty() {
            rig.committed(Ok(()));
            continue;
        }
        let answers = busy.iter().map(|(at, ..)| *at);
        let Some(next) = answers.chain(rig.engine.next_deadline()).min() else {
            break;
        };
        let wait = next.saturating_sub(rig.now);
        rig.pass(wait);
        let (over, rest) = busy.into_iter().partition(|(at, ..)| *at <= rig.now);
        busy = rest;
        for (_, ticket, (took, verdict)) in over {
            done += usize::from(verdict == Verdict::Done);
            let payload = ticket.offset.0;
            rig.on(Event::Finished {
                ticket,
                verdict,
                took,
                payload,
            });
        }
    }
    (done, most)
}

fn overruns() -> Fate {
    (ms(30_000), Verdict::Retry(failure()))
}

fn with(concurrency: usize, ordering: Ordering) -> Settings {
    Settings {
        concurrency,
        ordering,
        ..settings()
    }
}

#[test]
fn records_that_overrun_again_and_again_leave_places_to_others() {
    for lanes in [1, 3] {
        let mut rig = Rig::new(with(4, Ordering::None), lanes);
        for offset in 0..400 {
            (0..lanes).for_each(|lane| rig.read(lane, offset, -1));
        }
        let good = 388 * lanes as usize;
        let (done, _) = play(&mut rig, ms(900_000), good, |ticket| {
            match ticket.offset.0 {
                0..12 => overruns(),
                _ => (ms(10), Verdict::Done),
            }
        });
        assert_eq!(done, good, "{lanes}");
    }
}

#[test]
fn where_there_is_one_place_they_leave_half_of_the_time() {
    let mut rig = Rig::new(with(1, Ordering::Key), 1);
    (0..102).for_each(|offset| rig.read(0, offset, offset));
    let (done, _) = play(&mut rig, ms(400_000), 100, |ticket| match ticket.offset.0 {
        0..2 => overruns(),
        _ => (ms(1_000), Verdict::Done),
    });
    assert_eq!(done, 100);
}

#[test]
fn partitions_whose_first_record_overruns_leave_places_to_other_partitions() {
    let mut rig = Rig::new(with(4, Ordering::Partition), 12);
    for offset in 0..200 {
        (0..12).for_each(|lane| rig.read(lane, offset, -1));
    }
    let (done, _) = play(&mut rig, ms(200_000), 400, |ticket| match ticket.lane.0 {
        0..10 => overruns(),
        _ => (ms(100), Verdict::Done),
    });
    assert_eq!(done, 400);
}

/// What failed goes alone, where others go ten together.
#[test]
fn what_failed_takes_half_of_the_places_that_batches_have() {
    let batches = Settings {
        run: Run {
            records: 10,
            bytes: usize::MAX,
        },
        ..with(40, Ordering::None)
    };
    let mut rig = Rig::new(batches, 1);
    (0..20).for_each(|offset| rig.read(0, offset, -1));
    for ticket in rig.delivered() {
        rig.answer(ticket, Verdict::Retry(failure()));
    }
    (20..120).for_each(|offset| rig.read(0, offset, -1));
    let others = rig.delivered();
    rig.pass(ms(200));
    others[..20].iter().for_each(|ticket| rig.done(*ticket));
    let delivered = rig.deliveries();
    assert_eq!(delivered.len(), 20);
    let again = delivered.iter().filter(|(_, attempt)| *attempt > 1);
    assert_eq!(again.count(), 2, "{delivered:?}");
}

#[test]
fn where_no_others_wait_they_have_all_places() {
    let mut rig = Rig::new(with(4, Ordering::None), 1);
    (0..8).for_each(|offset| rig.read(0, offset, -1));
    let (_, most) = play(&mut rig, ms(300_000), 1, |_| overruns());
    assert_eq!(most, 4);
}

/// As many wait for an hour as the report has room for, and others are tried one at a time.
#[test]
fn in_a_crowd_a_record_that_waits_for_its_key_leaves_turns_to_others() {
    let crowded = Settings {
        attempts: 1,
        then: vec![ms(3_600_000)],
        waiting: 3,
        ..with(4, Ordering::None)
    };
    let mut rig = Rig::new(crowded, 1);
    let fate = |ticket: Ticket| match ticket.offset.0 {
        0..3 => (ms(0), Verdict::Retry(failure())),
        3 => (ms(0), Verdict::NotYet(failure())),
        _ => (ms(0), Verdict::Done),
    };
    (0..4).for_each(|offset| rig.read(0, offset, -1));
    play(&mut rig, ms(30_000), 1, fate);
    (4..20).for_each(|offset| rig.read(0, offset, -1));
    let (done, _) = play(&mut rig, ms(600_000), 16, fate);
    assert_eq!(done, 16);
}

/// What a handler may make, for ever, of a record that it does not take.
fn bad(kind: usize) -> Verdict {
    match kind {
        0 => Verdict::Retry(failure()),
        1 => Verdict::Reject(failure()),
        2 => Verdict::Misconfigured(failure()),
        3 => Verdict::SlowDown {
            after: None,
            failure: failure(),
        },
        4 => Verdict::SlowDown {
            after: Some(ms(1_000)),
            failure: failure(),
        },
        5 => Verdict::NotYet(failure()),
        6 => Verdict::Postponed {
            after: ms(1_000),
            failure: Some(failure()),
            of_all: false,
        },
        _ => Verdict::Undeliverable {
            reason: DeadLetterReason::NotJson,
            failure: failure(),
        },
    }
}

proptest! {
    /// Whatever becomes of some records, the others are handled.
    #[test]
    fn what_is_never_taken_keeps_no_others_from_their_turn(
        concurrency in 1..9_usize,
        lanes in 1..4_u32,
        one_in in 3..20_i64,
        kinds in proptest::collection::vec(0..8_usize, 1..4),
        took in prop_oneof![Just(5_u64), Just(1_000), Just(30_000)],
        policy in prop_oneof![Just(OnExhausted::Stall), Just(OnExhausted::DeadLetter)],
        later in any::<bool>(),
        in_a_row in any::<bool>(),
    ) {
        let settings = Settings {
            on_exhausted: policy,
            breaker: Some(Breaker { percent: 50, min_records: 50, window: ms(60_000) }),
            then: if later { vec![ms(60_000)] } else { Vec::new() },
            waiting: 10,
            ..with(concurrency, Ordering::None)
        };
        let all = 120_i64;
        let is_bad = |offset: i64| match in_a_row {
            true => offset < all / one_in,
            false => offset % one_in == 0,
        };
        let mut rig = Rig::new(settings, lanes);
        for offset in 0..all {
            (0..lanes).for_each(|lane| rig.read(lane, offset, -1));
        }
        let good = (0..all).filter(|offset| !is_bad(*offset)).count() * lanes as usize;
        let (done, _) = play(&mut rig, ms(4 * 3_600_000), good, |ticket| {
            let offset = ticket.offset.0;
            let kind = kinds[usize::try_from(offset).unwrap() % kinds.len()];
            match is_bad(offset) {
                true => (ms(took), bad(kind)),
                false => (ms(10), Verdict::Done),
            }
        });
        if done < good {
            return Err(TestCaseError::fail(format!("{done} of {good}")));
        }
    }
}
