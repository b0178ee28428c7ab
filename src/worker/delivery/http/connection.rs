//! One connection to the handler, and one exchange at a time over it.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{Either, LocalBoxFuture, poll_fn, select};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::super::answer::{self, Answer, class};
use super::target::{Stream, Target};
use crate::engine::Verdict;

/// Bytes of an answer's body that are read for the sake of using the connection again.
const DRAIN: usize = 64 * 1024;
/// How long connecting may take, however long the handler may.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An open connection. Its own work is done by whoever waits for something on it.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    work: LocalBoxFuture<'static, ()>,
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

impl Connection {
    /// Connects, and begins HTTP/1.1.
    pub async fn open(target: &Target) -> Result<Self, String> {
        // An error of the connection's comes out of the exchange as well.
        let begun = match target.address.connect(CONNECT_TIMEOUT).await? {
            Stream::Tcp(stream) => http1::handshake(TokioIo::new(stream))
                .await
                .map(|(sender, work)| (sender, work.map(|_| ()).boxed_local())),
            Stream::Socket(stream) => http1::handshake(TokioIo::new(stream))
                .await
                .map(|(sender, work)| (sender, work.map(|_| ()).boxed_local())),
        };
        let (sender, work) =
            begun.map_err(|error| format!("begin HTTP with {}: {error}", target.address))?;
        Ok(Self { sender, work })
    }

    /// Ready once the handler has closed the connection, which it may do at any time between
    /// exchanges.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.work.as_mut().poll(cx)
    }

    /// It takes another request.
    fn is_usable(&mut self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request and reads the whole answer. `Err` gives the request back: not a byte of it
    /// was written, so that it can be sent elsewhere without asking anybody.
    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        kept: usize,
    ) -> Result<Result<(Answer, bool), hyper::Error>, Request<Full<Bytes>>> {
        let sender = &mut self.sender;
        let answer = async {
            // Ready at once, unless the last exchange is still being put away.
            if let Err(error) = poll_fn(|cx| sender.poll_ready(cx)).await {
                return if error.is_closed() || error.is_canceled() {
                    Err(request)
                } else {
                    Ok(Err(error))
                };
            }
            match sender.try_send_request(request).await {
                Ok(response) => Ok(read(response, kept).await),
                Err(mut error) => match error.take_message() {
                    Some(request) => Err(request),
                    None => Ok(Err(error.into_error())),
                },
            }
        };
        let answer = std::pin::pin!(answer);
        match select(answer, &mut self.work).await {
            Either::Left((outcome, _)) => outcome,
            // The connection is over; what it had for us is there already.
            Either::Right(((), answer)) => {
                self.work = futures::future::ready(()).boxed_local();
                answer.await
            }
        }
    }
}

/// One attempt: over `connection` if it still stands, else over a fresh one. Of the answer's body
/// `kept` bytes are kept.
pub async fn attempt(
    target: &Target,
    connection: Option<Connection>,
    mut request: Request<Full<Bytes>>,
    kept: usize,
) -> Exchanged {
    let mut reused = connection;
    loop {
        let fresh = reused.is_none();
        let mut connection = match reused.take() {
            Some(connection) => connection,
            None => match Connection::open(target).await {
                Ok(connection) => connection,
                Err(message) => return unreached(&message),
            },
        };
        match connection.exchange(request, kept).await {
            Ok(Ok((answer, drained))) => {
                let keep = drained && connection.is_usable();
                return Exchanged {
                    answer: Ok(answer),
                    connection: keep.then_some(connection),
                    reached: true,
                };
            }
            Ok(Err(error)) => {
                let message =
                    format!("the connection broke before the answer was complete: {error}");
                let failure = answer::failure(class::CONNECTION, None, &message);
                return Exchanged {
                    answer: Err(Verdict::Retry(failure)),
                    connection: None,
                    reached: false,
                };
            }
            Err(_) if fresh => return unreached("the handler closed the connection at once"),
            // The handler closed an idle connection and has not seen this request.
            Err(unsent) => request = unsent,
        }
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

/// Reads an answer to its end; the flag says whether the connection is clean after it.
async fn read(response: Response<Incoming>, kept: usize) -> Result<(Answer, bool), hyper::Error> {
    let (head, mut body) = response.into_parts();
    let mut beginning = Vec::new();
    let mut length = 0;
    while !body.is_end_stream() {
        let Some(frame) = poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await else {
            break;
        };
        let Ok(chunk) = frame?.into_data() else {
            continue;
        };
        length += chunk.len();
        let room = kept - beginning.len();
        beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if length > kept.max(DRAIN) {
            break;
        }
    }
    let answer = Answer {
        status: head.status,
        headers: head.headers,
        body: beginning,
        whole: length <= kept,
    };
    Ok((answer, length <= kept.max(DRAIN)))
}
