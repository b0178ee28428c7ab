//! Everything the engine may ask for.

use super::Ticket;
use super::event::Failure;
use crate::report::{Report, WORKER_KILLED};
use crate::topic::{Offset, TopicPartition};

/// Something to do. Effects are carried out in the order in which they come.
#[derive(Debug)]
pub enum Effect<P> {
    /// Give the record to the handler; answer with [`super::Event::Finished`].
    Deliver {
        /// To be given back with the answer.
        ticket: Ticket,
        /// 1 for the first attempt.
        attempt: u32,
        /// It goes into one batch with the delivery before, right after it: only with
        /// [`super::Run`]s of more than one.
        follows: bool,
        /// The record's content.
        payload: P,
    },
    /// Stop a delivery that overran the drain deadline, or whose partition was lost; answer with `Finished` and
    /// [`super::Verdict::Cancelled`] unless it has answered in the meantime.
    Cancel(Ticket),
    /// Copy the record to the dead-letter topic; answer with [`super::Event::DeadLettered`].
    DeadLetter {
        /// To be given back with the answer.
        ticket: Ticket,
        /// Why.
        reason: DeadLetterReason,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt ended with.
        failure: Failure,
        /// The record's content.
        payload: P,
    },
    /// Commit these frontiers, each with its report as metadata; answer with
    /// [`super::Event::Committed`].
    Commit(Vec<FrontierCommit>),
    /// Read no further from these partitions, but go on polling. Alternates with `Resume`, which
    /// may come first: each assignment begins with one of them, as a client may bring a partition
    /// back as it was left.
    Pause(Vec<TopicPartition>),
    /// Read on.
    Resume(Vec<TopicPartition>),
    /// Read this partition again from `from` on; what was read ahead of it is dropped. A `Resume`
    /// follows, now or later. If it cannot be done: [`super::Event::Barred`].
    Reread {
        /// The partition.
        partition: TopicPartition,
        /// The next offset to read.
        from: Offset,
    },
    /// Unassign these partitions now: they are drained and committed, or the deadline has passed.
    /// What was revoked together comes together; what was never ours comes at once.
    GiveBack(Vec<TopicPartition>),
    /// Partitions go without their last commit, so whoever takes them over repeats these records.
    /// Their `GiveBack` follows.
    Uncommitted {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// What was finished in them since the last commit that was taken.
        records: u64,
        /// What the commit ended with.
        why: String,
    },
    /// A record was passed over by the user's policy, or by the handler's wish.
    Skipped {
        /// The partition.
        partition: TopicPartition,
        /// The record.
        offset: Offset,
        /// None where the handler wished it.
        failure: Option<Failure>,
    },
    /// A record that somebody gave up was passed over.
    GivenUp {
        /// The partition.
        partition: TopicPartition,
        /// The record.
        offset: Offset,
    },
    /// A record became stuck, or another attempt on it failed: to handle it, to dead-letter it or
    /// to read it.
    Stalled {
        /// The partition.
        partition: TopicPartition,
        /// The record.
        offset: Offset,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt ended with.
        failure: Failure,
    },
    /// Dead-lettering stopped: too many records would be. They are tried one at a time.
    BreakerOpened {
        /// So many would be dead-lettered.
        bad: u32,
        /// Of so many.
        of: u32,
        /// What the last of them ended with.
        failure: Failure,
    },
    /// The handler takes records again; what fails from now on is dead-lettered.
    BreakerClosed,
    /// A stuck record is finished. Not sent for partitions that go: [`super::Engine::stalled`] is
    /// what is stuck now.
    Unstalled {
        /// The partition.
        partition: TopicPartition,
        /// The record.
        offset: Offset,
    },
    /// Everything is given back after [`super::Event::Shutdown`]: leave the group and exit.
    Stopped,
}

/// A frontier to commit.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontierCommit {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to read.
    pub offset: Offset,
    /// What to write into the metadata.
    pub report: Report,
    /// In so many bytes.
    pub most_bytes: usize,
}

/// Why a record is dead-lettered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterReason {
    /// All attempts failed.
    AttemptsExhausted,
    /// The handler said that it will never succeed.
    Rejected,
    /// It could not be decrypted, so that no handler was given it.
    DecryptionFailed,
    /// It is no JSON, which was asked for, so that no handler was given it.
    NotJson,
    /// The worker was killed each time that the handler had this record and no other.
    WorkerKilled,
}

impl DeadLetterReason {
    /// As headers and reports have it; stable.
    pub fn word(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => "AttemptsExhausted",
            Self::Rejected => "Rejected",
            Self::DecryptionFailed => "DecryptionFailed",
            Self::NotJson => "NotJson",
            Self::WorkerKilled => WORKER_KILLED,
        }
    }
}
