//! `drover produce` as a program, against librdkafka's mock cluster.

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

#[test]
fn a_line_that_is_not_json_is_named_and_what_stood_before_it_is_produced() {
    let kafka = Kafka::with_topic("orders", 1);
    let arguments = [
        "--bootstrap",
        &kafka.bootstrap(),
        "--topic",
        "orders",
        "--json-lines",
    ];
    let error = failed(&produce(&arguments, "{\"value\":1}\nnonsense\n"));
    assert!(error.contains("line 2 is not a record"), "{error}");
    assert!(
        error.contains("the record before it is produced"),
        "{error}"
    );
    let produced = kafka.records("orders", 1, 1, |record| {
        record.payload().map(<[u8]>::to_vec)
    });
    assert_eq!(produced, [Some(b"1".to_vec())]);
    let error = failed(&produce(&arguments, "nonsense\n"));
    assert!(error.contains("nothing was produced"), "{error}");
}

#[test]
fn best_effort_tells_what_went_wrong_and_goes_on() {
    let kafka = Kafka::with_topic("events", 1);
    let bootstrap = kafka.bootstrap();
    let arguments = [
        "--bootstrap",
        &bootstrap,
        "--topic",
        "events",
        "--json-lines",
        "--best-effort",
    ];
    let input = "{\"value\":\"one\"}\nno record\n{\"value\":\"two\"}\n";
    let output = produce(&arguments, input);
    assert!(succeeded(&output).contains("2 records"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("passed over: ") && told.contains("line 2"),
        "{told}"
    );
    let read = kafka.records("events", 1, 2, |message| utf8(message.payload()));
    assert_eq!(read, [Some("one".to_owned()), Some("two".to_owned())]);

    let nowhere = [
        "--bootstrap",
        "127.0.0.1:1",
        "--topic",
        "events",
        "--timeout",
        "1s",
        "--best-effort",
        "x",
    ];
    let output = produce(&nowhere, "");
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("not produced: ") && told.contains("127.0.0.1:1"),
        "{told}"
    );
    assert!(output.stdout.is_empty(), "{output:?}");
}

const TOO_LARGE: usize = 1_500_000;

#[test]
fn a_record_that_is_too_large_concerns_only_itself() {
    let kafka = Kafka::with_topic("events", 1);
    let bootstrap = kafka.bootstrap();
    let arguments = ["--bootstrap", &bootstrap, "--topic", "events", "--key", "k"];
    let input = format!("a\n{}\nb\nc\n", "y".repeat(TOO_LARGE));
    let best_effort = [&arguments[..], &["--best-effort", "-o", "json"]].concat();
    let output = produce(&best_effort, &input);
    let summary: Value = serde_json::from_str(&succeeded(&output)).unwrap();
    assert_eq!(
        (&summary["produced"], &summary["passedOver"]),
        (&json!(3), &json!(1))
    );
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.starts_with("passed over: line 2 (key k, 1,500,001 bytes): "),
        "{told}"
    );
    assert!(told.contains("max.message.bytes"), "{told}");
    let read = |count| kafka.records("events", 1, count, |message| utf8(message.payload()));
    let [a, b, c] = ["a", "b", "c"].map(|value| Some(value.to_owned()));
    assert_eq!(read(3), [a.clone(), b.clone(), c.clone()]);

    let error = failed(&produce(&arguments, &input));
    assert!(
        error.contains("line 2 (key k, 1,500,001 bytes): "),
        "{error}"
    );
    assert!(
        error.contains("the record before it is produced"),
        "{error}"
    );
    assert_eq!(read(4), [a.clone(), b, c, a]);
}

#[test]
fn of_a_batch_that_the_brokers_refuse_each_record_is_tried_alone() {
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE};

    let kafka = Kafka::with_topic("events", 1);
    let bootstrap = kafka.bootstrap();
    let arguments = [
        "--bootstrap",
        &bootstrap,
        "--topic",
        "events",
        "--header",
        "h=1",
        "--property",
        "linger.ms=500",
    ];
    let too_large = [RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 2];
    // The batch, and the first of its records.
    kafka
        .cluster
        .request_errors(RDKafkaApiKey::Produce, &too_large);
    let best_effort = [&arguments[..], &["--best-effort"]].concat();
    let output = produce(&best_effort, "a\nb\nc\n");
    assert!(succeeded(&output).contains("; 1 passed over"), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.starts_with("passed over: line 1 (1 bytes): "),
        "{told}"
    );
    let read = kafka.records("events", 1, 2, |message| {
        let headers = message.headers().map(|headers| headers.count());
        (utf8(message.payload()), headers)
    });
    let expected = ["b", "c"].map(|value| (Some(value.to_owned()), Some(1)));
    assert_eq!(read, expected);

    kafka
        .cluster
        .request_errors(RDKafkaApiKey::Produce, &too_large[..1]);
    let error = failed(&produce(&arguments, "a\nbb\nc\n"));
    assert!(
        error.contains("took no more with line 2 (2 bytes), the largest of 3 sent at once: "),
        "{error}"
    );
    assert!(error.contains("batch.size"), "{error}");
}

/// Lets it begin, sends Ctrl-C once, and waits; standard input stays open until it has ended.
fn interrupted(kafka: &Kafka, arguments: &[&str], input: &str, records: usize) -> Output {
    let bootstrap = kafka.bootstrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(["produce", "--bootstrap", &bootstrap, "--topic", "orders"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut open = child.stdin.take().unwrap();
    open.write_all(input.as_bytes()).unwrap();
    kafka.records("orders", 1, records, |_| ());
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(open);
    output
}

#[test]
fn ctrl_c_ends_it_at_once_with_what_was_acknowledged_and_exits_with_130() {
    for (arguments, input) in [
        (&[][..], "one\ntwo\n"),
        (&["--count", "1000000", "--rate", "0.2"], ""),
    ] {
        let kafka = Kafka::with_topic("orders", 1);
        let output = interrupted(&kafka, arguments, input, 1);
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(" produced to orders"), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn a_missing_topic_is_named_with_its_remedy_and_not_created() {
    let kafka = Kafka::with_topic("orders", 1);
    let bootstrap = kafka.bootstrap();
    for _ in 0..2 {
        let error = failed(&produce(
            &["--bootstrap", &bootstrap, "--topic", "order", "x"],
            "",
        ));
        assert!(error.contains("topic order does not exist"), "{error}");
        assert!(error.contains("--create"), "{error}");
    }
}

#[test]
fn no_broker_is_said_with_the_address_and_the_reason() {
    // Nothing listens on port 1.
    let arguments = [
        "--bootstrap",
        "127.0.0.1:1",
        "--topic",
        "orders",
        "--timeout",
        "1s",
        "x",
    ];
    let error = failed(&produce(&arguments, ""));
    assert!(
        error.contains("no broker at 127.0.0.1:1 answered within 1s"),
        "{error}"
    );
    assert!(error.contains("refused"), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
}
