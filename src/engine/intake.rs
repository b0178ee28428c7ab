//! What comes in: partitions, records, positions.

use super::effect::Effect;
use super::event::{Assignment, Incoming};
use super::lane::Lane;
use super::ledger::Reading;
use super::record::{Record, State};
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
        for assignment in assignments {
            self.lose(assignment.lane, effects);

            self.epoch += 1;
            let LaneId(index) = assignment.lane;
            let index = index as usize;
            if self.lanes.len() <= index {
                self.lanes.resize_with(index + 1, || None);
            }
            assigned.push(assignment.partition.clone());
            self.by_partition
                .insert(assignment.partition.clone(), assignment.lane);
            let mut lane = Lane::new(assignment, self.epoch, in_order);
            lane.paused = self.budget.full();
            self.lanes[index] = Some(lane);
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
        let lane = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut);
        let Some(lane) = lane.filter(|lane| !lane.draining) else {
            self.totals.ignored += 1;
            return;
        };
        let offset = incoming.offset;
        match lane.ledger.reading(offset) {
            Reading::Next => {}
            Reading::Rewound => lane.forget_predecessor(),
            Reading::Again => {
                self.totals.ignored += 1;
                return;
            }
        }
        let passed = lane.pass(offset);
        let attempts = lane.inherited_attempts(offset);
        if lane.finished_before(offset) {
            lane.ledger.push_finished(offset);
            lane.stuck.remove(&offset.0);
            self.totals.finished_before += 1;
            self.changed(id);
            return;
        }

        let key = incoming.key;
        let bytes = incoming.bytes;
        let mut record = Record::new(incoming, self.now);
        record.attempts = attempts;
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
        } else {
            lane.ready.push(offset, handle);
            self.enter_ring(id);
        }
        if passed {
            self.changed(id);
        }
        self.charge(id, bytes, effects);
    }

    /// Reading has come to `next` although no record was there.
    pub(super) fn position(&mut self, partition: &TopicPartition, next: Offset) {
        let Some(&id) = self.by_partition.get(partition) else {
            return;
        };
        let Some(lane) = self.lane_mut(id) else {
            return;
        };
        // Records of a draining lane are ignored, so its position says nothing of what is finished.
        if lane.draining || !lane.ledger.move_to(next) {
            return;
        }
        lane.pass(next);
        self.changed(id);
    }

    /// The lane stands in the ring if a record of it can be started.
    pub(super) fn enter_ring(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut)
            && !lane.in_ring
            && lane.can_start()
        {
            lane.in_ring = true;
            self.ring.push_back(id);
        }
    }
}
