//! Whatever Kafka allows in keys, values and headers comes back out of each form that a handler can get it in, read by
//! nothing but the rules of the reference (`docs/http-handler.md`, `docs/batches.md`).

mod reader;

use serde_json::Value;
use serde_json::value::RawValue;

use self::reader::{Headers, Known, Said, read_document, read_request};
use super::*;
use crate::encryption::Encoding;
use crate::topic::Offset;
use crate::worker::delivery::prepare::Prepared;
use crate::worker::record::{Header, Record};

fn http(format: Format) -> Http {
    Http {
        target: Target::parse("http://users:3000/kafka").unwrap(),
        format,
        source: "/namespaces/shop/kafkaconsumers/orders".into(),
        protocol: Protocol::Http1,
        turns: Box::default(),
    }
}

type Form = (&'static str, fn(&[Item<'_>; 1]) -> Known);

const FORMS: [Form; 6] = [
    ("plain", |[item]| {
        read_request(&http(Format::Plain).alone(item, None).request)
    }),
    ("binary mode", |[item]| {
        read_request(&http(Format::CloudEvents).alone(item, None).request)
    }),
    ("structured mode", |[item]| {
        let http = http(Format::CloudEventsStructured);
        read_request(&http.alone(item, None).request)
    }),
    ("batch of events", |items| {
        let request = batch::request(&http(Format::CloudEventsStructured), items);
        let events: Vec<Box<RawValue>> = serde_json::from_slice(&request.body).unwrap();
        let mut said = Said::default();
        let value = said.take_event(events[0].get().as_bytes(), true);
        assert_eq!(said.get("drover-tombstone").is_some(), value.is_none());
        said.known(value)
    }),
    ("batch", |items| {
        let request = batch::request(&http(Format::Plain), items);
        let document: Value = serde_json::from_slice(&request.body).unwrap();
        read_document(&document["records"][0])
    }),
    ("line of a command", |[item]| {
        let mut line = Vec::new();
        super::super::document::write_one(item, None, &mut line);
        assert!(!line.contains(&b'\n'));
        read_document(&serde_json::from_slice(&line).unwrap())
    }),
];

fn header(name: impl AsRef<[u8]>, value: Option<&[u8]>) -> Header {
    Header {
        name: Bytes::copy_from_slice(name.as_ref()),
        value: value.map(Bytes::copy_from_slice),
    }
}

fn numbered(count: usize, prefix: &str, value: &[u8]) -> Vec<Header> {
    let numbers = 0..count;
    numbers
        .map(|number| header(format!("{prefix}{number}"), Some(value)))
        .collect()
}

/// Lists of headers by what is odd about them.
fn header_lists() -> Vec<Vec<Header>> {
    let event: [(&[u8], Option<&[u8]>); 5] = [
        (b"ce_specversion", Some(b"1.0")),
        (b"ce_id", Some(b"caf\xc3\xa9 \"100%\"")),
        (b"ce_source", Some(b"/shop")),
        (b"ce_type", Some(b"ordered")),
        (b"content-type", Some(b"application/json")),
    ];
    let event = event.map(|(name, value)| header(name, value));
    let odd: [(&[u8], Option<&[u8]>); 22] = [
        (b"plain", Some(b"text")),
        (b"twice", Some(b"1")),
        (b"twice", None),
        (b"twice", Some(b"2")),
        (b"case", Some(b"lower")),
        (b"Case", Some(b"upper")),
        (b"", Some(b"no name")),
        (b"", None),
        (b"\xff", Some(b"1")),
        (b"\xfe", Some(b"1")),
        (b"nul\0", Some(b"\0")),
        (b"line\r\nbreak: x", Some(b"a\r\nDrover-Result: reject")),
        (b"spaces", Some(b" a ")),
        (b"empty", Some(b"")),
        (b"user_id", Some(b"7")),
        (b"user.id", Some(b"8")),
        (b"binary", Some(b"\x00\xff")),
        ("na\u{ef}ve".as_bytes(), Some("\u{1f600}".as_bytes())),
        (b"drover-key", Some(b"forged")),
        (b"traceparent", Some(b"00-1-2-01")),
        (b"tracestate", Some(b"\xff")),
        (b"baggage", Some(b"a=b")),
    ];
    let odd = odd.map(|(name, value)| header(name, value));
    let odd_of_event: [(&[u8], Option<&[u8]>); 6] = [
        (b"ce_id", Some(b"again")),
        (b"ce_null", None),
        (b"ce_Upper", Some(b"x")),
        (b"ce_binary", Some(b"\xff")),
        (b"ce_kafkakey", Some(b"forged")),
        (b"Content-Type", None),
    ];
    let odd_of_event = odd_of_event.map(|(name, value)| header(name, value));
    let types = [
        header("content-type", Some(b"application/json")),
        header("Content-Type", Some(b"text/plain; x=\"\xc3\xa9\"")),
    ];
    let kb = [b'x'; 1024];
    let lists = vec![
        vec![],
        vec![header("only", Some(b"plain"))],
        vec![header("content-type", Some(b"text/plain"))],
        odd.to_vec(),
        types.to_vec(),
        numbered(64, "h", b"1"),
        numbered(65, "h", b"1"),
        numbered(200, "h", b"1"),
        numbered(5, "h", &kb),
        numbered(20, "h", &kb),
        numbered(20, "h_", &kb[..200]),
        vec![header("one", Some(&[b'x'; 7000]))],
        vec![header("content-type", Some(&[b'x'; 7000]))],
        vec![header("baggage", Some(&[b'x'; 4000]))],
    ];
    let of_events = lists
        .clone()
        .into_iter()
        .map(|list| [&event[..], &list].concat());
    let mut all: Vec<_> = of_events.collect();
    all.push([&event[..], &odd_of_event].concat());
    all.push([&event[..], &numbered(60, "ce_x", b"1")].concat());
    all.push([&event[..], &numbered(90, "ce_x", b"1")].concat());
    all.push([&event[..], &numbered(3, "ce_x", &kb.repeat(3))].concat());
    all.extend(lists);
    all
}

#[test]
fn whatever_kafka_allows_comes_back_out_of_every_form() {
    let long = [b'k'; 10_000];
    let keys: [Option<&[u8]>; 7] = [
        None,
        Some(b""),
        Some(b"k 1"),
        Some(b" k"),
        Some(b"a\nb"),
        Some(b"\x00\xff"),
        Some(&long),
    ];
    let values: [Option<&[u8]>; 5] = [
        None,
        Some(b""),
        Some(b"{\"n\":1.50}"),
        Some(b"a\r\nb"),
        Some(b"\x00\xff"),
    ];
    let decryptions = [None, Some(Encoding::UTF_8), Encoding::parse("sjis")];
    let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    for (number, headers) in header_lists().into_iter().enumerate() {
        for (index, key) in keys.iter().enumerate() {
            // Each list of headers meets each key and each value.
            let value = values[(index + number) % values.len()];
            let record = Record {
                topic: "orders".into(),
                partition: 3,
                offset: Offset(1 << 40),
                timestamp: (index != 1).then_some(1_700_000_000_123),
                key: key.map(Bytes::copy_from_slice),
                value: value.map(Bytes::copy_from_slice),
                headers: headers.clone(),
            };
            let decrypted = decryptions[(index + number) % decryptions.len()];
            let decrypted = decrypted.filter(|_| value.is_some());
            let expected = Known {
                place: [
                    "orders".to_owned(),
                    "3".to_owned(),
                    (1_u64 << 40).to_string(),
                    record
                        .timestamp
                        .map_or_else(String::new, |at| at.to_string()),
                ],
                idempotency_key: record.name(),
                attempt: "2".to_owned(),
                key: own(*key),
                value: own(value),
                headers: Headers::InOrder(
                    headers
                        .iter()
                        .map(|header| (header.name.to_vec(), own(header.value.as_deref())))
                        .collect(),
                ),
                decrypted: decrypted.map(|encoding| match encoding == Encoding::UTF_8 {
                    true => String::new(),
                    false => encoding.name().to_owned(),
                }),
            };
            for (form, read) in FORMS {
                let prepared = Prepared {
                    record: &record,
                    value: record.value.clone(),
                    decrypted,
                };
                let item = Item {
                    prepared,
                    attempt: 2,
                };
                let known = read(&[item]);
                assert!(known == expected, "{form}: {known:?}\n\n{expected:?}");
            }
        }
    }
}

#[test]
fn an_event_that_is_a_document_in_kafka_keeps_key_headers_and_data_in_every_form() {
    let data = br#"{"sum": 1.50, "a":123456789012345678901234567890}"#;
    let begin =
        br#"{"specversion":"1.0","id":"7","source":"/s","type":"t","kafkakey":"forged","data": "#;
    let event = [&begin[..], data, b"} "].concat();
    let few = [
        header("Content-Type", Some(b"application/cloudevents+json")),
        header("twice", Some(b"1")),
        header("twice", None),
    ];
    let many = [&few[..], &numbered(20, "h", &[b'x'; 1024])].concat();
    for headers in [few.to_vec(), many] {
        let record = Record {
            topic: "orders".into(),
            partition: 3,
            offset: Offset(42),
            timestamp: None,
            key: None,
            value: Some(Bytes::copy_from_slice(&event)),
            headers,
        };
        for (form, read) in FORMS {
            let prepared = Prepared {
                record: &record,
                value: record.value.clone(),
                decrypted: None,
            };
            let known = read(&[Item {
                prepared,
                attempt: 1,
            }]);
            let events = ["binary mode", "structured mode", "batch of events"];
            // The value as it is, with its content type, is an event in structured mode as well.
            let is_plain = form == "plain" && record.headers.len() == few.len();
            let value = match is_plain || events.contains(&form) {
                true => &data[..],
                false => &event,
            };
            assert_eq!(known.value.as_deref(), Some(value), "{form}");
            assert_eq!(known.key, None, "{form}");
            let headers = record.headers.iter();
            let pair = |header: &Header| {
                (
                    header.name.to_vec(),
                    header.value.as_deref().map(<[u8]>::to_vec),
                )
            };
            assert_eq!(
                known.headers,
                Headers::InOrder(headers.map(pair).collect()),
                "{form}"
            );
        }
    }
}
