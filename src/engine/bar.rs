//! A partition that cannot be read on: nothing is taken of it until reading again succeeds.
//!
//! A record that cannot be read is not a gap. Where reading fails, the frontier stays, what was read
//! before goes on, and everything behind waits: of what is missing nobody knows the key.

use std::time::Duration;

use super::effect::Effect;
use super::event::{Barred, Failure};
use super::outcome::in_few_words;
use super::{Engine, LaneId, backoff};
use crate::report::Stuck;
use crate::topic::{Offset, TopicPartition};

/// Where and why a lane cannot be read on.
#[derive(Debug)]
pub(super) struct Bar {
    /// The first offset that was not read.
    pub offset: Offset,
    /// How often reading it failed.
    pub failures: u32,
    pub reading: Reading,
}

/// Whether a barred lane is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Not before this time.
    NotBefore(Duration),
    /// Not under this assignment.
    Never,
    /// Another try is under way: the next record lifts the bar.
    Again,
}

impl<P> Engine<P> {
    /// A partition could not be read on.
    pub(super) fn barred(&mut self, barred: Barred, effects: &mut Vec<Effect<P>>) {
        let Barred {
            partition,
            at,
            failure,
            again,
        } = barred;
        let Some(&id) = self.by_partition.get(&partition) else {
            return;
        };
        let Some(lane) = self.lane(id).filter(|lane| !lane.draining) else {
            return; // the next owner meets it again
        };
        // Of several failures in a row only the first is heard, and one that is for good.
        let before = lane.bar.as_ref();
        if again && before.is_some_and(|bar| bar.reading != Reading::Again) {
            return;
        }
        let failures = before.map_or(0, |bar| bar.failures).saturating_add(1);
        let old = before.map(|bar| bar.offset);
        // Records of the same batch before it may have been read by another way: what was read
        // once counts, and an offset is never moved forward by a failure.
        let next = lane.ledger.next();
        let offset = next.max(at).unwrap_or_default();
        let wait = backoff::growing(
            self.settings.initial_backoff,
            self.settings.max_backoff,
            failures,
            backoff::seed(id.0, offset.0, failures),
        );
        let bar = Bar {
            offset,
            failures,
            reading: if again {
                Reading::NotBefore(self.now.saturating_add(wait))
            } else {
                Reading::Never
            },
        };
        if let Some(old) = old.filter(|old| *old != offset) {
            self.no_longer_stuck(id, old, effects);
        }
        let Some(lane) = self.lane_mut(id) else {
            return;
        };
        if next.is_none() && at.is_some() {
            // Nothing before it was there to be read: without a place nothing could be reported.
            lane.ledger.move_to(offset);
        }
        if lane.bar.replace(bar).is_none() {
            self.barred_lanes += 1;
        }
        self.close(id, partition, offset, failures, failure, effects);
    }

    /// Reads no further, and says why.
    fn close(
        &mut self,
        id: LaneId,
        partition: TopicPartition,
        offset: Offset,
        failures: u32,
        failure: Failure,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(lane) = self.lane_mut(id) else {
            return;
        };
        // No attempt of the handler's: whoever reads it at last begins with the first.
        let stuck = Stuck {
            offset: offset.0,
            attempts: 0,
            error: in_few_words(&failure),
        };
        lane.stuck.insert(offset.0, stuck);
        if !lane.paused {
            lane.paused = true;
            effects.push(Effect::Pause(vec![partition.clone()]));
        }
        effects.push(Effect::Stalled {
            partition,
            offset,
            attempts: failures,
            failure,
        });
        self.changed(id);
    }

    /// When the next barred lane is tried again.
    pub(super) fn next_reading(&self) -> Option<Duration> {
        if self.barred_lanes == 0 {
            return None;
        }
        let lanes = self.lanes.iter().flatten().filter(|lane| !lane.draining);
        let due = |bar: &Bar| match bar.reading {
            Reading::NotBefore(due) => Some(due),
            Reading::Never | Reading::Again => None,
        };
        lanes.filter_map(|lane| due(lane.bar.as_ref()?)).min()
    }

    /// Barred lanes whose wait is over are read again, from the record that could not be read.
    pub(super) fn read_again(&mut self, effects: &mut Vec<Effect<P>>) {
        if self.next_reading().is_none_or(|due| due > self.now) {
            return;
        }
        let now = self.now;
        for lane in self.lanes.iter_mut().flatten().filter(|l| !l.draining) {
            let Some(bar) = lane.bar.as_mut() else {
                continue;
            };
            if matches!(bar.reading, Reading::NotBefore(due) if due <= now) {
                bar.reading = Reading::Again;
                effects.push(Effect::Reread {
                    partition: lane.partition.clone(),
                    from: lane.ledger.next().unwrap_or(bar.offset),
                });
            }
        }
        self.resume(effects);
    }

    /// Something was read of a lane that is being tried again: it is read as before.
    pub(super) fn lift(&mut self, id: LaneId, effects: &mut Vec<Effect<P>>) {
        let Some(bar) = self.lane_mut(id).and_then(|lane| lane.bar.take()) else {
            return;
        };
        self.barred_lanes -= 1;
        self.no_longer_stuck(id, bar.offset, effects);
    }

    pub(super) fn no_longer_stuck(
        &mut self,
        id: LaneId,
        offset: Offset,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(lane) = self.lane_mut(id) else {
            return;
        };
        if lane.stuck.remove(&offset.0).is_some() {
            effects.push(Effect::Unstalled {
                partition: lane.partition.clone(),
                offset,
            });
        }
        self.changed(id);
    }
}
