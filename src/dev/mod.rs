//! `drover dev`: a worker on a developer's machine, from the same YAML, without a cluster.
//!
//! The very same worker runs: engine, delivery, dead letters. Around it: the settings that the
//! controller would write (`setup`), Secrets from files and the environment (`secrets`), a Kafka in
//! this process if one is wanted, an onlooker who tells what happens (`news`), and an eye on the file.

mod eye;
mod news;
mod secrets;
mod setup;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::StartAt;
use crate::kafka::admin::Admin;
use crate::kafka::security::Security;
use crate::kafka::{self, Embedded};
use crate::lag::{self, Need, Source, Start};
use crate::telemetry::log;
use crate::worker::onlooker::Onlooker;
use crate::worker::{self, HANDLER_PATIENCE, Options};
use crate::worker_config;
use eye::{Eye, Seen};
use news::{Encrypts, Reporter, place_of};
pub use news::{News, Summary};
use secrets::Folder;
pub use secrets::Given;
use setup::Setup;

/// While coordinators are moving they are asked again after this, so many times.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const ASKED_AGAIN: u32 = 60;
/// How long brokers on loopback may take to say whether they are embedded ones; what is wrong with them is told later.
const RECOGNISED: Duration = Duration::from_secs(3);
/// How long Kafka may take to say which topics it has.
const ASK: Duration = Duration::from_secs(10);

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The YAML with the KafkaConsumer.
    pub file: PathBuf,
    /// Which one, where the file has several.
    pub name: Option<String>,
    /// The brokers.
    pub kafka: Kafka,
    /// Another handler than the YAML's.
    pub handler: Option<Handler>,
    /// Another consumer group than the YAML's with `.dev.USER`.
    pub group: Option<String>,
    /// Who develops, as part of the group's name.
    pub user: String,
    /// Files with Secrets.
    pub secrets: Vec<PathBuf>,
    /// Further properties for librdkafka; they win over the YAML's.
    pub properties: Vec<(String, String)>,
    /// The idempotency store is this process's memory, whatever the YAML says.
    pub memory_store: bool,
    /// Values of records are told.
    pub values: bool,
}

/// Which brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kafka {
    /// These.
    Brokers(String),
    /// One in this process, whose topics have so many partitions.
    Embedded(i32),
    /// The embedded one of another `drover dev`.
    EmbeddedElsewhere(String),
}

impl Kafka {
    /// Whoever names brokers may mean the embedded ones of another process, which need the same patience as one's own.
    async fn recognised(self) -> Self {
        let Self::Brokers(servers) = self else {
            return self;
        };
        let asked = servers.clone();
        let look = tokio::task::spawn_blocking(move || kafka::is_embedded_at(&asked, RECOGNISED));
        match look.await {
            Ok(true) => Self::EmbeddedElsewhere(servers),
            Ok(false) | Err(_) => Self::Brokers(servers),
        }
    }

    /// It is librdkafka's mock.
    fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded(_) | Self::EmbeddedElsewhere(_))
    }
}

/// A handler on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handler {
    /// Records are POSTed here.
    Url(String),
    /// A command for the shell, spoken to by lines of JSON.
    Command(String),
}

/// Told of everything that happens; from the worker's thread as well, so it must not take long.
pub type Teller = Arc<dyn Fn(&News) + Send + Sync>;

/// Begins logging to standard error.
pub fn begin_log(filter: &str) {
    // A second time changes nothing.
    let _ = log::init(log::Format::Text, filter);
}

/// Runs a worker until `stop`, anew whenever the file changes, and says what it has done.
///
/// # Errors
/// In one line with its remedy: the file is wrong, a Secret is not given, Kafka refuses.
pub async fn run(plan: &Plan, tell: Teller, stop: &CancellationToken) -> Result<Summary, String> {
    let plan = &Plan {
        kafka: plan.kafka.clone().recognised().await,
        ..plan.clone()
    };
    let embedded = match plan.kafka {
        Kafka::Embedded(_) => Some(
            Embedded::start().map_err(|error| format!("start a Kafka in this process: {error}"))?,
        ),
        Kafka::Brokers(_) | Kafka::EmbeddedElsewhere(_) => None,
    };
    let servers = match (&embedded, &plan.kafka) {
        (Some(embedded), _) => embedded.servers().to_owned(),
        (None, Kafka::Brokers(servers) | Kafka::EmbeddedElsewhere(servers)) => servers.clone(),
        (None, Kafka::Embedded(_)) => unreachable!("it was started"),
    };
    secrets::sweep();
    let mut eye = Eye::on(&plan.file);
    let folder = Folder::default();
    let mut setup = Setup::read(plan, &servers, &folder)?;
    let reporter = Arc::new(Reporter::new(Arc::clone(&tell), plan.values));
    loop {
        make_ready(plan, &setup, embedded.as_ref(), &tell).await?;
        reporter.expect(&setup.config);
        tell(&News::Begins {
            consumer: setup.config.consumer.clone(),
            brokers: servers.clone(),
            embedded: embedded.is_some(),
            topics: setup.config.topics.clone(),
            group: setup.config.group_id.clone(),
            handler: match &plan.handler {
                // Whoever has written it reads this.
                Some(Handler::Command(command)) => command.clone(),
                Some(Handler::Url(_)) | None => match &setup.config.handler {
                    worker_config::Handler::Exec(exec) => exec.command.join(" "),
                    http @ worker_config::Handler::Http(_) => http.to_string(),
                },
            },
            dead_letters: setup.dead_letters().map(str::to_owned),
            encrypts: setup.config.encryption.as_ref().map(|written| Encrypts {
                file: plan.file.display().to_string(),
                secrets: plan
                    .secrets
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect(),
                pointer: written.pointer.clone(),
            }),
        });
        let running = Running::begin(&setup, plan.kafka.is_embedded(), &reporter);
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            next = changed(&mut eye, plan, &servers, &folder, &tell) => Some(next),
            ended = running.ended() => return Err(ended),
        };
        tell(&News::Draining {
            to_reload: next.is_some(),
        });
        running.end().await?;
        match next {
            Some(next) => setup = next,
            None => return Ok(reporter.summary()),
        }
    }
}

/// The next setup: the file has changed, and says something that can be run. One that cannot be
/// is told, and what runs goes on.
async fn changed(
    eye: &mut Eye,
    plan: &Plan,
    servers: &str,
    folder: &Folder,
    tell: &Teller,
) -> Setup {
    loop {
        let file = || plan.file.display().to_string();
        match eye.change().await {
            Seen::Gone => tell(&News::FileGone { file: file() }),
            Seen::AsBefore => tell(&News::FileAsBefore { file: file() }),
            Seen::Changed => match Setup::read(plan, servers, folder) {
                Ok(setup) => {
                    eye.runs_it();
                    return setup;
                }
                Err(problem) => tell(&News::NotReloaded { problem }),
            },
        }
    }
}

/// What the controller would have done before the first pod.
async fn make_ready(
    plan: &Plan,
    setup: &Setup,
    embedded: Option<&Embedded>,
    tell: &Teller,
) -> Result<(), String> {
    let config = &setup.config;
    if let (Some(embedded), Kafka::Embedded(partitions)) = (embedded, &plan.kafka) {
        for topic in config.topics.iter().chain(&config.dead_letter_topic) {
            let created = embedded.create_topic(topic, *partitions);
            created.map_err(|error| {
                format!("create topic {topic} with {partitions} partitions: {error}")
            })?;
        }
        // Its groups begin at the beginning, where everything is new.
        return Ok(());
    }
    let security = Security::load(&config.security, |path| std::fs::read(path))?;
    let source = Source {
        bootstrap_servers: config.bootstrap_servers.clone(),
        properties: config.properties.clone(),
        security,
    };
    let explained = |error: lag::Error| {
        let remedy = match &error {
            lag::Error::NotAuthorized(denial) => {
                format!("{}, or other credentials with --property", denial.remedy())
            }
            _ => "check --brokers, --property and that the topics exist".to_owned(),
        };
        format!(
            "begin group {} at {}: {error}; {remedy}",
            config.group_id, config.bootstrap_servers
        )
    };
    let admin = Admin::secured(
        &source.bootstrap_servers,
        &source.properties,
        &source.security,
    )
    .map_err(explained)?;
    let need = Need {
        source,
        topics: config.topics.clone(),
        group_id: config.group_id.clone(),
        dead_letter_topic: None,
        own_consumer: false,
    };
    match first_offsets(&admin, &need, setup.start_at).await {
        Ok(Start::Written(offsets)) => tell(&News::GroupBegins {
            group: config.group_id.clone(),
            offsets: offsets
                .into_iter()
                .map(|(partition, offset)| (place_of(&partition), offset.0))
                .collect(),
        }),
        Ok(Start::Resumes | Start::Restored(_) | Start::HasMembers(_)) => {}
        Err(lag::Error::Missing) => return Err(missing(&admin, plan, config).await),
        Err(error) => return Err(explained(error)),
    }
    Ok(())
}

/// Which topics are not there.
async fn missing(admin: &Admin, plan: &Plan, config: &worker_config::WorkerConfig) -> String {
    let topics: BTreeSet<_> = config.topics.iter().cloned().collect();
    let found = admin.partitions(&topics, ASK).await.unwrap_or_default();
    let missing = found.into_iter().filter(|(_, found)| found.is_err());
    let missing: Vec<_> = missing.map(|(topic, _)| topic).collect();
    let names = match missing.is_empty() {
        true => config.topics.join(", "),
        false => missing.join(", "),
    };
    format!(
        "{names} does not exist at {}; create it there (drover produce --create does), or correct spec.topics in {}",
        config.bootstrap_servers,
        plan.file.display()
    )
}

/// For a moment after a broker has started, and longer where it is its first group, coordinators are moving.
async fn first_offsets(admin: &Admin, need: &Need, start_at: StartAt) -> Result<Start, lag::Error> {
    let (last, none) = (BTreeMap::new(), BTreeSet::new());
    let ask = || lag::initial_offsets(admin, need, (start_at, &none), &last, &|| true);
    for _ in 0..ASKED_AGAIN {
        match ask().await {
            Err(lag::Error::Moved | lag::Error::Later(_)) => tokio::time::sleep(ASK_AGAIN).await,
            start => return start,
        }
    }
    ask().await
}

/// A worker in a thread of its own, as in a pod.
struct Running {
    shutdown: CancellationToken,
    thread: std::sync::Mutex<Option<JoinHandle<Result<(), worker::Error>>>>,
    over: CancellationToken,
}

impl Running {
    fn begin(setup: &Setup, mock_kafka: bool, reporter: &Arc<Reporter>) -> Self {
        let (shutdown, over) = (CancellationToken::new(), CancellationToken::new());
        let config = setup.config.clone();
        let options = Options {
            pod: setup.pod.clone(),
            is_static: false,
            admin: None,
            handler_patience: HANDLER_PATIENCE,
            journal: None,
            mock_kafka,
        };
        let reporter = Arc::clone(reporter);
        let (told, ends) = (shutdown.clone(), over.clone().drop_guard());
        let thread = tokio::task::spawn_blocking(move || {
            let _ends = ends;
            let onlooker = Onlooker::new(move |sight| reporter.see(sight));
            worker::run_before(&config, &options, told, Some(onlooker))
        });
        Self {
            shutdown,
            thread: std::sync::Mutex::new(Some(thread)),
            over,
        }
    }

    /// It has ended without having been asked to: why.
    async fn ended(&self) -> String {
        self.over.cancelled().await;
        match self.join().await {
            Ok(()) => "the worker has ended by itself".to_owned(),
            Err(why) => why,
        }
    }

    /// Drains, commits and leaves.
    async fn end(&self) -> Result<(), String> {
        self.shutdown.cancel();
        self.join().await
    }

    async fn join(&self) -> Result<(), String> {
        let thread = self.thread.lock().ok().and_then(|mut held| held.take());
        let Some(thread) = thread else {
            return Ok(());
        };
        match thread.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                let source = source.map(|source| format!(": {source}"));
                Err(format!("{error}{}", source.unwrap_or_default()))
            }
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}
