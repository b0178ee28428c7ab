//! What fails again and again keeps nothing else from its turn.

use std::time::Duration;

use super::rig::{Rig, failure, ms, settings};
use crate::engine::{Breaker, Effect, Event, RateLimit, Settings, Verdict};
use crate::worker_config::{OnExhausted, Ordering};

/// Answers each delivery at once and lets dead letters be taken, until `until` has passed or `wanted` records were done.
/// How many were, and how many dead letters there are.
fn play(
    rig: &mut Rig,
    until: Duration,
    wanted: usize,
    verdict: impl Fn(i64, Duration) -> Verdict,
) -> (usize, usize) {
    let (began, mut done, mut dead) = (rig.now, 0, 0);
    while rig.now - began < until && done < wanted {
        let delivered = rig.delivered();
        let letters = rig.take(|effect| match effect {
            Effect::DeadLetter { ticket, .. } => Some(*ticket),
            _ => None,
        });
        if delivered.is_empty() && letters.is_empty() {
            if !rig.commits().is_empty() {
                rig.committed(Ok(()));
            }
            rig.pass_to_deadline();
        }
        for ticket in delivered {
            let verdict = verdict(ticket.offset.0, rig.now - began);
            done += usize::from(verdict == Verdict::Done);
            rig.answer(ticket, verdict);
        }
        dead += letters.len();
        letters
            .into_iter()
            .for_each(|ticket| rig.dead_lettered(ticket, Ok(())));
    }
    (done, dead)
}

/// Three partitions of 140 records, and a breaker as by default.
fn breaking() -> Rig {
    let settings = Settings {
        ordering: Ordering::None,
        on_exhausted: OnExhausted::DeadLetter,
        breaker: Some(Breaker {
            percent: 50,
            min_records: 50,
            window: ms(60_000),
        }),
        ..settings()
    };
    let mut rig = Rig::new(settings, 3);
    for offset in 0..140 {
        (0..3).for_each(|lane| rig.read(lane, offset, -1));
    }
    rig
}

fn unavailable() -> Verdict {
    Verdict::SlowDown {
        after: None,
        failure: failure(),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn after_an_outage_a_record_that_the_handler_never_takes_keeps_no_other_waiting() {
    for lanes in [1, 3] {
        for outage in [3, 40, 300] {
            let mut rig = Rig::new(
                Settings {
                    concurrency: 4,
                    max_backoff: ms(30_000),
                    ..settings()
                },
                lanes,
            );
            for offset in 0..30 {
                (0..lanes).for_each(|lane| rig.read(lane, offset, -1));
            }
            let all = 28 * lanes as usize;
            let (done, _) = play(
                &mut rig,
                seconds(outage + 60),
                all,
                |offset, now| match offset {
                    _ if now < seconds(outage) => unavailable(),
                    0 | 1 => Verdict::Misconfigured(failure()),
                    _ => Verdict::Done,
                },
            );
            assert_eq!(done, all, "{lanes} lanes, {outage} s");
        }
    }
}

#[test]
fn a_burst_of_records_that_are_rejected_ends_in_the_dead_letter_topic_and_the_good_ones_go_on() {
    let mut rig = breaking();
    let (done, dead) = play(&mut rig, seconds(600), 300, |offset, _| match offset {
        0..40 => Verdict::Reject(failure()),
        _ => Verdict::Done,
    });
    assert_eq!(done, 300);
    assert!(dead <= 120, "{dead}");
}

#[test]
fn a_handler_that_rejects_everything_still_costs_no_more_than_the_least_number_of_records() {
    let mut rig = breaking();
    let (done, dead) = play(&mut rig, seconds(3_600), 1, |_, _| {
        Verdict::Reject(failure())
    });
    assert_eq!((done, dead), (0, 49));
}

#[test]
fn under_a_rate_limit_what_is_stuck_takes_half_of_the_leave_at_most() {
    let limited = Settings {
        ordering: Ordering::None,
        max_backoff: ms(2_000),
        rate_limit: Some(RateLimit {
            records: 1,
            per: ms(1_000),
        }),
        ..settings()
    };
    let mut rig = Rig::new(limited, 1);
    rig.on(Event::Partitions(1));
    (0..45).for_each(|offset| rig.read(0, offset, -1));
    let (done, _) = play(&mut rig, seconds(90), 40, |offset, _| match offset {
        0..5 => Verdict::Retry(failure()),
        _ => Verdict::Done,
    });
    assert!(done >= 38, "{done}");
}

#[test]
fn some_records_that_the_handler_never_wants_now_keep_no_others_from_it() {
    let half_a_minute = Settings {
        ordering: Ordering::None,
        concurrency: 4,
        initial_backoff: ms(500),
        max_backoff: ms(30_000),
        ..settings()
    };
    for after in [None, Some(seconds(1))] {
        let mut rig = Rig::new(half_a_minute.clone(), 3);
        for offset in 0..600 {
            (0..3).for_each(|lane| rig.read(lane, offset, -1));
        }
        let (done, _) = play(&mut rig, seconds(300), 1_620, |offset, _| {
            match offset % 10 {
                9 => Verdict::SlowDown {
                    after,
                    failure: failure(),
                },
                _ => Verdict::Done,
            }
        });
        assert_eq!(done, 1_620, "{after:?}");
    }
}
