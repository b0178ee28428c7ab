//! Benchmark: what a consumer without any promise reaches, with the worker's own feed and HTTP
//! library: records from librdkafka's queue, one POST each, IN_FLIGHT at once. No ledger, no order,
//! no commit, no retry, no metadata headers.
//!
//! `bench_bare_loop BROKERS TOPIC GROUP HOST:PORT [IN_FLIGHT]`

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use drover::kafka::Polled;
use drover::kafka::client_config::{self, Connection, Membership};
use drover::kafka::consumer::{Begin, Consumer};
use drover::worker_config::GroupProtocol;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};

/// Records that wait, at most: enough that no connection idles.
const WAITING: usize = 1024;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, group, handler, rest @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: bench_bare_loop BROKERS TOPIC GROUP HOST:PORT [IN_FLIGHT]");
    };
    let in_flight: usize = rest.first().map_or(Ok(64), |count| count.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, consume(brokers, topic, group, handler, in_flight))
}

#[derive(Default)]
struct Shared {
    waiting: RefCell<VecDeque<Bytes>>,
    work: Notify,
}

async fn consume(
    brokers: &str,
    topic: &str,
    group: &str,
    handler: &str,
    in_flight: usize,
) -> anyhow::Result<()> {
    let wake = Arc::new(Notify::new());
    let waker = Arc::clone(&wake);
    let connection = Connection {
        bootstrap_servers: brokers,
        client_id: "bare",
        properties: &BTreeMap::new(),
    };
    let membership = Membership {
        group_id: group,
        protocol: GroupProtocol::Classic,
        max_poll_interval: Duration::from_secs(300),
        prefetch_bytes: 16 << 20,
    };
    let config = client_config::consumer(&connection, &membership);
    let consumer = Consumer::connect(&config, move || waker.notify_one())?;
    consumer.subscribe(&[topic.to_owned()])?;

    let shared = Rc::new(Shared::default());
    for _ in 0..in_flight {
        spawn_local(post(
            Rc::clone(&shared),
            Arc::clone(&wake),
            handler.to_owned(),
        ));
    }
    loop {
        let mut more = false;
        while shared.waiting.borrow().len() < WAITING {
            let Some(event) = consumer.poll() else {
                more = false;
                break;
            };
            more = true;
            match event.read() {
                Polled::Message(message) => {
                    let value = Bytes::copy_from_slice(message.value().unwrap_or_default());
                    shared.waiting.borrow_mut().push_back(value);
                    shared.work.notify_one();
                }
                Polled::Assign(partitions) => {
                    let bare: Vec<_> = partitions.into_iter().map(|p| (p, Begin::Oldest)).collect();
                    consumer.assign(&bare)?;
                }
                Polled::Revoke(partitions) => consumer.unassign(&partitions)?,
                _ => {}
            }
        }
        if more {
            tokio::task::yield_now().await;
        } else {
            let _ = tokio::time::timeout(Duration::from_millis(100), wake.notified()).await;
        }
    }
}

async fn post(shared: Rc<Shared>, wake: Arc<Notify>, handler: String) -> anyhow::Result<()> {
    let stream = TcpStream::connect(&handler).await.context("connect")?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    spawn_local(connection);
    let host = HeaderValue::from_str(&handler)?;
    loop {
        let next = shared.waiting.borrow_mut().pop_front();
        let Some(value) = next else {
            wake.notify_one();
            shared.work.notified().await;
            continue;
        };
        let request = Request::post("/records")
            .header(header::HOST, &host)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(Full::new(value))?;
        let response = sender.send_request(request).await?;
        anyhow::ensure!(
            response.status().is_success(),
            "status {}",
            response.status()
        );
        response.into_body().collect().await?;
    }
}
