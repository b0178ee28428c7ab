//! An answer as it comes over the wire: HTTP/1.1 as RFC 9112 has it, and HTTP/1.0.
//!
//! Bytes in, an answer out; nothing here reads or waits.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use http::header::{CONTENT_ENCODING, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::super::answer::{self, Answer};

/// Headers that an answer usually has at most.
const HEADERS: usize = 100;
/// Bytes of an answer's head, of those that only say that it comes, of a chunk's line or of all trailers, at most.
pub const HEAD: usize = 64 * 1024;
/// `a:` and a line's end: no head has more headers than this.
const MOST_HEADERS: usize = HEAD / 4;
/// Bytes of the body of a failure that are read for the sake of using the connection again.
const DRAIN: u64 = 64 * 1024;

/// An answer that is being read.
#[derive(Debug)]
pub struct Incoming {
    /// Bytes of the body to keep.
    kept: usize,
    state: State,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    length: u64,
    /// Bytes of heads that only said that the answer comes.
    announced: usize,
    /// The handler does not close the connection after this answer.
    stays_open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing of it, or not all of its head.
    Head,
    /// So many bytes of body are to come.
    Sized(u64),
    /// The body lasts as long as the connection.
    ToTheEnd,
    /// The line with a chunk's size is to come.
    ChunkSize,
    /// So many bytes of a chunk are to come, and a line's end.
    Chunk(u64),
    ChunkEnd,
    /// After the last chunk; so many bytes of trailers were there.
    Trailers(usize),
    Done,
    /// A failure, whatever comes behind it, and too long to read on.
    CutOff,
}

impl Incoming {
    /// Nothing of it is there. Of its body the first `kept` bytes are kept.
    pub fn new(kept: usize) -> Self {
        Self {
            kept,
            state: State::Head,
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Vec::new(),
            length: 0,
            announced: 0,
            stays_open: true,
        }
    }

    /// Nothing more is to be read.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::CutOff)
    }

    /// Takes what it can from the beginning of `bytes`: says of how many it has no further need. What is
    /// left is to be offered again, with what comes after it.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let mut at = 0;
        while !self.is_over() {
            let before = (at, self.state);
            at += self.step(&bytes[at..])?;
            if (at, self.state) == before {
                break;
            }
        }
        Ok(at)
    }

    /// The connection has ended. An error if that is in the middle of the answer.
    pub fn end(&mut self) -> Result<(), String> {
        match self.state {
            State::Done | State::CutOff => Ok(()),
            State::ToTheEnd => {
                self.state = State::Done;
                Ok(())
            }
            State::Head => Err("the handler closed the connection without an answer".to_owned()),
            _ => Err("the handler closed the connection in the middle of its answer".to_owned()),
        }
    }

    /// The answer, and whether the connection can be used again.
    pub fn into_answer(self) -> (Answer, bool) {
        let answer = Answer {
            status: self.status,
            headers: self.headers,
            whole: self.length <= self.kept as u64,
            body: self.body,
        };
        (answer, self.stays_open && self.state == State::Done)
    }

    fn step(&mut self, bytes: &[u8]) -> Result<usize, String> {
        match self.state {
            State::Head => self.read_head(bytes),
            State::Sized(left) => {
                let taken = self.read_body(bytes, left);
                self.state = match left - taken as u64 {
                    0 => State::Done,
                    left => State::Sized(left),
                };
                self.cut_off_if_long();
                Ok(taken)
            }
            State::ToTheEnd => {
                let taken = self.read_body(bytes, u64::MAX);
                self.cut_off_if_long();
                Ok(taken)
            }
            State::Chunk(left) => {
                let taken = self.read_body(bytes, left);
                self.state = match left - taken as u64 {
                    0 => State::ChunkEnd,
                    left => State::Chunk(left),
                };
                self.cut_off_if_long();
                Ok(taken)
            }
            State::ChunkSize => self.read_chunk_size(bytes),
            State::ChunkEnd => match line(bytes)? {
                Some([]) => {
                    self.state = State::ChunkSize;
                    Ok(line_end(bytes))
                }
                Some(_) => Err("a chunk of its answer is longer than it says".to_owned()),
                None => Ok(0),
            },
            State::Trailers(before) => match line(bytes)? {
                Some(trailer) => {
                    let so_far = before + trailer.len();
                    self.state = match trailer {
                        [] => State::Done,
                        _ if so_far > HEAD => return Err(too_long()),
                        _ => State::Trailers(so_far),
                    };
                    Ok(line_end(bytes))
                }
                None => Ok(0),
            },
            State::Done | State::CutOff => Ok(0),
        }
    }

    fn read_body(&mut self, bytes: &[u8], left: u64) -> usize {
        let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let room = self.kept - self.body.len();
        self.body.extend_from_slice(&bytes[..taken.min(room)]);
        self.length += taken as u64;
        taken
    }

    /// What may mean done is read to its end, however much of it nobody wants: a handler that sends its answer while it
    /// works may break off, and one that finds its answer refused may do so for that.
    fn cut_off_if_long(&mut self) {
        let may_mean_done = self.status.is_success() || self.headers.contains_key(&answer::RESULT);
        let is_long = self.length > DRAIN.max(self.kept as u64);
        if is_long && !may_mean_done && self.state != State::Done {
            self.state = State::CutOff;
        }
    }

    fn read_head(&mut self, bytes: &[u8]) -> Result<usize, String> {
        // Not filled with empty ones first: that would take longer than to read the few there are.
        let mut room = [const { MaybeUninit::uninit() }; HEADERS];
        self.read_head_in(bytes, &mut room)
    }

    fn read_head_in<'b>(
        &mut self,
        bytes: &'b [u8],
        room: &mut [MaybeUninit<httparse::Header<'b>>],
    ) -> Result<usize, String> {
        let mut head = httparse::Response::new(&mut []);
        let mut config = httparse::ParserConfig::default();
        // RFC 9112, section 5.2.
        config.allow_obsolete_multiline_headers_in_responses(true);
        let many = room.len() < MOST_HEADERS;
        let parsed = config.parse_response_with_uninit_headers(&mut head, bytes, room);
        let length = match parsed {
            Err(httparse::Error::TooManyHeaders) if many => {
                let mut room = vec![MaybeUninit::uninit(); MOST_HEADERS];
                return self.read_head_in(bytes, &mut room);
            }
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() > HEAD => return Err(too_long()),
            Ok(httparse::Status::Partial) => return Ok(0),
            Err(error) => return Err(format!("its answer is no HTTP/1.1: {error}")),
        };
        let code = head.code.unwrap_or_default();
        // It says that the real one comes later.
        if (100..200).contains(&code) && code != 101 {
            self.announced += length;
            return match self.announced {
                announced if announced > HEAD => Err(too_long()),
                _ => Ok(length),
            };
        }
        self.status = StatusCode::from_u16(code)
            .ok()
            .filter(|status| *status != StatusCode::SWITCHING_PROTOCOLS)
            .ok_or_else(|| format!("its answer has the status {code}"))?;
        let framing = self.read_headers(head.version == Some(1), head.headers)?;
        self.state = match framing {
            _ if matches!(code, 204 | 304) => State::Done,
            Framing::Sized(0) => State::Done,
            Framing::Sized(length) => State::Sized(length),
            Framing::Chunked => State::ChunkSize,
            Framing::ToTheEnd => {
                self.stays_open = false;
                State::ToTheEnd
            }
        };
        Ok(length)
    }

    /// Notes what is of interest, and finds out how long the body is.
    fn read_headers(
        &mut self,
        is_1_1: bool,
        headers: &[httparse::Header<'_>],
    ) -> Result<Framing, String> {
        let mut framing = Framing::ToTheEnd;
        let mut encoded = false;
        self.stays_open = is_1_1;
        for header in headers {
            let (name, value) = (header.name, header.value.trim_ascii());
            if name.eq_ignore_ascii_case("content-length") {
                let length = length(value).ok_or("the length of its answer is no number")?;
                match framing {
                    Framing::Sized(other) if other != length => {
                        return Err("its answer has two lengths".to_owned());
                    }
                    Framing::ToTheEnd if !encoded => framing = Framing::Sized(length),
                    _ => {}
                }
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                if value.eq_ignore_ascii_case(b"identity") {
                    continue; // none, as RFC 2616 had it
                }
                // It counts before a length, which must not be there: RFC 9112, 6.3.
                encoded = true;
                let last = value.rsplit(|&byte| byte == b',').next().unwrap_or(value);
                framing = match last.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    true => Framing::Chunked,
                    false => Framing::ToTheEnd,
                };
            } else if name.eq_ignore_ascii_case("connection") {
                for word in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    if word.eq_ignore_ascii_case(b"close") {
                        self.stays_open = false;
                    } else if word.eq_ignore_ascii_case(b"keep-alive") && !is_1_1 {
                        self.stays_open = true;
                    }
                }
            } else {
                for wanted in [&answer::RESULT, &RETRY_AFTER, &CONTENT_ENCODING] {
                    if name.eq_ignore_ascii_case(wanted.as_str())
                        && let Ok(value) = HeaderValue::from_bytes(&unfolded(value))
                    {
                        self.headers.append(wanted.clone(), value);
                    }
                }
            }
        }
        Ok(framing)
    }

    fn read_chunk_size(&mut self, bytes: &[u8]) -> Result<usize, String> {
        match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((length, 0))) => {
                self.state = State::Trailers(0);
                Ok(length)
            }
            Ok(httparse::Status::Complete((length, size))) => {
                self.state = State::Chunk(size);
                Ok(length)
            }
            Ok(httparse::Status::Partial) if bytes.len() > HEAD => Err(too_long()),
            Ok(httparse::Status::Partial) => Ok(0),
            Err(_) => Err("the size of a chunk of its answer is no number".to_owned()),
        }
    }
}

enum Framing {
    Sized(u64),
    Chunked,
    ToTheEnd,
}

/// A value that goes over several lines means one with spaces there (RFC 9112, section 5.2).
fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    let ends_line = |byte: &u8| matches!(byte, b'\r' | b'\n');
    if !value.iter().any(ends_line) {
        return Cow::Borrowed(value);
    }
    let lines = value.split(ends_line).map(<[u8]>::trim_ascii);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    Cow::Owned(lines.join(&b' '))
}

fn length(value: &[u8]) -> Option<u64> {
    // Several equal ones may stand in one line.
    let mut lengths = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let first = lengths.next()?;
    let digits = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
    let equal = lengths.all(|other| other == first);
    (digits && equal)
        .then(|| std::str::from_utf8(first).ok()?.parse().ok())
        .flatten()
}

/// The first line without its end; None if that is not there yet.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, String> {
    match bytes.iter().position(|&byte| byte == b'\n') {
        Some(end) => Ok(Some(
            bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]),
        )),
        None if bytes.len() > HEAD => Err(too_long()),
        None => Ok(None),
    }
}

/// Where the line after the first begins.
fn line_end(bytes: &[u8]) -> usize {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    end.map_or(bytes.len(), |end| end + 1)
}

fn too_long() -> String {
    format!("the head of its answer is longer than {} KiB", HEAD / 1024)
}

#[cfg(test)]
#[path = "incoming_tests.rs"]
mod tests;
