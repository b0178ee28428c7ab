//! The tested Kafka, reached with the same credentials as the fleet's pods.

use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};

use crate::api::KafkaConsumer;
use crate::controller::credentials::Credentials;
use crate::fleet::{self, Contents, Known, References};
use crate::kafka::admin::Admin;
use crate::kafka::client_config::{self, Connection};
use crate::kafka::producer::{Outgoing, Producer};
use crate::kafka::topics::Topics;

/// Clients of it.
pub struct Kafka {
    /// The fleet's consumer group.
    pub group: String,
    pub topics: Topics,
    admin: Admin,
    producer: Producer,
    timeout: Duration,
}

impl Kafka {
    /// What is wrong with the fleet's spec is told here, before anything is made.
    pub async fn reach(
        client: &Client,
        fleet: &KafkaConsumer,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        let namespace = fleet.namespace().unwrap_or_default();
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
        let wanted = fleet::references(fleet);
        let mut credentials = Credentials::default();
        let mut references = References::default();
        for name in wanted.secrets {
            let secret = secrets.get_opt(&name).await.with_context(|| {
                format!("read Secret {name} in {namespace} (of the chart: name it in test.secrets)")
            })?;
            let known = secret.map_or(Known::Missing, |secret| {
                credentials.take(&name, &secret, &wanted.credentials);
                let data = secret.data.iter().flatten();
                Known::Found(Contents::of(
                    data.map(|(key, value)| (key.as_str(), value.0.as_slice())),
                ))
            });
            references.secrets.insert(name, known);
        }
        let fleet = match fleet::validate(fleet, &references) {
            Ok(fleet) => fleet,
            Err(problems) => {
                let told: Vec<String> = problems.into_iter().map(|one| one.message).collect();
                bail!("{}", told.join("; "));
            }
        };
        let security = credentials.security(&fleet, &[])?;
        let connection = Connection {
            bootstrap_servers: &fleet.bootstrap_servers,
            client_id: "drover-self-test",
            properties: &fleet.properties,
            security: &security,
        };
        Ok(Self {
            topics: Topics::open(&connection, timeout)?,
            producer: Producer::new(&client_config::producer(&connection, timeout))?,
            admin: Admin::secured(&fleet.bootstrap_servers, &fleet.properties, &security)?,
            group: fleet.group_id,
            timeout,
        })
    }

    /// The sum of what the group has committed: one more for each record.
    pub async fn committed(&self) -> anyhow::Result<i64> {
        let read = self.admin.all_committed(&self.group, self.timeout).await;
        let mut sum = 0;
        for committed in read
            .context("read what the group has committed")?
            .into_values()
        {
            sum += committed?.offset.map_or(0, |offset| offset.0);
        }
        Ok(sum)
    }

    /// Writes one record, and waits until the brokers have it.
    pub async fn write(&self, topic: &str, value: &str) -> anyhow::Result<()> {
        let record = Outgoing {
            topic,
            value: Some(value.as_bytes()),
            ..Outgoing::default()
        };
        let written = self.producer.send(record).await;
        written.with_context(|| format!("write a record to topic {topic}"))
    }
}
