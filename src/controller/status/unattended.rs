//! The status of a fleet that nobody looks after: one that cannot be read, or that is being deleted.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::{KafkaConsumerStatus, ScalingStatus};

/// `ready` alone, what stays true, and what others need: an autoscaler its selector, and who decides next what was
/// learned. What waits, and what was decided of it, is not known any more.
pub fn unattended(previous: KafkaConsumerStatus, ready: Condition) -> KafkaConsumerStatus {
    KafkaConsumerStatus {
        observed_generation: ready.observed_generation,
        selector: previous.selector,
        group_id: previous.group_id,
        partitions: previous.partitions,
        scaling: previous.scaling.map(|scaling| ScalingStatus {
            capacity_per_pod: scaling.capacity_per_pod,
            start_up_seconds: scaling.start_up_seconds,
            ..ScalingStatus::default()
        }),
        conditions: vec![ready],
        ..KafkaConsumerStatus::default()
    }
}
