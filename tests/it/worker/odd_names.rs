//! Headers whose names are no text, keys and values that are null or empty: from a topic to its dead letters and back.

use std::collections::BTreeMap;

use drover::kafka::client_config::{self, Connection};
use drover::kafka::producer::{Outgoing, Producer};
use drover::kafka::scan::{Scan, Step};
use drover::kafka::security::Security;
use drover::worker_config::{OnExhausted, WorkerConfig};
use serde_json::{Value, json};

use super::kafka::{DEADLINE, Kafka, eventually};
use super::replayed::dlq;
use super::web::{Web, ok, status};
use super::workers::{Worker, config};
use crate::lag_broker::broker;

/// Bytes, or Kafka's null.
type Bytes = Option<Vec<u8>>;
/// Key, value and headers.
type Content = (Bytes, Bytes, Vec<(Vec<u8>, Bytes)>);

const HEADERS: [(&[u8], Option<&[u8]>); 8] = [
    (b"a", Some(b"1")),
    (b"a", None),
    (b"A", Some(b"")),
    (b"", Some(b"no name")),
    (b"\xff\xfe", Some(b"\x00\r\n")),
    (b"\xff\xfd", None),
    (b"nul\0name", Some(b"x")),
    (b"\0", None),
];

fn at_broker<T>(f: impl FnOnce(&Connection<'_>) -> T) -> T {
    f(&Connection {
        bootstrap_servers: &broker().servers,
        client_id: "odd-names",
        properties: &BTreeMap::new(),
        security: &Security::default(),
    })
}

fn write(topic: &str, key: Option<&[u8]>, value: Option<&[u8]>) {
    let config = at_broker(|connection| client_config::producer(connection, DEADLINE));
    let producer = Producer::new(&config).unwrap();
    let written = producer.send(Outgoing {
        topic,
        key,
        value,
        headers: HEADERS.to_vec(),
        ..Outgoing::default()
    });
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(written)
        .unwrap();
}

/// What `topic` has between these offsets, but for headers that are Drover's, in any order.
fn read(topic: &str, offsets: std::ops::Range<i64>) -> Vec<Content> {
    let ranges = BTreeMap::from([(0, offsets)]);
    let scan = at_broker(|connection| Scan::open(connection, topic, &ranges, Some(DEADLINE)));
    let (mut scan, mut found) = (scan.unwrap(), Vec::new());
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    loop {
        let step = scan.step(std::time::Duration::from_millis(100), |message| {
            let mut headers = Vec::new();
            message.each_header(|name, value| {
                if !name.starts_with(b"drover-") {
                    headers.push((name.to_vec(), owned(value)));
                }
            });
            found.push((owned(message.key()), owned(message.value()), headers));
        });
        if step.unwrap() == Step::End {
            found.sort();
            return found;
        }
    }
}

#[test]
fn what_is_no_text_comes_back_from_dead_letters_byte_for_byte() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let topic = runtime.block_on(broker().create_topic("odd-names", 1));
    let dead = runtime.block_on(broker().create_topic("odd-names-dlq", 1));
    write(&topic, None, Some(b""));
    write(&topic, Some(b""), None);
    write(&topic, Some(b"\xff\0"), Some(b"\xfe\r\n"));
    let produced = read(&topic, 0..3);
    let expected = HEADERS.map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)));
    assert_eq!(produced[0].2, expected);

    let web = Web::start(|_| status(422));
    let _worker = Worker::in_pod(
        "pod-1",
        WorkerConfig {
            bootstrap_servers: broker().servers.clone(),
            group_id: topic.clone(),
            topics: vec![topic.clone()],
            dead_letter_topic: Some(dead.clone()),
            on_exhausted: OnExhausted::DeadLetter,
            // The mock only lends its settings.
            ..config(&Kafka::with_topic("unused", 1), &web)
        },
    );
    let seen = web.wait_for_count(3);
    let all: Value = serde_json::from_str(seen[0].header("drover-headers").unwrap()).unwrap();
    let base64 = |text: &str| json!({ "base64": text });
    let expected = json!([
        ["a", "1"],
        ["a", null],
        ["A", ""],
        ["", "no name"],
        [base64("//4="), "\0\r\n"],
        [base64("//0="), null],
        ["nul\0name", "x"],
        ["\0", null],
    ]);
    assert_eq!(all, expected);
    eventually("three dead letters", || {
        (dlq(&dead, "list", &[])["total"] == 3).then_some(())
    });
    assert_eq!(read(&dead, 0..3), produced);

    web.behave(|_| ok());
    assert_eq!(dlq(&dead, "replay", &[])["replayed"], 3);
    web.wait_for_count(6);
    // Between them and those before there may be what ends a transaction.
    let all = read(&topic, 0..100);
    assert_eq!(all.len(), 6);
    let twice = produced.iter().flat_map(|one| [one.clone(), one.clone()]);
    assert_eq!(all, twice.collect::<Vec<_>>());
}
