//! A record as an HTTP request: the reference is `docs/http-handler.md`.
//!
//! Kafka allows in keys and headers what HTTP does not: null, binary, repeated and oddly named
//! ones. Everything survives: what HTTP can say is said plainly, the rest in a second header whose
//! presence says so.

use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::worker::delivery::prepare::Prepared;
use crate::worker::record::{Header, Record};

/// Names of the headers that Drover adds.
pub mod name {
    use http::HeaderName;

    /// The topic.
    pub static TOPIC: HeaderName = HeaderName::from_static("drover-topic");
    /// The partition's number.
    pub static PARTITION: HeaderName = HeaderName::from_static("drover-partition");
    /// The offset.
    pub static OFFSET: HeaderName = HeaderName::from_static("drover-offset");
    /// Milliseconds since 1970.
    pub static TIMESTAMP: HeaderName = HeaderName::from_static("drover-timestamp");
    /// The key, if it is text.
    pub static KEY: HeaderName = HeaderName::from_static("drover-key");
    /// The key, if it is not.
    pub static KEY_BASE64: HeaderName = HeaderName::from_static("drover-key-base64");
    /// `true` where the value is null.
    pub static TOMBSTONE: HeaderName = HeaderName::from_static("drover-tombstone");
    /// 1 for the first.
    pub static ATTEMPT: HeaderName = HeaderName::from_static("drover-attempt");
    /// What the record's own headers begin with.
    pub const HEADER_PREFIX: &str = "drover-header-";
    /// All of the record's headers as JSON, where the plain ones do not say everything.
    pub static HEADERS: HeaderName = HeaderName::from_static("drover-headers");
    /// Stays the same for all attempts.
    pub static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
}

/// Headers of the trace context and its like, passed on under their own names as well.
const PASSED_ON: [&str; 3] = ["traceparent", "tracestate", "baggage"];

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("drover-worker/", env!("CARGO_PKG_VERSION")));

/// Where requests go, taken apart once.
#[derive(Clone, Debug)]
pub struct Target {
    /// Of the handler.
    pub host: String,
    /// Of the handler.
    pub port: u16,
    path: Uri,
    authority: HeaderValue,
}

impl Target {
    /// Takes a handler's URL apart; the error says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("handler URL {url:?}: {what}");
        let uri: Uri = url.parse().map_err(|error| wrong(&format!("{error}")))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("must begin with http://"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("must not carry a user or password"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            // An IPv6 address stands in brackets in a URL, and without them elsewhere.
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            path: path.parse().map_err(|error| wrong(&format!("{error}")))?,
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|error| wrong(&format!("{error}")))?,
        })
    }
}

/// The request for one attempt on a record.
pub fn request(target: &Target, prepared: &Prepared<'_>, attempt: u32) -> Request<Full<Bytes>> {
    let Prepared { record, value } = prepared;
    let mut request = Request::new(Full::new(value.clone().unwrap_or_default()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.path.clone();
    let headers = request.headers_mut();
    headers.reserve(12 + record.headers.len());
    headers.insert(HOST, target.authority.clone());
    headers.insert(USER_AGENT, AGENT);
    let content_type = record
        .header("content-type")
        .and_then(text_value)
        .unwrap_or(OCTETS);
    headers.insert(CONTENT_TYPE, content_type);
    add_place(headers, record);
    headers.insert(name::ATTEMPT.clone(), HeaderValue::from(attempt));
    if value.is_none() {
        let yes = HeaderValue::from_static("true");
        headers.insert(name::TOMBSTONE.clone(), yes);
    }
    if let Some(key) = &record.key {
        let (name, value) = match text(key) {
            Some(value) => (&name::KEY, value),
            None => (&name::KEY_BASE64, ascii(&BASE64.encode(key))),
        };
        headers.insert(name.clone(), value);
    }
    if !record.headers.is_empty() {
        add_headers(headers, record);
    }
    request
}

/// Where the record is from. All of it is cut out of one text, `TOPIC/PARTITION/OFFSETTIMESTAMP`:
/// this is done for every record, and each value of its own would be an allocation.
fn add_place(headers: &mut HeaderMap, record: &Record) {
    let Record {
        topic,
        partition,
        offset,
        ..
    } = record;
    let mut text = String::with_capacity(topic.len() + 48);
    // Writing to a string does not fail.
    let _ = write!(text, "{topic}/{partition}/");
    let offset_at = text.len();
    let _ = write!(text, "{offset}");
    let timestamp_at = text.len();
    if let Some(millis) = record.timestamp {
        let _ = write!(text, "{millis}");
    }
    let text = Bytes::from(text);
    let mut add = |name: &HeaderName, range: Range<usize>| {
        // Kafka's brokers refuse topics that are not ASCII.
        if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(range)) {
            headers.insert(name.clone(), value);
        }
    };
    add(&name::TOPIC, 0..topic.len());
    add(&name::PARTITION, topic.len() + 1..offset_at - 1);
    add(&name::OFFSET, offset_at..timestamp_at);
    add(&name::IDEMPOTENCY_KEY, 0..timestamp_at);
    if record.timestamp.is_some() {
        add(&name::TIMESTAMP, timestamp_at..text.len());
    }
}

fn add_headers(headers: &mut HeaderMap, record: &Record) {
    let mut says_everything = true;
    for header in &record.headers {
        match (plain_name(&header.name), text_value(header)) {
            // Later ones replace earlier ones: a name's last value is the one that counts.
            (Some(name), Some(value)) => {
                says_everything &= headers.insert(name, value).is_none();
            }
            _ => says_everything = false,
        }
    }
    if !says_everything {
        let all: Value = record.headers.iter().map(in_json).collect();
        headers.insert(name::HEADERS.clone(), ascii(&ascii_json(&all)));
    }
    for name in PASSED_ON {
        if let Some(value) = record.header(name).and_then(text_value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// The HTTP name of a record's header whose name HTTP can carry unchanged.
fn plain_name(name: &[u8]) -> Option<HeaderName> {
    let lower = !name.is_empty() && !name.iter().any(u8::is_ascii_uppercase);
    let whole = [name::HEADER_PREFIX.as_bytes(), name].concat();
    lower.then(|| HeaderName::from_bytes(&whole).ok()).flatten()
}

fn text_value(header: &Header) -> Option<HeaderValue> {
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

fn in_json(header: &Header) -> Value {
    json!([
        bytes_in_json(&header.name),
        header.value.as_deref().map(bytes_in_json)
    ])
}

/// UTF-8 as a string, anything else as `{"base64": …}`.
fn bytes_in_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": BASE64.encode(bytes) }),
    }
}

/// JSON in visible ASCII only.
fn ascii_json(value: &Value) -> String {
    let mut out = String::new();
    for unit in value.to_string().chars() {
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

/// A value that is ASCII by construction. Kafka's brokers refuse topics that are not.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Offset;

    fn header(name: &[u8], value: Option<&[u8]>) -> Header {
        Header {
            name: Bytes::copy_from_slice(name),
            value: value.map(Bytes::copy_from_slice),
        }
    }

    fn record(headers: Vec<Header>) -> Record {
        Record {
            topic: "orders".into(),
            partition: 3,
            offset: Offset(42),
            timestamp: Some(1_700_000_000_123),
            key: Some(Bytes::from_static(b"k 1")),
            value: Some(Bytes::from_static(b"{}")),
            headers,
        }
    }

    fn target() -> Target {
        Target::parse("http://users:3000/kafka?x=1").unwrap()
    }

    fn request_for(record: &Record) -> Request<Full<Bytes>> {
        let value = record.value.clone();
        request(&target(), &Prepared { record, value }, 2)
    }

    fn sent(record: &Record) -> HeaderMap {
        request_for(record).headers().clone()
    }

    #[test]
    fn a_request_says_where_the_record_is_from() {
        let request = request_for(&record(vec![]));
        assert_eq!(request.uri(), "/kafka?x=1");
        let headers = request.headers();
        for (name, value) in [
            ("host", "users:3000"),
            (name::TOPIC.as_str(), "orders"),
            (name::PARTITION.as_str(), "3"),
            (name::OFFSET.as_str(), "42"),
            (name::TIMESTAMP.as_str(), "1700000000123"),
            (name::KEY.as_str(), "k 1"),
            (name::ATTEMPT.as_str(), "2"),
            (name::IDEMPOTENCY_KEY.as_str(), "orders/3/42"),
            ("content-type", "application/octet-stream"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        assert!(!headers.contains_key(&name::TOMBSTONE));
        assert!(!headers.contains_key(&name::HEADERS));
    }

    #[test]
    fn null_empty_and_binary_keys_are_told_apart() {
        let with = |key: Option<&'static [u8]>| {
            let mut record = record(vec![]);
            record.key = key.map(Bytes::from_static);
            let headers = sent(&record);
            (
                headers.get(&name::KEY).cloned(),
                headers.get(&name::KEY_BASE64).cloned(),
            )
        };
        assert_eq!(with(None), (None, None));
        assert_eq!(with(Some(b"")), (Some(HeaderValue::from_static("")), None));
        let binary = Some(HeaderValue::from_static("AAH/"));
        assert_eq!(with(Some(b"\x00\x01\xff")), (None, binary));
        assert_eq!(
            with(Some(b" k")),
            (None, Some(HeaderValue::from_static("IGs=")))
        );
    }

    #[test]
    fn a_tombstone_is_no_empty_value() {
        let mut tombstone = record(vec![]);
        tombstone.value = None;
        assert_eq!(sent(&tombstone)[&name::TOMBSTONE], "true");
        tombstone.value = Some(Bytes::new());
        assert!(!sent(&tombstone).contains_key(&name::TOMBSTONE));
    }

    #[test]
    fn plain_headers_are_sent_plainly_and_only_so() {
        let headers = sent(&record(vec![
            header(b"source", Some(b"web")),
            header(b"traceparent", Some(b"00-1-2-01")),
            header(b"content-type", Some(b"application/json")),
        ]));
        assert_eq!(headers["drover-header-source"], "web");
        assert_eq!(headers["traceparent"], "00-1-2-01");
        assert_eq!(headers["content-type"], "application/json");
        assert!(!headers.contains_key(&name::HEADERS));
    }

    #[test]
    fn headers_that_http_cannot_say_survive_in_order() {
        let headers = sent(&record(vec![
            header(b"a", Some(b"1")),
            header(b"a", Some(b"2")),
            header(b"null", None),
            header(b"empty", Some(b"")),
            header(b"binary", Some(b"\x00\xff")),
            header("na\u{ef}ve".as_bytes(), Some("\u{1f600}".as_bytes())),
            header(b"Upper", Some(b"x")),
            header(b"", Some(b"no name")),
            header(b"\xfe", Some(b"name is binary")),
        ]));
        assert_eq!(headers["drover-header-a"], "2");
        assert_eq!(headers["drover-header-empty"], "");
        assert!(!headers.contains_key("drover-header-null"));
        let all = headers[&name::HEADERS].to_str().unwrap();
        let all: Value = serde_json::from_str(all).unwrap();
        let expected = json!([
            ["a", "1"],
            ["a", "2"],
            ["null", null],
            ["empty", ""],
            ["binary", { "base64": "AP8=" }],
            ["na\u{ef}ve", "\u{1f600}"],
            ["Upper", "x"],
            ["", "no name"],
            [{ "base64": "/g==" }, "name is binary"],
        ]);
        assert_eq!(all, expected);
    }

    #[test]
    fn a_url_that_cannot_be_posted_to_is_refused_with_the_reason() {
        for (url, what) in [
            ("https://users/kafka", "must begin with http://"),
            ("users:3000", "must begin with http://"),
            ("http://me:secret@users/", "must not carry a user"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        let address = Target::parse("http://[::1]:8080").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("::1", 8080));
    }
}
