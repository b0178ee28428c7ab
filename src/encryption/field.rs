//! A message that is a field of a plain JSON document.
//!
//! The rest of the document stays byte for byte: numbers keep their digits, members their order.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::value::RawValue;

use super::Error;

/// Where in a document the message is: a JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads `/data/payload`; the empty text is the whole document. None if it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(rest) = text.strip_prefix('/') else {
            return text.is_empty().then(|| Self(Vec::new()));
        };
        rest.split('/').map(token).collect::<Option<_>>().map(Self)
    }
}

fn token(written: &str) -> Option<String> {
    let mut parts = written.split('~');
    let mut token = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (escaped, rest) = part.split_at_checked(1)?;
        token.push(match escaped {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        token.push_str(rest);
    }
    Some(token)
}

/// The place in a document that a pointer leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    place: Range<usize>,
    /// The message: a text's content, or an object as it stands.
    pub message: String,
}

impl Field {
    /// Finds the field. None where the pointer leads nowhere, or to something that is neither a
    /// text nor an object: then nothing there is encrypted.
    ///
    /// # Errors
    ///
    /// If the document is not JSON.
    pub fn find(document: &[u8], pointer: &Pointer) -> Result<Option<Self>, Error> {
        let document = std::str::from_utf8(document).map_err(|_| Error::NotJson)?;
        let mut at: &RawValue = serde_json::from_str(document).map_err(|_| Error::NotJson)?;
        for token in &pointer.0 {
            let Some(child) = child(at, token) else {
                return Ok(None);
            };
            at = child;
        }
        let text = at.get();
        let message = match text.as_bytes().first() {
            Some(b'"') => serde_json::from_str(text).map_err(|_| Error::NotJson)?,
            Some(b'{') => text.to_owned(),
            _ => return Ok(None),
        };
        // It is borrowed from the document, so their addresses tell where.
        let start = text.as_ptr().addr() - document.as_ptr().addr();
        Ok(Some(Self {
            place: start..start + text.len(),
            message,
        }))
    }

    /// The document with `plaintext`, as a JSON text, in the message's place.
    ///
    /// # Errors
    ///
    /// If the plaintext is not UTF-8, or as a JSON text has more than `most` bytes: escapes make it up
    /// to six times as long.
    pub fn replaced(
        &self,
        document: &[u8],
        plaintext: &[u8],
        most: usize,
    ) -> Result<Vec<u8>, Error> {
        let plaintext = std::str::from_utf8(plaintext).map_err(|_| Error::NotUtf8)?;
        if plaintext.bytes().map(bytes_in_json).sum::<usize>() > most {
            return Err(Error::TooLarge { limit: most as u64 });
        }
        let text = serde_json::to_string(plaintext).expect("a text is written as JSON");
        let Range { start, end } = self.place;
        Ok([&document[..start], text.as_bytes(), &document[end..]].concat())
    }
}

/// What a byte of a text takes in JSON.
fn bytes_in_json(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..=31 => 6,
        _ => 1,
    }
}

fn child<'a>(parent: &'a RawValue, token: &str) -> Option<&'a RawValue> {
    let text = parent.get();
    if text.starts_with('[') {
        let index: usize = token.parse().ok()?;
        // As the pointer's own standard has it: no sign, no leading zeros.
        let plain = index.to_string() == token;
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        return items.get(index).filter(|_| plain).copied();
    }
    // Of members with one name the last one counts, as in nearly every reader.
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    members.remove(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str, pointer: &str) -> Option<String> {
        let pointer = Pointer::parse(pointer).unwrap();
        let field = Field::find(document.as_bytes(), &pointer).unwrap();
        field.map(|field| field.message)
    }

    fn replaced(document: &str, pointer: &str, plaintext: &str) -> String {
        let pointer = Pointer::parse(pointer).unwrap();
        let field = Field::find(document.as_bytes(), &pointer).unwrap().unwrap();
        let bytes = field
            .replaced(document.as_bytes(), plaintext.as_bytes(), 1000)
            .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_pointer_leads_to_texts_and_objects_only() {
        let document =
            r#"{"a":{"b":["x","y\n"],"":"empty","/~":"odd"},"o":{"p":1},"n":7,"z":null}"#;
        for (pointer, message) in [
            ("/a/b/0", Some("x")),
            ("/a/b/1", Some("y\n")),
            ("/a/", Some("empty")),
            ("/a/~1~0", Some("odd")),
            ("/o", Some(r#"{"p":1}"#)),
            ("", Some(document)),
            ("/a/b/01", None),
            ("/a/b/2", None),
            ("/a/b", None),
            ("/n", None),
            ("/n/x", None),
            ("/z", None),
            ("/nowhere/at/all", None),
        ] {
            assert_eq!(found(document, pointer).as_deref(), message, "{pointer}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["a", "a/b", "/~", "/~2", "/a~"] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_rest_of_the_document_stays_byte_for_byte() {
        assert_eq!(
            replaced(
                "{ \"n\": 1.0e+2,\"payload\" : \"x\" ,\"big\":12345678901234567890123}\n",
                "/payload",
                "{\"id\": \"\u{e9}\"}\n"
            ),
            "{ \"n\": 1.0e+2,\"payload\" : \"{\\\"id\\\": \\\"\u{e9}\\\"}\\n\" ,\"big\":12345678901234567890123}\n"
        );
        assert_eq!(replaced(" \"x\"", "", "y"), " \"y\"");
        assert_eq!(
            replaced(r#"{"a":"1","a":"2"}"#, "/a", "y"),
            r#"{"a":"1","a":"y"}"#
        );
    }

    #[test]
    fn what_is_no_json_or_would_become_none_is_refused() {
        let pointer = Pointer::parse("/a").unwrap();
        for document in [&b"{"[..], b"", b"{\"a\":\"x\"} y", b"\xff"] {
            assert_eq!(Field::find(document, &pointer), Err(Error::NotJson));
        }
        let field = Field::find(br#"{"a":"x"}"#, &pointer).unwrap().unwrap();
        assert_eq!(
            field.replaced(br#"{"a":"x"}"#, b"\xff", 10),
            Err(Error::NotUtf8)
        );
    }

    #[test]
    fn a_text_that_escapes_make_too_long_is_refused() {
        let document = br#"{"a":"x"}"#;
        let pointer = Pointer::parse("/a").unwrap();
        let field = Field::find(document, &pointer).unwrap().unwrap();
        for text in ["\0\x1f", "a\"\\\n\t\r\x08\x0c", "äöü\u{7f}"] {
            let length = serde_json::to_string(text).unwrap().len() - 2;
            let replaced = |most| field.replaced(document, text.as_bytes(), most);
            assert!(replaced(length).is_ok(), "{text:?}");
            let limit = length as u64 - 1;
            assert_eq!(replaced(length - 1), Err(Error::TooLarge { limit }));
        }
    }
}
