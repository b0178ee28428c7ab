//! Benchmark: fills a topic with records of random bytes, by one producer.
//!
//! `bench_load BROKERS TOPIC PARTITIONS COUNT BYTES KEYS [PER_SECOND]`. With PER_SECOND records are sent
//! one by one at that rate, each of which begins with the nanoseconds since 1970 at which it was sent.

use std::time::Duration;

use anyhow::Context as _;
use drover::clock::{self, Monotonic};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, partitions, count, bytes, keys, rate @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: bench_load BROKERS TOPIC PARTITIONS COUNT BYTES KEYS [PER_SECOND]");
    };
    let rate: Option<f64> = rate.first().map(|rate| rate.parse()).transpose()?;
    let linger = if rate.is_some() { "0" } else { "20" };
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config.set("linger.ms", linger);
    config.set("queue.buffering.max.messages", "200000");
    create(&config, topic, partitions.parse()?)?;

    let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
    let (count, bytes, keys): (u64, usize, u64) = (count.parse()?, bytes.parse()?, keys.parse()?);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut value = vec![0_u8; bytes];
    let clock = Monotonic::start();
    for number in 0..count {
        random.fill(&mut value);
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(number as f64 / rate);
            while let Some(rest) = due.checked_sub(clock.elapsed()) {
                std::thread::park_timeout(rest);
            }
            let now = i64::try_from(clock::now().as_nanosecond())?;
            value[..8].copy_from_slice(&now.to_le_bytes());
        }
        let key = (number % keys).to_string();
        let mut record = BaseRecord::to(topic).key(&key).payload(&value);
        while let Err((error, unsent)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            anyhow::ensure!(error == full, "produce: {error}");
            std::thread::park_timeout(Duration::from_millis(5));
            record = unsent;
        }
    }
    producer.flush(Duration::from_secs(120)).context("flush")
}

fn create(config: &ClientConfig, topic: &str, partitions: i32) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let created = admin.create_topics([&new], &AdminOptions::new());
    for result in futures::executor::block_on(created)? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, error)) => anyhow::bail!("create {topic}: {error}"),
        }
    }
    Ok(())
}

/// xorshift: fast, and incompressible enough.
struct Random(u64);

impl Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}
