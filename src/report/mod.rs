//! The contract from worker to controller, and between workers of a group: a short text in the metadata of every
//! committed offset.
//!
//! Pure. Written by the engine, read by `lag` and by the worker that takes a partition over. Foreign
//! or damaged text is not an error: other tools commit too.

mod past;
mod suspects;
mod text;

pub use text::NotAReport;

use std::ops::Range;
use std::time::Duration;

/// What a worker says of itself and of one partition with each commit.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
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
    /// What became of the pod's records lately, where something did; for the other pods of the group.
    pub outcomes: Option<Outcomes>,
    /// What the pod found wrong with the dead-letter topic when it last looked, as a reason of
    /// `DeadLetterWritable`.
    pub dead_letter: Option<String>,
    /// Why the pod has not reached its handler for some seconds, in words; at most 150 characters.
    pub handler: Option<String>,
    /// Kafka's id of the topic that the committed offset is of: a topic that was deleted and made
    /// anew has another. None where the broker gives none.
    pub topic_id: Option<String>,
    /// Failed attempts on the record at the committed offset, so that the next owner counts on
    /// from there.
    pub tried: u32,
    /// The record of this partition that nothing gets past.
    pub stuck: Option<Stuck>,
    /// Records that wait for a later attempt, where some do.
    pub later: Option<Later>,
    /// Records that failed and are not finished, by offset; the one at the committed offset is
    /// among them. As far as the text has room.
    pub tries: Vec<Tries>,
    /// Records that the handler had when a worker was killed, by offset, as far as the text has room.
    pub suspects: Vec<Suspect>,
    /// Offsets finished beyond the committed one, ascending, as far as the text has room.
    pub ahead: Vec<Range<i64>>,
    /// The same in fewer words, where records wait behind others of their key.
    pub past: Option<Past>,
}

/// Offsets that are finished but for the records of some keys: all that wait behind one record need no word each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Past {
    /// What tells whether who reads this makes the same of keys.
    pub hashing: u32,
    /// Tags of keys, and from which offset on records of such a key are none of those.
    pub but: Vec<(i64, u32)>,
    /// The offsets, ascending, as far as the text has room.
    pub ranges: Vec<Range<i64>>,
}

/// What became of records of late: in the stretch, up to now, in which more of them were given up than are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcomes {
    /// So many were dead-lettered, or would have been.
    pub given_up: u32,
    /// Of so many.
    pub of: u32,
    /// When this was counted, seconds since 1970.
    pub at: u64,
}

/// Records that have used up their quick attempts and wait for a later one; and which records of the partition wait
/// for neither that nor behind one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Later {
    /// So many wait for a later attempt, or have it under way.
    pub records: u64,
    /// So many wait behind one of them, since they are of its key, or of its partition.
    pub behind: u64,
    /// When the first of these attempts is due, seconds since 1970.
    pub next_at: u64,
    /// The first record that is not finished, has not failed, and waits behind none of these.
    pub next: i64,
    /// Offsets read beyond that one of which the same cannot be said.
    pub more: u64,
}

/// A record that failed and is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tries {
    /// Its offset.
    pub offset: i64,
    /// Failed attempts.
    pub attempts: u32,
    /// When the next try is due, seconds since 1970; none while one is under way.
    pub next_at: Option<u64>,
}

/// A record that the handler had when a worker was killed: it may be why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Suspect {
    /// Its offset.
    pub offset: i64,
    /// Deliveries of it alone that have no end: with the one under way, if there is one.
    pub kills: u32,
}

/// A record that nothing gets past.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stuck {
    /// Its offset.
    pub offset: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// A few stable words, such as `HttpStatus 500`; at most 100 characters.
    pub error: String,
}

/// The error of a record that has the worker killed each time that the handler has it and no other.
pub const WORKER_KILLED: &str = "WorkerKilled";

/// The error of a record that waits for the idempotency store.
pub const IDEMPOTENCY_STORE: &str = "IdempotencyStore";

/// First words of the error of a [`Stuck`] record for which no failure of its own is the cause: its
/// partition cannot be read on, or dead-lettering has stopped. Stable; they are reasons of the
/// condition `Stalled` too.
pub mod unread {
    /// Kafka gave the record with an error, such as a wrong checksum.
    pub const UNREADABLE: &str = "RecordUnreadable";
    /// The committed offset lies before the oldest record: retention was faster.
    pub const OFFSETS_EXPIRED: &str = "OffsetsExpired";
    /// The committed offset lies behind the last record: the log was cut or made anew.
    pub const OFFSET_BEYOND_END: &str = "OffsetBeyondEnd";
    /// The topic was deleted and made anew: the committed offset speaks of another log.
    pub const TOPIC_RECREATED: &str = "TopicRecreated";
    /// Kafka does not have the offset, and it is not known why.
    pub const OFFSET_OUT_OF_RANGE: &str = "OffsetOutOfRange";
    /// Too many records would be dead-lettered: none is, and they are tried one at a time.
    pub const BREAKER_OPEN: &str = "BreakerOpen";
    /// So many records of the partition failed and wait that its report has no room for more: others are tried one at a time.
    pub const RETRIES_FULL: &str = "RetriesFull";
    /// All of them.
    pub const ALL: [&str; 7] = [
        BREAKER_OPEN,
        RETRIES_FULL,
        UNREADABLE,
        OFFSETS_EXPIRED,
        OFFSET_BEYOND_END,
        TOPIC_RECREATED,
        OFFSET_OUT_OF_RANGE,
    ];
}

/// The most bytes of metadata that a broker keeps by default (`offset.metadata.max.bytes`).
pub const MAX_BYTES: usize = 4096;
/// A report of fewer bytes says too little.
pub const LEAST_BYTES: usize = 300;
