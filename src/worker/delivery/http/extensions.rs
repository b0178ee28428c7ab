//! What a single request has in headers, as extension attributes of the record's event: for events that are in company, or
//! whose headers would be too large.
//!
//! Names are as CloudEvents 1.0.2 wants them (section 3.1: `a` to `z` and digits, at most 20), values are texts. The
//! reference is `docs/http-handler.md`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::cloud_event::{self, Event, Mapped};
use super::event_json::{Object, object_of};
use crate::encryption::Encoding;
use crate::worker::delivery::document::Item;
use crate::worker::delivery::json::{HeadersInJson, in_ascii, in_text};
use crate::worker::delivery::prepare::Prepared;
use crate::worker::record::{Header, Record};

/// An attribute, and its text.
pub type Extension<'a> = (&'static str, Cow<'a, str>);

/// All of the record's headers.
const HEADERS: &str = "kafkaheaders";
/// The key, where it cannot be the text of an attribute.
pub const KEY_BASE64: &str = "kafkakeybase64";

/// What is ours to say: an event that has such an attribute of its own loses it, as nobody may forge them.
const OURS: [&str; 12] = [
    "kafkatopic",
    "kafkapartition",
    "kafkaoffset",
    "kafkatimestamp",
    "kafkakey",
    KEY_BASE64,
    HEADERS,
    "kafkatombstone",
    "droverattempt",
    "droveridempotencykey",
    "droverdecrypted",
    "droverencoding",
];

fn is_ours(name: &str) -> bool {
    OURS.contains(&name)
}

/// Bytes as the text of an attribute (section 3.1, String): no control characters, nothing that is no character.
pub fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let no_character = |c: char| {
        matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff) || ('\u{fdd0}'..='\u{fdef}').contains(&c)
    };
    let barred = |c: char| c.is_control() || no_character(c);
    (!text.contains(barred)).then_some(text)
}

/// The record's headers, none of which is said otherwise.
pub fn headers(record: &Record) -> Option<Extension<'_>> {
    let all = (!record.headers.is_empty()).then(|| in_ascii(&HeadersInJson(&record.headers)))?;
    Some((HEADERS, all.into()))
}

/// The extension for partitioning, and those for distributed tracing, as far as the record has what they say.
pub fn usual(record: &Record) -> impl Iterator<Item = Extension<'_>> {
    let key = record.key.as_deref().and_then(text);
    let key = key.filter(|key| !key.is_empty());
    let header = |name| {
        let value = record.header(name)?.value.as_deref()?;
        Some((name, text(value)?))
    };
    let all = [
        key.map(|key| ("partitionkey", key)),
        header("traceparent"),
        header("tracestate"),
    ];
    let all = all.into_iter().flatten();
    all.map(|(name, value)| (name, value.into()))
}

/// Adds the event of `item` in the JSON format to `out`, with all that the handler may know of the record.
pub fn write_whole_event(item: &Item<'_>, source: &str, out: &mut Vec<u8>) {
    let prepared = &item.prepared;
    match cloud_event::map(prepared, source) {
        Mapped::Event(event) => write_event(event, item, out),
        Mapped::Whole { body, .. } => match object_of(&body) {
            Some(members) => write_members(&members, item, out),
            // In a format that cannot stand in JSON: an event around it.
            None => write_event(cloud_event::wrap(prepared, source), item, out),
        },
    }
}

fn write_event(mut event: Event<'_>, item: &Item<'_>, out: &mut Vec<u8>) {
    event.attributes.retain(|(name, _)| !is_ours(name));
    let record = item.prepared.record;
    let mut extensions = of(item, |header| event.says(header));
    let has = |wanted: &str| event.attributes.iter().any(|(name, _)| name == wanted);
    extensions.extend(usual(record).filter(|(name, _)| !has(name)));
    event.in_json(&extensions, out);
}

/// An event that was one document in Kafka: each member stays as it was written.
fn write_members(members: &[(String, Bytes)], item: &Item<'_>, out: &mut Vec<u8>) {
    let record = item.prepared.record;
    let mut extensions = of(item, |header| cloud_event::is_marker(record, header));
    let has = |wanted: &str| {
        let mut named = members.iter().filter(|(name, _)| name == wanted);
        named.any(|(_, value)| value.as_ref() != b"null")
    };
    extensions.extend(usual(record).filter(|(name, _)| !has(name)));
    let mut object = Object::begin(out);
    for (name, value) in members {
        if !extensions.iter().any(|(said, _)| said == name) && !is_ours(name) {
            object.member(name, value);
        }
    }
    for (name, value) in &extensions {
        object.member(name, in_text(value).as_bytes());
    }
    object.end();
}

/// All that is ours to say of `item`; the headers, if there is one that is not `said` otherwise.
fn of<'a>(item: &'a Item<'_>, said: impl Fn(&Header) -> bool) -> Vec<Extension<'a>> {
    let Prepared {
        record,
        value,
        decrypted,
    } = &item.prepared;
    let mut all: Vec<Extension<'a>> = vec![
        ("kafkatopic", Cow::Borrowed(&*record.topic)),
        ("kafkapartition", record.partition.to_string().into()),
        ("kafkaoffset", record.offset.to_string().into()),
    ];
    if let Some(millis) = record.timestamp {
        all.push(("kafkatimestamp", millis.to_string().into()));
    }
    if let Some(key) = &record.key {
        all.push(match text(key) {
            Some(key) => ("kafkakey", key.into()),
            None => (KEY_BASE64, BASE64.encode(key).into()),
        });
    }
    if !record.headers.iter().all(said) {
        all.extend(headers(record));
    }
    if value.is_none() {
        all.push(("kafkatombstone", "true".into()));
    }
    all.push(("droverattempt", item.attempt.to_string().into()));
    all.push(("droveridempotencykey", record.name().into()));
    if let Some(encoding) = decrypted {
        all.push(("droverdecrypted", "true".into()));
        if *encoding != Encoding::UTF_8 {
            all.push(("droverencoding", encoding.name().into()));
        }
    }
    all
}

#[cfg(test)]
#[path = "extensions_tests.rs"]
mod tests;
