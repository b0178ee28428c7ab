//! What the probes are told.

use std::sync::atomic::{AtomicBool, Ordering};
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
    listed: AtomicBool,
}

impl Health {
    /// Nothing is listed yet.
    pub fn new(role: watch::Receiver<Role>, pulse: Pulse, clock: Monotonic) -> Self {
        Self {
            role,
            pulse,
            clock,
            listed: AtomicBool::new(false),
        }
    }

    /// The watches of a leader are listed, or are not any more.
    pub fn listed(&self, listed: bool) {
        self.listed.store(listed, Ordering::Release);
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
            Role::Leading if self.listed.load(Ordering::Acquire) => Ok(()),
            Role::Leading => Err("waiting for: watches (not everything is listed yet)".to_owned()),
        }
    }
}
