//! The part of a `KafkaConsumer` that Drover writes.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// What Drover sees and does. Unknown numbers are absent, never zero. A part that cannot be read, because
/// another version or another hand wrote it, is absent too: it must not keep the spec from being read.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaConsumerStatus {
    /// The generation of the resource that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub observed_generation: Option<i64>,
    /// Pods that exist.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub replicas: Option<i32>,
    /// Pods that are ready.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub ready_replicas: Option<i32>,
    /// The label selector of the pods, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub selector: Option<String>,
    /// The consumer group.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub group_id: Option<String>,
    /// Records that are not committed yet, all partitions together.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub lag: Option<i64>,
    /// How long the oldest unfinished record has waited, such as `12s`; those that wait for a later attempt, as
    /// `spec.delivery.retry.then` has it, are left out.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub delay: Option<String>,
    /// Partitions of all topics together.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub partitions: Option<i32>,
    /// The last decision about the size, with its reasons.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub scaling: Option<ScalingStatus>,
    /// Records that nothing gets past, at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "readable")]
    pub stuck: Vec<StuckRecord>,
    /// What is well and what is not.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "readable")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// The last decision about the size, with its reasons.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ScalingStatus {
    /// Pods that Drover wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<i32>,
    /// When `wanted` last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub since: Option<Timestamp>,
    /// When what holds the size will have passed, if what is seen stays as it is: the last pod has stayed for as long as it
    /// should, pods that are not needed have cost enough, or the last change has had its time. A raise that the promise
    /// needs does not wait for it. Absent where nothing is waited for, or nobody knows for how long. Written with other
    /// news only, so a time that is past says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_at: Option<Timestamp>,
    /// Why, each step of the decision in words; the first one decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Records that arrive per second. Absent where it is not known, and of a fleet at rest until
    /// something arrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrival_per_second: Option<f64>,
    /// Records per second that one pod can do, measured. Kept over restarts and at zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_per_pod: Option<f64>,
    /// Seconds from ordering a pod to its first work, learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_up_seconds: Option<f64>,
    /// What the wanted size and the two next-best ones would come to if the load went on as it is;
    /// the wanted one first. Absent while there is nothing to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<SizeCost>,
}

/// What a size would come to if the load went on as it is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SizeCost {
    /// The size: pods in all.
    pub replicas: i32,
    /// Pods, waiting and the change of size together, as pod-seconds: the least is the best.
    pub cost: f64,
    /// The longest that a record would wait, such as `12s`.
    pub delay: String,
}

/// A record that nothing gets past.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StuckRecord {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt ended with. Never the record's content.
    pub error: String,
}

/// A value that can be read, or the default.
pub(super) fn readable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_part_that_cannot_be_read_is_absent_and_the_others_are_there() {
        let status: KafkaConsumerStatus = serde_json::from_value(json!({
            "replicas": 3,
            "lag": "many",
            "scaling": { "since": "yesterday" },
            "stuck": [{ "attempts": 5_000_000_000_u64 }],
            "conditions": 7,
            "ofAnotherVersion": true,
        }))
        .expect("it is read");
        let readable = KafkaConsumerStatus {
            replicas: Some(3),
            ..KafkaConsumerStatus::default()
        };
        assert_eq!(status, readable);
    }
}
