//! The broker as a test sees it: topics, records, committed offsets.

use std::time::Duration;

use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use crate::world::bootstrap;

const TIMEOUT: Duration = Duration::from_secs(20);

fn config() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap());
    config
}

pub async fn create_topic(name: &str, partitions: i32) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = config().create()?;
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for result in admin.create_topics([&topic], &AdminOptions::new()).await? {
        result.map_err(|(topic, code)| anyhow::anyhow!("create topic {topic}: {code}"))?;
    }
    Ok(())
}

/// Records `first..=last` of each of `keys` keys, as `drover produce --count` makes them.
pub fn produce(topic: &str, keys: u64, first: u64, last: u64) -> anyhow::Result<u64> {
    let producer: ThreadedProducer<DefaultProducerContext> = config()
        .set("linger.ms", "5")
        .set("enable.idempotence", "true")
        .set("queue.buffering.max.messages", "1000000")
        .create()?;
    let mut produced = 0;
    for seq in first..=last {
        for key in 0..keys {
            let key = format!("key-{key}");
            let value = format!(r#"{{"key":"{key}","seq":{seq}}}"#);
            producer
                .send(BaseRecord::to(topic).key(&key).payload(&value))
                .map_err(|(error, _)| error)?;
            produced += 1;
        }
    }
    producer.flush(TIMEOUT)?;
    Ok(produced)
}

/// End offsets less committed offsets, all partitions together; what was never committed counts
/// from the log's start.
pub async fn lag(group: &str, topic: &str) -> anyhow::Result<i64> {
    let (group, topic) = (group.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config().set("group.id", &group).create()?;
        let metadata = consumer.fetch_metadata(Some(&topic), TIMEOUT)?;
        let found = metadata.topics().first().context("topic")?;
        let mut wanted = TopicPartitionList::new();
        for partition in found.partitions() {
            wanted.add_partition(&topic, partition.id());
        }
        let committed = consumer.committed_offsets(wanted, TIMEOUT)?;
        let mut lag = 0;
        for element in committed.elements() {
            let (start, end) = consumer.fetch_watermarks(&topic, element.partition(), TIMEOUT)?;
            lag += match element.offset() {
                Offset::Offset(offset) => end - offset,
                _ => end - start,
            };
        }
        Ok(lag)
    })
    .await?
}

/// A record as it lies in a topic.
#[derive(Debug, Clone)]
pub struct Found {
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(String, String)>,
}

/// The first `count` records of partition 0 of a topic.
pub async fn read(topic: &str, count: usize) -> anyhow::Result<Vec<Found>> {
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config()
            .set("group.id", "e2e-reader")
            .set("enable.auto.commit", "false")
            .create()?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&topic, 0, Offset::Beginning)?;
        consumer.assign(&from)?;
        let mut found = Vec::new();
        while found.len() < count {
            let message = consumer.poll(TIMEOUT).context("no more records")??;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            found.push(Found {
                key: message.key().map(text),
                value: message.payload().map(text),
                headers: message
                    .headers()
                    .map(|headers| {
                        headers
                            .iter()
                            .map(|header| {
                                (
                                    header.key.to_owned(),
                                    text(header.value.unwrap_or_default()),
                                )
                            })
                            .collect()
                    })
                    .unwrap_or_default(),
            });
        }
        Ok(found)
    })
    .await?
}
