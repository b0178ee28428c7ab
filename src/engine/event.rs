//! Everything that can happen to a consumer.

use std::time::Duration;

use super::effect::DeadLetterReason;
use super::{KeyHash, LaneId, Ticket};
use crate::report::Report;
use crate::topic::{Offset, TopicPartition};

/// Something that happened. `P` is a record's content, which the engine holds but never looks at.
#[derive(Debug)]
pub enum Event<P> {
    /// The group gave us these partitions, and the client was told to read them. Each starts a new
    /// epoch; one that was not given back yet is given up as if it were lost.
    Assigned(Vec<Assignment>),
    /// The group wants these partitions back; we still own them until [`super::Effect::GiveBack`].
    Revoked(Vec<TopicPartition>),
    /// These partitions are already someone else's: nothing can be committed for them. They are
    /// forgotten at once, without [`super::Effect::GiveBack`].
    Lost(Vec<TopicPartition>),
    /// A record was read. One that was read before, and before which nothing is unfinished, begins a
    /// new epoch with nothing known: the client was reset, as the log was cut or made anew. Any
    /// other that was read before is ignored.
    Record(Incoming<P>),
    /// A record was read that somebody gave up: it is finished, and never delivered.
    GivenUp {
        /// The partition's handle from [`Assignment`].
        lane: LaneId,
        /// Its offset.
        offset: Offset,
    },
    /// Reading has come to `next` although no record was there: transaction markers and compacted
    /// records do not exist and must not hold the frontier. Every record before `next` must have
    /// been sent as [`Event::Record`] already.
    Position {
        /// The partition.
        partition: TopicPartition,
        /// The next offset that reading would give.
        next: Offset,
    },
    /// A partition could not be read on.
    Barred(Barred),
    /// The handler answered, or did not.
    Finished {
        /// The delivery.
        ticket: Ticket,
        /// What became of it.
        verdict: Verdict,
        /// Time inside the handler.
        took: Duration,
        /// The record's content, back from [`super::Effect::Deliver`].
        payload: P,
    },
    /// The handler has done it, and the delivery goes on until that is marked in the idempotency
    /// store. If its partition must go before, it is finished all the same.
    Handled {
        /// The delivery.
        ticket: Ticket,
        /// What is in the way of the mark, to be reported.
        hindered: Option<Failure>,
    },
    /// The broker has, or has not, the copy in the dead-letter topic.
    DeadLettered {
        /// The delivery.
        ticket: Ticket,
        /// The broker's answer; the error in words.
        result: Result<(), String>,
        /// The record's content, back from [`super::Effect::DeadLetter`].
        payload: P,
    },
    /// A commit came back. One commit is under way at a time, so each must be answered, if need be
    /// with [`CommitFailure::Later`].
    Committed(Result<(), CommitFailure>),
    /// A commit came back and was taken, but for these partitions.
    CommittedInPart {
        /// The partitions, and why not.
        refused: Vec<(TopicPartition, Refused)>,
    },
    /// The dead-letter topic was looked at: what is wrong with it, in a word, for the reports.
    DeadLetterTopic(Option<&'static str>),
    /// The handler has not been reached for some seconds, for the reason given, or has again: for the reports.
    HandlerAway(Option<String>),
    /// What the group's commits say, of all its partitions: asked for while
    /// [`super::Engine::asks_others`].
    OthersReport(Vec<Report>),
    /// All topics together have so many partitions, whoever they are assigned to: what a rate limit is shared out by.
    Partitions(usize),
    /// A worker of this pod was killed while the handler had these records: one of them may be why, so that each is
    /// delivered with nothing beside it. To be told before anything is assigned.
    Suspects(Vec<(TopicPartition, Offset)>),
    /// The process did not run for so long that the group may have gone on without it. Nothing is
    /// begun until there was time to hear of that; what is taken away meanwhile comes as
    /// [`Event::Lost`].
    Slept,
    /// The wall clock was set, or the engine's own stood still: by the wall clock time zero is so long after 1970.
    ClockSet(Duration),
    /// Time passed; see [`super::Engine::next_deadline`].
    Tick,
    /// SIGTERM or SIGINT: finish, commit, give everything back, leave.
    Shutdown,
}

/// A partition that the group gave us.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The partition.
    pub partition: TopicPartition,
    /// Its handle for [`Incoming`], chosen by the caller; unused by any partition that is
    /// assigned at present.
    pub lane: LaneId,
    /// The report of its previous owner, if its committed offset carried one.
    pub left_behind: Option<Report>,
    /// The committed offset, if it is known.
    pub committed: Option<Offset>,
    /// Kafka's id of the topic that the committed offset is of, for reports.
    pub topic_id: Option<String>,
}

/// A partition that could not be read on. All that was read of it before must have been sent as
/// [`Event::Record`] already.
#[derive(Debug, Clone, PartialEq)]
pub struct Barred {
    /// The partition.
    pub partition: TopicPartition,
    /// What could not be read, if that is known.
    pub at: Option<Offset>,
    /// Why.
    pub failure: Failure,
    /// To read it again may help, which is asked for by [`super::Effect::Reread`]. Else it stays
    /// barred for as long as it is assigned.
    pub again: bool,
}

/// A record that was read.
#[derive(Debug)]
pub struct Incoming<P> {
    /// The partition's handle from [`Assignment`].
    pub lane: LaneId,
    /// Its offset.
    pub offset: Offset,
    /// The hash of its key; none where the record has no key.
    pub key: Option<KeyHash>,
    /// What it takes of the memory budget.
    pub bytes: usize,
    /// Its content.
    pub payload: P,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Handled.
    Done,
    /// The handler wants it passed over; counted apart.
    Skip,
    /// It failed and may succeed later: costs an attempt.
    Retry(Failure),
    /// It will never succeed.
    Reject(Failure),
    /// The handler asks for less: no attempt spent. `after` if it said how long.
    SlowDown {
        /// How long to wait, where the handler said so.
        after: Option<Duration>,
        /// In words, for the report.
        failure: Failure,
    },
    /// The handler is misconfigured (it redirects, say): nothing that is delivered can succeed;
    /// the record stalls whatever the policy.
    Misconfigured(Failure),
    /// It was handled before, as the idempotency store says: passed over, counted apart.
    Duplicate,
    /// It was not delivered, and is not its handler's fault: tried again after this time, no attempt
    /// spent.
    Postponed {
        /// How long to wait.
        after: Duration,
        /// What is in its way and holds it up, to be reported; None where it is only not its turn.
        failure: Option<Failure>,
        /// It is in the way of all: no other would fare better meanwhile.
        of_all: bool,
    },
    /// It cannot be given to the handler, and never will be: no attempt is spent.
    Undeliverable {
        /// Why it is dead-lettered.
        reason: DeadLetterReason,
        /// In words.
        failure: Failure,
    },
    /// It cannot be given to the handler yet, and others can: no attempt is spent; the record
    /// stalls whatever the policy.
    NotYet(Failure),
    /// We stopped it ourselves ([`super::Effect::Cancel`]) or did not begin it, or what was made of it is void, since a
    /// record before it in its run was not finished: neither finished nor an attempt.
    Cancelled,
}

impl Verdict {
    /// Why it failed, if it did.
    pub fn failure_mut(&mut self) -> Option<&mut Failure> {
        match self {
            Self::Retry(failure)
            | Self::Reject(failure)
            | Self::Misconfigured(failure)
            | Self::SlowDown { failure, .. }
            | Self::Undeliverable { failure, .. }
            | Self::NotYet(failure) => Some(failure),
            Self::Postponed { failure, .. } => failure.as_mut(),
            Self::Done | Self::Skip | Self::Duplicate | Self::Cancelled => None,
        }
    }
}

/// The class of a failure where the handler had the record and the connection to it broke before its answer.
pub const CONNECTION_BROKE: &str = "Connection";
/// The class of a failure where no connection to the handler could be made, so that it had nothing of the record.
pub const NOT_CONNECTED: &str = "Connect";

/// Why a delivery failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A few stable words for headers and metrics, such as `HttpStatus`, `Timeout`, `Connection`.
    pub class: &'static str,
    /// The status of an HTTP answer.
    pub status: Option<u16>,
    /// For people; at most 200 characters; never the record's content.
    pub message: String,
}

/// Why a commit failed, by what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitFailure {
    /// It was sent in a generation that was over when it arrived: say it again in the new one.
    Outdated(String),
    /// Try the same again soon: rebalance in progress, coordinator loading, time-out.
    Later(String),
    /// This generation is over; the group will tell us what we own.
    Dropped(String),
    /// Trying again cannot help: authorisation, metadata too large.
    Fatal(String),
}

/// Why the commit of one partition was not taken, while those of others were or had a reason of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Kafka does not know it: its topic was deleted, or made anew with fewer.
    Gone,
    /// The broker takes no report as large as that (`offset.metadata.max.bytes`).
    TooLarge,
    /// For a reason that a whole commit may have, too.
    Failed(CommitFailure),
}

impl CommitFailure {
    /// What it ended with.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Outdated(words)
            | Self::Later(words)
            | Self::Dropped(words)
            | Self::Fatal(words) => words,
        }
    }
}
