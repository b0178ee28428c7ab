//! The only place that spells librdkafka's properties.
//!
//! Order matters: first what is merely a better default than librdkafka's, then the user's
//! properties, then what Drover owns, so that a user's property never weakens a promise.

mod outsiders;

use std::collections::BTreeMap;
use std::time::Duration;

pub use outsiders::{TRANSACTION, group, questions, scan, tails, transactions};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::security::Security;
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
    /// Encryption and authentication.
    pub security: &'a Security,
}

/// What a member of a group is set to.
#[derive(Clone, Debug)]
pub struct Membership<'a> {
    /// The group.
    pub group_id: &'a str,
    /// How the group agrees on partitions.
    pub protocol: GroupProtocol,
    /// Who of the group this is, where whoever comes after a death bears the same name and nobody else does: a
    /// static member. None for one that its group forgets.
    pub instance_id: Option<&'a str>,
    /// Longest time between polls, and the group's rebalance time-out.
    pub max_poll_interval: Duration,
    /// Bytes of records that librdkafka may hold ahead of us.
    pub prefetch_bytes: u64,
}

/// What a partition may bring at least: less would cost more requests than it saves memory.
const SMALLEST_FETCH: u64 = 64 << 10;

/// A consumer that is a member of a group.
pub fn consumer(connection: &Connection<'_>, membership: &Membership<'_>) -> ClientConfig {
    let mut config = defaults(connection);
    // New partitions, and a topic that was missing, are noticed this late.
    config.set("topic.metadata.refresh.interval.ms", "30000");
    if membership.protocol == GroupProtocol::Classic {
        // A rebalance lasts until every member has heard of it, which is with its next heartbeat;
        // meanwhile nothing can be committed.
        config.set("heartbeat.interval.ms", "1000");
        // Who takes over from a pod that was killed waits this long.
        config.set("session.timeout.ms", "30000");
        // A rebalance takes only the partitions that move. With an eager one it takes all, each time.
        config.set("partition.assignment.strategy", "cooperative-sticky");
    }
    // With librdkafka's second, a full queue caps the rate at one queue a second.
    config.set("fetch.queue.backoff.ms", "5");
    // Java's choice: a record whose bytes changed on their way or on a disk is not handled.
    config.set("check.crcs", "true");
    user_properties(&mut config, connection.properties, Client::Consumer);
    bound_fetches(&mut config, membership.prefetch_bytes / 8);
    bound_partitions(&mut config, membership.prefetch_bytes);

    config.set("bootstrap.servers", connection.bootstrap_servers);
    connection.security.apply(&mut config);
    config.set("group.id", membership.group_id);
    match membership.protocol {
        GroupProtocol::Classic => {
            config.set("group.protocol", "classic");
            // Who is killed and comes back in time has its partitions back at once, and no other member hears of
            // it. (By the consumer protocol such a one is refused until its predecessor's session is over.)
            if let Some(id) = membership.instance_id {
                config.set("group.instance.id", id);
            }
        }
        // The broker sets session, heartbeat and assignor; a client that names them is refused.
        GroupProtocol::Consumer => {
            config.set("group.protocol", "consumer");
        }
    }
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    // An offset that Kafka does not have is never replaced by another one behind our back. Where a
    // group begins that has none is said with the assignment.
    config.set("auto.offset.reset", "error");
    let max_poll_interval = membership.max_poll_interval.as_millis();
    config.set("max.poll.interval.ms", max_poll_interval.to_string());
    // An end of partition tells where reading stands behind transaction markers.
    config.set("enable.partition.eof", "true");
    // librdkafka counts the bytes of key and value, and takes some 400 beside them for each record: with
    // records of a kilobyte five sevenths of the memory are what it counts. And there is room for as
    // many as are a kilobyte each, however small they are.
    let kilobytes = (membership.prefetch_bytes / 7 * 5 / 1024).clamp(512, 2_097_151);
    config.set("queued.max.messages.kbytes", kilobytes.to_string());
    config.set("queued.min.messages", kilobytes.to_string());
    // That a topic was made anew is only said in a line for debugging: `topic_change`.
    let theirs = connection.properties.get("debug");
    let debug = theirs.map_or_else(String::new, |theirs| format!("{theirs},"));
    config.set("debug", format!("{debug}metadata"));
    config.set_log_level(RDKafkaLogLevel::Debug);
    config
}

/// One answer of a broker is in memory as a whole, beside what is queued, and may have 50 MiB by
/// default: kept to `most` bytes, or to a mebibyte if that is more, unless the user has chosen. A record
/// that is larger comes all the same.
fn bound_fetches(config: &mut ClientConfig, most: u64) {
    if config.get("fetch.max.bytes").is_some() {
        return;
    }
    // librdkafka refuses less than the largest message.
    let largest = config
        .get("message.max.bytes")
        .and_then(|largest| largest.parse().ok());
    let bytes = most.max(1 << 20).max(largest.unwrap_or(0));
    config.set("fetch.max.bytes", bytes.to_string());
}

/// What is compressed is counted as it comes, and inflates all at once, to a hundred times as much where records repeat
/// themselves: so a partition brings a small part of `prefetch` bytes with an answer, which brokers of the same network
/// give within a millisecond. A record that is larger comes all the same.
fn bound_partitions(config: &mut ClientConfig, prefetch: u64) {
    // Two names of one property.
    let names = ["fetch.message.max.bytes", "max.partition.fetch.bytes"];
    if names.iter().all(|name| config.get(name).is_none()) {
        let bytes = (prefetch / 256).clamp(SMALLEST_FETCH, 1 << 20);
        config.set("fetch.message.max.bytes", bytes.to_string());
    }
}

/// A producer for dead letters: acknowledged by all replicas, in order, within `timeout`.
pub fn producer(connection: &Connection<'_>, timeout: Duration) -> ClientConfig {
    let mut config = defaults(connection);
    // Java's choice, so that a key lands where a Java producer would put it.
    config.set("partitioner", "murmur2_random");
    // A dead letter holds its partition up: it does not wait for company.
    config.set("linger.ms", "0");
    // What was compressed in its topic is hardly larger than there, and a limit of that size does.
    config.set("compression.type", "lz4");
    // How large a record may be is the broker's to say, not the client's: a copy is never smaller
    // than the record was.
    config.set("message.max.bytes", "268435456");
    user_properties(&mut config, connection.properties, Client::Producer);

    config.set("bootstrap.servers", connection.bootstrap_servers);
    connection.security.apply(&mut config);
    config.set("acks", "all");
    config.set("enable.idempotence", "true");
    config.set(
        "delivery.timeout.ms",
        timeout.as_millis().max(1000).to_string(),
    );
    config
}

/// What suits consumer and producer better than librdkafka's defaults.
fn defaults(connection: &Connection<'_>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", connection.client_id);
    config.set("enable.metrics.push", "false");
    // Up to librdkafka's ten seconds after Kafka is back, some of a fleet would still wait.
    config.set("reconnect.backoff.max.ms", "2000");
    // Who asks librdkafka to debug something wants to see it.
    let debugging = connection.properties.contains_key("debug");
    config.set_log_level(if debugging {
        RDKafkaLogLevel::Debug
    } else {
        RDKafkaLogLevel::Info
    });
    config
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
    "partition.assignment.",
    "queued.",
    "session.",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn both(protocol: GroupProtocol, properties: &BTreeMap<String, String>) -> [ClientConfig; 2] {
        let connection = Connection {
            bootstrap_servers: "kafka:9092",
            client_id: "pod",
            properties,
            security: &Security::default(),
        };
        let membership = Membership {
            group_id: "group",
            protocol,
            instance_id: Some("pod"),
            max_poll_interval: Duration::from_secs(300),
            prefetch_bytes: 16 << 20,
        };
        let timeout = Duration::from_secs(30);
        [
            consumer(&connection, &membership),
            producer(&connection, timeout),
        ]
    }

    fn owned(properties: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        properties.iter().map(owned).collect()
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
    fn a_users_property_replaces_a_default_and_never_a_promise() {
        const DEFAULTS: &[&str] = &[
            "check.crcs",
            "client.id",
            "compression.type",
            "enable.metrics.push",
            "fetch.max.bytes",
            "fetch.message.max.bytes",
            "fetch.queue.backoff.ms",
            "heartbeat.interval.ms",
            "linger.ms",
            "message.max.bytes",
            "partition.assignment.strategy",
            "partitioner",
            "reconnect.backoff.max.ms",
            "session.timeout.ms",
            "topic.metadata.refresh.interval.ms",
        ];
        for (index, ours) in both(GroupProtocol::Classic, &BTreeMap::new())
            .iter()
            .enumerate()
        {
            let names: Vec<_> = ours.config_map().keys().copied().collect();
            let theirs: Vec<_> = names.iter().map(|name| (*name, "theirs")).collect();
            let config = &both(GroupProtocol::Classic, &owned(&theirs))[index];
            for name in names {
                let is_theirs = config.get(name) == Some("theirs");
                assert_eq!(is_theirs, DEFAULTS.contains(&name), "{name}");
            }
        }
    }

    #[test]
    fn without_a_choice_partitions_are_shared_out_evenly_and_stay() {
        let strategy = "partition.assignment.strategy";
        let [classic, _] = both(GroupProtocol::Classic, &BTreeMap::new());
        assert_eq!(classic.get(strategy), Some("cooperative-sticky"));
        let [consumer, _] = both(GroupProtocol::Consumer, &BTreeMap::new());
        assert_eq!(consumer.get(strategy), None, "the broker's choice");
    }

    #[test]
    fn a_member_is_static_by_the_classic_protocol_only() {
        let [classic, producer] = both(GroupProtocol::Classic, &BTreeMap::new());
        assert_eq!(classic.get("group.instance.id"), Some("pod"));
        assert_eq!(producer.get("group.instance.id"), None);
        let [consumer, _] = both(GroupProtocol::Consumer, &BTreeMap::new());
        assert_eq!(consumer.get("group.instance.id"), None);
    }

    #[test]
    fn what_is_read_ahead_is_bounded_in_bytes_and_in_records() {
        let [consumer, _] = both(GroupProtocol::Classic, &BTreeMap::new());
        assert_eq!(consumer.get("queued.max.messages.kbytes"), Some("11702"));
        assert_eq!(consumer.get("queued.min.messages"), Some("11702"));
    }

    #[test]
    fn each_partition_brings_little_at_once_to_a_small_pod() {
        for (properties, bound) in [
            (owned(&[]), Some("65536")),
            (
                owned(&[("fetch.message.max.bytes", "9000000")]),
                Some("9000000"),
            ),
            (owned(&[("max.partition.fetch.bytes", "9000000")]), None),
        ] {
            let [consumer, _] = both(GroupProtocol::Classic, &properties);
            assert_eq!(consumer.get("fetch.message.max.bytes"), bound);
            consumer.create_native_config().unwrap();
        }
    }

    #[test]
    fn a_larger_message_raises_the_bound_on_fetches() {
        for (properties, bound) in [
            (owned(&[]), "2097152"),
            (owned(&[("message.max.bytes", "20000000")]), "20000000"),
            (owned(&[("fetch.max.bytes", "9000000")]), "9000000"),
        ] {
            let [consumer, _] = both(GroupProtocol::Classic, &properties);
            assert_eq!(consumer.get("fetch.max.bytes"), Some(bound));
            consumer.create_native_config().unwrap();
        }
    }

    #[test]
    fn what_is_debugged_is_what_the_user_asks_for_and_what_we_must_hear() {
        let theirs = owned(&[("debug", "cgrp,fetch")]);
        let [consumer, producer] = both(GroupProtocol::Classic, &theirs);
        assert_eq!(consumer.get("debug"), Some("cgrp,fetch,metadata"));
        assert_eq!(producer.get("debug"), Some("cgrp,fetch"));
        let [consumer, producer] = both(GroupProtocol::Classic, &BTreeMap::new());
        assert_eq!(consumer.get("debug"), Some("metadata"));
        assert_eq!(producer.get("debug"), None);
    }

    #[test]
    fn a_consumers_property_is_kept_from_the_producer() {
        let properties = owned(&[
            ("fetch.wait.max.ms", "100"),
            ("socket.keepalive.enable", "true"),
        ]);
        let [consumer, producer] = both(GroupProtocol::Classic, &properties);
        assert_eq!(consumer.get("fetch.wait.max.ms"), Some("100"));
        assert_eq!(producer.get("fetch.wait.max.ms"), None);
        assert_eq!(producer.get("socket.keepalive.enable"), Some("true"));
    }
}
