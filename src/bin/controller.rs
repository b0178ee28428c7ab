//! `drover-controller`: reads flags, begins logging, runs until it is told to stop.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use drover::controller::{self, Settings, self_test};
use drover::k8s::lease::Terms;
use drover::resources;
use drover::telemetry::http::everywhere;
use drover::telemetry::log;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What the API server and Kafka answer is read into many small pieces, over and over.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where probes ask and metrics are read, unless it is said otherwise.
const ADMIN_PORT: u16 = 9090;

/// Keeps fleets of Kafka consumers as their KafkaConsumer resources say.
#[derive(Parser)]
#[command(name = "drover-controller", version, subcommand_negates_reqs = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Look after these namespaces only, with commas between them. Default: all.
    #[arg(long, env = "DROVER_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// The namespace of the Lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "drover-system")]
    lease_namespace: String,
    /// The name of the Lease.
    #[arg(long, env = "DROVER_LEASE", default_value = "drover-controller")]
    lease_name: String,
    /// How long others wait for a leader that is silent, in seconds; two thirds of it after its
    /// last good renewal a leader stops acting.
    #[arg(long, env = "DROVER_LEASE_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(3..=300))]
    lease_seconds: u64,
    /// Who this process is; no two controllers may have the same.
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,
    /// The image with drover-worker.
    #[arg(long, env = "DROVER_WORKER_IMAGE", required = true)]
    worker_image: Option<String>,
    /// Its pull policy: Always, IfNotPresent or Never. Default: Kubernetes' own.
    #[arg(long, env = "DROVER_WORKER_IMAGE_PULL_POLICY")]
    worker_image_pull_policy: Option<String>,
    /// Leave it to the platform as whom workers run, as OpenShift wants it. Default: as the user of that image, by its number.
    #[arg(long, env = "DROVER_WORKER_USER_BY_PLATFORM")]
    worker_user_by_platform: bool,
    /// Where /livez, /readyz and /metrics answer.
    #[arg(long, env = "DROVER_ADMIN_ADDRESS", default_value_t = everywhere(ADMIN_PORT))]
    admin_address: SocketAddr,
    /// Fetch OAuth tokens for the controller's own connections from these hosts only, with commas between them.
    /// Default: any, but the controller's own pod.
    #[arg(long, env = "DROVER_TOKEN_HOSTS", value_delimiter = ',')]
    token_hosts: Vec<String>,
    /// A folder that outlives this process, for which brokers it asks: one that starts after a crash leaves alone for a
    /// while who was asked then. Default: nothing is kept.
    #[arg(long, env = "DROVER_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// What is logged, such as info or drover=debug.
    #[arg(long, env = "DROVER_LOG", default_value = "info")]
    log: String,
    /// How log lines look.
    #[arg(long, env = "DROVER_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: log::Format,
}

#[derive(Subcommand)]
enum Command {
    /// Show that an installation works: a fleet of its own wakes for one record, hands it over, commits it, and
    /// is taken away again. For helm test.
    SelfTest(SelfTest),
}

#[derive(clap::Args)]
struct SelfTest {
    /// Where the fleet is made.
    #[arg(long, env = "DROVER_SELF_TEST_NAMESPACE")]
    namespace: String,
    /// Which brokers, as JSON: spec.kafka of a KafkaConsumer.
    #[arg(long, env = "DROVER_SELF_TEST_KAFKA")]
    kafka: String,
    /// An existing topic. Default: one is made, and deleted in the end.
    #[arg(long, env = "DROVER_SELF_TEST_TOPIC")]
    topic: Option<String>,
    /// The address of this process, as pods reach it.
    #[arg(long, env = "POD_IP")]
    host: IpAddr,
    /// The port of its handler.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// How long each step may take, in seconds.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(5..=3600))]
    patience: u64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    controller::begin();
    let args = Args::parse();
    // kube's own client logs every call that fails; what matters of it is told once elsewhere.
    let filter = format!("{},kube_client::client::builder=off", args.log);
    log::init(args.log_format, &filter).context("begin logging")?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let config = kube::Config::infer()
        .await
        .context("find the Kubernetes API (in a pod, or by KUBECONFIG)")?;
    let stop = CancellationToken::new();
    let signalled = stop.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let signals = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        signalled.cancel();
        std::future::pending::<()>().await;
    };
    match args.command {
        Some(Command::SelfTest(args)) => try_out(config, args, stop, signals).await,
        None => tokio::select! {
            ended = controller::run(config, settings(args), stop) => Ok(ended?),
            () = signals => Ok(()),
        },
    }
}

/// What is written goes to whoever reads the logs of `helm test`.
async fn try_out(
    config: kube::Config,
    args: SelfTest,
    stop: CancellationToken,
    signals: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let settings = self_test::Settings {
        namespace: args.namespace,
        kafka: args.kafka,
        topic: args.topic.filter(|topic| !topic.is_empty()),
        address: SocketAddr::new(args.host, args.port),
        patience: Duration::from_secs(args.patience),
    };
    let client = kube::Client::try_from(config).context("make a Kubernetes client")?;
    let say = |step: &str| println!("ok: {step}");
    tokio::select! {
        outcome = self_test::run(client, &settings, stop, say) => outcome,
        () = signals => Ok(()),
    }
}

fn settings(args: Args) -> Settings {
    let duration = Duration::from_secs(args.lease_seconds);
    Settings {
        namespaces: named(args.namespaces),
        lease_namespace: args.lease_namespace,
        lease_name: args.lease_name,
        terms: Terms {
            duration,
            renew_deadline: duration * 2 / 3,
            retry: duration * 2 / 15,
        },
        identity: args.identity.unwrap_or_else(local_identity),
        admin_address: args.admin_address,
        token_hosts: named(args.token_hosts),
        state_dir: args.state_dir,
        children: resources::Settings {
            // Without it the arguments were refused.
            worker_image: args.worker_image.unwrap_or_default(),
            image_pull_policy: args.worker_image_pull_policy,
            user_by_platform: args.worker_user_by_platform,
        },
    }
}

/// Each once, and no empty name, which an empty variable or a comma at the end leaves.
fn named(names: Vec<String>) -> Vec<String> {
    let names = names.iter().map(|name| name.trim().to_owned());
    let names: BTreeSet<String> = names.filter(|name| !name.is_empty()).collect();
    names.into_iter().collect()
}

/// Outside of a pod: a name that no other process on this machine has.
fn local_identity() -> String {
    format!("local-{}", std::process::id())
}
