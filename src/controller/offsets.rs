//! The controller's view of Kafka: which fleets are watched, what is known of their offsets, and
//! whether a group has a place to begin.

use std::collections::BTreeMap;

use futures::Stream;
use jiff::Timestamp;

use super::context::Context;
use super::error::Error;
use super::fleets::{FleetKey, FleetMemory};
use super::workload::Workload;
use crate::api::KafkaConsumer;
use crate::fleet::{Fleet, Known};
use crate::scaling::{PartitionSample, PodSample, Sample};
use crate::topic::TopicPartition;

/// Placeholder.
#[derive(Default)]
pub struct Board;

/// What is known of a fleet's offsets at present.
#[derive(Debug, Default)]
pub struct Latest {
    /// The topics, as Kafka knows them.
    pub topics: BTreeMap<String, Known<u32>>,
    away: Option<String>,
    offsets: Option<Offsets>,
}

#[derive(Debug)]
struct Offsets {
    at: Timestamp,
    partitions: BTreeMap<TopicPartition, Option<PartitionSample>>,
    pods: BTreeMap<String, PodSample>,
}

impl Latest {
    /// Why offsets cannot be read at present; none while they can, or before anyone tried.
    pub fn away(&self) -> Option<&str> {
        self.away.as_deref()
    }

    /// Offsets cannot be read at present.
    pub fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// The newest offsets, together with what the cluster made of the fleet.
    pub fn sample(&self, workload: &Workload) -> Option<Sample> {
        let offsets = self.offsets.as_ref()?;
        Some(Sample {
            at: offsets.at,
            partitions: offsets.partitions.clone(),
            pods: offsets.pods.clone(),
            current: workload.size,
            ready: workload.ready,
            rolling: workload.rolling,
        })
    }
}

/// What is known at present.
pub fn latest(_context: &Context, _key: &FleetKey) -> Latest {
    Latest::default()
}

/// Watches the fleet's offsets from now on.
pub fn register(_context: &Context, _key: &FleetKey, _consumer: &KafkaConsumer, _fleet: &Fleet) {}

/// Watches the fleet's offsets no more.
pub fn forget(_context: &Context, _key: &FleetKey) {}

/// The fleets whose offsets were read just now.
pub fn wakes(_board: &Board) -> impl Stream<Item = FleetKey> + Send + 'static {
    futures::stream::pending()
}

/// Whether the group has a place to begin in every partition.
pub async fn ready(
    _context: &Context,
    _fleet: &Fleet,
    sample: Option<&Sample>,
    workload: &Workload,
    memory: &mut FleetMemory,
) -> Result<bool, Error> {
    let _ = sample;
    if workload.size > 0 {
        memory.offsets_ready = true;
    }
    Ok(memory.offsets_ready)
}
