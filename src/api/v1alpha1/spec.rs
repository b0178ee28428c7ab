//! The part of a `KafkaConsumer` that users write.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::encryption::Encryption;
use super::handler::Handler;
use super::idempotency::Idempotency;
use super::kafka::Kafka;
use super::schedule::Peak;
use super::start_at::StartAt;
use super::status::KafkaConsumerStatus;
use crate::api::{Span, text};

/// What you want: where Kafka is, which topics, which handler. Everything else has a default.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "drover.dev",
    version = "v1alpha1",
    kind = "KafkaConsumer",
    plural = "kafkaconsumers",
    doc = "A fleet of Kafka consumers: records of topics, delivered to your code by as many pods as the promised delay needs.",
    shortname = "kc",
    validation = ("self.metadata.name.size() <= 46",
        "metadata.name is longer than 46 characters: the names of pods are made from it and would lose their ends; choose a shorter name"),
    category = "all",
    category = "drover",
    namespaced,
    status = "KafkaConsumerStatus",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(
        name = "Wanted",
        type_ = "integer",
        json_path = ".status.scaling.wanted"
    ),
    printcolumn(name = "Lag", type_ = "integer", json_path = ".status.lag"),
    printcolumn(name = "Delay", type_ = "string", json_path = ".status.delay"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.groupId) == has(oldSelf.groupId) && (!has(self.groupId) || self.groupId == oldSelf.groupId)",
        "spec.groupId cannot change: offsets belong to the group; create another KafkaConsumer"),
    validation = ("!has(self.handler.consumer) || !has(self.delivery)",
        "spec.delivery is not for handler.consumer: your own consumer delivers; remove spec.delivery"),
    validation = ("!has(self.handler.consumer) || !has(self.idempotency)",
        "spec.idempotency is not for handler.consumer: your own consumer delivers; remove spec.idempotency"),
    validation = ("!has(self.handler.consumer) || !has(self.encryption)",
        "spec.encryption is not for handler.consumer: your own consumer reads the records; remove spec.encryption"),
    validation = ("!has(self.encryption) || self.encryption.activeRecord.onUnknownKey != 'DeadLetter' || (has(self.delivery) && has(self.delivery.deadLetter) && (!has(self.delivery.onExhausted) || self.delivery.onExhausted == 'DeadLetter'))",
        "spec.encryption.activeRecord.onUnknownKey is DeadLetter but nothing is dead-lettered; name spec.delivery.deadLetter.topic and leave spec.delivery.onExhausted at DeadLetter, or choose Stall"),
    validation = ("!has(self.handler.consumer) || has(self.template)",
        "spec.template is missing: handler.consumer runs the containers of spec.template; name one with its image"),
    validation = ("!has(self.handler.exec) || has(self.template)",
        "spec.template is missing: handler.exec runs its command in the image of the template's container named worker; add that container with its image"),
    validation = ("!has(self.handler.exec) || !has(self.handler.exec.processes) || self.handler.exec.processes <= (has(self.delivery) && has(self.delivery.concurrency) ? self.delivery.concurrency : 16)",
        "spec.handler.exec.processes is greater than spec.delivery.concurrency, so some would never have work; lower the first or raise the second"),
    validation = ("!has(self.handler.http) || !has(self.handler.http.socket) || has(self.template)",
        "spec.template is missing: handler.http.socket is a socket of a container of spec.template; add that container, or use handler.http.url"),
    validation = ("!has(self.handler.http) || !has(self.handler.http.port) || has(self.template)",
        "spec.template is missing: handler.http.port is a port of a container of spec.template; add that container, or use handler.http.url"),
    validation = ("!has(self.delivery) || !has(self.delivery.deadLetter) || !(self.delivery.deadLetter.topic in self.topics)",
        "spec.delivery.deadLetter.topic is one of spec.topics: its dead letters would be delivered again; name another topic"),
    validation = ("!has(self.delivery) || !has(self.delivery.deadLetter) || !has(self.delivery.deadLetter.retryTopic) || !(self.delivery.deadLetter.retryTopic in self.topics)",
        "spec.delivery.deadLetter.retryTopic is one of spec.topics, which others may read as well; name a topic of its own"),
    validation = ("!has(self.handler.http) || !has(self.handler.http.format) || self.handler.http.format != 'CloudEvents' || !has(self.delivery) || !has(self.delivery.batch) || !has(self.delivery.batch.maxRecords) || self.delivery.batch.maxRecords == 1",
        "spec.handler.http.format is CloudEvents, which has one event in each request; use CloudEventsStructured for batches, or set spec.delivery.batch.maxRecords to 1")
)]
pub struct KafkaConsumerSpec {
    /// Where Kafka is.
    pub kafka: Kafka,

    /// The topics to consume, at least one. They must exist; Drover never creates or deletes them.
    #[schemars(schema_with = "text::topics")]
    pub topics: Vec<String>,

    /// The consumer group. Default `<namespace>.<name>`. It cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::group_id")]
    pub group_id: Option<String>,

    /// Where a group without committed offsets begins: `Earliest`, `Latest` (from the moment the
    /// resource is first seen), or a time such as `2026-11-01T06:00:00Z`. Drover writes the
    /// group's first offsets itself, so that lag is defined before the first pod is. A group that
    /// has committed offsets goes on from them. The same holds where brokers or group are changed, and of a
    /// topic that is added while no pods run; one that is added while pods run is read from its oldest record.
    #[serde(default)]
    pub start_at: StartAt,

    /// Your code: exactly one of `http`, `exec` and `consumer`.
    pub handler: Handler,

    /// How records are given to the handler, and what happens when it fails. Not for
    /// `handler.consumer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,

    /// How a record that was handled is known again, so that it is not handled twice when Kafka
    /// brings it twice. Default: not at all. Not for `handler.consumer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    /// How records' values are encrypted. Default: they are not. Not for `handler.consumer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,

    /// How many pods: the promised delay and the bounds.
    #[serde(default)]
    pub scaling: Scaling,

    /// The number of pods in `scaling.mode: Manual` and `External`; what `kubectl scale kc/NAME` sets,
    /// and an autoscaler. In other modes it is not used, and status says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub replicas: Option<u32>,

    /// Stops the fleet: pods finish what they hold, commit and go. Offsets stay.
    #[serde(default)]
    pub paused: bool,

    /// A pod template, merged into the one that Drover makes. The container named `worker` is
    /// Drover's own: what is written for it (resources, env) is added to it; with `handler.exec` it has
    /// your image. Any other container
    /// runs beside it; with `handler.consumer` the containers here are the whole pod. Labels and annotations are
    /// added too, but the labels by which Drover finds its pods are Drover's, whatever is written here:
    /// `drover.dev/consumer`, `app.kubernetes.io/managed-by` and, without `handler.consumer`, `app.kubernetes.io/name`.
    /// Without `serviceAccountName` the pods have an account of the fleet's own, without a token; not `default`. One that is
    /// named must exist: Drover makes none then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub template: Option<PodTemplateSpec>,
}

/// How records are given to the handler, and what happens when it fails.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    { "rule": "!has(self.batch) || !has(self.batch.maxRecords) || self.batch.maxRecords == 1 || !has(self.retry) || !has(self.retry.attempts) || self.retry.attempts > 1", "message": "spec.delivery.retry.attempts is 1, but a batch that fails says nothing of each of its records, which then need a second attempt alone; raise it, or set batch.maxRecords to 1" },
    { "rule": "!has(self.onExhausted) || self.onExhausted != 'DeadLetter' || has(self.deadLetter)", "message": "spec.delivery.onExhausted is DeadLetter but spec.delivery.deadLetter.topic is not set; name a topic, or choose Stall or Skip" }
]))]
pub struct Delivery {
    /// Which records wait for each other. Default `Key`.
    pub ordering: Ordering,

    /// Deliveries in flight in one pod at most, each of one record or one batch. With `handler.exec`
    /// there are no more than processes. Default 16.
    #[schemars(range(min = 1, max = 1000))]
    pub concurrency: u32,

    /// Records that are delivered together. Default: each alone.
    pub batch: Batch,

    /// What all pods together may deliver within a time, for a handler behind which something allows no more. Default:
    /// as much as they can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,

    /// What a value has to be before the handler is given it. Default: anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode: Option<Decode>,

    /// How often and when a failed record is tried again, in place.
    pub retry: Retry,

    /// Where records go that cannot be handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,

    /// What happens to a record after its last attempt. Default: `DeadLetter` if a topic is named,
    /// else `Stall`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_exhausted: Option<OnExhausted>,
}

/// Which records wait for each other.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ordering {
    /// Records of one key are handled one after the other; a record without key waits for none.
    #[default]
    Key,
    /// Records of one partition are handled one after the other.
    Partition,
    /// No record waits for another.
    None,
}

/// What a value, decrypted where it was encrypted, has to be. Of what it is not, no attempt is made: the record is
/// treated as after its last one, with the reason `NotJson`. A tombstone has no value and is delivered.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decode {
    /// One JSON text in UTF-8 (RFC 8259). The handler gets its bytes as they are.
    Json,
}

/// Records that are delivered together, with a result for each.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    { "rule": "duration(self.maxWait) <= duration('10s')", "message": "spec.delivery.batch.maxWait must be at most 10s; write a time such as 50ms" }
]))]
pub struct Batch {
    /// Records in a batch at most; with 1 each is delivered alone, in the form for one. Default 1.
    #[schemars(range(min = 1, max = 10000))]
    pub max_records: u32,
    /// Bytes of keys, values and headers in a batch at most: a number, or one with `Ki` or `Mi`. One
    /// record alone may have more. Default 1Mi.
    #[schemars(schema_with = "text::batch_bytes")]
    pub max_bytes: String,
    /// How long a record waits for others at most, while nothing else keeps it. Not with ordering
    /// `Partition`, where a batch is what has gathered behind the one before. Default 50ms.
    pub max_wait: Span,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_records: 1,
            max_bytes: "1Mi".to_owned(),
            max_wait: Span::millis(50),
        }
    }
}

/// What all pods together may deliver within a time, attempts after the first included. Each pod has the share of it
/// that it has of the partitions, and no more pods are ordered than it takes to use it up.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    { "rule": "duration(self.per) >= duration('1s') && duration(self.per) <= duration('24h')", "message": "spec.delivery.rateLimit.per must be between 1s and 24h; write a time such as 1s or 1m" }
]))]
pub struct RateLimit {
    /// Records at most, evenly over the time.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub records: u32,
    /// The time. Default 1s.
    #[serde(default = "one_second")]
    pub per: Span,
}

fn one_second() -> Span {
    Span::secs(1)
}

/// How often and when a failed record is tried again, in place.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    { "rule": "duration(self.initialBackoff) <= duration(self.maxBackoff)", "message": "spec.delivery.retry.initialBackoff is longer than spec.delivery.retry.maxBackoff; lower the first or raise the second" },
    { "rule": "duration(self.initialBackoff) >= duration('10ms') && duration(self.maxBackoff) <= duration('1h')", "message": "spec.delivery.retry: initialBackoff must be at least 10ms and maxBackoff at most 1h" },
    { "rule": "!has(self.then) || self.then.all(wait, duration(wait) >= duration('1s') && duration(wait) <= duration('24h'))", "message": "spec.delivery.retry.then has a wait that is not between 1s and 24h; write times such as 1m, 10m and 1h" }
]))]
pub struct Retry {
    /// Attempts in quick succession, the first included. Default 5.
    #[schemars(range(min = 1, max = 1000))]
    pub attempts: u32,
    /// The wait before the second attempt; it doubles each time, with jitter. Default 500ms.
    pub initial_backoff: Span,
    /// The longest wait between two of these attempts. Default 30s.
    pub max_backoff: Span,
    /// Later attempts: one more after each of these waits, once the quick ones have failed, such as
    /// `[1m, 10m, 1h]`. A record that waits keeps its place: with ordering `Key` records of other keys go on, those of its own
    /// key wait behind it. Each from 1s to 24h, ten at most. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub then: Vec<Span>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            initial_backoff: Span::millis(500),
            max_backoff: Span::secs(30),
            then: Vec::new(),
        }
    }
}

/// Where records go that cannot be handled.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = ("!has(self.retryTopic) || self.retryTopic != self.topic",
    "spec.delivery.deadLetter.retryTopic is the dead-letter topic itself; name another topic"))]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The dead-letter topic. It must exist.
    #[schemars(schema_with = "text::topic")]
    pub topic: String,

    /// Which names the headers of the copy have that say why and from where. Default `Drover`.
    #[serde(default)]
    pub header_style: HeaderStyle,

    /// When to stop dead-lettering, because the handler seems to be broken for everybody. A pod counts its own records,
    /// and those that the other pods report as well.
    #[serde(default)]
    pub breaker: BreakerSpec,

    /// A topic of this consumer's own that dead letters are replayed to, so that nobody else who
    /// reads `topics` gets them again. The workers consume it beside `topics`, with the same handler. It
    /// must exist. Default: each goes back to the topic that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::topic")]
    pub retry_topic: Option<String>,
}

impl KafkaConsumerSpec {
    /// The topic that dead letters are replayed to, if there is one for that.
    pub fn retry_topic(&self) -> Option<&str> {
        let dead_letter = self.delivery.as_ref()?.dead_letter.as_ref()?;
        dead_letter.retry_topic.as_deref()
    }

    /// All topics that the workers consume.
    pub fn consumed_topics(&self) -> Vec<String> {
        let retry = self.retry_topic().map(str::to_owned);
        self.topics.iter().cloned().chain(retry).collect()
    }
}

/// Names of a dead letter's headers. All values are text, also where another tool's are binary.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderStyle {
    /// `drover-dlq-…`.
    #[default]
    Drover,
    /// `kafka_dlt-…`, as Spring for Apache Kafka has them.
    Spring,
    /// `__connect.errors.…`, as Kafka Connect has them.
    KafkaConnect,
}

/// Each pod stops dead-lettering when so many of its records would be, and tries them one at a time
/// until five in a row go well.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    { "rule": "duration(self.window) >= duration('1s') && duration(self.window) <= duration('1h')", "message": "spec.delivery.deadLetter.breaker.window must be between 1s and 1h; write a time such as 5m" }
]))]
pub struct BreakerSpec {
    /// Of so many records in a hundred, or more. Default 50.
    #[schemars(range(min = 1, max = 100))]
    pub percent: u32,
    /// Fewer records than this in the window say nothing. Default 50.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_records: u32,
    /// The time that is looked at. Default 5m.
    pub window: Span,
}

impl Default for BreakerSpec {
    fn default() -> Self {
        Self {
            percent: 50,
            min_records: 50,
            window: Span::secs(300),
        }
    }
}

/// What happens to a record after its last attempt: `DeadLetter` (copied to the dead-letter topic),
/// `Stall` (tried on, until it succeeds) or `Skip` (logged, counted, passed over). Default:
/// `DeadLetter` if a topic is named, else `Stall`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExhausted {
    /// It is copied to the dead-letter topic; when the broker has it, the offset moves on.
    DeadLetter,
    /// It is tried on, at the longest back-off; what must wait for it waits, `Stalled` says so.
    Stall,
    /// It is logged, counted and passed over.
    Skip,
}

/// How many pods.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    { "rule": "!has(self.maxReplicas) || self.minReplicas <= self.maxReplicas", "message": "spec.scaling.minReplicas is greater than spec.scaling.maxReplicas; lower the first or raise the second" },
    { "rule": "duration(self.maxDelay) >= duration('1s') && duration(self.maxDelay) <= duration('24h')", "message": "spec.scaling.maxDelay must be between 1s and 24h; write a time such as 60s" },
    { "rule": "!has(self.idleTimeToZero) || (duration(self.idleTimeToZero) >= duration('1s') && duration(self.idleTimeToZero) <= duration('24h'))", "message": "spec.scaling.idleTimeToZero must be between 1s and 24h; write a time such as 30s" },
    { "rule": "!has(self.idleTimeToZero) || self.minReplicas == 0", "message": "spec.scaling.idleTimeToZero has no effect while spec.scaling.minReplicas is not 0; set that to 0, or remove idleTimeToZero" },
    { "rule": "!has(self.schedule) || !has(self.maxReplicas) || self.schedule.all(peak, peak.minReplicas <= self.maxReplicas)", "message": "spec.scaling.schedule has a minReplicas that is greater than spec.scaling.maxReplicas; lower the first or raise the second" }
]))]
pub struct Scaling {
    /// Pods at least. 0 lets an idle fleet go to zero. Default 1.
    #[schemars(range(min = 0, max = 10000))]
    pub min_replicas: u32,
    /// Pods at most. Default: as many as there are partitions; more would be idle.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_replicas: Option<u32>,
    /// The promise: no record waits longer than this before it is finished. Default 60s.
    pub max_delay: Span,
    /// How long nothing may wait or arrive before the last pod goes; for `minReplicas: 0`, in modes `Auto` and
    /// `Recommend`. Default: until the idle pods have cost as much as it costs to let them go and to order them again,
    /// about ten seconds for a dozen pods and two minutes for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_time_to_zero: Option<Span>,
    /// Known peaks: times in which there are more pods at least than `minReplicas`. The pods are ordered as
    /// long before a peak as they take to start. Not in mode `Manual`. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub schedule: Vec<Peak>,
    /// Who decides the size. Default `Auto`.
    pub mode: ScalingMode,
}

impl Default for Scaling {
    fn default() -> Self {
        Self {
            min_replicas: 1,
            max_replicas: None,
            max_delay: Span::secs(60),
            idle_time_to_zero: None,
            schedule: Vec::new(),
            mode: ScalingMode::Auto,
        }
    }
}

/// Who decides the size of a fleet.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScalingMode {
    /// Drover, from arrival, backlog and measured capacity.
    #[default]
    Auto,
    /// Drover decides and says so in status, but does not act; size stays as it is.
    Recommend,
    /// You, by `spec.replicas` and so by `kubectl scale kc/NAME`, whatever the bounds.
    Manual,
    /// An autoscaler of your own, by `spec.replicas`, which it sets through the scale subresource, within
    /// the bounds: `minReplicas`, `schedule`, `maxReplicas` and the partitions.
    External,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            ordering: Ordering::default(),
            concurrency: 16,
            batch: Batch::default(),
            rate_limit: None,
            decode: None,
            retry: Retry::default(),
            dead_letter: None,
            on_exhausted: None,
        }
    }
}

/// A pod template has its own reference; the API server checks the Deployment made from it.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
