//! Several records as one HTTP request: the reference is `docs/batches.md`.

use http::header::CONTENT_TYPE;

use super::head::{Head, Outgoing};
use super::{Format, Http, extensions, name};
use crate::worker::delivery::document::{self, Item};

/// Bytes of an answer that are read for each record of a batch.
pub const ANSWER_PER_RECORD: usize = 1024;

/// The content type of records as a document.
pub const JSON: &[u8] = b"application/json";
const EVENTS: &[u8] = b"application/cloudevents-batch+json; charset=utf-8";

/// The request for one attempt on `items`.
pub fn request(http: &Http, items: &[Item<'_>]) -> Outgoing {
    let mut body = Vec::new();
    let content_type = match http.format {
        Format::Plain => {
            document::write_all(items, None, &mut body);
            JSON
        }
        Format::CloudEvents | Format::CloudEventsStructured => {
            write_events(items, &http.source, &mut body);
            EVENTS
        }
    };
    let mut head = Head::new();
    head.add(&CONTENT_TYPE, content_type);
    head.add_named("", name::BATCH.as_str(), items.len().to_string().as_bytes());
    // Those that are in company were not tried before.
    let attempt = items.iter().map(|item| item.attempt).max().unwrap_or(1);
    head.add_number(&name::ATTEMPT, attempt);
    let body = body.into();
    Outgoing { head, body }
}

/// CloudEvents' batched mode: an array of events in the JSON format.
fn write_events(items: &[Item<'_>], source: &str, body: &mut Vec<u8>) {
    body.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        extensions::write_whole_event(item, source, body);
    }
    body.push(b']');
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::Value;

    use super::super::Protocol;
    use super::super::target::Target;
    use super::*;
    use crate::topic::Offset;
    use crate::worker::delivery::prepare::Prepared;
    use crate::worker::record::{Header, Record};

    #[test]
    fn a_batch_of_events_is_an_array_whatever_each_was() {
        let record =
            |offset, headers: &[(&'static str, &'static str)], value: &'static [u8]| Record {
                topic: "orders".into(),
                partition: 0,
                offset: Offset(offset),
                timestamp: None,
                key: None,
                value: Some(Bytes::from_static(value)),
                headers: headers
                    .iter()
                    .map(|(name, value)| Header {
                        name: Bytes::from_static(name.as_bytes()),
                        value: Some(Bytes::from_static(value.as_bytes())),
                    })
                    .collect(),
            };
        let json = [("content-type", "application/cloudevents+json")];
        let avro = [("content-type", "application/cloudevents+avro")];
        let records = [
            record(0, &[], b"plain"),
            record(
                1,
                &json,
                br#"{"specversion":"1.0","id":"x","source":"/","type":"t"}"#,
            ),
            record(2, &json, b"{broken"),
            record(3, &avro, b"\x00"),
        ];
        let items: Vec<_> = records
            .iter()
            .map(|record| Item {
                prepared: Prepared {
                    record,
                    value: record.value.clone(),
                    decrypted: None,
                },
                attempt: 1,
            })
            .collect();
        let http = Http {
            target: Target::parse("http://users/").unwrap(),
            format: Format::CloudEventsStructured,
            source: "/s".into(),
            protocol: Protocol::Http1,
            turns: Box::default(),
        };
        let request = request(&http, &items).to_request(&http.target.whole);
        assert_eq!(request.headers()["drover-batch"], "4");
        let content_type = request.headers()["content-type"].to_str().unwrap();
        assert!(content_type.starts_with("application/cloudevents-batch+json"));
        let mut body = Vec::new();
        write_events(&items, "/s", &mut body);
        let events: Vec<Value> = serde_json::from_slice(&body).unwrap();
        let ids: Vec<_> = events
            .iter()
            .map(|event| event["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["orders/0/0", "x", "orders/0/2", "orders/0/3"]);
    }
}
