//! Giving partitions back: quietly when the group asks for them, at once when they are lost.

use std::time::Duration;

use super::effect::Effect;
use super::event::CommitFailure;
use super::record::State;
use super::{Engine, LaneId};
use crate::topic::TopicPartition;

/// How long the last commit of a partition may take, beyond the drain deadline, before it is given
/// back without. A drain that ends early leaves the commit more time: while a member of a classic
/// group waits for others to join, which may be draining themselves, its connection to the
/// coordinator carries no commit.
const LAST_COMMIT_LIMIT: Duration = Duration::from_secs(5);

/// Lanes that were revoked together and are given back together.
#[derive(Debug)]
pub(super) struct Drain {
    lanes: Vec<(LaneId, u64)>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// For what the handler and the producer of dead letters have.
    Waiting { until: Duration },
    /// For the last commit. One that comes while the group rebalances is refused, perhaps several
    /// times; only `until` ends that.
    Committing {
        until: Duration,
        /// It was refused before.
        refused: bool,
        /// Trying again cannot help before the partition must go.
        hopeless: bool,
    },
}

impl Drain {
    pub(super) fn deadline(&self) -> Duration {
        match self.stage {
            Stage::Waiting { until } | Stage::Committing { until, .. } => until,
        }
    }

    pub(super) fn is_committing(&self) -> bool {
        matches!(self.stage, Stage::Committing { .. })
    }

    pub(super) fn holds(&self, lane: LaneId) -> bool {
        self.lanes.iter().any(|(id, _)| *id == lane)
    }
}

impl<P> Engine<P> {
    /// The group wants these back: start nothing more there, and wait for what is out.
    pub(super) fn revoked(&mut self, partitions: &[TopicPartition], effects: &mut Vec<Effect<P>>) {
        let mut lanes = Vec::new();
        let mut strangers = Vec::new();
        let mut paused = Vec::new();
        for partition in partitions {
            let Some(&id) = self.by_partition.get(partition) else {
                strangers.push(partition.clone());
                continue;
            };
            let Some(lane) = self.lane(id).filter(|lane| !lane.draining) else {
                continue; // revoked twice
            };
            let (later, behind) = (self.later(lane), self.behind(lane));
            let Some(lane) = self.lane_mut(id) else {
                continue;
            };
            (lane.said_later, lane.said_behind) = (later, behind);
            lane.draining = true;
            lanes.push((id, lane.epoch));
            if !lane.paused {
                lane.paused = true;
                paused.push(partition.clone());
            }
        }
        if !paused.is_empty() {
            effects.push(Effect::Pause(paused));
        }
        // The group waits for an answer even for what we never held.
        if !strangers.is_empty() {
            effects.push(Effect::GiveBack(strangers));
        }
        for (id, _) in &lanes {
            self.let_go_of_what_waits(*id, effects);
        }
        if !lanes.is_empty() {
            let until = self.now.saturating_add(self.settings.drain_deadline);
            let stage = Stage::Waiting { until };
            self.drains.push(Drain { lanes, stage });
        }
    }

    /// These are someone else's already: nothing more can be said of them. Should they come back as they are, what was finished
    /// of them is remembered.
    pub(super) fn lost(&mut self, partitions: &[TopicPartition], effects: &mut Vec<Effect<P>>) {
        for partition in partitions {
            if let Some(&id) = self.by_partition.get(partition) {
                self.lose(id, effects);
            }
        }
    }

    /// Forgets a lane without a last commit.
    pub(super) fn lose(&mut self, id: LaneId, effects: &mut Vec<Effect<P>>) {
        if let Some(lane) = self.lane(id) {
            self.totals.possible_duplicates += lane.uncommitted + lane.out as u64;
        }
        self.drop_lane(id, effects);
    }

    /// Finish, commit, give everything back, leave.
    pub(super) fn shutdown(&mut self, effects: &mut Vec<Effect<P>>) {
        self.stopping = true;
        let partitions: Vec<_> = self
            .lanes
            .iter()
            .flatten()
            .map(|lane| lane.partition.clone())
            .collect();
        self.revoked(&partitions, effects);
    }

    /// Drains that have waited long enough go on to their last commit.
    pub(super) fn advance_drains(&mut self, effects: &mut Vec<Effect<P>>) {
        for index in 0..self.drains.len() {
            let Stage::Waiting { until } = self.drains[index].stage else {
                continue;
            };
            let lanes = std::mem::take(&mut self.drains[index].lanes);
            let out = lanes.iter().filter_map(|(id, _)| self.lane(*id));
            if out.map(|lane| lane.out).sum::<usize>() == 0 || self.now >= until {
                for (id, _) in &lanes {
                    self.finish_what_is_handled(*id, effects);
                    self.cancel_what_is_out(*id, effects);
                }
                self.drains[index].stage = Stage::Committing {
                    until: until.saturating_add(LAST_COMMIT_LIMIT),
                    refused: false,
                    hopeless: false,
                };
            }
            self.drains[index].lanes = lanes;
        }
    }

    /// Drains whose last commit is settled are given back.
    pub(super) fn give_back(&mut self, effects: &mut Vec<Effect<P>>) {
        let (mut index, before) = (0, self.drains.len());
        while index < self.drains.len() {
            let drain = &self.drains[index];
            let settled = match drain.stage {
                Stage::Waiting { .. } => false,
                Stage::Committing {
                    until, hopeless, ..
                } => {
                    let unsaid = |(id, epoch): &(LaneId, u64)| {
                        self.lane(*id).is_some_and(|lane| lane.dirty)
                            || self.commits.speaks_of(*id, *epoch)
                    };
                    self.now >= until || hopeless || !drain.lanes.iter().any(unsaid)
                }
            };
            if !settled {
                index += 1;
                continue;
            }
            let drain = self.drains.remove(index);
            self.tell_what_is_uncommitted(&drain, effects);
            let mut partitions = Vec::with_capacity(drain.lanes.len());
            for (id, _) in drain.lanes {
                partitions.extend(self.lane(id).map(|lane| lane.partition.clone()));
                self.drop_lane(id, effects);
            }
            effects.push(Effect::GiveBack(partitions));
        }
        if self.drains.len() < before {
            // What others have to say may have waited for the next try of a last commit.
            self.commit(effects);
        }
    }

    /// A last commit did not get through in time.
    fn tell_what_is_uncommitted(&mut self, drain: &Drain, effects: &mut Vec<Effect<P>>) {
        let lanes = drain.lanes.iter().filter_map(|(id, _)| self.lane(*id));
        let (mut partitions, mut records) = (Vec::new(), 0);
        for lane in lanes.filter(|lane| lane.uncommitted > 0) {
            partitions.push(lane.partition.clone());
            records += lane.uncommitted;
        }
        if records > 0 {
            self.totals.possible_duplicates += records;
            effects.push(Effect::Uncommitted {
                partitions,
                records,
                why: self.commits.last_failure().to_owned(),
            });
        }
    }

    /// Some lane has something to say in its last commit: true if it was not tried yet.
    pub(super) fn last_commit_wanted(&self) -> Option<bool> {
        let mut wanted = None;
        for drain in &self.drains {
            let Stage::Committing { refused, .. } = drain.stage else {
                continue;
            };
            let mut lanes = drain.lanes.iter().filter_map(|(id, _)| self.lane(*id));
            if lanes.any(|lane| lane.dirty) {
                wanted = Some(wanted.unwrap_or(false) || !refused);
            }
        }
        wanted
    }

    /// All else of the lane is settled, or has had its time.
    pub(super) fn waits_for_its_last_commit(&self, id: LaneId) -> bool {
        let mut drains = self.drains.iter();
        drains.any(|drain| drain.is_committing() && drain.holds(id))
    }

    /// A commit failed that may have been the last one of some drain.
    pub(super) fn last_commit_failed(
        &mut self,
        failure: &CommitFailure,
        spoke_of: impl Fn(LaneId, u64) -> bool,
    ) {
        for drain in &mut self.drains {
            let Stage::Committing {
                refused, hopeless, ..
            } = &mut drain.stage
            else {
                continue;
            };
            if drain.lanes.iter().any(|(id, epoch)| spoke_of(*id, *epoch)) {
                *refused = true;
                *hopeless |= match failure {
                    CommitFailure::Outdated(_) | CommitFailure::Later(_) => false,
                    CommitFailure::Dropped(_) | CommitFailure::Fatal(_) => true,
                };
            }
        }
    }

    /// Forgets a lane at once, whatever is out there.
    fn drop_lane(&mut self, id: LaneId, effects: &mut Vec<Effect<P>>) {
        self.cancel_what_is_out(id, effects);
        let place = self.lanes.get_mut(id.0 as usize);
        let Some(mut lane) = place.and_then(Option::take) else {
            return;
        };
        self.by_partition.remove(&lane.partition);
        self.suspects.outlive(&lane.partition, &lane.suspects);
        if self.by_partition.is_empty() {
            self.next_probe = None;
        }
        self.ring.retain(|other| *other != id);
        for drain in &mut self.drains {
            drain.lanes.retain(|(other, _)| *other != id);
        }
        self.drains.retain(|drain| !drain.lanes.is_empty());
        if lane.over_share {
            self.over_share -= 1;
        }
        if lane.bar.is_some() {
            self.barred_lanes -= 1;
        }
        let mut handled = Vec::new();
        for (_, handle) in lane.ledger.held() {
            let record = self.records.remove(handle);
            if record.handled && matches!(record.state, State::InFlight | State::Cancelled) {
                handled.push(record.offset);
            }
            match record.state {
                State::InFlight | State::Cancelled => {
                    self.in_flight -= 1;
                    self.again.in_flight -= record.again;
                }
                State::DeadLettering => self.dead_lettering -= 1,
                State::BackingOff => self.backing_off -= 1,
                State::Following | State::Ready | State::Suspected => {}
            }
            self.refund(id, record.bytes, effects);
        }
        for offset in handled {
            if let Some((index, _)) = lane.ledger.find(offset) {
                lane.ledger.finish(index);
            }
        }
        self.remember(&lane);
        self.forget_void_timers();
        if self.over_share > 0 {
            // One that is alone now may have all of the budget.
            self.look_at_shares(effects);
        }
    }

    /// Lets go of the records that nobody works on.
    fn let_go_of_what_waits(&mut self, id: LaneId, effects: &mut Vec<Effect<P>>) {
        let Some(lane) = self.lane_mut(id) else {
            return;
        };
        lane.ready.clear();
        lane.again.clear();
        lane.keys.clear();
        let held: Vec<_> = lane.ledger.held().collect();
        self.take_announcements_back(id, false);
        for (index, handle) in held {
            let record = &mut self.records[handle];
            record.follower = None;
            if !record.is_out() {
                self.let_go(index, handle, effects);
            }
        }
        self.forget_void_timers();
    }

    /// What the handler has done and only its mark is missing: to commit it is better than to have
    /// it done again by the next owner (`docs/adr/006-done-without-a-mark-is-done.md`).
    fn finish_what_is_handled(&mut self, id: LaneId, effects: &mut Vec<Effect<P>>) {
        let Some(lane) = self.lane(id) else {
            return;
        };
        let records = lane.ledger.held().map(|(_, handle)| &self.records[handle]);
        let handled = records.filter(|record| record.handled && record.state == State::InFlight);
        let offsets: Vec<_> = handled.map(|record| record.offset).collect();
        for offset in offsets {
            let Some(lane) = self.lane_mut(id) else {
                return;
            };
            let Some((index, handle)) = lane.ledger.find(offset) else {
                continue;
            };
            lane.out -= 1;
            effects.push(Effect::Cancel(lane.ticket(offset)));
            self.in_flight -= 1;
            self.again.in_flight -= self.records[handle].again;
            self.totals.done += 1;
            self.finish(index, handle, effects);
        }
    }

    /// Tells the handler to stop what it has of this lane.
    fn cancel_what_is_out(&mut self, id: LaneId, effects: &mut Vec<Effect<P>>) {
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        lane.overdue = true;
        if lane.out == 0 {
            return;
        }
        self.take_announcements_back(id, true);
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        for (_, handle) in lane.ledger.held() {
            let record = &mut self.records[handle];
            if record.state == State::InFlight {
                record.state = State::Cancelled;
                effects.push(Effect::Cancel(lane.ticket(record.offset)));
            }
        }
    }
}
