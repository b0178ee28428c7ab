//! librdkafka's properties: which ones users may set, and why not the others.

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
    /// Its value is a secret, which a pod's template would show to everyone.
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
        why: "holds a secret, and a property is readable by everyone who can read pods",
        remedy: "put it into a Secret and name that in spec.kafka.sasl or spec.kafka.tls",
        secret: true,
    }
}

const REMOVE: &str = "remove it";
const SECURITY: &str =
    "is about encrypted or authenticated connections, which have fields of their own";
const USE_SECURITY: &str = "write spec.kafka.tls or spec.kafka.sasl instead";
const CALLBACK: &str = "is a pointer for programs and cannot be written as text";
const DEAD_LETTERS: &str = "decides whether a dead letter is safe before its offset is committed";
const OFFSETS: &str = "would commit offsets of records that are not finished";

/// Every librdkafka property that users cannot set, exact names before families.
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
        "is each pod's own name; one of yours would be the same in every pod, and members with one id push each other out",
        REMOVE,
    ),
    owned("group.protocol.type", "must be that of a consumer", REMOVE),
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
        "isolation.level",
        "is read_committed: lag is counted up to what is committed, and a record of an open transaction may never have been",
        "remove it; producers without transactions are not concerned",
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
        "is set so that a dead letter is acknowledged or given up in bounded time",
        REMOVE,
    ),
    owned(
        "delivery.timeout.ms",
        "is set so that a dead letter is acknowledged or given up in bounded time",
        REMOVE,
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
    owned(
        "linger.ms",
        "is 0: a dead letter holds its partition up and does not wait for company",
        REMOVE,
    ),
    owned(
        "queue.buffering.max.ms",
        "is 0: a dead letter holds its partition up and does not wait for company",
        REMOVE,
    ),
    // The process.
    owned(
        "client.id",
        "names the pod, or the controller, so that a broker's log tells them apart",
        REMOVE,
    ),
    owned(
        "enable.metrics.push",
        "is off: the worker has its own metrics",
        "read the worker's /metrics",
    ),
    owned(
        "fetch.queue.backoff.ms",
        "is set so that a full queue does not cap the worker's rate",
        REMOVE,
    ),
    owned(
        "log_level",
        "follows from the worker's own log level",
        REMOVE,
    ),
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
    owned("security.protocol", SECURITY, USE_SECURITY),
    owned("sasl.*", SECURITY, USE_SECURITY),
    owned("ssl.*", SECURITY, USE_SECURITY),
    owned("ssl_*", SECURITY, USE_SECURITY),
    owned("https.ca.*", SECURITY, USE_SECURITY),
    owned("enable.ssl.*", SECURITY, USE_SECURITY),
    owned("enable.sasl.*", SECURITY, USE_SECURITY),
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

/// The properties that are passed on, to the worker's consumer and its producer alike: all of
/// librdkafka 2.12's without those of [`OWNED_PROPERTIES`]. A name that librdkafka does not know
/// would make every client fail at its start; `tests/it/fleet.rs` asks librdkafka for each of them.
pub const PASSED_ON_PROPERTIES: &[&str] = &[
    "api.version.fallback.ms",
    "api.version.request",
    "api.version.request.timeout.ms",
    "batch.num.messages",
    "batch.size",
    "broker.address.family",
    "broker.address.ttl",
    "broker.version.fallback",
    "check.crcs",
    "client.dns.lookup",
    "client.rack",
    "compression.codec",
    "compression.level",
    "compression.type",
    "connections.max.idle.ms",
    "consume.callback.max.messages",
    "coordinator.query.interval.ms",
    "debug",
    "enable.random.seed",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "log.connection.close",
    "log.thread.name",
    "max.partition.fetch.bytes",
    "message.copy.max.bytes",
    "message.max.bytes",
    "metadata.max.age.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "partition.assignment.strategy",
    "partitioner",
    "produce.offset.report",
    "queue.buffering.backpressure.threshold",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.jitter.ms",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "session.timeout.ms",
    "socket.blocking.max.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.max.fails",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "sticky.partitioning.linger.ms",
    "topic.metadata.propagation.max.ms",
    "topic.metadata.refresh.fast.cnt",
    "topic.metadata.refresh.fast.interval.ms",
    "topic.metadata.refresh.interval.ms",
    "topic.metadata.refresh.sparse",
];

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
