//! Benchmark: what a consumer without any promise reaches: librdkafka's queue read in batches in the
//! runtime's own thread, hyper's HTTP/1.1 by hand, IN_FLIGHT requests at once, over TCP or a Unix
//! socket. No ledger, no order, no retry, no metadata headers, no limit of memory; offsets are
//! committed once a second, whatever became of the records before them.
//!
//! `bench_bare_loop BROKERS TOPIC GROUP ADDRESS [IN_FLIGHT [BATCH]]`: ADDRESS is HOST:PORT or the path of
//! a Unix socket; a BATCH above 1 sends so many records in one document, which is the worker's.
#![allow(unsafe_code, reason = "librdkafka's batches have no safe wrapper")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::os::fd::IntoRawFd as _;
use std::path::Path;
use std::rc::Rc;
use std::slice;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use drover::kafka::client_config::{self, Connection, Membership};
use drover::kafka::security::Security;
use drover::worker_config::GroupProtocol;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rdkafka::bindings as rd;
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::types::RDKafkaType;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Records taken from librdkafka at once.
const READ: usize = 256;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, group, address, rest @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: bench_bare_loop BROKERS TOPIC GROUP ADDRESS [IN_FLIGHT [BATCH]]");
    };
    let number = |at: usize, usual| rest.get(at).map_or(Ok(usual), |text| text.parse::<usize>());
    let (in_flight, batch) = (number(0, 64)?, number(1, 1)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let feed = || Feed::open(brokers, topic, group, batch);
    LocalSet::new().block_on(&runtime, async {
        let (feed, wake) = feed()?;
        let feed = Rc::new(feed);
        for _ in 0..in_flight {
            spawn_local(post(Rc::clone(&feed), address.clone(), topic.clone()));
        }
        feed.listen(wake).await
    })
}

/// librdkafka's queue, and what was read of it and not sent yet.
struct Feed {
    // Before the client, which it must not outlive.
    queue: *mut rd::rd_kafka_queue_t,
    _client: Client<DefaultClientContext>,
    batch: usize,
    waiting: RefCell<VecDeque<Item>>,
    /// Nothing was there at the last look.
    dry: Cell<bool>,
    more: Notify,
}

struct Item {
    partition: i32,
    offset: i64,
    timestamp: i64,
    key: Bytes,
    value: Bytes,
}

impl Feed {
    fn open(
        brokers: &str,
        topic: &str,
        group: &str,
        batch: usize,
    ) -> anyhow::Result<(Self, pipe::Receiver)> {
        let connection = Connection {
            bootstrap_servers: brokers,
            client_id: "bare",
            properties: &BTreeMap::new(),
            security: &Security::default(),
        };
        let membership = Membership {
            group_id: group,
            protocol: GroupProtocol::Classic,
            instance_id: None,
            max_poll_interval: Duration::from_secs(300),
            prefetch_bytes: 16 << 20,
        };
        let mut config = client_config::consumer(&connection, &membership);
        config.set("enable.auto.commit", "true");
        config.set("enable.auto.offset.store", "true");
        config.set("auto.commit.interval.ms", "1000");
        // The worker is told by its assignment where to begin; nobody tells this loop.
        config.set("auto.offset.reset", "earliest");
        config.set("enable.partition.eof", "false");
        let native = config.create_native_config()?;
        let kind = RDKafkaType::RD_KAFKA_CONSUMER;
        let client = Client::new(&config, native, kind, DefaultClientContext)?;
        let (bell, wake) = pipe::pipe()?;
        let bell = bell.into_nonblocking_fd()?.into_raw_fd();
        let name = std::ffi::CString::new(topic)?;
        // SAFETY: the client lives as long as the queue; the list is ours and destroyed here; the
        // pipe's end is librdkafka's from here on. Without a callback for it librdkafka answers
        // assignments by itself.
        let queue = unsafe {
            let rk = client.native_ptr();
            rd::rd_kafka_poll_set_consumer(rk);
            let topics = rd::rd_kafka_topic_partition_list_new(1);
            rd::rd_kafka_topic_partition_list_add(topics, name.as_ptr(), -1);
            rd::rd_kafka_subscribe(rk, topics);
            rd::rd_kafka_topic_partition_list_destroy(topics);
            let queue = rd::rd_kafka_queue_get_consumer(rk);
            rd::rd_kafka_queue_io_event_enable(queue, bell, c"1".as_ptr().cast(), 1);
            queue
        };
        let feed = Self {
            queue,
            _client: client,
            batch,
            waiting: RefCell::default(),
            dry: Cell::new(true),
            more: Notify::new(),
        };
        Ok((feed, wake))
    }

    /// Wakes who waits whenever librdkafka has something after it had nothing.
    async fn listen(&self, mut wake: pipe::Receiver) -> anyhow::Result<()> {
        let mut rings = [0; 64];
        loop {
            // In time for rebalances too, of which no record tells.
            let _ = tokio::time::timeout(Duration::from_millis(100), wake.read(&mut rings)).await;
            if self.waiting.borrow().is_empty() {
                self.read();
            }
            if !self.dry.get() {
                self.more.notify_waiters();
            }
        }
    }

    /// The next records to send together.
    async fn next(&self, into: &mut Vec<Item>) {
        loop {
            while into.len() < self.batch {
                if self.waiting.borrow().is_empty() && (self.dry.get() || !self.read()) {
                    break;
                }
                let mut waiting = self.waiting.borrow_mut();
                let count = waiting.len().min(self.batch - into.len());
                into.extend(waiting.drain(..count));
            }
            if !into.is_empty() {
                return;
            }
            self.more.notified().await;
        }
    }

    /// True if there was something.
    fn read(&self) -> bool {
        let mut messages = [std::ptr::null_mut::<rd::rd_kafka_message_t>(); READ];
        // SAFETY: the queue is alive; the array has room for as many as are asked for; what comes is
        // ours, valid until it is destroyed, and copied before.
        let count =
            unsafe { rd::rd_kafka_consume_batch_queue(self.queue, 0, messages.as_mut_ptr(), READ) };
        let count = usize::try_from(count).unwrap_or(0);
        let mut waiting = self.waiting.borrow_mut();
        for &message in &messages[..count] {
            // SAFETY: as above.
            unsafe {
                if let Some(message) = message.as_ref()
                    && message.err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
                {
                    waiting.push_back(self.copy(message));
                }
                rd::rd_kafka_message_destroy(message);
            }
        }
        self.dry.set(count == 0);
        count > 0
    }

    /// Only what will be sent.
    ///
    /// # Safety
    /// The message must be one of librdkafka's, not destroyed yet.
    unsafe fn copy(&self, message: &rd::rd_kafka_message_t) -> Item {
        let bytes = |start: *mut std::ffi::c_void, length| match start.is_null() {
            true => Bytes::new(),
            // SAFETY: librdkafka gives a pointer and its length.
            false => {
                Bytes::copy_from_slice(unsafe { slice::from_raw_parts(start.cast::<u8>(), length) })
            }
        };
        let value = bytes(message.payload, message.len);
        let mut item = Item {
            partition: message.partition,
            offset: message.offset,
            timestamp: 0,
            key: Bytes::new(),
            value,
        };
        if self.batch > 1 {
            item.key = bytes(message.key, message.key_len);
            // SAFETY: the message is valid; its kind of time is not asked for.
            item.timestamp =
                unsafe { rd::rd_kafka_message_timestamp(message, std::ptr::null_mut()) };
        }
        item
    }
}

async fn connect(address: &str) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    if Path::new(address).is_absolute() {
        let stream = UnixStream::connect(address).await.context("connect")?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        spawn_local(connection);
        return Ok(sender);
    }
    let stream = TcpStream::connect(address).await.context("connect")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    spawn_local(connection);
    Ok(sender)
}

async fn post(feed: Rc<Feed>, address: String, topic: String) {
    if let Err(error) = post_all(&feed, &address, &topic).await {
        eprintln!("{error:#}");
        std::process::exit(1);
    }
}

async fn post_all(feed: &Feed, address: &str, topic: &str) -> anyhow::Result<()> {
    let mut sender = connect(address).await?;
    let host = match Path::new(address).is_absolute() {
        true => HeaderValue::from_static("localhost"),
        false => HeaderValue::from_str(address)?,
    };
    let mut items = Vec::with_capacity(feed.batch);
    loop {
        items.clear();
        feed.next(&mut items).await;
        let request = Request::post("/records").header(header::HOST, &host);
        let request = if feed.batch == 1 {
            let value = items.pop().map(|item| item.value).unwrap_or_default();
            let octets = HeaderValue::from_static("application/octet-stream");
            let request = request.header(header::CONTENT_TYPE, octets);
            request.body(Full::new(value))?
        } else {
            let json = HeaderValue::from_static("application/json");
            let request = request.header(header::CONTENT_TYPE, json);
            let request = request.header("drover-batch", items.len());
            request.body(Full::new(document(topic, &items)))?
        };
        let response = sender.send_request(request).await?;
        let status = response.status();
        anyhow::ensure!(status.is_success(), "status {status}");
        response.into_body().collect().await?;
    }
}

/// The worker's document, by the shortest way: keys are plain, values are not.
fn document(topic: &str, items: &[Item]) -> Bytes {
    let bytes: usize = items
        .iter()
        .map(|item| item.value.len() / 3 * 4 + 200)
        .sum();
    let mut text = String::with_capacity(bytes + 64);
    text.push_str("{\"records\":[");
    for (index, item) in items.iter().enumerate() {
        let Item {
            partition,
            offset,
            timestamp,
            ..
        } = item;
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{comma}{{\"topic\":\"{topic}\",\"partition\":{partition},\"offset\":{offset},\"timestamp\":{timestamp},\
             \"attempt\":1,\"idempotencyKey\":\"{topic}/{partition}/{offset}\",\"key\":\"{}\",\"headers\":[],\
             \"value\":{{\"base64\":\"",
            std::str::from_utf8(&item.key).unwrap_or_default(),
        );
        BASE64.encode_string(&item.value, &mut text);
        text.push_str("\"}}");
    }
    text.push_str("]}");
    text.into()
}
