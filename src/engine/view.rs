//! What the worker may show of the engine: totals, gauges, lanes, stuck records.

use std::time::Duration;

use super::record::State;
use super::{Engine, LaneId, Ticket};
use crate::report::Stuck;
use crate::topic::{Offset, TopicPartition};

/// Counters since the engine was made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// Records that the handler has handled.
    pub done: u64,
    /// Records passed over by the handler's wish.
    pub skipped: u64,
    /// Records passed over because they were handled before, as the idempotency store says.
    pub duplicates: u64,
    /// Records passed over by the user's policy after their last attempt.
    pub passed_over: u64,
    /// Records passed over because somebody gave them up.
    pub given_up: u64,
    /// Records whose copy the dead-letter topic has.
    pub dead_lettered: u64,
    /// Copies that the dead-letter topic refused; they are tried again.
    pub dead_letter_failures: u64,
    /// Records that the previous owner had finished beyond its frontier, or this worker when it had their partition before.
    pub finished_before: u64,
    /// Failed attempts.
    pub failures: u64,
    /// Deliveries after a failed attempt.
    pub retries: u64,
    /// Answers that asked for less.
    pub slow_downs: u64,
    /// Results that came after their record was settled or its partition gone.
    pub dropped_late: u64,
    /// Records read a second time in an epoch, or of a partition that is being given back or is not
    /// ours.
    pub ignored: u64,
    /// Records that may be handled twice, because their partition was lost before a commit.
    pub possible_duplicates: u64,
    /// Commits that succeeded.
    pub commits: u64,
    /// Commits that failed.
    pub commit_failures: u64,
    /// Time inside the handler, added up over deliveries.
    pub busy: Duration,
}

impl Totals {
    /// Records finished in any way by this pod.
    pub fn finished(&self) -> u64 {
        self.done
            + self.skipped
            + self.duplicates
            + self.passed_over
            + self.given_up
            + self.dead_lettered
    }
}

/// How full the engine is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauges {
    /// Deliveries that the handler has.
    pub in_flight: usize,
    /// Deliveries that the handler may have now: fewer than the concurrency while it asks for less.
    pub in_flight_limit: usize,
    /// Records that wait for their next attempt.
    pub backing_off: usize,
    /// Copies that the dead-letter topic has not acknowledged yet.
    pub dead_lettering: usize,
    /// Records held.
    pub records: usize,
    /// Bytes of records held.
    pub bytes: usize,
    /// The budget is used up: no partition is read.
    pub full: bool,
}

/// What a lane is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneState {
    /// Read and delivered.
    Active,
    /// Waiting for what is in flight, to be given back.
    Draining,
    /// Waiting for the last commit, to be given back.
    Committing,
}

/// One assigned partition.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneView<'a> {
    /// The partition.
    pub partition: &'a TopicPartition,
    /// Its handle.
    pub lane: LaneId,
    /// What it is doing.
    pub state: LaneState,
    /// It is not read at present.
    pub paused: bool,
    /// The first offset that is not finished; none where nothing was committed or read yet.
    pub frontier: Option<Offset>,
    /// The last offset committed by this pod since it was assigned.
    pub committed: Option<Offset>,
    /// Records read and not finished.
    pub unfinished: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// When the oldest unfinished record was read, since the worker's start.
    pub oldest_read_at: Option<Duration>,
    /// Records that nothing gets past.
    pub stuck: usize,
}

impl<P> Engine<P> {
    /// Counters since the start.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How full the engine is now.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            in_flight: self.in_flight,
            in_flight_limit: self.throttle.limit(),
            backing_off: self.backing_off,
            dead_lettering: self.dead_lettering,
            records: self.records.len(),
            bytes: self.budget.held(),
            full: self.budget.full(),
        }
    }

    /// How long a record still waits before it is tried again; None where it does not wait. It takes as long as there
    /// are waits: for whoever looks on, not for each record.
    pub fn again_in(&self, ticket: Ticket) -> Option<Duration> {
        let lane = self.lane(ticket.lane)?;
        let (_, handle) = lane.ledger.find(ticket.offset)?;
        if lane.epoch != ticket.epoch || self.records[handle].state != State::BackingOff {
            return None;
        }
        let due = self.due(handle)?;
        Some(due.saturating_sub(self.now))
    }

    /// Deliveries that the handler has.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Bytes of records held.
    pub fn held_bytes(&self) -> usize {
        self.budget.held()
    }

    /// Every assigned partition.
    pub fn lanes(&self) -> impl Iterator<Item = LaneView<'_>> {
        self.lanes.iter().flatten().map(|lane| LaneView {
            partition: &lane.partition,
            lane: lane.id,
            state: match self.drains.iter().find(|drain| drain.holds(lane.id)) {
                None => LaneState::Active,
                Some(drain) if drain.is_committing() => LaneState::Committing,
                Some(_) => LaneState::Draining,
            },
            paused: lane.paused,
            frontier: lane.ledger.frontier(),
            committed: lane.committed,
            unfinished: lane.ledger.unfinished(),
            bytes: lane.bytes,
            oldest_read_at: lane.ledger.oldest().map(|h| self.records[h].read_at),
            stuck: lane.stuck.len(),
        })
    }

    /// Records that nothing gets past, with their partitions.
    pub fn stalled(&self) -> impl Iterator<Item = (&TopicPartition, &Stuck)> {
        let lanes = self.lanes.iter().flatten();
        lanes.flat_map(|lane| lane.stuck.values().map(|stuck| (&lane.partition, stuck)))
    }

    /// How long ago the oldest unfinished record was read.
    pub fn oldest_unfinished(&self, now: Duration) -> Option<Duration> {
        let read_at = self.lanes().filter_map(|lane| lane.oldest_read_at).min()?;
        Some(now.saturating_sub(read_at))
    }

    /// Partitions are being given back, or the engine is stopping.
    pub fn is_draining(&self) -> bool {
        self.stopping || !self.drains.is_empty()
    }

    /// Too many records would be dead-lettered: none is, for the time being.
    pub fn breaker_is_open(&self) -> bool {
        self.fuse.as_ref().is_some_and(|fuse| fuse.open().is_some())
    }

    /// Records a second that this pod may deliver, its share of the fleet's rate limit; none without a limit, and until
    /// it is known how many partitions there are.
    pub fn rate_share(&self) -> Option<f64> {
        self.pace.as_ref()?.share()
    }

    /// Records were given up lately: what other pods of the group saw of the handler would help to tell whether it is
    /// broken for everybody. See [`super::Event::OthersReport`].
    pub fn asks_others(&self) -> bool {
        let fuse = self.fuse.as_ref();
        fuse.is_some_and(|fuse| fuse.asks_others())
    }

    /// Why commits cannot succeed until someone mends it: authorisation, say.
    pub fn commit_error(&self) -> Option<&str> {
        self.commits.fatal()
    }
}
