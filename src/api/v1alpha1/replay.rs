//! A replay of dead letters as an object: what users write of it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::replay_status::DeadLetterReplayStatus;
use crate::api::{Moment, Offsets, Span, text};

/// What is replayed, and how. It is carried out once and cannot change; the fields are those of
/// `drover dlq replay`.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "drover.dev",
    version = "v1alpha1",
    kind = "DeadLetterReplay",
    plural = "deadletterreplays",
    doc = "A replay of a KafkaConsumer's dead letters, carried out once by a Job.",
    shortname = "dlr",
    validation = ("self.metadata.name.size() <= 57",
        "metadata.name is longer than 57 characters: the names of the Job's pods are made from it; choose a shorter name"),
    category = "drover",
    namespaced,
    status = "DeadLetterReplayStatus",
    derive = "PartialEq",
    printcolumn(name = "Consumer", type_ = "string", json_path = ".spec.consumerRef.name"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Replayed", type_ = "integer", json_path = ".status.replayed"),
    printcolumn(name = "Again", type_ = "integer", json_path = ".status.failedAgain",
        description = "Those that are dead letters again"),
    printcolumn(name = "Reason", type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Complete")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self == oldSelf",
        "spec cannot change: a replay is carried out once; create another DeadLetterReplay"),
    validation = ("!has(self.to) || !has(self.toSource) || !self.toSource",
        "spec.to and spec.toSource exclude each other; remove one of them"),
    // Of a whole number the API server compares the schema's minimum cut to a whole one.
    validation = ("!has(self.rate) || self.rate >= 0.001",
        "spec.rate is less than 0.001 records a second; raise it, or leave it out for no limit")
)]
pub struct DeadLetterReplaySpec {
    /// The KafkaConsumer whose dead letters these are.
    pub consumer_ref: ConsumerRef,

    /// Which dead letters. Default: all. What is given together must hold together.
    #[serde(default, skip_serializing_if = "LetterFilter::is_all")]
    pub filter: LetterFilter,

    /// The topic that all of them go to. Default: the KafkaConsumer's
    /// `delivery.deadLetter.retryTopic`, or without one the topic that each came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::topic")]
    pub to: Option<String>,

    /// Back to the topic that each came from, also where the KafkaConsumer has a retry topic.
    #[serde(default)]
    pub to_source: bool,

    /// Records a second at most. Default: as many as the brokers take. Handlers fail later than
    /// records are sent, so only with a rate does `stopAt` stop early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub rate: Option<f64>,

    /// Only count what would be replayed, by reason, origin, status and time.
    #[serde(default)]
    pub dry_run: bool,

    /// Leave out what was replayed so often already. Default 3.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_replays: u32,

    /// Stop when so many in a hundred of those that were replayed are dead letters again (20 at
    /// least). Default 50.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 100))]
    pub stop_at: u32,

    /// After the last one, look for so long what becomes a dead letter again. Default `0s`.
    #[serde(default = "nothing")]
    pub settle: Span,

    /// Have records handled again that were handled: sets the header that the KafkaConsumer names
    /// in `spec.idempotency.redriveHeader`.
    #[serde(default)]
    pub bypass_idempotency: bool,
}

fn three() -> u32 {
    3
}

fn fifty() -> u32 {
    50
}

fn nothing() -> Span {
    Span::millis(0)
}

/// A KafkaConsumer of the same namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerRef {
    /// Its name.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
}

/// Which dead letters. What is given together must hold together.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    { "rule": "!has(self.since) || !has(self.until) || self.since.matches('^[0-9]{4}-') != self.until.matches('^[0-9]{4}-') || (self.since.matches('^[0-9]{4}-') ? timestamp(self.since) < timestamp(self.until) : duration(self.since) > duration(self.until))", "message": "spec.filter.until is not after spec.filter.since, so no dead letter is meant; correct one of them" }
]))]
pub struct LetterFilter {
    /// Of one of these reasons, such as `Rejected`, or another tool's class of error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::short_texts")]
    pub reasons: Vec<String>,
    /// That failed at this time or later: `2h` (before this object was created), or
    /// `2026-11-01T06:00:00Z`. Where no header says it, the record's own time counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// That failed before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// With this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub key: Option<String>,
    /// In this partition of the dead-letter topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub partition: Option<i32>,
    /// With these offsets in the dead-letter topic: `100..200` (without 200), `100..`, `..200`, or
    /// `100` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets: Option<Offsets>,
    /// With each of these headers: `NAME`, or `NAME=VALUE`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::short_texts")]
    pub headers: Vec<String>,
    /// That came from one of these topics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::short_texts")]
    pub origin_topics: Vec<String>,
}

impl LetterFilter {
    /// Whether it lets everything through.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}
