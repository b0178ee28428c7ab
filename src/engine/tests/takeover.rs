//! What a new owner takes over from the report of the last.

use std::time::Duration;

use super::rig::{Rig, failure, ms, retry, settings};
use crate::engine::{Effect, Settings, Verdict};
use crate::report::{Later, Outcomes, Report, Stuck, Suspect, Tries};
use crate::worker_config::{OnExhausted, Ordering};

fn bare() -> Rig {
    let mut rig = Rig::new(
        Settings {
            ordering: Ordering::None,
            ..settings()
        },
        0,
    );
    rig.pass(ms(1));
    rig
}

fn ahead(ranges: &[std::ops::Range<i64>]) -> Option<Report> {
    Some(Report {
        ahead: ranges.to_vec(),
        ..Report::default()
    })
}

#[test]
fn what_the_last_owner_finished_beyond_the_frontier_is_not_delivered_again() {
    let mut rig = bare();
    rig.assign(0, Some(10), ahead(&[11..13, 15..16]));
    for offset in 10..17 {
        rig.read(0, offset, -1);
    }
    let delivered = rig.delivered();
    let offsets: Vec<_> = delivered.iter().map(|t| t.offset.0).collect();
    assert_eq!(offsets, [10, 13, 14, 16]);
    assert_eq!(rig.engine.held_bytes(), 400);
    assert_eq!(rig.engine.totals().finished_before, 3);
    assert_eq!(rig.engine.totals().finished(), 0, "another pod's work");
    rig.commits();
    rig.committed(Ok(()));
    rig.done(delivered[0]);
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 13)]);
}

#[test]
fn ranges_before_the_committed_offset_are_not_trusted() {
    let mut rig = bare();
    rig.assign(0, Some(10), ahead(&[8..12, 11..13]));
    for offset in 10..14 {
        rig.read(0, offset, -1);
    }
    assert_eq!(rig.offsets(), [10, 13], "only the second range");
    let mut rig = bare();
    rig.assign(0, None, ahead(&[11..13]));
    rig.read(0, 11, -1);
    assert_eq!(rig.offsets(), [11], "without a committed offset none");
}

#[test]
fn a_log_that_begins_anew_under_us_is_delivered_whole_and_owes_nothing_to_the_old_one() {
    let mut rig = bare();
    rig.assign(0, None, None);
    for offset in 0..5 {
        rig.read(0, offset, -1);
    }
    let old = rig.delivered();
    rig.done(old[0]);
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 1)]);
    rig.committed(Ok(()));

    rig.read(0, 0, -1);
    rig.read(0, 1, -1);
    // What the handler says of the old log's records settles nothing of the new one's.
    rig.done(old[1]);
    let new = rig.delivered();
    let offsets: Vec<_> = new.iter().map(|ticket| ticket.offset.0).collect();
    assert_eq!(offsets, [0, 1]);
    new.into_iter().for_each(|ticket| rig.done(ticket));
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 2)]);
    assert_eq!(rig.engine.held_bytes(), 0);
}

#[test]
fn a_log_that_is_empty_anew_owes_nothing_to_the_old_one() {
    let mut rig = bare();
    rig.assign(0, Some(10), ahead(&[12..14]));
    rig.position(0, 0);
    (0..14).for_each(|offset| rig.read(0, offset, -1));
    assert_eq!(rig.offsets(), Vec::from_iter(0..14));
}

#[test]
fn a_log_that_begins_anew_is_delivered_whole() {
    let mut rig = bare();
    rig.assign(0, Some(10), ahead(&[11..13]));
    for offset in [3, 11, 12] {
        rig.read(0, offset, -1);
    }
    assert_eq!(rig.offsets(), [3, 11, 12]);
}

#[test]
fn what_was_not_read_yet_is_passed_on_to_the_next_owner() {
    let mut rig = bare();
    let left = Report {
        tried: 2,
        stuck: Some(Stuck {
            offset: 20,
            attempts: 7,
            error: "Timeout".to_owned(),
        }),
        ahead: vec![12..13, 21..25],
        ..Report::default()
    };
    rig.assign(0, Some(10), Some(left.clone()));
    let report = rig.report();
    assert_eq!((report.tried, &report.stuck), (2, &left.stuck));
    assert_eq!(report.ahead, left.ahead);
    rig.committed(Ok(()));

    rig.read(0, 10, -1);
    rig.read(0, 11, -1);
    rig.read(0, 12, -1);
    rig.read(0, 13, -1);
    let delivered = rig.deliveries();
    assert_eq!(delivered[0].1, 3, "it counts on");
    rig.done(delivered[2].0);
    rig.revoke(0);
    rig.answer(delivered[0].0, retry());
    rig.done(delivered[1].0);
    rig.commits();
    rig.committed(Ok(()));
    let report = rig.report();
    assert_eq!(report.ahead, [11..14, 21..25]);
    assert_eq!(
        report.tried, 3,
        "only the last delivery had an attempt to spend"
    );
}

#[test]
fn attempts_on_a_stuck_record_are_counted_on() {
    let stuck = Some(Stuck {
        offset: 10,
        attempts: 6,
        error: "Timeout".to_owned(),
    });
    let left = Report {
        tried: 6,
        stuck,
        ..Report::default()
    };
    let mut rig = Rig::new(settings(), 0);
    rig.assign(0, Some(10), Some(left.clone()));
    rig.read(0, 10, -1);
    let (ticket, attempt) = rig.deliveries()[0];
    assert_eq!(attempt, 7);
    rig.answer(ticket, retry());
    assert_eq!(rig.stalls(), [(10, 7)]);

    // With a dead-letter topic since then, one more failure is enough.
    let settings = Settings {
        on_exhausted: OnExhausted::DeadLetter,
        ..settings()
    };
    let mut rig = Rig::new(settings, 0);
    rig.assign(0, Some(10), Some(left));
    rig.read(0, 10, -1);
    let ticket = rig.one();
    rig.answer(ticket, retry());
    assert!(
        rig.effects
            .iter()
            .any(|e| matches!(e, Effect::DeadLetter { attempts: 7, .. }))
    );
}

/// Offsets 10 and 11 have failed, 11 twice; the partition goes, and its report with it.
fn failed_and_gone(ordering: Ordering) -> (Rig, Report) {
    let settings = Settings {
        ordering,
        attempts: 5,
        ..settings()
    };
    let mut rig = Rig::new(settings, 0);
    rig.pass(ms(1));
    rig.assign(0, Some(10), None);
    rig.read(0, 10, 1);
    rig.read(0, 11, 2);
    for ticket in rig.delivered() {
        rig.answer(ticket, retry());
    }
    rig.pass(ms(100));
    let again = rig.delivered();
    for ticket in again.iter().filter(|ticket| ticket.offset.0 == 11) {
        rig.answer(*ticket, retry());
    }
    rig.commits();
    rig.committed(Ok(()));
    rig.revoke(0);
    for ticket in again.iter().filter(|ticket| ticket.offset.0 == 10) {
        rig.answer(*ticket, Verdict::Cancelled);
    }
    let report = rig.commits().pop().unwrap().pop().unwrap().report;
    rig.committed(Ok(()));
    assert_eq!(rig.given_back(), [0]);
    (rig, report)
}

#[test]
fn attempts_beyond_the_frontier_are_counted_on_by_the_next_owner() {
    let (mut rig, report) = failed_and_gone(Ordering::Key);
    let tries: Vec<_> = report
        .tries
        .iter()
        .map(|t| (t.offset, t.attempts))
        .collect();
    assert_eq!(tries, [(10, 1), (11, 2)]);
    assert_eq!(report.tried, 1);
    rig.effects.clear();
    rig.assign(0, Some(10), Some(report));
    rig.read(0, 10, 1);
    rig.read(0, 11, 2);
    rig.pass(ms(10_000));
    let attempts: Vec<_> = rig
        .deliveries()
        .into_iter()
        .map(|(t, n)| (t.offset.0, n))
        .collect();
    assert_eq!(attempts, [(10, 2), (11, 3)]);
}

#[test]
fn the_next_owner_waits_as_long_as_the_last_would_have() {
    for ordering in [Ordering::Key, Ordering::Partition] {
        let mut rig = Rig::new(
            Settings {
                ordering,
                attempts: 5,
                ..settings()
            },
            0,
        );
        rig.pass(ms(1));
        let now = (settings().began + rig.now).as_secs();
        let left = Report {
            tries: vec![Tries {
                offset: 10,
                attempts: 2,
                next_at: Some(now + 5),
            }],
            ..Report::default()
        };
        rig.assign(0, Some(10), Some(left));
        rig.read(0, 10, 1);
        rig.read(0, 11, 1);
        rig.pass(ms(3_000));
        assert_eq!(rig.deliveries(), [], "{ordering:?}");
        rig.pass(ms(2_001));
        let (ticket, attempt) = rig.deliveries()[0];
        assert_eq!((ticket.offset.0, attempt), (10, 3));
        rig.done(ticket);
        assert_eq!(rig.offsets(), [11]);
    }
}

#[test]
fn a_wait_of_another_clock_is_never_longer_than_the_longest_back_off() {
    let mut rig = bare();
    let left = Report {
        tries: vec![Tries {
            offset: 10,
            attempts: 2,
            next_at: Some(u64::MAX / 4),
        }],
        ..Report::default()
    };
    rig.assign(0, Some(10), Some(left));
    rig.read(0, 10, -1);
    rig.pass(settings().max_backoff);
    assert_eq!(rig.offsets(), [10]);
}

#[test]
fn what_stalled_without_an_attempt_has_spent_none_with_the_next_owner() {
    let mut rig = Rig::new(settings(), 1);
    rig.read(0, 0, 7);
    rig.read(0, 1, 8);
    let delivered = rig.delivered();
    rig.answer(delivered[1], Verdict::Misconfigured(failure()));
    rig.pass(ms(1_000));
    let report = rig.report();
    let stuck = report.stuck.as_ref().map(|stuck| stuck.offset);
    assert_eq!(stuck, Some(1));
    let mut next = bare();
    next.assign(0, Some(0), Some(report));
    next.read(0, 0, -1);
    next.read(0, 1, -1);
    let attempts: Vec<_> = next.deliveries().into_iter().map(|(_, n)| n).collect();
    assert_eq!(attempts, [1, 1]);
}

#[test]
fn a_stuck_record_that_does_not_exist_any_more_is_forgotten() {
    let stuck = Some(Stuck {
        offset: 12,
        attempts: 6,
        error: "Timeout".to_owned(),
    });
    for by_position in [true, false] {
        let mut rig = bare();
        let left = Report {
            stuck: stuck.clone(),
            ..Report::default()
        };
        rig.assign(0, Some(10), Some(left));
        assert_eq!(rig.engine.stalled().count(), 1);
        rig.commits();
        rig.committed(Ok(()));
        if by_position {
            rig.position(0, 13);
        } else {
            rig.read(0, 13, -1);
        }
        assert_eq!(rig.engine.stalled().count(), 0);
        assert_eq!(rig.report().stuck, None, "and said at once");
    }
}

/// Anybody who may commit can write a report.
#[test]
fn the_strangest_report_is_taken_over_and_said_again() {
    for at in [0, 10, i64::MAX - 4, i64::MIN, -1] {
        for first in [at, at.saturating_add(1), i64::MAX - 1] {
            let mut rig = Rig::new(
                Settings {
                    then: vec![ms(3_600_000)],
                    on_exhausted: OnExhausted::DeadLetter,
                    ..settings()
                },
                0,
            );
            let tries = |offset| Tries {
                offset,
                attempts: u32::MAX,
                next_at: Some(u64::MAX),
            };
            let suspect = |offset| Suspect {
                offset,
                kills: u32::MAX,
            };
            let report = Report {
                pod: "pod-1".to_owned(),
                done: u64::MAX,
                busy: Duration::from_millis(u64::MAX),
                slots: u32::MAX,
                failures: u64::MAX,
                slow_downs: u64::MAX,
                outcomes: Some(Outcomes {
                    given_up: u32::MAX,
                    of: u32::MAX,
                    at: u64::MAX,
                }),
                tried: u32::MAX,
                stuck: Some(Stuck {
                    offset: i64::MAX,
                    attempts: u32::MAX,
                    error: "HttpStatus 500".to_owned(),
                }),
                later: Some(Later {
                    records: u64::MAX,
                    behind: u64::MAX,
                    next_at: u64::MAX,
                    next: i64::MAX,
                    more: u64::MAX,
                }),
                tries: vec![tries(first), tries(i64::MAX)],
                suspects: vec![suspect(first), suspect(i64::MAX)],
                ahead: vec![i64::MAX - 3..i64::MAX - 2, i64::MAX - 1..i64::MAX],
                ..Report::default()
            };
            rig.assign(0, Some(at), Some(report));
            for offset in at.max(0)..at.saturating_add(3) {
                rig.read(0, offset, offset);
            }
            for _ in 0..5 {
                for ticket in rig.delivered() {
                    rig.answer(ticket, retry());
                }
                let commits = rig.commits();
                for commit in commits.iter().flatten() {
                    let text = commit.report.encode(commit.offset);
                    let read = Report::decode(&text, commit.offset);
                    assert!(read.is_ok(), "{read:?}: {text}");
                }
                if !commits.is_empty() {
                    rig.committed(Ok(()));
                }
                rig.pass(ms(30_000));
            }
            rig.revoke(0);
        }
    }
}
