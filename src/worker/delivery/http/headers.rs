//! Bytes as values of HTTP headers, and a record's headers as HTTP headers.
//!
//! Kafka allows in keys and headers what HTTP does not: null, binary, repeated and oddly named
//! ones. Everything survives: what HTTP can say is said plainly, the rest in a second header whose
//! presence says so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::name;
use crate::worker::delivery::json::{HeadersInJson, in_ascii};
use crate::worker::record::{Header, Record};

/// Headers of the trace context and its like, passed on under their own names as well.
const PASSED_ON: [&str; 3] = ["traceparent", "tracestate", "baggage"];
/// A record with more headers than this has them in one: servers count headers, and so does our own
/// client, some thousands of them at most.
const MOST_PLAIN: usize = 100;

/// Adds those of the record's headers that are not `taken` otherwise.
pub(super) fn add(headers: &mut HeaderMap, record: &Record, taken: impl Fn(&Header) -> bool) {
    let mut says_everything = record.headers.len() <= MOST_PLAIN;
    if says_everything {
        for header in record.headers.iter().filter(|header| !taken(header)) {
            match (plain_name(&header.name), text_value(header)) {
                // Later ones replace earlier ones: a name's last value is the one that counts.
                (Some(name), Some(value)) => {
                    says_everything &= headers.insert(name, value).is_none();
                }
                _ => says_everything = false,
            }
        }
    }
    if !says_everything {
        let all = in_ascii(&HeadersInJson(&record.headers));
        headers.insert(name::HEADERS.clone(), ascii(&all));
    }
    for name in PASSED_ON {
        if let Some(value) = record.header(name).and_then(text_value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Adds the record's key, if it has one.
pub(super) fn add_key(headers: &mut HeaderMap, record: &Record) {
    if let Some(key) = &record.key {
        let (name, value) = match text(key) {
            Some(value) => (&name::KEY, value),
            None => (&name::KEY_BASE64, ascii(&BASE64.encode(key))),
        };
        headers.insert(name.clone(), value);
    }
}

/// The HTTP name of a record's header whose name HTTP can carry unchanged.
fn plain_name(name: &[u8]) -> Option<HeaderName> {
    let lower = !name.is_empty() && !name.iter().any(u8::is_ascii_uppercase);
    let whole = [name::HEADER_PREFIX.as_bytes(), name].concat();
    lower.then(|| HeaderName::from_bytes(&whole).ok()).flatten()
}

/// The header's value, if it is text.
pub(super) fn text_value(header: &Header) -> Option<HeaderValue> {
    text(header.value.as_ref()?)
}

/// The bytes as they are, if every HTTP server gives them back unchanged: visible ASCII, and spaces
/// that are not at an end.
fn text(bytes: &Bytes) -> Option<HeaderValue> {
    let visible = bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e));
    let kept = bytes.first() != Some(&b' ') && bytes.last() != Some(&b' ');
    (visible && kept)
        .then(|| HeaderValue::from_maybe_shared(bytes.clone()).ok())
        .flatten()
}

/// A value that is ASCII by construction. Kafka's brokers refuse topics that are not.
pub(super) fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("?"))
}
