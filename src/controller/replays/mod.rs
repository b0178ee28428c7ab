//! Carries DeadLetterReplays out: a Job for each, and what becomes of it in status and events.
//!
//! `plan` says what the Job is to do, or why it cannot be; `progress` reads Job and pods; `status`
//! words it. All three are pure; `reconcile` asks and writes.

mod plan;
mod progress;
mod reconcile;
mod status;

use std::convert::Infallible;
use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tracing::{debug, warn};

use super::context::Guarded;
use crate::api::DeadLetterReplay;
use crate::api::names::{LABEL_REPLAY, MANAGED_BY};
use crate::k8s::chain;
use crate::k8s::events::Announcer;
use crate::resources::Settings;
use crate::telemetry::controller_metrics::ControllerMetrics;

/// A DeadLetterReplay, or what could be read of one that is malformed.
type Replay = DeserializeGuard<DeadLetterReplay>;

/// What a reconcile may touch.
pub(super) struct Context {
    /// Writes only while this process leads.
    pub client: Client,
    /// The KafkaConsumers that the watches show.
    pub consumers: Store<Guarded>,
    /// Events.
    pub announcer: Announcer,
    /// What came of them.
    pub metrics: Arc<ControllerMetrics>,
    /// What the installation decides for all Jobs.
    pub settings: Settings,
    /// The namespace that is looked after; none for all.
    pub namespace: Option<String>,
}

/// Watches and reconciles, in one namespace or in all, until dropped.
pub(super) async fn look_after(context: Context) {
    // Before that it would seem that there is none.
    if context.consumers.wait_until_ready().await.is_err() {
        return;
    }
    let (client, namespace) = (&context.client, context.namespace.as_deref());
    let of_ours = format!("app.kubernetes.io/managed-by={MANAGED_BY},{LABEL_REPLAY}");
    let jobs = watcher::Config::default().labels(&of_ours);
    // One at a time: of two of the same KafkaConsumer the second waits for the first.
    let one = controller::Config::default().concurrency(1);
    Controller::new(
        within::<Replay>(client, namespace),
        watcher::Config::default(),
    )
    .with_config(one)
    .owns(within::<Job>(client, namespace), jobs)
    .run(
        reconcile::reconcile,
        |_, never: &Infallible, _| -> Action { match *never {} },
        Arc::new(context),
    )
    .for_each(|run| async move {
        match run {
            Ok(_) => {}
            Err(controller::Error::QueueError(error)) => {
                warn!(error = %chain(&error), "watch of DeadLetterReplays and their Jobs interrupted; is the CRD deadletterreplays.drover.dev there?");
            }
            Err(error) => debug!(error = %chain(&error), "replay not reconciled"),
        }
    })
    .await;
}

fn within<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
