//! The consumer as a machine: `on(event, now)` gives effects.
//!
//! Pure: the worker carries effects out and tells what happened; a property test plays the world.
//! The invariants are listed in `ARCHITECTURE.md` and held by `engine/tests/invariants.rs`,
//! that of suspects by `engine/tests/alone.rs`.
//!
//! An event goes through one of `intake` (partitions, records), `outcome` and `untaken` (answers), `committed` and
//! `handover` (giving back), `bar` (a partition that cannot be read on); then `settle` does what time or that event has made due: back-offs that
//! end, drains, commits, and in `dispatch` new deliveries. A record lives in the `slab`; its lane's
//! `ledger` knows how far may be committed, the `budget` how much may be read, the `throttle` how
//! much may be delivered at once, the `pace` how much within a time, `suspects` which records must go alone, as `alone` sees to,
//! and `remembered` what was finished of partitions that went before a commit said so.

mod alone;
mod backoff;
mod bar;
mod breaker;
mod budget;
mod choice;
mod commit;
mod committed;
mod crowd;
mod dispatch;
mod effect;
mod event;
mod flow;
mod handover;
mod intake;
mod lane;
mod later;
mod ledger;
mod outcome;
mod pace;
mod past;
mod ready;
mod record;
mod remembered;
mod slab;
mod stretch;
mod suspects;
#[cfg(test)]
mod tests;
mod throttle;
mod untaken;
mod view;
mod waits;

pub use breaker::Breaker;
pub use effect::{DeadLetterReason, Effect, FrontierCommit};
pub use event::{
    Assignment, Barred, CONNECTION_BROKE, CommitFailure, Event, Failure, Incoming, NOT_CONNECTED,
    Refused, Verdict,
};
pub use pace::RateLimit;
pub use remembered::Remembered;
pub use view::{Gauges, LaneState, LaneView, Totals};

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use self::breaker::Fuse;
use self::budget::Budget;
use self::choice::Again;
use self::commit::Commits;
use self::dispatch::Timer;
use self::handover::Drain;
use self::lane::Lane;
use self::pace::Pace;
use self::record::Record;
use self::slab::Slab;
use self::suspects::Suspects;
use self::throttle::Throttle;
use crate::topic::{Offset, TopicPartition};
use crate::worker_config::{OnExhausted, Ordering};

/// After a sleep a heartbeat is long due, so its answer is there soon.
const HEAR_OF_LOSS: Duration = Duration::from_secs(2);

/// The handle of an assigned partition: small, dense, chosen by the worker, so that a record needs
/// no look-up by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub u32);

/// The hash of a record's key. Two keys with one hash wait for each other for nothing, no worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(pub u64);

impl KeyHash {
    /// Twenty-four bits of it, for reports. What of two keys with one tag is finished may be handled again, no worse.
    pub(crate) fn tag(self) -> u32 {
        let spread = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        u32::try_from(spread >> 40).unwrap_or(u32::MAX)
    }
}

/// Identifies one delivery of one record under one assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The partition's handle.
    pub lane: LaneId,
    /// The assignment: an answer of an older one is dropped.
    pub epoch: u64,
    /// The record.
    pub offset: Offset,
}

/// How much of one partition may be delivered together, in order, with ordering Partition. Other
/// orderings need no runs: what is in flight together may be delivered in any company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Records at most; 1 delivers each alone.
    pub records: usize,
    /// Bytes at most, unless the first record alone has more.
    pub bytes: usize,
}

impl Run {
    /// Each record alone.
    pub const ONE: Self = Self {
        records: 1,
        bytes: usize::MAX,
    };
}

/// What the engine is set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The pod, for reports.
    pub pod: String,
    /// The wall clock at time zero, since 1970: what is due is reported by it. See [`Event::ClockSet`].
    pub began: Duration,
    /// Which records wait for each other.
    pub ordering: Ordering,
    /// What the worker makes of a certain key: workers that make another thing of it cannot tell each other of keys.
    pub hashing: u32,
    /// Records in flight at most.
    pub concurrency: usize,
    /// With ordering Partition: successive records that may be delivered together.
    pub run: Run,
    /// Attempts in quick succession.
    pub attempts: u32,
    /// The handler is a process beside this one, which one record may bring down for all that it has.
    pub own_handler: bool,
    /// The wait before the second attempt.
    pub initial_backoff: Duration,
    /// The longest wait between these attempts.
    pub max_backoff: Duration,
    /// Later attempts: one after each of these waits.
    pub then: Vec<Duration>,
    /// With later attempts: records of one partition that may have failed and wait, so that its report has room for all.
    pub waiting: usize,
    /// What happens after the last attempt.
    pub on_exhausted: OnExhausted,
    /// When to stop dead-lettering; none for never.
    pub breaker: Option<Breaker>,
    /// Records that the whole fleet may deliver within a time; none for as many as it can.
    pub rate_limit: Option<RateLimit>,
    /// How long what is in flight may take to finish when partitions are given back.
    pub drain_deadline: Duration,
    /// A moved frontier is committed at least this often.
    pub commit_interval: Duration,
    /// An unmoved frontier is committed again, with a fresh report, at least this often.
    pub report_interval: Duration,
    /// Bytes of records that may be held.
    pub budget_bytes: usize,
}

impl Settings {
    /// Attempts in all, the quick and the later ones.
    pub fn attempts_in_all(&self) -> u32 {
        let later = u32::try_from(self.then.len()).unwrap_or(u32::MAX);
        self.attempts.saturating_add(later)
    }

    /// The wait before the later attempt that follows so many failures; none before and after those.
    fn later(&self, failures: u32) -> Option<Duration> {
        let passed = failures.checked_sub(self.attempts)?;
        self.then.get(passed as usize).copied()
    }
}

/// The consumer. `P` is a record's content, which the engine holds but never looks at.
#[derive(Debug)]
pub struct Engine<P> {
    settings: Settings,
    /// The latest time told.
    now: Duration,
    /// Assigned partitions, by handle.
    lanes: Vec<Option<Lane>>,
    by_partition: HashMap<TopicPartition, LaneId>,
    /// Counts assignments.
    epoch: u64,
    records: Slab<Record<P>>,
    /// Lanes with ready records, each once, in turn.
    ring: VecDeque<LaneId>,
    /// Ends of back-offs, the next first.
    timers: BinaryHeap<Reverse<Timer>>,
    throttle: Throttle,
    pace: Option<Pace>,
    fuse: Option<Fuse>,
    budget: Budget,
    /// Lanes that are paused for their share of the budget.
    over_share: usize,
    /// Lanes that cannot be read on.
    barred_lanes: usize,
    commits: Commits,
    /// When some crowded lane may try another record.
    next_probe: Option<Duration>,
    /// What is wrong with the dead-letter topic.
    dead_letter_flaw: Option<&'static str>,
    /// Why the handler is not reached.
    handler_away: Option<String>,
    drains: Vec<Drain>,
    /// Records that may have had a worker of this pod killed.
    suspects: Suspects,
    /// What was finished of partitions that went.
    remembered: Remembered,
    in_flight: usize,
    /// Of these, what was tried before.
    again: Again,
    backing_off: usize,
    dead_lettering: usize,
    stopping: bool,
    stopped: bool,
    totals: Totals,
}

impl<P> Engine<P> {
    /// An engine without partitions.
    pub fn new(settings: Settings) -> Self {
        Self {
            throttle: Throttle::new(settings.concurrency),
            pace: settings
                .rate_limit
                .map(|limit| Pace::new(limit, settings.run.records)),
            fuse: settings.breaker.map(Fuse::new),
            budget: Budget::new(settings.budget_bytes),
            settings,
            now: Duration::ZERO,
            lanes: Vec::new(),
            by_partition: HashMap::new(),
            epoch: 0,
            records: Slab::new(),
            ring: VecDeque::new(),
            timers: BinaryHeap::new(),
            over_share: 0,
            barred_lanes: 0,
            commits: Commits::default(),
            next_probe: None,
            dead_letter_flaw: None,
            handler_away: None,
            drains: Vec::new(),
            suspects: Suspects::default(),
            remembered: Remembered::default(),
            in_flight: 0,
            again: Again::default(),
            backing_off: 0,
            dead_lettering: 0,
            stopping: false,
            stopped: false,
            totals: Totals::default(),
        }
    }

    /// Something happened at `now`, the time since the worker's start. What is to be done about it
    /// is added to `effects`, to be carried out in that order.
    pub fn on(&mut self, event: Event<P>, now: Duration, effects: &mut Vec<Effect<P>>) {
        self.hear(event, now, effects);
        self.settle(effects);
    }

    /// As [`Engine::on`], but what follows from it waits for the next event that is told so: of many
    /// events of one moment all but the last need not each look at everything that may be due.
    pub fn hear(&mut self, event: Event<P>, now: Duration, effects: &mut Vec<Effect<P>>) {
        self.now = self.now.max(now);
        match event {
            Event::Record(incoming) => self.read(incoming, effects),
            Event::GivenUp { lane, offset } => self.given_up(lane, offset, effects),
            Event::Finished {
                ticket,
                verdict,
                took,
                payload,
            } => self.finished(ticket, verdict, took, payload, effects),
            Event::Handled { ticket, hindered } => self.handled(ticket, hindered, effects),
            Event::DeadLettered {
                ticket,
                result,
                payload,
            } => self.dead_lettered(ticket, result, payload, effects),
            Event::Position { partition, next } => self.position(&partition, next, effects),
            Event::Barred(barred) => self.barred(barred, effects),
            Event::Committed(result) => self.committed(result),
            Event::CommittedInPart { refused } => self.committed_in_part(&refused),
            Event::Assigned(assignments) => self.assigned(assignments, effects),
            Event::Revoked(partitions) => self.revoked(&partitions, effects),
            Event::Lost(partitions) => self.lost(&partitions, effects),
            Event::DeadLetterTopic(flaw) => self.dead_letter_topic(flaw),
            Event::HandlerAway(why) => self.handler_away(why),
            Event::OthersReport(reports) => self.others_report(&reports),
            Event::Partitions(all) => self.partitions_are(all),
            Event::Suspects(records) => self.suspect(records),
            Event::Slept => self.throttle.hold(self.now + HEAR_OF_LOSS),
            Event::ClockSet(began) => self.clock_set(began),
            Event::Shutdown => self.shutdown(effects),
            Event::Tick => {}
        }
    }

    /// Everything that time, or what just happened, makes due.
    fn settle(&mut self, effects: &mut Vec<Effect<P>>) {
        self.wake(effects);
        self.probe_again();
        self.read_again(effects);
        self.advance_drains(effects);
        self.commit(effects);
        self.give_back(effects);
        self.start(effects);
        if self.stopping && !self.stopped && self.by_partition.is_empty() {
            self.stopped = true;
            effects.push(Effect::Stopped);
        }
    }

    /// When to send [`Event::Tick`] if nothing else happens before: none while only an event can
    /// change anything.
    pub fn next_deadline(&self) -> Option<Duration> {
        // A suspect may be what is waited for, whatever the pace allows.
        let some_wait = !self.ring.is_empty() || !self.suspects.none_waits();
        let held_back = some_wait && self.throttle.held_until() > self.now;
        let paced = some_wait && self.throttle.allows(self.in_flight, self.now);
        let leave = self.pace.as_ref().filter(|_| paced).and_then(Pace::next);
        [
            self.next_timer(),
            self.next_probe,
            self.next_reading(),
            self.commit_due(),
            self.suspects.due(),
            self.drains.iter().map(Drain::deadline).min(),
            held_back.then(|| self.throttle.held_until()),
            leave.filter(|next| *next > self.now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn partitions_are(&mut self, all: usize) {
        if let Some(pace) = &mut self.pace {
            pace.partitions_are(all, self.now);
        }
    }

    fn lane(&self, id: LaneId) -> Option<&Lane> {
        self.lanes.get(id.0 as usize).and_then(Option::as_ref)
    }

    fn lane_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut)
    }
}
