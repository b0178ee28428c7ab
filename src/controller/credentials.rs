//! Values of Secrets that the controller's own connections to Kafka need. In memory only, never
//! printed; every other Secret is known by its keys and its hash.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use k8s_openapi::api::core::v1::Secret;

use crate::fleet::{Fleet, SecretValue};
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

    /// What the fleet's connections need.
    ///
    /// # Errors
    /// In words, if a value is not known or makes no sense.
    pub fn security(&self, fleet: &Fleet) -> Result<Security, String> {
        Security::load(&fleet.security, |path: &Path| {
            let file = fleet
                .security_files
                .iter()
                .find(|file| file.path() == path)
                .ok_or("no field names it")?;
            let value = self.0.get(&file.value());
            value.cloned().ok_or("its Secret could not be read yet")
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
