//! What a KafkaConsumer's connection to Kafka needs, from the Secrets that it names.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{anyhow, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};

use super::cluster::Cluster;
use crate::api::KafkaConsumer;
use crate::fleet::{References, SecretValue, references, validate};
use crate::k8s::chain;
use crate::kafka::security::Security;

/// Nothing is asked where the KafkaConsumer names no Secret.
///
/// # Errors
/// In one line with its remedy, if a Secret may not be read, is not there, or makes no sense.
pub(super) async fn security(
    cluster: &Cluster,
    consumer: &KafkaConsumer,
) -> anyhow::Result<Security> {
    let kafka = &consumer.spec.kafka;
    if kafka.tls.is_none() && kafka.sasl.is_none() {
        return Ok(Security::default());
    }
    let fleet = validate(consumer, &References::default()).map_err(|problems| {
        let first = problems.first().map(|problem| problem.message.clone());
        anyhow!(
            "KafkaConsumer {}: {}",
            consumer.name_any(),
            first.unwrap_or_default()
        )
    })?;
    let namespace = consumer.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &namespace);
    let mut values: BTreeMap<SecretValue, Vec<u8>> = BTreeMap::new();
    for SecretValue { secret, key } in references(consumer).credentials {
        let found = secrets.get_opt(&secret).await.map_err(|error| {
            anyhow!("read Secret {secret}, which spec.kafka names: {}; use credentials that may, or give --bootstrap and --property", chain(&error))
        })?;
        let value = found
            .and_then(|found| found.data?.remove(&key))
            .map(|value| value.0);
        let Some(value) = value else {
            bail!(
                "Secret {secret} in namespace {namespace} has no key {key}, which spec.kafka names; add it, or correct the name"
            );
        };
        values.insert(SecretValue { secret, key }, value);
    }
    Security::load(&fleet.security, |path: &Path| {
        let mut files = fleet.security_files.iter();
        let file = files.find(|file| file.path() == path);
        let value = file.and_then(|file| values.get(&file.value()));
        value.cloned().ok_or("no Secret is named for it")
    })
    .map_err(|error| anyhow!(error))
}
