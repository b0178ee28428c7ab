//! The only place that spells librdkafka's properties.
//!
//! Order matters: first what is merely a better default than librdkafka's, then the user's
//! properties, then what Drover owns, so that a user's property never weakens a promise.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::worker_config::GroupProtocol;

/// How to reach Kafka, and who we say we are.
#[derive(Clone, Debug)]
pub struct Connection<'a> {
    /// Brokers to begin with.
    pub bootstrap_servers: &'a str,
    /// For the broker's logs and quotas: the pod's name.
    pub client_id: &'a str,
    /// The user's properties.
    pub properties: &'a BTreeMap<String, String>,
}

/// What a member of a group is set to.
#[derive(Clone, Debug)]
pub struct Membership<'a> {
    /// The group.
    pub group_id: &'a str,
    /// How the group agrees on partitions.
    pub protocol: GroupProtocol,
    /// Longest time between polls, and the group's rebalance time-out.
    pub max_poll_interval: Duration,
    /// Bytes of records that librdkafka may hold ahead of us.
    pub prefetch_bytes: u64,
}

/// How long a copy for the dead-letter topic may wait for the broker's acknowledgement.
pub const DEAD_LETTER_TIMEOUT: Duration = Duration::from_secs(30);

/// A consumer that is a member of a group.
pub fn consumer(connection: &Connection<'_>, membership: &Membership<'_>) -> ClientConfig {
    let mut config = ClientConfig::new();
    // New partitions, and a topic that was missing, are noticed this late.
    config.set("topic.metadata.refresh.interval.ms", "30000");
    user_properties(&mut config, connection.properties, Client::Consumer);
    owned(&mut config, connection);

    config.set("group.id", membership.group_id);
    match membership.protocol {
        GroupProtocol::Classic => {
            config.set("group.protocol", "classic");
            config.set("partition.assignment.strategy", "cooperative-sticky");
        }
        // The broker sets session, heartbeat and assignor; a client that names them is refused.
        GroupProtocol::Consumer => {
            config.set("group.protocol", "consumer");
        }
    }
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    // Only where a partition has no committed offset; the controller writes the first ones.
    config.set("auto.offset.reset", "earliest");
    config.set(
        "max.poll.interval.ms",
        membership.max_poll_interval.as_millis().to_string(),
    );
    // An end of partition tells where reading stands behind transaction markers.
    config.set("enable.partition.eof", "true");
    let kilobytes = (membership.prefetch_bytes / 1024).clamp(512, 2_097_151);
    config.set("queued.max.messages.kbytes", kilobytes.to_string());
    // With the default of a second, a full queue caps the rate at one queue a second.
    config.set("fetch.queue.backoff.ms", "5");
    config
}

/// A producer for dead letters: acknowledged by all replicas, in order, in bounded time.
pub fn producer(connection: &Connection<'_>) -> ClientConfig {
    let mut config = ClientConfig::new();
    // Java's choice, so that a key lands where a Java producer would put it.
    config.set("partitioner", "murmur2_random");
    user_properties(&mut config, connection.properties, Client::Producer);
    owned(&mut config, connection);

    config.set("acks", "all");
    config.set("enable.idempotence", "true");
    config.set(
        "delivery.timeout.ms",
        DEAD_LETTER_TIMEOUT.as_millis().to_string(),
    );
    // A dead letter holds its partition up: it does not wait for company.
    config.set("linger.ms", "0");
    config
}

fn owned(config: &mut ClientConfig, connection: &Connection<'_>) {
    config.set("bootstrap.servers", connection.bootstrap_servers);
    config.set("client.id", connection.client_id);
    config.set("enable.metrics.push", "false");
    config.set_log_level(RDKafkaLogLevel::Info);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Client {
    Consumer,
    Producer,
}

/// The user's properties are one list for consumer and producer; librdkafka refuses those of the
/// other kind with a warning only, so they are told apart by name where the name says it.
fn user_properties(
    config: &mut ClientConfig,
    properties: &BTreeMap<String, String>,
    client: Client,
) {
    for (name, value) in properties {
        let consumers_only = CONSUMERS_ONLY.iter().any(|prefix| name.starts_with(prefix));
        if client == Client::Consumer || !consumers_only {
            config.set(name, value);
        }
    }
}

/// What the names of a consumer's properties begin with.
const CONSUMERS_ONLY: &[&str] = &[
    "auto.offset",
    "check.crcs",
    "fetch.",
    "group.",
    "heartbeat.",
    "isolation.",
    "queued.",
    "session.",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker_config::OWNED_PROPERTIES;

    fn both(protocol: GroupProtocol, properties: &BTreeMap<String, String>) -> [ClientConfig; 2] {
        let connection = Connection {
            bootstrap_servers: "kafka:9092",
            client_id: "pod",
            properties,
        };
        let membership = Membership {
            group_id: "group",
            protocol,
            max_poll_interval: Duration::from_secs(300),
            prefetch_bytes: 16 << 20,
        };
        [consumer(&connection, &membership), producer(&connection)]
    }

    #[test]
    fn librdkafka_accepts_every_property_of_both_protocols() {
        for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
            for config in both(protocol, &BTreeMap::new()) {
                config.create_native_config().unwrap();
            }
        }
    }

    #[test]
    fn a_users_property_never_weakens_what_drover_owns() {
        let hostile = OWNED_PROPERTIES
            .iter()
            .map(|owned| (owned.name.to_owned(), "hostile".to_owned()))
            .collect();
        for config in both(GroupProtocol::Classic, &hostile) {
            for name in [
                "bootstrap.servers",
                "group.id",
                "enable.auto.commit",
                "enable.auto.offset.store",
                "auto.offset.reset",
                "max.poll.interval.ms",
                "acks",
                "enable.idempotence",
                "enable.partition.eof",
            ] {
                if let Some(value) = config.get(name) {
                    let of_the_other_kind = config.get("acks").is_none() == (name == "acks")
                        || config.get("group.protocol") == Some("hostile");
                    assert!(value != "hostile" || of_the_other_kind, "{name}");
                }
            }
        }
    }

    #[test]
    fn a_consumers_property_is_kept_from_the_producer() {
        let properties = [
            ("fetch.wait.max.ms".to_owned(), "100".to_owned()),
            ("socket.keepalive.enable".to_owned(), "true".to_owned()),
        ]
        .into();
        let [consumer, producer] = both(GroupProtocol::Classic, &properties);
        assert_eq!(consumer.get("fetch.wait.max.ms"), Some("100"));
        assert_eq!(producer.get("fetch.wait.max.ms"), None);
        assert_eq!(producer.get("socket.keepalive.enable"), Some("true"));
    }
}
