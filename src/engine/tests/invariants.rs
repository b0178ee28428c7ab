//! The engine's invariants, each a law over random histories. Numbers are those of ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};

use super::books::{Books, LaneBook};
use super::history::{Answer, Fact, History, Partition, Seen};
use super::script::script;
use super::world::play;
use crate::engine::{DeadLetterReason, Settings, Ticket};
use crate::worker_config::{OnExhausted, Ordering};

type Held = Result<(), TestCaseError>;

/// `law` holds at each fact, given the books before it; at what was seen, the books after all.
pub(super) fn holds(
    history: &History,
    mut law: impl FnMut(&Books, &Fact, Duration, &Settings) -> Held,
) -> Held {
    let mut books = Books::default();
    for (at, fact) in &history.facts {
        law(&books, fact, *at, &history.settings)?;
        books.enter(*at, fact, &history.settings);
    }
    Ok(())
}

/// A commit of `offset` passes no unfinished record, and its report names none as finished.
fn passes_nothing(books: &Books, fact: &Fact) -> Held {
    let Fact::CommitAsked {
        partition,
        offset,
        report,
    } = fact
    else {
        return Ok(());
    };
    let of_partition = books.read.iter().filter(|(p, _)| p == partition);
    for (_, record) in of_partition {
        let ahead = report.ahead.iter().any(|range| range.contains(record));
        let finished = books.finished.contains(&(*partition, *record));
        prop_assert!(
            finished || (record >= offset && !ahead),
            "{record} at {fact:?}"
        );
    }
    Ok(())
}

fn goes_never_back(books: &Books, fact: &Fact) -> Held {
    if let Fact::CommitAsked {
        partition, offset, ..
    } = fact
    {
        let before = books.lanes.get(partition).and_then(|lane| lane.committed);
        prop_assert!(
            before.is_none_or(|before| before <= *offset),
            "{before:?}, {fact:?}"
        );
    }
    Ok(())
}

/// What the engine says is finished or unfinished is so by the answers it was given.
fn is_finished_by_right(books: &Books, seen: &Seen) -> Held {
    for lane in &seen.lanes {
        let unfinished = books
            .lanes
            .get(&lane.partition)
            .map(|lane| lane.unfinished().count());
        prop_assert_eq!(Some(lane.unfinished), unfinished, "{:?}", lane);
    }
    Ok(())
}

/// Attempts are told as they were failed: no more, no less, those of former owners included.
fn counts_failures_only(books: &Books, fact: &Fact, settings: &Settings) -> Held {
    let failures = |partition, ticket: Ticket| books.record(partition, ticket).map(|r| r.failures);
    match *fact {
        Fact::Delivered {
            partition,
            ticket,
            attempt,
            ..
        } => {
            if let Some(failures) = failures(partition, ticket) {
                prop_assert_eq!(attempt, failures + 1);
            }
        }
        Fact::LetterAsked {
            partition,
            ticket,
            reason,
            attempts,
        } => {
            let killed = reason == DeadLetterReason::WorkerKilled;
            let lane = partition.and_then(|partition| books.lanes.get(&partition));
            let kills = lane.filter(|_| killed);
            let kills = kills.map_or(0, |lane| lane.kills(ticket.offset.0));
            if let Some(failures) = failures(partition, ticket) {
                prop_assert_eq!(failures + kills, attempts);
            }
            let enough = attempts >= settings.attempts;
            prop_assert!(
                enough || reason != DeadLetterReason::AttemptsExhausted,
                "{fact:?}"
            );
        }
        Fact::Stalled {
            partition,
            offset,
            attempts,
        } => {
            let record = &books.lanes[&partition].records[&offset];
            prop_assert_eq!(attempts, record.failures.max(1));
        }
        _ => {}
    }
    Ok(())
}

/// The last answer to each record, by its partition, epoch and offset.
type LastAnswers = BTreeMap<(i32, Option<u64>, i64), Answer>;

/// Only what truly failed is passed over, dead-lettered or stuck: never what was cancelled.
fn ends_only_after_a_failure(last: &mut LastAnswers, books: &Books, fact: &Fact) -> Held {
    let epoch = |partition| books.lanes.get(&partition).and_then(|lane| lane.epoch);
    let (partition, offset) = match *fact {
        Fact::Answered {
            partition: Some(partition),
            ticket,
            answer,
            genuine: true,
        } => {
            last.insert((partition, Some(ticket.epoch), ticket.offset.0), answer);
            return Ok(());
        }
        Fact::LetterAsked {
            partition: Some(partition),
            ticket,
            ..
        } => (partition, ticket.offset.0),
        Fact::Skipped {
            partition,
            offset,
            by_policy: true,
        } => (partition, offset),
        Fact::Stalled {
            partition, offset, ..
        } => (partition, offset),
        _ => return Ok(()),
    };
    let lane = books.lanes.get(&partition);
    if lane.is_some_and(|lane| lane.is_convicted(offset)) {
        return Ok(());
    }
    let answer = last.get(&(partition, epoch(partition), offset));
    let stalled = matches!(fact, Fact::Stalled { .. });
    prop_assert!(
        matches!(
            answer,
            Some(Answer::Retry | Answer::Reject | Answer::Undeliverable)
        ) || (stalled
            && matches!(
                answer,
                Some(Answer::Misconfigured | Answer::HeldUp | Answer::NotYet)
            )),
        "{answer:?} before {fact:?}"
    );
    Ok(())
}

/// The last run of each partition: its epoch and its records.
type Runs = BTreeMap<i32, (u64, Vec<i64>)>;

fn keeps_the_order(runs: &mut Runs, books: &Books, fact: &Fact, settings: &Settings) -> Held {
    let Fact::Delivered {
        partition: Some(partition),
        ticket,
        attempt,
        follows,
    } = fact
    else {
        return Ok(());
    };
    let run = runs.entry(*partition).or_default();
    if *follows {
        prop_assert_eq!(settings.ordering, Ordering::Partition);
        prop_assert_eq!(run.0, ticket.epoch);
        prop_assert!(*attempt == 1 && run.1.len() < settings.run.records);
    } else {
        *run = (ticket.epoch, Vec::new());
    }
    let lane = &books.lanes[partition];
    let record = &lane.records[&ticket.offset.0];
    prop_assert!(!record.out && !record.finished, "{fact:?}");
    for (offset, before) in lane.records.range(..ticket.offset.0) {
        let waits_for_it = match settings.ordering {
            Ordering::Key => record.key.is_some() && record.key == before.key,
            // In a run the handler gets them in order.
            Ordering::Partition => !run.1.contains(offset) || !before.out,
            Ordering::None => false,
        };
        prop_assert!(!waits_for_it || before.finished, "{offset} before {fact:?}");
    }
    run.1.push(ticket.offset.0);
    Ok(())
}

/// A partition was given back, or taken: what may still be said of it, and when it may go.
fn respects_ownership(books: &Books, fact: &Fact, at: Duration, settings: &Settings) -> Held {
    let good = |partition: Partition, ticket: Ticket, new_work: bool| {
        let lane = partition.and_then(|p| books.lanes.get(&p));
        let good = |lane: &LaneBook| {
            lane.epoch.is_none_or(|epoch| epoch == ticket.epoch)
                && (!new_work || lane.revoked_at.is_none())
        };
        lane.is_some_and(good)
    };
    match *fact {
        Fact::Delivered {
            partition, ticket, ..
        } => {
            prop_assert!(good(partition, ticket, true), "{fact:?}");
        }
        Fact::LetterAsked {
            partition, ticket, ..
        } => {
            prop_assert!(good(partition, ticket, false), "{fact:?}");
        }
        Fact::CommitAsked { partition, .. } => {
            prop_assert!(books.lanes.contains_key(&partition), "{fact:?}");
        }
        Fact::GivenBack { partition } => {
            let Some(lane) = books.lanes.get(&partition) else {
                // It came after the shutdown, so it was never taken.
                prop_assert!(books.stopping, "{fact:?}");
                return Ok(());
            };
            let Some(revoked_at) = lane.revoked_at else {
                return Err(TestCaseError::fail("given back without being asked"));
            };
            let quiet = lane.records.values().all(|record| !record.out);
            let overdue = at >= revoked_at + settings.drain_deadline;
            prop_assert!(quiet || overdue, "{fact:?}");
        }
        _ => {}
    }
    Ok(())
}

/// The frontier is the first unfinished record, or what comes after all that was read.
fn frontier_is_exact(books: &Books, seen: &Seen) -> Held {
    for lane in &seen.lanes {
        let book = &books.lanes[&lane.partition];
        let first = book.unfinished().next();
        prop_assert_eq!(lane.frontier, first.or(book.position), "{:?}", lane);
    }
    Ok(())
}

/// Reads of `bytes` more may pass the budget only by what no record before gave reason to expect.
fn stays_in_the_budget(books: &Books, seen: &Seen, largest: usize, settings: &Settings) -> Held {
    let surprise = books
        .largest
        .saturating_sub(largest.min(settings.budget_bytes / 4));
    prop_assert!(seen.held_bytes <= settings.budget_bytes + surprise);
    Ok(())
}

fn alternates(books: &Books, fact: &Fact) -> Held {
    let (partition, paused) = match fact {
        Fact::Paused { partition } => (partition, true),
        Fact::Resumed { partition } => (partition, false),
        _ => return Ok(()),
    };
    let lane = books.lanes.get(partition);
    let lane = lane.ok_or_else(|| TestCaseError::fail("paused or resumed, but not ours"))?;
    prop_assert_ne!(lane.paused, Some(paused), "{:?}", fact);
    prop_assert!(
        paused || lane.revoked_at.is_none(),
        "resumed while draining"
    );
    Ok(())
}

proptest! {
    #![proptest_config(Config { max_shrink_iters: 20_000, ..Config::default() })]

    /// Invariant 1.
    #[test]
    fn a_commit_never_passes_an_unfinished_record(script in script()) {
        holds(&play(script).history, |books, fact, _, _| passes_nothing(books, fact))?;
    }

    /// Invariant 1.
    #[test]
    fn a_commit_never_goes_back_within_an_epoch(script in script()) {
        holds(&play(script).history, |books, fact, _, _| goes_never_back(books, fact))?;
    }

    /// Invariant 2.
    #[test]
    fn only_handler_broker_or_policy_finish_a_record(script in script()) {
        holds(&play(script).history, |books, fact, _, settings| match fact {
            Fact::Seen(seen) => {
                let skips = settings.on_exhausted == OnExhausted::Skip;
                prop_assert!(skips || seen.totals.passed_over == 0);
                is_finished_by_right(books, seen)
            }
            _ => Ok(()),
        })?;
    }

    /// Invariant 3.
    #[test]
    fn cancelled_is_never_exhausted(script in script()) {
        let mut last = LastAnswers::new();
        holds(&play(script).history, |books, fact, _, _| {
            ends_only_after_a_failure(&mut last, books, fact)
        })?;
    }

    /// Invariant 3.
    #[test]
    fn attempts_are_counted_as_they_failed(script in script()) {
        holds(&play(script).history, |books, fact, _, settings| {
            counts_failures_only(books, fact, settings)
        })?;
    }

    /// Invariant 4.
    #[test]
    fn a_record_is_not_started_before_those_it_waits_for(script in script()) {
        let mut runs = Runs::new();
        holds(&play(script).history, |books, fact, _, settings| {
            keeps_the_order(&mut runs, books, fact, settings)
        })?;
    }

    /// Invariant 5.
    #[test]
    fn records_held_stay_in_the_budget(script in script()) {
        // The largest record, and what was held, before the last read.
        let (mut largest, mut held) = (0, 0);
        holds(&play(script).history, |books, fact, _, settings| {
            match fact {
                Fact::Read { .. } => largest = books.largest,
                Fact::Seen(seen) if seen.held_bytes > held => {
                    stays_in_the_budget(books, seen, largest, settings)?;
                    held = seen.held_bytes;
                }
                Fact::Seen(seen) => held = seen.held_bytes,
                _ => {}
            }
            Ok(())
        })?;
    }

    /// Invariant 5.
    #[test]
    fn every_charge_is_refunded_exactly_once(script in script()) {
        holds(&play(script).history, |books, fact, _, _| {
            if let Fact::Seen(seen) = fact {
                prop_assert_eq!(seen.held_bytes, books.held_bytes());
            }
            Ok(())
        })?;
    }

    /// Invariant 5.
    #[test]
    fn pause_and_resume_alternate(script in script()) {
        holds(&play(script).history, |books, fact, _, _| alternates(books, fact))?;
    }

    #[test]
    fn no_record_is_given_up_while_too_many_would_be(script in script()) {
        let mut open = false;
        let mut given_up = BTreeSet::new();
        holds(&play(script).history, |_, fact, _, settings| {
            match fact {
                Fact::Crashed { .. } => (open, given_up) = (false, BTreeSet::new()),
                Fact::BreakerOpened => {
                    prop_assert!(!open && settings.breaker.is_some());
                    open = true;
                }
                Fact::BreakerClosed => {
                    prop_assert!(open);
                    open = false;
                }
                // A copy that was refused is tried again: that was decided before.
                Fact::LetterAsked { ticket, .. } => {
                    let before = !given_up.insert((ticket.lane, ticket.epoch, ticket.offset));
                    prop_assert!(!open || before, "{fact:?}");
                }
                _ => {}
            }
            Ok(())
        })?;
    }

    /// Invariant 1: what could not be read is no gap.
    #[test]
    fn what_could_not_be_read_is_read_before_anything_behind_it(script in script()) {
        let mut missing: BTreeMap<i32, i64> = BTreeMap::new();
        holds(&play(script).history, |books, fact, _, _| {
            match fact {
                Fact::Barred { partition, offset } => {
                    let draining = |lane: &LaneBook| lane.revoked_at.is_some();
                    if books.lanes.get(partition).is_some_and(|lane| !draining(lane)) {
                        missing.insert(*partition, *offset);
                    }
                }
                Fact::Crashed { .. } => missing.clear(),
                // Whoever has it next is asked anew.
                Fact::Lost { partition } | Fact::GivenBack { partition } | Fact::Assigned { partition, .. } => {
                    missing.remove(partition);
                }
                Fact::Reread { partition, from } => {
                    let missing = missing.remove(partition);
                    prop_assert!(missing.is_some_and(|missing| *from <= missing), "{fact:?}");
                }
                Fact::Delivered { partition: Some(partition), ticket, .. } => {
                    let missing = missing.get(partition);
                    prop_assert!(missing.is_none_or(|missing| ticket.offset.0 < *missing), "{fact:?}");
                }
                _ => {}
            }
            Ok(())
        })?;
    }

    /// Invariant 5: a partition that holds nothing up, in an engine that holds nothing, is read.
    #[test]
    fn nothing_is_paused_while_nothing_is_held(script in script()) {
        holds(&play(script).history, |books, fact, _, _| {
            if let Fact::Seen(Seen { held_bytes: 0, .. }) = fact {
                let reading = |lane: &&LaneBook| lane.revoked_at.is_none() && !lane.barred;
                let mut reading = books.lanes.values().filter(reading);
                prop_assert!(reading.all(|lane| lane.paused == Some(false)));
            }
            Ok(())
        })?;
    }

    /// Invariant 6.
    #[test]
    fn nothing_is_done_for_a_partition_that_is_not_ours(script in script()) {
        holds(&play(script).history, respects_ownership)?;
    }

    /// Invariant 7.
    #[test]
    fn offsets_that_do_not_exist_never_hold_the_frontier(script in script()) {
        holds(&play(script).history, |books, fact, _, _| match fact {
            Fact::Seen(seen) => frontier_is_exact(books, seen),
            _ => Ok(()),
        })?;
    }

    #[test]
    fn no_more_is_delivered_than_the_rate_limit_allows(script in script()) {
        let (mut began, mut delivered) = (None, 0.0);
        holds(&play(script).history, |_, fact, at, settings| {
            if let Fact::Crashed { .. } = fact {
                (began, delivered) = (None, 0.0);
            }
            let began = *began.get_or_insert(at);
            if let (Fact::Delivered { .. }, Some(limit)) = (fact, settings.rate_limit) {
                delivered += 1.0;
                let runs = settings.run.records > 1;
                let kept = limit.per_second() * if runs { 1.0 } else { 0.1 };
                let most = limit.per_second() * (at - began).as_secs_f64() + kept.max(1.0) + 1e-6;
                prop_assert!(delivered <= most, "{delivered} of {most}");
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_more_than_the_concurrency_is_with_the_handler(script in script()) {
        holds(&play(script).history, |books, fact, _, settings| {
            if let Fact::Seen(seen) = fact {
                let records = books.lanes.values().flat_map(|lane| lane.records.values());
                let out = records.filter(|record| record.out).count();
                prop_assert!(seen.in_flight <= settings.concurrency.min(out));
            }
            Ok(())
        })?;
    }
}
