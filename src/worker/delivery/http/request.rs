//! A record as an HTTP request: the reference is `docs/http-handler.md`.

use bytes::Bytes;
use http::header::CONTENT_TYPE;

use super::cloud_event::{self, Event, Mapped};
use super::head::{Head, Outgoing};
use super::headers::{self, text_value};
use super::{Format, Http, extensions, name};
use crate::encryption::Encoding;
use crate::worker::delivery::document::Item;
use crate::worker::delivery::prepare::Prepared;
use crate::worker::record::Record;

const OCTETS: &[u8] = b"application/octet-stream";

/// The request for one attempt on a record.
pub fn request(http: &Http, item: &Item<'_>) -> Outgoing {
    let prepared = &item.prepared;
    let mut head = begin(item);
    let body = match http.format {
        Format::Plain => plain(&mut head, prepared),
        Format::CloudEvents => in_binary_mode(&mut head, prepared, &http.source),
        Format::CloudEventsStructured => in_structured_mode(&mut head, prepared, &http.source),
    };
    Outgoing { head, body }
}

/// The headers that there are in each form, none of which can be large.
pub(super) fn begin(item: &Item<'_>) -> Head {
    let Item { prepared, attempt } = item;
    let Prepared {
        record,
        value,
        decrypted,
    } = prepared;
    let mut head = Head::new();
    add_place(&mut head, record);
    head.add_number(&name::ATTEMPT, *attempt);
    if value.is_none() {
        head.add(&name::TOMBSTONE, b"true");
    }
    if let Some(encoding) = decrypted {
        head.add(&name::DECRYPTED, b"true");
        if *encoding != Encoding::UTF_8 {
            head.add(&name::DECRYPTED_ENCODING, encoding.name().as_bytes());
        }
    }
    head
}

/// The value as it is.
fn plain(head: &mut Head, prepared: &Prepared<'_>) -> Bytes {
    let Prepared { record, value, .. } = prepared;
    let content_type = record.header("content-type").and_then(text_value);
    head.add(&CONTENT_TYPE, content_type.unwrap_or(OCTETS));
    headers::add_key(head, record);
    if !record.headers.is_empty() {
        headers::add(head, record, |_| false);
    }
    value.clone().unwrap_or_default()
}

/// The data, and attributes in headers. An event that only structured mode can say stays in that.
fn in_binary_mode(head: &mut Head, prepared: &Prepared<'_>, source: &str) -> Bytes {
    let record = prepared.record;
    headers::add_key(head, record);
    let event = match cloud_event::map(prepared, source) {
        Mapped::Event(event) => event,
        Mapped::Whole { content_type, body } => {
            headers::add(head, record, |header| {
                cloud_event::is_marker(record, header)
            });
            match Event::from_json(&body) {
                Some(event) => return event.in_headers(head),
                None => {
                    head.add(&CONTENT_TYPE, content_type);
                    return body;
                }
            }
        }
    };
    headers::add(head, record, |header| event.says(header));
    event.in_headers(head)
}

/// A JSON document with everything in it.
fn in_structured_mode(head: &mut Head, prepared: &Prepared<'_>, source: &str) -> Bytes {
    let record = prepared.record;
    match cloud_event::map(prepared, source) {
        Mapped::Whole { content_type, body } => {
            headers::add_key(head, record);
            headers::add(head, record, |header| {
                cloud_event::is_marker(record, header)
            });
            head.add(&CONTENT_TYPE, content_type);
            body
        }
        Mapped::Event(event) => {
            let mut said = None;
            if event.was_event {
                headers::add_key(head, record);
                headers::add(head, record, |header| event.says(header));
            } else {
                said = extensions::headers(record);
            }
            head.add(&CONTENT_TYPE, cloud_event::STRUCTURED.as_bytes());
            let mut document = Vec::new();
            event.in_json(said.as_slice(), &mut document);
            document.into()
        }
    }
}

/// Where the record is from.
fn add_place(head: &mut Head, record: &Record) {
    // Kafka's brokers refuse topics that are not ASCII.
    head.add(&name::TOPIC, record.topic.as_bytes());
    head.add_number(&name::PARTITION, record.partition);
    head.add_number(&name::OFFSET, record.offset.0);
    head.add(&name::IDEMPOTENCY_KEY, record.name().as_bytes());
    if let Some(millis) = record.timestamp {
        head.add_number(&name::TIMESTAMP, millis);
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Request};
    use http_body_util::Full;
    use serde_json::{Value, json};

    use super::super::Protocol;
    use super::super::target::Target;
    use super::*;
    use crate::topic::Offset;
    use crate::worker::record::Header;

    fn header(name: &[u8], value: Option<&[u8]>) -> Header {
        Header {
            name: Bytes::copy_from_slice(name),
            value: value.map(Bytes::copy_from_slice),
        }
    }

    fn record(headers: Vec<Header>) -> Record {
        Record {
            topic: "orders".into(),
            partition: 3,
            offset: Offset(42),
            timestamp: Some(1_700_000_000_123),
            key: Some(Bytes::from_static(b"k 1")),
            value: Some(Bytes::from_static(b"{}")),
            headers,
        }
    }

    fn http(format: Format) -> Http {
        Http {
            target: Target::parse("http://users:3000/kafka?x=1").unwrap(),
            format,
            source: "/namespaces/shop/kafkaconsumers/orders".into(),
            protocol: Protocol::Http1,
            turns: Box::default(),
        }
    }

    fn request_for(record: &Record) -> Request<Full<Bytes>> {
        decrypted_request_for(record, None)
    }

    fn decrypted_request_for(record: &Record, decrypted: Option<Encoding>) -> Request<Full<Bytes>> {
        let prepared = Prepared {
            record,
            value: record.value.clone(),
            decrypted,
        };
        let attempt = 2;
        let http = http(Format::Plain);
        request(&http, &Item { prepared, attempt }).to_request(&http.target.whole)
    }

    #[test]
    fn a_value_that_was_encrypted_is_said_to_be_and_so_is_its_encoding() {
        for (encoding, decrypted, named) in [
            (None, None, None),
            (Some(Encoding::UTF_8), Some("true"), None),
            (Some(Encoding::BINARY), Some("true"), Some("ASCII-8BIT")),
        ] {
            let request = decrypted_request_for(&record(vec![]), encoding);
            let header = |name| request.headers().get(name).map(|v| v.to_str().unwrap());
            assert_eq!(header(&name::DECRYPTED), decrypted);
            assert_eq!(header(&name::DECRYPTED_ENCODING), named);
        }
    }

    fn sent(record: &Record) -> HeaderMap {
        request_for(record).headers().clone()
    }

    #[test]
    fn a_request_says_where_the_record_is_from() {
        let request = request_for(&record(vec![]));
        assert_eq!(request.uri(), "http://users:3000/kafka?x=1");
        let headers = request.headers();
        for (name, value) in [
            (name::TOPIC.as_str(), "orders"),
            (name::PARTITION.as_str(), "3"),
            (name::OFFSET.as_str(), "42"),
            (name::TIMESTAMP.as_str(), "1700000000123"),
            (name::KEY.as_str(), "k 1"),
            (name::ATTEMPT.as_str(), "2"),
            (name::IDEMPOTENCY_KEY.as_str(), "orders/3/42"),
            ("content-type", "application/octet-stream"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        assert!(!headers.contains_key(&name::TOMBSTONE));
        assert!(!headers.contains_key(&name::HEADERS));
    }

    #[test]
    fn null_empty_and_binary_keys_are_told_apart() {
        let with = |key: Option<&'static [u8]>| {
            let mut record = record(vec![]);
            record.key = key.map(Bytes::from_static);
            let headers = sent(&record);
            (
                headers.get(&name::KEY).cloned(),
                headers.get(&name::KEY_BASE64).cloned(),
            )
        };
        assert_eq!(with(None), (None, None));
        assert_eq!(with(Some(b"")), (Some(HeaderValue::from_static("")), None));
        let binary = Some(HeaderValue::from_static("AAH/"));
        assert_eq!(with(Some(b"\x00\x01\xff")), (None, binary));
        assert_eq!(
            with(Some(b" k")),
            (None, Some(HeaderValue::from_static("IGs=")))
        );
    }

    #[test]
    fn a_tombstone_is_no_empty_value() {
        let mut tombstone = record(vec![]);
        tombstone.value = None;
        assert_eq!(sent(&tombstone)[&name::TOMBSTONE], "true");
        tombstone.value = Some(Bytes::new());
        assert!(!sent(&tombstone).contains_key(&name::TOMBSTONE));
    }

    #[test]
    fn plain_headers_are_sent_plainly_and_only_so() {
        let headers = sent(&record(vec![
            header(b"source", Some(b"web")),
            header(b"traceparent", Some(b"00-1-2-01")),
            header(b"content-type", Some(b"application/json")),
        ]));
        assert_eq!(headers["drover-header-source"], "web");
        assert_eq!(headers["traceparent"], "00-1-2-01");
        assert_eq!(headers["content-type"], "application/json");
        assert!(!headers.contains_key(&name::HEADERS));
    }

    #[test]
    fn names_that_some_servers_drop_are_said_both_ways() {
        for name in ["user_id", "user.id"] {
            let headers = sent(&record(vec![
                header(b"source", Some(b"web")),
                header(name.as_bytes(), Some(b"7")),
            ]));
            assert_eq!(headers[&format!("drover-header-{name}")], "7");
            let all = headers[&name::HEADERS].to_str().unwrap();
            assert_eq!(all, format!(r#"[["source","web"],["{name}","7"]]"#));
        }
    }

    #[test]
    fn headers_that_http_cannot_say_survive_in_order() {
        let headers = sent(&record(vec![
            header(b"a", Some(b"1")),
            header(b"a", Some(b"2")),
            header(b"null", None),
            header(b"empty", Some(b"")),
            header(b"binary", Some(b"\x00\xff")),
            header("na\u{ef}ve".as_bytes(), Some("\u{1f600}".as_bytes())),
            header(b"Upper", Some(b"x")),
            header(b"", Some(b"no name")),
            header(b"\xfe", Some(b"name is binary")),
        ]));
        assert_eq!(headers["drover-header-a"], "2");
        assert_eq!(headers["drover-header-empty"], "");
        assert!(!headers.contains_key("drover-header-null"));
        let all = headers[&name::HEADERS].to_str().unwrap();
        let all: Value = serde_json::from_str(all).unwrap();
        let expected = json!([
            ["a", "1"],
            ["a", "2"],
            ["null", null],
            ["empty", ""],
            ["binary", { "base64": "AP8=" }],
            ["na\u{ef}ve", "\u{1f600}"],
            ["Upper", "x"],
            ["", "no name"],
            [{ "base64": "/g==" }, "name is binary"],
        ]);
        assert_eq!(all, expected);
    }
}
