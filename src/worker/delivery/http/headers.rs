//! Bytes as values of HTTP headers, and a record's headers as HTTP headers.
//!
//! Kafka allows in keys and headers what HTTP does not: null, binary, repeated and oddly named
//! ones. Everything survives: what HTTP can say is said plainly, the rest in a second header whose
//! presence says so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderName;

use super::head::{Head, is_plain_name, is_text, is_token};
use super::name;
use crate::worker::delivery::json::{HeadersInJson, in_ascii};
use crate::worker::record::{Header, Record};

/// Headers of the trace context and its like, passed on under their own names as well.
pub(super) const PASSED_ON: [&str; 3] = ["traceparent", "tracestate", "baggage"];
/// A record with more headers than this has them in one: servers count headers, often to a hundred.
const MOST_PLAIN: usize = 64;

/// Adds those of the record's headers that are not `taken` otherwise.
pub(super) fn add(head: &mut Head, record: &Record, taken: impl Fn(&Header) -> bool) {
    let mut says_everything = record.headers.len() <= MOST_PLAIN;
    if says_everything {
        for (index, header) in record.headers.iter().enumerate() {
            if taken(header) {
                continue;
            }
            match (token(header), text_value(header)) {
                (Some(name), Some(value)) => {
                    says_everything &= is_plain_name(name.as_bytes());
                    // A name's last value is the one that counts.
                    let again = |later: &Header| {
                        later.name == header.name && text_value(later).is_some() && !taken(later)
                    };
                    if record.headers[index + 1..].iter().any(again) {
                        says_everything = false;
                    } else {
                        head.add_named(name::HEADER_PREFIX, name, value);
                    }
                }
                _ => says_everything = false,
            }
        }
    }
    if !says_everything {
        let all = in_ascii(&HeadersInJson(&record.headers));
        head.add(&name::HEADERS, all.as_bytes());
    }
    for name in PASSED_ON {
        if let Some(value) = record.header(name).and_then(text_value) {
            head.add(&HeaderName::from_static(name), value);
        }
    }
}

/// Adds the record's key, if it has one.
pub(super) fn add_key(head: &mut Head, record: &Record) {
    match &record.key {
        Some(key) if is_text(key) => head.add(&name::KEY, key),
        Some(key) => head.add(&name::KEY_BASE64, BASE64.encode(key).as_bytes()),
        None => {}
    }
}

/// The name of a record's header, if HTTP can carry it.
fn token(header: &Header) -> Option<&str> {
    let carried = is_token(&header.name);
    carried
        .then(|| std::str::from_utf8(&header.name).ok())
        .flatten()
}

/// The header's value, if it is text that HTTP can carry unchanged.
pub(super) fn text_value(header: &Header) -> Option<&[u8]> {
    let value = header.value.as_deref()?;
    is_text(value).then_some(value)
}
