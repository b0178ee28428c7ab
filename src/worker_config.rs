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

/// A librdkafka property that users cannot set: Drover sets it, or it would break the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnedProperty {
    /// The property; with a trailing `*`, every property that begins so, and with a leading one,
    /// every property that ends so.
    pub name: &'static str,
    /// Why it is not the user's, as the end of a sentence that begins with the name.
    pub why: &'static str,
    /// What to do instead.
    pub remedy: &'static str,
    /// Its value is a secret, which a ConfigMap would show to everyone.
    pub secret: bool,
}

const fn owned(name: &'static str, why: &'static str, remedy: &'static str) -> OwnedProperty {
    OwnedProperty {
        name,
        why,
        remedy,
        secret: false,
    }
}

const fn secret(name: &'static str) -> OwnedProperty {
    OwnedProperty {
        name,
        why: "holds a secret, and a property is readable by everyone who can read ConfigMaps",
        remedy: "use a listener without passwords; this version of Drover speaks plaintext only",
        secret: true,
    }
}

const REMOVE: &str = "remove it";
const PLAINTEXT: &str = "is about encrypted or authenticated connections, and this version of Drover speaks plaintext only";
const USE_PLAINTEXT: &str = "remove it and use a plaintext listener";
const CALLBACK: &str = "is a pointer for programs and cannot be written as text";
const DEAD_LETTERS: &str = "decides whether a dead letter is safe before its offset is committed";
const OFFSETS: &str = "would commit offsets of records that are not finished";

/// Every librdkafka property that users cannot set, exact names before prefixes. Everything else
/// in `spec.kafka.properties` is passed on, to the worker's consumer and its producer alike.
pub const OWNED_PROPERTIES: &[OwnedProperty] = &[
    // Said elsewhere in the spec.
    owned(
        "bootstrap.servers",
        "is said by spec.kafka.bootstrapServers",
        "write it there",
    ),
    owned(
        "metadata.broker.list",
        "is said by spec.kafka.bootstrapServers",
        "write it there",
    ),
    owned("group.id", "is said by spec.groupId", "write it there"),
    owned(
        "group.protocol",
        "is said by spec.kafka.groupProtocol",
        "write it there",
    ),
    owned(
        "auto.offset.reset",
        "is said by spec.startAt",
        "write it there",
    ),
    owned(
        "topic.blacklist",
        "would hide topics of spec.topics",
        "name only the topics you want in spec.topics",
    ),
    owned(
        "max.poll.interval.ms",
        "follows from spec.handler.timeout",
        "change spec.handler.timeout",
    ),
    owned(
        "queued.min.messages",
        "follows from the worker's memory limit",
        "change the limit of container worker in spec.template",
    ),
    owned(
        "queued.max.messages.kbytes",
        "follows from the worker's memory limit",
        "change the limit of container worker in spec.template",
    ),
    // Membership.
    owned(
        "group.instance.id",
        "would be the same in every pod, and members with one id push each other out",
        REMOVE,
    ),
    owned("group.protocol.type", "must be that of a consumer", REMOVE),
    owned(
        "partition.assignment.strategy",
        "is cooperative-sticky, so that a rebalance takes only the partitions that move",
        "choose spec.kafka.groupProtocol",
    ),
    // Offsets are committed when the work behind them is done.
    owned("enable.auto.commit", OFFSETS, REMOVE),
    owned("auto.commit.enable", OFFSETS, REMOVE),
    owned("auto.commit.interval.ms", OFFSETS, REMOVE),
    owned("enable.auto.offset.store", OFFSETS, REMOVE),
    owned(
        "offset.store.*",
        "would keep offsets elsewhere than in Kafka, where Drover reads lag",
        REMOVE,
    ),
    owned(
        "enable.partition.eof",
        "is set as the worker's reading needs it",
        REMOVE,
    ),
    // Dead letters.
    owned("acks", DEAD_LETTERS, REMOVE),
    owned("request.required.acks", DEAD_LETTERS, REMOVE),
    owned("enable.idempotence", DEAD_LETTERS, REMOVE),
    owned("enable.gapless.guarantee", DEAD_LETTERS, REMOVE),
    owned("retries", DEAD_LETTERS, REMOVE),
    owned("message.send.max.retries", DEAD_LETTERS, REMOVE),
    owned("max.in.flight", DEAD_LETTERS, REMOVE),
    owned(
        "max.in.flight.requests.per.connection",
        DEAD_LETTERS,
        REMOVE,
    ),
    owned("queuing.strategy", DEAD_LETTERS, REMOVE),
    owned("delivery.report.only.error", DEAD_LETTERS, REMOVE),
    owned(
        "message.timeout.ms",
        "must end before the drain deadline, which follows from spec.handler.timeout",
        "change spec.handler.timeout",
    ),
    owned(
        "delivery.timeout.ms",
        "must end before the drain deadline, which follows from spec.handler.timeout",
        "change spec.handler.timeout",
    ),
    owned(
        "transactional.id",
        "would be the same in every pod, and producers with one id fence each other",
        REMOVE,
    ),
    owned(
        "transaction.timeout.ms",
        "is for transactions, which the worker does not use",
        REMOVE,
    ),
    owned(
        "allow.auto.create.topics",
        "would create topics, which Drover never does",
        "create the topic with the partitions it needs",
    ),
    // The process.
    owned(
        "statistics.interval.ms",
        "fills a queue that nobody reads",
        "read the worker's /metrics",
    ),
    owned(
        "enabled_events",
        "decides what the worker's poll loop gets",
        REMOVE,
    ),
    owned("log.queue", "decides where the worker's log goes", REMOVE),
    owned(
        "internal.termination.signal",
        "would disturb the drain at SIGTERM",
        REMOVE,
    ),
    owned(
        "plugin.library.paths",
        "loads a library, and the worker's image has none",
        REMOVE,
    ),
    owned("interceptors", CALLBACK, REMOVE),
    owned("opaque", CALLBACK, REMOVE),
    owned("default_topic_conf", CALLBACK, REMOVE),
    owned("msg_order_cmp", CALLBACK, REMOVE),
    owned("ssl_engine_callback_data", CALLBACK, REMOVE),
    owned("*_cb", CALLBACK, REMOVE),
    owned("builtin.features", "is a fact, not a setting", REMOVE),
    owned("test.mock.*", "would replace Kafka by an imitation", REMOVE),
    owned("test.*", "is for librdkafka's own tests", REMOVE),
    // Secrets, by name, before the families they belong to.
    secret("sasl.password"),
    secret("sasl.oauthbearer.config"),
    secret("sasl.oauthbearer.client.secret"),
    secret("sasl.oauthbearer.client.credentials.client.secret"),
    secret("sasl.oauthbearer.assertion.private.key.passphrase"),
    secret("sasl.oauthbearer.assertion.private.key.pem"),
    secret("ssl.key.password"),
    secret("ssl.key.pem"),
    secret("ssl_key"),
    secret("ssl.keystore.password"),
    owned("security.protocol", PLAINTEXT, USE_PLAINTEXT),
    owned("sasl.*", PLAINTEXT, USE_PLAINTEXT),
    owned("ssl.*", PLAINTEXT, USE_PLAINTEXT),
    owned("ssl_*", PLAINTEXT, USE_PLAINTEXT),
    owned("https.ca.*", PLAINTEXT, USE_PLAINTEXT),
    owned("enable.ssl.*", PLAINTEXT, USE_PLAINTEXT),
    owned("enable.sasl.*", PLAINTEXT, USE_PLAINTEXT),
];

/// The entry of [`OWNED_PROPERTIES`] that `name` falls under. Blanks around it and capital letters
/// do not get a property past it.
pub fn owned_property(name: &str) -> Option<&'static OwnedProperty> {
    let name = name.trim().to_ascii_lowercase();
    OWNED_PROPERTIES.iter().find(|owned| {
        if let Some(prefix) = owned.name.strip_suffix('*') {
            name.starts_with(prefix)
        } else if let Some(suffix) = owned.name.strip_prefix('*') {
            name.ends_with(suffix)
        } else {
            name == owned.name
        }
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_found_by_name_family_and_ending() {
        for (name, entry) in [
            ("group.id", Some("group.id")),
            (" Group.ID ", Some("group.id")),
            ("sasl.password", Some("sasl.password")),
            ("sasl.mechanisms", Some("sasl.*")),
            ("rebalance_cb", Some("*_cb")),
            ("test.mock.num.brokers", Some("test.mock.*")),
            ("fetch.wait.max.ms", None),
            ("client.rack", None),
        ] {
            assert_eq!(
                owned_property(name).map(|owned| owned.name),
                entry,
                "{name}"
            );
        }
    }

    #[test]
    fn no_entry_hides_behind_an_earlier_one() {
        for entry in OWNED_PROPERTIES {
            let sample = entry.name.replace('*', "x");
            let found = owned_property(&sample).map(|owned| owned.name);
            assert_eq!(found, Some(entry.name));
        }
    }
}
