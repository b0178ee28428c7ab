//! A handler that speaks HTTP/2 and misbehaves stream by stream, as a test wants.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use axum::body::Bytes;
use h2::{Reason, server};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::kafka::DEADLINE;

/// A request that came in on a stream.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The number of its connection, from 0.
    pub connection: usize,
    /// `TOPIC/PARTITION/OFFSET`.
    pub record: String,
    pub attempt: u32,
    /// None while it is in the handler.
    pub end: Option<End>,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Answered,
    /// By us.
    Reset,
    /// By the worker, with that reason.
    GivenUp(Reason),
    /// With its connection.
    HungUp,
}

/// What to do with a stream.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    Answer,
    /// Answer when the test says so by [`Server::release`].
    Hold,
    Reset(Reason),
    /// Begin an answer of 200, and reset in the middle of it, after so many bytes.
    Break(Reason, usize),
    /// Answer, and take no further stream on this connection.
    SayGoodbye,
}

type Behaviour = Box<dyn Fn(&Asked) -> Act + Send>;

struct Shared {
    asked: Mutex<Vec<Asked>>,
    connections: Mutex<usize>,
    changed: Condvar,
    behaviour: Mutex<Behaviour>,
    released: watch::Sender<bool>,
    /// Connections with lower numbers are closed.
    closed_below: watch::Sender<usize>,
    /// On connections with lower numbers nothing is heard or said any more; they stay open.
    deaf_below: watch::Sender<usize>,
}

/// A handler that listens until it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Takes `streams` at a time on a connection.
    pub fn start(streams: u32, behaviour: impl Fn(&Asked) -> Act + Send + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            asked: Mutex::default(),
            connections: Mutex::default(),
            changed: Condvar::new(),
            behaviour: Mutex::new(Box::new(behaviour)),
            released: watch::channel(false).0,
            closed_below: watch::channel(0).0,
            deaf_below: watch::channel(0).0,
        });
        let stop = CancellationToken::new();
        let (serving, stopped) = (Arc::clone(&shared), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            let listening = async {
                let listener = TcpListener::from_std(listener).unwrap();
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    connections.spawn(serve(stream, Arc::clone(&serving), streams));
                }
            };
            runtime.block_on(stopped.run_until_cancelled(listening));
        });
        Self {
            address,
            shared,
            stop,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/records", self.address)
    }

    /// Answers all that is held, and holds nothing more.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Closes all connections that there are, with all that is on them.
    pub fn hang_up(&self) {
        let connections = *self.shared.connections.lock().unwrap();
        self.shared.closed_below.send_replace(connections);
    }

    /// All connections that there are stay open and are not listened to any more, as with a machine
    /// that is gone without a word.
    pub fn deafen(&self) {
        let connections = *self.shared.connections.lock().unwrap();
        self.shared.deaf_below.send_replace(connections);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The connections on which something came in.
    pub fn connections(&self) -> BTreeSet<usize> {
        self.asked().iter().map(|asked| asked.connection).collect()
    }

    /// Waits until what came in satisfies `condition`, and gives it.
    #[track_caller]
    pub fn wait_for(&self, what: &str, condition: impl Fn(&[Asked]) -> bool) -> Vec<Asked> {
        let asked = self.shared.asked.lock().unwrap();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(asked, DEADLINE, |asked| !condition(asked));
        let (asked, timeout) = waited.unwrap();
        assert!(
            !timeout.timed_out(),
            "not within {DEADLINE:?}: {what}; {asked:?}"
        );
        asked.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(joined.is_ok() || std::thread::panicking());
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, streams: u32) {
    let mut builder = server::Builder::new();
    let handshake = builder.max_concurrent_streams(streams).handshake(stream);
    let Ok(mut connection) = handshake.await else {
        return; // somebody only looked whether we are there
    };
    let number = {
        let mut connections = shared.connections.lock().unwrap();
        *connections += 1;
        *connections - 1
    };
    let mut answering = JoinSet::new();
    let (goodbye, mut goodbyes) = mpsc::unbounded_channel();
    let mut closed_below = shared.closed_below.subscribe();
    let mut deaf_below = shared.deaf_below.subscribe();
    loop {
        tokio::select! {
            _ = closed_below.wait_for(|below| number < *below) => return,
            _ = deaf_below.wait_for(|below| number < *below) => break,
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else {
                    return;
                };
                let goodbye = goodbye.clone();
                answering.spawn(answer(request, respond, Arc::clone(&shared), number, goodbye));
            }
            _ = goodbyes.recv() => connection.graceful_shutdown(),
        }
    }
    // The connection is held, and nobody looks at it.
    std::future::pending::<()>().await;
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: server::SendResponse<Bytes>,
    shared: Arc<Shared>,
    connection: usize,
    goodbye: mpsc::UnboundedSender<()>,
) {
    let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    let asked = Asked {
        connection,
        record: header("idempotency-key"),
        attempt: header("drover-attempt").parse().unwrap(),
        end: None,
    };
    let act = (shared.behaviour.lock().unwrap())(&asked);
    let index = {
        let mut all = shared.asked.lock().unwrap();
        all.push(asked);
        all.len() - 1
    };
    shared.changed.notify_all();
    let end = |end| {
        shared.asked.lock().unwrap()[index].end = Some(end);
        shared.changed.notify_all();
    };
    let mut body = request.into_body();
    while let Some(Ok(chunk)) = body.data().await {
        let _ = body.flow_control().release_capacity(chunk.len());
    }
    match act {
        Act::Answer | Act::SayGoodbye => {}
        Act::Hold => {
            let mut released = shared.released.subscribe();
            tokio::select! {
                reset = std::future::poll_fn(|cx| respond.poll_reset(cx)) => {
                    return end(reset.map_or(End::HungUp, End::GivenUp));
                }
                _ = released.wait_for(|released| *released) => {}
            }
        }
        Act::Reset(reason) => {
            end(End::Reset);
            return respond.send_reset(reason);
        }
        Act::Break(reason, bytes) => {
            end(End::Reset);
            let response = http::Response::builder().status(200).body(()).unwrap();
            let mut answer = respond.send_response(response, false).unwrap();
            let mut left = bytes;
            while left > 0 {
                answer.reserve_capacity(left);
                let Some(Ok(room)) = poll_fn(|cx| answer.poll_capacity(cx)).await else {
                    return; // nobody wants more
                };
                left -= room.min(left);
                answer.send_data(vec![b'h'; room].into(), false).unwrap();
            }
            // A reset takes back what is not on its way yet, which is this runtime's next turn.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            return answer.send_reset(reason);
        }
    }
    end(End::Answered);
    if matches!(act, Act::SayGoodbye) {
        let _ = goodbye.send(());
    }
    let response = http::Response::builder().status(204).body(()).unwrap();
    let _ = respond.send_response(response, true);
}
