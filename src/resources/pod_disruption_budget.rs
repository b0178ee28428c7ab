//! How many pods may be evicted at once.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::{child_meta, selector};
use crate::fleet::Fleet;

pub(super) fn pod_disruption_budget(fleet: &Fleet) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: child_meta(fleet),
        spec: Some(PodDisruptionBudgetSpec {
            // A quarter, rounded up: a fleet of one never blocks a node's drain (its pod drains its
            // records first), and a large fleet goes in four steps, each one rebalance, instead of
            // one per pod, while three quarters of the capacity keep the promised delay.
            max_unavailable: Some(IntOrString::String("25%".to_owned())),
            selector: Some(LabelSelector {
                match_labels: Some(selector(&fleet.name)),
                ..LabelSelector::default()
            }),
            // A pod that is not ready does no work; a budget must not keep it on a broken node.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
