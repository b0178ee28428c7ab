//! `drover dlq` as a program, against a real broker, and a real API server where one is named; a file for each
//! thing that it does. Here are the topics that the tests work on.

mod interrupted;
mod left;
mod look;
mod named;
mod purge;
mod replay;
mod shared;
mod together;

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use drover::clock::Monotonic;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value;

use crate::lag_broker::broker;

const DEADLINE: Duration = Duration::from_secs(90);

fn drover(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
    command
        .arg("dlq")
        .args(arguments)
        .env_remove("DROVER_BOOTSTRAP")
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null());
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn told(command: &mut Command) -> Value {
    serde_json::from_str(&said(command.args(["-o", "json"]))).unwrap()
}

fn failed(output: &Output, code: i32) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// A topic, its dead-letter topic, and what is in both.
pub struct Stage {
    pub servers: &'static str,
    pub topic: String,
    pub dlq: String,
}

impl Stage {
    pub async fn of(name: &str, partitions: i32) -> Self {
        let broker = broker();
        Self {
            servers: &broker.servers,
            topic: broker.create_topic(name, partitions).await,
            dlq: broker
                .create_topic(&format!("{name}-dlq"), partitions)
                .await,
        }
    }

    fn dlq(&self, verb: &str, arguments: &[&str]) -> Command {
        // The machine may be very busy.
        let patient = ["--timeout", "90s"];
        let servers = ["--bootstrap", self.servers, "--topic", &self.dlq];
        drover(&[&[verb], &servers[..], &patient, arguments].concat())
    }

    pub fn producer(&self) -> BaseProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.servers);
        config.set("partitioner", "murmur2_random");
        config.set("linger.ms", "5").create().unwrap()
    }

    /// Dead letters as Drover writes them, numbered from `first`: the key is the number modulo 10.
    pub fn write(&self, first: usize, count: usize, reason: &str) {
        let producer = self.producer();
        for number in first..first + count {
            let headers = [
                ("tenant", "a"),
                ("drover-dlq-topic", &self.topic),
                ("drover-dlq-partition", "0"),
                ("drover-dlq-offset", &number.to_string()),
                ("drover-dlq-reason", reason),
                ("drover-dlq-attempts", "5"),
                ("drover-dlq-status", "500"),
                ("drover-dlq-error", "boom"),
            ];
            self.put(
                &producer,
                &format!("key-{}", number % 10),
                &number.to_string(),
                &headers,
            );
        }
        producer.flush(DEADLINE).unwrap();
    }

    pub fn put(&self, producer: &BaseProducer, key: &str, value: &str, headers: &[(&str, &str)]) {
        let mut owned = OwnedHeaders::new();
        for (key, value) in headers {
            let value = Some(*value);
            owned = owned.insert(Header { key, value });
        }
        let record = BaseRecord::to(&self.dlq)
            .key(key)
            .payload(value)
            .headers(owned);
        producer.send(record).unwrap();
        producer.poll(Duration::ZERO);
    }

    /// All that a reader of committed records gets of `topic`, in its order.
    pub fn read(&self, topic: &str) -> Vec<Read> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.servers)
            .set("group.id", "reads")
            .set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).unwrap();
        let mut list = TopicPartitionList::new();
        let count = metadata.topics()[0].partitions().len();
        for partition in 0..count {
            let partition = i32::try_from(partition).unwrap();
            list.add_partition_offset(topic, partition, Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&list).unwrap();
        let (mut ends, mut found) = (0, Vec::new());
        let clock = Monotonic::start();
        while ends < count {
            assert!(clock.elapsed() < DEADLINE, "{topic} is not read");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => found.push(Read::of(&message)),
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ends += 1,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
        found
    }

    /// Each number once, those of a key in their order.
    #[track_caller]
    pub fn assert_moved(&self, topic: &str, numbers: impl Iterator<Item = usize>) {
        let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for read in self.read(topic) {
            by_key
                .entry(read.key)
                .or_default()
                .push(read.value.parse().unwrap());
        }
        let mut expected: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for number in numbers {
            expected
                .entry(format!("key-{}", number % 10))
                .or_default()
                .push(number);
        }
        assert!(by_key == expected, "{by_key:?}");
    }
}

pub struct Read {
    pub key: String,
    pub value: String,
    headers: Vec<(String, String)>,
}

impl Read {
    fn of(message: &impl Message) -> Self {
        let text =
            |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let headers = message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter());
        Self {
            key: text(message.key()),
            value: text(message.payload()),
            headers: headers.map(|h| (h.key.to_owned(), text(h.value))).collect(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n == name);
        let found = named.next().map(|(_, value)| value.as_str());
        assert!(named.next().is_none(), "{name} is there twice");
        found
    }
}
