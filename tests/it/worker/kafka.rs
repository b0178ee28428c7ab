//! A Kafka cluster inside the test, and what tests do to it from outside of any worker.

use std::time::{Duration, Instant};

use drover::kafka::{Embedded, Silent};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::workers::GROUP;

/// What no condition of these tests takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives something.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "a deadline for a condition")]
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(
            begun.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}"
        );
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

pub struct Kafka {
    cluster: Embedded,
    pub servers: String,
    producer: ThreadedProducer<DefaultProducerContext>,
    /// Asks for the group's offsets, without being a member.
    observer: BaseConsumer,
}

/// A record as read from a topic.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp: Option<i64>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Read {
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.iter().find(|(n, _)| n == name)?.1.as_deref()?;
        std::str::from_utf8(value).ok()
    }
}

impl Kafka {
    pub fn with_topic(topic: &str, partitions: i32) -> Self {
        let cluster = Embedded::start().unwrap();
        cluster.create_topic(topic, partitions).unwrap();
        let servers = cluster.servers().to_owned();
        // Where a broker goes and comes back they must not take all of a test's patience to see it.
        let client = || {
            let mut config = ClientConfig::new();
            config
                .set("bootstrap.servers", &servers)
                .set("reconnect.backoff.max.ms", "300")
                .set("socket.connection.setup.timeout.ms", "5000");
            config
        };
        let producer = client().set("linger.ms", "1").create().unwrap();
        let observer = client().set("group.id", GROUP).create().unwrap();
        Self {
            cluster,
            servers,
            producer,
            observer,
        }
    }

    /// What can be made to misbehave.
    pub fn mock(&self) -> MockCluster<'_, Silent> {
        self.cluster.cluster()
    }

    /// Produces a record and waits for nothing.
    pub fn send(&self, record: BaseRecord<'_, [u8], [u8]>) {
        assert!(self.producer.send(record).is_ok());
    }

    /// Produces `values` into one partition, each with the key that `key` gives for its place.
    pub fn produce(&self, topic: &str, partition: i32, keys: &[&str], values: &[String]) {
        for (key, value) in keys.iter().cycle().zip(values) {
            let record = BaseRecord::to(topic).partition(partition);
            self.send(record.key(key.as_bytes()).payload(value.as_bytes()));
        }
        self.flush();
    }

    pub fn flush(&self) {
        self.producer.flush(DEADLINE).unwrap();
    }

    /// The group's committed offset and metadata for a partition.
    pub fn committed(&self, topic: &str, partition: i32) -> Option<(i64, String)> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let list = self
            .observer
            .committed_offsets(list, Duration::from_secs(10))
            .ok()?;
        let element = list.find_partition(topic, partition)?;
        match element.offset() {
            Offset::Offset(offset) => Some((offset, element.metadata().to_owned())),
            _ => None,
        }
    }

    /// Waits until the group has committed `offset` for a partition; gives the metadata.
    #[track_caller]
    pub fn wait_for_commit(&self, topic: &str, partition: i32, offset: i64) -> String {
        eventually(
            &format!("{topic}[{partition}] committed at {offset}"),
            || {
                let (at, metadata) = self.committed(topic, partition)?;
                assert!(
                    at <= offset,
                    "{topic}[{partition}] committed at {at}, beyond {offset}"
                );
                (at == offset).then_some(metadata)
            },
        )
    }

    /// Commits for a group without members, as a worker of the past did.
    pub fn commit(&self, topic: &str, partition: i32, offset: i64, metadata: &str) {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(topic, partition);
        element.set_offset(Offset::Offset(offset)).unwrap();
        element.set_metadata(metadata);
        self.observer.commit(&list, CommitMode::Sync).unwrap();
    }

    /// Waits until `topic` holds `count` records, and gives them.
    #[track_caller]
    pub fn read(&self, topic: &str, count: usize) -> Vec<Read> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.servers)
            .set("group.id", "reader")
            .set("auto.offset.reset", "earliest")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).unwrap();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut read = Vec::new();
        while read.len() < count {
            read.push(eventually(
                &format!("record {} of {topic}", read.len()),
                || {
                    let message = consumer.poll(Duration::from_millis(100))?.ok()?;
                    let header =
                        |h: Header<'_, &[u8]>| (h.key.to_owned(), h.value.map(<[u8]>::to_vec));
                    Some(Read {
                        partition: message.partition(),
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().map(<[u8]>::to_vec),
                        timestamp: message.timestamp().to_millis(),
                        headers: message
                            .headers()
                            .map(|h| h.iter().map(header).collect())
                            .unwrap_or_default(),
                    })
                },
            ));
        }
        read
    }
}

/// Headers as a producer makes them.
pub fn headers(pairs: &[(&str, Option<&[u8]>)]) -> OwnedHeaders {
    pairs
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: *value })
        })
}
