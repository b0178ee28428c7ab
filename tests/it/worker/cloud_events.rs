//! CloudEvents, from each of Kafka's modes to each of HTTP's.

use axum::http::Version;
use drover::worker_config::{Handler, HttpFormat, HttpProtocol};
use rdkafka::producer::BaseRecord;
use serde_json::{Value, json};

use super::kafka::{Kafka, headers};
use super::web::{Seen, Web, ok};
use super::workers::{TOPIC, Worker, config};

const ATTRIBUTES: [(&str, Option<&[u8]>); 5] = [
    ("ce_specversion", Some(b"1.0")),
    ("ce_id", Some(b"a-1")),
    ("ce_source", Some(b"/shop")),
    ("ce_type", Some(b"com.example.ordered")),
    ("content-type", Some(b"application/json")),
];
const STRUCTURED: &str = r#"{"specversion":"1.0","id":"b-2","source":"/shop","type":"com.example.paid","data":{"sum": 1.50}}"#;

const PROTOCOLS: [(HttpProtocol, Version); 2] = [
    (HttpProtocol::Http1, Version::HTTP_11),
    (HttpProtocol::H2c, Version::HTTP_2),
];

/// What a handler of `format` sees of an event in binary mode, one in structured mode, and a record
/// that is none.
fn three_records(format: HttpFormat, (protocol, version): (HttpProtocol, Version)) -> Vec<Seen> {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let record = |payload| {
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(TOPIC).partition(0);
        record.key(&b"key"[..]).payload(payload)
    };
    kafka.send(record(&b"{\"n\": 1}"[..]).headers(headers(&ATTRIBUTES)));
    let structured: [(&str, Option<&[u8]>); 1] =
        [("content-type", Some(b"application/cloudevents+json"))];
    kafka.send(record(STRUCTURED.as_bytes()).headers(headers(&structured)));
    let none: [(&str, Option<&[u8]>); 1] = [("note", Some(b"x"))];
    kafka.send(record(&b"plain"[..]).headers(headers(&none)));
    kafka.flush();
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    let Handler::Http(handler) = &mut config.handler else {
        panic!("an HTTP handler");
    };
    handler.format = format;
    handler.protocol = protocol;
    let _worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 3);
    let mut seen = web.seen();
    seen.sort_by_key(|request| request.number("drover-offset"));
    assert_eq!(seen.len(), 3);
    for (offset, request) in seen.iter().enumerate() {
        let key = format!("{TOPIC}/0/{offset}");
        assert_eq!(request.header("idempotency-key"), Some(&*key));
        assert_eq!(request.header("drover-attempt"), Some("1"));
        assert_eq!(request.version, version);
    }
    seen
}

#[test]
fn in_binary_mode_attributes_are_headers_and_the_data_are_the_body() {
    PROTOCOLS.into_iter().for_each(binary_mode);
}

fn binary_mode(protocol: (HttpProtocol, Version)) {
    let seen = three_records(HttpFormat::CloudEvents, protocol);
    for (request, id, kind, content_type, body) in [
        (
            &seen[0],
            "a-1",
            "com.example.ordered",
            "application/json",
            "{\"n\": 1}",
        ),
        (
            &seen[1],
            "b-2",
            "com.example.paid",
            "application/json",
            "{\"sum\": 1.50}",
        ),
        (
            &seen[2],
            "orders/0/2",
            "dev.drover.kafka.record",
            "application/octet-stream",
            "plain",
        ),
    ] {
        assert_eq!(request.header("ce-specversion"), Some("1.0"));
        assert_eq!(request.header("ce-id"), Some(id));
        assert_eq!(request.header("ce-type"), Some(kind));
        assert_eq!(request.header("content-type"), Some(content_type));
        assert_eq!(request.text(), body);
        assert_eq!(request.header("drover-key"), Some("key"));
        assert_eq!(request.header("drover-header-ce_id"), None);
    }
    assert_eq!(seen[2].header("ce-partitionkey"), Some("key"));
    assert_eq!(
        seen[2].header("ce-source"),
        Some("/namespaces/shop/kafkaconsumers/orders#orders")
    );
    assert_eq!(seen[2].header("drover-header-note"), Some("x"));
}

#[test]
fn in_structured_mode_the_body_is_the_event() {
    PROTOCOLS.into_iter().for_each(structured_mode);
}

fn structured_mode(protocol: (HttpProtocol, Version)) {
    let seen = three_records(HttpFormat::CloudEventsStructured, protocol);
    let documents: Vec<Value> = seen
        .iter()
        .map(|request| {
            let content_type = request.header("content-type").unwrap();
            assert!(content_type.starts_with("application/cloudevents+json"));
            assert_eq!(request.header("ce-id"), None);
            serde_json::from_slice(&request.body).unwrap()
        })
        .collect();
    assert_eq!(
        documents[0],
        json!({
            "specversion": "1.0", "id": "a-1", "source": "/shop", "type": "com.example.ordered",
            "datacontenttype": "application/json", "data": {"n": 1},
        })
    );
    assert_eq!(seen[1].text(), STRUCTURED);
    assert_eq!(documents[2]["id"], "orders/0/2");
    assert_eq!(documents[2]["partitionkey"], "key");
    assert_eq!(documents[2]["data_base64"], "cGxhaW4=");
    assert_eq!(documents[2]["kafkaheaders"], r#"[["note","x"]]"#);
    assert!(documents[2]["time"].is_string());
}
