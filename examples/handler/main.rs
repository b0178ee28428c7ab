//! An HTTP handler to try Drover with, and the witness of what was delivered.
//!
//! Every POST to a path that is not its own is a record: it takes `HANDLER_DELAY` (5ms), then
//! answers 200. Run one replica, so that it sees everything.
//!
//! * `GET /stats?expected=60000`: what was handled, twice, out of order, missing
//! * `GET /log?key=user-7`: the last deliveries, oldest first; without `key`, of all keys
//! * `POST /reset`: forget what was seen (not the faults)
//! * `POST /faults`: one fault or a list of them, see [`faults::Fault`]; `GET` lists, `DELETE` clears
//! * `GET /healthz`
//!
//! Environment: `HANDLER_DELAY` such as `5ms`, `HANDLER_LISTEN` such as `0.0.0.0:8080` or, for a Unix
//! socket, `/run/handler/http.sock`, beside which it also listens on `0.0.0.0:8080`.

mod delivery;
mod faults;
mod log;
mod timer;
mod witness;

use std::env;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use drover::api::Span;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};

use delivery::Delivery;
use faults::{Fault, Faults};
use log::Log;
use timer::Timer;
use witness::Witness;

/// Where it listens unless it is told otherwise.
const EVERYWHERE: &str = "0.0.0.0:8080";

struct Handler {
    delay: Duration,
    timer: Timer,
    seen: Mutex<Seen>,
    faults: Mutex<Faults>,
}

#[derive(Default)]
struct Seen {
    witness: Witness,
    log: Log,
}

impl Handler {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let delay: Span = env::var("HANDLER_DELAY")
        .unwrap_or_else(|_| "5ms".to_owned())
        .parse()
        .context("HANDLER_DELAY")?;
    let listen = env::var("HANDLER_LISTEN").unwrap_or_else(|_| EVERYWHERE.to_owned());
    let handler = Arc::new(Handler {
        delay: delay.0,
        timer: Timer::start().context("start the timer")?,
        seen: Mutex::default(),
        faults: Mutex::default(),
    });
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/stats", get(stats))
        .route("/log", get(deliveries))
        .route("/reset", post(reset))
        .route(
            "/faults",
            get(list_faults).post(add_faults).delete(clear_faults),
        )
        .fallback(record)
        .with_state(handler);
    let socket = listen.starts_with('/').then(|| listen.clone());
    if let Some(socket) = &socket {
        // What an earlier life of this container left there.
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket).with_context(|| format!("listen on {socket}"))?;
        // It ends with the process.
        tokio::spawn(axum::serve(listener, routes.clone()).into_future());
    }
    let address = if socket.is_some() {
        EVERYWHERE
    } else {
        &listen
    };
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}"))?;
    // One line on standard output with the real port, for tests that listen on port 0.
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let mut terminate = signal(SignalKind::terminate())?;
    axum::serve(listener, routes)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        })
        .await?;
    Ok(())
}

/// Takes one record.
async fn record(State(handler): State<Arc<Handler>>, headers: HeaderMap, body: Bytes) -> Response {
    let delivery = Delivery::read(&headers, &body);
    let fault = handler.faults().take(&delivery, &headers);
    let in_flight = InFlight::begin(Arc::clone(&handler), delivery);
    // Work that has begun is finished even if the caller hangs up, as it would be in an application
    // that writes to a database: what a killed worker had in flight counts as handled.
    match tokio::spawn(work(handler, fault, in_flight)).await {
        Ok(response) => response,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn work(handler: Arc<Handler>, fault: Option<Fault>, in_flight: InFlight) -> Response {
    handler.timer.sleep(handler.delay).await;
    let Some(fault) = fault else {
        in_flight.finish(StatusCode::OK);
        return StatusCode::OK.into_response();
    };
    if fault.hang {
        std::future::pending::<()>().await;
    }
    if let Some(more) = fault.delay {
        tokio::time::sleep(more.0).await;
    }
    let response = fault.response();
    in_flight.finish(response.status());
    response
}

/// A delivery that has begun; ends as failed if it is dropped unfinished.
struct InFlight {
    handler: Arc<Handler>,
    delivery: Delivery,
    ticket: witness::Ticket,
    finished: bool,
}

impl InFlight {
    fn begin(handler: Arc<Handler>, delivery: Delivery) -> Self {
        let ticket = handler
            .seen()
            .witness
            .begin(&delivery, drover::clock::now());
        Self {
            handler,
            delivery,
            ticket,
            finished: false,
        }
    }

    fn finish(mut self, status: StatusCode) {
        self.end(status);
    }

    fn end(&mut self, status: StatusCode) {
        self.finished = true;
        let now = drover::clock::now();
        let mut seen = self.handler.seen();
        seen.witness
            .end(&self.delivery, self.ticket, status.is_success(), now);
        seen.log.push(&self.delivery, status.as_u16(), now);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.finished {
            self.end(StatusCode::REQUEST_TIMEOUT);
        }
    }
}

async fn stats(State(handler): State<Arc<Handler>>, uri: Uri) -> Response {
    let expected = match query(&uri, "expected").map(str::parse::<u64>).transpose() {
        Ok(expected) => expected,
        Err(_) => {
            return bad_request("expected must be a whole number, such as /stats?expected=60000");
        }
    };
    Json(handler.seen().witness.stats(expected)).into_response()
}

async fn deliveries(State(handler): State<Arc<Handler>>, uri: Uri) -> Response {
    Json(handler.seen().log.entries(query(&uri, "key"))).into_response()
}

async fn reset(State(handler): State<Arc<Handler>>) -> StatusCode {
    let mut seen = handler.seen();
    seen.witness.reset();
    seen.log = Log::default();
    StatusCode::NO_CONTENT
}

async fn add_faults(State(handler): State<Arc<Handler>>, body: Bytes) -> Response {
    match faults::parse(&body) {
        Ok(new) => {
            handler.faults().add(new);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => bad_request(&format!("not a fault or a list of faults: {error}")),
    }
}

async fn list_faults(State(handler): State<Arc<Handler>>) -> Json<Vec<Fault>> {
    Json(handler.faults().list())
}

async fn clear_faults(State(handler): State<Arc<Handler>>) -> StatusCode {
    handler.faults().clear();
    StatusCode::NO_CONTENT
}

/// The value of `name` in the query, as it stands: the keys and numbers asked for need no escapes.
fn query<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    uri.query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

fn bad_request(message: &str) -> Response {
    (StatusCode::BAD_REQUEST, message.to_owned()).into_response()
}
