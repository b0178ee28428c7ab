//! A record as a JSON document: in batches, and for handlers that are commands.
//!
//! The reference is `docs/batches.md`. Bytes are written as `json` has it.

use serde::Serialize;

use super::json::{HeadersInJson, InJson};
use super::prepare::Prepared;

/// A record and which attempt this is.
pub struct Item<'a> {
    /// What the handler gets.
    pub prepared: Prepared<'a>,
    /// 1 for the first.
    pub attempt: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    attempt: u32,
    idempotency_key: String,
    key: Option<InJson<'a>>,
    headers: HeadersInJson<'a>,
    /// There only where it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    decrypted: Option<bool>,
    value: Option<InJson<'a>>,
}

impl<'a> Document<'a> {
    fn of(item: &'a Item<'_>) -> Self {
        let Item { prepared, attempt } = item;
        let record = prepared.record;
        Self {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset.0,
            timestamp: record.timestamp,
            attempt: *attempt,
            idempotency_key: record.name(),
            key: record.key.as_deref().map(InJson),
            headers: HeadersInJson(&record.headers),
            decrypted: prepared.decrypted.map(|_| true),
            value: prepared.value.as_deref().map(InJson),
        }
    }
}

/// Adds one record's document to `out`: one line, without its end.
pub fn write_one(item: &Item<'_>, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &Document::of(item)).expect("writing JSON to memory does not fail");
}

/// Adds a document with all `items` to `out`: one line, without its end.
pub fn write_all(items: &[Item<'_>], out: &mut Vec<u8>) {
    let mut begin = br#"{"records":["#.as_slice();
    for item in items {
        out.extend_from_slice(begin);
        begin = b",";
        write_one(item, out);
    }
    out.extend_from_slice(b"]}");
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::topic::Offset;
    use crate::worker::record::{Header, Record};

    #[test]
    fn whatever_kafka_allows_survives_in_one_line() {
        let mut record = Record {
            topic: "orders".into(),
            partition: 3,
            offset: Offset(42),
            timestamp: Some(5),
            key: Some(Bytes::from_static(b"\x00\xff")),
            value: Some(Bytes::from_static(b"{\n}")),
            headers: vec![Header {
                name: Bytes::from_static(b"a"),
                value: None,
            }],
        };
        let line = |record: &Record| {
            let value = record.value.clone();
            let prepared = Prepared {
                record,
                value,
                decrypted: None,
            };
            let mut out = Vec::new();
            write_all(
                &[Item {
                    prepared,
                    attempt: 2,
                }],
                &mut out,
            );
            String::from_utf8(out).unwrap()
        };
        let text = line(&record);
        assert!(!text.contains('\n'), "{text}");
        let document: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({"records": [{
            "topic": "orders", "partition": 3, "offset": 42, "timestamp": 5, "attempt": 2,
            "idempotencyKey": "orders/3/42", "key": {"base64": "AP8="}, "headers": [["a", null]],
            "value": "{\n}",
        }]});
        assert_eq!(document, expected);
        (record.key, record.value, record.timestamp) = (None, None, None);
        let document: Value = serde_json::from_str(&line(&record)).unwrap();
        let first = &document["records"][0];
        for field in ["key", "value", "timestamp"] {
            assert_eq!(first[field], Value::Null, "{field}");
        }
    }
}
