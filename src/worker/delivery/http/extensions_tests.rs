use serde_json::{Map, Value, json};

use super::super::event_json::members;
use super::*;
use crate::topic::Offset;

fn record(headers: &[(&str, Option<&str>)], value: Option<&str>) -> Record {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Record {
        topic: "orders".into(),
        partition: 3,
        offset: Offset(42),
        timestamp: Some(1_700_000_000_123),
        key: Some(Bytes::from_static(b"user-7")),
        value: value.map(bytes),
        headers: headers
            .iter()
            .map(|(name, value)| Header {
                name: bytes(name),
                value: value.map(bytes),
            })
            .collect(),
    }
}

fn whole_event(record: &Record, decrypted: Option<Encoding>) -> Map<String, Value> {
    let prepared = Prepared {
        record,
        value: record.value.clone(),
        decrypted,
    };
    let item = Item {
        prepared,
        attempt: 2,
    };
    let mut out = Vec::new();
    write_whole_event(&item, "/s", &mut out);
    let text = String::from_utf8(out).unwrap();
    let event: Map<String, Value> = serde_json::from_str(&text).unwrap();
    // None is there twice.
    let members = members(&text.clone().into()).unwrap();
    assert_eq!(members.len(), event.len(), "{text}");
    for name in event.keys() {
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_data = name == "data_base64";
        assert!(
            is_data || name.chars().all(lower) && name.len() <= 20,
            "{name}"
        );
    }
    event
}

const EVENT: [(&str, Option<&str>); 5] = [
    ("ce_specversion", Some("1.0")),
    ("ce_id", Some("a-1")),
    ("ce_source", Some("/shop")),
    ("ce_type", Some("ordered")),
    ("content-type", Some("application/json")),
];
const JSON: [(&str, Option<&str>); 1] = [("content-type", Some("application/cloudevents+json"))];
const AVRO: [(&str, Option<&str>); 1] = [("content-type", Some("application/cloudevents+avro"))];

/// What every event has, whatever it was in Kafka.
fn expected() -> Value {
    json!({
        "kafkatopic": "orders", "kafkapartition": "3", "kafkaoffset": "42", "kafkatimestamp": "1700000000123",
        "kafkakey": "user-7", "partitionkey": "user-7", "droverattempt": "2", "droveridempotencykey": "orders/3/42",
        "traceparent": "00-1-2-01",
    })
}

#[test]
fn an_event_in_company_has_all_that_a_request_says_of_one_alone() {
    let document =
        r#"{"specversion":"1.0","id":"b-2","source":"/","type":"t","data":{"sum": 1.50}}"#;
    for (own, value, id, data) in [
        (
            &EVENT[..],
            r#"{"n":1}"#,
            "a-1",
            json!({ "data": { "n": 1 } }),
        ),
        (&JSON, document, "b-2", json!({ "data": { "sum": 1.50 } })),
        (
            &JSON,
            "{broken",
            "orders/3/42",
            json!({ "data_base64": "e2Jyb2tlbg==" }),
        ),
        (&AVRO, "x", "orders/3/42", json!({ "data_base64": "eA==" })),
        (&[], "x", "orders/3/42", json!({ "data_base64": "eA==" })),
    ] {
        let more = [
            ("traceparent", Some("00-1-2-01")),
            ("note", Some("1")),
            ("note", None),
        ];
        let headers = [own, &more].concat();
        let event = whole_event(&record(&headers, Some(value)), None);
        assert_eq!(event["id"], id);
        for (name, value) in data.as_object().unwrap() {
            assert_eq!(event[name], *value, "{own:?}");
        }
        for (name, value) in expected().as_object().unwrap() {
            assert_eq!(event[name], *value, "{name} of {own:?}");
        }
        let all: Value = serde_json::from_str(event["kafkaheaders"].as_str().unwrap()).unwrap();
        assert_eq!(all, json!(headers), "{own:?}");
        for absent in ["kafkatombstone", "droverdecrypted", "kafkakeybase64"] {
            assert!(!event.contains_key(absent), "{absent} of {own:?}");
        }
    }
}

#[test]
fn keys_and_values_that_are_null_or_empty_are_told_apart() {
    for own in [&EVENT[..], &[]] {
        let mut record = record(own, Some(""));
        for (key, text, base64, partition) in [
            (None, None, None, None),
            (Some(&b""[..]), Some(""), None, None),
            (Some(b"k 1"), Some("k 1"), None, Some("k 1")),
            (Some(b"\x00\xff"), None, Some("AP8="), None),
            (Some(b"a\nb"), None, Some("YQpi"), None),
        ] {
            record.key = key.map(Bytes::copy_from_slice);
            let event = whole_event(&record, None);
            let said = |name: &str| event.get(name).map(|value| value.as_str().unwrap());
            assert_eq!(said("kafkakey"), text, "{key:?}");
            assert_eq!(said("kafkakeybase64"), base64, "{key:?}");
            assert_eq!(said("partitionkey"), partition, "{key:?}");
        }
        assert_eq!(whole_event(&record, None).get("kafkatombstone"), None);
        record.value = None;
        let tombstone = whole_event(&record, None);
        assert_eq!(tombstone["kafkatombstone"], "true");
        assert!(!tombstone.contains_key("data") && !tombstone.contains_key("data_base64"));
    }
}

#[test]
fn what_is_an_attribute_is_no_header_beside_it_and_what_was_encrypted_is_told() {
    let event = whole_event(&record(&EVENT, Some("{}")), Encoding::parse("sjis"));
    assert!(!event.contains_key("kafkaheaders"), "{event:?}");
    assert_eq!(event["droverdecrypted"], "true");
    assert_eq!(event["droverencoding"], "Windows-31J");
    let event = whole_event(&record(&JSON, Some(r#"{"id":"1"}"#)), Some(Encoding::UTF_8));
    assert!(!event.contains_key("kafkaheaders"), "{event:?}");
    assert_eq!(event["droverdecrypted"], "true");
    assert!(!event.contains_key("droverencoding"));
    // Of several with one name the last counts, and the others are not lost.
    let twice = [&EVENT[..], &[("ce_id", Some("a-2"))]].concat();
    let event = whole_event(&record(&twice, Some("{}")), None);
    assert_eq!(event["id"], "a-2");
    assert!(event["kafkaheaders"].as_str().unwrap().contains("a-1"));
}

#[test]
fn nobody_forges_what_is_ours_to_say_and_what_an_event_says_itself_stays() {
    let forged = [
        &EVENT[..],
        &[
            ("ce_kafkatombstone", Some("true")),
            ("ce_kafkaoffset", Some("7")),
            ("ce_partitionkey", Some("its own")),
        ],
    ];
    let event = whole_event(&record(&forged.concat(), Some("{}")), None);
    assert!(!event.contains_key("kafkatombstone"));
    assert_eq!(event["kafkaoffset"], "42");
    assert_eq!(event["partitionkey"], "its own");
    assert_eq!(event["kafkakey"], "user-7");
    assert!(
        event["kafkaheaders"]
            .as_str()
            .unwrap()
            .contains("ce_kafkaoffset")
    );

    let document = r#" {"id":"1", "kafkaoffset":"7", "droverdecrypted":true, "partitionkey":null, "data" : [1.50] } "#;
    let record = record(&JSON, Some(document));
    let event = whole_event(&record, None);
    assert!(!event.contains_key("droverdecrypted"));
    assert_eq!(event["kafkaoffset"], "42");
    assert_eq!(event["partitionkey"], "user-7");
    assert_eq!(event["data"], json!([1.50]));
}
