//! Records out of counts and lines. Pure.

use serde::Deserialize;
use serde_json::{Map, Value};

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
    value: Value,
    #[serde(default)]
    headers: Map<String, Value>,
}

/// The record that a line of JSON describes. `line` is its number, for the error.
pub(super) fn json_line(text: &[u8], line: usize) -> Result<Record, NotARecord> {
    let refused = |why: String| NotARecord { line, why };
    // To the parser each is line 1; `line` is the one in the input.
    let why = |error: serde_json::Error| error.to_string().replace("at line 1 column", "at column");
    let parsed: Line = serde_json::from_slice(text).map_err(|error| refused(why(error)))?;
    let headers = parsed
        .headers
        .into_iter()
        .map(|(name, value)| (name, bytes(value)))
        .collect();
    Ok(Record {
        key: parsed.key.map(String::into_bytes),
        value: bytes(parsed.value),
        headers,
    })
}

/// A text as it is, null as nothing, anything else as its JSON.
fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.into_bytes()),
        other => Some(other.to_string().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
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
    fn a_bad_line_is_named_by_its_number() {
        for bad in [
            "nonsense",
            "{}",
            r#"{"value":1,"header":{}}"#,
            r#"{"key":1,"value":1}"#,
        ] {
            let error = json_line(bad.as_bytes(), 7).unwrap_err().to_string();
            assert!(error.starts_with("line 7 is not a record: "), "{error}");
        }
    }
}
