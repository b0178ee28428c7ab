//! Bytes as JSON: what Kafka allows and JSON cannot say plainly survives.
//!
//! One rule everywhere: a string stands for bytes that are UTF-8, `{"base64": "…"}` for bytes that are
//! not, `null` for Kafka's null.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::ser::{SerializeMap as _, SerializeTuple as _};
use serde::{Serialize, Serializer};

use crate::worker::record::Header;

/// Bytes.
pub struct InJson<'a>(pub &'a [u8]);

impl Serialize for InJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", &BASE64.encode(self.0))?;
        map.end()
    }
}

/// Headers, in order: an array of `[name, value]`.
pub struct HeadersInJson<'a>(pub &'a [Header]);

impl Serialize for HeadersInJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Pair))
    }
}

struct Pair<'a>(&'a Header);

impl Serialize for Pair<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&InJson(&self.0.name))?;
        pair.serialize_element(&self.0.value.as_deref().map(InJson))?;
        pair.end()
    }
}

/// Adds JSON to `out`.
pub fn write(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("texts, numbers and lists of them are always JSON");
}

/// Adds bytes to `out`, as [`InJson`] has them, without another copy of them; `None` is null.
pub fn write_bytes(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(bytes) = bytes else {
        return out.extend_from_slice(b"null");
    };
    if let Ok(text) = std::str::from_utf8(bytes) {
        return write(text, out);
    }
    out.extend_from_slice(br#"{"base64":""#);
    // Many bytes at once: with binary records it would else be much of what a batch takes.
    base64_simd::STANDARD.encode_append(bytes, out);
    out.extend_from_slice(br#""}"#);
}

/// JSON in visible ASCII only.
pub fn in_ascii(value: &impl Serialize) -> String {
    let mut out = String::new();
    for unit in in_text(value).chars() {
        if unit.is_ascii() && unit != '\x7f' {
            out.push(unit);
            continue;
        }
        for half in unit.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{half:04x}"));
        }
    }
    out
}

/// JSON in one line.
pub fn in_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and lists of them are always JSON")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whichever of the processor's ways is taken, and whatever remains at the end.
        #[test]
        fn bytes_are_the_same_with_and_without_a_serializer(bytes: Vec<u8>) {
            let mut out = b"before".to_vec();
            write_bytes(Some(&bytes), &mut out);
            let expected = in_text(&InJson(&bytes));
            prop_assert_eq!(String::from_utf8(out), Ok(format!("before{expected}")));
        }
    }
}
