//! A handler inside the test, over HTTP/1.1 or HTTP/2: it remembers what it was sent and answers what the test wants.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::kafka::DEADLINE;

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Seen {
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub begun: Instant,
    /// None while it is in the handler.
    pub ended: Option<Instant>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn number(&self, name: &str) -> i64 {
        self.header(name).unwrap().parse().unwrap()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What to answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub after: Duration,
    /// Answer only when the test says so by [`Web::release`].
    pub hold: bool,
}

pub fn ok() -> Reply {
    status(200)
}

pub fn status(status: u16) -> Reply {
    Reply {
        status,
        ..Reply::default()
    }
}

pub fn ok_after(after: Duration) -> Reply {
    Reply { after, ..ok() }
}

type Behaviour = Box<dyn Fn(&Seen) -> Reply + Send>;

struct Shared {
    seen: Mutex<Vec<Seen>>,
    changed: Condvar,
    behaviour: Mutex<Behaviour>,
    released: tokio::sync::watch::Sender<bool>,
}

/// A handler that listens until it is dropped.
pub struct Web {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    pub fn start(behaviour: impl Fn(&Seen) -> Reply + Send + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), behaviour)
    }

    pub fn start_at(
        address: SocketAddr,
        behaviour: impl Fn(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        Self::serve(address, behaviour, async |router| {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let _ = axum::serve(listener, router).await;
        })
    }

    fn serve(
        address: SocketAddr,
        behaviour: impl Fn(&Seen) -> Reply + Send + 'static,
        serve: impl AsyncFnOnce(Router) + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            changed: Condvar::new(),
            behaviour: Mutex::new(Box::new(behaviour)),
            released: tokio::sync::watch::channel(false).0,
        });
        let stop = CancellationToken::new();
        let (router, stopped) = (
            Router::new().fallback(answer).with_state(shared.clone()),
            stop.clone(),
        );
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(stopped.run_until_cancelled(serve(router)));
        });
        Self {
            address,
            shared,
            stop,
            thread: Some(thread),
        }
    }

    /// A handler that listens on a Unix socket; its address means nothing.
    pub fn start_at_socket(
        path: &std::path::Path,
        behaviour: impl Fn(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self::serve("127.0.0.1:0".parse().unwrap(), behaviour, async |router| {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            let _ = axum::serve(listener, router).await;
        })
    }

    /// A handler behind `https://127.0.0.1`.
    pub fn start_with_tls(
        tls: rustls::ServerConfig,
        behaviour: impl Fn(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        Self::serve(address, behaviour, async |router| {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(tls));
            let _ = axum::serve(TlsListener { listener, acceptor }, router).await;
        })
    }

    /// A handler whose server takes 8 KiB of headers, as many do, and answers 431 to more.
    pub fn start_with_small_heads(
        version: Version,
        behaviour: impl Fn(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        Self::serve(address, behaviour, async move |router| {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(router.clone());
                let stream = TokioIo::new(stream);
                connections.spawn(async move {
                    let _ = match version {
                        Version::HTTP_2 => {
                            http2::Builder::new(TokioExecutor::new())
                                .max_header_list_size(8192)
                                .serve_connection(stream, service)
                                .await
                        }
                        _ => {
                            http1::Builder::new()
                                .max_buf_size(8192)
                                .serve_connection(stream, service)
                                .await
                        }
                    };
                });
            }
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}/records", self.address)
    }

    /// Answers differently from now on.
    pub fn behave(&self, behaviour: impl Fn(&Seen) -> Reply + Send + 'static) {
        *self.shared.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    /// Answers all that is held, and holds nothing more.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Everything that came in so far, in the order in which it came.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Waits until what came in satisfies `condition`, and gives it.
    #[track_caller]
    pub fn wait_for(&self, what: &str, condition: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let seen = self.shared.seen.lock().unwrap();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(seen, DEADLINE, |seen| !condition(seen));
        let (seen, timeout) = waited.unwrap();
        assert!(
            !timeout.timed_out(),
            "not within {DEADLINE:?}: {what}; seen {}",
            seen.len()
        );
        seen.clone()
    }

    #[track_caller]
    pub fn wait_for_count(&self, count: usize) -> Vec<Seen> {
        self.wait_for(&format!("{count} requests answered"), |seen| {
            seen.iter().filter(|s| s.ended.is_some()).count() >= count
        })
    }
}

struct TlsListener {
    listener: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.listener.accept().await.unwrap();
            // Who cannot agree is turned away.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(joined.is_ok() || std::thread::panicking());
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the test's own measure")]
async fn answer(
    State(shared): State<Arc<Shared>>,
    version: Version,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let seen = Seen {
        version,
        headers,
        body: body.to_vec(),
        begun: Instant::now(),
        ended: None,
    };
    let reply = (shared.behaviour.lock().unwrap())(&seen);
    let index = {
        let mut all = shared.seen.lock().unwrap();
        all.push(seen);
        all.len() - 1
    };
    shared.changed.notify_all();
    if !reply.after.is_zero() {
        tokio::time::sleep(reply.after).await;
    }
    if reply.hold {
        let mut released = shared.released.subscribe();
        let _ = released.wait_for(|released| *released).await;
    }
    shared.seen.lock().unwrap()[index].ended = Some(Instant::now());
    shared.changed.notify_all();
    let mut response = (StatusCode::from_u16(reply.status).unwrap(), reply.body).into_response();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// How often each text came in.
pub fn tally(seen: &[Seen]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for request in seen {
        *tally.entry(request.text().to_owned()).or_default() += 1;
    }
    tally
}
