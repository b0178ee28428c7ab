//! What a reconcile may touch.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Client;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;

use super::fleets::{FleetKey, Fleets};
use super::pace::Pace;
use super::pods::Pods;
use crate::api::KafkaConsumer;
use crate::clock::Monotonic;
use crate::k8s::client::Fence;
use crate::k8s::events::Announcer;
use crate::lag::LagReader;
use crate::resources;
use crate::telemetry::controller_metrics::ControllerMetrics;

/// A KafkaConsumer, or what could be read of one that is malformed.
pub type Guarded = DeserializeGuard<KafkaConsumer>;

/// What a reconcile may touch. Made anew whenever this process becomes the leader, so that nothing
/// that was remembered while somebody else may have acted is believed.
pub struct Context {
    /// Writes only while this process leads.
    pub client: Client,
    /// Whether this process leads; for what is not written through `client`.
    pub fence: Fence,
    /// What the watches show, of the namespaces that this context is for.
    pub caches: Caches,
    /// What is remembered of each fleet, in whatever namespace.
    pub fleets: Arc<Fleets>,
    /// Offsets, by fleet, in whatever namespace.
    pub lag: Arc<LagReader<FleetKey>>,
    /// Events.
    pub announcer: Announcer,
    /// Turns of numbers in statuses, of whatever namespace.
    pub pace: Arc<Pace>,
    /// Numbers about our own work.
    pub metrics: Arc<ControllerMetrics>,
    /// For what is not a date.
    pub clock: Monotonic,
    /// Hosts that OAuth tokens may be fetched from; none for any but our own pod.
    pub token_hosts: Vec<String>,
    /// What the installation decides for all children.
    pub settings: resources::Settings,
}

/// What the watches show; reads cost nothing.
pub struct Caches {
    /// Children.
    pub deployments: Store<Deployment>,
    /// Children.
    pub service_accounts: Store<ServiceAccount>,
    /// Children.
    pub pod_disruption_budgets: Store<PodDisruptionBudget>,
    /// Pods of the Deployments.
    pub pods: Pods,
}
