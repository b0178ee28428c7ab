//! Reads what a handler gets, by the rules of the reference alone.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::head::{MOST, MOST_HEADERS};
use super::super::*;

/// A header's name and value.
pub(super) type Pair = (Vec<u8>, Option<Vec<u8>>);

/// What a handler knows of a record.
#[derive(Debug, PartialEq)]
pub(super) struct Known {
    /// Topic, partition, offset and the record's time.
    pub(super) place: [String; 4],
    pub(super) idempotency_key: String,
    pub(super) attempt: String,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Headers,
    /// The encoding of what was encrypted.
    pub(super) decrypted: Option<String>,
}

#[derive(Debug)]
pub(super) enum Headers {
    InOrder(Vec<Pair>),
    Sorted(Vec<Pair>),
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        let sorted = |headers: &[Pair]| {
            let mut headers = headers.to_vec();
            headers.sort();
            headers
        };
        match (self, other) {
            (Self::InOrder(one), Self::InOrder(other)) => one == other,
            (
                Self::InOrder(one) | Self::Sorted(one),
                Self::InOrder(other) | Self::Sorted(other),
            ) => sorted(one) == sorted(other),
        }
    }
}

/// A string stands for bytes that are UTF-8, an object for others, null for null.
fn bytes(json: &Value) -> Option<Vec<u8>> {
    match json {
        Value::Null => None,
        Value::String(text) => Some(text.as_bytes().to_vec()),
        other => Some(decoded(other["base64"].as_str().unwrap())),
    }
}

fn decoded(base64: &str) -> Vec<u8> {
    BASE64.decode(base64).unwrap()
}

fn list(json: &Value) -> Headers {
    let pairs = json.as_array().unwrap().iter();
    Headers::InOrder(
        pairs
            .map(|pair| (bytes(&pair[0]).unwrap(), bytes(&pair[1])))
            .collect(),
    )
}

pub(super) fn read_document(record: &Value) -> Known {
    let text = |name: &str| match &record[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let decrypted = (record["decrypted"] == true).then(|| text("decryptedEncoding"));
    Known {
        place: ["topic", "partition", "offset", "timestamp"].map(text),
        idempotency_key: text("idempotencyKey"),
        attempt: text("attempt"),
        key: bytes(&record["key"]),
        value: bytes(&record["value"]),
        headers: list(&record["headers"]),
        decrypted,
    }
}

/// Attributes that are not the event's own.
fn is_added(name: &str) -> bool {
    let usual = ["partitionkey", "traceparent", "tracestate"];
    name.starts_with("kafka") || name.starts_with("drover") || usual.contains(&name)
}

/// Texts by name: HTTP's headers, and over them the members of an event, each under the name of the header that it
/// stands for.
#[derive(Default)]
pub(super) struct Said(BTreeMap<String, String>);

impl Said {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default()
    }

    pub(super) fn known(&self, value: Option<Vec<u8>>) -> Known {
        let plain = self.get("drover-key").map(String::into_bytes);
        let base64 = || self.get("drover-key-base64").map(|key| decoded(&key));
        let all = self.get("drover-headers");
        let all = all.map(|all| list(&serde_json::from_str(&all).unwrap()));
        let mut rest = Vec::new();
        for (name, value) in &self.0 {
            let value = Some(value.as_bytes().to_vec());
            if let Some(name) = name.strip_prefix("drover-header-") {
                rest.push((name.as_bytes().to_vec(), value));
            } else if let Some(name) = name.strip_prefix("ce_") {
                rest.push((format!("ce_{name}").into_bytes(), value));
            } else if name == "data-content-type" {
                rest.push((b"content-type".to_vec(), value));
            }
        }
        let decrypted = self.get("drover-decrypted");
        Known {
            place: ["topic", "partition", "offset", "timestamp"]
                .map(|name| self.text(&format!("drover-{name}"))),
            idempotency_key: self.text("idempotency-key"),
            attempt: self.text("drover-attempt"),
            key: plain.or_else(base64),
            value,
            headers: all.unwrap_or(Headers::Sorted(rest)),
            decrypted: decrypted.map(|_| self.text("drover-decrypted-encoding")),
        }
    }

    /// Takes in an event in the JSON format; gives its data. It says all of its record, or only what it is itself.
    pub(super) fn take_event(&mut self, event: &[u8], says_all: bool) -> Option<Vec<u8>> {
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(event).unwrap();
        let text = |name: &str| {
            let member = members.get(name)?;
            serde_json::from_str::<String>(member.get()).ok()
        };
        let own = text("type").is_none_or(|kind| kind != "dev.drover.kafka.record");
        for name in members.keys() {
            let stands_for = match name.as_str() {
                "data" | "data_base64" => continue,
                name if own && !says_all => match name {
                    "datacontenttype" => "data-content-type".to_owned(),
                    name => format!("ce_{name}"),
                },
                "datacontenttype" if own => "data-content-type".to_owned(),
                "kafkakeybase64" => "drover-key-base64".to_owned(),
                "partitionkey" if !own => "drover-key".to_owned(),
                "droveridempotencykey" => "idempotency-key".to_owned(),
                "droverencoding" => "drover-decrypted-encoding".to_owned(),
                name if name.starts_with("drover") => name.replacen("drover", "drover-", 1),
                name if name.starts_with("kafka") => name.replacen("kafka", "drover-", 1),
                name if own && !is_added(name) => format!("ce_{name}"),
                _ => continue,
            };
            self.0.insert(stands_for, text(name).unwrap_or_default());
        }
        let is_text = text("datacontenttype").is_some_and(|is| is.starts_with("text/"));
        match (text("data_base64"), members.get("data")) {
            (Some(base64), _) => Some(decoded(&base64)),
            (None, Some(_)) if is_text => text("data").map(String::into_bytes),
            (None, Some(data)) => Some(data.get().as_bytes().to_vec()),
            (None, None) => None,
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16).unwrap());
        out.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(out).unwrap()
}

pub(super) fn read_request(request: &Outgoing) -> Known {
    let head = &request.head;
    let headers = head.to_map();
    assert_eq!(headers.len(), headers.keys().count(), "none is there twice");
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum();
    assert!(size <= MOST && headers.len() <= MOST_HEADERS, "{size}");
    if headers.contains_key("drover-batch") {
        assert_eq!(headers["drover-in-body"], "true");
        let document: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(document["records"].as_array().unwrap().len(), 1);
        return read_document(&document["records"][0]);
    }
    let mut said = Said::default();
    let own = headers.get("ce-type");
    let own = own.is_some_and(|kind| kind != "dev.drover.kafka.record");
    for (name, value) in &headers {
        let (name, value) = (name.as_str(), value.to_str().unwrap());
        match name.strip_prefix("ce-") {
            Some(name) if own => said.0.insert(format!("ce_{name}"), percent_decoded(value)),
            None if own && name == "content-type" => said
                .0
                .insert("data-content-type".to_owned(), value.to_owned()),
            _ => said.0.insert(name.to_owned(), value.to_owned()),
        };
    }
    let content_type = headers.get("content-type").map(|is| is.to_str().unwrap());
    let value = match content_type {
        Some(is) if is.starts_with("application/cloudevents+json") => {
            let says_all = headers.contains_key("drover-in-body");
            let data = said.take_event(&request.body, says_all);
            let tombstone = said.get("drover-tombstone").is_some();
            assert_eq!(tombstone, data.is_none());
            data
        }
        _ => (!headers.contains_key("drover-tombstone")).then(|| request.body.to_vec()),
    };
    said.known(value)
}
