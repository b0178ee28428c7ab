//! Records out of counts and lines. Pure.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A record to be produced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub key: Option<Vec<u8>>,
    /// None is a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    pub fn new(key: Option<Vec<u8>>, value: Vec<u8>) -> Self {
        Self {
            key,
            value: Some(value),
            headers: Vec::new(),
        }
    }
}

/// Records that a witness can check: each names its key and its place within the key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Generated {
    pub count: u64,
    /// At least 1.
    pub keys: u64,
    /// Bytes of a value at least.
    pub size: usize,
}

impl Generated {
    /// One key after the other, sequence numbers from 1.
    pub fn records(self) -> impl Iterator<Item = Record> {
        (0..self.count).map(move |index| {
            let key = format!("key-{}", index % self.keys);
            let value = self.value(&key, index / self.keys + 1);
            Record::new(Some(key.into_bytes()), value.into_bytes())
        })
    }

    fn value(self, key: &str, seq: u64) -> String {
        let plain = format!(r#"{{"key":"{key}","seq":{seq}}}"#);
        let frame = r#","pad":"""#.len();
        match self.size.checked_sub(plain.len() + frame) {
            Some(room) if plain.len() < self.size => {
                let pad = "x".repeat(room);
                format!(r#"{{"key":"{key}","seq":{seq},"pad":"{pad}"}}"#)
            }
            _ => plain,
        }
    }
}

/// Why a line is not a record.
#[derive(Debug, thiserror::Error)]
#[error(
    "line {line} is not a record: {why}; write {{\"key\": \"k\", \"value\": \"v\", \"headers\": {{\"name\": \"value\"}}}}"
)]
pub(super) struct NotARecord {
    line: usize,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    key: Option<String>,
    // Not a tree of values: that has no room for 98765432109876543210, 1.10 or the order of members.
    value: Box<RawValue>,
    #[serde(default)]
    headers: Headers,
}

/// As they were written: in their order, and a name may be there twice, as in Kafka.
#[derive(Default)]
struct Headers(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Headers;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object of headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Vec::new();
                while let Some(header) = map.next_entry()? {
                    headers.push(header);
                }
                Ok(Headers(headers))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// The record that a line of JSON describes. `line` is its number, for the error.
pub(super) fn json_line(text: &[u8], line: usize) -> Result<Record, NotARecord> {
    let refused = |why: String| NotARecord { line, why };
    // To the parser each is line 1; `line` is the one in the input.
    let why = |error: serde_json::Error| error.to_string().replace("at line 1 column", "at column");
    let parsed: Line = serde_json::from_slice(text).map_err(|error| refused(why(error)))?;
    let mut headers = Vec::new();
    for (name, value) in parsed.headers.0 {
        headers.push((name, bytes(&value).map_err(|error| refused(why(error)))?));
    }
    Ok(Record {
        key: parsed.key.map(String::into_bytes),
        value: bytes(&parsed.value).map_err(|error| refused(why(error)))?,
        headers,
    })
}

/// A text as it is, null as nothing, anything else as its JSON, byte for byte.
fn bytes(value: &RawValue) -> serde_json::Result<Option<Vec<u8>>> {
    let json = value.get();
    if json == "null" {
        return Ok(None);
    }
    if json.starts_with('"') {
        return serde_json::from_str(json).map(|text: String| Some(text.into_bytes()));
    }
    Ok(Some(json.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn text(bytes: &Option<Vec<u8>>) -> String {
        String::from_utf8(bytes.clone().unwrap()).unwrap()
    }

    #[test]
    fn each_key_counts_for_itself() {
        let made = Generated {
            count: 5,
            keys: 2,
            size: 0,
        };
        let values: Vec<String> = made.records().map(|record| text(&record.value)).collect();
        assert_eq!(
            values,
            [
                r#"{"key":"key-0","seq":1}"#,
                r#"{"key":"key-1","seq":1}"#,
                r#"{"key":"key-0","seq":2}"#,
                r#"{"key":"key-1","seq":2}"#,
                r#"{"key":"key-0","seq":3}"#,
            ]
        );
    }

    #[test]
    fn a_size_is_filled_exactly_where_there_is_room() {
        let sized = |size| {
            let made = Generated {
                count: 1,
                keys: 1,
                size,
            };
            text(&made.records().next().unwrap().value)
        };
        let padded = sized(1024);
        assert_eq!(padded.len(), 1024);
        let parsed: Value = serde_json::from_str(&padded).unwrap();
        assert_eq!(parsed["seq"], 1);
        assert_eq!(sized(2_000_000).len(), 2_000_000);
        assert_eq!(sized(3), r#"{"key":"key-0","seq":1}"#);
        for size in 0..64 {
            assert!(
                serde_json::from_str::<Value>(&sized(size)).is_ok(),
                "{size}"
            );
        }
    }

    #[test]
    fn a_json_line_carries_key_headers_and_value() {
        let record = json_line(
            br#"{"key":"k","value":{"id":7},"headers":{"a":"b","n":1,"none":null}}"#,
            1,
        )
        .unwrap();
        assert_eq!(text(&record.key), "k");
        assert_eq!(text(&record.value), r#"{"id":7}"#);
        assert_eq!(
            record.headers,
            [
                ("a".to_owned(), Some(b"b".to_vec())),
                ("n".to_owned(), Some(b"1".to_vec())),
                ("none".to_owned(), None),
            ]
        );
    }

    #[test]
    fn null_is_a_tombstone_and_a_text_is_itself() {
        assert_eq!(
            json_line(br#"{"key":"k","value":null}"#, 1).unwrap().value,
            None
        );
        let record = json_line(br#"{"value":"plain"}"#, 1).unwrap();
        assert_eq!(text(&record.value), "plain");
        assert_eq!(record.key, None);
    }

    #[test]
    fn json_is_sent_byte_for_byte_as_it_is_written() {
        for json in [
            r#"{"id":98765432109876543210,"amount":1.10,"b":1,"a":2}"#,
            r#"{"b":1,"a":2,"b":3}"#,
            "12345678901234567890123",
            "-0.0",
            "1E400",
            "[ 1,\t2 ]",
            r#"{"\u00e4":"\/"}"#,
            "true",
        ] {
            let line = format!(r#"{{"headers":{{"h": {json} ,"a":1,"h":2}}, "value" : {json} }}"#);
            let record = json_line(line.as_bytes(), 1).unwrap();
            assert_eq!(text(&record.value), json);
            let headers = [("h", json), ("a", "1"), ("h", "2")]
                .map(|(name, value)| (name.to_owned(), Some(value.as_bytes().to_vec())));
            assert_eq!(record.headers, headers);
        }
        let escaped = json_line(br#"{"value":"\u00e4\n\/"}"#, 1).unwrap();
        assert_eq!(text(&escaped.value), "\u{e4}\n/");
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        for bad in [
            "nonsense",
            "{}",
            r#"{"value":1,"header":{}}"#,
            r#"{"key":1,"value":1}"#,
            r#"{"value":01}"#,
            r#"{"value":"\ud800"}"#,
            r#"{"value":1,"value":2}"#,
            r#"{"value":1,"headers":[]}"#,
        ] {
            let error = json_line(bad.as_bytes(), 7).unwrap_err().to_string();
            assert!(error.starts_with("line 7 is not a record: "), "{error}");
        }
    }
}
