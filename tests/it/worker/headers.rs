//! Whatever Kafka allows in keys, values and headers reaches the handler.

use rdkafka::producer::BaseRecord;
use serde_json::{Value, json};

use super::kafka::{Kafka, headers};
use super::web::{Web, ok};
use super::workers::{TOPIC, Worker, config};

#[test]
fn null_binary_repeated_and_odd_headers_survive() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let odd = headers(&[
        ("plain", Some(b"text")),
        ("twice", Some(b"1")),
        ("twice", Some(b"2")),
        ("null", None),
        ("empty", Some(b"")),
        ("binary", Some(b"\x00\xfe\xff")),
        ("two words", Some("\u{fc}".as_bytes())),
        (
            "traceparent",
            Some(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
        ("Content-Type", Some(b"application/json")),
    ]);
    let record = BaseRecord::to(TOPIC)
        .partition(0)
        .key(&b"\x01\x02"[..])
        .payload(&b"{}"[..]);
    kafka.send(record.headers(odd).timestamp(1_700_000_000_123));
    let tombstone: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(TOPIC).partition(0);
    kafka.send(tombstone.key(&b"text key"[..]));
    let empty: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(TOPIC).partition(0);
    kafka.send(empty.payload(&b""[..]));
    kafka.flush();
    let web = Web::start(|_| ok());
    let _worker = Worker::start("pod-1", config(&kafka, &web));
    kafka.wait_for_commit(TOPIC, 0, 3);

    let mut seen = web.seen();
    seen.sort_by_key(|request| request.number("drover-offset"));
    let first = &seen[0];
    assert_eq!(first.text(), "{}");
    for (name, value) in [
        ("drover-topic", TOPIC),
        ("drover-partition", "0"),
        ("drover-offset", "0"),
        ("drover-timestamp", "1700000000123"),
        ("drover-key-base64", "AQI="),
        ("drover-attempt", "1"),
        ("idempotency-key", "orders/0/0"),
        ("drover-header-plain", "text"),
        ("drover-header-twice", "2"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("content-type", "application/json"),
    ] {
        assert_eq!(first.header(name), Some(value), "{name}");
    }
    assert_eq!(first.header("drover-key"), None);
    assert!(
        first
            .header("user-agent")
            .unwrap()
            .starts_with("drover-worker/")
    );
    assert_eq!(first.header("accept-encoding"), Some("identity"));
    let all: Value = serde_json::from_str(first.header("drover-headers").unwrap()).unwrap();
    let expected = json!([
        ["plain", "text"],
        ["twice", "1"],
        ["twice", "2"],
        ["null", null],
        ["empty", ""],
        ["binary", { "base64": "AP7/" }],
        ["two words", "\u{fc}"],
        ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        ["Content-Type", "application/json"],
    ]);
    assert_eq!(all, expected);

    let (tombstone, empty) = (&seen[1], &seen[2]);
    assert_eq!(tombstone.header("drover-tombstone"), Some("true"));
    assert_eq!(tombstone.header("drover-key"), Some("text key"));
    assert_eq!(tombstone.body, b"");
    assert_eq!(empty.header("drover-tombstone"), None);
    assert_eq!(empty.header("drover-key"), None);
    assert_eq!(empty.header("drover-key-base64"), None);
}
