//! Benchmark: a handler that answers 200 with nothing, in one thread, over TCP or a Unix socket.
//!
//! It writes a line when it listens and one at each MARK, which is a number of records, for whoever
//! measures. A batch counts as many records as its `Drover-Batch` says. With a delay the line tells how
//! long requests were held since the last, in microseconds on average: the delay, and what the timer and
//! the core added to it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use drover::clock::{self, Monotonic};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Args {
    /// HOST:PORT, or the path of a Unix socket
    address: String,
    /// Numbers of records, ascending: a line is written at each
    marks: Vec<u64>,
    /// How long each request takes
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Records begin with the time at which they were sent: write how old they were
    #[arg(long)]
    latency: bool,
}

struct Handler {
    marks: Vec<u64>,
    latency: bool,
    seen: RefCell<Seen>,
    delay: Option<Delay>,
}

#[derive(Default)]
struct Seen {
    records: u64,
    marks: usize,
    /// Ages in microseconds since the last mark.
    ages: Vec<i64>,
    /// Since the last mark.
    requests: u32,
    held: Duration,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let delay = (args.delay_ms > 0).then(|| Delay::new(Duration::from_millis(args.delay_ms)));
    let handler = Rc::new(Handler {
        marks: args.marks,
        latency: args.latency,
        seen: RefCell::default(),
        delay: delay.transpose()?,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    LocalSet::new().block_on(&runtime, listen(args.address, handler))
}

async fn listen(address: String, handler: Rc<Handler>) -> anyhow::Result<()> {
    if Path::new(&address).is_absolute() {
        let listener = UnixListener::bind(&address)?;
        println!("listening");
        loop {
            let (stream, _) = listener.accept().await?;
            spawn_local(serve(stream, Rc::clone(&handler)));
        }
    }
    let listener = TcpListener::bind(&address).await?;
    println!("listening");
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        spawn_local(serve(stream, Rc::clone(&handler)));
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, handler: Rc<Handler>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let handler = Rc::clone(&handler);
        async move {
            let batch = request.headers().get("drover-batch");
            let records = batch.and_then(|batch| batch.to_str().ok()?.parse().ok());
            // An answer before the body is read would close the connection.
            let body = request.into_body().collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            if let Some(delay) = &handler.delay {
                handler.held(delay.wait().await);
            }
            handler.count(records.unwrap_or(1), &body);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

impl Handler {
    fn held(&self, time: Duration) {
        let mut seen = self.seen.borrow_mut();
        seen.requests += 1;
        seen.held += time;
    }

    fn count(&self, records: u64, body: &Bytes) {
        let mut seen = self.seen.borrow_mut();
        seen.records += records;
        if self.latency
            && let Some(sent) = body.first_chunk::<8>()
        {
            let age = clock::now().as_nanosecond() - i128::from(i64::from_le_bytes(*sent));
            seen.ages
                .push(i64::try_from(age / 1000).unwrap_or(i64::MAX));
        }
        while let Some(&mark) = self.marks.get(seen.marks)
            && seen.records >= mark
        {
            seen.marks += 1;
            if self.latency {
                let mut ages = std::mem::take(&mut seen.ages);
                ages.sort_unstable();
                let part = |share: usize| ages.get(ages.len() * share / 1000).unwrap_or(&0);
                println!("at {mark} p50 {} p99 {}", part(500), part(990));
            } else if self.delay.is_some() {
                let requests = std::mem::take(&mut seen.requests).max(1);
                let held = std::mem::take(&mut seen.held) / requests;
                println!("at {mark} held {}", held.as_micros());
            } else {
                println!("at {mark}");
            }
        }
    }
}

/// Waits to a few hundredths of a millisecond: tokio's timers, which count whole milliseconds, would
/// make six of five.
struct Delay {
    length: Duration,
    clock: Monotonic,
    /// All waits are equally long, so they end in the order in which they begin.
    waits: mpsc::Sender<(Duration, oneshot::Sender<()>)>,
}

impl Delay {
    fn new(length: Duration) -> anyhow::Result<Self> {
        let clock = Monotonic::start();
        let (waits, next) = mpsc::channel::<(Duration, oneshot::Sender<()>)>();
        std::thread::Builder::new().spawn(move || {
            while let Ok((due, over)) = next.recv() {
                while let Some(rest) = due.checked_sub(clock.elapsed()) {
                    std::thread::park_timeout(rest);
                }
                let _ = over.send(());
            }
        })?;
        Ok(Self {
            length,
            clock,
            waits,
        })
    }

    /// How long it was.
    async fn wait(&self) -> Duration {
        let begun = self.clock.elapsed();
        let (over, waiting) = oneshot::channel();
        let _ = self.waits.send((begun + self.length, over));
        let _ = waiting.await;
        self.clock.elapsed() - begun
    }
}
