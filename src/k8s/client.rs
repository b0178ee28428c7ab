//! A client whose every call has a time-out, is counted, and writes only while it may.
//!
//! kube by itself retries for minutes and has no time-out for answers; a reconcile must come back
//! and say so in status instead. Watches are exempt from the time-out once they have begun: their
//! watcher ends those that fell silent.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Body as HttpBody;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

use crate::clock::Monotonic;

/// The longest that one call may take, from request to the last byte of the answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Told of every writing call with its HTTP method in capitals.
pub type WriteObserver = Arc<dyn Fn(&'static str) + Send + Sync>;

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
    observer: WriteObserver,
    fence: Option<Fence>,
) -> Result<Client, kube::Error> {
    config.default_retry = false;
    config.connect_timeout = Some(CALL_TIMEOUT);
    let layer = CallLayer { observer, fence };
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

struct CallLayer {
    observer: WriteObserver,
    fence: Option<Fence>,
}

impl<S> Layer<S> for CallLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls {
            inner,
            observer: self.observer.clone(),
            fence: self.fence.clone(),
        }
    }
}

struct Calls<S> {
    inner: S,
    observer: WriteObserver,
    fence: Option<Fence>,
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
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        if let Some(verb) = writing_verb(request.method()) {
            if self.fence.as_ref().is_some_and(|fence| !fence.is_open()) {
                return Box::pin(async { Err(CallError::Fenced.into()) });
            }
            (self.observer)(verb);
        }
        let watching = is_watch(&request);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let whole = async {
                let (parts, body) = answer.await?.into_parts();
                if watching {
                    return Ok(Response::from_parts(parts, body.boxed_unsync()));
                }
                let bytes = body.collect().await?.to_bytes();
                let body = Full::new(bytes).map_err(|never| match never {});
                Ok(Response::from_parts(parts, body.boxed_unsync()))
            };
            match tokio::time::timeout(CALL_TIMEOUT, whole).await {
                Ok(answer) => answer,
                Err(_) => Err(CallError::Timeout(CALL_TIMEOUT).into()),
            }
        })
    }
}

fn writing_verb(method: &Method) -> Option<&'static str> {
    match *method {
        Method::POST => Some("POST"),
        Method::PUT => Some("PUT"),
        Method::PATCH => Some("PATCH"),
        Method::DELETE => Some("DELETE"),
        _ => None,
    }
}

fn is_watch(request: &Request<Body>) -> bool {
    request.uri().query().is_some_and(|query| {
        query
            .split('&')
            .any(|pair| pair == "watch=true" || pair == "watch=1")
    })
}
