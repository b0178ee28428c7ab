//! Workers inside the test, each with a thread of its own as in a pod.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use drover::worker::{Error, HANDLER_PATIENCE, Options, run};
use drover::worker_config::{
    Batch, GroupProtocol, Handler, HeaderStyle, HttpFormat, HttpHandler, HttpProtocol, OnExhausted,
    Ordering, Security, WorkerConfig,
};
use tokio_util::sync::CancellationToken;

use super::kafka::Kafka;
use super::web::Web;
use crate::support::show_logs;

pub const GROUP: &str = "shop.orders";
pub const TOPIC: &str = "orders";

/// A worker's configuration for tests: quick retries, quick rebalances.
pub fn config(kafka: &Kafka, web: &Web) -> WorkerConfig {
    let quick = [
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "200"),
        ("topic.metadata.refresh.interval.ms", "500"),
    ];
    WorkerConfig {
        consumer: "shop/orders".to_owned(),
        bootstrap_servers: kafka.servers.clone(),
        group_id: GROUP.to_owned(),
        topics: vec![TOPIC.to_owned()],
        group_protocol: GroupProtocol::Classic,
        properties: quick
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        security: Security::default(),
        handler: http(web.url()),
        ordering: Ordering::Key,
        concurrency: 16,
        batch: Batch {
            max_records: 1,
            max_bytes: 1 << 20,
            max_wait: Duration::from_millis(50),
        },
        decode: None,
        attempts: 5,
        initial_backoff: Duration::from_millis(20),
        max_backoff: Duration::from_millis(100),
        then: Vec::new(),
        dead_letter_topic: None,
        dead_letter_headers: HeaderStyle::Drover,
        retry_topic: None,
        rate_limit: None,
        breaker_percent: 50,
        breaker_min_records: 50,
        breaker_window: Duration::from_secs(300),
        on_exhausted: OnExhausted::Stall,
        handler_timeout: Duration::from_secs(10),
        drain_deadline: Duration::from_secs(20),
        max_poll_interval: Duration::from_secs(60),
        memory_budget_bytes: 16 << 20,
        idempotency: None,
        encryption: None,
        skips: Vec::new(),
    }
}

/// A handler at `url`.
pub fn http(url: String) -> Handler {
    Handler::Http(HttpHandler {
        url,
        socket: None,
        in_pod: false,
        format: HttpFormat::Plain,
        protocol: HttpProtocol::Http1,
        tls: None,
        authorization_file: None,
    })
}

/// A pod's options, at the mock.
pub fn options(pod: &str) -> Options {
    Options {
        pod: pod.to_owned(),
        is_static: true,
        admin: None,
        handler_patience: HANDLER_PATIENCE,
        journal: None,
        mock_kafka: true,
    }
}

/// A worker that runs until it is stopped or dropped.
pub struct Worker {
    shutdown: CancellationToken,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Worker {
    /// At librdkafka's mock, which is not asked what it never answers: each such question takes seconds.
    pub fn start(pod: &str, config: WorkerConfig) -> Self {
        Self::start_with_admin(pod, config, None)
    }

    pub fn start_with_admin(pod: &str, config: WorkerConfig, admin: Option<SocketAddr>) -> Self {
        let options = Options {
            admin,
            ..options(pod)
        };
        Self::run(config, options)
    }

    /// As in a pod: asks Kafka all that it asks there.
    pub fn in_pod(pod: &str, config: WorkerConfig) -> Self {
        Self::in_pod_with_admin(pod, config, None)
    }

    pub fn in_pod_with_admin(pod: &str, config: WorkerConfig, admin: Option<SocketAddr>) -> Self {
        let options = Options {
            admin,
            mock_kafka: false,
            ..options(pod)
        };
        Self::run(config, options)
    }

    pub fn run(config: WorkerConfig, options: Options) -> Self {
        show_logs();
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let thread = std::thread::spawn(move || run(&config, &options, token));
        Self {
            shutdown,
            thread: Some(thread),
        }
    }

    /// What SIGTERM does.
    pub fn terminate(&self) {
        self.shutdown.cancel();
    }

    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Terminates it and waits until it is over.
    pub fn stop(mut self) -> Result<(), Error> {
        self.terminate();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.terminate();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `count` different texts.
pub fn texts(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}-{number}"))
        .collect()
}
