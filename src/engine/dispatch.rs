//! Which record is started next: back-offs that end, and a fair choice between lanes.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use super::choice::Choice;
use super::effect::Effect;
use super::record::State;
use super::slab::{Generation, Handle};
use super::{Engine, LaneId, Run, Settings};
use crate::worker_config::Ordering;

/// Fewer timers than this are never worth a look at all of them.
const FEW_TIMERS: usize = 64;

/// The end of a back-off. Ordered by time first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    due: Duration,
    handle: Handle,
    generation: Generation,
}

impl<P> Engine<P> {
    /// The record waits, outside the concurrency, until `wait` has passed.
    pub(super) fn back_off(&mut self, handle: Handle, wait: Duration) {
        self.records[handle].state = State::BackingOff;
        self.backing_off += 1;
        let due = self.now.saturating_add(wait);
        self.note_due(handle, due);
        self.timers.push(Reverse(Timer {
            due,
            handle,
            generation: self.records.generation(handle),
        }));
    }

    /// When this record's back-off ends. It looks at all of them.
    pub(super) fn due(&self, handle: Handle) -> Option<Duration> {
        let generation = self.records.generation(handle);
        let timers = self.timers.iter().map(|Reverse(timer)| timer);
        let own = timers.filter(|timer| timer.handle == handle && timer.generation == generation);
        own.map(|timer| timer.due).max()
    }

    /// When the next back-off ends.
    pub(super) fn next_timer(&self) -> Option<Duration> {
        self.timers.peek().map(|Reverse(timer)| timer.due)
    }

    /// What was let go waits for nothing: its timers, which may be due in a day, go when they are more than the others.
    pub(super) fn forget_void_timers(&mut self) {
        if self.timers.len() <= FEW_TIMERS + 2 * self.backing_off {
            return;
        }
        let records = &self.records;
        let counts = |timer: &Timer| records.generation(timer.handle) == timer.generation;
        self.timers.retain(|Reverse(timer)| counts(timer));
    }

    /// Records whose back-off is over are ready again.
    pub(super) fn wake(&mut self, effects: &mut Vec<Effect<P>>) {
        while self.next_timer().is_some_and(|due| due <= self.now) {
            let Some(Reverse(timer)) = self.timers.pop() else {
                return;
            };
            let handle = timer.handle;
            if self.records.generation(handle) != timer.generation {
                continue; // let go in the meantime
            }
            self.backing_off -= 1;
            let record = &self.records[handle];
            let dead_letter = record.trouble.as_ref().and_then(|t| t.dead_letter);
            if let Some(reason) = dead_letter {
                self.dead_letter(handle, reason, effects);
                continue;
            }
            self.turn_has_come(handle);
        }
    }

    /// Starts records while there is room, one of each lane in turn, or one run.
    pub(super) fn start(&mut self, effects: &mut Vec<Effect<P>>) {
        let own = self.by_partition.len();
        if let Some(pace) = &mut self.pace {
            pace.own_are(own, self.now);
        }
        if self.start_suspect(effects) {
            return;
        }
        // Lanes with nothing but what was tried before, while that has its share of the places.
        let mut behind = VecDeque::new();
        let mut all_are_behind = false;
        loop {
            if self.ring.is_empty() && !behind.is_empty() {
                std::mem::swap(&mut self.ring, &mut behind);
                all_are_behind = true;
            }
            // Where nothing waits the pace is not counted anew each time.
            if self.ring.is_empty() || !self.may_start() {
                break;
            }
            let Some(id) = self.ring.pop_front() else {
                break;
            };
            let choice = match all_are_behind {
                true => self.choice_by_turn(),
                false => self.choice(),
            };
            let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
                continue;
            };
            lane.in_ring = false;
            let Some(handle) = lane.take(choice, &self.records, self.now) else {
                if choice == Choice::Untried && lane.can_start(self.now) {
                    lane.in_ring = true;
                    behind.push_back(id);
                }
                continue;
            };
            self.deliver(id, handle, false, effects);
            if lane_runs(&self.settings) {
                self.deliver_run_after(id, handle, effects);
            }
            self.enter_ring(id);
        }
        // They keep their turn.
        behind.append(&mut self.ring);
        self.ring = behind;
    }

    pub(super) fn may_start(&mut self) -> bool {
        let now = self.now;
        self.throttle.allows(self.in_flight, now)
            && self.pace.as_mut().is_none_or(|pace| pace.allows(now))
    }

    /// Delivers with `first`, which was just started, what comes right after it and never failed: a
    /// record that failed before goes alone, so that it cannot fail others.
    fn deliver_run_after(&mut self, id: LaneId, first: Handle, effects: &mut Vec<Effect<P>>) {
        let Run { records, bytes } = self.settings.run;
        if self.records[first].attempts > 0 {
            return;
        }
        let Some(lane) = self.lane(id) else {
            return;
        };
        let mut room = bytes.saturating_sub(self.records[first].bytes);
        let mut run = Vec::new();
        for (_, handle) in lane.ledger.held().skip(1).take(records - 1) {
            let record = &self.records[handle];
            let fits = record.attempts == 0 && record.bytes <= room;
            if record.state != State::Ready || !fits {
                break;
            }
            room -= record.bytes;
            run.push(handle);
        }
        for handle in run {
            let paced = self.pace.as_ref().is_some_and(|pace| !pace.allows_more());
            if paced || !self.throttle.allows(self.in_flight, self.now) {
                return;
            }
            if let Some(lane) = self.lane_mut(id) {
                // The oldest that is ready, since everything before it is out.
                let popped = lane.ready.pop();
                debug_assert_eq!(popped, Some(handle), "a run is in order");
            }
            self.deliver(id, handle, true, effects);
        }
    }

    pub(super) fn deliver(
        &mut self,
        id: LaneId,
        handle: Handle,
        follows: bool,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let record = &mut self.records[handle];
        let Some(payload) = record.payload.take() else {
            debug_assert!(false, "a ready record has its content");
            return;
        };
        record.state = State::InFlight;
        record.again = match (record.was_tried(), record.attempts) {
            (false, _) => 0,
            (true, 0) => 1,
            // It goes alone, in the place of a batch.
            (true, _) => self.settings.run.records,
        };
        self.again.in_flight += record.again;
        record.delivery = self.throttle.start();
        if record.attempts == 0 && lane.is_crowded() {
            lane.probe = Some(record.offset);
        }
        if let Some(pace) = &mut self.pace {
            pace.start();
        }
        lane.out += 1;
        self.in_flight += 1;
        if record.attempts > 0 {
            self.totals.retries += 1;
        }
        effects.push(Effect::Deliver {
            ticket: lane.ticket(record.offset),
            attempt: record.attempts.saturating_add(1),
            follows,
            payload,
        });
    }
}

fn lane_runs(settings: &Settings) -> bool {
    settings.ordering == Ordering::Partition && settings.run.records > 1
}
