//! What the group does: it gives partitions, takes them, and is left.

use super::{Held, World, named};
use crate::engine::tests::history::Fact;
use crate::engine::{Assignment, Event, LaneId};
use crate::report::Report;
use crate::topic::Offset;

impl World {
    pub(in crate::engine::tests) fn assign(&mut self, partition: i32) {
        if !self.held.contains_key(&partition) {
            self.assigned(partition);
        }
    }

    pub(super) fn assigned(&mut self, partition: i32) {
        let taken: Vec<_> = self.held.values().map(|held| held.lane).collect();
        let lane = (0..)
            .map(LaneId)
            .find(|lane| !taken.contains(lane))
            .unwrap();
        let log = &mut self.logs[partition as usize];
        log.assignments += 1;
        let committed = log.committed.as_ref().map(|(offset, _)| *offset);
        let left = log.committed.as_ref();
        let left = left.map(|(at, text)| Report::decode(text, Offset(*at)).unwrap());
        let from = committed.unwrap_or(0);
        let next = log.records.partition_point(|(offset, ..)| *offset < from);
        let held = Held {
            lane,
            next,
            paused: false,
            revoked: false,
        };
        self.held.insert(partition, held);
        let assignment = Assignment {
            partition: named(partition),
            lane,
            left_behind: left.clone(),
            committed: committed.map(Offset),
            topic_id: None,
        };
        let fact = Fact::Assigned {
            partition,
            committed,
            left,
        };
        self.tell(vec![fact], Event::Assigned(vec![assignment]));
    }

    pub(super) fn revoke(&mut self, partitions: Vec<i32>) {
        for partition in &partitions {
            self.held.get_mut(partition).unwrap().revoked = true;
        }
        let facts = partitions
            .iter()
            .map(|p| Fact::Revoked { partition: *p })
            .collect();
        self.tell(
            facts,
            Event::Revoked(partitions.into_iter().map(named).collect()),
        );
    }

    pub(in crate::engine::tests) fn shutdown(&mut self) {
        self.stopping = true;
        self.held.values_mut().for_each(|held| held.revoked = true);
        self.tell(vec![Fact::Shutdown], Event::Shutdown);
    }
}
