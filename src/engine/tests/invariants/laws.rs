//! What each law asks of a fact, or of what was seen, given the books before it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::Held;
use crate::engine::tests::books::{Books, LaneBook, says_finished};
use crate::engine::tests::history::{Answer, Fact, Partition, Seen};
use crate::engine::{DeadLetterReason, Settings, Ticket};
use crate::worker_config::Ordering;

/// A commit of `offset` passes no unfinished record, and its report names none as finished.
pub(super) fn passes_nothing(books: &Books, fact: &Fact) -> Held {
    let Fact::CommitAsked {
        partition,
        offset,
        report,
    } = fact
    else {
        return Ok(());
    };
    let of_partition = books.read.iter().filter(|((p, _), _)| p == partition);
    for ((_, record), key) in of_partition {
        let ahead = says_finished(report, *record, *key, true);
        let finished = books.finished.contains(&(*partition, *record));
        prop_assert!(
            finished || (record >= offset && !ahead),
            "{record} at {fact:?}"
        );
    }
    Ok(())
}

pub(super) fn goes_never_back(books: &Books, fact: &Fact) -> Held {
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
pub(super) fn is_finished_by_right(books: &Books, seen: &Seen) -> Held {
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
pub(super) fn counts_failures_only(books: &Books, fact: &Fact, settings: &Settings) -> Held {
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
            let enough = attempts >= settings.attempts_in_all();
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

/// When later attempts are due.
#[derive(Default)]
pub(super) struct Due {
    /// By partition and offset: which attempt it is, and when.
    waits: BTreeMap<(i32, i64), (u32, Duration)>,
    /// Partitions that the client has read back: the last commit may tell of records of a former log.
    read_back: BTreeSet<i32>,
}

impl Due {
    pub(super) fn get(&self, partition: i32, offset: i64) -> Option<&(u32, Duration)> {
        self.waits.get(&(partition, offset))
    }

    /// Whoever has it now goes by the last commit.
    fn taken_over(&mut self, partition: i32) {
        if self.read_back.contains(&partition) {
            self.waits.retain(|(other, _), _| *other != partition);
        }
    }
}

/// No later attempt comes before its wait is over, whoever has the partition by then.
pub(super) fn waits_for_its_later_attempt(
    due: &mut Due,
    books: &Books,
    fact: &Fact,
    at: Duration,
    settings: &Settings,
) -> Held {
    match *fact {
        Fact::Read {
            partition, offset, ..
        } => {
            let lane = books.lanes.get(&partition);
            if lane.is_some_and(|lane| lane.position.is_some_and(|position| offset < position)) {
                due.read_back.insert(partition);
            }
        }
        Fact::Assigned { partition, .. } => due.taken_over(partition),
        Fact::Answered {
            partition: Some(partition),
            ticket,
            answer,
            genuine: true,
        } => {
            // What came of it since counts: of a log that was made anew it is another record, which the breaker may hold back.
            due.waits.remove(&(partition, ticket.offset.0));
            let Some(record) = books.record(Some(partition), ticket) else {
                return Ok(());
            };
            if !matches!(answer, Answer::Retry) {
                return Ok(());
            }
            let failures = record.failures + 1;
            let passed = failures.checked_sub(settings.attempts);
            let wait = passed.and_then(|passed| settings.then.get(passed as usize));
            if let Some(wait) = wait {
                due.waits
                    .insert((partition, ticket.offset.0), (failures + 1, at + *wait));
            }
        }
        Fact::Delivered {
            partition: Some(partition),
            ticket,
            attempt,
            ..
        } => {
            if let Some((number, from)) = due.get(partition, ticket.offset.0) {
                prop_assert!(attempt != *number || at >= *from, "{from:?}: {fact:?}");
            }
        }
        _ => {}
    }
    Ok(())
}

/// The last answer to each record, by its partition, epoch and offset.
pub(super) type LastAnswers = BTreeMap<(i32, Option<u64>, i64), Answer>;

/// Only what truly failed is passed over, dead-lettered or stuck: never what was cancelled.
pub(super) fn ends_only_after_a_failure(
    last: &mut LastAnswers,
    books: &Books,
    fact: &Fact,
) -> Held {
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
pub(super) type Runs = BTreeMap<i32, (u64, Vec<i64>)>;

pub(super) fn keeps_the_order(
    runs: &mut Runs,
    books: &Books,
    fact: &Fact,
    settings: &Settings,
) -> Held {
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
pub(super) fn respects_ownership(
    books: &Books,
    fact: &Fact,
    at: Duration,
    settings: &Settings,
) -> Held {
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
pub(super) fn frontier_is_exact(books: &Books, seen: &Seen) -> Held {
    for lane in &seen.lanes {
        let book = &books.lanes[&lane.partition];
        let first = book.unfinished().next();
        prop_assert_eq!(lane.frontier, first.or(book.position), "{:?}", lane);
    }
    Ok(())
}

/// Reads of `bytes` more may pass the budget only by what no record before gave reason to expect.
pub(super) fn stays_in_the_budget(
    books: &Books,
    seen: &Seen,
    largest: usize,
    settings: &Settings,
) -> Held {
    let surprise = books
        .largest
        .saturating_sub(largest.min(settings.budget_bytes / 4));
    prop_assert!(seen.held_bytes <= settings.budget_bytes + surprise);
    Ok(())
}

pub(super) fn alternates(books: &Books, fact: &Fact) -> Held {
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
