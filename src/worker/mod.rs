//! The worker: consumes, delivers, retries, dead-letters, commits, drains.
//!
//! One thread holds it all: a loop that polls Kafka and tells the engine, the engine's effects, and
//! the connections to the handler. Only what must block (closing, flushing, asking for committed
//! offsets) has threads of its own.

pub mod args;
mod aside;
mod assembly;
mod commit_watch;
mod committed;
mod consume;
pub mod dead_letter;
mod dead_letter_check;
mod dead_letters;
pub mod delivery;
mod effects;
mod far_handler;
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
mod second_way;
mod shares;
pub mod signals;
mod skips;
mod status;
mod unread;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Monotonic;
use crate::engine::Remembered;
use crate::kafka::errors;
use crate::kafka::security::Security;
use crate::telemetry::http;
use crate::telemetry::worker_metrics::WorkerMetrics;
use crate::worker_config::WorkerConfig;
use aside::Returns;
use assembly::Way;
use delivery::Tracing;
use delivery::answer::class;
use health::Health;
use onlooker::Onlooker;
use reachability::Place;

pub use crate::kafka::begin;
pub use aside::HANDLER_PATIENCE;

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
    /// How long a handler in the worker's own pod may be out of reach before the pod's partitions go to others of the
    /// group; usually [`HANDLER_PATIENCE`].
    pub handler_patience: Duration,
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
    /// The broker takes this worker for two of one name.
    #[error("another member with this worker's name is in the group: {0}")]
    Fenced(String),
}

/// Threads for calls that block; each that is used costs memory. What each kind may take at once is bounded where it is
/// asked, and all together leave some over: a name that is to be looked up, or an assignment's offsets, wait for nobody.
const BLOCKING_THREADS: usize = 16;
/// So often in a row a worker that was fenced joins anew; where it is fenced again at once, there is another.
const MOST_FENCED: u32 = 5;
/// A membership that lasted so long was none that was fenced at once.
const UNFENCED: Duration = Duration::from_secs(600);

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
        .max_blocking_threads(BLOCKING_THREADS)
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
    let clock = Monotonic::start();
    let mut registry = Registry::default();
    let worker = Worker {
        config,
        options,
        security: Security::load(&config.security, |path| std::fs::read(path))
            .map_err(Error::Security)?,
        place: Place::of(&config.handler).map_err(Error::Handler)?,
        clock,
        health: Arc::new(Health::new(clock)),
        metrics: Arc::new(WorkerMetrics::register(&mut registry, &class::ALL)),
    };
    worker
        .metrics
        .budget_bytes
        .set(i64::try_from(config.memory_budget_bytes).unwrap_or(i64::MAX));

    let mut beside = JoinSet::new();
    if let Some(address) = options.admin {
        let failed = |source| Error::Admin { address, source };
        let listener = http::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        info!(%address, "probes and metrics are served");
        let health = Arc::clone(&worker.health);
        beside.spawn(async move {
            if let Err(error) = http::serve(listener, health, registry).await {
                warn!(%error, "the admin port is closed");
            }
        });
    }
    let mut returns = Returns::default();
    let mut fenced = 0;
    let mut remembered = Remembered::default();
    while worker.may_join(returns.proof(), shutdown).await {
        let joined = clock.elapsed();
        let over = worker
            .consume(shutdown, onlooker.clone(), &mut remembered)
            .await;
        let lasted = clock.elapsed().saturating_sub(joined);
        if lasted >= UNFENCED {
            fenced = 0;
        }
        match over {
            // A broker was away for longer than the session: librdkafka has given that up and joins anew, and a commit of
            // before, which it still had to send, comes after that and is not believed.
            Err(Error::Fenced(why)) if fenced < MOST_FENCED && !shutdown.is_cancelled() => {
                fenced += 1;
                warn!(
                    why,
                    "the session was lost, and the client with it: the group is joined anew"
                );
                worker.health.begins_anew();
                continue;
            }
            over => over?,
        }
        if shutdown.is_cancelled() {
            break;
        }
        worker.health.begins_anew();
        returns.stood_aside(lasted);
    }
    Ok(())
}

/// What outlives a membership of the group.
struct Worker<'a> {
    config: &'a WorkerConfig,
    options: &'a Options,
    security: Security,
    place: Place,
    clock: Monotonic,
    health: Arc<Health>,
    metrics: Arc<WorkerMetrics>,
}

impl Worker<'_> {
    fn has_own_handler(&self) -> bool {
        self.place.is_waited_for(&self.config.handler)
    }

    /// Waits for what is needed before the first record is taken: an own handler that has been there for `proof`,
    /// and a dead-letter topic that will do. False if the worker is to stop before.
    async fn may_join(&self, proof: Duration, shutdown: &CancellationToken) -> bool {
        let Self {
            config,
            security,
            health,
            ..
        } = self;
        if self.has_own_handler() {
            let waiting = reachability::wait_for_handler(&self.place, proof, health);
            if shutdown.run_until_cancelled(waiting).await.is_none() {
                info!("stopped before the handler was there");
                return false;
            }
        } else if !self.options.mock_kafka {
            let waiting = far_handler::wait(&self.place, config, security, health);
            if shutdown.run_until_cancelled(waiting).await.is_none() {
                info!("stopped before the handler could be reached");
                return false;
            }
        }
        if !self.options.mock_kafka {
            let checking = dead_letter_check::wait(config, security, health);
            if shutdown.run_until_cancelled(checking).await.is_none() {
                info!("stopped before the dead-letter topic would do");
                return false;
            }
        }
        if shutdown.is_cancelled() {
            info!("stopped before it asked to join the group");
            return false;
        }
        true
    }

    /// A member of the group until `shutdown`, or until the worker stands aside for others; then it has left. `remembered` is
    /// what it knows of partitions that it had as a member before.
    async fn consume(
        &self,
        shutdown: &CancellationToken,
        onlooker: Option<Onlooker>,
        remembered: &mut Remembered,
    ) -> Result<(), Error> {
        let Self {
            config,
            options,
            security,
            health,
            metrics,
            ..
        } = self;
        let shutdown = shutdown.child_token();
        let mut beside = JoinSet::new();
        beside.spawn(reachability::watch_handler(
            self.place.clone(),
            self.has_own_handler(),
            Arc::clone(health),
            Arc::clone(metrics),
        ));
        if self.has_own_handler() {
            let (health, shutdown) = (Arc::clone(health), shutdown.clone());
            let patience = options.handler_patience;
            beside.spawn(async move {
                aside::until_others_are_better(&health, patience).await;
                shutdown.cancel();
            });
        }
        let spans = assembly::spans(config, options, metrics);
        let (dead_letter_watch, looking) = dead_letter_check::watch(config, security);
        let (journal, left) = assembly::journal(config, options);
        let way = Way {
            transport: assembly::transport(config, &self.place, self.clock, journal.clone()),
            dead_letter_watch,
            tracing: spans.as_ref().map(|spans| {
                let tracer = spans.tracer();
                Tracing::new(tracer, &config.consumer, &config.group_id, &options.pod)
            }),
        };
        beside.spawn_local(looking);
        let mut consuming =
            assembly::begin(config, options, security, way, self.clock, health, metrics)?;
        consuming.onlooker = onlooker;
        consuming.journal = journal;
        consuming.suspect(left);
        consuming.engine.remember_all(std::mem::take(remembered));
        // A task of its own, so that it is polled when it is woken and not whenever a connection is.
        let consuming = tokio::task::spawn_local(async move {
            let result = consuming.run(&shutdown).await;
            (consuming, result)
        });
        let (consuming, result) = match consuming.await {
            Ok(over) => over,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        *remembered = leaving::end(consuming, spans, config, options, security).await;
        result
    }
}
