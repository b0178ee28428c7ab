//! From the YAML to what the worker is told, as the controller does it, for this machine.

use std::path::Path;

use super::secrets::{Folder, Given, in_documents};
use super::{Handler, Kafka, Plan};
use crate::api::StartAt;
use crate::fleet::{self, References, choose, validate};
use crate::resources;
use crate::worker::delivery::http::target::Target;
use crate::worker_config::security::Security;
use crate::worker_config::{GroupProtocol, HttpProtocol, OnExhausted, StoreKind, WorkerConfig};
use crate::yaml::{self, Document};

/// Marks that the store in memory keeps, where the YAML names another store.
const MARKS: u32 = 100_000;

/// A group of one, whose broker is in the same process, needs less patience; some, as a busy machine
/// may let neither run for seconds.
const SHORT_SESSION: [(&str, &str); 2] = [
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "500"),
];

/// What is run.
#[derive(Debug)]
pub(super) struct Setup {
    pub config: WorkerConfig,
    /// Where a new group begins.
    pub start_at: StartAt,
    /// What the worker is called to Kafka.
    pub pod: String,
}

impl Setup {
    /// What the plan's file says now, with brokers at `servers`; Secrets are laid into `folder`.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub fn read(plan: &Plan, servers: &str, folder: &Folder) -> Result<Self, String> {
        let read = documents(&plan.file)?;
        let shown = plan.file.display().to_string();
        let place = |line, field: &str| yaml::place(&read, line, field);
        let documents = values(&read);
        let consumer = choose(&documents, &shown, plan.name.as_deref(), &place)?;
        let mut fleet = validate(&consumer, &References::default()).map_err(|problems| {
            let first = problems.into_iter().next();
            let first = first.map_or_else(String::new, |problem| problem.message);
            format!("{shown}: {first}; see all with drover validate {shown}")
        })?;
        match &plan.handler {
            Some(Handler::Url(url)) => {
                Target::parse(url)?;
                fleet.handler = fleet::Handler::Url(url.clone());
                // They are the other handler's.
                if url.starts_with("https://") {
                    fleet.http.protocol = HttpProtocol::Http1;
                } else {
                    fleet.http.tls = None;
                }
            }
            Some(Handler::Command(command)) => {
                let is_exec = matches!(fleet.handler, fleet::Handler::Exec { .. });
                fleet.handler = fleet::Handler::Exec {
                    command: ["sh", "-c", command].map(str::to_owned).to_vec(),
                    processes: std::num::NonZeroU32::MIN,
                };
                if !is_exec {
                    // As many processes would be started.
                    fleet.delivery.concurrency = std::num::NonZeroU32::MIN;
                }
            }
            None => {}
        }
        let Some(mut config) = resources::worker_config(&fleet) else {
            let [brokers, group, topics] = fleet.consumer_environment();
            let own = format!(
                "{shown}: handler.consumer is a consumer of your own, which Drover only runs and scales"
            );
            let rest = format!("{}={} {}={}", group.0, group.1, topics.0, topics.1);
            return Err(match plan.kafka {
                Kafka::Brokers(_) | Kafka::EmbeddedElsewhere(_) => format!(
                    "{own}; start it yourself with {}={servers} {rest}, or give --handler or --exec",
                    brokers.0
                ),
                // What is embedded here ends with these words.
                Kafka::Embedded(_) => format!(
                    "{own}; start it yourself with {}=HOST:PORT {rest} at a Kafka that stays: a broker of your own, or the embedded one of a drover dev that goes on, as with --handler or --exec",
                    brokers.0
                ),
            });
        };
        config.bootstrap_servers = servers.to_owned();
        let group = || format!("{}.dev.{}", config.group_id, plan.user);
        config.group_id = plan.group.clone().unwrap_or_else(group);
        connect(plan, &mut config);
        if let Some(known) = config.idempotency.as_mut().filter(|_| plan.memory_store)
            && !matches!(known.store, StoreKind::Memory { .. })
        {
            known.store = StoreKind::Memory { max_entries: MARKS };
        }
        let mut given = in_documents(&documents)?;
        given.extend(Given::in_files(&plan.secrets)?);
        let config = folder.lay_out(config, &fleet.secret_files, &given)?;
        Ok(Self {
            config,
            start_at: fleet.start_at,
            pod: format!("{}-dev", fleet.name),
        })
    }

    /// Where records go that cannot be handled, if they do.
    pub fn dead_letters(&self) -> Option<&str> {
        let topic = self.config.dead_letter_topic.as_deref();
        topic.filter(|_| self.config.on_exhausted == OnExhausted::DeadLetter)
    }
}

/// How Kafka is reached: an embedded one in the clear, another as the YAML or the flags say.
fn connect(plan: &Plan, config: &mut WorkerConfig) {
    let about = |name: &str| {
        ["security.", "sasl.", "ssl."]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let said = plan.properties.iter().any(|(name, _)| about(name));
    if said || plan.kafka.is_embedded() {
        config.security = Security::default();
        config.properties.retain(|name, _| !about(name));
    }
    if plan.kafka.is_embedded() && config.group_protocol == GroupProtocol::Classic {
        // After a member has left, librdkafka's mock waits a session long, less a second, before it
        // takes the next: with a pod's 30 s, that long at each change of the file, and twice when a second
        // `drover dev` in the group ends.
        let short = SHORT_SESSION.map(|(name, value)| (name.to_owned(), value.to_owned()));
        config.properties.extend(short);
    }
    config.properties.extend(plan.properties.iter().cloned());
}

/// What each says, with the line on which it begins.
pub(super) fn values(documents: &[Document]) -> Vec<(usize, Result<serde_json::Value, String>)> {
    let documents = documents.iter();
    documents
        .map(|document| (document.line, document.value.clone()))
        .collect()
}

pub(super) fn documents(file: &Path) -> Result<Vec<Document>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let file = file.display();
        format!("read {file}: {error}; give a file of YAML or JSON")
    })?;
    Ok(yaml::documents(&text))
}
