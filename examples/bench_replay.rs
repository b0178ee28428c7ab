//! Benchmark: dead letters to replay, and what a loop without any promise reaches that only copies.
//!
//! `bench_replay fill BROKERS TOPIC PARTITIONS COUNT BYTES KEYS` writes dead letters with the headers
//! that the worker gives them. `bench_replay topic BROKERS TOPIC PARTITIONS` makes a topic.
//! `bench_replay copy BROKERS FROM PARTITIONS TO COUNT` reads COUNT records and writes them with
//! their keys, values and headers, idempotent and acknowledged by all, but in no transaction, with
//! nothing looked at and nothing noted.

use std::time::Duration;

use anyhow::Context as _;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: bench_replay fill BROKERS TOPIC PARTITIONS COUNT BYTES KEYS, topic BROKERS TOPIC PARTITIONS, \
     or copy BROKERS FROM PARTITIONS TO COUNT";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["fill", brokers, topic, partitions, count, bytes, keys] => {
            create(brokers, topic, partitions.parse()?)?;
            fill(
                brokers,
                topic,
                count.parse()?,
                bytes.parse()?,
                keys.parse()?,
            )
        }
        ["topic", brokers, topic, partitions] => create(brokers, topic, partitions.parse()?),
        ["copy", brokers, from, partitions, to, count] => {
            copy(brokers, from, partitions.parse()?, to, count.parse()?)
        }
        _ => anyhow::bail!(USAGE),
    }
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

fn create(brokers: &str, topic: &str, partitions: i32) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create()?;
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let created = admin.create_topics([&new], &AdminOptions::new());
    for result in futures::executor::block_on(created)? {
        result.map_err(|(topic, error)| anyhow::anyhow!("create {topic}: {error}"))?;
    }
    Ok(())
}

fn producer(brokers: &str) -> anyhow::Result<BaseProducer> {
    let mut config = client(brokers);
    config.set("partitioner", "murmur2_random");
    config.set("linger.ms", "5");
    config.set("batch.num.messages", "10000");
    config.set("compression.type", "lz4");
    config.set("acks", "all");
    config.set("enable.idempotence", "true");
    config.set("queue.buffering.max.kbytes", "32768");
    Ok(config.create()?)
}

fn send(producer: &BaseProducer, record: BaseRecord<'_, [u8], [u8]>) -> anyhow::Result<()> {
    let mut record = record;
    while let Err((error, unsent)) = producer.send(record) {
        let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
        anyhow::ensure!(error == full, "produce: {error}");
        producer.poll(Duration::from_millis(1));
        record = unsent;
    }
    Ok(())
}

fn fill(brokers: &str, topic: &str, count: u64, bytes: usize, keys: u64) -> anyhow::Result<()> {
    let producer = producer(brokers)?;
    let mut value = vec![0_u8; bytes];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..count {
        for chunk in value.chunks_mut(8) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            chunk.copy_from_slice(&random.to_le_bytes()[..chunk.len()]);
        }
        let offset = number.to_string();
        let mut headers = OwnedHeaders::new_with_capacity(18);
        for (key, value) in [
            ("tenant", "a"),
            ("message-id", offset.as_str()),
            ("drover-dlq-origin-topic", "orders"),
            ("drover-dlq-origin-partition", "3"),
            ("drover-dlq-origin-offset", offset.as_str()),
            ("drover-dlq-topic", "orders"),
            ("drover-dlq-partition", "3"),
            ("drover-dlq-offset", offset.as_str()),
            ("drover-dlq-timestamp", "1795075200000"),
            ("drover-dlq-group", "shop.orders"),
            ("drover-dlq-consumer", "orders"),
            ("drover-dlq-pod", "orders-7d4b9c6f5-x2x9q"),
            ("drover-dlq-reason", "AttemptsExhausted"),
            ("drover-dlq-attempts", "5"),
            ("drover-dlq-error-class", "HttpStatus"),
            ("drover-dlq-error", "the handler answered 500: no such user"),
            ("drover-dlq-status", "500"),
            ("drover-dlq-failed-at", "2026-11-19T12:00:00Z"),
        ] {
            let value = Some(value);
            headers = headers.insert(Header { key, value });
        }
        let key = (number % keys).to_string();
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        record.key = Some(key.as_bytes());
        record.payload = Some(&value);
        record.headers = Some(headers);
        send(&producer, record)?;
        if number % 256 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(120)).context("flush")
}

fn copy(brokers: &str, from: &str, partitions: i32, to: &str, count: u64) -> anyhow::Result<()> {
    let mut config = client(brokers);
    config.set("group.id", "bench-copy");
    config.set("enable.auto.commit", "false");
    config.set("fetch.queue.backoff.ms", "5");
    config.set("queued.max.messages.kbytes", "16384");
    config.set("check.crcs", "true");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(from, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let producer = producer(brokers)?;
    for number in 0..count {
        let message = consumer
            .poll(Duration::from_secs(60))
            .context("nothing came for a minute")??;
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(to);
        record.key = message.key();
        record.payload = message.payload();
        record.headers = message.headers().map(|headers| headers.detach());
        send(&producer, record)?;
        if number % 256 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
    }
    Ok(())
}
