//! The consumer as a machine: `on(event, now)` gives effects.
//!
//! Pure: the worker carries effects out and tells what happened; a property test plays the world.
//! The invariants are listed in `ARCHITECTURE.md` and held by `engine/tests.rs`.

mod effect;
mod event;

pub use effect::{DeadLetterReason, Effect, FrontierCommit};
pub use event::{Assignment, CommitFailure, Event, Failure, Incoming, Verdict};

use std::time::Duration;

use crate::topic::Offset;
use crate::worker_config::{OnExhausted, Ordering};

/// The handle of an assigned partition: small, dense, chosen by the worker, so that a record needs
/// no look-up by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub u32);

/// The hash of a record's key. Two keys with one hash wait for each other for nothing, no worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(pub u64);

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

/// What the engine is set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The pod, for reports.
    pub pod: String,
    /// Which records wait for each other.
    pub ordering: Ordering,
    /// Records in flight at most.
    pub concurrency: usize,
    /// Attempts in all.
    pub attempts: u32,
    /// The wait before the second attempt.
    pub initial_backoff: Duration,
    /// The longest wait between attempts.
    pub max_backoff: Duration,
    /// What happens after the last attempt.
    pub on_exhausted: OnExhausted,
    /// How long what is in flight may take to finish when partitions are given back.
    pub drain_deadline: Duration,
    /// A moved frontier is committed at least this often.
    pub commit_interval: Duration,
    /// An unmoved frontier is committed again, with a fresh report, at least this often.
    pub report_interval: Duration,
    /// Bytes of records that may be held.
    pub budget_bytes: usize,
}
