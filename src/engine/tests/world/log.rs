//! What the client reads: records, the end of the log, and what it cannot read.

use super::{World, is_given_up, named};
use crate::engine::tests::history::Fact;
use crate::engine::{Barred, Event, Failure, Incoming, KeyHash};
use crate::report::unread;
use crate::topic::Offset;

impl World {
    /// Reads the next record, if the partition is read: what was on its way is still delivered
    /// after a revocation.
    pub(in crate::engine::tests) fn read(&mut self, partition: i32) {
        let Some(held) = self.held.get_mut(&partition) else {
            return;
        };
        let next = held.next;
        let on_its_way = held.revoked;
        if next < self.logs[partition as usize].records.len() && (!held.paused || on_its_way) {
            held.next += 1;
            self.read_record(partition, next);
        }
    }

    pub(super) fn read_record(&mut self, partition: i32, index: usize) {
        let (offset, key, bytes) = self.logs[partition as usize].records[index];
        if is_given_up(offset) {
            let lane = self.held[&partition].lane;
            let fact = Fact::GivenUp { partition, offset };
            let offset = Offset(offset);
            self.tell(vec![fact], Event::GivenUp { lane, offset });
            return;
        }
        let incoming = Incoming {
            lane: self.held[&partition].lane,
            offset: Offset(offset),
            key: key.map(KeyHash),
            bytes,
            payload: (partition, offset),
        };
        let fact = Fact::Read {
            partition,
            offset,
            key,
            bytes,
        };
        self.tell(vec![fact], Event::Record(incoming));
    }

    /// Reading has come to the end of the log, or not yet.
    pub(in crate::engine::tests) fn end(&mut self, partition: i32) {
        let log = &self.logs[partition as usize];
        let Some(held) = self.held.get(&partition) else {
            return;
        };
        if held.next == log.records.len() {
            let (next, partition_name) = (log.end, named(partition));
            let event = Event::Position {
                partition: partition_name,
                next: Offset(next),
            };
            self.tell(vec![Fact::Position { partition, next }], event);
        }
    }

    /// The next record cannot be read; the one behind it, which was read ahead, comes all the same.
    pub(super) fn bar(&mut self, partition: i32) {
        let held = &self.held[&partition];
        let records = &self.logs[partition as usize].records;
        let next = held.next;
        let Some((offset, ..)) = records.get(next).filter(|_| !held.paused) else {
            return;
        };
        let (offset, more) = (*offset, next + 1 < records.len());
        let event = Event::Barred(Barred {
            partition: named(partition),
            at: Some(Offset(offset)),
            failure: Failure {
                class: unread::UNREADABLE,
                status: None,
                message: "its checksum is wrong".to_owned(),
            },
            again: true,
        });
        self.tell(vec![Fact::Barred { partition, offset }], event);
        if more && self.held.contains_key(&partition) {
            self.read_record(partition, next + 1);
        }
    }

    /// No client goes back behind all that is unfinished by itself.
    pub(super) fn is_reset_by(&self, partition: i32, record: usize) -> bool {
        let (offset, ..) = self.logs[partition as usize].records[record];
        let name = named(partition);
        let mut lanes = self.engine.lanes().filter(|lane| *lane.partition == name);
        lanes.any(|lane| lane.frontier.is_some_and(|first| offset <= first.0))
    }
}
