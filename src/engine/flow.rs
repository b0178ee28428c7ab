//! When partitions pause and read on: the budget and the shares of it, made into effects.

use super::effect::Effect;
use super::{Engine, LaneId};

impl<P> Engine<P> {
    /// A record of `bytes` was read.
    pub(super) fn charge(&mut self, id: LaneId, bytes: usize, effects: &mut Vec<Effect<P>>) {
        if self.budget.charge(bytes) {
            self.pause_all(effects);
            return;
        }
        let lanes = self.by_partition.len();
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        if !lane.over_share
            && self
                .budget
                .over_share(lane.bytes, lane.ledger.unfinished(), lanes)
        {
            lane.over_share = true;
            self.over_share += 1;
            self.budget.watch(lane.bytes);
            if !lane.paused {
                lane.paused = true;
                effects.push(Effect::Pause(vec![lane.partition.clone()]));
            }
        }
    }

    /// A record of `bytes` is finished, or no longer held.
    pub(super) fn refund(&mut self, id: LaneId, bytes: usize, effects: &mut Vec<Effect<P>>) {
        let room_again = self.budget.refund(bytes);
        if self.over_share > 0 && (room_again || self.budget.look_again()) {
            return self.look_at_shares(effects);
        }
        let lanes = self.by_partition.len();
        if let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut)
            && lane.over_share
        {
            if self
                .budget
                .under_share(lane.bytes, lane.ledger.unfinished(), lanes)
            {
                lane.over_share = false;
                self.over_share -= 1;
                if !self.budget.full() && !lane.draining && !lane.is_barred() {
                    lane.paused = false;
                    effects.push(Effect::Resume(vec![lane.partition.clone()]));
                }
            } else {
                self.budget.watch(lane.bytes);
            }
        }
        if room_again {
            self.resume(effects);
        }
    }

    /// Lanes that are over their share no more read on.
    pub(super) fn look_at_shares(&mut self, effects: &mut Vec<Effect<P>>) {
        let lanes = self.by_partition.len();
        for lane in self.lanes.iter_mut().flatten().filter(|l| l.over_share) {
            if self
                .budget
                .under_share(lane.bytes, lane.ledger.unfinished(), lanes)
            {
                lane.over_share = false;
                self.over_share -= 1;
            } else {
                self.budget.watch(lane.bytes);
            }
        }
        self.resume(effects);
    }

    fn pause_all(&mut self, effects: &mut Vec<Effect<P>>) {
        let mut paused = Vec::new();
        for lane in self.lanes.iter_mut().flatten().filter(|lane| !lane.paused) {
            lane.paused = true;
            paused.push(lane.partition.clone());
        }
        if !paused.is_empty() {
            effects.push(Effect::Pause(paused));
        }
    }

    /// Every lane that nothing keeps paused reads on.
    pub(super) fn resume(&mut self, effects: &mut Vec<Effect<P>>) {
        if self.budget.full() {
            return;
        }
        let mut resumed = Vec::new();
        let waiting = |lane: &&mut super::lane::Lane| {
            lane.paused && !lane.over_share && !lane.draining && !lane.is_barred()
        };
        for lane in self.lanes.iter_mut().flatten().filter(waiting) {
            lane.paused = false;
            resumed.push(lane.partition.clone());
        }
        if !resumed.is_empty() {
            effects.push(Effect::Resume(resumed));
        }
    }
}
