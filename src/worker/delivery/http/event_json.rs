//! CloudEvents' JSON format 1.0.2 (3.1: `data` and `data_base64`), written and read.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::IgnoredAny;

use super::cloud_event::{Event, MOST_ATTRIBUTES, REQUIRED, is_attribute_name, is_sayable};
use super::extensions::Extension;
use crate::worker::delivery::json::in_text;

impl Event<'_> {
    /// The event in the JSON format, added to `out`, with these extensions, none of which is an attribute of its own.
    pub fn in_json(&self, extensions: &[Extension<'_>], out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        for (name, value) in &self.attributes {
            object.member(name, in_text(value).as_bytes());
        }
        for (name, value) in extensions {
            object.member(name, in_text(value).as_bytes());
        }
        if let Some(content_type) = &self.content_type {
            object.member("datacontenttype", in_text(content_type).as_bytes());
        }
        if let Some(data) = &self.data {
            match data_form(self.content_type.as_deref(), data) {
                DataForm::Json => object.member("data", data),
                DataForm::Text(text) => object.member("data", in_text(&text).as_bytes()),
                DataForm::Binary => {
                    let data = in_text(&BASE64.encode(data));
                    object.member("data_base64", data.as_bytes());
                }
            }
        }
        object.end();
    }

    /// An event in the JSON format, taken apart; None if it is none, or if binary mode cannot say it.
    pub fn from_json(body: &Bytes) -> Option<Event<'static>> {
        let mut event = Event {
            attributes: Vec::new(),
            content_type: None,
            data: None,
            was_event: true,
        };
        let mut data = None;
        for (name, value) in members(body)? {
            match name.as_str() {
                "data" => data = Some(value),
                "data_base64" => {
                    let text: String = serde_json::from_slice(&value).ok()?;
                    event.data = Some(BASE64.decode(text).ok()?.into());
                }
                "datacontenttype" => {
                    let text: Option<String> = serde_json::from_slice(&value).ok()?;
                    event.content_type = text.map(Cow::Owned);
                }
                name if is_attribute_name(name.as_bytes()) => {
                    // Of several the last counts, as wherever JSON is read.
                    event.attributes.retain(|(known, _)| known != name);
                    if let Some(text) = attribute_text(&value)? {
                        event.attributes.push((name.to_owned().into(), text.into()));
                    }
                }
                _ => return None,
            }
        }
        if let Some(data) = data.filter(|data| data.as_ref() != b"null") {
            let is_json = event.content_type.as_deref().is_none_or(is_json);
            let text: Option<String> = serde_json::from_slice(&data).ok();
            event.data = Some(match text {
                Some(text) if !is_json => text.into(),
                // In the JSON format, data without a type are JSON.
                _ => {
                    event
                        .content_type
                        .get_or_insert(Cow::Borrowed("application/json"));
                    data
                }
            });
        }
        let has = |name: &&str| {
            event
                .attributes
                .iter()
                .any(|(n, v)| n == name && !v.is_empty())
        };
        let few = event.attributes.len() <= MOST_ATTRIBUTES;
        let sayable = event.content_type.as_deref().is_none_or(is_sayable);
        (few && sayable && REQUIRED.iter().all(has)).then_some(event)
    }
}

/// A JSON object that is being written.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    /// What comes before the next member.
    before: u8,
}

impl<'o> Object<'o> {
    pub fn begin(out: &'o mut Vec<u8>) -> Self {
        Self { out, before: b'{' }
    }

    /// Adds a member, whose value is JSON already.
    pub fn member(&mut self, name: &str, value: &[u8]) {
        self.out.push(std::mem::replace(&mut self.before, b','));
        self.out.extend_from_slice(in_text(&name).as_bytes());
        self.out.push(b':');
        self.out.extend_from_slice(value);
    }

    /// Ends it; it has a member at least.
    pub fn end(self) {
        self.out.push(b'}');
    }
}

/// The text of an attribute: `None` inside for null, outside for what is no attribute.
fn attribute_text(value: &[u8]) -> Option<Option<String>> {
    match serde_json::from_slice(value).ok()? {
        serde_json::Value::Null => Some(None),
        serde_json::Value::String(text) => Some(Some(text)),
        scalar @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => {
            Some(Some(scalar.to_string()))
        }
        _ => None,
    }
}

/// The members of what is a JSON object and may stand in other JSON.
pub(super) fn object_of(body: &Bytes) -> Option<Vec<(String, Bytes)>> {
    members(body).filter(|_| is_whole_json(body))
}

/// The members of a JSON object, each value as it is written.
pub(super) fn members(body: &Bytes) -> Option<Vec<(String, Bytes)>> {
    let mut at = after_blanks(body, 0);
    let mut members = Vec::new();
    let mut expected = b'{';
    loop {
        match body.get(at)? {
            b'}' if expected == b',' => break,
            found if *found == expected => {}
            _ => return None,
        }
        at = after_blanks(body, at + 1);
        if body.get(at) == Some(&b'}') && expected == b'{' {
            break;
        }
        expected = b',';
        let mut names = serde_json::Deserializer::from_slice(&body[at..]).into_iter::<String>();
        let name = names.next()?.ok()?;
        at = after_blanks(body, at + names.byte_offset());
        if body.get(at) != Some(&b':') {
            return None;
        }
        at = after_blanks(body, at + 1);
        let mut values =
            serde_json::Deserializer::from_slice(&body[at..]).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let end = at + values.byte_offset();
        members.push((name, body.slice(at..end)));
        at = after_blanks(body, end);
    }
    (after_blanks(body, at + 1) == body.len()).then_some(members)
}

fn after_blanks(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    let blanks = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    at + blanks.count()
}

/// JSON that may stand in other JSON: in UTF-8 (RFC 8259, section 8.1), which is not looked at in what is ignored.
fn is_whole_json(text: &[u8]) -> bool {
    let text = std::str::from_utf8(text);
    text.is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

enum DataForm<'a> {
    Json,
    Text(&'a str),
    Binary,
}

fn data_form<'a>(content_type: Option<&str>, data: &'a [u8]) -> DataForm<'a> {
    let json = content_type.is_none_or(is_json);
    if json && is_whole_json(data) {
        return DataForm::Json;
    }
    let is_text = content_type.is_some_and(is_text) && !json;
    match std::str::from_utf8(data) {
        Ok(text) if is_text => DataForm::Text(text),
        _ => DataForm::Binary,
    }
}

fn media_type(content_type: &str) -> String {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}

fn is_json(content_type: &str) -> bool {
    let media_type = media_type(content_type);
    media_type.ends_with("/json") || media_type.ends_with("+json")
}

fn is_text(content_type: &str) -> bool {
    let media_type = media_type(content_type);
    media_type.starts_with("text/")
        || media_type == "application/xml"
        || media_type.ends_with("+xml")
}
