//! A partition in which very many records failed and wait: its report, which tells the next owner of each, has no room
//! for more.
//!
//! With later attempts a record may wait for an hour while others go past it. Were nothing done, any number could: what is
//! finished beyond them would be handled again after each hand-over, and attempts would be counted anew. So where as many wait
//! as the report has room for, records that were never tried go one at a time: the next as soon as one went well, so
//! that a handler that is well again is noticed, and `max_backoff` after one that did not. One that is given up (rejected, say) is in
//! nobody's way: the next is tried once its copy is written. Each that fails waits too, so after
//! a few the pauses are as long as keeps those few in number, until one that waited goes well. Those that wait keep their times.
//! With ordering Partition there is no crowd: all wait behind the first.

use std::time::Duration;

use super::event::Verdict;
use super::lane::Lane;
use super::slab::Handle;
use super::{Engine, LaneId, Settings, Ticket, backoff};
use crate::report::{Stuck, unread};
use crate::topic::Offset;
use crate::worker_config::Ordering;

/// So many that are tried beyond the room, and fail, are to be had before one of them is over.
const FEW: usize = 6;

/// Records of a partition that may wait before they are a crowd.
pub(super) fn room(settings: &Settings) -> usize {
    if settings.then.is_empty() || settings.ordering == Ordering::Partition {
        return usize::MAX;
    }
    settings.waiting
}

impl Lane {
    /// As many records failed and wait as its report has room for.
    pub(super) fn is_crowded(&self) -> bool {
        self.tried.len() >= self.room
    }

    /// The turn of a record has come; `again` if it failed before.
    pub(super) fn is_ready(&mut self, offset: Offset, handle: Handle, again: bool) {
        match again && !self.in_order {
            true => self.again.push(offset, handle),
            false => self.ready.push(offset, handle),
        }
    }

    /// A record can be started now.
    pub(super) fn can_start(&self, now: Duration) -> bool {
        let (ready, again) = self.startable(now);
        ready.or(again).is_some()
    }

    /// Takes the oldest record that can be started now.
    pub(super) fn take_oldest(&mut self, now: Duration) -> Option<Handle> {
        match self.startable(now) {
            (Some(ready), Some(again)) if again < ready => self.again.pop(),
            (Some(_), _) => self.ready.pop(),
            (None, Some(_)) => self.again.pop(),
            (None, None) => None,
        }
    }

    /// The oldest that can be started of those never tried, and of those that failed before.
    pub(super) fn startable(&self, now: Duration) -> (Option<Offset>, Option<Offset>) {
        let ready = self.ready.first();
        if self.in_order {
            let oldest = self.ledger.oldest();
            let is_first = ready.filter(|(_, handle)| oldest == Some(*handle));
            return (is_first.map(|(offset, _)| offset), None);
        }
        let may_begin = !self.is_crowded() || (self.probe.is_none() && now >= self.probe_at);
        let ready = ready.filter(|_| may_begin);
        (
            ready.map(|(offset, _)| offset),
            self.again.first().map(|(offset, _)| offset),
        )
    }

    /// What its report says of the crowd.
    pub(super) fn crowd(&self) -> Option<Stuck> {
        let (first, _) = self.tried.first_key_value()?;
        self.is_crowded().then(|| Stuck {
            offset: *first,
            // No failure of this very record's: whoever takes over goes by `tries`.
            attempts: 0,
            error: format!(
                "{} {} records or more failed and wait for another attempt",
                unread::RETRIES_FULL,
                self.room
            ),
        })
    }
}

impl<P> Engine<P> {
    /// The handler has said something of a record that may have been the one of a crowded lane.
    pub(super) fn probe_came_back(&mut self, ticket: Ticket, verdict: &Verdict) {
        let failed = matches!(
            verdict,
            Verdict::Retry(_) | Verdict::Misconfigured(_) | Verdict::NotYet(_)
        );
        // Whether it waits is seen by whether its copy is written.
        let is_to_go = matches!(verdict, Verdict::Reject(_) | Verdict::Undeliverable { .. });
        let now = self.now;
        let Some(lane) = self.lane_mut(ticket.lane) else {
            return;
        };
        if lane.is_crowded() && matches!(verdict, Verdict::Done | Verdict::Skip) {
            // Whichever it was: the handler is well, and the next is tried when this one is finished.
            lane.probe_at = now;
        }
        if lane.probe != Some(ticket.offset) || is_to_go {
            return;
        }
        if failed {
            self.probe_waits(ticket.lane, ticket.offset);
        } else {
            lane.probe = None;
            self.enter_ring(ticket.lane);
        }
    }

    /// The record is one more that waits: if it was the one of a crowded lane, no other is tried for a while.
    pub(super) fn probe_waits(&mut self, id: LaneId, offset: Offset) {
        if self.lane(id).is_none_or(|lane| lane.probe != Some(offset)) {
            return;
        }
        let again = self.now.saturating_add(self.pause_of_a_crowd(id));
        self.next_probe = Some(self.next_probe.map_or(again, |next| next.min(again)));
        if let Some(lane) = self.lane_mut(id) {
            lane.probe = None;
            lane.probe_at = again;
        }
    }

    /// How long a crowded lane tries no other record after one that failed.
    fn pause_of_a_crowd(&self, id: LaneId) -> Duration {
        let beyond = |lane: &Lane| lane.tried.len().saturating_sub(lane.room);
        let shortest = self.settings.max_backoff;
        if self.lane(id).map_or(0, beyond) < FEW {
            return shortest;
        }
        // By the time that one more is added the first of them has had its last attempt.
        let all: Duration = self.settings.then.iter().sum();
        let few = u32::try_from(FEW).unwrap_or(u32::MAX);
        shortest.max(backoff::longest(all) / few)
    }

    /// Crowded lanes that have waited long enough try another record.
    pub(super) fn probe_again(&mut self) {
        if self.next_probe.is_none_or(|due| due > self.now) {
            return;
        }
        let lanes = self.lanes.iter().flatten();
        let due: Vec<(LaneId, Duration)> = lanes.map(|lane| (lane.id, lane.probe_at)).collect();
        let later = due.iter().map(|(_, at)| *at).filter(|at| *at > self.now);
        self.next_probe = later.min();
        for (id, _) in due {
            self.enter_ring(id);
        }
    }
}
