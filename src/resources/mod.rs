//! From a [`Fleet`] to the child objects that carry it.
//!
//! Pure, and it cannot fail: what could be wrong was refused by `fleet::validate`. One file per
//! kind of object, the whole object visible in it.

mod amounts;
mod deployment;
mod journal;
mod labels;
mod own_consumer_pod;
mod pod_disruption_budget;
mod pod_template;
mod program;
mod replay_job;
mod secrets;
mod service_account;
mod socket;
mod worker_container;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use crate::fleet::Fleet;

pub use crate::fleet::worker_config;
pub use labels::{selector, selector_text};
pub use pod_template::pod_labels;
pub use replay_job::{Owner, dead_letters, replay_job};

/// What the installation decides, the same for every fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The image with `drover-worker`.
    pub worker_image: String,
    /// Its pull policy; none for Kubernetes' own default.
    pub image_pull_policy: Option<String>,
    /// Whoever admits pods says as whom they run, and refuses those that name somebody, as OpenShift does; else
    /// what runs these images names their user.
    pub user_by_platform: bool,
}

/// The children of a fleet, to be applied in the order of the fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The pods' identity, without any rights; none where the template names one, which may well have the fleet's name.
    pub service_account: Option<ServiceAccount>,
    /// How many pods may be evicted at once.
    pub pod_disruption_budget: PodDisruptionBudget,
    /// The pods, each with its worker's configuration. Without `replicas`: size is not shape, and two
    /// writers must not fight over it. Last, because a pod cannot be made before its account.
    pub deployment: Deployment,
}

impl Desired {
    /// The Deployment with its first size. Applied without `replicas`, a new one would start one
    /// pod at once; later applies leave `replicas` out and so give the field up to the scale
    /// subresource.
    pub fn deployment_for_create(&self, replicas: u32) -> Deployment {
        let mut deployment = self.deployment.clone();
        deployment.spec.replicas = Some(i32::try_from(replicas).unwrap_or(i32::MAX));
        deployment
    }
}

/// The children of `fleet`.
pub fn build(fleet: &Fleet, settings: &Settings) -> Desired {
    let pod = fleet.template.spec.as_ref();
    let brings_account = pod.is_some_and(pod_template::names_account);
    Desired {
        service_account: (!brings_account).then(|| service_account::service_account(fleet)),
        pod_disruption_budget: pod_disruption_budget::pod_disruption_budget(fleet),
        deployment: deployment::deployment(fleet, settings),
    }
}
