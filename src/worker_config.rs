//! The contract from controller to worker: what `resources/config_map.rs` writes and
//! `drover-worker` reads. Pure; both sides round-trip it in a test.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The file's name in the ConfigMap and in the worker's container.
pub const FILE_NAME: &str = "worker.json";
/// The folder where the ConfigMap is mounted.
pub const MOUNT_PATH: &str = "/etc/drover";
/// The worker's port for `/livez`, `/readyz` and `/metrics`.
pub const ADMIN_PORT: u16 = 9090;

/// Everything a worker needs to know, complete: no field has a default here.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerConfig {
    /// `namespace/name` of the KafkaConsumer, for logs and headers.
    pub consumer: String,
    /// Brokers to begin with.
    pub bootstrap_servers: String,
    /// The consumer group.
    pub group_id: String,
    /// The topics.
    pub topics: Vec<String>,
    /// How the group agrees on partitions.
    pub group_protocol: GroupProtocol,
    /// Further librdkafka properties, checked by `fleet::validate`.
    pub properties: BTreeMap<String, String>,
    /// Where records are POSTed.
    pub handler_url: String,
    /// The handler runs in the same pod: wait for it before joining the group.
    pub handler_in_pod: bool,
    /// Which records wait for each other.
    pub ordering: Ordering,
    /// Records in flight at most.
    pub concurrency: u32,
    /// Attempts in all.
    pub attempts: u32,
    /// The wait before the second attempt.
    #[serde(with = "millis")]
    pub initial_backoff: Duration,
    /// The longest wait between attempts.
    #[serde(with = "millis")]
    pub max_backoff: Duration,
    /// The dead-letter topic.
    pub dead_letter_topic: Option<String>,
    /// What happens after the last attempt.
    pub on_exhausted: OnExhausted,
    /// How long the handler may take for one record.
    #[serde(with = "millis")]
    pub handler_timeout: Duration,
    /// How long what is in flight may take to finish when partitions are given back.
    #[serde(with = "millis")]
    pub drain_deadline: Duration,
    /// librdkafka's `max.poll.interval.ms`, which is also the group's rebalance time-out.
    #[serde(with = "millis")]
    pub max_poll_interval: Duration,
    /// Bytes of records that the engine may hold.
    pub memory_budget_bytes: u64,
}

/// See [`crate::api::GroupProtocol`].
pub use crate::api::GroupProtocol;
/// See [`crate::api::OnExhausted`].
pub use crate::api::OnExhausted;
/// See [`crate::api::Ordering`].
pub use crate::api::Ordering;

/// Durations are whole milliseconds in the file.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// librdkafka properties that Drover sets itself, each with what to do instead. `fleet::validate`
/// refuses them; `kafka::client_config` would override them.
pub const OWNED_PROPERTIES: &[(&str, &str)] = &[
    ("bootstrap.servers", "set spec.kafka.bootstrapServers"),
    ("metadata.broker.list", "set spec.kafka.bootstrapServers"),
    (
        "client.id",
        "it is the pod's name, so that the broker's logs name the pod",
    ),
    ("group.id", "set spec.groupId"),
    ("group.protocol", "set spec.kafka.groupProtocol"),
    ("group.protocol.type", "groups of consumers only know one"),
    (
        "group.remote.assignor",
        "the broker's own choice keeps partitions where they are",
    ),
    (
        "group.instance.id",
        "pods come and go by design; a static member would hold its partitions for a whole session after it left",
    ),
    (
        "partition.assignment.strategy",
        "it is cooperative-sticky, which gives partitions back one by one and after their records are finished",
    ),
    (
        "max.poll.interval.ms",
        "it follows from spec.handler.timeout; set that",
    ),
    (
        "enable.auto.commit",
        "Drover commits an offset when the record behind it is finished",
    ),
    (
        "auto.commit.enable",
        "Drover commits an offset when the record behind it is finished",
    ),
    (
        "auto.commit.interval.ms",
        "Drover commits an offset when the record behind it is finished",
    ),
    (
        "enable.auto.offset.store",
        "Drover commits an offset when the record behind it is finished",
    ),
    ("offset.store.method", "Drover commits to the broker"),
    ("auto.offset.reset", "set spec.startAt"),
    (
        "enable.partition.eof",
        "Drover needs it to see past transaction markers",
    ),
    (
        "consume.callback.max.messages",
        "Drover reads the queue itself",
    ),
    (
        "queued.max.messages.kbytes",
        "it follows from the worker's memory",
    ),
    (
        "fetch.queue.backoff.ms",
        "it is 5, because a longer one caps the rate",
    ),
    (
        "acks",
        "a dead letter counts only when all replicas have it",
    ),
    (
        "request.required.acks",
        "a dead letter counts only when all replicas have it",
    ),
    ("enable.idempotence", "a dead letter is written once"),
    ("transactional.id", "Drover uses no transactions"),
    (
        "delivery.timeout.ms",
        "a dead letter is tried again by Drover itself",
    ),
    (
        "message.timeout.ms",
        "a dead letter is tried again by Drover itself",
    ),
    ("linger.ms", "a dead letter does not wait for company"),
    (
        "queue.buffering.max.ms",
        "a dead letter does not wait for company",
    ),
    ("enable.metrics.push", "Drover has metrics of its own"),
    ("log_level", "set RUST_LOG in the worker's environment"),
    ("log.queue", "Drover reads librdkafka's log itself"),
    (
        "plugin.library.paths",
        "the worker's image holds no libraries to load",
    ),
];
