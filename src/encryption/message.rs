//! The JSON of a message, before any key is looked at.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use super::Error;

/// A message taken apart; every text in it is the bytes that its base64 stood for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    /// None for null, which is refused only when it is to be decrypted.
    pub payload: Option<Vec<u8>>,
    headers: BTreeMap<String, Header>,
}

/// A header's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Header {
    /// A text.
    Bytes(Vec<u8>),
    /// A message.
    Message(Message),
    /// `true` or a number: there, but nothing to work with.
    Present,
}

/// Messages in a message are read, those in them are not.
const DEEPEST: u32 = 2;

impl Message {
    /// Takes a message apart. Unknown members are passed over; unknown headers must be well-formed.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        // Into a map and not a closed struct: Rails reads messages with more in them.
        let value: Value = serde_json::from_slice(text).map_err(|_| Error::NotJson)?;
        Self::read(&value, 1)
    }

    fn read(value: &Value, level: u32) -> Result<Self, Error> {
        let members = value.as_object().ok_or(Error::NotAMessage)?;
        let payload = match members.get("p").ok_or(Error::NotAMessage)? {
            Value::String(text) => Some(bytes("p", text)?),
            Value::Null => None,
            _ => return Err(Error::BadType("p")),
        };
        let headers = match members.get("h") {
            None | Some(Value::Null) => BTreeMap::new(),
            Some(Value::Object(headers)) => self::headers(headers, level)?,
            Some(_) => return Err(Error::BadType("h")),
        };
        Ok(Self { payload, headers })
    }

    /// A header that is there, in Ruby's sense: null and false are as good as absent.
    pub fn header(&self, name: &str) -> Option<&Header> {
        self.headers.get(name)
    }
}

fn headers(written: &Map<String, Value>, level: u32) -> Result<BTreeMap<String, Header>, Error> {
    let mut headers = BTreeMap::new();
    for (name, value) in written {
        let header = match value {
            Value::Null | Value::Bool(false) => continue,
            Value::Bool(true) | Value::Number(_) => Header::Present,
            Value::String(text) => Header::Bytes(bytes(known(name), text)?),
            Value::Object(_) if level == DEEPEST => return Err(Error::TooDeep),
            Value::Object(_) => Header::Message(Message::read(value, level + 1)?),
            Value::Array(_) => return Err(Error::BadType(known(name))),
        };
        headers.insert(name.clone(), header);
    }
    Ok(headers)
}

/// The engine refuses what Ruby's strict decoder refuses: missing padding, other alphabets, white
/// space, unused bits that are not zero.
fn bytes(member: &'static str, text: &str) -> Result<Vec<u8>, Error> {
    BASE64.decode(text).map_err(|_| Error::BadBase64(member))
}

/// A name that an error may say. Others are the writer's invention.
fn known(name: &str) -> &'static str {
    match name {
        "iv" => "h.iv",
        "at" => "h.at",
        "e" => "h.e",
        "k" => "h.k",
        "i" => "h.i",
        "c" => "h.c",
        _ => "a header",
    }
}

/// Whether Rails' `encrypted?` takes it for a message: by its form, without any key.
pub fn is_readable(text: &[u8]) -> bool {
    Message::parse(text).is_ok()
}

/// Whether it is meant as a message, well-formed or not: an object with the text `p` and the
/// object `h` with the texts `iv` and `at`. Stricter than Rails, which an event with a member `p`
/// would fool, and more forgiving, as a damaged message is still no plaintext.
pub fn looks_encrypted(text: &[u8]) -> bool {
    let Ok(Value::Object(members)) = serde_json::from_slice::<Value>(text) else {
        return false;
    };
    let is_text = |member: &str| members["h"][member].is_string();
    members.get("p").is_some_and(Value::is_string)
        && members.contains_key("h")
        && is_text("iv")
        && is_text("at")
}

/// The parts of a message to be written, in the order in which Rails writes them.
pub(super) struct Written<'a> {
    pub payload: &'a [u8],
    pub nonce: &'a [u8],
    pub tag: &'a [u8],
    pub encoding: Option<&'a str>,
    /// A whole message.
    pub data_key: Option<&'a str>,
    pub key_id: Option<&'a [u8]>,
    pub compressed: bool,
}

impl Written<'_> {
    /// The message. Base64 needs no escapes in JSON.
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(128 + self.payload.len() / 3 * 4);
        let mut text = |before: &str, bytes: &[u8]| {
            json.push_str(before);
            BASE64.encode_string(bytes, &mut json);
            json.push('"');
        };
        text(r#"{"p":""#, self.payload);
        text(r#","h":{"iv":""#, self.nonce);
        text(r#","at":""#, self.tag);
        if let Some(encoding) = self.encoding {
            text(r#","e":""#, encoding.as_bytes());
        }
        if let Some(data_key) = self.data_key {
            json.push_str(r#","k":"#);
            json.push_str(data_key);
        }
        if let Some(id) = self.key_id {
            json.push_str(r#","i":""#);
            BASE64.encode_string(id, &mut json);
            json.push('"');
        }
        if self.compressed {
            json.push_str(r#","c":true"#);
        }
        json.push_str("}}");
        json
    }
}
