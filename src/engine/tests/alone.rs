//! Laws of what may have killed the worker. Numbers are those of ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::history::{Fact, Partition};
use super::invariants::holds;
use super::rig::ms;
use super::script::script;
use super::world::play;
use crate::engine::{DeadLetterReason, Ticket};

proptest! {
    #![proptest_config(Config { max_shrink_iters: 20_000, ..Config::default() })]

    /// Invariant 9.
    #[test]
    fn what_may_have_killed_the_worker_goes_alone(script in script()) {
        let mut suspects = BTreeSet::new();
        // The record that was delivered alone and has no answer.
        let mut alone: Option<(i32, i64)> = None;
        holds(&play(script).history, |books, fact, _, _| {
            let named = |partition: &Partition, ticket: &Ticket| {
                partition.map(|partition| (partition, ticket.offset.0))
            };
            match fact {
                Fact::Crashed { with } => {
                    suspects.extend(with.iter().copied());
                    alone = None;
                }
                Fact::Assigned { partition, left, .. } => {
                    alone = alone.filter(|(other, _)| other != partition);
                    let left = left.iter().flat_map(|left| &left.suspects);
                    suspects.extend(left.map(|suspect| (*partition, suspect.offset)));
                }
                // The log may be another one.
                Fact::Read { partition, offset, .. } | Fact::GivenUp { partition, offset } => {
                    let lane = books.lanes.get(partition);
                    if lane.and_then(|lane| lane.position).is_some_and(|next| *offset < next) {
                        suspects.retain(|(other, _)| other != partition);
                        alone = None;
                    }
                }
                Fact::Lost { .. } | Fact::GivenBack { .. } => alone = None,
                Fact::Answered { partition, ticket, answer, genuine: true } => {
                    alone = None;
                    if !answer.was_not_tried() && let Some(record) = named(partition, ticket) {
                        suspects.remove(&record);
                    }
                }
                Fact::Delivered { partition, ticket, .. } => {
                    prop_assert_eq!(alone, None, "beside {:?}", fact);
                    let record = named(partition, ticket);
                    if let Some((partition, offset)) = record.filter(|record| suspects.contains(record)) {
                        let lane = &books.lanes[&partition];
                        prop_assert!(!lane.is_convicted(offset), "{fact:?}");
                        let records = books.lanes.values().flat_map(|lane| lane.records.values());
                        // A copy of a dead letter is no delivery.
                        let out = records.filter(|record| record.out && !record.dead_lettering);
                        prop_assert_eq!(out.count(), 0, "{:?}", fact);
                        alone = record;
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
    }

    /// Invariant 9.
    #[test]
    fn nothing_is_convicted_for_what_another_did(script in script()) {
        // Deliveries alone that had no end; and what the group or a kill out of nothing cut off.
        let mut deaths: BTreeMap<(i32, i64), u32> = BTreeMap::new();
        let mut excused = BTreeSet::new();
        let mut out = BTreeSet::new();
        let mut answered: Option<((i32, i64), Duration)> = None;
        holds(&play(script).history, |books, fact, at, _| {
            match fact {
                Fact::Delivered { partition: Some(partition), ticket, .. } => {
                    if let Some((record, since)) = answered.take()
                        && at >= since + ms(10_000)
                    {
                        excused.insert(record);
                    }
                    out.insert((*partition, ticket.offset.0));
                }
                Fact::Answered { partition: Some(partition), ticket, genuine: true, .. } => {
                    let record = (*partition, ticket.offset.0);
                    out.remove(&record);
                    answered = Some((record, at));
                }
                Fact::Crashed { .. } => {
                    if let (1, Some(record)) = (out.len(), out.first()) {
                        *deaths.entry(*record).or_default() += 1;
                    }
                    excused.extend(answered.take().map(|(record, _)| record));
                    out.clear();
                }
                Fact::Lost { partition } | Fact::GivenBack { partition } | Fact::Assigned { partition, .. } => {
                    let answered = answered.take().map(|(record, _)| record);
                    let gone = out.iter().copied().chain(answered);
                    excused.extend(gone.filter(|(other, _)| other == partition));
                    out.retain(|(other, _)| other != partition);
                }
                Fact::LetterAsked { partition: Some(partition), ticket, reason, .. } => {
                    let record = (*partition, ticket.offset.0);
                    let guilty = deaths.get(&record).copied().unwrap_or_default() >= 2;
                    let killed = *reason == DeadLetterReason::WorkerKilled;
                    prop_assert!(!killed || guilty || excused.contains(&record), "{fact:?}, {books:?}");
                }
                _ => {}
            }
            Ok(())
        })?;
    }
}
