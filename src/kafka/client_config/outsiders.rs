//! Clients that join no group: for questions, for waiting at ends, for reading ranges and for
//! moving records.

use std::time::Duration;

use rdkafka::ClientConfig;

use super::{Client, Connection, user_properties};

/// A broker that hears nothing of a transaction for so long aborts it. Also the longest that one
/// may stay open before its commit.
pub const TRANSACTION: Duration = Duration::from_secs(60);

/// Bytes of records that a scan may hold ahead of who reads them.
const READ_AHEAD: u64 = 16 << 20;

/// The largest answer to a question, in bytes: the offsets of a group of 2,000 partitions, each with a report as long as
/// it may be. The controller asks brokers that somebody else has named, so that what they answer must not
/// take its memory.
const ANSWER: u64 = 8 << 20;

/// A client for questions.
pub fn questions(connection: &Connection<'_>) -> ClientConfig {
    let mut config = outsider(connection, Client::Consumer, &[]);
    // librdkafka wants room for a record, and for all that is fetched, within an answer.
    config.set("message.max.bytes", "1000000");
    config.set("fetch.message.max.bytes", "1000000");
    config.set("fetch.max.bytes", (ANSWER / 2).to_string());
    config.set("receive.message.max.bytes", ANSWER.to_string());
    config
}

/// One that waits at the ends of partitions; a read of its waits at a broker for `read`.
pub fn tails(connection: &Connection<'_>, read: Duration) -> ClientConfig {
    let mut config = questions(connection);
    config.set("fetch.wait.max.ms", read.as_millis().to_string());
    // One record says it all, and its content nothing.
    config.set("fetch.min.bytes", "1");
    config.set("fetch.message.max.bytes", "1024");
    config.set("queued.min.messages", "1");
    config
}

/// One that reads ranges of a topic by hand.
pub fn scan(connection: &Connection<'_>) -> ClientConfig {
    let better = [("fetch.queue.backoff.ms", "5"), ("check.crcs", "true")];
    let mut config = outsider(connection, Client::Consumer, &better);
    super::bound_fetches(&mut config, READ_AHEAD / 4);
    never_joins(&mut config, connection.client_id);
    // What was deleted before it was read is counted, not passed over.
    config.set("auto.offset.reset", "error");
    config.set("isolation.level", "read_committed");
    config.set("allow.auto.create.topics", "false");
    config.set("queued.max.messages.kbytes", (READ_AHEAD >> 10).to_string());
    config.set("enable.partition.eof", "true");
    config
}

/// A client with a group of this name, which says for whom offsets are.
pub fn group(connection: &Connection<'_>, group: &str) -> ClientConfig {
    let mut config = questions(connection);
    never_joins(&mut config, group);
    config
}

/// A producer that writes in transactions of this id, each record acknowledged within `timeout`.
pub fn transactions(connection: &Connection<'_>, id: &str, timeout: Duration) -> ClientConfig {
    let better = [
        // The partition of a key as Java clients choose it, not librdkafka's own.
        ("partitioner", "murmur2_random"),
        ("linger.ms", "5"),
        ("batch.num.messages", "10000"),
        // How large a record may be is the broker's to say.
        ("message.max.bytes", "268435456"),
        ("compression.type", "lz4"),
    ];
    let mut config = outsider(connection, Client::Producer, &better);
    config.set("queue.buffering.max.kbytes", "32768");
    config.set("acks", "all");
    config.set("enable.idempotence", "true");
    config.set("transactional.id", id);
    let longest = TRANSACTION.as_millis();
    config.set("transaction.timeout.ms", longest.to_string());
    let within = timeout.min(TRANSACTION).as_millis().max(1_000);
    config.set("delivery.timeout.ms", within.to_string());
    config
}

/// librdkafka reads by hand, and asks for a group's offsets, with a group only.
fn never_joins(config: &mut ClientConfig, group: &str) {
    config.set("group.id", group);
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
}

/// `better` is what the user's properties may replace.
fn outsider(connection: &Connection<'_>, kind: Client, better: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", connection.client_id);
    // A broker that comes back is found in two seconds, not in ten.
    config.set("reconnect.backoff.max.ms", "2000");
    config.set("socket.connection.setup.timeout.ms", "10000");
    config.set("enable.metrics.push", "false");
    config.set("log.connection.close", "false");
    for (name, value) in better {
        config.set(*name, *value);
    }
    user_properties(&mut config, connection.properties, kind);
    config.set("bootstrap.servers", connection.bootstrap_servers);
    connection.security.apply(&mut config);
    config
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::kafka::security::Security;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn all(properties: &[(&str, &str)]) -> [ClientConfig; 5] {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let properties: BTreeMap<String, String> = properties.iter().map(owned).collect();
        let connection = Connection {
            bootstrap_servers: "kafka:9092",
            client_id: "drover",
            properties: &properties,
            security: &Security::default(),
        };
        [
            questions(&connection),
            tails(&connection, TIMEOUT),
            scan(&connection),
            group(&connection, "group"),
            transactions(&connection, "id", TIMEOUT),
        ]
    }

    #[test]
    fn librdkafka_accepts_every_property_of_every_client() {
        for config in all(&[]) {
            config.create_native_config().unwrap();
        }
    }

    #[test]
    fn answers_to_questions_are_bounded_whatever_the_user_says() {
        let theirs = [
            ("receive.message.max.bytes", "1000000000"),
            ("fetch.max.bytes", "900000000"),
            ("message.max.bytes", "900000000"),
        ];
        let [questions, tails, _, group, _] = all(&theirs);
        for config in [questions, tails, group] {
            let _: rdkafka::consumer::BaseConsumer = config.create().unwrap();
            assert_eq!(config.get("receive.message.max.bytes"), Some("8388608"));
        }
    }

    #[test]
    fn a_users_property_replaces_what_is_merely_better_and_never_a_promise() {
        let theirs = [
            ("linger.ms", "7"),
            ("compression.type", "zstd"),
            ("acks", "1"),
            ("transactional.id", "theirs"),
            ("isolation.level", "read_uncommitted"),
            ("enable.auto.commit", "true"),
        ];
        let [_, _, scan, group, transactions] = all(&theirs);
        assert_eq!(transactions.get("linger.ms"), Some("7"));
        assert_eq!(transactions.get("compression.type"), Some("zstd"));
        assert_eq!(transactions.get("acks"), Some("all"));
        assert_eq!(transactions.get("transactional.id"), Some("id"));
        assert_eq!(scan.get("isolation.level"), Some("read_committed"));
        assert_eq!(scan.get("fetch.max.bytes"), Some("4194304"));
        assert_eq!(group.get("enable.auto.commit"), Some("false"));
    }
}
