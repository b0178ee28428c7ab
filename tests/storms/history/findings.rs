//! What the checker found.

use std::collections::BTreeMap;
use std::fmt;

use super::{Commit, Micros, Place, Pod};

/// What a run comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// Records in the topic.
    pub produced: usize,
    /// Records that the handler handled.
    pub handled: usize,
    /// Records that were not handled, but dead-lettered.
    pub dead_lettered: usize,
    /// Records that the group's last commits do not cover.
    pub uncommitted: usize,
    /// Requests to the handler.
    pub deliveries: usize,
    /// Deliveries of what was handled before, by what explains them.
    pub repeated: BTreeMap<Cause, usize>,
    /// Copies in the dead-letter topic beyond the first of a record.
    pub dead_lettered_again: usize,
    /// Commits that the broker took.
    pub commits: usize,
    /// Later attempts, and those of them that another holder made than the attempt before.
    pub later: (usize, usize),
    /// What must never be.
    pub breaches: Vec<Breach>,
}

/// Why a record was delivered again after it was handled. Each is a fault of the run, after which
/// nobody can know that it was handled: no commit says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The pod that had it handled died.
    Killed,
    /// The group went on without the pod that had it handled.
    Lost,
    /// The connection broke around the handler's answer.
    AnswerUnheard,
    /// The pod gave the partition back in order, but its last commit did not arrive.
    LastCommitFailed,
}

/// What must never be.
#[derive(Debug, Clone, PartialEq)]
pub enum Breach {
    /// Committed, but neither handled nor dead-lettered.
    Lost(Place),
    /// The commit covers a record that was not finished when the broker took it.
    PassedUnfinished { commit: Said, record: Place },
    /// A commit lies before an earlier one of its partition.
    WentBack { commit: Said, from: i64 },
    /// A commit of a pod that had given the partition back, or never had it.
    CommittedByStranger(Said),
    /// A delivery by a pod that had given the partition back, or never had it.
    DeliveredByStranger { pod: Pod, record: Place },
    /// A pod that lost the partition began more deliveries than it may have had under way.
    DeliveredLongAfterLoss {
        pod: Pod,
        partition: i32,
        count: usize,
    },
    /// A record began before the one before it, of its key or partition, was finished.
    Overtook { record: Place, before: Place },
    /// A pod had two records of a key, or of a partition, in the handler at once.
    Together {
        pod: Pod,
        record: Place,
        before: Place,
    },
    /// Delivered although the commit with which the partition was taken over covers it.
    RepeatedThoughCommitted { pod: Pod, record: Place },
    /// Delivered again by a pod that knew that it was handled.
    RepeatedByHolder { pod: Pod, record: Place },
    /// Handled by two pods, neither of which ever lost the partition.
    HeldTwice { pods: [Pod; 2], record: Place },
    /// An attempt that was said to be another than it was.
    Miscounted {
        pod: Pod,
        record: Place,
        said: u32,
        was: u32,
    },
    /// An attempt began so many microseconds before its wait was over.
    TooEarly {
        pod: Pod,
        record: Place,
        attempt: u32,
        by: Micros,
    },
    /// Dead-lettered by a pod whose partition's commit covered it when it was taken over.
    DeadLetteredThoughCommitted(Place),
}

/// A commit, in a breach.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub pod: Option<Pod>,
    pub partition: i32,
    pub offset: i64,
}

impl From<&Commit> for Said {
    fn from(commit: &Commit) -> Self {
        Self {
            pod: commit.pod,
            partition: commit.partition,
            offset: commit.offset,
        }
    }
}

impl Findings {
    /// Fails unless everything is finished and committed, nothing was breached, and repeats come
    /// from these causes alone.
    #[track_caller]
    pub fn assert_complete(&self, allowed: &[Cause]) {
        assert!(self.breaches.is_empty(), "{self}");
        assert_eq!(self.handled + self.dead_lettered, self.produced, "{self}");
        assert_eq!(self.uncommitted, 0, "{self}");
        for cause in self.repeated.keys() {
            assert!(allowed.contains(cause), "{cause:?} in {self}");
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} records, {} handled, {} dead-lettered, {} uncommitted, {} deliveries, {} commits, repeated {:?}, dead-lettered again {}, later attempts {:?}, {} breaches",
            self.produced,
            self.handled,
            self.dead_lettered,
            self.uncommitted,
            self.deliveries,
            self.commits,
            self.repeated,
            self.dead_lettered_again,
            self.later,
            self.breaches.len()
        )?;
        for breach in self.breaches.iter().take(10) {
            write!(f, "\n  {breach:?}")?;
        }
        Ok(())
    }
}
