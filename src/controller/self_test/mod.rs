//! Shows that an installation works: a fleet of its own wakes from zero for one record, hands it to a handler in
//! this process, commits it, and goes again. `helm test` runs it.

mod kafka;
mod listener;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::api::{self, KafkaConsumer};
use crate::clock;
use kafka::Kafka;
use listener::Listener;

/// How often the fleet is looked at.
const POLL: Duration = Duration::from_millis(500);

/// What is tried.
pub struct Settings {
    /// Where the fleet is made; a controller must look after it.
    pub namespace: String,
    /// The fleet's `spec.kafka`, as JSON.
    pub kafka: String,
    /// An existing topic; none to make one, and take it away in the end.
    pub topic: Option<String>,
    /// This process, as pods reach it.
    pub address: SocketAddr,
    /// How long each step may take.
    pub patience: Duration,
}

/// Tries it until `stop`, and takes away what it made, however that ends. `say` is told of each step that worked.
///
/// # Errors
/// The first step that did not work, with what the fleet's status says of it; or what could not be taken away.
pub async fn run(
    client: Client,
    settings: &Settings,
    stop: CancellationToken,
    say: impl Fn(&str) + Sync,
) -> anyhow::Result<()> {
    let trial = Trial::prepare(client, settings).await?;
    let outcome = stop.run_until_cancelled(trial.run(&say)).await;
    let outcome = outcome.unwrap_or_else(|| Err(anyhow!("told to stop")));
    let cleaned = trial.clean_up().await;
    if let (Err(_), Err(left)) = (&outcome, &cleaned) {
        warn!(
            error = format!("{left:#}"),
            "not everything that was made could be taken away"
        );
    }
    outcome?;
    cleaned.context("it worked, but not everything that was made for it could be taken away")?;
    say("the fleet, and what was made for it, is gone");
    Ok(())
}

struct Trial<'a> {
    settings: &'a Settings,
    fleets: Api<KafkaConsumer>,
    fleet: KafkaConsumer,
    /// Also the fleet's and its group's.
    name: String,
    topic: String,
    kafka: Kafka,
    listener: Listener,
}

impl<'a> Trial<'a> {
    async fn prepare(client: Client, settings: &'a Settings) -> anyhow::Result<Self> {
        let spec: api::Kafka = serde_json::from_str(&settings.kafka).with_context(|| {
            "read the brokers to test with (of the chart: test.kafka), which must be as spec.kafka of a KafkaConsumer"
        })?;
        // Of no other that runs at the same time, and of none that was cut off.
        let name = format!("drover-self-test-{:x}", clock::now().as_microsecond());
        let topic = settings.topic.clone().unwrap_or_else(|| name.clone());
        let listener = Listener::start(settings.address.port(), name.clone())
            .await
            .with_context(|| format!("listen at port {}", settings.address.port()))?;
        let fleet: KafkaConsumer = serde_json::from_value(json!({
            "apiVersion": "drover.dev/v1alpha1",
            "kind": "KafkaConsumer",
            "metadata": { "name": name, "namespace": settings.namespace },
            "spec": {
                "kafka": spec,
                "topics": [topic],
                // Of a topic that others use, only what comes from now on.
                "startAt": "Latest",
                "handler": { "http": { "url": format!("http://{}/", settings.address) } },
                "scaling": { "minReplicas": 0, "maxReplicas": 1 },
            },
        }))?;
        let kafka = Kafka::reach(&client, &fleet, settings.patience).await?;
        Ok(Self {
            settings,
            fleets: Api::namespaced(client, &settings.namespace),
            fleet,
            name,
            topic,
            kafka,
            listener,
        })
    }

    async fn run(&self, say: &impl Fn(&str)) -> anyhow::Result<()> {
        if self.settings.topic.is_none() {
            self.kafka.topics.create(&self.topic, Some(1)).await?;
        }
        say(&format!("Kafka answers; the topic is {}", self.topic));
        self.fleets
            .create(&PostParams::default(), &self.fleet)
            .await
            .with_context(|| {
                format!(
                    "create KafkaConsumer {}/{}",
                    self.settings.namespace, self.name
                )
            })?;
        self.until(
            "the controller to make the fleet and read its lag",
            |fleet| {
                let told = fleet.status.as_ref();
                told.is_some_and(|told| told.lag == Some(0) && told.replicas == Some(0))
            },
        )
        .await?;
        say("the controller made a fleet, which waits at zero pods");
        let before = self.kafka.committed().await?;
        self.kafka.write(&self.topic, &self.name).await?;
        let handled = self.listener.handled();
        if tokio::time::timeout(self.settings.patience, handled)
            .await
            .is_err()
        {
            bail!(self.late("a pod to start and hand the record over").await);
        }
        say("a pod started for one record, and handed it over");
        let deadline = self.deadline();
        while self.kafka.committed().await? <= before {
            if tokio::time::Instant::now() > deadline {
                bail!(self.late("the record to be committed").await);
            }
            tokio::time::sleep(POLL).await;
        }
        say("its offset is committed");
        Ok(())
    }

    fn deadline(&self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.settings.patience
    }

    /// Waits until the fleet is so.
    async fn until(&self, what: &str, is: impl Fn(&KafkaConsumer) -> bool) -> anyhow::Result<()> {
        let deadline = self.deadline();
        while tokio::time::Instant::now() < deadline {
            let fleet = self.fleets.get(&self.name).await;
            if is(&fleet.with_context(|| format!("read KafkaConsumer {}", self.name))?) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!(self.late(what).await)
    }

    /// What to say of what did not come in time: what status says.
    async fn late(&self, what: &str) -> String {
        let waited = self.settings.patience.as_secs();
        let status = self.fleets.get(&self.name).await.map(|fleet| fleet.status);
        let told: Vec<String> = match status {
            Ok(Some(status)) => status
                .conditions
                .iter()
                .map(|told| {
                    format!(
                        "{}={} ({}): {}",
                        told.type_, told.status, told.reason, told.message
                    )
                })
                .collect(),
            Ok(None) => vec![format!(
                "no controller has said anything of it: is one running, and does it look after namespace {}?",
                self.settings.namespace
            )],
            Err(error) => vec![error.to_string()],
        };
        format!(
            "waited {waited} s for {what}, in vain; of {}: {}",
            self.name,
            told.join("; ")
        )
    }

    /// The fleet first, with its pods: a group that has members cannot be forgotten.
    async fn clean_up(&self) -> anyhow::Result<()> {
        let (name, namespace) = (&self.name, &self.settings.namespace);
        match self.fleets.delete(name, &DeleteParams::foreground()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => {
                let left = format!("delete KafkaConsumer {name} in {namespace} by hand");
                return Err(anyhow::Error::from(error).context(left));
            }
        }
        let deadline = self.deadline();
        while self.fleets.get_opt(name).await?.is_some() {
            if tokio::time::Instant::now() > deadline {
                bail!(
                    "KafkaConsumer {name} in {namespace} was deleted, and its pods are still there"
                );
            }
            tokio::time::sleep(POLL).await;
        }
        let group = self.kafka.topics.delete_group(&self.kafka.group).await;
        if self.settings.topic.is_none() {
            self.kafka.topics.delete(&self.topic).await?;
        }
        Ok(group?)
    }
}
