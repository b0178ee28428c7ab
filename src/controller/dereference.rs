//! All reading of a reconcile: what the resource refers to, and what is there already.
//!
//! A missing reference is data, not an error; one that cannot be read keeps what was known of it,
//! so that a hiccup of the API server neither fails a spec nor rolls its pods.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Resource, ResourceExt};
use tracing::warn;

use super::backoff::jittered;
use super::context::Context;
use super::credentials::Credentials;
use super::error::Error;
use super::fleets::{FleetKey, FleetMemory};
use super::status::Trouble;
use crate::api::KafkaConsumer;
use crate::api::names::is_object_name;
use crate::fleet::{self, Contents, Known, References};
use crate::k8s::apply::version_of;
use crate::k8s::chain;

/// How long a reference that was found is believed. A change of a Secret rolls the pods this late.
const FOUND_IS_BELIEVED: Duration = Duration::from_secs(60);
/// How long a reference that is missing is believed to be.
const MISSING_IS_BELIEVED: Duration = Duration::from_secs(10);

/// What looking up references has found, and until when that is believed.
#[derive(Debug, Default)]
pub struct Lookups {
    /// What was found; topics are not in here.
    pub found: References,
    /// The first that could not be read and of which nothing was known. Nothing is applied before it
    /// is: pods would be rolled for contents that are only unknown.
    pub unread: Option<Trouble>,
    /// What the fleet's connections to Kafka need.
    pub credentials: Credentials,
    generation: Option<i64>,
    /// When, on the monotonic clock.
    pub looked_up_at: Duration,
    /// On the monotonic clock; none where nothing is referred to.
    pub due_at: Option<Duration>,
}

/// The children and pods that the caches show.
pub struct Observed {
    /// The ServiceAccount.
    pub service_account: Option<Arc<ServiceAccount>>,
    /// The PodDisruptionBudget.
    pub pod_disruption_budget: Option<Arc<PodDisruptionBudget>>,
    /// The Deployment.
    pub deployment: Option<Arc<Deployment>>,
    /// The pods that carry the fleet's label.
    pub pods: Vec<Arc<Pod>>,
}

impl Observed {
    /// The children's resource versions, the Deployment's last; 0 for one that is not there.
    pub fn versions(&self) -> [u64; 3] {
        fn version<K: Resource>(child: Option<&Arc<K>>) -> u64 {
            child.map_or(0, |child| version_of(child.meta()))
        }
        [
            version(self.service_account.as_ref()),
            version(self.pod_disruption_budget.as_ref()),
            version(self.deployment.as_ref()),
        ]
    }
}

/// What the caches show of a fleet.
pub fn observe(context: &Context, key: &FleetKey) -> Observed {
    let caches = &context.caches;
    Observed {
        service_account: cached(&caches.service_accounts, key),
        pod_disruption_budget: cached(&caches.pod_disruption_budgets, key),
        deployment: cached(&caches.deployments, key),
        pods: caches.pods.of(key),
    }
}

/// Every child has its resource's name.
fn cached<K>(store: &Store<K>, key: &FleetKey) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(&key.name).within(&key.namespace))
}

/// Looks up the Secrets and ConfigMaps that the resource names, unless what was found before is
/// still believed. `kept_out`: Kafka does not let us in with what was found.
pub async fn look_up(
    context: &Context,
    consumer: &KafkaConsumer,
    memory: &mut FleetMemory,
    kept_out: bool,
) {
    let lookups = &mut memory.lookups;
    let now = context.clock.elapsed();
    if kept_out {
        // Whoever mends a Secret waits for that.
        let soon = lookups.looked_up_at + MISSING_IS_BELIEVED;
        lookups.due_at = lookups.due_at.map(|due_at| due_at.min(soon));
    }
    let same_spec = lookups.generation == consumer.metadata.generation;
    if same_spec && lookups.due_at.is_none_or(|due_at| now < due_at) {
        return;
    }
    let wanted = fleet::references(consumer);
    let namespace = consumer.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &namespace);
    let config_maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &namespace);
    let mut found = References::default();
    let mut credentials = Credentials::default();
    let mut unread = None;
    for name in wanted.secrets {
        // What can be no name leads nowhere, and above all not out of the namespace.
        if !is_object_name(&name) {
            found.secrets.insert(name, Known::Missing);
            continue;
        }
        let answer = secrets.get_opt(&name).await.map(|object| {
            object.map(|secret| {
                credentials.take(&name, &secret, &wanted.credentials);
                let data = secret.data.iter().flatten();
                Contents::of(data.map(|(key, value)| (key.as_str(), value.0.as_slice())))
            })
        });
        if answer.is_err() {
            credentials.keep(&name, &lookups.credentials);
        }
        let before = lookups.found.secrets.get(&name);
        let known = known(answer, before, "Secret", &name, &mut unread);
        found.secrets.insert(name, known);
    }
    for name in wanted.config_maps {
        if !is_object_name(&name) {
            found.config_maps.insert(name, Known::Missing);
            continue;
        }
        let answer = config_maps.get_opt(&name).await.map(|object| {
            object.map(|config_map| {
                let texts = config_map.data.iter().flatten();
                let binary = config_map.binary_data.iter().flatten();
                Contents::of(
                    texts
                        .map(|(key, value)| (key.as_str(), value.as_bytes()))
                        .chain(binary.map(|(key, value)| (key.as_str(), value.0.as_slice()))),
                )
            })
        });
        let before = lookups.found.config_maps.get(&name);
        let known = known(answer, before, "ConfigMap", &name, &mut unread);
        found.config_maps.insert(name, known);
    }
    lookups.generation = consumer.metadata.generation;
    lookups.due_at = match &unread {
        Some(_) => Some(now + memory.failures.wait(&memory.uid)),
        None => believed_for(&found).map(|belief| now + jittered(belief, &memory.uid)),
    };
    lookups.unread = unread;
    lookups.looked_up_at = now;
    lookups.found = found;
    lookups.credentials = credentials;
}

fn known(
    answer: Result<Option<Contents>, kube::Error>,
    before: Option<&Known<Contents>>,
    kind: &'static str,
    name: &str,
    unread: &mut Option<Trouble>,
) -> Known<Contents> {
    match answer {
        Ok(Some(contents)) => Known::Found(contents),
        Ok(None) => Known::Missing,
        Err(source) => {
            warn!(kind, name, error = %chain(&source), "cannot look up a reference");
            let known = before.cloned().unwrap_or_default();
            if known == Known::Unknown {
                let name = name.to_owned();
                let verb = "read";
                let error = Error::Api {
                    verb,
                    kind,
                    name,
                    source,
                };
                unread.get_or_insert_with(|| error.trouble());
            }
            known
        }
    }
}

fn believed_for(found: &References) -> Option<Duration> {
    let all: Vec<_> = found
        .secrets
        .values()
        .chain(found.config_maps.values())
        .collect();
    if all.is_empty() {
        None
    } else if all.iter().all(|known| matches!(known, Known::Found(_))) {
        Some(FOUND_IS_BELIEVED)
    } else {
        Some(MISSING_IS_BELIEVED)
    }
}

/// What was looked up, with what Kafka says of the topics.
pub fn references(memory: &FleetMemory, topics: BTreeMap<String, Known<u32>>) -> References {
    References {
        topics,
        ..memory.lookups.found.clone()
    }
}
