//! Reads what waits in Kafka, for all fleets of a controller.
//!
//! One task and one client for each Kafka cluster, whatever the number of fleets: end offsets of
//! all topics in one batch, commits of all groups side by side. A fleet at rest costs a slot in a
//! batch, and the first record that arrives for it wakes it: one client waits at the ends of all
//! partitions in which nothing is expected. What was read last is kept for whoever asks; a failure is kept as a failure, with its
//! beginning: no data is not zero. Decides nothing: that is `scaling`'s work.

mod ages;
mod assemble;
mod beginnings;
mod cluster;
mod dead_letters;
mod fleet;
mod gaps;
mod groups;
mod journal;
mod reader;
mod round;
mod sleepers;
mod start;
mod task;
mod trials;
mod uncommitted;
mod wakes;

pub use crate::kafka::admin::Error;
pub use crate::kafka::dead_letter_topic;
pub use journal::Journal;
pub use reader::{LagReader, Numbers};
pub use start::{Start, initial_offsets};
pub use wakes::Wakes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::kafka::admin::Member;
use crate::kafka::security::Security;
use crate::scaling::{PartitionSample, PodSample, PodStart, Sample};
use crate::topic::ByPartition;

/// A Kafka cluster as a client sees it. Fleets with equal ones share a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// Brokers to begin with.
    pub bootstrap_servers: String,
    /// librdkafka properties.
    pub properties: BTreeMap<String, String>,
    /// Encryption and authentication.
    pub security: Security,
}

/// What a fleet wants read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Where.
    pub source: Source,
    /// Its topics.
    pub topics: Vec<String>,
    /// Its consumer group.
    pub group_id: String,
    /// Where its records go that cannot be handled, if they do.
    pub dead_letter_topic: Option<String>,
    /// Its pods do not report: which partitions each has is to be asked of Kafka.
    pub own_consumer: bool,
}

/// How often a fleet is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// At once again: a burst has begun, and how large it is decides how many pods it gets.
    Quick,
    /// Often: the promise is near its end.
    Close,
    /// It is at zero and nothing waits: what arrives wakes it. As long as that cannot be relied
    /// upon it is read often.
    Asleep,
    /// As usual.
    #[default]
    Usual,
}

impl Pace {
    /// Time from one reading to the next.
    pub fn period(self) -> Duration {
        match self {
            Self::Quick => Duration::from_millis(50),
            Self::Close | Self::Asleep => Duration::from_millis(500),
            Self::Usual => Duration::from_millis(1500),
        }
    }
}

/// What is known of a fleet's offsets at present.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latest {
    /// The topics, as Kafka knows them; one that nobody has asked about yet is not there.
    pub topics: BTreeMap<String, TopicState>,
    /// The newest offsets, however old: see [`Offsets::at`].
    pub offsets: Option<Arc<Offsets>>,
    /// The dead-letter topic, if there is one and Kafka was asked about it.
    pub dead_letter: Option<dead_letter_topic::Facts>,
    /// Why the last reading failed; none after one that did not, and before the first.
    pub failure: Option<Failure>,
    /// Its brokers are asked in a moment, after others: the process before this one died when it began to ask several.
    pub waits: bool,
}

/// A topic, as Kafka knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicState {
    /// It exists, with so many partitions.
    Exists(u32),
    /// It does not exist.
    Missing,
    /// Kafka does not say, for this reason.
    Unknown(Error),
}

/// Offsets and reports of a fleet, read together.
#[derive(Clone, Debug, PartialEq)]
pub struct Offsets {
    /// When.
    pub at: Timestamp,
    /// Every partition of the fleet's topics; none for what could not be read. Where pods do not report, a pod's name is
    /// the address by which the broker knows it.
    pub partitions: ByPartition<Option<PartitionSample>>,
    /// What the workers reported, by pod.
    pub pods: BTreeMap<String, PodSample>,
    /// What a worker reported to be wrong with the dead-letter topic, in a word.
    pub dead_letter: Option<String>,
    /// Why a worker does not reach its handler, as it reported.
    pub handler: Option<String>,
    /// When the oldest record came that waits and was there before the fleet was read, as it says itself; none where there
    /// is none, or it is not known.
    pub oldest: Option<Timestamp>,
    /// Partitions whose offset moves without reports, as other programs' commits do.
    pub foreign: usize,
    /// The group's members when the broker last said them; none where it never did.
    pub members: Option<Arc<[Member]>>,
    /// The group had offsets and has none any more.
    pub forgotten: bool,
}

impl Offsets {
    /// As a sample, with the size of the fleet.
    pub fn sample(
        &self,
        starts: Vec<PodStart>,
        current: u32,
        ready: u32,
        rolling: bool,
        held_up: bool,
    ) -> Sample {
        Sample {
            at: self.at,
            partitions: self.partitions.clone(),
            pods: self.pods.clone(),
            starts,
            current,
            ready,
            rolling,
            held_up,
        }
    }

    /// Whether a planner could tell it from `other`: everything but the time.
    fn differs(&self, other: &Self) -> bool {
        self.partitions != other.partitions
            || self.pods != other.pods
            || self.dead_letter != other.dead_letter
            || self.handler != other.handler
            || self.forgotten != other.forgotten
            || self.oldest != other.oldest
            || self.foreign != other.foreign
            || self.members != other.members
    }
}

/// Why offsets cannot be read, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Since when every reading has failed.
    pub since: Timestamp,
    /// The last one's reason.
    pub error: Error,
}
