//! The contract from worker to controller: a short text in the metadata of every committed offset.
//!
//! Pure. Written by the engine, read by `lag` and by the worker that takes a partition over. Foreign
//! or damaged text is not an error: other tools commit too.

mod text;

pub use text::NotAReport;

use std::ops::Range;
use std::time::Duration;

/// What a worker says of itself and of one partition with each commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The pod that committed.
    pub pod: String,
    /// Records the pod has finished since it started.
    pub done: u64,
    /// Time that the pod's deliveries spent inside the handler since it started, added up; with
    /// several in flight it grows faster than the clock.
    pub busy: Duration,
    /// Deliveries that can be inside the handler at once: the concurrency, or with ordering
    /// `Partition` the pod's partitions if they are fewer. Capacity = done / busy * slots.
    pub slots: u32,
    /// Failed attempts since the pod started.
    pub failures: u64,
    /// Answers that asked for less since the pod started.
    pub slow_downs: u64,
    /// Failed attempts on the record at the committed offset, so that the next owner counts on
    /// from there.
    pub tried: u32,
    /// The record of this partition that nothing gets past.
    pub stuck: Option<Stuck>,
    /// Offsets finished beyond the committed one, ascending, as far as the text has room.
    pub ahead: Vec<Range<i64>>,
}

/// A record that nothing gets past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Its offset.
    pub offset: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// A few stable words, such as `HttpStatus 500`; at most 100 characters.
    pub error: String,
}

/// The error of a record that waits for the idempotency store.
pub const IDEMPOTENCY_STORE: &str = "IdempotencyStore";
/// The most bytes of metadata that a broker keeps by default (`offset.metadata.max.bytes`).
pub const MAX_BYTES: usize = 4096;
