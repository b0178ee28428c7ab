//! Suspects are delivered with nothing beside them, after a commit that says so, and others only after one that has taken
//! that word back; those that are convicted are delivered no more.

use std::time::Duration;

use super::effect::{DeadLetterReason, Effect};
use super::event::{CONNECTION_BROKE, Failure, Verdict};
use super::lane::Lane;
use super::record::State;
use super::slab::{Generation, Handle};
use super::suspects::{Stage, Suspect, Unsaid};
use super::{Engine, LaneId};
use crate::report::WORKER_KILLED;
use crate::topic::{Offset, TopicPartition};

/// Attempts after which a record whose connection breaks is delivered alone.
const BREAKS: u32 = 2;
/// A suspect is delivered without the commit that says so when that was not taken for so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Others wait for so long, after an assignment, until the suspects among its records are read: they go first.
const UNREAD: Duration = Duration::from_secs(5);

impl<P> Engine<P> {
    /// A worker of this pod was killed while the handler had these records.
    pub(super) fn suspect(&mut self, records: Vec<(TopicPartition, Offset)>) {
        for (partition, offset) in records {
            let known = self.suspects.known.entry(partition).or_default();
            known.insert(offset.0);
        }
    }

    /// What a killed worker of this pod had, as far as it is not known to be harmless.
    pub fn suspects(&self) -> impl Iterator<Item = (&TopicPartition, Offset)> {
        let known = self.suspects.known.iter();
        known.flat_map(|(partition, offsets)| offsets.iter().map(move |o| (partition, Offset(*o))))
    }

    /// A partition is assigned: what is known of it goes to its lane. `is_own_report`: what was committed last was by this pod.
    pub(super) fn suspects_of(&mut self, id: LaneId, is_own_report: bool) {
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let suspects = &mut lane.suspects;
        let acquitted = self
            .suspects
            .acquit_outlived(&lane.partition, is_own_report, suspects);
        let known = self.suspects.known.get(&lane.partition);
        for offset in known.into_iter().flatten() {
            if lane.ledger.next().is_none_or(|next| *offset >= next.0) {
                lane.suspects.entry(*offset).or_default();
            }
        }
        if !lane.suspects.is_empty() {
            self.suspects.unread_until = Some(self.now + UNREAD);
            // Whoever has the partition next is to know it too.
            self.changed(id);
        }
        if acquitted {
            self.unsay(id);
        }
    }

    /// The record can be delivered: alone if it is a suspect, else in its lane's turn.
    pub(super) fn turn_has_come(&mut self, handle: Handle) {
        let record = &mut self.records[handle];
        let (id, offset) = (record.lane, record.offset);
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        if lane.suspects.contains_key(&offset.0) {
            record.state = State::Suspected;
            let generation = self.records.generation(handle);
            self.suspects.waiting.push_back((handle, generation));
        } else {
            record.state = State::Ready;
            lane.is_ready(offset, handle, record.attempts > 0);
            self.enter_ring(id);
        }
    }

    /// Starts the suspect whose turn it is. True if nothing else may be started meanwhile.
    pub(super) fn start_suspect(&mut self, effects: &mut Vec<Effect<P>>) -> bool {
        self.suspects.patience = None;
        if self.suspects.is_quiet() {
            return false;
        }
        let others_wait = self.suspect_goes_first(effects);
        // It may have something to say.
        self.commit(effects);
        others_wait
    }

    fn suspect_goes_first(&mut self, effects: &mut Vec<Effect<P>>) -> bool {
        let records = &self.records;
        let is_there = |(handle, generation): &(Handle, Generation)| {
            records.generation(*handle) == *generation
        };
        let is_out = |out: &(Handle, Generation)| is_there(out) && records[out.0].is_out();
        self.suspects.out = self.suspects.out.filter(is_out);
        if self.suspects.out.is_some() {
            return true;
        }
        self.suspects.waiting.retain(is_there);
        let unsaid = self.something_is_unsaid();
        while let Some((handle, generation)) = self.next_suspect() {
            let record = &self.records[handle];
            let (id, offset) = (record.lane, record.offset);
            let (now, in_flight) = (self.now, self.in_flight);
            let lane = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut);
            let Some(suspect) = lane.and_then(|lane| lane.suspects.get_mut(&offset.0)) else {
                self.suspects.waiting.retain(|(other, _)| *other != handle);
                self.turn_has_come(handle);
                continue;
            };
            if suspect.is_convicted() {
                let kills = suspect.kills;
                self.suspects.waiting.retain(|(other, _)| *other != handle);
                self.convict(handle, kills, effects);
                let there = self.records.generation(handle) == generation;
                if there && self.records[handle].is_out() {
                    // Another could have the worker killed before the letter is written.
                    self.suspects.out = Some((handle, generation));
                    return true;
                }
                continue;
            }
            if in_flight > 0 {
                // One of those could have the worker killed in its name.
                return true;
            }
            let stage = suspect.stage;
            match stage {
                // Until it can begin it would have this said of it for nothing.
                Stage::Waiting if !self.may_start() => return true,
                Stage::Waiting => {
                    let (since, sent) = (now, false);
                    let lane = self.lane_mut(id);
                    if let Some(suspect) = lane.and_then(|lane| lane.suspects.get_mut(&offset.0)) {
                        suspect.stage = Stage::Announced { since, sent };
                    }
                    self.suspects.patience.get_or_insert(since + PATIENCE);
                    self.changed(id);
                    self.commits.hurry();
                    return true;
                }
                Stage::Announced { since, .. } if now < since + PATIENCE => {
                    self.suspects.patience.get_or_insert(since + PATIENCE);
                    return true;
                }
                Stage::Announced { .. } | Stage::Committed => {}
            }
            if !unsaid && self.may_start() {
                self.suspects.waiting.retain(|(other, _)| *other != handle);
                self.suspects.out = Some((handle, generation));
                self.deliver(id, handle, false, effects);
            }
            return true;
        }
        unsaid || self.some_are_unread()
    }

    /// Whether suspects of the latest partitions are still to be read.
    fn some_are_unread(&mut self) -> bool {
        let Some(until) = self.suspects.unread_until else {
            return false;
        };
        let is_unread = |lane: &Lane| {
            let last = lane.suspects.keys().next_back();
            let unread = |last: &i64| lane.ledger.next().is_none_or(|next| *last >= next.0);
            !lane.draining && !lane.is_barred() && last.is_some_and(unread)
        };
        let any = self.lanes.iter().flatten().any(is_unread);
        if !any || self.now >= until || self.budget.full() {
            self.suspects.unread_until = None;
            return false;
        }
        self.suspects.patience.get_or_insert(until);
        true
    }

    /// Whether nothing may be delivered until a commit was taken.
    fn something_is_unsaid(&mut self) -> bool {
        let mut unsaid = std::mem::take(&mut self.suspects.unsaid);
        unsaid.retain(|unsaid| {
            let lane = self.lane(unsaid.lane);
            let is_there = lane.is_some_and(|lane| lane.epoch == unsaid.epoch);
            is_there && self.now < unsaid.since + PATIENCE
        });
        self.suspects.patience = unsaid.iter().map(|unsaid| unsaid.since + PATIENCE).min();
        self.suspects.unsaid = unsaid;
        self.suspects.patience.is_some()
    }

    /// The report of the lane says something of a delivery that is over.
    fn unsay(&mut self, id: LaneId) {
        let Some(lane) = self.lane(id) else {
            return;
        };
        let unsaid = Unsaid {
            lane: id,
            epoch: lane.epoch,
            since: self.now,
            sent: false,
        };
        self.suspects.unsaid.retain(|before| before.lane != id);
        self.suspects.unsaid.push(unsaid);
        self.changed(id);
        self.commits.hurry();
    }

    /// Of those that wait for nothing else a convicted one, else the one that is announced, as what happens from then on
    /// counts against it; else the one that has waited longest.
    fn next_suspect(&self) -> Option<(Handle, Generation)> {
        let is_its_turn = |waiting: &&(Handle, Generation)| {
            let lane = self.lane(self.records[waiting.0].lane);
            lane.is_some_and(|lane| !lane.in_order || lane.ledger.oldest() == Some(waiting.0))
        };
        let suspect = |waiting: &&(Handle, Generation)| {
            let record = &self.records[waiting.0];
            let lane = self.lane(record.lane)?;
            lane.suspects.get(&record.offset.0)
        };
        let is_convicted =
            |waiting: &&(Handle, Generation)| suspect(waiting).is_some_and(Suspect::is_convicted);
        let is_announced =
            |waiting: &&(Handle, Generation)| suspect(waiting).is_some_and(Suspect::is_announced);
        let waiting = || self.suspects.waiting.iter().filter(is_its_turn);
        let convicted = waiting().find(is_convicted);
        let first = convicted.or_else(|| waiting().find(is_announced));
        first.or_else(|| waiting().next()).copied()
    }

    /// The worker was killed each time that the handler had this record and no other.
    fn convict(&mut self, handle: Handle, kills: u32, effects: &mut Vec<Effect<P>>) {
        let record = &self.records[handle];
        let (id, offset) = (record.lane, record.offset);
        let found = self.lane(id).and_then(|lane| lane.ledger.find(offset));
        let Some((index, _)) = found else {
            return;
        };
        let failure = Failure {
            class: WORKER_KILLED,
            status: None,
            message: format!(
                "the container was killed {kills} times while the handler had this record and no other; was it its memory limit?"
            ),
        };
        self.totals.failures += 1;
        let reason = DeadLetterReason::WorkerKilled;
        self.exhausted(index, handle, reason, failure, effects);
    }

    /// The handler, or who asks it, has said something of a record.
    pub(super) fn suspect_answered(&mut self, handle: Handle, verdict: &Verdict) {
        let record = &self.records[handle];
        let (id, offset) = (record.lane, record.offset);
        let lane = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut);
        let Some(suspect) = lane.and_then(|lane| lane.suspects.get_mut(&offset.0)) else {
            return;
        };
        let was_announced = suspect.is_announced();
        let was_not_tried = matches!(
            verdict,
            Verdict::Cancelled | Verdict::Postponed { .. } | Verdict::SlowDown { .. }
        );
        if !was_not_tried {
            self.is_no_suspect(id, offset);
        } else if was_announced {
            suspect.stage = Stage::Waiting;
            self.unsay(id);
        }
    }

    /// What is announced of a lane that is given back will not be delivered here, or was stopped by us.
    pub(super) fn take_announcements_back(&mut self, id: LaneId, also_of_what_is_out: bool) {
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let mut any = false;
        for (offset, suspect) in &mut lane.suspects {
            let held = lane.ledger.find(Offset(*offset));
            let is_out = held.is_some_and(|(_, handle)| self.records[handle].is_out());
            if suspect.is_announced() && (!is_out || also_of_what_is_out) {
                suspect.stage = Stage::Waiting;
                any = true;
            }
        }
        if any {
            self.unsay(id);
        }
    }

    /// The connection to a handler that one record may bring down for all has broken.
    pub(super) fn suspect_if_broken(&mut self, handle: Handle, failure: &Failure) {
        if !self.settings.own_handler || failure.class != CONNECTION_BROKE {
            return;
        }
        let record = &self.records[handle];
        // The last attempt, at the latest, is not lost to another record.
        if record.attempts >= BREAKS.min(self.settings.attempts_in_all() - 1)
            && let Some(lane) = self.lanes[record.lane.0 as usize].as_mut()
        {
            lane.suspects.entry(record.offset.0).or_default();
        }
    }

    /// It is finished, or the handler has outlived it.
    pub(super) fn is_no_suspect(&mut self, id: LaneId, offset: Offset) {
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(suspect) = lane.suspects.remove(&offset.0) else {
            return;
        };
        self.suspects.cleared(&lane.partition, offset);
        match suspect.is_accused() {
            true => self.unsay(id),
            false => self.changed(id),
        }
    }
}
