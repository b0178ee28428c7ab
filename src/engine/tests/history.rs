//! What happened between a world and the engine, in its order: what laws are about.

use std::time::Duration;

use crate::engine::{DeadLetterReason, Settings, Ticket, Totals};
use crate::report::Report;

/// A partition's number; none where a handle is of no partition that is assigned.
pub(super) type Partition = Option<i32>;

#[derive(Debug, Clone)]
pub(super) enum Fact {
    Assigned {
        partition: i32,
        committed: Option<i64>,
        left: Option<Report>,
    },
    Revoked {
        partition: i32,
    },
    Lost {
        partition: i32,
    },
    GivenBack {
        partition: i32,
    },
    Read {
        partition: i32,
        offset: i64,
        key: Option<u64>,
        bytes: usize,
    },
    /// A record was read that somebody gave up.
    GivenUp {
        partition: i32,
        offset: i64,
    },
    /// The engine passed it over.
    PassedOver,
    Position {
        partition: i32,
        next: i64,
    },
    /// The record at this offset could not be read.
    Barred {
        partition: i32,
        offset: i64,
    },
    /// The engine says that it waits for what could not be read.
    Unread,
    /// The engine wants it read again.
    Reread {
        partition: i32,
        from: i64,
    },
    Delivered {
        partition: Partition,
        ticket: Ticket,
        attempt: u32,
        follows: bool,
    },
    /// The handler's answer; to a delivery of this ticket that was open, or made up.
    Answered {
        partition: Partition,
        ticket: Ticket,
        answer: Answer,
        genuine: bool,
    },
    LetterAsked {
        partition: Partition,
        ticket: Ticket,
        reason: DeadLetterReason,
        attempts: u32,
    },
    LetterAnswered {
        partition: Partition,
        ticket: Ticket,
        taken: bool,
        genuine: bool,
    },
    Cancelled,
    Skipped {
        partition: i32,
        offset: i64,
        by_policy: bool,
    },
    Stalled {
        partition: i32,
        offset: i64,
        attempts: u32,
    },
    Unstalled,
    BreakerOpened,
    BreakerClosed,
    CommitAsked {
        partition: i32,
        offset: i64,
        report: Report,
    },
    /// The engine was told that of these partitions it was taken.
    CommitAnswered {
        taken: Vec<i32>,
    },
    /// The broker took a commit, which says so often of each suspect that it had a worker killed.
    Stored {
        partition: i32,
        suspects: Vec<(i64, u32)>,
    },
    Paused {
        partition: i32,
    },
    Resumed {
        partition: i32,
    },
    Ticked,
    /// The worker was killed, and another began with what the handler had as suspects.
    Crashed {
        with: Vec<(i32, i64)>,
    },
    Slept,
    Shutdown,
    Stopped,
    /// How the engine says it is, after each event.
    Seen(Seen),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Skip,
    Retry,
    Reject,
    SlowDown,
    Misconfigured,
    Duplicate,
    /// It was not its turn.
    Postponed,
    /// The store was away.
    HeldUp,
    Undeliverable,
    NotYet,
    Cancelled,
}

impl Answer {
    /// It says nothing of the record, which waits.
    pub(super) fn was_not_tried(self) -> bool {
        matches!(
            self,
            Self::SlowDown | Self::Postponed | Self::HeldUp | Self::Cancelled
        )
    }
}

#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub held_bytes: usize,
    pub in_flight: usize,
    pub totals: Totals,
    pub lanes: Vec<SeenLane>,
}

#[derive(Debug, Clone)]
pub(super) struct SeenLane {
    pub partition: i32,
    pub frontier: Option<i64>,
    pub unfinished: usize,
}

#[derive(Debug)]
pub(super) struct History {
    pub settings: Settings,
    pub facts: Vec<(Duration, Fact)>,
}
