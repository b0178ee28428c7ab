//! The worker: consumes, delivers, retries, dead-letters, commits, drains.
//!
//! One thread holds it all: a loop that polls Kafka and tells the engine, the engine's effects, and
//! the connections to the handler. Only what must block (closing, flushing, asking for committed
//! offsets) has threads of its own.

pub mod args;
mod commit_watch;
mod consume;
pub mod dead_letter;
mod dead_letter_check;
mod dead_letters;
pub mod delivery;
mod effects;
mod health;
mod journal;
mod lanes;
mod leaving;
mod membership;
mod news;
pub mod onlooker;
mod others;
mod reachability;
pub mod record;
mod refusals;
pub mod replay;
mod shares;
pub mod signals;
mod skips;
mod status;
mod unread;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::{self, Monotonic};
use crate::engine::{Breaker, Engine, RateLimit, Run, Settings};
use crate::kafka::client_config::{self, Connection, Membership};
use crate::kafka::consumer::Consumer;
use crate::kafka::errors;
use crate::kafka::security::Security;
use crate::kafka::static_member::Name;
use crate::telemetry::http;
use crate::telemetry::spans::{Counters, Identity, Spans};
use crate::telemetry::worker_metrics::{Outcome, WorkerMetrics};
use crate::topic::TopicPartition;
use crate::worker_config::{GroupProtocol, Handler, HttpProtocol, Ordering, WorkerConfig};
use consume::{Loop, Parts};
use dead_letters::{DeadLetters, Letterhead};
use delivery::answer::class;
use delivery::exec::Exec;
use delivery::http::h2c::Pool;
use delivery::http::{Http, Protocol};
use delivery::{
    BatchLimits, Claims, Decryption, Deliveries, Limits, Pipeline, Preparation, Tracing, Transport,
    share_of,
};
use health::Health;
use journal::{Journal, Left};
use leaving::Leaving;
use onlooker::Onlooker;
use others::Others;
use reachability::Place;
use shares::Shares;
use skips::Skips;

/// A moved frontier is committed this often: what a crash makes others repeat.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// An unmoved frontier is committed again, with a fresh report, this often.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// How long the commit of what was drained may take.
const COMMIT: Duration = Duration::from_secs(5);

/// How long the last spans may take to be exported, beside leaving the group.
const EXPORT: Duration = Duration::from_secs(1);

/// What is not in the configuration, since it differs from pod to pod.
#[derive(Clone, Debug)]
pub struct Options {
    /// The pod's name.
    pub pod: String,
    /// Nobody else in the group has this pod's name while this worker lives, and whoever has it afterwards is its
    /// successor: a container of the same pod. It is a static member of its group then, where the protocol lets a
    /// successor in.
    pub is_static: bool,
    /// Where the admin port listens; None for no admin port.
    pub admin: Option<SocketAddr>,
    /// A folder for the journal of what a command has, which outlives the worker; None for no journal.
    pub journal: Option<PathBuf>,
    /// Kafka is librdkafka's mock, in this process: what it never answers is not asked, as each question would take
    /// its whole time-out. These are the settings of topics, which the look at the dead-letter topic needs, and their
    /// ids.
    pub mock_kafka: bool,
}

/// Why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runtime could not be made.
    #[error("start the runtime")]
    Runtime(#[source] std::io::Error),
    /// The handler's URL makes no sense.
    #[error("{0}")]
    Handler(String),
    /// What connections to Kafka need could not be had.
    #[error("{0}")]
    Security(String),
    /// A key could not be had.
    #[error("{0}")]
    Encryption(String),
    /// The admin port is taken, or may not be opened.
    #[error("listen on {address} for the admin port")]
    Admin {
        /// Where.
        address: SocketAddr,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// A Kafka client could not be made.
    #[error(transparent)]
    Kafka(#[from] errors::Error),
    /// The Kafka client has failed for good.
    #[error("the Kafka client has failed for good and must be restarted: {0}")]
    KafkaFatal(String),
}

/// Runs a worker until `shutdown`, in a runtime of its own in the calling thread. Ok means that
/// everything was given back in order.
pub fn run(
    config: &WorkerConfig,
    options: &Options,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    run_before(config, options, shutdown, None)
}

/// As [`run`], before the eyes of `onlooker`.
pub fn run_before(
    config: &WorkerConfig,
    options: &Options,
    shutdown: CancellationToken,
    onlooker: Option<Onlooker>,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // For the few calls that block; each thread costs memory.
        .max_blocking_threads(8)
        .build()
        .map_err(Error::Runtime)?;
    let local = LocalSet::new();
    let result = local.block_on(&runtime, work(config, options, &shutdown, onlooker));
    // A thread that hangs in librdkafka must not hold up the exit.
    runtime.shutdown_background();
    result
}

async fn work(
    config: &WorkerConfig,
    options: &Options,
    shutdown: &CancellationToken,
    onlooker: Option<Onlooker>,
) -> Result<(), Error> {
    let security =
        Security::load(&config.security, |path| std::fs::read(path)).map_err(Error::Security)?;
    let place = Place::of(&config.handler).map_err(Error::Handler)?;
    let clock = Monotonic::start();
    let health = Arc::new(Health::new(clock));
    let mut registry = Registry::default();
    let metrics = Arc::new(WorkerMetrics::register(&mut registry, &class::ALL));
    metrics
        .budget_bytes
        .set(i64::try_from(config.memory_budget_bytes).unwrap_or(i64::MAX));

    let mut beside = JoinSet::new();
    if let Some(address) = options.admin {
        let failed = |source| Error::Admin { address, source };
        let listener = http::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        info!(%address, "probes and metrics are served");
        let health = Arc::clone(&health);
        beside.spawn(async move {
            if let Err(error) = http::serve(listener, health, registry).await {
                warn!(%error, "the admin port is closed");
            }
        });
    }
    if place.is_waited_for(&config.handler) {
        let waiting = reachability::wait_for_handler(&place, &health);
        let waited = shutdown.run_until_cancelled(waiting).await;
        if waited.is_none() {
            info!("stopped before the handler was there");
            return Ok(());
        }
    }
    beside.spawn(reachability::watch_handler(
        place.clone(),
        Arc::clone(&health),
    ));

    if !options.mock_kafka {
        let checking = dead_letter_check::wait(config, &security, &health);
        let checked = shutdown.run_until_cancelled(checking).await;
        if checked.is_none() {
            info!("stopped before the dead-letter topic would do");
            return Ok(());
        }
    }
    if shutdown.is_cancelled() {
        info!("stopped before it asked to join the group");
        return Ok(());
    }
    let spans = spans(config, options, &metrics);
    let (dead_letter_watch, looking) = dead_letter_check::watch(config, &security);
    let (journal, left) = journal(config, options);
    let way = Way {
        transport: transport(config, place, clock, journal.clone()),
        dead_letter_watch,
        tracing: spans.as_ref().map(|spans| {
            let tracer = spans.tracer();
            Tracing::new(tracer, &config.consumer, &config.group_id, &options.pod)
        }),
    };
    beside.spawn_local(looking);
    let mut consuming = begin(config, options, &security, way, clock, &health, &metrics)?;
    consuming.onlooker = onlooker;
    consuming.journal = journal;
    consuming.suspect(left);
    // A task of its own, so that it is polled when it is woken and not whenever a connection is.
    let shutdown = shutdown.clone();
    let consuming = tokio::task::spawn_local(async move {
        let result = consuming.run(&shutdown).await;
        (consuming, result)
    });
    let (consuming, result) = match consuming.await {
        Ok(over) => over,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    let leave_by = config.drain_deadline + COMMIT;
    let is_static = options.is_static && config.group_protocol == GroupProtocol::Classic;
    let name = is_static
        .then(|| name(config, options, &security))
        .flatten();
    let may_wait_for_others = is_static && name.is_none() && !consuming.health.is_kept_out();
    let as_whom = AsWhom {
        name,
        may_wait_for_others,
    };
    end(consuming, spans, config, as_whom, leave_by).await;
    result
}

/// How records get to the handler or elsewhere, and what is told of it.
struct Way {
    transport: Transport,
    dead_letter_watch: dead_letter_check::Watch,
    tracing: Option<Tracing>,
}

/// Where it is written what the handler's processes have, and what a worker that was killed left there.
fn journal(config: &WorkerConfig, options: &Options) -> (Option<Rc<Journal>>, Left) {
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
fn spans(config: &WorkerConfig, options: &Options, metrics: &WorkerMetrics) -> Option<Spans> {
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

fn begin(
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
        engine: Engine::new(settings(config, options, budget_bytes, clock.elapsed())),
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
fn transport(
    config: &WorkerConfig,
    place: Place,
    clock: Monotonic,
    journal: Option<Rc<Journal>>,
) -> Transport {
    match (&config.handler, place) {
        (Handler::Http(http), Place::Http(target)) => Transport::Http(Http {
            protocol: match http.protocol {
                HttpProtocol::Http1 => Protocol::Http1,
                HttpProtocol::H2c => Protocol::H2c(Pool::new((*target).clone())),
            },
            target: *target,
            format: http.format,
            source: source(config).into(),
            turns: Box::default(),
        }),
        (_, Place::Exec(command)) => Transport::Exec(Exec {
            command,
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
    let Some(encryption) = &config.encryption else {
        return Ok(Preparation::AsRead);
    };
    Decryption::load(encryption, room, metrics.decrypted.clone())
        .map(|decryption| Preparation::Decrypt(Box::new(decryption)))
        .map_err(Error::Encryption)
}

fn settings(
    config: &WorkerConfig,
    options: &Options,
    budget_bytes: usize,
    since_start: Duration,
) -> Settings {
    let wall = clock::now().duration_since(jiff::Timestamp::UNIX_EPOCH);
    let wall = Duration::try_from(wall).unwrap_or_default();
    let Limits { slots, batches, .. } = limits(config);
    let run = batches.map_or(Run::ONE, |batches| Run {
        records: batches.records,
        bytes: batches.bytes,
    });
    Settings {
        pod: options.pod.clone(),
        began: wall.saturating_sub(since_start),
        ordering: config.ordering,
        concurrency: slots.saturating_mul(run.records),
        run,
        attempts: config.attempts,
        own_handler: matches!(&config.handler, Handler::Http(http) if http.in_pod),
        initial_backoff: config.initial_backoff,
        max_backoff: config.max_backoff,
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

/// As whom the group is left: see [`Leaving`].
struct AsWhom {
    name: Option<Name>,
    may_wait_for_others: bool,
}

/// What a static member is called, where brokers can be told without librdkafka.
fn name(config: &WorkerConfig, options: &Options, security: &Security) -> Option<Name> {
    let connection = Connection {
        bootstrap_servers: &config.bootstrap_servers,
        client_id: &options.pod,
        properties: &config.properties,
        security,
    };
    let name = || Name::of(&connection, &config.group_id, &options.pod);
    // The mock knows no names.
    (!options.mock_kafka).then(name).flatten()
}

/// Hands over what is still on its way and leaves the group, which may begin as late as `leave_by`
/// after the wish to stop: a drain and its commit could have taken as long.
async fn end(
    mut consuming: Loop,
    spans: Option<Spans>,
    config: &WorkerConfig,
    as_whom: AsWhom,
    leave_by: Duration,
) {
    consuming.answer_takeover();
    consuming.watches.shutdown().await;
    consuming.kafka_watch.shutdown().await;
    let is_heard = consuming.stopping && !consuming.health.kafka_is_missing();
    let by = if consuming.stopping {
        consuming.stopping_since + leave_by
    } else {
        consuming.clock.elapsed()
    };
    let Loop {
        consumer,
        deliveries,
        dead_letters,
        clock,
        wake,
        ..
    } = consuming;
    futures::join!(deliveries.close(), dead_letters.close());
    let topic = config.topics.first().map_or("", String::as_str);
    let leaving = Leaving {
        consumer,
        clock,
        wake,
        any: TopicPartition::new(topic, 0),
        name: as_whom.name,
        may_wait_for_others: as_whom.may_wait_for_others,
    };
    let exporting = async {
        if let Some(spans) = spans {
            spans.close(EXPORT).await;
        }
    };
    let leaving = async {
        if is_heard {
            leaving.leave(by).await;
        } else {
            leaving.close(by).await;
        }
    };
    futures::join!(leaving, exporting);
}
