//! A record as a JSON document: in batches, and for handlers that are commands.
//!
//! The reference is `docs/batches.md`. Bytes are written as `json` has it.

use super::json::{self, HeadersInJson};
use super::number;
use super::prepare::Prepared;
use super::spans::Hop;
use crate::encryption::Encoding;
use crate::worker::record::Record;

/// A record and which attempt this is.
pub struct Item<'a> {
    /// What the handler gets.
    pub prepared: Prepared<'a>,
    /// 1 for the first.
    pub attempt: u32,
}

/// Adds one record's document to `out`, with `hop` if there is one: one line, without its end.
pub fn write_one(item: &Item<'_>, hop: Option<&Hop>, out: &mut Vec<u8>) {
    let Item { prepared, attempt } = item;
    let Record {
        topic,
        partition,
        offset,
        ..
    } = prepared.record;
    out.extend_from_slice(br#"{"topic":"#);
    json::write(topic, out);
    out.extend_from_slice(br#","partition":"#);
    number::push(out, *partition);
    out.extend_from_slice(br#","offset":"#);
    number::push(out, offset.0);
    out.extend_from_slice(br#","timestamp":"#);
    match prepared.record.timestamp {
        Some(millis) => number::push(out, millis),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(br#","attempt":"#);
    number::push(out, *attempt);
    out.extend_from_slice(br#","idempotencyKey":"#);
    json::write(&prepared.record.name(), out);
    out.extend_from_slice(br#","key":"#);
    json::write_bytes(prepared.record.key.as_deref(), out);
    out.extend_from_slice(br#","headers":"#);
    match prepared.record.headers.as_slice() {
        [] => out.extend_from_slice(b"[]"),
        headers => json::write(&HeadersInJson(headers), out),
    }
    // There only where it is so.
    if let Some(encoding) = prepared.decrypted {
        out.extend_from_slice(br#","decrypted":true"#);
        if encoding != Encoding::UTF_8 {
            out.extend_from_slice(br#","decryptedEncoding":"#);
            json::write(encoding.name(), out);
        }
    }
    out.extend_from_slice(br#","value":"#);
    json::write_bytes(prepared.value.as_deref(), out);
    write_hop(hop, out);
    out.push(b'}');
}

/// The attempt's span, where the handler has no other way to know it.
fn write_hop(hop: Option<&Hop>, out: &mut Vec<u8>) {
    let Some(hop) = hop else {
        return;
    };
    out.extend_from_slice(br#","traceparent":"#);
    json::write(&hop.traceparent, out);
    if !hop.tracestate.is_empty() {
        out.extend_from_slice(br#","tracestate":"#);
        json::write(&hop.tracestate, out);
    }
}

/// Adds a document with all `items` to `out`, with `hop` if there is one: one line, without its end.
pub fn write_all(items: &[Item<'_>], hop: Option<&Hop>, out: &mut Vec<u8>) {
    let contents = items
        .iter()
        .map(|item| item.prepared.record.content_bytes());
    // Bytes that are no text take a third more.
    out.reserve(contents.sum::<usize>() / 3 * 4 + 256 * items.len());
    let mut begin = br#"{"records":["#.as_slice();
    for item in items {
        out.extend_from_slice(begin);
        begin = b",";
        write_one(item, None, out);
    }
    out.push(b']');
    write_hop(hop, out);
    out.push(b'}');
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
                None,
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

    #[test]
    fn a_document_says_what_was_encrypted_and_how_that_is_labelled() {
        let record = Record {
            topic: "orders".into(),
            partition: 3,
            offset: Offset(42),
            timestamp: None,
            key: None,
            value: Some(Bytes::from_static(b"\x82\xa0")),
            headers: Vec::new(),
        };
        for (decrypted, said, encoding) in [
            (None, Value::Null, Value::Null),
            (Some(Encoding::UTF_8), json!(true), Value::Null),
            (Encoding::parse("sjis"), json!(true), json!("Windows-31J")),
        ] {
            let prepared = Prepared {
                record: &record,
                value: record.value.clone(),
                decrypted,
            };
            let item = Item {
                prepared,
                attempt: 1,
            };
            let mut out = Vec::new();
            write_one(&item, None, &mut out);
            let document: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(document["decrypted"], said);
            assert_eq!(document["decryptedEncoding"], encoding);
            assert_eq!(document["value"], json!({ "base64": "gqA=" }));
        }
    }

    #[test]
    fn a_command_finds_the_attempts_span_beside_the_record_or_beside_all_of_them() {
        let record = Record {
            topic: "orders".into(),
            partition: 3,
            offset: Offset(42),
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
        };
        let prepared = Prepared {
            record: &record,
            value: None,
            decrypted: None,
        };
        let item = Item {
            prepared,
            attempt: 1,
        };
        let hop = |tracestate: &str| Hop {
            traceparent: "00-1-2-01".to_owned(),
            tracestate: tracestate.to_owned(),
        };
        let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
        let (mut one, mut all) = (Vec::new(), Vec::new());
        write_one(&item, Some(&hop("a=\"1\"")), &mut one);
        write_all(&[item], Some(&hop("")), &mut all);
        let (one, all) = (read(&one), read(&all));
        assert_eq!(one["traceparent"], "00-1-2-01");
        assert_eq!(one["tracestate"], "a=\"1\"");
        assert_eq!(all["traceparent"], "00-1-2-01");
        assert_eq!(all.get("tracestate"), None);
        assert_eq!(all["records"][0]["offset"], 42);
        assert_eq!(all["records"][0].get("traceparent"), None);
    }
}
