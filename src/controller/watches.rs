//! What is watched: the resources, their children, their pods. Every change of a child or pod wakes
//! the resource that it belongs to.

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::ObjectMeta;
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{Predicate, WatchStreamExt, predicates, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::warn;

use super::apply;
use super::context::{Caches, Guarded};
use super::fleets::FleetKey;
use super::pods::{Names, Pods};
use super::reconcile;
use super::scopes::Scope;
use crate::api::KafkaConsumer;
use crate::api::names::{ANNOTATION_SKIP, LABEL_CONSUMER, MANAGED_BY};
use crate::k8s::{chain, packed};

/// How a resource was when `kubectl apply` last wrote it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The watches of children and pods. They end with `tasks`.
pub struct Watches {
    /// What the watches show.
    pub caches: Caches,
    /// What keeps the caches up to date.
    pub tasks: JoinSet<()>,
}

/// Starts watching children and pods of a scope, and waits until all are listed. Each of their changes
/// wakes the resource that they belong to. The resources themselves are listed by [`consumers`].
pub async fn start(
    client: &Client,
    scope: &Scope,
) -> Result<Watches, reflector::store::WriterDropped> {
    let mut tasks = JoinSet::new();
    let wake = scope.wake.clone();
    let namespace = scope.namespace.as_deref();
    let scope = Reach { client, namespace };
    let names = Arc::new(Names::default());
    let noted = Arc::clone(&names);
    let pods = scope.cache(&mut tasks, &wake, slim_pod, move |event| noted.note(event));
    let caches = Caches {
        deployments: scope.cache(&mut tasks, &wake, slim_deployment, |_| {}),
        service_accounts: scope.cache(&mut tasks, &wake, unmanaged, |_| {}),
        pod_disruption_budgets: scope.cache(&mut tasks, &wake, unmanaged, |_| {}),
        pods: Pods::new(pods.clone(), names),
    };
    caches.deployments.wait_until_ready().await?;
    caches.service_accounts.wait_until_ready().await?;
    caches.pod_disruption_budgets.wait_until_ready().await?;
    pods.wait_until_ready().await?;
    Ok(Watches { caches, tasks })
}

/// The resources, once for each change of their spec or of what is to be skipped: what only status did is
/// no news.
/// `gone` is told of each that was deleted.
pub fn consumers<F: Fn(FleetKey) + Send + 'static>(
    client: &Client,
    scope: &Scope,
    writer: reflector::store::Writer<Guarded>,
    gone: F,
) -> impl Stream<Item = Result<Guarded, watcher::Error>> + Send + use<F> {
    let namespace = scope.namespace.as_deref();
    let scope = Reach { client, namespace };
    watcher(scope.api::<Guarded>(), watcher::Config::default())
        .default_backoff()
        .modify(slim_consumer)
        .reflect(writer)
        .inspect_ok(move |event| {
            if let watcher::Event::Delete(consumer) = event {
                gone(reconcile::key(consumer.meta()));
            }
        })
        .applied_objects()
        .predicate_filter(
            predicates::generation
                .combine(predicates::finalizers)
                .combine(skips),
            Default::default(),
        )
}

/// What of a resource's annotations is news: the generation does not count them.
fn skips(consumer: &Guarded) -> Option<u64> {
    let mut hasher = std::hash::DefaultHasher::new();
    consumer
        .annotations()
        .get(ANNOTATION_SKIP)?
        .hash(&mut hasher);
    Some(hasher.finish())
}

/// Where the API server is asked.
struct Reach<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
}

impl Reach<'_> {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    fn cache<K>(
        &self,
        tasks: &mut JoinSet<()>,
        wake: &mpsc::Sender<FleetKey>,
        slim: fn(&mut K),
        note: impl Fn(&watcher::Event<K>) + Send + 'static,
    ) -> Store<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let (store, writer) = reflector::store();
        let labels = format!("app.kubernetes.io/managed-by={MANAGED_BY},{LABEL_CONSUMER}");
        let changes = watcher(self.api::<K>(), watcher::Config::default().labels(&labels))
            .default_backoff()
            .modify(slim)
            .reflect(writer)
            .inspect_ok(note)
            .touched_objects();
        let namespace = self.namespace.unwrap_or_default().to_owned();
        tasks.spawn(forward(changes, wake.clone(), namespace));
        store
    }
}

async fn forward<K: Resource<DynamicType = ()>>(
    changes: impl Stream<Item = Result<K, watcher::Error>>,
    wake: mpsc::Sender<FleetKey>,
    namespace: String,
) {
    let mut changes = std::pin::pin!(changes);
    while let Some(change) = changes.next().await {
        match change {
            Ok(object) => {
                if let Some(key) = owner(object.meta())
                    && wake.send(key).await.is_err()
                {
                    return;
                }
            }
            Err(error) => {
                warn!(kind = %K::kind(&()), namespace, error = %chain(&error), "watch interrupted");
            }
        }
    }
}

/// The resource that an object with our labels belongs to.
pub fn owner(meta: &ObjectMeta) -> Option<FleetKey> {
    Some(FleetKey {
        namespace: meta.namespace.clone()?,
        name: meta.labels.as_ref()?.get(LABEL_CONSUMER)?.clone(),
    })
}

/// What the channel holds, as the runtime takes it.
pub fn references(
    wakes: mpsc::Receiver<FleetKey>,
) -> impl Stream<Item = ObjectRef<Guarded>> + Send {
    futures::stream::unfold(wakes, async |mut wakes| {
        let key = wakes.recv().await?;
        Some((reference(key), wakes))
    })
}

/// The reference that the runtime knows a resource by.
pub fn reference(key: FleetKey) -> ObjectRef<Guarded> {
    ObjectRef::new(&key.name).within(&key.namespace)
}

/// Nobody asks who set which field of a resource, nor how it was when kubectl applied it: each is as much
/// again as its spec. [`whole`] has its template.
fn slim_consumer(consumer: &mut Guarded) {
    consumer.managed_fields_mut().clear();
    consumer.annotations_mut().remove(LAST_APPLIED);
    let spec = consumer.0.as_mut().map(|consumer| &mut consumer.spec);
    if let Ok(Some(template)) = spec.map(|spec| &mut spec.template) {
        packed::pack_template(template);
    }
}

/// A resource of the cache with its template.
pub fn whole(consumer: &KafkaConsumer) -> Cow<'_, KafkaConsumer> {
    let packed = consumer.spec.template.as_ref();
    let Some(template) = packed.and_then(packed::unpacked) else {
        return Cow::Borrowed(consumer);
    };
    let mut consumer = consumer.clone();
    consumer.spec.template = Some(template);
    Cow::Owned(consumer)
}

/// Of all that managed fields say, only who holds the size is asked: a Deployment in the cache has the names
/// of those, without their fields. Its template is compared only when somebody has changed something.
fn slim_deployment(deployment: &mut Deployment) {
    packed::pack_template(&mut deployment.spec.template);
    let holders = std::mem::take(deployment.managed_fields_mut());
    *deployment.managed_fields_mut() = holders
        .into_iter()
        .filter(apply::holds_size)
        .map(|entry| ManagedFieldsEntry {
            manager: entry.manager,
            ..Default::default()
        })
        .collect();
}

/// Who set which field is asked of no other child; it is more than the rest of most.
fn unmanaged<K: Resource>(child: &mut K) {
    child.meta_mut().managed_fields = None;
}

/// Of a pod only its name, labels, cost, owners, node and status are asked.
fn slim_pod(pod: &mut Pod) {
    pod.managed_fields_mut().clear();
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        node_name: spec.node_name,
        ..Default::default()
    });
}
