//! The application that keeps fleets as their resources say.
//!
//! [`run`] campaigns for a Lease; while it holds it, `lead` watches and reconciles. What one run
//! over one resource does is told in `reconcile`.

mod announce;
mod apply;
mod backoff;
mod children;
mod contest;
mod context;
mod credentials;
mod deleting;
mod deletion_cost;
mod dereference;
mod error;
mod fleets;
mod gauges;
mod health;
mod malformed;
mod offsets;
mod pace;
mod place;
mod pods;
mod publish;
mod reconcile;
mod replays;
mod resized;
mod scale;
mod scopes;
pub mod self_test;
mod size;
mod status;
mod strangers;
mod unknown_fields;
mod watches;
mod workload;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kube::runtime::controller::{self, Action, Controller};
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

pub use crate::kafka::begin;

use crate::api::names::{ALL_NAMESPACES, ANNOTATION_NAMESPACES};
use crate::clock::Monotonic;
use crate::k8s::chain;
use crate::k8s::client::{self, Call, Fence};
use crate::k8s::events::Announcer;
use crate::k8s::lease::{Candidate, Pulse, Role, Terms};
use crate::lag::{Journal, LagReader};
use crate::resources;
use crate::telemetry::controller_metrics::{ControllerMetrics, Sampling};
use crate::telemetry::http;
use context::Context;
use fleets::{FleetKey, Fleets};
use health::Health;
use pace::Pace;
use scopes::{Inlets, Scope};
use watches::Watches;

/// The controller's name in events and reports.
const CONTROLLER: &str = "drover-controller";
/// Resources that are reconciled at the same time.
const CONCURRENCY: u16 = 16;
/// Changes of one resource and its children within this time are one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(25);
/// Metrics are counted, and memories of resources whose deletion was missed swept, this often.
const SWEEP: Duration = Duration::from_secs(5);

/// How a controller is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespaces to look after; none for all.
    pub namespaces: Vec<String>,
    /// Where the Lease is.
    pub lease_namespace: String,
    /// Its name.
    pub lease_name: String,
    /// Its times.
    pub terms: Terms,
    /// Who we are: the pod's name. Two candidates must not have the same.
    pub identity: String,
    /// Where `/livez`, `/readyz` and `/metrics` answer.
    pub admin_address: SocketAddr,
    /// Hosts that OAuth tokens for our own connections may be fetched from; none for any but our own pod.
    pub token_hosts: Vec<String>,
    /// Where is kept which brokers are asked, for the process that comes after one that crashes; none to keep nothing.
    pub state_dir: Option<PathBuf>,
    /// What is the same for all children.
    pub children: resources::Settings,
}

/// Why a controller could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration of the client does not do.
    #[error("set up the Kubernetes client")]
    Client(#[source] kube::Error),
    /// The admin port is taken, say.
    #[error("listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Runs until `stop`. Losing the Lease, the API server or Kafka ends nothing.
///
/// # Errors
/// Only if it cannot start.
pub fn run(
    config: Config,
    settings: Settings,
    stop: CancellationToken,
) -> BoxFuture<'static, Result<(), StartError>> {
    // Boxed, so that the machinery below is compiled here once, not in every program that calls it.
    Box::pin(lead(config, settings, stop))
}

async fn lead(
    config: Config,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let journal = Arc::new(Journal::open(settings.state_dir.as_deref()));
    let mut registry = Registry::default();
    let metrics = Arc::new(ControllerMetrics::new(&mut registry));
    let clock = Monotonic::start();
    let fence = Fence::closed(clock);
    let observer: client::Observer = {
        let metrics = metrics.clone();
        Arc::new(move |call| match call {
            Call::Writes { verb } => metrics.api_write(verb),
            Call::Ended { verb, status, took } => metrics.api_call(verb, status, took),
        })
    };
    let campaigner = client::build(config.clone(), observer.clone(), None);
    let actor = client::build(config, observer, Some(fence.clone()));
    let campaigner = campaigner.map_err(StartError::Client)?;
    let actor = actor.map_err(StartError::Client)?;

    let (role_sender, role) = watch::channel(Role::Unknown);
    let pulse = Pulse::default();
    let health = Arc::new(Health::new(role.clone(), pulse.clone(), clock));
    let address = settings.admin_address;
    let listener = http::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })?;

    let candidate = Candidate::new(
        campaigner,
        (&settings.lease_namespace, &settings.lease_name),
        settings.identity.clone(),
        settings.terms,
        clock,
        fence.clone(),
    );
    let looked_after = match settings.namespaces.as_slice() {
        [] => ALL_NAMESPACES.to_owned(),
        named => named.join(","),
    };
    let candidate = candidate.annotated(ANNOTATION_NAMESPACES, looked_after);
    // Acting ends before the campaign does, so that nobody else begins in between.
    let campaign_over = CancellationToken::new();
    let leader = Leader {
        client: actor,
        fence,
        metrics,
        clock,
        health: health.clone(),
        journal,
        settings,
    };
    let campaign = candidate.campaign(role_sender, pulse, campaign_over.clone());
    let act = async {
        tokio::select! {
            () = leader.act_while_leading(role) => {}
            () = stop.cancelled() => info!("stopping"),
        }
        leader.metrics.leads(false);
        campaign_over.cancel();
    };
    tokio::select! {
        _ = async { tokio::join!(campaign, act) } => {}
        served = http::serve(listener, health, registry) => {
            error!(?served, "the admin port closed");
        }
    }
    Ok(())
}

/// What acting needs, whether or not we lead.
struct Leader {
    client: Client,
    fence: Fence,
    metrics: Arc<ControllerMetrics>,
    clock: Monotonic,
    health: Arc<Health>,
    journal: Arc<Journal>,
    settings: Settings,
}

impl Leader {
    /// Acts whenever we lead. Returns when the campaign is over.
    async fn act_while_leading(&self, mut role: watch::Receiver<Role>) {
        loop {
            let leads = *role.borrow_and_update() == Role::Leading;
            self.metrics.leads(leads);
            if leads {
                // Dropping `lead` ends every watch and every reconcile at once.
                tokio::select! {
                    () = self.lead() => error!("the watches ended"),
                    changed = role.wait_for(|role| *role != Role::Leading) => {
                        if changed.is_err() { return; }
                    }
                }
                self.health.stopped();
                self.metrics.forget_all();
            } else if role.changed().await.is_err() {
                return;
            }
        }
    }

    /// Watches and reconciles until dropped.
    async fn lead(&self) {
        let all = Scope::each(&self.settings.namespaces);
        let concurrency = CONCURRENCY.div_ceil(u16::try_from(all.len()).unwrap_or(u16::MAX));
        let (scopes, inlets): (Vec<Arc<Scope>>, Vec<Inlets>) = all
            .into_iter()
            .map(|(scope, inlets)| (Arc::new(scope), inlets))
            .unzip();
        let memory = Memory {
            fleets: Arc::default(),
            lag: Arc::new(LagReader::with(self.journal.clone())),
            pace: Arc::default(),
            metrics: self.metrics.clone(),
        };
        let announcer = Announcer::new(
            self.client.clone(),
            CONTROLLER,
            self.settings.identity.clone(),
        );
        self.health
            .lists(scopes.iter().map(ToString::to_string).collect());
        let mut looked_after: FuturesUnordered<_> = scopes
            .iter()
            .zip(inlets)
            .map(|(scope, inlets)| {
                self.look_after(scope, inlets, &memory, announcer.clone(), concurrency)
            })
            .collect();
        tokio::select! {
            _ = looked_after.next() => {}
            () = scopes::hand_out(memory.lag.wakes(), &scopes) => {}
            () = sweep(&memory, &scopes) => {}
        }
    }

    /// The same for one scope.
    async fn look_after(
        &self,
        scope: &Scope,
        inlets: Inlets,
        memory: &Memory,
        announcer: Announcer,
        concurrency: u16,
    ) {
        let Ok(Watches {
            caches,
            tasks: _watching,
        }) = watches::start(&self.client, scope).await
        else {
            return;
        };
        let context = Arc::new(Context {
            client: self.client.clone(),
            fence: self.fence.clone(),
            caches,
            fleets: memory.fleets.clone(),
            lag: memory.lag.clone(),
            announcer: announcer.clone(),
            pace: memory.pace.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock,
            token_hosts: self.settings.token_hosts.clone(),
            settings: self.settings.children.clone(),
        });
        let replays = replays::look_after(replays::Context {
            namespace: scope.namespace.clone(),
            client: self.client.clone(),
            consumers: scope.consumers.clone(),
            announcer,
            metrics: self.metrics.clone(),
            settings: self.settings.children.clone(),
        });
        // Whatever becomes of them, fleets go on.
        let replays = async {
            replays.await;
            std::future::pending::<()>().await;
        };
        let gone = {
            let memory = memory.clone();
            move |key| memory.forget(&key)
        };
        let resources = watches::consumers(&self.client, scope, inlets.writer, gone);
        let config = controller::Config::default()
            .concurrency(concurrency)
            .debounce(DEBOUNCE);
        let runs = Controller::for_stream(resources, scope.consumers.clone())
            .with_config(config)
            .reconcile_on(watches::references(inlets.wakes))
            .run(
                reconcile::reconcile,
                |_, never, _| -> Action { match *never {} },
                context,
            )
            .for_each(|run| async move {
                if let Err(error) = run {
                    // A resource that went while it waited for its turn is told here as well.
                    debug!(error = %chain(&error), "not reconciled");
                }
            });
        let listed = async {
            if scope.consumers.wait_until_ready().await.is_ok() {
                self.health.listed(&scope.to_string());
                info!(%scope, consumers = scope.consumers.len(), "watching");
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = runs => {}
            () = listed => {}
            () = replays => {}
        }
    }
}

/// What is remembered of fleets, whatever their namespace.
#[derive(Clone)]
struct Memory {
    fleets: Arc<Fleets>,
    lag: Arc<LagReader<FleetKey>>,
    pace: Arc<Pace>,
    metrics: Arc<ControllerMetrics>,
}

impl Memory {
    /// Nothing is asked or told any more of a fleet that is gone.
    fn forget(&self, key: &FleetKey) {
        self.fleets.forget(key);
        self.lag.unregister(key);
        self.metrics.forget(&key.to_string());
    }
}

/// Counts, and forgets what a watch did not say goodbye to.
async fn sweep(memory: &Memory, scopes: &[Arc<Scope>]) {
    let mut ticks = tokio::time::interval(SWEEP);
    let mut before = Sampling::default();
    loop {
        ticks.tick().await;
        let exists = |key: &FleetKey| scopes.iter().any(|scope| scope.shows(key));
        for key in memory.fleets.retain(exists) {
            memory.forget(&key);
        }
        let watched = scopes.iter().map(|scope| scope.consumers.len()).sum();
        memory.metrics.watches(watched);
        let numbers = memory.lag.numbers();
        let now = Sampling {
            clients: numbers.clusters,
            fleets: numbers.fleets,
            requests: numbers.requests,
            failures: numbers.failures,
            rounds: numbers.rounds,
            rounds_took: numbers.rounds_took,
            oldest: numbers.oldest,
        };
        memory.metrics.sampling(&now, &before);
        before = now;
    }
}
