//! What comes in: partitions, records, positions.

use super::effect::Effect;
use super::event::{Assignment, Incoming};
use super::lane::Lane;
use super::ledger::Reading;
use super::record::{Record, State};
use super::remembered::Found;
use super::{Engine, LaneId};
use crate::topic::{Offset, TopicPartition};
use crate::worker_config::Ordering;

impl<P> Engine<P> {
    pub(super) fn assigned(&mut self, assignments: Vec<Assignment>, effects: &mut Vec<Effect<P>>) {
        // Assigned anew before it was given back, or a handle used twice: what was there is over.
        for assignment in &assignments {
            if let Some(&id) = self.by_partition.get(&assignment.partition) {
                self.lose(id, effects);
            }
        }
        if self.stopping {
            let partitions = assignments.into_iter().map(|a| a.partition).collect();
            effects.push(Effect::GiveBack(partitions));
            return;
        }
        let in_order = self.settings.ordering == Ordering::Partition;
        let mut assigned = Vec::with_capacity(assignments.len());
        for mut assignment in assignments {
            self.lose(assignment.lane, effects);

            self.epoch += 1;
            let id = assignment.lane;
            let index = id.0 as usize;
            if self.lanes.len() <= index {
                self.lanes.resize_with(index + 1, || None);
            }
            assigned.push(assignment.partition.clone());
            self.by_partition
                .insert(assignment.partition.clone(), assignment.lane);
            let left = assignment.left_behind.as_ref();
            let is_own_report = left.is_some_and(|report| report.pod == self.settings.pod);
            let found = Found::of(&assignment);
            let knows_more = self.recall(&mut assignment, found, is_own_report);
            let mut lane = Lane::new(assignment, self.epoch, in_order, &self.settings);
            lane.found = found;
            lane.paused = self.budget.full();
            self.lanes[index] = Some(lane);
            if knows_more {
                // Whoever has the partition next is to know it too.
                self.changed(id);
            }
            self.suspects_of(id, is_own_report);
        }
        // A client may bring a partition back paused as we left it, or not: say what we want.
        if !assigned.is_empty() {
            effects.push(if self.budget.full() {
                Effect::Pause(assigned)
            } else {
                Effect::Resume(assigned)
            });
        }
    }

    pub(super) fn read(&mut self, incoming: Incoming<P>, effects: &mut Vec<Effect<P>>) {
        let id = incoming.lane;
        let offset = incoming.offset;
        let Some(passed) = self.comes_to(id, offset, effects) else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let tried = lane.inherited_attempts(offset);
        if lane.finished_before(offset) || lane.is_past(offset, incoming.key) {
            lane.ledger.push_finished(offset);
            lane.stuck.remove(&offset.0);
            // Who finished it here before may not have been able to say so.
            lane.tried.remove(&offset.0);
            self.totals.finished_before += 1;
            self.went_well_before();
            self.is_no_suspect(id, offset);
            self.changed(id);
            return;
        }

        let key = incoming.key;
        let bytes = incoming.bytes;
        let mut record = Record::new(incoming, self.now);
        record.attempts = tried.attempts;
        let handle = self.records.insert(record);
        lane.ledger.push(offset, handle);
        lane.bytes += bytes;
        let before = match (self.settings.ordering, key) {
            (Ordering::Key, Some(key)) => lane.keys.insert(key.0, handle),
            _ => None,
        };
        if let Some(before) = before {
            self.records[before].follower = Some(handle);
            self.records[handle].state = State::Following;
        } else if let Some(wait) = self.rest_of_wait(tried) {
            self.back_off(handle, wait);
        } else {
            self.turn_has_come(handle);
        }
        if passed {
            self.changed(id);
        }
        self.charge(id, bytes, effects);
    }

    /// The record at `offset` was read, and nobody is to be given it.
    pub(super) fn given_up(&mut self, id: LaneId, offset: Offset, effects: &mut Vec<Effect<P>>) {
        if self.comes_to(id, offset, effects).is_none() {
            return;
        }
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        lane.inherited_attempts(offset);
        lane.tried.remove(&offset.0);
        lane.stuck.remove(&offset.0);
        lane.ledger.push_finished(offset);
        if lane.finished_before(offset) {
            self.totals.finished_before += 1;
        } else {
            let partition = lane.partition.clone();
            effects.push(Effect::GivenUp { partition, offset });
            self.totals.given_up += 1;
        }
        self.is_no_suspect(id, offset);
        self.changed(id);
        self.enter_ring(id);
    }

    /// A record was read at `offset`. None if it is not to be taken; else whether the lane has something
    /// new to report for it.
    fn comes_to(
        &mut self,
        id: LaneId,
        offset: Offset,
        effects: &mut Vec<Effect<P>>,
    ) -> Option<bool> {
        let lane = self.lane(id);
        let lane = lane.filter(|lane| !lane.draining && !lane.is_barred());
        match lane.map(|lane| lane.ledger.reading(offset)) {
            Some(Reading::Next | Reading::Rewound) => {}
            Some(Reading::Anew) => self.begin_anew(id, effects),
            Some(Reading::Again) | None => {
                self.totals.ignored += 1;
                return None;
            }
        }
        if self.lane(id).is_some_and(|lane| lane.bar.is_some()) {
            self.lift(id, effects);
        }
        let lane = self.lane_mut(id)?;
        if lane.ledger.reading(offset) == Reading::Rewound {
            lane.forget_predecessor();
            let partition = lane.partition.clone();
            self.suspects.forget(&partition);
        }
        let lane = self.lane_mut(id)?;
        let readable = lane.is_readable_again(offset);
        Some(lane.pass(offset) || readable)
    }

    /// The log was cut or made anew, and the client was reset to where it begins now: what was known
    /// of it is of another log.
    fn begin_anew(&mut self, id: LaneId, effects: &mut Vec<Effect<P>>) {
        let Some(lane) = self.lane(id) else {
            return;
        };
        let (partition, paused) = (lane.partition.clone(), lane.paused);
        let in_order = lane.in_order;
        for offset in lane.stuck.keys() {
            let (partition, offset) = (partition.clone(), Offset(*offset));
            effects.push(Effect::Unstalled { partition, offset });
        }
        self.lose(id, effects);
        self.epoch += 1;
        let assignment = Assignment {
            partition: partition.clone(),
            lane: id,
            left_behind: None,
            committed: None,
            // It may be another topic of the name.
            topic_id: None,
        };
        self.suspects.forget(&partition);
        self.forget(&partition);
        let mut lane = Lane::new(assignment, self.epoch, in_order, &self.settings);
        // It may have been paused for what it held, which is gone.
        lane.paused = paused && self.budget.full();
        if paused && !lane.paused {
            effects.push(Effect::Resume(vec![partition.clone()]));
        }
        self.by_partition.insert(partition, id);
        self.lanes[id.0 as usize] = Some(lane);
    }

    /// Reading has come to `next` although no record was there.
    pub(super) fn position(
        &mut self,
        partition: &TopicPartition,
        next: Offset,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(&id) = self.by_partition.get(partition) else {
            return;
        };
        let Some(lane) = self.lane_mut(id) else {
            return;
        };
        // Records of such a lane are ignored, so its position says nothing of what is finished.
        if lane.draining || lane.is_barred() {
            return;
        }
        if lane.bar.is_some() {
            if lane.ledger.next().is_some_and(|now| next < now) {
                return;
            }
            self.lift(id, effects);
        }
        let Some(lane) = self.lane_mut(id) else {
            return;
        };
        let goes_back = lane.ledger.next().is_some_and(|now| next < now);
        if !lane.ledger.move_to(next) {
            return;
        }
        lane.pass(next);
        if goes_back {
            // The client was reset: what the former owner said is of another log.
            lane.forget_predecessor();
            self.suspects.forget(partition);
        }
        self.changed(id);
    }

    /// The lane stands in the ring if a record of it can be started.
    pub(super) fn enter_ring(&mut self, id: LaneId) {
        let now = self.now;
        if let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut)
            && !lane.in_ring
            && lane.can_start(now)
        {
            lane.in_ring = true;
            self.ring.push_back(id);
        }
    }
}
