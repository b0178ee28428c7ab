//! The head of a request, written as it goes over the wire.
//!
//! One is made for every record. A map of headers would be built only to be taken apart again.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use crate::worker::delivery::number;

/// What the head of a record's request may take, as HTTP/2 counts (RFC 9113, section 6.5.2): names, values, and 32 bytes for
/// each header. Many servers take 8 KiB: of a line, or of all of them. The rest is for what is not the record's: the request's
/// line, a token, what proxies add.
pub const MOST: usize = 6 * 1024;
/// How many headers it may have. Many servers take a hundred.
pub const MOST_HEADERS: usize = 80;

/// A request.
#[derive(Debug)]
pub struct Outgoing {
    /// Its headers.
    pub head: Head,
    /// Its body.
    pub body: Bytes,
}

/// Headers, in the order in which they are added. Each name is added once: that is the caller's to see to.
#[derive(Debug, Default)]
pub struct Head {
    /// `name: value` and a line's end, each.
    lines: Vec<u8>,
    /// How many.
    count: usize,
}

impl Head {
    /// Nothing yet, with room for a usual record's headers.
    pub fn new() -> Self {
        Self {
            lines: Vec::with_capacity(448),
            count: 0,
        }
    }

    /// Adds a header whose value is made for it, or was found to be [`is_text`].
    pub fn add(&mut self, name: &HeaderName, value: &[u8]) {
        self.add_named("", name.as_str(), value);
    }

    /// Adds a header with a number.
    pub fn add_number(&mut self, name: &HeaderName, value: impl Into<i64>) {
        self.begin("", name.as_str());
        number::push(&mut self.lines, value);
        self.lines.extend_from_slice(b"\r\n");
    }

    /// Adds a header called `prefix` and `name`, which together are a name that HTTP allows.
    pub fn add_named(&mut self, prefix: &str, name: &str, value: &[u8]) {
        self.begin(prefix, name);
        let begin = self.lines.len();
        self.lines.extend_from_slice(value);
        // Nothing gets out of its line, whoever has made the value. Looked at first, and all of it,
        // which takes many bytes at once.
        let breaks = |byte: u8| matches!(byte, b'\r' | b'\n' | 0);
        if value.iter().fold(false, |any, byte| any | breaks(*byte)) {
            for byte in &mut self.lines[begin..] {
                if breaks(*byte) {
                    *byte = b' ';
                }
            }
        }
        self.lines.extend_from_slice(b"\r\n");
    }

    /// Takes a header off, if it is there.
    pub fn remove(&mut self, name: &HeaderName) {
        let mut begin = 0;
        while let Some(length) = self.lines[begin..].iter().position(|&byte| byte == b'\n') {
            let end = begin + length + 1;
            let rest = self.lines[begin..end].strip_prefix(name.as_str().as_bytes());
            if rest.is_some_and(|rest| rest.starts_with(b": ")) {
                self.lines.drain(begin..end);
                self.count -= 1;
            } else {
                begin = end;
            }
        }
    }

    /// Some servers do not take so much.
    pub fn is_too_large(&self) -> bool {
        self.size() > MOST || self.count > MOST_HEADERS
    }

    /// Whether a header of so many bytes makes it no larger than what all servers take.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.size() + bytes + 32 <= MOST && self.count < MOST_HEADERS
    }

    /// As HTTP/2 counts. A line has four bytes that it does not have.
    fn size(&self) -> usize {
        self.lines.len() + (32 - 4) * self.count
    }

    fn begin(&mut self, prefix: &str, name: &str) {
        self.count += 1;
        self.lines.extend_from_slice(prefix.as_bytes());
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b": ");
    }

    /// The headers' lines, each with its end.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// The headers as a map.
    pub fn to_map(&self) -> HeaderMap {
        let lines = self.lines.split(|&byte| byte == b'\n');
        let pairs = lines.filter_map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
            Some((name, value))
        });
        pairs.collect()
    }
}

impl Outgoing {
    /// The same for a library that wants it taken apart.
    pub fn to_request(&self, to: &Uri) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = to.clone();
        *request.headers_mut() = self.head.to_map();
        request
    }
}

/// Every HTTP server gives such a value back unchanged: visible ASCII, and spaces that are not at an end.
pub fn is_text(value: &[u8]) -> bool {
    let visible = value.iter().all(|byte| matches!(byte, 0x20..=0x7e));
    visible && value.first() != Some(&b' ') && value.last() != Some(&b' ')
}

/// HTTP can carry such a name: a token of RFC 9110 in lower case.
pub fn is_token(name: &[u8]) -> bool {
    let token = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
    !name.is_empty() && name.iter().all(token)
}

/// Every HTTP server gives such a name back as it is. Of the other tokens many servers drop those with `_`, since CGI
/// (RFC 3875, section 4.1.18) writes `-` so as well, and all that it maps to `_` cannot be told apart.
pub fn is_plain_name(name: &[u8]) -> bool {
    let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !name.is_empty() && name.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_http_allows_are_those_that_the_library_allows() {
        for byte in 0..=u8::MAX {
            let allowed = HeaderName::from_bytes(&[byte]).is_ok() && !byte.is_ascii_uppercase();
            assert_eq!(is_token(&[byte]), allowed, "{byte:#x}");
        }
    }

    #[test]
    fn names_that_servers_drop_or_mix_up_are_not_plain() {
        for (name, plain) in [
            ("message-id", true),
            ("message_id", false),
            ("message.id", false),
            ("Message-Id", false),
            ("", false),
        ] {
            assert_eq!(is_plain_name(name.as_bytes()), plain, "{name}");
        }
    }

    #[test]
    fn a_head_is_counted_as_http_2_does() {
        let mut head = Head::new();
        let cookie = http::header::COOKIE;
        assert!(!head.is_too_large() && head.has_room(MOST - 32));
        assert!(!head.has_room(MOST - 31));
        head.add(&cookie, &vec![b'x'; MOST - 32 - 6]);
        assert!(!head.is_too_large() && !head.has_room(0));
        head.remove(&cookie);
        head.add(&cookie, &vec![b'x'; MOST - 31 - 6]);
        assert!(head.is_too_large());
        head.remove(&cookie);
        for number in 0..MOST_HEADERS {
            assert!(head.has_room(2) && !head.is_too_large(), "{number}");
            head.add_named("x", &number.to_string(), b"");
        }
        assert!(!head.has_room(2) && !head.is_too_large());
        head.add_named("x", "y", b"");
        assert!(head.is_too_large());
    }

    #[test]
    fn no_value_gets_out_of_its_line() {
        let mut head = Head::new();
        head.add(&http::header::COOKIE, b"a\r\nevil: yes\0");
        assert_eq!(head.lines(), b"cookie: a  evil: yes \r\n");
        assert_eq!(head.to_map().len(), 1);
    }
}
