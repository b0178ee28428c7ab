//! What a run did: the records that were produced, what the handler was sent and answered, what was
//! dead-lettered and committed, and who held which partition when.
//!
//! Pure. `check` says whether it was right; `storm` writes it down.

mod attempts;
mod check;
mod findings;
#[cfg(test)]
mod tests;

pub use check::check;
pub use findings::{Breach, Cause, Findings};

use std::collections::BTreeMap;
use std::ops::Range;

use drover::worker_config::Ordering;

/// Microseconds since 1970, by the one clock of this machine.
pub type Micros = i64;

/// A time that the broker wrote is cut to the millisecond: it may have been this much later.
pub const CUT: Micros = 999;

/// A process: a number that no second one gets, not even one that takes its place.
pub type Pod = u32;

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub partition: i32,
    pub offset: i64,
}

/// A record as it lies in the topic.
#[derive(Debug, Clone)]
pub struct Record {
    pub place: Place,
    pub key: Option<String>,
}

/// One request to the handler.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub pod: Pod,
    pub place: Place,
    pub begun: Micros,
    /// When the handler had its answer, before it was sent; none while it has not.
    pub over: Option<(Micros, Answer)>,
    /// Which attempt it was said to be, where that was said.
    pub attempt: Option<u32>,
    /// The handler said whole that it failed.
    pub failed: bool,
}

/// What the handler did with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Handled, and said so.
    Done,
    /// Handled, but the connection broke around the answer: the worker may or may not know.
    Unheard,
    /// Not handled: refused, failed, asked for less, or the worker hung up.
    NotDone,
}

/// A copy in the dead-letter topic.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub of: Place,
    /// When the broker took it.
    pub at: Micros,
}

/// What the group committed for a partition.
#[derive(Debug, Clone)]
pub struct Commit {
    /// None where another tool committed.
    pub pod: Option<Pod>,
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// What is finished beyond it.
    pub ahead: Vec<Range<i64>>,
    /// How often records had failed.
    pub tries: BTreeMap<i64, u32>,
    /// When the broker took it.
    pub at: Micros,
}

impl Commit {
    /// Whoever takes over with this commit has no need to handle the record at `offset`.
    pub fn covers(&self, offset: i64) -> bool {
        offset < self.offset || self.ahead.iter().any(|range| range.contains(&offset))
    }
}

/// From the time that a pod said it was assigned a partition until the end of that.
#[derive(Debug, Clone)]
pub struct Holding {
    pub pod: Pod,
    pub partition: i32,
    pub from: Micros,
    /// None if it held the partition to the end.
    pub to: Option<(Micros, End)>,
}

/// How a holding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In order: drained, committed, given back.
    GivenBack,
    /// The group went on without the pod, and it was told so.
    Lost,
    /// The pod died.
    Killed,
}

/// Everything that a run did. Commits lie in the order in which the broker took them.
#[derive(Debug, Clone)]
pub struct History {
    pub ordering: Ordering,
    /// Deliveries that a pod may have in flight.
    pub concurrency: usize,
    /// Attempts in quick succession.
    pub attempts: u32,
    /// The wait before each later one.
    pub then: Vec<Micros>,
    pub records: Vec<Record>,
    pub deliveries: Vec<Delivery>,
    pub dead_letters: Vec<DeadLetter>,
    pub commits: Vec<Commit>,
    pub holdings: Vec<Holding>,
}
