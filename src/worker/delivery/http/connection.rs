//! One connection to the handler in HTTP/1.1, and one exchange at a time over it.
//!
//! HTTP/1.1 is spoken here and not by a library, since this is done for every record:
//! `docs/adr/008-http-1-is-written-by-hand.md`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::poll_fn;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::super::answer::{self, Answer, class};
use super::super::number;
use super::head::Outgoing;
use super::incoming::{HEAD, Incoming};
use super::target::{Stream, Target};
use super::tls;
use crate::engine::Verdict;

/// How long connecting may take, however long the handler may.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Room for an answer, as most are; more is made where it is needed.
const ROOM: usize = 2048;

/// An open connection. Its own work is done by whoever waits for something on it.
pub struct Connection {
    stream: Stream,
    /// What was read; only the first `filled` bytes mean something.
    buffer: Vec<u8>,
    filled: usize,
    /// The head of the request that is being written.
    head: Vec<u8>,
}

/// How an exchange ended.
pub struct Exchanged {
    /// The answer, or what it means that there is none.
    pub answer: Result<Answer, Verdict>,
    /// The connection, if it can be used again.
    pub connection: Option<Connection>,
    /// The handler could be talked to, whatever it said.
    pub reached: bool,
}

/// Why there is no answer.
enum Broken {
    /// Not a byte was written, so that the request can be sent elsewhere without asking anybody.
    Unsent,
    /// The handler closed the connection without a word: it may have seen it.
    Silent(String),
    /// The handler has seen it.
    Lost(String),
    /// The handler would not talk to us: with TLS 1.3 it says so only after we have begun.
    Refused(String),
}

impl Connection {
    /// Connects.
    pub async fn open(target: &Target) -> Result<Self, String> {
        Ok(Self {
            stream: target.connect(CONNECT_TIMEOUT).await?,
            buffer: vec![0; ROOM],
            filled: 0,
            head: Vec::new(),
        })
    }

    /// Ready once the handler has closed the connection, which it may do at any time between
    /// exchanges; or has said what nobody has asked for.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_fill(cx).map(|_| ())
    }

    /// Sends a request and reads the whole answer; the flag says whether the connection can be used
    /// again.
    async fn exchange(
        &mut self,
        target: &Target,
        request: &Outgoing,
        kept: usize,
    ) -> Result<(Answer, bool), Broken> {
        self.write_head(target, request);
        let mut incoming = Incoming::new(kept);
        let whole = self.head.len() + request.body.len();
        let mut written = 0;
        // Why no more is written.
        let mut refused: Option<io::Error> = None;
        // Something of the answer came; and since the handler was last told so.
        let (mut heard, mut unacknowledged) = (false, false);
        let lost = |why: String| Poll::Ready(Err(Broken::Lost(why)));
        let closed = |heard, why: String| match heard {
            true => lost(why),
            false => Poll::Ready(Err(Broken::Silent(why))),
        };
        poll_fn(|cx| {
            if written == 0 && self.poll_closed(cx).is_ready() {
                return Poll::Ready(Err(Broken::Unsent));
            }
            while written < whole && refused.is_none() {
                match self.poll_write(cx, &request.body, written) {
                    Poll::Ready(Ok(count)) => written += count,
                    Poll::Ready(Err(_)) if written == 0 => return Poll::Ready(Err(Broken::Unsent)),
                    // It may have answered before it closed.
                    Poll::Ready(Err(error)) => refused = Some(error),
                    Poll::Pending => break,
                }
            }
            if written == whole
                && refused.is_none()
                && let Poll::Ready(Err(error)) = self.poll_flush(cx)
            {
                refused = Some(error);
            }
            loop {
                let Poll::Ready(filled) = self.poll_fill(cx) else {
                    if std::mem::take(&mut unacknowledged) {
                        self.stream.acknowledge();
                    }
                    return Poll::Pending;
                };
                match filled {
                    Ok(0) => {
                        return match (incoming.end(), &refused) {
                            (Ok(()), _) => Poll::Ready(Ok(())),
                            (Err(_), Some(error)) => closed(heard, error.to_string()),
                            (Err(why), None) => closed(heard, why),
                        };
                    }
                    Ok(_) => (heard, unacknowledged) = (true, true),
                    Err(error) if !heard && let Some(why) = tls::refusal(&error) => {
                        return Poll::Ready(Err(Broken::Refused(why)));
                    }
                    Err(error) => return closed(heard, error.to_string()),
                }
                match incoming.take(&self.buffer[..self.filled]) {
                    Ok(taken) => {
                        self.buffer.copy_within(taken..self.filled, 0);
                        self.filled -= taken;
                    }
                    Err(why) => return lost(why),
                }
                if incoming.is_over() {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await?;
        let (answer, stays_open) = incoming.into_answer();
        // What was answered before it was asked in full is the end of it.
        Ok((answer, stays_open && written == whole && self.filled == 0))
    }

    fn write_head(&mut self, target: &Target, request: &Outgoing) {
        self.head.clear();
        self.head.extend_from_slice(&target.opening);
        self.head.extend_from_slice(request.head.lines());
        self.head.extend_from_slice(b"content-length: ");
        let length = i64::try_from(request.body.len()).unwrap_or(i64::MAX);
        number::push(&mut self.head, length);
        self.head.extend_from_slice(b"\r\n\r\n");
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        body: &[u8],
        written: usize,
    ) -> Poll<io::Result<usize>> {
        let head = self.head.get(written..).unwrap_or_default();
        let body = &body[written.saturating_sub(self.head.len())..];
        let parts = [IoSlice::new(head), IoSlice::new(body)];
        // An empty part first would be taken for the end of what is to be written.
        let parts = if head.is_empty() {
            &parts[1..]
        } else {
            &parts[..]
        };
        let count = ready!(match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Stream::Socket(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        })?;
        match count {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => Poll::Ready(Ok(count)),
        }
    }

    /// Everything that was written is on its way: with TLS some of it may lie here still.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(_) | Stream::Socket(_) => Poll::Ready(Ok(())),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Reads into the buffer; 0 is the end of the connection.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.filled == self.buffer.len() {
            // Never much more than a head: bodies are taken as they come.
            self.buffer.resize((self.filled * 2).min(2 * HEAD), 0);
        }
        let mut room = ReadBuf::new(&mut self.buffer[self.filled..]);
        ready!(match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut room),
            Stream::Socket(stream) => Pin::new(stream).poll_read(cx, &mut room),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, &mut room),
        })?;
        let count = room.filled().len();
        self.filled += count;
        Poll::Ready(Ok(count))
    }
}

/// One attempt: over `connection` if it still stands, else over a fresh one. Of the answer's body
/// `kept` bytes are kept.
pub async fn attempt(
    target: &Target,
    connection: Option<Connection>,
    request: Outgoing,
    kept: usize,
) -> Exchanged {
    let mut reused = connection;
    // The server had the whole request and closed the connection without a word.
    let mut given = false;
    let absent = |given: bool, message: &str| match given && target.in_pod {
        // It went away with the request, which may be why.
        true => broke(&format!("no answer, and then {message}"), false),
        false => unreached(message),
    };
    loop {
        let fresh = reused.is_none();
        let mut connection = match reused.take() {
            Some(connection) => connection,
            None => match Connection::open(target).await {
                Ok(connection) => connection,
                Err(message) => return absent(given, &message),
            },
        };
        match connection.exchange(target, &request, kept).await {
            Ok((answer, keep)) => {
                return Exchanged {
                    answer: Ok(answer),
                    connection: keep.then_some(connection),
                    reached: true,
                };
            }
            // A server that closes a connection after an answer without saying so: in all likelihood
            // it has not seen what was on its way then. It gets the request once more, over a fresh
            // connection, before that counts as an attempt; it knows it again by its idempotency key.
            Err(Broken::Silent(_)) if !fresh => given = true,
            Err(Broken::Silent(why)) => return broke(&why, false),
            // Who begins an answer is there.
            Err(Broken::Lost(why)) => return broke(&why, true),
            Err(Broken::Refused(why)) => {
                return absent(given, &format!("connect to {}: {why}", target.address));
            }
            Err(Broken::Unsent) if fresh => {
                return absent(given, "the handler closed the connection at once");
            }
            // The handler closed an idle connection and has not seen this request.
            Err(Broken::Unsent) => {}
        }
    }
}

fn broke(why: &str, reached: bool) -> Exchanged {
    let message = format!("the connection broke before the answer was complete: {why}");
    let failure = answer::failure(class::CONNECTION, None, &message);
    Exchanged {
        answer: Err(Verdict::Retry(failure)),
        connection: None,
        reached,
    }
}

/// No record is to blame for a handler that is not there: an attempt for each of them would
/// dead-letter whatever is read while the handler restarts.
fn unreached(message: &str) -> Exchanged {
    Exchanged {
        answer: Err(Verdict::SlowDown {
            after: None,
            failure: answer::failure(class::CONNECT, None, message),
        }),
        connection: None,
        reached: false,
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
