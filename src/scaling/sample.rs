//! One observation of a fleet: everything that `step` is told.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::report::{Later, Stuck};
use crate::topic::{ByPartition, Lag, Offset};

/// One observation of a fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// When the offsets were read.
    pub at: Timestamp,
    /// Every partition of the fleet's topics. A partition that could not be read is there, with
    /// `None`: unknown is not zero.
    pub partitions: ByPartition<Option<PartitionSample>>,
    /// What the workers reported, by pod; empty for `handler.consumer`.
    pub pods: BTreeMap<String, PodSample>,
    /// When pods were made and became ready, in no order; empty where nobody says. Pods that go are left out.
    pub starts: Vec<PodStart>,
    /// Replicas of the Deployment's spec now.
    pub current: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// A roll-out is under way: old and new pods exist side by side.
    pub rolling: bool,
    /// Pods are kept from starting, or from being ready, by something that is not their start: nobody lets them in, or
    /// what they wait for is away.
    pub held_up: bool,
}

/// One partition.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionSample {
    /// The next offset that a producer will get (last stable offset where it is known).
    pub end: Offset,
    /// The oldest offset that Kafka still has.
    pub start: Offset,
    /// The group's committed offset; none where nothing was committed yet.
    pub committed: Option<Offset>,
    /// Which records beyond the committed one wait for no pod, from the report; none where nobody says.
    pub beyond: Option<Beyond>,
    /// The record that nothing gets past, from the report.
    pub stuck: Option<Stuck>,
    /// The pod whose report is the newest.
    pub pod: Option<String>,
}

/// Records that are not committed and wait for no pod all the same: they are finished, or they failed and
/// are tried again when their time has come. More pods do nothing for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// The first record that does wait.
    pub next: Offset,
    /// Records after that one which do not.
    pub more: u64,
    /// Of all of them, those that failed and are tried again.
    pub retried: u64,
    /// Failed attempts on the first record that is not committed.
    pub tried: u32,
    /// Those that wait for a later attempt, as the spec has it, where some do.
    pub later: Option<Later>,
}

/// Why offsets give no lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LagUnknown {
    /// The topic was deleted and created again, or the offsets were set by hand: what the group
    /// has done cannot be told.
    #[error(
        "the committed offset {committed} lies beyond the end {end}; was the topic re-created?"
    )]
    CommittedBeyondEnd {
        /// What the group committed.
        committed: Offset,
        /// The partition's end.
        end: Offset,
    },
    /// Offsets that Kafka never gives.
    #[error("start {start} and end {end} are not offsets of a partition")]
    Impossible {
        /// The alleged start.
        start: Offset,
        /// The alleged end.
        end: Offset,
    },
}

impl PartitionSample {
    /// The next offset to read: the committed one, or the partition's start where nothing was
    /// committed or retention has passed it.
    pub fn position(&self) -> Offset {
        self.committed
            .map_or(self.start, |committed| committed.max(self.start))
    }

    /// The first record that waits for a pod.
    pub fn next(&self) -> Offset {
        let next = self.beyond.map_or(Offset(0), |beyond| beyond.next);
        next.max(self.position()).min(self.end.max(self.position()))
    }

    /// Records that wait for a pod: those of the lag that are not finished beyond the committed offset, nor
    /// failed and tried again.
    pub fn waits(&self) -> u64 {
        let from_next = (self.end.0.saturating_sub(self.next().0))
            .max(0)
            .unsigned_abs();
        from_next.saturating_sub(self.beyond.map_or(0, |beyond| beyond.more))
    }

    /// Records that are not committed yet.
    pub fn lag(&self) -> Result<Lag, LagUnknown> {
        let Self { start, end, .. } = *self;
        if start.0 < 0 || end < start {
            return Err(LagUnknown::Impossible { start, end });
        }
        if let Some(committed) = self.committed.filter(|&committed| committed > end) {
            return Err(LagUnknown::CommittedBeyondEnd { committed, end });
        }
        Ok(Lag((end.0 - self.position().0).unsigned_abs()))
    }
}

/// The beginning of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodStart {
    /// When it was made; no later than this is said, where only whole seconds are told.
    pub made: Timestamp,
    /// When it became ready, or a little after that; none while it is not.
    pub ready: Option<Timestamp>,
}

/// What one pod reported, cumulative since it started.
#[derive(Clone, Debug, PartialEq)]
pub struct PodSample {
    /// Records finished.
    pub done: u64,
    /// Time inside the handler, added up over deliveries.
    pub busy: Duration,
    /// Deliveries that can be inside the handler at once.
    pub slots: u32,
    /// Failed attempts.
    pub failures: u64,
    /// Answers that asked for less.
    pub slow_downs: u64,
}
