//! How Kafka is reached: by flags, or as a KafkaConsumer in the cluster or in a file says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use kube::ResourceExt;

use super::bootstrap::{self, Bootstrap, BootstrapParser};
use super::cluster::{Cluster, ClusterArgs};
use super::credentials;
use super::validate::read;
use crate::api::{KafkaConsumer, Span};
use crate::clock::Monotonic;
use crate::fleet::choose;
use crate::kafka::admin::{Admin, Error};
use crate::kafka::client_config;
use crate::kafka::security::Security;
use crate::redrive::reach::{Reach, leave_out_members_only};
use crate::redrive::words::{self, Words};
use crate::yaml;

/// Which Kafka, and which KafkaConsumer if there is one.
#[derive(Args, Clone, Debug)]
pub struct ConnectionArgs {
    /// A KafkaConsumer of the cluster, or with -f of the file
    pub name: Option<String>,
    /// A file with the KafkaConsumer, instead of the cluster; - is standard input
    #[arg(long = "file", short = 'f', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Brokers to begin with: host:port, several with commas; default are the KafkaConsumer's
    #[arg(
        long,
        alias = "bootstrap-servers",
        env = bootstrap::VARIABLE,
        value_name = "HOST:PORT",
        value_parser = BootstrapParser
    )]
    pub bootstrap: Option<Bootstrap>,
    /// A property for librdkafka, such as security.protocol=SSL; can be given several times
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = pair)]
    pub properties: Vec<(String, String)>,
    /// How long to wait for the brokers
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub timeout: Span,
    /// Where the KafkaConsumer is.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Kafka, and the KafkaConsumer if one was named.
pub(super) struct Connection {
    pub bootstrap: String,
    pub properties: BTreeMap<String, String>,
    pub timeout: Duration,
    pub consumer: Option<KafkaConsumer>,
    /// Where all of this was said.
    pub words: Words,
    /// As the KafkaConsumer's Secrets have it; nothing where flags say it, as properties.
    pub security: Security,
    /// The environment names other brokers than the KafkaConsumer.
    elsewhere: Option<Elsewhere>,
}

struct Elsewhere {
    of: String,
    theirs: String,
    ours: String,
}

impl ConnectionArgs {
    /// Finds the KafkaConsumer and what it says of Kafka; Kafka is not asked yet.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub(super) async fn resolve(&self) -> anyhow::Result<Connection> {
        match (&self.file, &self.name) {
            (Some(file), name) => {
                let consumer = in_file(file, name.as_deref())?;
                let kafka = &consumer.spec.kafka;
                if (kafka.tls.is_some() || kafka.sasl.is_some()) && !self.says_how() {
                    bail!(
                        "spec.kafka names Secrets, and a file has none; name the KafkaConsumer of the cluster without -f, or say with --property how to connect"
                    );
                }
                self.of(Some(consumer), Security::default())
            }
            (None, Some(name)) => {
                let cluster = Cluster::connect(&self.cluster).await?;
                let consumer = cluster.consumer(name).await?;
                self.to(&cluster, consumer).await
            }
            (None, None) => self.of(None, Security::default()),
        }
    }

    /// As [`ConnectionArgs::resolve`], for a KafkaConsumer of the cluster that was found already.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub(super) async fn to(
        &self,
        cluster: &Cluster,
        consumer: KafkaConsumer,
    ) -> anyhow::Result<Connection> {
        let security = self.secrets(cluster, &consumer).await?;
        self.of(Some(consumer), security)
    }

    /// As many KafkaConsumers are asked about, each at its own brokers: what the environment names is one Kafka, and
    /// theirs may be several. It is left aside, which is said; what the command names counts for all of them.
    pub(super) fn of_many(&self) -> Self {
        let mut args = self.clone();
        let from_environment = |bootstrap: &mut Bootstrap| bootstrap.from_environment;
        if args.bootstrap.take_if(from_environment).is_some() {
            eprintln!(
                "drover: {} is left aside: of many KafkaConsumers each is asked about at its own brokers; --bootstrap names brokers for all of them",
                bootstrap::VARIABLE
            );
        }
        args
    }

    /// Neither Kafka nor a KafkaConsumer is named.
    pub(super) fn names_nothing(&self) -> bool {
        self.name.is_none() && self.file.is_none() && self.bootstrap.is_none()
    }

    /// Flags say how to encrypt or who we are.
    fn says_how(&self) -> bool {
        let about = ["security.", "sasl.", "ssl."];
        let mut names = self.properties.iter().map(|(name, _)| name);
        names.any(|name| about.iter().any(|prefix| name.starts_with(prefix)))
    }

    /// What the KafkaConsumer's Secrets say of the connection; nothing where it is said by flags.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub(super) async fn secrets(
        &self,
        cluster: &Cluster,
        consumer: &KafkaConsumer,
    ) -> anyhow::Result<Security> {
        if self.says_how() {
            return Ok(Security::default());
        }
        credentials::security(cluster, consumer).await
    }

    /// As [`ConnectionArgs::resolve`], for a KafkaConsumer that was found already, with what its Secrets say.
    ///
    /// # Errors
    /// If neither names brokers.
    pub(super) fn of(
        &self,
        consumer: Option<KafkaConsumer>,
        security: Security,
    ) -> anyhow::Result<Connection> {
        let kafka = consumer.as_ref().map(|consumer| &consumer.spec.kafka);
        let theirs = kafka.map(|kafka| kafka.bootstrap_servers.clone());
        let elsewhere = consumer.as_ref().and_then(|it| self.elsewhere(it));
        let named = self.bootstrap.as_ref();
        let named = named.map(|named| named.servers.clone());
        let bootstrap = named.or(theirs).ok_or_else(|| {
            anyhow!("no Kafka is named; name a KafkaConsumer, give a file with -f, or brokers with --bootstrap")
        })?;
        let mut words = words::FLAGS;
        if kafka.is_some() {
            words = words::FLAGS_AND_CONSUMER;
            match &self.bootstrap {
                Some(named) if named.from_environment => words.bootstrap = bootstrap::VARIABLE,
                Some(_) => words.bootstrap = words::FLAGS.bootstrap,
                None => {}
            }
            if !self.properties.is_empty() {
                words.property = words::FLAGS.property;
            }
        }
        let mut properties = kafka
            .map(|kafka| kafka.properties.clone())
            .unwrap_or_default();
        // Its group is the workers'; nothing here is a member of it.
        leave_out_members_only(&mut properties);
        properties.extend(self.properties.iter().cloned());
        Ok(Connection {
            bootstrap,
            properties,
            timeout: self.timeout.0,
            consumer,
            words,
            security,
            elsewhere,
        })
    }

    /// That the environment names other brokers than a KafkaConsumer of the cluster does: it may have been set for
    /// something else, long ago.
    fn elsewhere(&self, consumer: &KafkaConsumer) -> Option<Elsewhere> {
        let named = self.bootstrap.as_ref();
        let named = named.filter(|named| named.from_environment && self.file.is_none())?;
        let theirs = &consumer.spec.kafka.bootstrap_servers;
        (named.servers != *theirs).then(|| Elsewhere {
            of: consumer.name_any(),
            theirs: theirs.clone(),
            ours: named.servers.clone(),
        })
    }
}

/// Between two questions to coordinators that are moving.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// What brokers' logs call us.
const CLIENT_ID: &str = "drover-cli";

impl Connection {
    /// Says so where the environment names other brokers than the KafkaConsumer.
    pub fn said_where(self) -> Self {
        if let Some(Elsewhere { of, theirs, ours }) = &self.elsewhere {
            eprintln!(
                "drover: {} names {ours}: {of} is looked at there, and not at its own brokers, {theirs}",
                bootstrap::VARIABLE
            );
        }
        self
    }

    /// Before something is written or deleted: it happens at the KafkaConsumer's own brokers, or at those that the
    /// command itself names, and not where the environment happens to lead.
    ///
    /// # Errors
    /// If the environment names others.
    pub fn is_meant(&self) -> anyhow::Result<()> {
        match &self.elsewhere {
            None => Ok(()),
            Some(Elsewhere { of, theirs, ours }) => bail!(
                "nothing was done: the brokers of {of} are {theirs}, and {variable} names {ours}; add --bootstrap {ours} if those lead to the same Kafka, or unset {variable}",
                variable = bootstrap::VARIABLE
            ),
        }
    }

    /// A client for questions.
    ///
    /// # Errors
    /// If librdkafka refuses a property.
    pub fn admin(&self) -> anyhow::Result<Admin> {
        let Words {
            bootstrap,
            property,
            ..
        } = self.words;
        Admin::secured(&self.bootstrap, &self.properties, &self.security)
            .map(Admin::ending_when_refused)
            .map_err(|error| anyhow!("{error}; check {bootstrap} and {property}"))
    }

    /// For clients of other kinds.
    pub fn kafka(&self) -> client_config::Connection<'_> {
        client_config::Connection {
            bootstrap_servers: &self.bootstrap,
            client_id: CLIENT_ID,
            properties: &self.properties,
            security: &self.security,
        }
    }

    /// For replays, and the KafkaConsumer if one was named.
    pub fn reach(self) -> (Reach, Option<KafkaConsumer>) {
        let reach = Reach {
            bootstrap: self.bootstrap,
            properties: self.properties,
            security: self.security,
            client_id: CLIENT_ID,
            timeout: self.timeout,
            words: self.words,
        };
        (reach, self.consumer)
    }

    /// Asks a group's coordinator, and again for as long as coordinators are moving, as they do for a moment after a
    /// broker has started.
    ///
    /// # Errors
    /// The last answer's, when the time-out is over.
    pub async fn ask<T>(
        &self,
        question: impl AsyncFn(Duration) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let began = Monotonic::start();
        loop {
            let left = self.timeout.saturating_sub(began.elapsed());
            match question(left).await {
                Err(Error::Moved | Error::Later(_)) if left > ASK_AGAIN => {}
                answer => return answer,
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// What went wrong while `what` was done, and what to do.
    pub fn explain(&self, what: &str, error: &Error) -> anyhow::Error {
        let address = &self.bootstrap;
        let Words {
            bootstrap,
            property,
            ..
        } = self.words;
        match error {
            Error::Unreachable(_) => {
                let other = match bootstrap == words::FLAGS_AND_CONSUMER.bootstrap {
                    true => ", or name with --bootstrap what leads to them",
                    false => "",
                };
                anyhow!(
                    "{what}: {error}; check {bootstrap} {address} and that the brokers run and can be reached from here{other}"
                )
            }
            Error::NotAuthorized(denial) => anyhow!(
                "{what}: {error}; {}, or other credentials with {property}",
                denial.remedy()
            ),
            Error::Config(_) => anyhow!("{error}; check {property}"),
            error => anyhow!("{what} at {address}: {error}"),
        }
    }
}

/// The consumer group, as `fleet::validate` completes it.
pub(super) fn group_id(consumer: &KafkaConsumer) -> String {
    let namespace = consumer.namespace().unwrap_or_else(|| "default".to_owned());
    let theirs = consumer.spec.group_id.clone();
    theirs.unwrap_or_else(|| format!("{namespace}.{}", consumer.name_any()))
}

/// The KafkaConsumer of a file, by its name where there are several.
fn in_file(file: &Path, name: Option<&str>) -> anyhow::Result<KafkaConsumer> {
    let shown = file.display();
    let documents = yaml::documents(&read(file)?);
    let values = documents.iter();
    let values: Vec<_> = values
        .map(|document| (document.line, document.value.clone()))
        .collect();
    let place = |line, field: &str| yaml::place(&documents, line, field);
    choose(&values, &shown.to_string(), name, &place).map_err(|why| anyhow!(why))
}

/// `NAME=VALUE`.
///
/// # Errors
/// In words for clap.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests;
