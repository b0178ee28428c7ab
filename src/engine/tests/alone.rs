//! Laws of what may have killed the worker. Numbers are those of ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};

use super::books::Books;
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

    /// Invariant 9: while another record is with the handler, nothing that the broker has says of a suspect that its delivery
    /// has no end; and each kill that is said is a worker that was killed while that was said.
    #[test]
    fn nothing_is_accused_while_another_is_with_the_handler(script in script()) {
        let mut told = Told::default();
        holds(&play(script).history, |books, fact, at, _| told.heeds(books, fact, at))?;
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

/// What the broker has been told of suspects.
#[derive(Default)]
struct Told {
    /// By partition and offset: how often they had a worker killed.
    kills: BTreeMap<(i32, i64), u32>,
    /// How often a worker was killed while more was said of them than that.
    deaths: BTreeMap<(i32, i64), u32>,
    /// With the handler.
    out: BTreeSet<(i32, i64)>,
    /// Of these, by partition, what was there before that one came: what is said of its suspects could not be taken back.
    before: BTreeMap<i32, BTreeSet<(i32, i64)>>,
    /// Since when that is to be taken back: when they were answered first since it is said of them, as they may be no
    /// suspects any more and answered again, or their partition came, or was to go.
    over: BTreeMap<(i32, i64), Duration>,
    /// Partitions whose log began anew under a commit that is under way, which speaks of the old one.
    of_old_log: BTreeSet<i32>,
}

impl Told {
    fn heeds(&mut self, books: &Books, fact: &Fact, at: Duration) -> Result<(), TestCaseError> {
        match fact {
            Fact::CommitAsked { partition, .. } => _ = self.of_old_log.remove(partition),
            Fact::Stored {
                partition,
                suspects,
            } => {
                self.kills.retain(|(other, _), _| other != partition);
                for (offset, kills) in suspects {
                    let record = (*partition, *offset);
                    let deaths = self.deaths(record);
                    prop_assert!(*kills <= deaths + 1, "{record:?}: {kills} of {deaths}");
                    self.kills.insert(record, *kills);
                }
                let (kills, deaths) = (&self.kills, &self.deaths);
                // Of another partition what is to be taken back may be stored by this very commit, after this one.
                self.over.retain(|record, _| {
                    record.0 != *partition
                        || kills.get(record).copied() > deaths.get(record).copied().or(Some(0))
                });
                if self.of_old_log.contains(partition) {
                    self.believe(|record| record.0 == *partition);
                }
            }
            Fact::Delivered {
                partition: Some(partition),
                ticket,
                ..
            } => {
                let record = (*partition, ticket.offset.0);
                self.out.insert(record);
                self.counts_from_now(record);
                self.names_nobody_else(books, at)?;
            }
            Fact::Answered {
                partition: Some(partition),
                ticket,
                genuine: true,
                ..
            } => {
                let record = (*partition, ticket.offset.0);
                self.out.remove(&record);
                self.counts_from_now(record);
                self.over.entry(record).or_insert(at);
            }
            Fact::Revoked { partition } => self.is_over(|other| other == *partition, at),
            Fact::Shutdown => self.is_over(|_| true, at),
            Fact::Assigned { partition, .. } => {
                self.out.retain(|(other, _)| other != partition);
                self.before.insert(*partition, self.out.clone());
                self.is_over(|other| other == *partition, at);
            }
            Fact::Lost { partition } | Fact::GivenBack { partition } => {
                self.out.retain(|(other, _)| other != partition);
            }
            // The log may be another one, of which nothing is known.
            Fact::Read {
                partition, offset, ..
            }
            | Fact::GivenUp { partition, offset } => {
                let lane = books.lanes.get(partition);
                if lane
                    .and_then(|lane| lane.position)
                    .is_some_and(|next| *offset < next)
                {
                    self.of_old_log.insert(*partition);
                    self.believe(|record| record.0 == *partition);
                    self.out.retain(|(other, _)| other != partition);
                }
            }
            Fact::Crashed { .. } => {
                self.names_nobody_else(books, at)?;
                self.believe(|_| true);
                self.out.clear();
                self.before.clear();
                self.over.clear();
                self.of_old_log.clear();
            }
            Fact::LetterAsked {
                partition: Some(partition),
                ticket,
                reason: DeadLetterReason::WorkerKilled,
                ..
            } => {
                let record = (*partition, ticket.offset.0);
                prop_assert!(self.deaths(record) >= 2, "{fact:?}");
            }
            _ => {}
        }
        Ok(())
    }

    fn deaths(&self, record: (i32, i64)) -> u32 {
        self.deaths.get(&record).copied().unwrap_or_default()
    }

    /// It is with the handler no more, or anew.
    fn counts_from_now(&mut self, record: (i32, i64)) {
        for before in self.before.values_mut() {
            before.remove(&record);
        }
    }

    /// What is said of these partitions' records is to be taken back from now on.
    fn is_over(&mut self, of: impl Fn(i32) -> bool, at: Duration) {
        for record in self.kills.keys().filter(|record| of(record.0)) {
            self.over.entry(*record).or_insert(at);
        }
    }

    /// Whoever reads it takes what is said for deaths.
    fn believe(&mut self, whom: impl Fn((i32, i64)) -> bool) {
        for (record, kills) in self.kills.iter().filter(|(record, _)| whom(**record)) {
            let deaths = self.deaths.entry(*record).or_default();
            *deaths = (*kills).max(*deaths);
        }
    }

    /// Were the worker killed now, no record that is not with the handler would be blamed, unless no commit that takes that
    /// back was taken for long, or its partition is not ours, or came when the handler had all that it has.
    fn names_nobody_else(&self, books: &Books, at: Duration) -> Result<(), TestCaseError> {
        let accused = self.kills.iter();
        for (record, kills) in accused.filter(|(record, kills)| **kills > self.deaths(**record)) {
            let since = self.over.get(record);
            let long = since.is_some_and(|since| at >= *since + ms(10_000));
            let ours = books.lanes.contains_key(&record.0);
            let before = self.before.get(&record.0);
            let is_new = |out: &(i32, i64)| before.is_none_or(|before| !before.contains(out));
            let others = self.out.iter().any(|out| out != record && is_new(out));
            prop_assert!(
                !others || !ours || long,
                "{record:?} would be blamed for {kills} deaths, with {:?} out",
                self.out
            );
        }
        Ok(())
    }
}
