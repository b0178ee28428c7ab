//! What Drover says of a replay.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::readable;

/// What has become of it. Unknown numbers are absent, never zero.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct DeadLetterReplayStatus {
    /// The generation of the resource that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub observed_generation: Option<i64>,
    /// `Pending` (it cannot begin), `Running`, `Complete`, `Stopped` (too many failed again) or
    /// `Failed` (given up, or some could not be replayed). The last three are final.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub phase: Option<ReplayPhase>,
    /// When its Job was made.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub finished_at: Option<Timestamp>,
    /// Pods that were at it, one after the other: each goes on where the one before it was.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub attempts: Option<u32>,
    /// What the header `drover-redrive-id` of the replayed records says.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub id: Option<String>,
    /// The topic that all of them go to; absent where each goes to where it came from.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub to: Option<String>,
    /// Dead letters that were replayed, by all attempts that left a report.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub replayed: Option<u64>,
    /// Those of them that are dead letters again.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub failed_again: Option<u64>,
    /// Dead letters that the last attempt left out.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub left_out: Option<LeftOut>,
    /// What would be replayed, with `spec.dryRun`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub would_replay: Option<WouldReplay>,
    /// `Complete`: whether all was dealt with, and if not, why. `Failed`: it has ended (`Stopped` or
    /// `Failed`) without that.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "readable")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How far a replay is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayPhase {
    /// It cannot begin; the condition says why.
    Pending,
    /// A Job is at it.
    Running,
    /// All was dealt with.
    Complete,
    /// Too many of those that were replayed are dead letters again.
    Stopped,
    /// It was given up, or some were refused or deleted before their turn; the condition says why.
    Failed,
}

impl ReplayPhase {
    /// Nothing comes after it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Stopped | Self::Failed)
    }
}

/// Dead letters that were left out.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct LeftOut {
    /// For they were replayed before.
    pub replayed_before: u64,
    /// For they were replayed `spec.maxReplays` times.
    pub replayed_too_often: u64,
    /// For they do not say where they came from.
    pub without_origin: u64,
    /// For the filter does not mean them, of those that were read.
    pub not_meant: u64,
    /// For another consumer gave them up, which has the same dead-letter topic.
    pub of_other_consumers: u64,
    /// For the topic that they go to does not take them, as when they are too large for it. They stay, and the next
    /// replay tries them again.
    pub refused: u64,
    /// Offsets that were deleted, by retention or by somebody, before their turn came.
    pub deleted: u64,
}

/// Dead letters, counted. Of each kind of count the most frequent are here, the others are counted together.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct WouldReplay {
    /// All of them.
    pub total: u64,
    /// By reason.
    pub reasons: BTreeMap<String, u64>,
    /// By topic and partition that they came from.
    pub origins: BTreeMap<String, u64>,
    /// By the handler's status.
    pub statuses: BTreeMap<String, u64>,
    /// By the time that they failed at: the beginning of each span.
    pub times: BTreeMap<String, u64>,
}
