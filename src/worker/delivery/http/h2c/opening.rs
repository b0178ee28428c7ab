//! Opens an HTTP/2 connection and waits for what the handler says first.
//!
//! Nothing is sent before its SETTINGS are there: they say how many streams it takes, and that it speaks
//! HTTP/2 at all. So whatever fails here has cost no record an attempt.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::super::connection::CONNECT_TIMEOUT;
use super::super::incoming;
use super::super::target::{Stream, Target};
use super::Connection;
use super::answer::{self, class};
use crate::engine::Verdict;

/// A connection with open streams on which nothing is heard for so long is asked whether it lives, and
/// has as long to answer: with HTTP/1.1 a dead connection ends with its one time-out, here it would
/// outlive it.
const PING: Duration = Duration::from_secs(5);
/// Bytes of answers that may be on their way on one stream, and on one connection. Answers are short.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The length of a frame's head, of which the fourth byte says the kind (RFC 9113, 4.1).
const FRAME_HEAD: usize = 9;
const SETTINGS: u8 = 4;

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    class: &'static str,
    message: String,
}

impl Trouble {
    /// The handler is not there, or not for us.
    pub fn unreached(message: String) -> Self {
        let class = class::CONNECT;
        Self { class, message }
    }

    /// No record is to blame, so none of it costs an attempt.
    pub fn verdict(&self) -> Verdict {
        let failure = answer::failure(self.class, None, &self.message);
        match self.class {
            class::PROTOCOL => Verdict::Misconfigured(failure),
            _ => Verdict::SlowDown {
                after: None,
                failure,
            },
        }
    }
}

/// Opens a connection; with it comes its work, which ends with it.
pub(super) async fn open(
    target: &Target,
) -> Result<(Connection, LocalBoxFuture<'static, ()>), Trouble> {
    let connecting = target.connect(CONNECT_TIMEOUT);
    match connecting.await.map_err(Trouble::unreached)? {
        Stream::Tcp(stream) => greet(target, stream).await,
        Stream::Socket(stream) => greet(target, stream).await,
        // Not while `spec.handler.http.protocol` H2c is refused with `https://`.
        Stream::Tls(stream) => greet(target, stream).await,
    }
}

async fn greet(
    target: &Target,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> Result<(Connection, LocalBoxFuture<'static, ()>), Trouble> {
    let heard = Rc::new(Heard::default());
    let stream = Listening {
        stream,
        heard: Rc::clone(&heard),
    };
    let mut builder = http2::Builder::new(OnThisThread);
    builder
        // Until the handler has said how many.
        .initial_max_send_streams(0)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(incoming::HEAD as u32)
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let greeting = async {
        let (sender, mut work) = builder.handshake(TokioIo::new(stream)).await.ok()?;
        let most = poll_fn(|cx| {
            heard.listen(cx);
            if work.poll_unpin(cx).is_ready() {
                return Poll::Ready(None);
            }
            match work.current_max_send_streams() {
                0 => Poll::Pending,
                most => Poll::Ready(Some(most)),
            }
        });
        let most = Rc::new(Cell::new(most.await?));
        let seen = Rc::clone(&most);
        let work = async move {
            poll_fn(|cx| {
                // The handler may change its mind at any time.
                seen.set(work.current_max_send_streams());
                work.poll_unpin(cx)
            })
            .await
            // Those who wait for something on it are told.
            .unwrap_or_default();
        };
        let connection = Connection {
            sender,
            most,
            taken: Cell::new(0),
            proven: Cell::new(false),
            rested: Cell::new(false),
        };
        Some((connection, work.boxed_local()))
    };
    let greeted = timeout(CONNECT_TIMEOUT, greeting).await;
    let end = match greeted {
        Ok(Some(opened)) => return Ok(opened),
        Ok(None) => "the connection was closed",
        Err(_) => "no answer in time",
    };
    Err(heard.trouble(target, end))
}

/// What the handler has said so far.
#[derive(Default)]
struct Heard {
    first: RefCell<Vec<u8>>,
    waker: RefCell<Option<Waker>>,
}

impl Heard {
    fn listen(&self, cx: &Context<'_>) {
        *self.waker.borrow_mut() = Some(cx.waker().clone());
    }

    fn hear(&self, bytes: &[u8]) {
        let mut first = self.first.borrow_mut();
        let room = FRAME_HEAD - first.len();
        first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Why it did not come to an HTTP/2 connection.
    fn trouble(&self, target: &Target, end: &str) -> Trouble {
        let address = &target.address;
        let first = self.first.borrow();
        if first.get(3).is_some_and(|kind| *kind != SETTINGS) {
            let message = format!(
                "{address} does not answer in HTTP/2 without TLS (h2c, prior knowledge); set spec.handler.http.protocol to Http1, or let the handler speak it"
            );
            let class = class::PROTOCOL;
            return Trouble { class, message };
        }
        let hint = if first.is_empty() {
            "; if the handler speaks only HTTP/1.1, set spec.handler.http.protocol to Http1"
        } else {
            " before it allowed a stream"
        };
        Trouble::unreached(format!("begin HTTP/2 with {address}: {end}{hint}"))
    }
}

/// A stream whose first bytes are noted.
struct Listening<S> {
    stream: S,
    heard: Rc<Heard>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Listening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.heard.hear(&buffer.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Listening<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Tasks of a connection live in the worker's `LocalSet`, and end with the connection.
#[derive(Clone)]
struct OnThisThread;

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, work: F) {
        tokio::task::spawn_local(async move {
            work.await;
        });
    }
}
