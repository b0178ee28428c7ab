//! A worker put together out of its configuration.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::warn;

use super::consume::{Loop, Parts};
use super::dead_letter_check;
use super::dead_letters::{DeadLetters, Letterhead};
use super::delivery::exec::Exec;
use super::delivery::http::h2c::Pool;
use super::delivery::http::{Http, Protocol};
use super::delivery::{
    BatchLimits, Claims, Decryption, Deliveries, Limits, Pipeline, Preparation, Tracing, Transport,
    share_of,
};
use super::health::Health;
use super::journal::{Journal, Left};
use super::others::Others;
use super::reachability::Place;
use super::record::hash_of;
use super::shares::Shares;
use super::skips::Skips;
use super::{Error, Options};
use crate::clock::Monotonic;
use crate::engine::{Breaker, Engine, RateLimit, Run, Settings};
use crate::kafka::client_config::{self, Connection, Membership};
use crate::kafka::consumer::Consumer;
use crate::kafka::security::Security;
use crate::kafka::{Committer, Handshake};
use crate::telemetry::spans::{Counters, Identity, Spans};
use crate::telemetry::worker_metrics::{Outcome, WorkerMetrics};
use crate::worker_config::{GroupProtocol, Handler, HttpProtocol, Ordering, WorkerConfig};

/// Records of a partition that may have failed and wait: the report has room for so many and a few that are in flight, with
/// what is finished between them, if they lie among some millions (`engine/tests/later.rs` counts).
const MOST_WAITING: usize = 90;
/// A moved frontier is committed this often: what a crash makes others repeat.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// An unmoved frontier is committed again, with a fresh report, this often.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// How records get to the handler or elsewhere, and what is told of it.
pub(super) struct Way {
    pub transport: Transport,
    pub dead_letter_watch: dead_letter_check::Watch,
    pub tracing: Option<Tracing>,
}

/// Where it is written what the handler's processes have, and what a worker that was killed left there.
pub(super) fn journal(config: &WorkerConfig, options: &Options) -> (Option<Rc<Journal>>, Left) {
    let (Handler::Exec(_), Some(folder)) = (&config.handler, &options.journal) else {
        return Default::default();
    };
    match Journal::open(folder) {
        Ok((journal, left)) => (Some(Rc::new(journal)), left),
        Err(error) => {
            warn!(folder = %folder.display(), %error, "there is no journal, so that a record that has the worker killed is not found");
            Default::default()
        }
    }
}

/// Spans of attempts, if the environment asks for them.
pub(super) fn spans(
    config: &WorkerConfig,
    options: &Options,
    metrics: &WorkerMetrics,
) -> Option<Spans> {
    let (namespace, name) = config.consumer.split_once('/').unwrap_or_default();
    let identity = Identity {
        namespace,
        name,
        instance: &options.pod,
    };
    let result = |result| metrics.spans.get_or_create_owned(&Outcome { result });
    let counters = || Counters {
        exported: result("exported"),
        failed: result("failed"),
        dropped: result("dropped"),
    };
    Spans::from_environment(&identity, counters)
}

pub(super) fn begin(
    config: &WorkerConfig,
    options: &Options,
    security: &Security,
    way: Way,
    clock: Monotonic,
    health: &Arc<Health>,
    metrics: &Arc<WorkerMetrics>,
) -> Result<Loop, Error> {
    let wake = Arc::new(Notify::new());
    let connection = Connection {
        bootstrap_servers: &config.bootstrap_servers,
        client_id: &options.pod,
        properties: &config.properties,
        security,
    };
    let membership = Membership {
        group_id: &config.group_id,
        protocol: config.group_protocol,
        instance_id: options.is_static.then_some(&options.pod),
        max_poll_interval: config.max_poll_interval,
        prefetch_bytes: prefetch_bytes(config.memory_budget_bytes),
    };
    let client = client_config::consumer(&connection, &membership);
    let waker = Arc::clone(&wake);
    let consumer = Consumer::connect(&client, move || waker.notify_one())?;
    consumer.subscribe(&config.topics)?;
    // Heartbeats of the other protocol hold up no commit; and the mock takes commits of no other connection.
    let may_wait = config.group_protocol == GroupProtocol::Classic && !options.mock_kafka;
    let instance = membership.instance_id;
    let committer = may_wait.then(|| Committer::of(&connection, &config.group_id, instance));
    let held = config.memory_budget_bytes - membership.prefetch_bytes;
    let budget_bytes = usize::try_from(held).unwrap_or(usize::MAX);
    let for_decrypted = config
        .encryption
        .as_ref()
        .map_or(0, |encryption| share_of(budget_bytes, encryption));
    let budget_bytes = budget_bytes - for_decrypted;
    let letterhead = Letterhead {
        topic: config.dead_letter_topic.clone(),
        style: config.dead_letter_headers,
        retry_topic: config.retry_topic.clone(),
        group: config.group_id.clone(),
        consumer: config.consumer.clone(),
        pod: options.pod.clone(),
        bootstrap_servers: config.bootstrap_servers.clone(),
        properties: config.properties.clone(),
        security: security.clone(),
        timeout: config.dead_letter_timeout(),
    };
    let pipeline = Pipeline {
        preparation: preparation(config, for_decrypted, metrics)?,
        claims: Claims::new(config.idempotency.as_ref(), &options.pod, clock, metrics),
        transport: way.transport,
        tracing: way.tracing,
    };
    Ok(Loop::new(Parts {
        consumer,
        engine: Engine::new(settings(config, options, budget_bytes, clock)),
        deliveries: Deliveries::new(pipeline, limits(config), clock, Arc::clone(&wake)),
        dead_letters: DeadLetters::new(letterhead, Arc::clone(&wake)),
        dead_letter_watch: way.dead_letter_watch,
        clock,
        wake,
        health: Arc::clone(health),
        metrics: Arc::clone(metrics),
        group_id: config.group_id.clone(),
        others: Others::new(&config.topics),
        shares: config.rate_limit.map(|_| Shares::new(&config.topics)),
        skips: Skips::new(&config.skips),
        budget_bytes,
        handshake: Handshake::of(&connection),
        committer: committer.flatten(),
        mock_kafka: options.mock_kafka,
    }))
}

/// The part of the memory budget that librdkafka may read ahead; the rest is for what the engine holds and
/// what is decrypted of it. A few megabytes keep the handler busy across fetches.
fn prefetch_bytes(budget_bytes: u64) -> u64 {
    let (least, most) = (1 << 20, 8 << 20);
    (budget_bytes / 4).clamp(least, most).min(budget_bytes / 2)
}

/// How much is given to the handler at once: `concurrency` requests, of one record or one batch each.
fn limits(config: &WorkerConfig) -> Limits {
    let whole = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let batch = &config.batch;
    Limits {
        timeout: config.handler_timeout,
        slots: whole(config.concurrency),
        batches: (batch.max_records > 1).then_some(BatchLimits {
            records: whole(batch.max_records),
            bytes: usize::try_from(batch.max_bytes).unwrap_or(usize::MAX),
            wait: batch.max_wait,
            in_order: config.ordering == Ordering::Partition,
        }),
    }
}

/// The way to the handler at `place`.
pub(super) fn transport(
    config: &WorkerConfig,
    place: &Place,
    clock: Monotonic,
    journal: Option<Rc<Journal>>,
) -> Transport {
    match (&config.handler, place) {
        (Handler::Http(http), Place::Http(target)) => Transport::Http(Http {
            protocol: match http.protocol {
                HttpProtocol::Http1 => Protocol::Http1,
                HttpProtocol::H2c => Protocol::H2c(Pool::new(target.as_ref().clone())),
            },
            target: target.as_ref().clone(),
            format: http.format,
            source: source(config).into(),
            turns: Box::default(),
        }),
        (_, Place::Exec(command)) => Transport::Exec(Exec {
            command: command.clone(),
            clock,
            journal,
            listeners: RefCell::default(),
        }),
        (Handler::Exec(_), Place::Http(_)) => unreachable!("a place is of its handler"),
    }
}

/// The source of CloudEvents that were none in Kafka, without their topic.
fn source(config: &WorkerConfig) -> String {
    let (namespace, name) = config.consumer.split_once('/').unwrap_or_default();
    format!("/namespaces/{namespace}/kafkaconsumers/{name}")
}

fn preparation(
    config: &WorkerConfig,
    room: usize,
    metrics: &WorkerMetrics,
) -> Result<Preparation, Error> {
    let load = |encryption| Decryption::load(encryption, room, metrics.decrypted.clone());
    let decryption = config.encryption.as_ref().map(load).transpose();
    Ok(Preparation {
        decryption: decryption.map_err(Error::Encryption)?.map(Box::new),
        decode: config.decode,
    })
}

fn settings(
    config: &WorkerConfig,
    options: &Options,
    budget_bytes: usize,
    clock: Monotonic,
) -> Settings {
    let Limits { slots, batches, .. } = limits(config);
    let run = batches.map_or(Run::ONE, |batches| Run {
        records: batches.records,
        bytes: batches.bytes,
    });
    Settings {
        pod: options.pod.clone(),
        began: clock.began(),
        ordering: config.ordering,
        hashing: hash_of(b"drover").tag(),
        concurrency: slots.saturating_mul(run.records),
        run,
        attempts: config.attempts,
        own_handler: matches!(&config.handler, Handler::Http(http) if http.in_pod),
        initial_backoff: config.initial_backoff,
        max_backoff: config.max_backoff,
        then: config.then.clone(),
        waiting: MOST_WAITING,
        on_exhausted: config.on_exhausted,
        breaker: Some(Breaker {
            percent: config.breaker_percent,
            min_records: config.breaker_min_records,
            window: config.breaker_window,
        }),
        rate_limit: config.rate_limit.map(|limit| RateLimit {
            records: limit.records,
            per: limit.per,
        }),
        drain_deadline: config.drain_deadline,
        commit_interval: COMMIT_INTERVAL,
        report_interval: REPORT_INTERVAL,
        budget_bytes,
    }
}
