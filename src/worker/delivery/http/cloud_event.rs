//! A record as a CloudEvent: what arrives as one is mapped, anything else becomes one.
//!
//! Sources: the CloudEvents specification 1.0.2 with its bindings for Kafka (3.2: binary mode with headers
//! `ce_…`, structured mode by content type) and HTTP (3.1.3: `ce-…`, percent-encoded). Its JSON format is
//! `event_json`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;

use super::extensions;
use super::head::Head;
use super::headers::text_value;
use crate::worker::delivery::prepare::Prepared;
use crate::worker::record::{Header, Record};

/// The content type of one event in the JSON format.
pub const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
/// The type of an event that was no event in Kafka.
const TYPE: &str = "dev.drover.kafka.record";
/// What names of Kafka's headers begin with that are attributes.
const KAFKA_PREFIX: &[u8] = b"ce_";
/// What has more attributes than this is not taken for an event: HTTP servers count headers.
pub(super) const MOST_ATTRIBUTES: usize = 100;
/// Attributes without which nothing is a CloudEvent.
pub(super) const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];

/// An event, taken apart.
#[derive(Debug, PartialEq)]
pub struct Event<'a> {
    /// All attributes but `datacontenttype`.
    pub(super) attributes: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// `datacontenttype`.
    pub(super) content_type: Option<Cow<'a, str>>,
    /// The data; None where there are none.
    pub(super) data: Option<Bytes>,
    /// It was an event in Kafka already.
    pub was_event: bool,
}

/// What a record is as a CloudEvent.
#[derive(Debug, PartialEq)]
pub enum Mapped<'a> {
    /// Taken apart.
    Event(Event<'a>),
    /// In structured mode, as it is in Kafka.
    Whole {
        /// With its event format.
        content_type: &'a [u8],
        /// The whole event.
        body: Bytes,
    },
}

/// Maps a record; `source` is the source of events that were none.
pub fn map<'a>(prepared: &'a Prepared<'_>, source: &str) -> Mapped<'a> {
    let record = prepared.record;
    let content_type = record.header("content-type").and_then(text_value);
    if let Some(content_type) = content_type.filter(|content_type| is_structured(content_type))
        && let Some(body) = &prepared.value
    {
        let body = body.clone();
        return Mapped::Whole { content_type, body };
    }
    Mapped::Event(binary(record, &prepared.value).unwrap_or_else(|| wrap(prepared, source)))
}

/// An event around the record as it is, whatever that is.
pub fn wrap<'a>(prepared: &'a Prepared<'_>, source: &str) -> Event<'a> {
    wrapped(prepared.record, &prepared.value, source)
}

/// The header by which a record is an event in structured mode: all that it says is the content type.
pub fn is_marker(record: &Record, header: &Header) -> bool {
    let marker = record.header("content-type");
    marker.is_some_and(|marker| std::ptr::eq(marker, header))
}

fn is_structured(content_type: &[u8]) -> bool {
    let prefix = b"application/cloudevents";
    let beginning = content_type.get(..prefix.len());
    beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix))
}

/// The attribute that a header of Kafka's is, if it is one.
fn attribute(header: &Header) -> Option<(&str, &str)> {
    let name = header.name.strip_prefix(KAFKA_PREFIX)?;
    // The content type has a header of its own, and the data are the record's value (JSON format 3.1: no attribute
    // is called so).
    if !is_attribute_name(name) || matches!(name, b"datacontenttype" | b"data") {
        return None;
    }
    let value = std::str::from_utf8(header.value.as_ref()?).ok()?;
    Some((std::str::from_utf8(name).ok()?, value))
}

pub(super) fn is_attribute_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// A record in Kafka's binary mode.
fn binary<'a>(record: &'a Record, value: &Option<Bytes>) -> Option<Event<'a>> {
    let mut attributes: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    for (name, value) in record.headers.iter().filter_map(attribute) {
        match attributes.iter().position(|(known, _)| known == name) {
            // Of several the last counts, as in Kafka's own clients.
            Some(index) => attributes[index].1 = value.into(),
            None if attributes.len() < MOST_ATTRIBUTES => {
                attributes.push((name.into(), value.into()));
            }
            None => return None,
        }
    }
    let has = |name: &&str| attributes.iter().any(|(n, v)| n == name && !v.is_empty());
    REQUIRED.iter().all(has).then_some(Event {
        attributes,
        content_type: content_type(record),
        data: value.clone(),
        was_event: true,
    })
}

/// Not that of a whole event, which a record without a value cannot be: whoever reads it would look for one.
/// Some producers say it as an attribute, which the standard's readers understand as well.
fn content_type(record: &Record) -> Option<Cow<'_, str>> {
    ["content-type", "ce_datacontenttype"]
        .into_iter()
        .find_map(|name| {
            let value = record.header(name)?.value.as_ref()?;
            let text = std::str::from_utf8(value).ok()?.trim();
            (!text.is_empty() && !is_structured(text.as_bytes())).then_some(text.into())
        })
}

/// Whether HTTP's binary mode can say the content type of data: it must not be that of a whole event.
pub(super) fn is_sayable(content_type: &str) -> bool {
    !is_structured(content_type.as_bytes()) && in_visible_ascii(content_type) == content_type
}

/// A record that is no event.
fn wrapped<'a>(record: &'a Record, value: &Option<Bytes>, source: &str) -> Event<'a> {
    let Record {
        topic,
        partition,
        offset,
        ..
    } = record;
    let mut attributes: Vec<(Cow<'_, str>, Cow<'_, str>)> = vec![
        ("specversion".into(), "1.0".into()),
        ("id".into(), format!("{topic}/{partition}/{offset}").into()),
        ("source".into(), format!("{source}#{topic}").into()),
        ("type".into(), TYPE.into()),
        (
            "subject".into(),
            format!("partition:{partition}#{offset}").into(),
        ),
    ];
    let time = record.timestamp.map(Timestamp::from_millisecond);
    if let Some(Ok(time)) = time {
        attributes.push(("time".into(), time.to_string().into()));
    }
    let usual = extensions::usual(record);
    attributes.extend(usual.map(|(name, value)| (name.into(), value)));
    let said = |key: &Bytes| !key.is_empty() && extensions::text(key).is_some();
    if let Some(key) = record.key.as_ref().filter(|key| !said(key)) {
        let name = extensions::KEY_BASE64;
        attributes.push((name.into(), BASE64.encode(key).into()));
    }
    Event {
        attributes,
        content_type: Some(content_type(record).unwrap_or("application/octet-stream".into())),
        data: value.clone(),
        was_event: false,
    }
}

impl Event<'_> {
    /// An attribute of the event says what the header does, all of it. What is said is not said twice.
    pub fn says(&self, header: &Header) -> bool {
        if header.name.eq_ignore_ascii_case(b"content-type") {
            let content_type = self.content_type.as_deref().map(str::as_bytes);
            return self.was_event && text_value(header).is_some_and(|is| content_type == Some(is));
        }
        let attribute = attribute(header).filter(|_| self.was_event);
        let is = |said: (&str, &str)| self.attributes.iter().any(|(n, v)| (&**n, &**v) == said);
        attribute.is_some_and(is)
    }

    /// The headers of HTTP's binary mode, and the body.
    pub fn in_headers(&self, head: &mut Head) -> Bytes {
        for (name, value) in &self.attributes {
            head.add_named("ce-", name, percent_encoded(value).as_bytes());
        }
        if let Some(content_type) = &self.content_type {
            head.add(&CONTENT_TYPE, in_visible_ascii(content_type).as_bytes());
        }
        self.data.clone().unwrap_or_default()
    }
}

/// As the HTTP binding asks for: all but visible ASCII, and the quote and the percent sign.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if matches!(byte, 0x21..=0x7e) && byte != b'"' && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What HTTP cannot carry in a content type is no part of one.
fn in_visible_ascii(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~')).collect()
}

#[cfg(test)]
#[path = "cloud_event_tests.rs"]
mod tests;
