//! `drover produce` as a program, against librdkafka's mock cluster.

mod refused;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use drover::clock::Monotonic;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);

struct Kafka {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Kafka {
    fn with_topic(topic: &str, partitions: i32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(topic, partitions, 1).unwrap();
        Self { cluster }
    }

    fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// The first `count` records of a topic, read as `read` wants them.
    fn records<T>(
        &self,
        topic: &str,
        partitions: i32,
        count: usize,
        read: impl Fn(&BorrowedMessage<'_>) -> T,
    ) -> Vec<T> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap())
            .set("group.id", "reader")
            .create()
            .unwrap();
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            assignment
                .add_partition_offset(topic, partition, Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let clock = Monotonic::start();
        let mut found = Vec::new();
        while found.len() < count {
            assert!(
                clock.elapsed() < DEADLINE,
                "only {} records came",
                found.len()
            );
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                found.push(read(&message.unwrap()));
            }
        }
        found
    }
}

fn produce(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_drover"))
        .arg("produce")
        .args(arguments)
        .env_remove("DROVER_BOOTSTRAP")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that takes no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn succeeded(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn failed(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn utf8(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn counted_records_are_numbered_within_their_key_and_a_key_keeps_its_partition() {
    let kafka = Kafka::with_topic("orders", 4);
    let arguments = ["--bootstrap", &kafka.bootstrap(), "--topic", "orders"];
    let summary = succeeded(&produce(
        &[
            &arguments[..],
            &["--count", "1000", "--keys", "30", "-o", "json"],
        ]
        .concat(),
        "",
    ));
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(
        (&summary["produced"], &summary["partitions"]),
        (&json!(1000), &json!(4))
    );

    let records = kafka.records("orders", 4, 1000, |message| {
        let value: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        let key = utf8(message.key()).unwrap();
        assert_eq!(value["key"], json!(key));
        (key, message.partition(), value["seq"].as_u64().unwrap())
    });
    let mut keys: BTreeMap<&str, (i32, u64)> = BTreeMap::new();
    for (key, partition, seq) in &records {
        let (home, last) = keys.entry(key).or_insert((*partition, 0));
        assert_eq!((*home, *last + 1), (*partition, *seq), "{key}");
        *last = *seq;
    }
    assert_eq!(keys.len(), 30);
    let used: BTreeSet<i32> = keys.values().map(|(home, _)| *home).collect();
    assert_eq!(used.len(), 4);
}

#[test]
fn lines_of_standard_input_are_records_with_the_key_and_the_headers() {
    let kafka = Kafka::with_topic("orders", 1);
    let bootstrap = kafka.bootstrap();
    let arguments = [
        "--bootstrap",
        &bootstrap,
        "--topic",
        "orders",
        "--key",
        "k",
        "--header",
        "a=b=c",
    ];
    let said = succeeded(&produce(&arguments, "one\n\ntwo"));
    assert!(
        said.starts_with("3 records produced to orders (1 partition) in "),
        "{said}"
    );
    let records = kafka.records("orders", 1, 3, |message| {
        let header = message.headers().unwrap().get(0);
        (
            utf8(message.key()),
            utf8(message.payload()),
            header.key.to_owned(),
            utf8(header.value),
        )
    });
    let expected = ["one", "", "two"].map(|value| {
        (
            Some("k".to_owned()),
            Some(value.to_owned()),
            "a".to_owned(),
            Some("b=c".to_owned()),
        )
    });
    assert_eq!(records, expected);
}

#[test]
fn json_lines_carry_tombstones_and_headers_without_value() {
    let kafka = Kafka::with_topic("orders", 1);
    let arguments = [
        "--bootstrap",
        &kafka.bootstrap(),
        "--topic",
        "orders",
        "--json-lines",
    ];
    let lines =
        "{\"key\":\"k\",\"value\":null}\n\n{\"value\":{\"id\":7},\"headers\":{\"none\":null}}\n";
    succeeded(&produce(&arguments, lines));
    let records = kafka.records("orders", 1, 2, |message| {
        let headers: Vec<(String, Option<String>)> = message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter())
            .map(|header| (header.key.to_owned(), utf8(header.value)))
            .collect();
        (utf8(message.key()), utf8(message.payload()), headers)
    });
    assert_eq!(
        records,
        [
            (Some("k".to_owned()), None, vec![]),
            (
                None,
                Some(r#"{"id":7}"#.to_owned()),
                vec![("none".to_owned(), None)]
            ),
        ]
    );
}

#[test]
fn arguments_are_records_without_key() {
    let kafka = Kafka::with_topic("orders", 1);
    let arguments = [
        "--bootstrap",
        &kafka.bootstrap(),
        "--topic",
        "orders",
        "one",
        "two",
    ];
    succeeded(&produce(&arguments, ""));
    let records = kafka.records("orders", 1, 2, |m| (utf8(m.key()), utf8(m.payload())));
    assert_eq!(
        records,
        [
            (None, Some("one".to_owned())),
            (None, Some("two".to_owned()))
        ]
    );
}

#[test]
fn a_rate_is_kept() {
    let kafka = Kafka::with_topic("orders", 1);
    let arguments = ["--bootstrap", &kafka.bootstrap(), "--topic", "orders"];
    let summary = succeeded(&produce(
        &[
            &arguments[..],
            &["--count", "41", "--rate", "40", "-o", "json"],
        ]
        .concat(),
        "",
    ));
    let summary: Value = serde_json::from_str(&summary).unwrap();
    // The 41st is due one second after the first. How late it is depends on the machine.
    assert!(summary["seconds"].as_f64().unwrap() >= 0.99, "{summary}");
}
