//! A client for somebody who waits for the answer: an API server that takes the connection and says nothing, or stops in
//! the middle, is waited for so long and no longer.
//!
//! What goes on for as long as it takes, a watch or a log that is followed, is waited for without end: that nothing
//! comes is its nature.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tokio::time::{Instant, Sleep, sleep};
use tower::{BoxError, Layer, Service};

use super::client::CallError;

/// Builds a client whose calls begin to be answered within `patience`, and go on within it from one part of the answer
/// to the next.
///
/// # Errors
/// If the configuration's credentials or certificates cannot be used.
pub fn build(mut config: Config, patience: Duration) -> Result<Client, kube::Error> {
    // Else what is exempt would wait for a connection for as long as the system does.
    config.connect_timeout = Some(patience);
    let layer = Patience(patience);
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

struct Patience(Duration);

impl<S> Layer<S> for Patience {
    type Service = Patient<S>;

    fn layer(&self, inner: S) -> Patient<S> {
        Patient {
            inner,
            patience: self.0,
        }
    }
}

struct Patient<S> {
    inner: S,
    patience: Duration,
}

type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;
type Answer = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, BoxError>> + Send>>;

impl<S, B> Service<Request<Body>> for Patient<S>
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
        let patience = self.patience;
        let goes_on = goes_on(request.uri().query().unwrap_or_default());
        let answer = self.inner.call(request);
        Box::pin(async move {
            if goes_on {
                return Ok(answer.await?.map(BodyExt::boxed_unsync));
            }
            match tokio::time::timeout(patience, answer).await {
                Ok(answer) => Ok(answer?.map(|body| Parts::of(body, patience).boxed_unsync())),
                Err(_) => Err(CallError::Timeout(patience).into()),
            }
        })
    }
}

/// By the query of what is asked.
fn goes_on(query: &str) -> bool {
    let names = ["watch", "follow"];
    query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        names.contains(&name) && ["true", "1"].contains(&value)
    })
}

/// An answer whose next part is waited for so long.
struct Parts<B> {
    body: Pin<Box<B>>,
    patience: Duration,
    end: Pin<Box<Sleep>>,
}

impl<B> Parts<B> {
    fn of(body: B, patience: Duration) -> Self {
        Self {
            body: Box::pin(body),
            patience,
            end: Box::pin(sleep(patience)),
        }
    }
}

impl<B: HttpBody<Data = Bytes, Error = BoxError>> HttpBody for Parts<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let patience = self.patience;
        if let Poll::Ready(frame) = self.body.as_mut().poll_frame(cx) {
            self.end.as_mut().reset(Instant::now() + patience);
            return Poll::Ready(frame);
        }
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(CallError::Timeout(patience).into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_goes_on_is_waited_for_without_end() {
        for (query, is) in [
            ("", false),
            ("limit=500", false),
            ("&watch=true&resourceVersion=1", true),
            ("container=worker&follow=true", true),
            ("container=worker&follow=false", false),
            ("labelSelector=watch%3Dtrue", false),
        ] {
            assert_eq!(goes_on(query), is, "{query}");
        }
    }
}
