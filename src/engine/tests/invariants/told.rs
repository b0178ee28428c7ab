//! What the next owner is told of records that failed and wait, and how a partition full of them goes on.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::Held;
use super::laws::Due;
use crate::engine::tests::books::Books;
use crate::engine::tests::history::{Answer, Fact};
use crate::engine::{Settings, Ticket};
use crate::worker_config::Ordering;

/// Each commit tells of every record that failed how often it did, and of none that it may be tried earlier than it may.
pub(super) fn is_told(due: &Due, books: &Books, fact: &Fact, settings: &Settings) -> Held {
    let Fact::CommitAsked {
        partition, report, ..
    } = fact
    else {
        return Ok(());
    };
    let tries = |offset: i64| report.tries.iter().find(|tries| tries.offset == offset);
    let failed = books.lanes[partition].records.iter();
    let failed = failed.filter(|(_, record)| !record.finished && record.failures > 0);
    for (offset, record) in failed {
        let told = tries(*offset);
        prop_assert_eq!(
            told.map(|tries| tries.attempts),
            Some(record.failures),
            "{} in {:?}",
            offset,
            report
        );
        let wait = due.get(*partition, *offset);
        if let Some((number, from)) = wait.filter(|(number, _)| *number == record.failures + 1) {
            let next_at = told.and_then(|tries| tries.next_at).unwrap_or_default();
            let from = (settings.began + *from).as_secs_f64();
            prop_assert!(next_at as f64 >= from, "{number} of {offset}: {told:?}");
        }
    }
    Ok(())
}

/// Records, by partition and offset, whose last answer was a failure after which they wait for a later attempt.
pub(super) type Waiting = BTreeSet<(i32, i64)>;

/// To wait is no defect.
pub(super) fn to_wait_is_not_to_be_stuck(
    waiting: &mut Waiting,
    books: &Books,
    fact: &Fact,
    settings: &Settings,
) -> Held {
    match fact {
        Fact::Answered {
            partition: Some(partition),
            ticket,
            answer,
            genuine: true,
        } => {
            let place = (*partition, ticket.offset.0);
            waiting.remove(&place);
            if let Some(record) = books.record(Some(*partition), *ticket)
                && *answer == Answer::Retry
            {
                let later = settings.attempts..settings.attempts_in_all();
                let waits = later.contains(&(record.failures + 1));
                waits.then(|| waiting.insert(place));
            }
        }
        // What the next owner is told may be older.
        Fact::Assigned { partition, .. } => waiting.retain(|(other, _)| other != partition),
        Fact::Crashed { .. } => waiting.clear(),
        Fact::CommitAsked {
            partition, report, ..
        } => {
            // Without an attempt it is something else that is told: of the breaker, of a crowd.
            let stuck = report.stuck.iter().filter(|stuck| stuck.attempts > 0);
            for stuck in stuck {
                let waits = waiting.contains(&(*partition, stuck.offset));
                prop_assert!(!waits, "{stuck:?}");
            }
        }
        _ => {}
    }
    Ok(())
}

/// What a crowded partition tries for the first time, until it is answered.
pub(super) type Probes = BTreeMap<i32, Ticket>;

pub(super) fn a_crowd_tries_one_at_a_time(
    probes: &mut Probes,
    books: &Books,
    fact: &Fact,
    settings: &Settings,
) -> Held {
    if let Fact::Answered {
        ticket,
        genuine: true,
        ..
    } = fact
    {
        probes.retain(|_, probe| probe != ticket);
    }
    let Fact::Delivered {
        partition: Some(partition),
        ticket,
        attempt: 1,
        ..
    } = fact
    else {
        return Ok(());
    };
    if settings.then.is_empty() || settings.ordering == Ordering::Partition {
        return Ok(());
    }
    let records = books.lanes[partition].records.values();
    let failed = records.filter(|record| !record.finished && record.failures > 0);
    if failed.count() < settings.waiting {
        return Ok(());
    }
    if let Some(before) = probes.insert(*partition, *ticket)
        && let Some(record) = books.record(Some(*partition), before)
    {
        let is_out = record.out && record.failures == 0 && !record.dead_lettering;
        prop_assert!(!is_out, "{before:?} and {fact:?}");
    }
    Ok(())
}
