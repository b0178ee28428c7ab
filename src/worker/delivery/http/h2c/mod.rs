//! HTTP/2 without TLS, with prior knowledge: all slots share few connections, each with many streams.
//!
//! A slot takes a place on a connection for one exchange. Where every connection has as many streams as
//! the handler allows, another is opened. What ends one stream (an answer, a time-out, a cancelled
//! delivery, a reset by the handler) ends no other; what ends a connection ends those on it.

mod opening;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, Shared};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2::SendRequest;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use self::opening::Trouble;
use super::super::answer::{self, Answer, class};
use super::target::Target;
use crate::engine::Verdict;

/// So many fresh connections may end without an answer before the handler counts as unreachable: each
/// request that was not seen goes over another one.
const TRIES: usize = 3;
/// Bytes of the body of a failure that are read though nobody wants them.
const MOST: usize = 64 * 1024;

/// The connections to the handler. Must be used inside a `LocalSet`.
pub struct Pool {
    target: Target,
    connections: RefCell<Vec<Rc<Connection>>>,
    /// A connection that is being opened: whoever needs one waits for it.
    opening: RefCell<Option<Opening>>,
    /// One for each connection, which opens it and does its work.
    tasks: RefCell<JoinSet<()>>,
}

type Opening = Shared<LocalBoxFuture<'static, Result<(), Trouble>>>;

/// An open connection.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Streams at a time, as the handler said last.
    most: Rc<Cell<usize>>,
    taken: Cell<usize>,
    /// The handler has answered on it.
    proven: Cell<bool>,
    /// Nobody has used it since it was looked at last.
    rested: Cell<bool>,
}

/// A place on a connection, for one stream.
struct Place(Rc<Connection>);

/// Why an exchange gave no answer.
enum Unanswered {
    /// The handler has not seen the request; here it is again, if it still exists.
    Unseen(Option<Request<Full<Bytes>>>),
    /// What that means, and whether the handler could be talked to.
    Meant(Verdict, bool),
}

impl Pool {
    /// No connection yet.
    pub fn new(target: Target) -> Rc<Self> {
        Rc::new(Self {
            target,
            connections: RefCell::default(),
            opening: RefCell::default(),
            tasks: RefCell::default(),
        })
    }

    /// One attempt with the request that `build` makes: the answer, of whose body `kept` bytes are
    /// kept, or what it means that there is none; and whether the handler could be talked to.
    pub async fn attempt(
        self: &Rc<Self>,
        build: impl Fn() -> Request<Full<Bytes>>,
        kept: usize,
    ) -> (Result<Answer, Verdict>, bool) {
        let mut request = build();
        let mut tries = 0;
        while tries < TRIES {
            let place = match self.place().await {
                Ok(place) => place,
                Err(trouble) => return (Err(trouble.verdict()), false),
            };
            match place.exchange(request, kept).await {
                Ok(answer) => {
                    place.0.proven.set(true);
                    return (Ok(answer), true);
                }
                Err(Unanswered::Meant(verdict, reached)) => return (Err(verdict), reached),
                Err(Unanswered::Unseen(unsent)) => {
                    request = unsent.unwrap_or_else(&build);
                    // A connection that is over takes nothing more, so this comes to an end.
                    tries += usize::from(!place.0.proven.get());
                }
            }
        }
        let message = "the handler closes each connection before it takes the request";
        (Err(Trouble::unreached(message.to_owned()).verdict()), false)
    }

    /// Lets go of connections that nobody has used since the last call.
    pub fn hang_up_idle(&self) {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|open| open.taken.get() > 0 || !open.rested.replace(true));
    }

    /// A place on a connection that has one, or on a new one.
    async fn place(self: &Rc<Self>) -> Result<Place, Trouble> {
        loop {
            if let Some(place) = self.free_place() {
                return Ok(place);
            }
            let opening = self.opening();
            opening.await?;
        }
    }

    fn free_place(&self) -> Option<Place> {
        let connections = self.connections.borrow();
        let free = connections.iter().find(|open| open.has_room());
        free.map(Place::take)
    }

    /// The connection that is being opened; if there is none, it is begun.
    fn opening(self: &Rc<Self>) -> Opening {
        let mut opening = self.opening.borrow_mut();
        opening.get_or_insert_with(|| self.open()).clone()
    }

    fn open(self: &Rc<Self>) -> Opening {
        let (tell, told) = oneshot::channel();
        let (pool, target) = (Rc::downgrade(self), self.target.clone());
        let mut tasks = self.tasks.borrow_mut();
        while tasks.try_join_next().is_some() {}
        tasks.spawn_local(async move {
            let opened = opening::open(&target).await;
            let Some(open_for) = pool.upgrade() else {
                return;
            };
            open_for.opening.borrow_mut().take();
            let opened = opened.map(|(connection, work)| {
                let connection = Rc::new(connection);
                let own = Rc::downgrade(&connection);
                open_for.connections.borrow_mut().push(connection);
                (own, work)
            });
            drop(open_for);
            match opened {
                Err(trouble) => _ = tell.send(Err(trouble)),
                Ok((own, work)) => {
                    let _ = tell.send(Ok(()));
                    work.await;
                    if let (Some(pool), Some(own)) = (pool.upgrade(), own.upgrade()) {
                        let mut connections = pool.connections.borrow_mut();
                        connections.retain(|open| !Rc::ptr_eq(open, &own));
                    }
                }
            }
        });
        let gone = |_| Err(Trouble::unreached("the worker ends".to_owned()));
        let told = told.map(move |told| told.unwrap_or_else(gone));
        told.boxed_local().shared()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("target", &self.target)
            .field("connections", &self.connections.borrow().len())
            .finish_non_exhaustive()
    }
}

impl Connection {
    fn has_room(&self) -> bool {
        !self.sender.is_closed() && self.taken.get() < self.most.get()
    }
}

impl Place {
    fn take(connection: &Rc<Connection>) -> Self {
        connection.taken.set(connection.taken.get() + 1);
        connection.rested.set(false);
        Self(Rc::clone(connection))
    }

    /// Sends a request and reads the whole answer. To drop this resets the stream, and no other.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        kept: usize,
    ) -> Result<Answer, Unanswered> {
        let mut sender = self.0.sender.clone();
        match sender.try_send_request(request).await {
            Ok(response) => read(response, kept).await,
            Err(mut error) => match error.take_message() {
                Some(request) => Err(Unanswered::Unseen(Some(request))),
                None => Err(unanswered(&error.into_error())),
            },
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
    }
}

/// Reads an answer to its end. A failure that has none soon is cut off, by a reset of its stream; what may mean done is not,
/// as over HTTP/1.1.
async fn read(response: Response<Incoming>, kept: usize) -> Result<Answer, Unanswered> {
    let (head, mut body) = response.into_parts();
    let (mut beginning, mut length) = (Vec::new(), 0);
    let may_mean_done = head.status.is_success() || head.headers.contains_key(&answer::RESULT);
    let most = match may_mean_done {
        true => usize::MAX,
        false => kept.max(MOST),
    };
    while length <= most && !body.is_end_stream() {
        let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else {
            match body.is_end_stream() {
                true => break,
                // The library takes a reset with NO_ERROR for an end. It is none where the answer was not whole before
                // (RFC 9113, section 8.1).
                false => return Err(reset("in the middle of", h2::Reason::NO_ERROR)),
            }
        };
        let frame = frame.map_err(|error| lost(&error))?;
        if let Ok(chunk) = frame.into_data() {
            length += chunk.len();
            let room = kept - beginning.len();
            beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
    }
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: beginning,
        whole: length <= kept,
    })
}

/// What it means that a request got no answer (RFC 9113, 6.8 and 8.7).
fn unanswered(error: &hyper::Error) -> Unanswered {
    let Some(cause) = cause(error).filter(|cause| cause.is_remote()) else {
        return lost(error);
    };
    if cause.is_go_away() {
        // Its stream came after the last one that the handler looks at; those before go on.
        return Unanswered::Unseen(None);
    }
    match cause.reason() {
        // Not looked at either, or perhaps begun, but the handler is still there: it has enough for the moment.
        Some(reason @ (h2::Reason::REFUSED_STREAM | h2::Reason::ENHANCE_YOUR_CALM)) => {
            let message = format!("the handler refused the stream ({reason:?})");
            let failure = answer::failure(class::CONNECTION, None, &message);
            let after = None;
            Unanswered::Meant(Verdict::SlowDown { after, failure }, true)
        }
        Some(h2::Reason::HTTP_1_1_REQUIRED) => {
            let message = "the handler wants HTTP/1.1 for this request (HTTP_1_1_REQUIRED); set spec.handler.http.protocol to Http1";
            let failure = answer::failure(class::PROTOCOL, None, message);
            Unanswered::Meant(Verdict::Misconfigured(failure), true)
        }
        reason => reset("before", reason.unwrap_or(h2::Reason::NO_ERROR)),
    }
}

/// The handler reset the stream, `when` its answer came or was to come.
fn reset(when: &str, reason: h2::Reason) -> Unanswered {
    let message = format!("the handler reset the stream {when} the answer: {reason:?}");
    let failure = answer::failure(class::CONNECTION, None, &message);
    Unanswered::Meant(Verdict::Retry(failure), true)
}

/// The handler may have seen the request.
fn lost(error: &hyper::Error) -> Unanswered {
    let source = std::error::Error::source(error);
    let because = source.map_or_else(|| error.to_string(), ToString::to_string);
    let message = format!("the connection broke before the answer was complete: {because}");
    let failure = answer::failure(class::CONNECTION, None, &message);
    let reset = cause(error).is_some_and(|cause| cause.is_reset() && cause.is_remote());
    Unanswered::Meant(Verdict::Retry(failure), reset)
}

fn cause(error: &hyper::Error) -> Option<&h2::Error> {
    std::error::Error::source(error)?.downcast_ref()
}
