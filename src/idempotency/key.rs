//! By which key a record is known again.
//!
//! `<topic>:<kind>:<text>`, readable so that a person can find and remove a mark: the topic cannot
//! hold a colon, the kind keeps the ways to make a key apart, and the text is percent-encoded where
//! it is not visible ASCII. A long text is replaced by its SHA-256, so that a store's keys are bounded.

use std::fmt::Write;

use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::worker_config::IdempotencyKey;

/// The longest text of a key, encoded, before it is replaced by its hash.
const TEXT_BYTES: usize = 200;
/// The longest key: a topic's name, the kind, the text, and what a redrive adds.
pub const MAX_KEY_BYTES: usize = 249 + ":pointer:".len() + TEXT_BYTES + 1 + TEXT_BYTES;

/// The parts of a record that a key may be made of.
pub trait Source {
    /// Its topic.
    fn topic(&self) -> &str;
    /// Its partition.
    fn partition(&self) -> i32;
    /// Its place in the partition.
    fn offset(&self) -> i64;
    /// Its time, milliseconds since 1970.
    fn timestamp(&self) -> Option<i64>;
    /// Kafka's key.
    fn record_key(&self) -> Option<&[u8]>;
    /// The value.
    fn value(&self) -> Option<&[u8]>;
    /// The value of the last header of that name.
    fn header(&self, name: &str) -> Option<&[u8]>;
}

/// A record without the key that the spec asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// No such header, or an empty one.
    #[error("the record has no header {0}")]
    Header(String),
    /// The value is no JSON, or has nothing that does for a key there.
    #[error("the record's value has no text or whole number at {pointer}{}", why(.not_json))]
    Pointer {
        /// The JSON pointer.
        pointer: String,
        /// It is not even JSON.
        not_json: bool,
    },
    /// No key, or an empty one.
    #[error("the record has no key")]
    RecordKey,
}

fn why(not_json: &bool) -> &'static str {
    if *not_json { ": it is not JSON" } else { "" }
}

/// What the names of the headers begin with that say where a record was first read.
const ORIGIN: &str = "drover-dlq-origin-";

/// Where a record of the topic of replays was first: only there is what its headers say of that believed.
struct Place<'a> {
    topic: &'a str,
    partition: i64,
    offset: i64,
    timestamp: Option<i64>,
}

impl<'a> Place<'a> {
    fn of(record: &'a impl Source, retry_topic: Option<&str>) -> Self {
        let own = Self {
            topic: record.topic(),
            partition: record.partition().into(),
            offset: record.offset(),
            timestamp: record.timestamp(),
        };
        let text = |name| std::str::from_utf8(record.header(&format!("{ORIGIN}{name}"))?).ok();
        let number = |name| text(name)?.parse().ok();
        // A colon would make of it another topic's key.
        let first = || {
            Some(Self {
                topic: text("topic").filter(|topic| !topic.is_empty() && !topic.contains(':'))?,
                partition: number("partition")?,
                offset: number("offset")?,
                timestamp: number("timestamp"),
            })
        };
        match retry_topic {
            Some(retry) if retry == record.topic() => first().unwrap_or(own),
            _ => own,
        }
    }
}

/// The key of `record`. One that was delivered again on purpose, as the header `redrive` says, has
/// a key of its own for each such purpose; one of `retry_topic` has the key that it had where it was first.
///
/// # Errors
///
/// The record has no such key. Nothing is made up in its place: two records without a key are not
/// the same record.
pub fn key(
    from: &IdempotencyKey,
    redrive: Option<&str>,
    retry_topic: Option<&str>,
    record: &impl Source,
) -> Result<String, Missing> {
    let Place {
        topic,
        partition,
        offset,
        timestamp,
    } = Place::of(record, retry_topic);
    let mut key = match from {
        IdempotencyKey::Header(name) => {
            let value = record.header(name).filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| Missing::Header(name.clone()))?;
            format!("{topic}:header:{}", encoded(value))
        }
        IdempotencyKey::Pointer(pointer) => {
            let value = record.value().unwrap_or_default();
            format!("{topic}:pointer:{}", encoded(&pointed(value, pointer)?))
        }
        IdempotencyKey::RecordKey => {
            let value = record.record_key().filter(|value| !value.is_empty());
            format!("{topic}:key:{}", encoded(value.ok_or(Missing::RecordKey)?))
        }
        IdempotencyKey::Offset => {
            // Offsets are given out anew where a topic is made anew or its log was cut; the record's time tells those apart.
            let time = timestamp.map_or_else(|| "-".to_owned(), |time| time.to_string());
            format!("{topic}:offset:{partition}:{offset}:{time}")
        }
    };
    let redriven = redrive.and_then(|name| record.header(name));
    if let Some(redriven) = redriven.filter(|value| !value.is_empty()) {
        // A text has no blank, so this is no other record's key.
        key.push(' ');
        key.push_str(&encoded(redriven));
    }
    Ok(key)
}

/// What a JSON pointer finds: a text or a whole number. Other numbers are no keys, since two of
/// them may look alike once they are read.
fn pointed(value: &[u8], pointer: &str) -> Result<Vec<u8>, Missing> {
    let missing = |not_json| Missing::Pointer {
        pointer: pointer.to_owned(),
        not_json,
    };
    let json: Value = serde_json::from_slice(value).map_err(|_| missing(true))?;
    match json.pointer(pointer) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone().into_bytes()),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Ok(number.to_string().into_bytes())
        }
        _ => Err(missing(false)),
    }
}

/// Visible ASCII as it is, all else as `%xx`; a long one as `%sha256-…`, which no other text is
/// encoded to, because `%s` is no `%xx`.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'%' {
            text.push(char::from(*byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(text, "%{byte:02x}");
        }
        if text.len() > TEXT_BYTES {
            return hashed(bytes);
        }
    }
    text
}

fn hashed(bytes: &[u8]) -> String {
    let mut text = "%sha256-".to_owned();
    for byte in digest(&SHA256, bytes).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Record {
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Vec<(&'static str, Vec<u8>)>,
        timestamp: Option<i64>,
    }

    impl Source for Record {
        fn topic(&self) -> &str {
            "orders"
        }
        fn partition(&self) -> i32 {
            3
        }
        fn offset(&self) -> i64 {
            41
        }
        fn timestamp(&self) -> Option<i64> {
            self.timestamp
        }
        fn record_key(&self) -> Option<&[u8]> {
            self.key.as_deref()
        }
        fn value(&self) -> Option<&[u8]> {
            self.value.as_deref()
        }
        fn header(&self, name: &str) -> Option<&[u8]> {
            let found = self.headers.iter().find(|(held, _)| *held == name);
            found.map(|(_, value)| value.as_slice())
        }
    }

    fn header() -> IdempotencyKey {
        IdempotencyKey::Header("message-id".to_owned())
    }

    fn pointer() -> IdempotencyKey {
        IdempotencyKey::Pointer("/event/id".to_owned())
    }

    fn with_value(value: &str) -> Record {
        Record {
            value: Some(value.as_bytes().to_vec()),
            ..Record::default()
        }
    }

    fn with_headers(headers: &[(&'static str, &[u8])]) -> Record {
        Record {
            headers: headers.iter().map(|(n, v)| (*n, v.to_vec())).collect(),
            ..Record::default()
        }
    }

    #[test]
    fn a_key_says_where_it_comes_from() {
        let mut record = with_headers(&[("message-id", b"8f-1")]);
        record.key = Some(b"a b".to_vec());
        record.value = Some(br#"{"event":{"id":"x"}}"#.to_vec());
        for (from, text) in [
            (header(), "orders:header:8f-1"),
            (pointer(), "orders:pointer:x"),
            (IdempotencyKey::RecordKey, "orders:key:a%20b"),
            (IdempotencyKey::Offset, "orders:offset:3:41:-"),
        ] {
            assert_eq!(key(&from, None, None, &record).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_replayed_record_has_the_key_that_it_had_where_it_was_first() {
        let first = [
            ("drover-dlq-origin-topic", &b"first"[..]),
            ("drover-dlq-origin-partition", b"7"),
            ("drover-dlq-origin-offset", b"99"),
            ("drover-dlq-origin-timestamp", b"1700000000000"),
            ("message-id", b"a"),
        ];
        let record = with_headers(&first);
        let of = |from: &IdempotencyKey, retry, record: &Record| key(from, None, retry, record);
        for (from, replayed, elsewhere) in [
            (
                IdempotencyKey::Offset,
                "first:offset:7:99:1700000000000",
                "orders:offset:3:41:-",
            ),
            (header(), "first:header:a", "orders:header:a"),
        ] {
            assert_eq!(of(&from, Some("orders"), &record).as_deref(), Ok(replayed));
            assert_eq!(of(&from, Some("retry"), &record).as_deref(), Ok(elsewhere));
            assert_eq!(of(&from, None, &record).as_deref(), Ok(elsewhere));
        }
        // What does not say all of it, or makes no sense, is not believed.
        let mut odd = first;
        odd[0].1 = b"first:offset";
        for record in [with_headers(&first[..2]), with_headers(&odd)] {
            let own = of(&IdempotencyKey::Offset, Some("orders"), &record);
            assert_eq!(own.as_deref(), Ok("orders:offset:3:41:-"));
        }
    }

    /// A topic that is deleted and made anew has its offsets twice, and so has a log that was cut.
    #[test]
    fn another_record_at_the_same_offset_is_another_record() {
        let of = |timestamp| {
            let record = Record {
                timestamp,
                ..Record::default()
            };
            key(&IdempotencyKey::Offset, None, None, &record).unwrap()
        };
        assert_ne!(of(Some(1)), of(Some(2)));
        assert_ne!(of(Some(1)), of(None));
        assert_eq!(of(Some(1)), of(Some(1)));
    }

    #[test]
    fn what_is_missing_is_not_made_up() {
        for (from, record) in [
            (header(), with_headers(&[("other", b"1")])),
            (header(), with_headers(&[("message-id", b"")])),
            (IdempotencyKey::RecordKey, Record::default()),
            (pointer(), Record::default()),
            (pointer(), with_value("not json")),
            (pointer(), with_value("{}")),
            (pointer(), with_value(r#"{"event":{"id":null}}"#)),
            (pointer(), with_value(r#"{"event":{"id":""}}"#)),
            (pointer(), with_value(r#"{"event":{"id":{"a":1}}}"#)),
        ] {
            assert!(key(&from, None, None, &record).is_err());
        }
        let missing = key(&pointer(), None, None, &with_value("<xml>")).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "the record's value has no text or whole number at /event/id: it is not JSON"
        );
    }

    /// Beyond 64 bits, and with a point, two numbers of a text may be one once they are read.
    #[test]
    fn only_a_number_that_is_read_exactly_is_a_key() {
        let of = |id: &str| {
            let record = with_value(&format!(r#"{{"event":{{"id":{id}}}}}"#));
            key(&pointer(), None, None, &record)
        };
        assert_eq!(
            of("18446744073709551615").as_deref(),
            Ok("orders:pointer:18446744073709551615")
        );
        assert!(of("18446744073709551616").is_err());
        assert!(of("1.5").is_err());
    }

    #[test]
    fn a_redrive_has_a_key_of_its_own_only_where_its_header_is_named() {
        let record = with_headers(&[("message-id", b"1"), ("redrive", b"2026-11-25")]);
        assert_eq!(
            key(&header(), None, None, &record).as_deref(),
            Ok("orders:header:1")
        );
        assert_eq!(
            key(&header(), Some("redrive"), None, &record).as_deref(),
            Ok("orders:header:1 2026-11-25")
        );
        let plain = with_headers(&[("message-id", b"1")]);
        assert_eq!(
            key(&header(), Some("redrive"), None, &plain).as_deref(),
            Ok("orders:header:1")
        );
    }

    proptest! {
        #[test]
        fn different_texts_have_different_bounded_keys(
            a in proptest::collection::vec(any::<u8>(), 1..400),
            b in proptest::collection::vec(any::<u8>(), 1..400),
            redriven: bool,
        ) {
            let of = |bytes: &[u8]| {
                let record = with_headers(&[("message-id", bytes), ("again", bytes)]);
                key(&header(), redriven.then_some("again"), None, &record).unwrap()
            };
            prop_assert_eq!(of(&a) == of(&b), a == b);
            prop_assert!(of(&a).len() <= MAX_KEY_BYTES);
            prop_assert!(of(&a).is_ascii());
        }
    }
}
