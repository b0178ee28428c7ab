//! Dead letters of a worker, read back by `drover dlq` in every style and replayed to the worker.

use std::process::Command;
use std::time::Duration;

use drover::worker_config::{
    HeaderStyle, Idempotency, IdempotencyKey, OnExhausted, OnMissingKey, OnStoreError, StoreKind,
    WorkerConfig,
};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use super::kafka::{DEADLINE, Kafka, eventually};
use super::web::{Web, ok, status, tally};
use super::workers::{Worker, config, texts};
use crate::lag_broker::broker;

pub fn dlq(topic: &str, verb: &str, more: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
    let servers = &broker().servers;
    // The machine may be very busy.
    let patient = ["--timeout", "90s", "-o", "json"];
    let place = ["dlq", verb, "--bootstrap", servers, "--topic", topic];
    command.args(place).args(patient).args(more);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn is_replayed_and_handled(style: HeaderStyle) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let name = format!("replayed-{style:?}");
    let topic = runtime.block_on(broker().create_topic(&name, 1));
    let dead = runtime.block_on(broker().create_topic(&format!("{name}-dlq"), 1));
    let values = texts("v", 3);
    let mut client = ClientConfig::new();
    let producer: BaseProducer = client
        .set("bootstrap.servers", &broker().servers)
        .create()
        .unwrap();
    for value in &values {
        producer
            .send(BaseRecord::to(&topic).key(value).payload(value))
            .unwrap();
    }
    producer.flush(DEADLINE).unwrap();
    let web = Web::start(|_| status(422));
    let _worker = Worker::in_pod(
        "pod-1",
        WorkerConfig {
            bootstrap_servers: broker().servers.clone(),
            group_id: topic.clone(),
            topics: vec![topic.clone()],
            dead_letter_topic: Some(dead.clone()),
            dead_letter_headers: style,
            on_exhausted: OnExhausted::DeadLetter,
            // The mock only lends its settings.
            ..config(&Kafka::with_topic("unused", 1), &web)
        },
    );
    // Looking is a process each time: only once there is something to see.
    web.wait_for_count(3);
    let list = eventually("three dead letters", || {
        let list = dlq(&dead, "list", &[]);
        (list["total"] == 3).then_some(list)
    });
    assert_eq!(list["reasons"], json!({ "Rejected": 3 }), "{style:?}");
    assert_eq!(
        list["origins"],
        json!({ format!("{topic}[0]"): 3 }),
        "{style:?}"
    );
    let shown = dlq(&dead, "show", &[]);
    // Records of different keys are dead-lettered in any order.
    let letters = shown["letters"].as_array().unwrap();
    let mut offsets: Vec<_> = letters
        .iter()
        .map(|letter| letter["origin"]["offset"].as_i64())
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [Some(0), Some(1), Some(2)], "{style:?}");
    assert_eq!(letters[0]["attempts"], 1, "{style:?}");

    web.behave(|_| ok());
    assert_eq!(dlq(&dead, "replay", &[])["replayed"], 3, "{style:?}");
    let seen = web.wait_for_count(6);
    assert!(
        values.iter().all(|value| tally(&seen)[value] == 2),
        "{:?}",
        tally(&seen)
    );
    assert_eq!(dlq(&dead, "replay", &[])["replayed"], 0, "{style:?}");
}

#[test]
fn what_a_worker_gave_up_is_replayed_and_handled() {
    is_replayed_and_handled(HeaderStyle::Drover);
}

#[test]
fn what_a_worker_gave_up_in_springs_headers_is_replayed_and_handled() {
    is_replayed_and_handled(HeaderStyle::Spring);
}

#[test]
fn what_a_worker_gave_up_in_connects_headers_is_replayed_and_handled() {
    is_replayed_and_handled(HeaderStyle::KafkaConnect);
}

#[test]
fn what_was_replayed_to_the_retry_topic_is_known_again_by_where_it_was_first() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let topic_of = |name: &str| runtime.block_on(broker().create_topic(name, 1));
    let topic = topic_of("retried");
    let (dead, retry) = (topic_of("retried-dlq"), topic_of("retried-again"));
    let values = texts("v", 3);
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &broker().servers);
    let producer: BaseProducer = client.create().unwrap();
    let write = |topic: &str, prefix: &str| {
        for value in &values {
            let payload = format!("{prefix}{value}");
            let record = BaseRecord::to(topic).key(value).payload(&payload);
            producer.send(record).unwrap();
        }
        producer.flush(DEADLINE).unwrap();
    };
    write(&topic, "");
    let web = Web::start(|_| status(422));
    let idempotency = Idempotency {
        key: IdempotencyKey::Offset,
        redrive_header: None,
        retry_topic: Some(retry.clone()),
        store: StoreKind::Memory { max_entries: 100 },
        scope: "shop.orders".to_owned(),
        retention: Duration::from_secs(3_600),
        lease: Duration::from_secs(60),
        on_store_error: OnStoreError::default(),
        on_missing_key: OnMissingKey::default(),
    };
    let _worker = Worker::in_pod(
        "pod-1",
        WorkerConfig {
            bootstrap_servers: broker().servers.clone(),
            group_id: topic.clone(),
            topics: vec![topic.clone(), retry.clone()],
            dead_letter_topic: Some(dead.clone()),
            retry_topic: Some(retry.clone()),
            on_exhausted: OnExhausted::DeadLetter,
            idempotency: Some(idempotency),
            // The mock only lends its settings.
            ..config(&Kafka::with_topic("unused", 1), &web)
        },
    );
    web.wait_for_count(3);
    eventually("three dead letters", || {
        (dlq(&dead, "list", &[])["total"] == 3).then_some(())
    });
    web.behave(|_| ok());
    let to = ["--to", &retry];
    assert_eq!(dlq(&dead, "replay", &to)["replayed"], 3);
    web.wait_for_count(6);
    // They were handled, and come once more; what has the same keys comes after them.
    let again = ["--to", &retry, "--again"];
    assert_eq!(dlq(&dead, "replay", &again)["replayed"], 3);
    write(&retry, "after-");
    let seen = web.wait_for_count(9);
    let tally = tally(&seen);
    for value in &values {
        assert_eq!(tally[value], 2, "{tally:?}");
        assert_eq!(tally[&format!("after-{value}")], 1, "{tally:?}");
    }
}
