//! A record that the engine holds.

use std::num::NonZeroU64;
use std::time::Duration;

use super::effect::DeadLetterReason;
use super::event::{Failure, Incoming};
use super::slab::Handle;
use super::{KeyHash, LaneId};
use crate::topic::Offset;

#[derive(Debug)]
pub(super) struct Record<P> {
    pub lane: LaneId,
    pub offset: Offset,
    pub key: Option<KeyHash>,
    pub bytes: usize,
    /// Not here while the handler or the producer has it.
    pub payload: Option<P>,
    pub state: State,
    /// The handler has done it; its delivery goes on for other reasons.
    pub handled: bool,
    /// Failed attempts. Neither cancelling nor being asked for less is a failure.
    pub attempts: u32,
    /// How often the handler asked for less since it last failed.
    pub slow_downs: u32,
    /// Records that had gone well, of any, when the handler last would not have this one; none before that.
    pub unwanted_at: Option<NonZeroU64>,
    /// The number of its last delivery.
    pub delivery: u64,
    /// The places of records that this took where it was not the first: see `choice`.
    pub again: usize,
    pub read_at: Duration,
    /// The next record of its key.
    pub follower: Option<Handle>,
    /// Only for the few that failed, so that the many stay small.
    pub trouble: Option<Box<Trouble>>,
}

/// What a record waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A record before it that is not finished.
    Following,
    /// Its turn.
    Ready,
    /// Its turn to be delivered with nothing beside it.
    Suspected,
    /// The handler.
    InFlight,
    /// The handler, which was told to stop.
    Cancelled,
    /// The end of its back-off.
    BackingOff,
    /// The broker's word on its copy in the dead-letter topic.
    DeadLettering,
}

#[derive(Debug)]
pub(super) struct Trouble {
    /// What the last attempt ended with.
    pub failure: Failure,
    /// It is to be dead-lettered, not delivered.
    pub dead_letter: Option<DeadLetterReason>,
    /// How often that failed.
    pub dead_letter_failures: u32,
}

impl<P> Record<P> {
    pub(super) fn new(incoming: Incoming<P>, now: Duration) -> Self {
        Self {
            lane: incoming.lane,
            offset: incoming.offset,
            key: incoming.key,
            bytes: incoming.bytes,
            payload: Some(incoming.payload),
            state: State::Ready,
            handled: false,
            attempts: 0,
            slow_downs: 0,
            unwanted_at: None,
            delivery: 0,
            again: 0,
            read_at: now,
            follower: None,
            trouble: None,
        }
    }

    /// It was delivered before, here or by whoever had it.
    pub(super) fn was_tried(&self) -> bool {
        self.delivery > 0 || self.attempts > 0
    }

    /// Someone else works on it: the handler, or the producer of dead letters.
    pub(super) fn is_out(&self) -> bool {
        matches!(
            self.state,
            State::InFlight | State::Cancelled | State::DeadLettering
        )
    }
}
