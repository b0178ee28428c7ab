//! Leadership by a `Lease`, with a deadline of our own.
//!
//! A leader that cannot renew stops acting before anyone else may begin: its deadline counts from
//! the *start* of its last good renewal on a clock that only goes forward, and is shorter than the
//! lease. Others judge the lease by when they saw it change, never by the holder's clock.
//! Losing the lease does not end the process: it campaigns again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::client::Fence;
use crate::clock::{self, Monotonic};

/// Tries to give back a lease that somebody else writes to.
const RELEASE_TRIES: usize = 3;

/// What this process is at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nobody is known to lead: the API server has not answered yet, or not for too long.
    Unknown,
    /// Someone else leads.
    Following {
        /// Its identity.
        leader: String,
    },
    /// We lead.
    Leading,
}

/// The times of a lease. `renew_deadline` must be shorter than `duration`, `retry` than both.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Others wait this long after the last renewal they saw. Whole seconds.
    pub duration: Duration,
    /// Without a good renewal for this long the leader stops acting.
    pub renew_deadline: Duration,
    /// Between two renewals, and between two tries.
    pub retry: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// When a campaign last came round, on its clock: one that hangs is worth a restart.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    last_ms: Arc<AtomicU64>,
}

impl Pulse {
    fn beat(&self, elapsed: Duration) {
        let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Release);
    }

    /// The last time.
    pub fn last(&self) -> Duration {
        Duration::from_millis(self.last_ms.load(Ordering::Acquire))
    }
}

/// Somebody who wants to lead.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    annotations: BTreeMap<String, String>,
    terms: Terms,
    clock: Monotonic,
    fence: Fence,
    seen: Option<Seen>,
    renewed_at: Option<Duration>,
    complained: bool,
}

/// The lease as it was when it last changed, and when that was on our clock.
struct Seen {
    lease: Lease,
    since: Duration,
}

impl Candidate {
    /// A candidate for the lease `namespace/name`. `fence` is open exactly while it leads, and was
    /// made with `clock`.
    pub fn new(
        client: Client,
        (namespace, name): (&str, &str),
        identity: String,
        terms: Terms,
        clock: Monotonic,
        fence: Fence,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity,
            annotations: BTreeMap::new(),
            terms,
            clock,
            fence,
            seen: None,
            renewed_at: None,
            complained: false,
        }
    }

    /// What the lease says of its holder while that is this one.
    pub fn annotated(mut self, name: &str, value: String) -> Self {
        self.annotations.insert(name.to_owned(), value);
        self
    }

    /// Campaigns until `stop`, telling `role` of every change. Gives the lease back at the end: the
    /// caller must have stopped acting before it cancels `stop`.
    pub async fn campaign(
        mut self,
        role: watch::Sender<Role>,
        pulse: Pulse,
        stop: CancellationToken,
    ) {
        while !stop.is_cancelled() {
            pulse.beat(self.clock.elapsed());
            let pause = tokio::select! {
                pause = self.try_once(&role) => pause,
                () = stop.cancelled() => break,
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => break,
            }
        }
        self.fence.close();
        role.send_if_modified(|role| became(role, Role::Unknown));
        self.release().await;
    }

    /// One try to get or renew; returns how long to wait before the next.
    async fn try_once(&mut self, role: &watch::Sender<Role>) -> Duration {
        let leading = *role.borrow() == Role::Leading;
        let now = self.clock.elapsed();
        // Half of the deadline, so that one call that hangs does not cost the lease.
        let patience = self.terms.renew_deadline / 2;
        let patience = if leading {
            patience.min(self.time_left())
        } else {
            patience
        };
        let outcome = timeout(patience, self.get_or_renew(now, leading)).await;
        let next = match outcome {
            Ok(Ok(next)) => {
                self.complained = false;
                next
            }
            Ok(Err(error)) => {
                self.complain(&super::chain(&error));
                self.after_failure(leading)
            }
            Err(_) => {
                self.complain("no answer in time");
                self.after_failure(leading)
            }
        };
        if next != Role::Leading {
            self.fence.close();
        }
        role.send_if_modified(|role| became(role, next.clone()));
        let left = self.time_left();
        if next == Role::Leading {
            self.terms.retry.min(left)
        } else {
            self.terms.retry
        }
    }

    /// Once for each outage.
    fn complain(&mut self, error: &str) {
        if !self.complained {
            warn!(
                lease = self.name,
                error, "cannot renew or read the lease; trying on"
            );
            self.complained = true;
        }
    }

    /// A leader stays one until its deadline; anybody else knows nothing.
    fn after_failure(&self, leading: bool) -> Role {
        if leading && !self.time_left().is_zero() {
            Role::Leading
        } else {
            Role::Unknown
        }
    }

    fn time_left(&self) -> Duration {
        self.renewed_at.map_or(Duration::ZERO, |at| {
            (at + self.terms.renew_deadline).saturating_sub(self.clock.elapsed())
        })
    }

    async fn get_or_renew(&mut self, began: Duration, leading: bool) -> Result<Role, kube::Error> {
        if leading && let Some(Seen { lease, .. }) = &self.seen {
            let renewal = self.renewed(lease.clone(), &self.identity);
            match self.replace(&renewal).await {
                // Somebody touched the lease: read whose it is now.
                Err(error) if is_conflict(&error) => {}
                // Somebody deleted it: who makes it anew leads, and that may have been another one.
                Err(error) if is_missing(&error) => {
                    self.fence.close();
                    self.renewed_at = None;
                    self.seen = None;
                }
                answer => return self.took(answer, began),
            }
        }
        let current = self.api.get_opt(&self.name).await?;
        let Some(current) = current else {
            if let Some(leader) = self.not_given_back() {
                return Ok(Role::Following { leader });
            }
            let answer = self.api.create(&PostParams::default(), &self.first()).await;
            return self.took(answer, began);
        };
        self.note(&current);
        let spec = current.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if holder != self.identity && !holder.is_empty() && !self.has_expired(&spec) {
            return Ok(Role::Following { leader: holder });
        }
        let answer = self.replace(&self.renewed(current, &holder)).await;
        self.took(answer, began)
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, kube::Error> {
        let params = PostParams::default();
        self.api.replace(&self.name, &params, lease).await
    }

    /// What follows from the answer to our write. A conflict means that somebody else was quicker:
    /// who it was, the next try will read.
    fn took(
        &mut self,
        answer: Result<Lease, kube::Error>,
        began: Duration,
    ) -> Result<Role, kube::Error> {
        match answer {
            Ok(lease) => {
                self.note(&lease);
                self.renewed_at = Some(began);
                self.fence.open_until(began + self.terms.renew_deadline);
                Ok(Role::Leading)
            }
            Err(error) if is_conflict(&error) => {
                self.renewed_at = None;
                Ok(Role::Unknown)
            }
            Err(error) => Err(error),
        }
    }

    /// Who held the lease when it was last seen, and may still act: one that is deleted was not given back.
    fn not_given_back(&self) -> Option<String> {
        let spec = self.seen.as_ref()?.lease.spec.as_ref()?;
        let holder = spec.holder_identity.as_ref().filter(|it| !it.is_empty())?;
        let acts = *holder != self.identity && !self.has_expired(spec);
        acts.then(|| holder.clone())
    }

    /// Remembers when the lease last changed, on our clock.
    fn note(&mut self, lease: &Lease) {
        let version = &lease.metadata.resource_version;
        let same = self
            .seen
            .as_ref()
            .is_some_and(|seen| seen.lease.metadata.resource_version == *version);
        if !same {
            self.seen = Some(Seen {
                lease: lease.clone(),
                since: self.clock.elapsed(),
            });
        }
    }

    fn has_expired(&self, spec: &LeaseSpec) -> bool {
        let seconds = spec.lease_duration_seconds.unwrap_or_default().max(0);
        let duration = Duration::from_secs(u64::from(seconds.unsigned_abs()));
        self.seen
            .as_ref()
            .is_some_and(|seen| self.clock.elapsed() > seen.since + duration)
    }

    fn first(&self) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                annotations: Some(self.annotations.clone()),
                ..Default::default()
            },
            spec: Some(self.spec(None, 0)),
        }
    }

    /// `lease` in our name; its resource version stays, so that only one of two writers succeeds.
    fn renewed(&self, mut lease: Lease, holder: &str) -> Lease {
        let annotations = lease.metadata.annotations.get_or_insert_default();
        annotations.extend(self.annotations.clone());
        let old = lease.spec.take().unwrap_or_default();
        let transitions = old.lease_transitions.unwrap_or_default();
        lease.spec = Some(if holder == self.identity {
            self.spec(old.acquire_time, transitions)
        } else {
            self.spec(None, transitions + 1)
        });
        lease
    }

    fn spec(&self, acquired: Option<MicroTime>, transitions: i32) -> LeaseSpec {
        let now = MicroTime(clock::now());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.terms.duration.as_secs()).ok(),
            acquire_time: acquired.or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..Default::default()
        }
    }

    /// Lets the next candidate begin at once. Only if the lease is still ours.
    async fn release(&mut self) {
        let Some(Seen { mut lease, .. }) = self.seen.take() else {
            return;
        };
        if self.renewed_at.is_none() {
            return;
        }
        for _ in 0..RELEASE_TRIES {
            let Some(spec) = lease.spec.as_mut().filter(|spec| self.holds(spec)) else {
                return;
            };
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            let error = match self.replace(&lease).await {
                Ok(_) => {
                    info!(lease = self.name, "lease released");
                    return;
                }
                Err(error) => error,
            };
            // A renewal that was under way when we were stopped has come through, or somebody touched it.
            let again = match is_conflict(&error) {
                true => self.api.get(&self.name).await,
                false => Err(error),
            };
            match again {
                Ok(newer) => lease = newer,
                Err(error) => {
                    warn!(lease = self.name, %error, "cannot release the lease");
                    return;
                }
            }
        }
        warn!(
            lease = self.name,
            "cannot release the lease: others write it all the time"
        );
    }

    fn holds(&self, spec: &LeaseSpec) -> bool {
        spec.holder_identity.as_deref() == Some(self.identity.as_str())
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn became(role: &mut Role, next: Role) -> bool {
    if *role == next {
        return false;
    }
    info!(from = ?role, to = ?next, "leadership changed");
    *role = next;
    true
}
