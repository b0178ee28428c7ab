//! What became of a record: finished, tried again, dead-lettered, stuck, let go.

use std::time::Duration;

use super::effect::{DeadLetterReason, Effect};
use super::event::{Failure, NOT_CONNECTED, Verdict};
use super::lane::Tried;
use super::record::{State, Trouble};
use super::slab::Handle;
use super::{Engine, KeyHash, Ticket};
use crate::report::{Stuck, unread};
use crate::worker_config::OnExhausted;

/// The most characters of an error in a report.
const ERROR_CHARS: usize = 100;

impl<P> Engine<P> {
    /// The handler answered, or did not.
    pub(super) fn finished(
        &mut self,
        ticket: Ticket,
        verdict: Verdict,
        took: Duration,
        payload: P,
        effects: &mut Vec<Effect<P>>,
    ) {
        self.totals.busy += took;
        let with_handler = |state| matches!(state, State::InFlight | State::Cancelled);
        let Some((index, handle)) = self.take_back(ticket, with_handler, payload) else {
            return;
        };
        self.in_flight -= 1;
        self.came_back(handle, took);
        self.suspect_answered(handle, &verdict);
        self.probe_came_back(ticket, &verdict);
        match verdict {
            Verdict::Done => {
                self.went_well(handle, effects);
                self.totals.done += 1;
                self.finish(index, handle, effects);
            }
            Verdict::Skip => {
                self.went_well(handle, effects);
                self.totals.skipped += 1;
                self.skipped(ticket, None, effects);
                self.finish(index, handle, effects);
            }
            Verdict::Retry(failure) => {
                let attempts = self.failed(handle);
                self.probe_failed(handle);
                if let Some(wait) = self.wait_after(handle, attempts) {
                    self.suspect_if_broken(handle, &failure);
                    self.note(handle, failure);
                    if self.settings.later(attempts).is_some() {
                        // Whatever was in its way before: now it waits, which is wanted.
                        self.no_longer_stuck(ticket.lane, ticket.offset, effects);
                    }
                    self.try_again(index, handle, wait, effects);
                } else {
                    let reason = DeadLetterReason::AttemptsExhausted;
                    self.exhausted(index, handle, reason, failure, effects);
                }
            }
            Verdict::Reject(failure) => {
                if !self.breaker_is_open() {
                    self.throttle.went_well();
                }
                self.failed(handle);
                self.probe_failed(handle);
                let reason = DeadLetterReason::Rejected;
                self.exhausted(index, handle, reason, failure, effects);
            }
            Verdict::SlowDown { after, failure } => {
                let is_absent = failure.class == NOT_CONNECTED;
                let wait = self.slow_down(handle, after, is_absent);
                self.try_again(index, handle, wait, effects);
            }
            Verdict::Misconfigured(failure) => {
                self.totals.failures += 1;
                let wait = self.longest_wait(handle);
                if !self.unwanted_alone(handle) {
                    // Others may well succeed: they are asked first, and soon.
                    let times = self.throttle.in_vain(self.records[handle].delivery);
                    let others = self.growing(handle, times);
                    self.throttle.misconfigured(others, self.now);
                }
                self.stall(handle, failure.clone(), effects);
                self.note(handle, failure);
                self.try_again(index, handle, wait, effects);
            }
            Verdict::Duplicate => {
                self.totals.duplicates += 1;
                self.finish(index, handle, effects);
            }
            Verdict::Postponed {
                after,
                failure,
                of_all,
            } => self.postponed(index, handle, (after, failure, of_all), effects),
            Verdict::Undeliverable { reason, failure } => {
                self.totals.failures += 1;
                self.probe_failed(handle);
                self.exhausted(index, handle, reason, failure, effects);
            }
            Verdict::NotYet(failure) => {
                self.totals.failures += 1;
                self.stall(handle, failure.clone(), effects);
                self.note(handle, failure);
                self.try_again(index, handle, self.longest_wait(handle), effects);
            }
            // No attempt: it was ours to stop it, or not to begin it.
            Verdict::Cancelled => self.not_begun(index, handle, effects),
        }
    }

    /// The handler has done it; what keeps the delivery from its end is said, as of a stuck record.
    pub(super) fn handled(
        &mut self,
        ticket: Ticket,
        hindered: Option<Failure>,
        effects: &mut Vec<Effect<P>>,
    ) {
        let lane = self.lane(ticket.lane);
        let found = lane
            .filter(|lane| lane.epoch == ticket.epoch)
            .and_then(|lane| lane.ledger.find(ticket.offset));
        if let Some((_, handle)) = found
            && self.records[handle].state == State::InFlight
        {
            self.records[handle].handled = true;
            if let Some(failure) = hindered {
                self.stall(handle, failure, effects);
            }
        }
    }

    /// The broker has, or has not, the copy in the dead-letter topic.
    pub(super) fn dead_lettered(
        &mut self,
        ticket: Ticket,
        result: Result<(), String>,
        payload: P,
        effects: &mut Vec<Effect<P>>,
    ) {
        let with_producer = |state| state == State::DeadLettering;
        let Some((index, handle)) = self.take_back(ticket, with_producer, payload) else {
            return;
        };
        self.dead_lettering -= 1;
        let Err(message) = result else {
            self.totals.dead_lettered += 1;
            self.finish(index, handle, effects);
            return;
        };
        self.totals.dead_letter_failures += 1;
        let failures = match &mut self.records[handle].trouble {
            Some(trouble) => {
                trouble.dead_letter_failures = trouble.dead_letter_failures.saturating_add(1);
                trouble.dead_letter_failures
            }
            None => 1,
        };
        let failure = Failure {
            class: "DeadLetter",
            status: None,
            message,
        };
        self.stall(handle, failure, effects);
        self.try_again(index, handle, self.growing(handle, failures), effects);
    }

    /// Copies the record to the dead-letter topic. It takes no delivery's place meanwhile.
    pub(super) fn dead_letter(
        &mut self,
        handle: Handle,
        reason: DeadLetterReason,
        effects: &mut Vec<Effect<P>>,
    ) {
        let record = &mut self.records[handle];
        let (Some(payload), Some(trouble)) = (record.payload.take(), record.trouble.as_mut())
        else {
            debug_assert!(false, "a failed record has its content and its failure");
            return;
        };
        trouble.dead_letter = Some(reason);
        record.state = State::DeadLettering;
        let Some(lane) = self.lanes[record.lane.0 as usize].as_mut() else {
            debug_assert!(false, "a record's lane is there");
            return;
        };
        let suspect = lane.suspects.get(&record.offset.0);
        let kills = suspect.map_or(0, |suspect| suspect.kills);
        lane.out += 1;
        self.dead_lettering += 1;
        effects.push(Effect::DeadLetter {
            ticket: lane.ticket(record.offset),
            reason,
            attempts: record.attempts.saturating_add(kills),
            failure: trouble.failure.clone(),
            payload,
        });
    }

    /// The record that a ticket speaks of, with its content back; none if that is long settled.
    fn take_back(
        &mut self,
        ticket: Ticket,
        expected: impl Fn(State) -> bool,
        payload: P,
    ) -> Option<(usize, Handle)> {
        let lane = self.lanes.get_mut(ticket.lane.0 as usize);
        let found = lane
            .and_then(Option::as_mut)
            .filter(|lane| lane.epoch == ticket.epoch)
            .and_then(|lane| Some((lane.ledger.find(ticket.offset)?, lane)))
            .filter(|((_, handle), _)| expected(self.records[*handle].state));
        let Some(((index, handle), lane)) = found else {
            self.totals.dropped_late += 1;
            return None;
        };
        lane.out -= 1;
        self.records[handle].payload = Some(payload);
        Some((index, handle))
    }

    /// Counts a failed attempt.
    fn failed(&mut self, handle: Handle) -> u32 {
        self.totals.failures += 1;
        let record = &mut self.records[handle];
        record.attempts = record.attempts.saturating_add(1);
        record.slow_downs = 0;
        let (id, offset, attempts) = (record.lane, record.offset, record.attempts);
        if let Some(lane) = self.lane_mut(id) {
            let due = None;
            lane.tried.insert(offset.0, Tried { attempts, due });
        }
        // Said with the next commit, so that nobody who takes over begins to count anew.
        self.changed(id);
        attempts
    }

    fn note(&mut self, handle: Handle, failure: Failure) {
        match &mut self.records[handle].trouble {
            Some(trouble) => trouble.failure = failure,
            none => {
                *none = Some(Box::new(Trouble {
                    failure,
                    dead_letter: None,
                    dead_letter_failures: 0,
                }));
            }
        }
    }

    /// The last attempt failed, or the handler will never take it.
    pub(super) fn exhausted(
        &mut self,
        index: usize,
        handle: Handle,
        reason: DeadLetterReason,
        failure: Failure,
        effects: &mut Vec<Effect<P>>,
    ) {
        let on_exhausted = self.settings.on_exhausted;
        match on_exhausted {
            OnExhausted::DeadLetter if self.is_held_back(&failure, effects) => {
                self.note(handle, failure);
                self.try_again(index, handle, self.longest_wait(handle), effects);
            }
            OnExhausted::DeadLetter => {
                self.note(handle, failure);
                let lane = self.lane(self.records[handle].lane);
                if lane.is_some_and(|lane| lane.overdue) {
                    self.let_go(index, handle, effects);
                } else {
                    self.dead_letter(handle, reason, effects);
                }
            }
            OnExhausted::Stall => {
                self.stall(handle, failure.clone(), effects);
                self.note(handle, failure);
                self.try_again(index, handle, self.longest_wait(handle), effects);
            }
            OnExhausted::Skip => {
                let record = &self.records[handle];
                if let Some(lane) = self.lane(record.lane) {
                    let ticket = lane.ticket(record.offset);
                    self.skipped(ticket, Some(failure), effects);
                }
                self.totals.passed_over += 1;
                self.finish(index, handle, effects);
            }
        }
    }

    fn skipped(&self, ticket: Ticket, failure: Option<Failure>, effects: &mut Vec<Effect<P>>) {
        if let Some(lane) = self.lane(ticket.lane) {
            effects.push(Effect::Skipped {
                partition: lane.partition.clone(),
                offset: ticket.offset,
                failure,
            });
        }
    }

    /// The record waits and is tried again, unless its lane is to be given back.
    pub(super) fn try_again(
        &mut self,
        index: usize,
        handle: Handle,
        wait: Duration,
        effects: &mut Vec<Effect<P>>,
    ) {
        let record = &self.records[handle];
        let (id, offset) = (record.lane, record.offset);
        self.probe_waits(id, offset);
        if self.lane(id).is_some_and(|lane| lane.draining) {
            // The next owner is to wait as long.
            self.note_due(handle, self.now.saturating_add(wait));
            self.let_go(index, handle, effects);
        } else {
            self.back_off(handle, wait);
        }
    }

    /// The record is stuck: say so, and in the next report.
    pub(super) fn stall(&mut self, handle: Handle, failure: Failure, effects: &mut Vec<Effect<P>>) {
        let record = &self.records[handle];
        let (id, offset) = (record.lane, record.offset);
        // A misconfigured handler spends no attempt, but it was tried.
        let attempts = record.attempts.max(1);
        let stuck = Stuck {
            offset: offset.0,
            attempts,
            error: in_few_words(&failure),
        };
        let Some(lane) = self.lane_mut(id) else {
            return;
        };
        lane.stuck.insert(offset.0, stuck);
        effects.push(Effect::Stalled {
            partition: lane.partition.clone(),
            offset,
            attempts,
            failure,
        });
        self.changed(id);
    }

    /// The record is finished: its bytes are free, its followers' turn has come.
    pub(super) fn finish(&mut self, index: usize, handle: Handle, effects: &mut Vec<Effect<P>>) {
        let record = self.records.remove(handle);
        let Some(lane) = self.lanes[record.lane.0 as usize].as_mut() else {
            debug_assert!(false, "a record's lane is there");
            return;
        };
        lane.ledger.finish(index);
        lane.bytes -= record.bytes;
        lane.uncommitted += 1;
        if lane.probe == Some(record.offset) {
            lane.probe = None;
        }
        if !lane.tried.is_empty() {
            lane.tried.remove(&record.offset.0);
        }
        if let (None, Some(key)) = (record.follower, record.key) {
            lane.keys.remove(&key.0);
        }
        if !lane.stuck.is_empty() && lane.stuck.remove(&record.offset.0).is_some() {
            effects.push(Effect::Unstalled {
                partition: lane.partition.clone(),
                offset: record.offset,
            });
        }
        self.is_no_suspect(record.lane, record.offset);
        self.changed(record.lane);
        if let Some(follower) = record.follower {
            self.follows(follower);
        }
        self.enter_ring(record.lane);
        self.refund(record.lane, record.bytes, effects);
    }

    /// The record stays unfinished: the partition's next owner reads it again.
    pub(super) fn let_go(&mut self, index: usize, handle: Handle, effects: &mut Vec<Effect<P>>) {
        let record = self.records.remove(handle);
        if record.state == State::BackingOff {
            self.backing_off -= 1;
        }
        if let Some(lane) = self.lane_mut(record.lane) {
            lane.ledger.let_go(index, record.key.map(KeyHash::tag));
            lane.bytes -= record.bytes;
            if record.attempts > 0 {
                self.changed(record.lane);
            }
        }
        self.refund(record.lane, record.bytes, effects);
    }
}

/// A failure in a few stable words: its class, and the status of an HTTP answer. What Kafka said is
/// kept, as its class says too little.
pub(super) fn in_few_words(failure: &Failure) -> String {
    match failure.status {
        Some(status) => format!("{} {status}", failure.class),
        None if failure.class == "DeadLetter" || unread::ALL.contains(&failure.class) => {
            format!("{} {}", failure.class, failure.message)
                .chars()
                .take(ERROR_CHARS)
                .collect()
        }
        None => failure.class.to_owned(),
    }
}
