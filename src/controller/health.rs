//! What the probes are told.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Monotonic;
use crate::k8s::lease::{Pulse, Role};
use crate::telemetry::http::Probes;

/// A campaign that has not come round for this long hangs; a restart helps.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// What the probes are told.
pub struct Health {
    role: watch::Receiver<Role>,
    pulse: Pulse,
    clock: Monotonic,
    /// Whose watches a leader still waits for; none while nobody leads here.
    unlisted: Mutex<Option<BTreeSet<String>>>,
}

impl Health {
    /// Nothing is listed yet.
    pub fn new(role: watch::Receiver<Role>, pulse: Pulse, clock: Monotonic) -> Self {
        Self {
            role,
            pulse,
            clock,
            unlisted: Mutex::default(),
        }
    }

    /// A leader's watches begin to be listed, of so many scopes.
    pub fn lists(&self, scopes: BTreeSet<String>) {
        *self.unlisted() = Some(scopes);
    }

    /// One of them is listed.
    pub fn listed(&self, scope: &str) {
        if let Some(unlisted) = self.unlisted().as_mut() {
            unlisted.remove(scope);
        }
    }

    /// The watches ended.
    pub fn stopped(&self) {
        *self.unlisted() = None;
    }

    fn unlisted(&self) -> MutexGuard<'_, Option<BTreeSet<String>>> {
        self.unlisted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probes for Health {
    fn live(&self) -> Result<(), String> {
        let silent_for = self.clock.elapsed().saturating_sub(self.pulse.last());
        if silent_for > HANGS_AFTER {
            return Err(format!(
                "the lease was not looked at for {} s",
                silent_for.as_secs()
            ));
        }
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        match *self.role.borrow() {
            Role::Unknown => {
                Err("waiting for: leadership (the lease cannot be read or renewed)".to_owned())
            }
            Role::Following { .. } => Ok(()),
            Role::Leading => match self.unlisted().as_ref() {
                None => Err("waiting for: watches (they have not begun)".to_owned()),
                Some(unlisted) if unlisted.is_empty() => Ok(()),
                Some(unlisted) => {
                    let scopes: Vec<&str> = unlisted.iter().map(String::as_str).collect();
                    Err(format!(
                        "waiting for: watches (not everything is listed yet: {})",
                        scopes.join(", ")
                    ))
                }
            },
        }
    }
}
