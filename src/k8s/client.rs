//! A client whose every call has a time-out, is counted, and writes only while it may.
//!
//! kube by itself retries for minutes and has no time-out for answers; a reconcile must come back
//! and say so in status instead. Watches are exempt from the time-out once they have begun: their
//! watcher ends those that fell silent. An API server that asks to come later (429 or 503 with
//! `Retry-After`) is asked nothing before.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Body as HttpBody;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tokio::time::{Instant, Sleep, sleep};
use tower::{BoxError, Layer, Service};

use crate::clock::Monotonic;

/// The longest that one call may take, from request to the last byte of the answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that is waited because the API server asks for it.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What happens with a call. `verb` is its HTTP method in capitals, `WATCH` for one that begins to
/// watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// One that writes goes out.
    Writes {
        /// Its verb.
        verb: &'static str,
    },
    /// It is over.
    Ended {
        /// Its verb.
        verb: &'static str,
        /// The HTTP status; none where no answer came.
        status: Option<u16>,
        /// From going out to the last byte of the answer.
        took: Duration,
    },
}

/// Told of every call.
pub type Observer = Arc<dyn Fn(Call) + Send + Sync>;

/// Until when writes are allowed. Shared between the holder of a lease and the clients that act
/// under it, so that a process that slept through its lease cannot write before it notices.
#[derive(Clone, Debug)]
pub struct Fence {
    clock: Monotonic,
    open_until_ms: Arc<AtomicU64>,
}

impl Fence {
    /// A fence that is closed.
    pub fn closed(clock: Monotonic) -> Self {
        Self {
            clock,
            open_until_ms: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Allows writes until `elapsed` on the clock that the fence was made with.
    pub fn open_until(&self, elapsed: Duration) {
        let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.open_until_ms.store(ms, Ordering::Release);
    }

    /// Forbids writes.
    pub fn close(&self) {
        self.open_until_ms.store(0, Ordering::Release);
    }

    /// Whether a write is allowed now.
    pub fn is_open(&self) -> bool {
        let ms = self.open_until_ms.load(Ordering::Acquire);
        self.clock.elapsed() < Duration::from_millis(ms)
    }
}

/// Why a call was not made or not answered.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The API server did not answer in time.
    #[error("the API server did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// This process is not the leader any more.
    #[error("not written: this process no longer holds the lease")]
    Fenced,
}

/// Builds a client. With a `fence`, writes are refused while it is closed.
///
/// # Errors
/// If the configuration's credentials or certificates cannot be used.
pub fn build(
    mut config: Config,
    observer: Observer,
    fence: Option<Fence>,
) -> Result<Client, kube::Error> {
    config.default_retry = false;
    config.connect_timeout = Some(CALL_TIMEOUT);
    let layer = CallLayer {
        observer,
        fence,
        later: Later::new(),
    };
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

/// Before when nothing is asked, as the API server wants it.
#[derive(Clone)]
struct Later {
    clock: Monotonic,
    not_before_ms: Arc<AtomicU64>,
}

impl Later {
    fn new() -> Self {
        Self {
            clock: Monotonic::start(),
            not_before_ms: Arc::default(),
        }
    }

    fn note<B>(&self, answer: &Response<B>) {
        let asks = matches!(answer.status().as_u16(), 429 | 503);
        let seconds = || {
            answer
                .headers()
                .get(RETRY_AFTER)?
                .to_str()
                .ok()?
                .parse()
                .ok()
        };
        if let Some(seconds) = asks.then(seconds).flatten() {
            let wait = Duration::from_secs(seconds).min(LONGEST_WAIT);
            let until = (self.clock.elapsed() + wait).as_millis();
            let until = u64::try_from(until).unwrap_or(u64::MAX);
            self.not_before_ms.fetch_max(until, Ordering::AcqRel);
        }
    }

    fn rest(&self) -> Duration {
        let until = Duration::from_millis(self.not_before_ms.load(Ordering::Acquire));
        until.saturating_sub(self.clock.elapsed())
    }
}

struct CallLayer {
    observer: Observer,
    fence: Option<Fence>,
    later: Later,
}

impl<S> Layer<S> for CallLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls {
            inner,
            observer: self.observer.clone(),
            fence: self.fence.clone(),
            later: self.later.clone(),
            waiting: None,
        }
    }
}

struct Calls<S> {
    inner: S,
    observer: Observer,
    fence: Option<Fence>,
    later: Later,
    /// The calls after this one wait with it, in the client's queue.
    waiting: Option<Pin<Box<Sleep>>>,
}

type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;
type Answer = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, BoxError>> + Send>>;

impl<S, B> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes, Error = BoxError> + Send + 'static,
{
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            let rest = self.later.rest();
            if rest.is_zero() {
                return self.inner.poll_ready(cx);
            }
            self.waiting = Some(Box::pin(sleep(rest)));
        }
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let watching = is_watch(&request);
        let verb = if watching {
            "WATCH"
        } else {
            verb(request.method())
        };
        if is_write(request.method()) {
            if self.fence.as_ref().is_some_and(|fence| !fence.is_open()) {
                return Box::pin(async { Err(CallError::Fenced.into()) });
            }
            (self.observer)(Call::Writes { verb });
        }
        let began = Instant::now();
        let answer = self.inner.call(request);
        let observer = self.observer.clone();
        let later = self.later.clone();
        Box::pin(async move {
            let whole = async {
                let answer = answer.await?;
                later.note(&answer);
                let (parts, body) = answer.into_parts();
                if watching {
                    return Ok(Response::from_parts(parts, body.boxed_unsync()));
                }
                let bytes = body.collect().await?.to_bytes();
                let body = Full::new(bytes).map_err(|never| match never {});
                Ok(Response::from_parts(parts, body.boxed_unsync()))
            };
            let answer = match tokio::time::timeout(CALL_TIMEOUT, whole).await {
                Ok(answer) => answer,
                Err(_) => Err(CallError::Timeout(CALL_TIMEOUT).into()),
            };
            let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            let took = began.elapsed();
            observer(Call::Ended { verb, status, took });
            answer
        })
    }
}

fn is_write(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method)
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "GET",
    }
}

fn is_watch(request: &Request<Body>) -> bool {
    request.uri().query().is_some_and(|query| {
        query
            .split('&')
            .any(|pair| pair == "watch=true" || pair == "watch=1")
    })
}
