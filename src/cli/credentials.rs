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
        let wanted = SecretValue { secret, key };
        let value = value(found, &wanted, &namespace)?;
        values.insert(wanted, value);
    }
    Security::load(&fleet.security, |path: &Path| {
        let mut files = fleet.security_files.iter();
        let file = files.find(|file| file.path() == path);
        let value = file.and_then(|file| values.get(&file.value()));
        value.cloned().ok_or("no Secret is named for it")
    })
    .map_err(|error| anyhow!(error))
}

fn value(
    found: Option<Secret>,
    SecretValue { secret, key }: &SecretValue,
    namespace: &str,
) -> anyhow::Result<Vec<u8>> {
    let Some(found) = found else {
        bail!(
            "Secret {secret} in namespace {namespace}, which spec.kafka names, does not exist; create it, or correct the name"
        );
    };
    let value = found.data.and_then(|mut data| data.remove(key));
    let value = value.ok_or_else(|| {
        anyhow!(
            "Secret {secret} in namespace {namespace} has no key {key}, which spec.kafka names; add it, or correct the name"
        )
    })?;
    Ok(value.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_does_not_exist_is_told_apart_from_one_without_the_key() {
        let wanted = SecretValue {
            secret: "kafka-ca".to_owned(),
            key: "ca.crt".to_owned(),
        };
        let found = |secret| value(secret, &wanted, "shop").map_err(|error| error.to_string());
        let missing = found(None).unwrap_err();
        assert!(
            missing.contains(
                "Secret kafka-ca in namespace shop, which spec.kafka names, does not exist"
            ),
            "{missing}"
        );
        let empty = found(Some(Secret::default())).unwrap_err();
        assert!(empty.contains("has no key ca.crt"), "{empty}");
    }
}
