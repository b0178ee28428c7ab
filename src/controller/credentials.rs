//! Values of Secrets that the controller's own connections to Kafka need. In memory only, never
//! printed; every other Secret is known by its keys and its hash.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use k8s_openapi::api::core::v1::Secret;

use super::error::Error;
use crate::fleet::{Fleet, SecretValue};
use crate::kafka::oauth::Grant;
use crate::kafka::security::Security;

/// Values by Secret and key.
#[derive(Default)]
pub struct Credentials(BTreeMap<SecretValue, Vec<u8>>);

impl Credentials {
    /// Takes what is `wanted` of a Secret.
    pub fn take(&mut self, name: &str, secret: &Secret, wanted: &BTreeSet<SecretValue>) {
        let data = secret.data.iter().flatten();
        for (key, value) in data {
            let place = SecretValue {
                secret: name.to_owned(),
                key: key.clone(),
            };
            if wanted.contains(&place) {
                self.0.insert(place, value.0.clone());
            }
        }
    }

    /// Keeps what was known `before` of a Secret that cannot be read now.
    pub fn keep(&mut self, name: &str, before: &Self) {
        let kept = before.0.iter().filter(|(place, _)| place.secret == name);
        self.0
            .extend(kept.map(|(place, value)| (place.clone(), value.clone())));
    }

    /// What the fleet's connections need; with tokens only of `token_hosts`, if there are any.
    ///
    /// # Errors
    /// In words, if a value is not known or makes no sense, or tokens would come from elsewhere.
    pub fn security(&self, fleet: &Fleet, token_hosts: &[String]) -> Result<Security, Error> {
        let security = Security::load(&fleet.security, |path: &Path| {
            let file = fleet
                .security_files
                .iter()
                .find(|file| file.path() == path)
                .ok_or("no field names it")?;
            let value = self.0.get(&file.value());
            value.cloned().ok_or("its Secret could not be read yet")
        })
        .map_err(Error::Credentials)?;
        if let Some(grant) = security.grant() {
            may_ask(grant, token_hosts).map_err(Error::TokenHost)?;
        }
        Ok(security)
    }
}

/// Whoever edits a KafkaConsumer names where tokens come from, and the controller goes there from where it stands. To
/// what listens in its own pod for itself alone, such as a sidecar, it goes only if it is told to.
fn may_ask(grant: &Grant, hosts: &[String]) -> Result<(), String> {
    let host = grant.host().unwrap_or_default();
    if hosts.is_empty() {
        if grant.is_to_ourselves() {
            return Err(format!(
                "spec.kafka.sasl.oauth.tokenEndpoint names {host}, which is the controller's own pod for the controller; name an address that both it and workers reach"
            ));
        }
        return Ok(());
    }
    if hosts.iter().any(|may| may.eq_ignore_ascii_case(&host)) {
        return Ok(());
    }
    Err(format!(
        "spec.kafka.sasl.oauth.tokenEndpoint names {host}, and this controller fetches tokens only from {}; name one of these, or have {host} added to controller.tokenHosts of its chart",
        hosts.join(", ")
    ))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
