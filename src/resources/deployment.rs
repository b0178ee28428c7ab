//! The Deployment that runs the pods.

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Settings;
use super::labels::{child_meta, selector};
use super::pod_template::pod_template;
use crate::fleet::Fleet;

pub(super) fn deployment(fleet: &Fleet, settings: &Settings) -> Deployment {
    Deployment {
        metadata: child_meta(fleet),
        spec: DeploymentSpec {
            // Size is the scale subresource's; see `Desired::deployment_for_create`.
            replicas: None,
            selector: LabelSelector {
                match_labels: Some(selector(&fleet.name)),
                ..LabelSelector::default()
            },
            // All new pods first, then all old ones go. The group rebalances about twice (the new
            // ones join together, the old ones drain and leave together) instead of once per pod,
            // and capacity never falls below the size that was decided.
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::String("100%".to_owned())),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            // Enough to see what changed and to undo it by hand.
            revision_history_limit: Some(3),
            template: pod_template(fleet, settings),
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}
