//! What cannot be produced, and what becomes of the rest.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use rdkafka::message::{Headers, Message};
use serde_json::{Value, json};

use super::{Kafka, failed, produce, succeeded, utf8};

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

/// librdkafka's mock knows no request to create topics.
#[test]
fn a_topic_is_created_at_the_kafka_of_drover_dev_or_refused_at_once() {
    let kafka = Kafka::with_topic("orders", 1);
    let bootstrap = kafka.bootstrap();
    let create = |more: &[&str]| {
        let all = ["--bootstrap", &bootstrap, "--topic", "refunds", "--create"];
        produce(&[&all[..], more, &["x"]].concat(), "")
    };
    let error = failed(&create(&["--partitions", "7"]));
    assert!(error.contains("with 4 partitions"), "{error}");
    assert!(error.contains("leave --partitions 7 away"), "{error}");
    succeeded(&create(&[]));
    assert_eq!(kafka.records("refunds", 4, 1, |_| ()).len(), 1);
    // It is there now.
    succeeded(&create(&[]));
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
