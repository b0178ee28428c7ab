use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::event_json::members;
use super::*;
use crate::topic::Offset;

const SOURCE: &str = "/namespaces/shop/kafkaconsumers/orders";

fn record(headers: &[(&str, &[u8])], value: Option<&str>) -> Record {
    let header = |(name, value): &(&str, &[u8])| Header {
        name: Bytes::copy_from_slice(name.as_bytes()),
        value: Some(Bytes::copy_from_slice(value)),
    };
    Record {
        topic: "orders".into(),
        partition: 3,
        offset: Offset(42),
        timestamp: Some(1_700_000_000_123),
        key: Some(Bytes::from_static(b"k 1")),
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
        headers: headers.iter().map(header).collect(),
    }
}

fn an_event(more: &[(&str, &[u8])], value: Option<&str>) -> Record {
    let mut headers: Vec<(&str, &[u8])> = vec![
        ("ce_specversion", b"1.0"),
        ("ce_id", b"a-1"),
        ("ce_source", b"/shop"),
        ("ce_type", b"com.example.ordered"),
    ];
    headers.extend(more);
    record(&headers, value)
}

/// Headers of binary mode as a map, with the body.
fn binary_mode(record: &Record) -> (BTreeMap<String, String>, Bytes) {
    let value = record.value.clone();
    let prepared = Prepared {
        record,
        value,
        decrypted: None,
    };
    let event = match map(&prepared, SOURCE) {
        Mapped::Event(event) => event,
        Mapped::Whole { body, .. } => Event::from_json(&body).unwrap(),
    };
    let mut head = Head::new();
    let body = event.in_headers(&mut head);
    let headers = head.to_map();
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    (headers.iter().map(text).collect(), body)
}

fn structured_mode(record: &Record) -> Value {
    serde_json::from_str(&structured_text(record)).unwrap()
}

fn structured_text(record: &Record) -> String {
    let value = record.value.clone();
    let prepared = Prepared {
        record,
        value,
        decrypted: None,
    };
    let Mapped::Event(event) = map(&prepared, SOURCE) else {
        panic!("structured in Kafka");
    };
    let mut document = Vec::new();
    let headers = extensions::headers(record).filter(|_| !event.was_event);
    event.in_json(headers.as_slice(), &mut document);
    String::from_utf8(document).unwrap()
}

#[test]
fn binary_mode_of_kafka_becomes_binary_mode_of_http() {
    let record = an_event(
        &[
            ("ce_subject", "caf\u{e9} \"100%\"".as_bytes()),
            ("ce_region", b"eu"),
            ("ce_region", b"us"),
            ("content-type", b"application/json"),
        ],
        Some("{}"),
    );
    let (headers, body) = binary_mode(&record);
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-id", "a-1"),
        ("ce-source", "/shop"),
        ("ce-type", "com.example.ordered"),
        ("ce-subject", "caf%C3%A9%20%22100%25%22"),
        ("ce-region", "us"),
        ("content-type", "application/json"),
    ];
    let expected = expected.map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(headers, BTreeMap::from(expected));
    assert_eq!(body.as_ref(), b"{}");
}

#[test]
fn an_event_without_a_content_type_gets_none() {
    let (headers, _) = binary_mode(&an_event(&[], Some("{}")));
    assert!(!headers.contains_key("content-type"));
}

#[test]
fn a_content_type_that_is_said_as_an_attribute_is_understood() {
    let said: (&str, &[u8]) = ("ce_datacontenttype", b"text/csv");
    let (headers, _) = binary_mode(&an_event(&[said], Some("1,2")));
    assert_eq!(headers["content-type"], "text/csv");
    assert!(!headers.contains_key("ce-datacontenttype"));
    let both = [said, ("Content-Type", b"application/json".as_slice())];
    let (headers, _) = binary_mode(&an_event(&both, Some("{}")));
    assert_eq!(headers["content-type"], "application/json");
}

#[test]
fn a_record_that_is_no_event_becomes_one() {
    let (headers, body) = binary_mode(&record(&[("traceparent", b"00-1-2-01")], Some("hello")));
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-id", "orders/3/42"),
        ("ce-source", "/namespaces/shop/kafkaconsumers/orders#orders"),
        ("ce-type", "dev.drover.kafka.record"),
        ("ce-subject", "partition:3#42"),
        ("ce-time", "2023-11-14T22:13:20.123Z"),
        ("ce-partitionkey", "k%201"),
        ("ce-traceparent", "00-1-2-01"),
        ("content-type", "application/octet-stream"),
    ];
    let expected = expected.map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(headers, BTreeMap::from(expected));
    assert_eq!(body.as_ref(), b"hello");
}

#[test]
fn an_event_that_lacks_what_every_event_has_is_none() {
    let incomplete = record(&[("ce_specversion", b"1.0"), ("ce_id", b"1")], Some("x"));
    let (headers, _) = binary_mode(&incomplete);
    assert_eq!(headers["ce-type"], TYPE);
    assert_eq!(headers["ce-id"], "orders/3/42");
}

#[test]
fn a_binary_key_survives_in_an_extension() {
    let mut record = record(&[], Some("x"));
    record.key = Some(Bytes::from_static(b"\x00\xff"));
    let (headers, _) = binary_mode(&record);
    assert_eq!(headers["ce-kafkakeybase64"], "AP8=");
    assert!(!headers.contains_key("ce-partitionkey"));
    record.key = None;
    let (headers, _) = binary_mode(&record);
    assert!(!headers.contains_key("ce-kafkakeybase64"));
}

#[test]
fn structured_mode_of_kafka_becomes_binary_mode_with_its_data_unchanged() {
    let event = r#" {"specversion":"1.0", "id":"7","source":"/s","type":"t","count":5,"none":null,
        "data" : {"b": 1.50, "a": 123456789012345678901234567890} } "#;
    let record = record(
        &[(
            "content-type",
            b"application/cloudevents+json; charset=UTF-8",
        )],
        Some(event),
    );
    let (headers, body) = binary_mode(&record);
    assert_eq!(headers["ce-count"], "5");
    assert!(!headers.contains_key("ce-none"));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(
        body.as_ref(),
        br#"{"b": 1.50, "a": 123456789012345678901234567890}"#
    );
}

#[test]
fn text_and_binary_data_of_structured_mode_become_the_body() {
    let begin = r#"{"specversion":"1.0","id":"7","source":"/s","type":"t","#;
    for (rest, content_type, body) in [
        (
            r#""datacontenttype":"text/plain","data":"a\nb"}"#,
            Some("text/plain"),
            &b"a\nb"[..],
        ),
        (
            r#""datacontenttype":"application/json","data":"a"}"#,
            Some("application/json"),
            br#""a""#,
        ),
        (r#""data_base64":"AP8="}"#, None, b"\x00\xff"),
        (
            r#""datacontenttype":"text/plain"}"#,
            Some("text/plain"),
            b"",
        ),
    ] {
        let event = Event::from_json(&Bytes::from(format!("{begin}{rest}"))).unwrap();
        let mut head = Head::new();
        assert_eq!(event.in_headers(&mut head).as_ref(), body, "{rest}");
        let headers = head.to_map();
        let found = headers.get("content-type").map(|v| v.to_str().unwrap());
        assert_eq!(found, content_type, "{rest}");
    }
}

#[test]
fn what_binary_mode_cannot_say_is_not_taken_apart() {
    let begin = r#"{"specversion":"1.0","id":"7","source":"/s","type":"t""#;
    for body in [
        "",
        "[]",
        "{}",
        "{",
        r#"{"specversion":"1.0"}"#,
        begin,
        &format!("{begin}}} x"),
        &format!("{begin},}}"),
        &format!("{begin},\"Upper\":\"x\"}}"),
        &format!("{begin},\"list\":[1]}}"),
        &format!("{begin},\"data_base64\":\"%\"}}"),
    ] {
        assert_eq!(
            Event::from_json(&Bytes::copy_from_slice(body.as_bytes())),
            None,
            "{body}"
        );
    }
}

#[test]
fn json_that_is_not_utf_8_is_binary_and_the_document_is_json() {
    let headers: &[(&str, &[u8])] = &[("content-type", b"application/json")];
    for record in [an_event(headers, None), record(headers, None)] {
        let latin_1 = b"{\"a\":\"caf\xe9\"}";
        let document = structured_mode(&Record {
            value: Some(Bytes::from_static(latin_1)),
            ..record
        });
        let data = BASE64.encode(latin_1);
        assert_eq!(document["data_base64"], json!(data));
        assert_eq!(document["data"], Value::Null);
    }
}

#[test]
fn no_header_is_the_data() {
    let forged: &[(&str, &[u8])] = &[("ce_data", b"forged")];
    let tombstone = structured_mode(&an_event(forged, None));
    assert_eq!(tombstone.get("data"), None);
    let text = structured_text(&an_event(forged, Some("{}")));
    assert_eq!(text.matches("\"data\"").count(), 1, "{text}");
}

#[test]
fn structured_mode_says_data_by_their_type() {
    for (content_type, value, member, data) in [
        (
            Some("application/json"),
            Some(r#"{"a":1}"#),
            "data",
            json!({"a":1}),
        ),
        (
            Some("application/vnd.x+json; a=b"),
            Some("5"),
            "data",
            json!(5),
        ),
        (Some("text/plain"), Some("5"), "data", json!("5")),
        (
            Some("application/json"),
            Some("{broken"),
            "data_base64",
            json!("e2Jyb2tlbg=="),
        ),
        (
            Some("application/avro"),
            Some("5"),
            "data_base64",
            json!("NQ=="),
        ),
        (None, Some("5"), "data", json!(5)),
        (None, None, "data", Value::Null),
    ] {
        let content_type: Vec<_> = content_type
            .map(|text| ("content-type", text.as_bytes()))
            .into_iter()
            .collect();
        let document = structured_mode(&an_event(&content_type, value));
        assert_eq!(document[member], data, "{document}");
        assert_eq!(
            document.get("data").is_some() || document.get("data_base64").is_some(),
            value.is_some(),
            "{document}"
        );
    }
}

#[test]
fn structured_mode_of_a_plain_record_has_all_of_it_in_the_document() {
    let mut record = record(
        &[("a", b"1"), ("a", b"\xff"), ("content-type", b"text/plain")],
        Some("hello"),
    );
    record.headers.push(Header {
        name: Bytes::from_static(b"null"),
        value: None,
    });
    let document = structured_mode(&record);
    let headers: Value = serde_json::from_str(document["kafkaheaders"].as_str().unwrap()).unwrap();
    let expected = json!([["a", "1"], ["a", {"base64": "/w=="}], ["content-type", "text/plain"], ["null", null]]);
    assert_eq!(headers, expected);
    assert_eq!(document["partitionkey"], "k 1");
    assert_eq!(document["data"], "hello");
    assert_eq!(document["datacontenttype"], "text/plain");
}

#[test]
fn a_record_with_attributes_without_number_is_no_event() {
    let names: Vec<String> = (0..40_000).map(|n| format!("ce_x{n}")).collect();
    let more: Vec<_> = names.iter().map(|name| (&**name, &b"1"[..])).collect();
    let (headers, _) = binary_mode(&an_event(&more, Some("x")));
    assert_eq!(headers["ce-type"], TYPE);
}

proptest! {
    /// Nothing that a producer can write makes the worker fall over, or makes HTTP or JSON that is
    /// none; and an event keeps its data.
    #[test]
    fn any_bytes_become_a_well_formed_event(
        headers in proptest::collection::vec((header_name(), proptest::option::of(any::<Vec<u8>>())), 0..8),
        value in proptest::option::of(any::<Vec<u8>>()),
        key in proptest::option::of(any::<Vec<u8>>()),
        is_event: bool,
    ) {
        let mut record = if is_event { an_event(&[], None) } else { record(&[], None) };
        record.headers.extend(headers.into_iter().map(|(name, value)| Header {
            name: name.into(),
            value: value.map(Bytes::from),
        }));
        record.value = value.map(Bytes::from);
        record.key = key.map(Bytes::from);
        let prepared = Prepared { record: &record, value: record.value.clone(), decrypted: None };
        if let Mapped::Event(event) = map(&prepared, SOURCE) {
            let mut head = Head::new();
            prop_assert_eq!(event.in_headers(&mut head), record.value.clone().unwrap_or_default());
            let headers = head.to_map();
            for name in REQUIRED {
                let value = &headers[&format!("ce-{name}")];
                prop_assert!(!value.is_empty());
            }
            let mut document = Vec::new();
            event.in_json(&[], &mut document);
            let document: Value = serde_json::from_slice(&document).unwrap();
            for name in REQUIRED {
                prop_assert!(document[name].is_string());
            }
            match Event::from_json(&serde_json::to_vec(&document).unwrap().into()) {
                Some(again) => prop_assert_eq!(&again.attributes.iter().find(|(n, _)| n == "id"),
                    &event.attributes.iter().find(|(n, _)| n == "id")),
                // Binary mode cannot say it.
                None => prop_assert!(!event.content_type.as_deref().is_none_or(is_sayable)),
            }
        }
    }

    /// Taking apart is total, and what it takes as JSON is JSON.
    #[test]
    fn any_text_is_taken_apart_or_not(text in "[{}\\[\\]\",:a-z0-9 .\\\\]{0,80}") {
        let body = Bytes::from(text);
        if let Some(members) = members(&body) {
            prop_assert!(serde_json::from_slice::<serde_json::Map<String, Value>>(&body).is_ok());
            for (_, value) in members {
                prop_assert!(serde_json::from_slice::<Value>(&value).is_ok());
            }
        }
    }
}

fn header_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        "(ce_)?(id|type|source|time|data|x1|content-type|specversion)".prop_map(String::into_bytes),
    ]
}

/// Whoever gets it would look for a whole event in a body that has none.
#[test]
fn a_record_without_a_value_is_not_said_to_be_a_whole_event() {
    let structured: (&str, &[u8]) = ("content-type", b"application/cloudevents+json");
    for tombstone in [record(&[structured], None), an_event(&[structured], None)] {
        let (headers, body) = binary_mode(&tombstone);
        let content_type = headers.get("content-type").map(String::as_str);
        assert!(
            content_type.is_none_or(|is| !is.starts_with("application/cloudevents")),
            "{headers:?}"
        );
        assert!(body.is_empty());
    }
}

#[test]
fn a_content_type_that_binary_mode_cannot_say_leaves_the_event_whole() {
    for content_type in ["application/cloudevents+json", "text/plain\\r\\nX: y"] {
        let event = format!(
            r#"{{"specversion":"1.0","id":"7","source":"/s","type":"t","datacontenttype":"{content_type}","data":{{}}}}"#
        );
        assert_eq!(
            Event::from_json(&Bytes::from(event)),
            None,
            "{content_type}"
        );
    }
}
