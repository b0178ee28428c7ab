//! For whoever looks on while a worker works, such as `drover dev`: what happens to each record.
//!
//! Without an onlooker nothing here costs anything.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::consume::Loop;
use super::record::Record;
use crate::engine::{DeadLetterReason, Failure, Verdict};
use crate::topic::{Offset, TopicPartition};

/// Something that an onlooker sees.
#[derive(Debug)]
pub enum Sight<'a> {
    /// The group gave these partitions, and reading begins.
    Assigned(&'a [TopicPartition]),
    /// These partitions went back to the group.
    GivenBack(&'a [TopicPartition]),
    /// A record is given to the handler.
    Delivering {
        /// As it was read: an encrypted one still is.
        record: &'a Record,
        /// 1 for the first.
        attempt: u32,
    },
    /// The handler answered, or did not.
    Answered {
        /// The partition.
        partition: &'a TopicPartition,
        /// The record.
        offset: Offset,
        /// What it means.
        verdict: &'a Verdict,
        /// Time with the handler.
        took: Duration,
        /// When it is tried again, if it waits for that.
        again_in: Option<Duration>,
    },
    /// A record goes to the dead-letter topic.
    DeadLettering {
        /// The record.
        record: &'a Record,
        /// Why.
        reason: DeadLetterReason,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt ended with.
        failure: &'a Failure,
    },
    /// The brokers have its copy, or refused it.
    DeadLettered {
        /// The record.
        record: &'a Record,
        /// The brokers' answer.
        result: &'a Result<(), String>,
    },
    /// A record was passed over after its last attempt, as the policy wants.
    PassedOver {
        /// The partition.
        partition: &'a TopicPartition,
        /// The record.
        offset: Offset,
        /// What the last attempt ended with.
        failure: &'a Failure,
    },
    /// What must wait for this record waits.
    Stalled {
        /// The partition.
        partition: &'a TopicPartition,
        /// The record.
        offset: Offset,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt ended with.
        failure: &'a Failure,
    },
    /// It no longer does.
    Unstalled {
        /// The partition.
        partition: &'a TopicPartition,
        /// The record.
        offset: Offset,
    },
    /// Too many records would be dead-lettered: none is for now.
    BreakerOpened {
        /// So many would be.
        bad: u32,
        /// Of so many.
        of: u32,
        /// What the last of them ended with.
        failure: &'a Failure,
    },
    /// Records are dead-lettered again.
    BreakerClosed,
}

/// Who is told of every [`Sight`], in the worker's own thread: it must not take long.
#[derive(Clone)]
pub struct Onlooker(Arc<dyn Fn(&Sight<'_>) + Send + Sync>);

impl Onlooker {
    /// Tells `see`.
    pub fn new(see: impl Fn(&Sight<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }
}

impl fmt::Debug for Onlooker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Onlooker")
    }
}

impl Loop {
    /// Shows it to the onlooker, if there is one.
    pub fn show(&self, sight: &Sight<'_>) {
        if let Some(Onlooker(see)) = &self.onlooker {
            see(sight);
        }
    }
}
