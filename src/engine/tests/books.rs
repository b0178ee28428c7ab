//! The books that a law is checked against: kept from the history alone, in the plainest way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::history::{Answer, Fact, Partition};
use super::memory::{Kept, Memory};
use crate::engine::{KeyHash, Settings, Ticket};
use crate::report::Report;
use crate::worker_config::{OnExhausted, Ordering};

#[derive(Debug, Default)]
pub(super) struct Books {
    /// Partitions that the engine has, by number.
    pub lanes: BTreeMap<i32, LaneBook>,
    /// Everything that was ever finished, by whoever had the partition.
    pub finished: BTreeSet<(i32, i64)>,
    /// Everything that was ever read, with its key.
    pub read: BTreeMap<(i32, i64), Option<u64>>,
    pub largest: usize,
    pub stopping: bool,
    /// Suspects of partitions that this worker had before.
    outlived: BTreeMap<i32, BTreeMap<i64, u32>>,
    memory: Memory,
}

#[derive(Debug, Default)]
pub(super) struct LaneBook {
    pub epoch: Option<u64>,
    pub revoked_at: Option<Duration>,
    pub records: BTreeMap<i64, RecordBook>,
    /// Where reading has come to.
    pub position: Option<i64>,
    pub committed: Option<i64>,
    pub paused: Option<bool>,
    /// It could not be read on, and is not being read again.
    pub barred: bool,
    started_at: Option<i64>,
    /// Something was read, or said of the position.
    touched: bool,
    pub(super) left: Report,
    /// What this worker remembers of it, and is to remember.
    pub(super) kept: Kept,
    /// How often each suspect has had a worker killed, as far as is known.
    suspects: BTreeMap<i64, u32>,
}

#[derive(Debug)]
pub(super) struct RecordBook {
    pub key: Option<u64>,
    pub bytes: usize,
    pub finished: bool,
    /// The engine has it, or someone who will give it back.
    pub held: bool,
    /// With the handler or the producer.
    pub out: bool,
    /// With the producer.
    pub dead_lettering: bool,
    /// Failed attempts, those of former owners included.
    pub failures: u32,
}

impl Books {
    /// The record of a ticket that is still good.
    pub(super) fn record(&self, partition: Partition, ticket: Ticket) -> Option<&RecordBook> {
        let lane = self.lanes.get(&partition?)?;
        let good = lane.epoch == Some(ticket.epoch);
        lane.records.get(&ticket.offset.0).filter(|_| good)
    }

    pub(super) fn held_bytes(&self) -> usize {
        let records = self.lanes.values().flat_map(|lane| lane.records.values());
        records.filter(|r| r.held).map(|r| r.bytes).sum()
    }

    fn change(
        &mut self,
        partition: Partition,
        ticket: Ticket,
        change: impl FnOnce(&mut RecordBook, bool) -> bool,
    ) {
        let Some(partition) = partition else { return };
        let Some(lane) = self.lanes.get_mut(&partition) else {
            return;
        };
        if lane.epoch != Some(ticket.epoch) {
            return;
        }
        let draining = lane.revoked_at.is_some();
        let Some(record) = lane.records.get_mut(&ticket.offset.0) else {
            return;
        };
        if change(record, draining) {
            record.finished = true;
            record.held = false;
            self.finished.insert((partition, ticket.offset.0));
        }
    }

    pub(super) fn enter(&mut self, at: Duration, fact: &Fact, settings: &Settings) {
        match fact {
            Fact::Assigned { partition, .. } if self.stopping => self.lane_ends(*partition, at),
            Fact::Assigned {
                partition,
                committed,
                left,
            } => {
                self.lane_ends(*partition, at);
                let kept = self
                    .memory
                    .kept(*partition, *committed, left, &settings.pod, at);
                let left = left.clone().filter(|_| committed.is_some());
                let left = left.unwrap_or_default();
                // A worker that lives was not killed, whatever it committed.
                let outlived = self.outlived.remove(partition);
                let known = |offset: i64| match &outlived {
                    Some(outlived) => outlived.get(&offset).copied().unwrap_or_default(),
                    None => u32::MAX,
                };
                let suspects = left.suspects.iter();
                let lane = LaneBook {
                    position: *committed,
                    started_at: *committed,
                    suspects: suspects
                        .map(|said| (said.offset, said.kills.min(known(said.offset))))
                        .collect(),
                    left,
                    kept,
                    ..LaneBook::default()
                };
                self.lanes.insert(*partition, lane);
            }
            Fact::Crashed { .. } => {
                self.lanes.clear();
                self.outlived.clear();
                self.memory = Memory::default();
                self.largest = 0;
                self.stopping = false;
            }
            Fact::Skipped {
                partition,
                offset,
                by_policy: true,
            } => {
                let lane = self.lanes.get_mut(partition);
                if let Some(record) = lane.and_then(|lane| lane.records.get_mut(offset)) {
                    record.finished = true;
                    record.held = false;
                    self.finished.insert((*partition, *offset));
                }
            }
            Fact::Lost { partition } | Fact::GivenBack { partition } => {
                self.lane_ends(*partition, at)
            }
            Fact::Revoked { partition } => self.revoke(*partition, at),
            Fact::Shutdown => {
                self.stopping = true;
                let all: Vec<_> = self.lanes.keys().copied().collect();
                all.into_iter()
                    .for_each(|partition| self.revoke(partition, at));
            }
            Fact::Read {
                partition,
                offset,
                key,
                bytes,
            } => {
                self.read.insert((*partition, *offset), *key);
                if let Some(lane) = self.lanes.get_mut(partition)
                    && lane.read(*offset, *key, *bytes, settings)
                {
                    self.largest = self.largest.max(*bytes);
                }
            }
            Fact::GivenUp { partition, offset } => {
                self.read.insert((*partition, *offset), None);
                let lane = self.lanes.get_mut(partition);
                if let Some(lane) = lane.filter(|lane| lane.revoked_at.is_none() && !lane.barred)
                    && lane.read(*offset, None, 0, settings)
                    && let Some(record) = lane.records.get_mut(offset)
                {
                    record.finished = true;
                    record.held = false;
                    self.finished.insert((*partition, *offset));
                }
            }
            Fact::Position { partition, next } => {
                if let Some(lane) = self.lanes.get_mut(partition)
                    && lane.revoked_at.is_none()
                    && !lane.barred
                {
                    lane.position = lane.position.max(Some(*next));
                    lane.touched = true;
                }
            }
            Fact::Barred { partition, offset } => {
                // It is there, and nobody has finished it.
                self.read.entry((*partition, *offset)).or_default();
                if let Some(lane) = self.lanes.get_mut(partition)
                    && lane.revoked_at.is_none()
                {
                    lane.touched |= lane.position.is_none();
                    lane.position.get_or_insert(*offset);
                    lane.barred = true;
                }
            }
            Fact::Reread { partition, .. } => {
                if let Some(lane) = self.lanes.get_mut(partition) {
                    lane.barred = false;
                }
            }
            Fact::Delivered {
                partition, ticket, ..
            }
            | Fact::LetterAsked {
                partition, ticket, ..
            } => {
                if let Some(lane) = partition.and_then(|p| self.lanes.get_mut(&p)) {
                    lane.epoch.get_or_insert(ticket.epoch);
                }
                let dead_lettering = matches!(fact, Fact::LetterAsked { .. });
                self.change(*partition, *ticket, |record, _| {
                    record.dead_lettering = dead_lettering;
                    record.out = true;
                    record.held = true;
                    false
                });
            }
            Fact::Answered {
                partition,
                ticket,
                answer,
                genuine: true,
            } => {
                self.change(*partition, *ticket, |record, draining| {
                    record.answered(*answer, draining, settings)
                });
                let lane = partition.and_then(|partition| self.lanes.get_mut(&partition));
                if let Some(lane) = lane.filter(|lane| lane.epoch == Some(ticket.epoch))
                    && !answer.was_not_tried()
                {
                    lane.suspects.remove(&ticket.offset.0);
                }
            }
            Fact::LetterAnswered {
                partition,
                ticket,
                taken,
                genuine: true,
            } => {
                self.change(*partition, *ticket, |record, draining| {
                    record.out = false;
                    record.held &= !draining;
                    *taken
                });
            }
            Fact::CommitAsked {
                partition, offset, ..
            } => {
                if let Some(lane) = self.lanes.get_mut(partition) {
                    lane.committed = Some(*offset);
                    lane.kept.under_way = Some(*offset);
                }
            }
            Fact::CommitAnswered { taken } => {
                for (partition, lane) in &mut self.lanes {
                    lane.kept.answered(taken.contains(partition));
                }
            }
            Fact::Paused { partition } => self.paused(*partition, true),
            Fact::Resumed { partition } => self.paused(*partition, false),
            _ => {}
        }
    }

    fn lane_ends(&mut self, partition: i32, at: Duration) {
        if let Some(lane) = self.lanes.remove(&partition) {
            self.memory.keep(partition, &lane, at);
            self.outlived.insert(partition, lane.suspects);
        }
    }

    fn paused(&mut self, partition: i32, paused: bool) {
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.paused = Some(paused);
        }
    }

    fn revoke(&mut self, partition: i32, at: Duration) {
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.revoked_at.get_or_insert(at);
            lane.records
                .values_mut()
                .for_each(|record| record.held &= record.out);
        }
    }
}

/// Whether a report says that the record at `offset` is finished: where keys count, also by what it says of them.
pub(super) fn says_finished(report: &Report, offset: i64, key: Option<u64>, by_key: bool) -> bool {
    let ahead = report.ahead.iter().any(|range| range.contains(&offset));
    let past = report.past.iter().filter(|_| by_key);
    let past = past.filter(|past| past.ranges.iter().any(|range| range.contains(&offset)));
    let tag = key.map(|key| KeyHash(key).tag());
    let waits = |(from, but): &(i64, u32)| Some(*but) == tag && offset >= *from;
    ahead || past.into_iter().any(|past| !past.but.iter().any(waits))
}

impl LaneBook {
    fn read(&mut self, offset: i64, key: Option<u64>, bytes: usize, settings: &Settings) -> bool {
        if self.revoked_at.is_some() || self.barred {
            return false;
        }
        if self.position.is_some_and(|position| offset < position) {
            if self.touched {
                if self.unfinished().next().is_some_and(|first| first < offset) {
                    return false;
                }
                // What was held, out or finished is of another log, or of another reading of this.
                *self = Self {
                    paused: self.paused,
                    ..Self::default()
                };
            }
            // The client was reset: what the former owner said is of another log.
            self.left = Report::default();
            self.kept.of_another_log();
            self.suspects.clear();
            self.started_at = None;
        }
        self.touched = true;
        self.position = Some(offset + 1);
        let by_key = settings.ordering == Ordering::Key && bytes > 0;
        let before = self.kept.knows(offset) || says_finished(&self.left, offset, key, by_key);
        // What is said of each record that failed is newer than what is said of the stuck one.
        let mut tries = self.left.tries.iter();
        let failures = match (tries.find(|tries| tries.offset == offset), &self.left.stuck) {
            (Some(tries), _) => tries.attempts,
            (None, _) if Some(offset) == self.started_at => self.left.tried,
            (None, Some(stuck)) if stuck.offset == offset && stuck.attempts > 1 => stuck.attempts,
            (None, _) => 0,
        };
        let record = RecordBook {
            key,
            bytes,
            finished: before,
            held: !before,
            out: false,
            dead_lettering: false,
            failures,
        };
        self.records.insert(offset, record);
        !before
    }

    /// Deliveries alone that had no end, as far as the report of who had it before says, and this worker does not know better.
    pub(super) fn kills(&self, offset: i64) -> u32 {
        self.suspects.get(&offset).copied().unwrap_or_default()
    }

    /// The worker was killed so often with this record alone that it is not delivered any more.
    pub(super) fn is_convicted(&self, offset: i64) -> bool {
        self.kills(offset) >= 2
    }

    pub(super) fn unfinished(&self) -> impl Iterator<Item = i64> {
        let unfinished = self.records.iter().filter(|(_, record)| !record.finished);
        unfinished.map(|(offset, _)| *offset)
    }
}

impl RecordBook {
    /// True if that finishes it.
    fn answered(&mut self, answer: Answer, draining: bool, settings: &Settings) -> bool {
        self.out = false;
        let exhausted = match answer {
            Answer::Done | Answer::Skip | Answer::Duplicate => return true,
            Answer::SlowDown
            | Answer::Misconfigured
            | Answer::Postponed
            | Answer::HeldUp
            | Answer::NotYet
            | Answer::Cancelled => false,
            Answer::Retry => self.failures + 1 >= settings.attempts_in_all(),
            Answer::Reject | Answer::Undeliverable => true,
        };
        self.failures += u32::from(matches!(answer, Answer::Retry | Answer::Reject));
        if exhausted && settings.on_exhausted == OnExhausted::Skip {
            return true;
        }
        // Where it goes to the producer, that fact follows and it is held again.
        self.held &= !draining;
        false
    }
}
