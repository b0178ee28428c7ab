//! The Job that carries a `DeadLetterReplay` out, in a pod like those of the fleet.
//!
//! Of the fleet's template it takes where the pod may run, as whom and with which resources, and its labels and
//! annotations; containers and volumes are the handler's business. Of the Secrets it has those for Kafka.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{
    Container, EnvVar, PodSpec, PodTemplateSpec, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::amounts::{amounts, counted, is_less, requests};
use super::pod_template::overlaid;
use super::worker_container::security_context;
use super::{Settings, pod_template, secrets};
use crate::api::names::{
    LABEL_CONSUMER, LABEL_DEAD_LETTERS, LABEL_REPLAY, LABEL_REPLAYED, MANAGED_BY, REPLAY_APP_NAME,
    WORKER_CONTAINER,
};
use crate::fleet::{Fleet, Handler, digest};
use crate::worker_config::replay::{
    ENV_REPLAY, FENCED, GIVEN_UP, INCOMPLETE, ReplayConfig, TOO_MANY_FAIL,
};

/// Attempts after the first; the wait before each is twice as long, from ten seconds on.
const RETRIES: i32 = 4;
/// A worker may do with less; what is read ahead here is not told how much there is.
const LEAST_MEMORY: &str = "256Mi";
/// What a pod that is told to go may take to commit.
const GRACE_SECONDS: i64 = 60;

/// Whose Job it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The DeadLetterReplay's name; also the Job's.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// The Job that does what `config` says with the dead letters of `fleet`.
pub fn replay_job(fleet: &Fleet, owner: &Owner, config: &ReplayConfig, settings: &Settings) -> Job {
    let labels = labels(fleet, owner);
    let pod_metadata = pod_metadata(fleet, labels.clone());
    let of_topic = [(LABEL_DEAD_LETTERS.to_owned(), dead_letters(config))];
    let labels = labels.into_iter().chain(of_topic).collect();
    Job {
        metadata: ObjectMeta {
            name: Some(owner.name.clone()),
            namespace: Some(fleet.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![OwnerReference {
                api_version: "drover.dev/v1alpha1".to_owned(),
                kind: "DeadLetterReplay".to_owned(),
                name: owner.name.clone(),
                uid: owner.uid.clone(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            backoff_limit: Some(RETRIES),
            pod_failure_policy: Some(failure_policy()),
            template: PodTemplateSpec {
                metadata: Some(pod_metadata),
                spec: Some(pod(fleet, config, settings)),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// What stands for brokers and dead-letter topic: the transactional id, by which a replay ends another, is the topic's.
pub fn dead_letters(config: &ReplayConfig) -> String {
    let mut brokers: Vec<&str> = config.bootstrap_servers.split(',').map(str::trim).collect();
    brokers.sort_unstable();
    digest([brokers.join(",").as_str(), &config.dead_letter_topic])
}

/// Not the fleet's: its Deployment, budget and network policy are not for these pods.
fn labels(fleet: &Fleet, owner: &Owner) -> BTreeMap<String, String> {
    [
        (LABEL_REPLAY, owner.name.as_str()),
        (LABEL_REPLAYED, fleet.name.as_str()),
        ("app.kubernetes.io/name", REPLAY_APP_NAME),
        ("app.kubernetes.io/instance", owner.name.as_str()),
        ("app.kubernetes.io/managed-by", MANAGED_BY),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The template's labels and annotations, by which a mesh or a policy knows what to do with a pod, and ours.
fn pod_metadata(fleet: &Fleet, ours: BTreeMap<String, String>) -> ObjectMeta {
    let written = fleet.template.metadata.clone().unwrap_or_default();
    let mut labels = written.labels.unwrap_or_default();
    // It would be counted as a pod of the fleet.
    labels.remove(LABEL_CONSUMER);
    ObjectMeta {
        labels: Some(overlaid(labels, Some(ours))),
        annotations: written.annotations,
        ..ObjectMeta::default()
    }
}

/// What is gained by no other attempt ends the Job; a pod that its node sends away counts as none.
fn failure_policy() -> PodFailurePolicy {
    PodFailurePolicy {
        rules: vec![
            PodFailurePolicyRule {
                action: "FailJob".to_owned(),
                on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
                    container_name: Some(WORKER_CONTAINER.to_owned()),
                    operator: "In".to_owned(),
                    values: [GIVEN_UP, TOO_MANY_FAIL, INCOMPLETE, FENCED]
                        .map(i32::from)
                        .to_vec(),
                }),
                on_pod_conditions: None,
            },
            PodFailurePolicyRule {
                action: "Ignore".to_owned(),
                on_exit_codes: None,
                on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                    type_: "DisruptionTarget".to_owned(),
                    status: Some("True".to_owned()),
                }]),
            },
        ],
    }
}

fn pod(fleet: &Fleet, config: &ReplayConfig, settings: &Settings) -> PodSpec {
    // Of the workers' Secrets it needs those of the connection.
    let fleet = &Fleet {
        secret_files: fleet.security_files.clone(),
        ..fleet.clone()
    };
    let written = fleet.template.spec.clone().unwrap_or_default();
    let like = pod_template::common(written, fleet);
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        containers: vec![container(fleet, config, settings)],
        volumes: secrets::volume(fleet).map(|volume| vec![volume]),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        enable_service_links: Some(false),
        service_account_name: like.service_account_name,
        service_account: like.service_account,
        automount_service_account_token: like.automount_service_account_token,
        security_context: like.security_context,
        image_pull_secrets: like.image_pull_secrets,
        node_selector: like.node_selector,
        tolerations: like.tolerations,
        affinity: like.affinity,
        priority_class_name: like.priority_class_name,
        runtime_class_name: like.runtime_class_name,
        dns_policy: like.dns_policy,
        dns_config: like.dns_config,
        host_aliases: like.host_aliases,
        ..PodSpec::default()
    }
}

fn container(fleet: &Fleet, config: &ReplayConfig, settings: &Settings) -> Container {
    let text = serde_json::to_string(config).expect("texts and numbers are always JSON");
    // To Kubernetes $(NAME) is a variable's value, and $$ a single $.
    let text = text.replace('$', r"\u0024");
    Container {
        name: WORKER_CONTAINER.to_owned(),
        image: Some(settings.worker_image.clone()),
        image_pull_policy: settings.image_pull_policy.clone(),
        args: Some(vec!["--replay".to_owned()]),
        env: Some(vec![EnvVar {
            name: ENV_REPLAY.to_owned(),
            value: Some(text),
            value_from: None,
        }]),
        volume_mounts: secrets::mount(fleet).map(|mount| vec![mount]),
        resources: Some(resources(fleet)),
        security_context: Some(security_context(Default::default(), settings)),
        ..Container::default()
    }
}

/// Our own, with what the template says of the container that consumes: what a namespace wants of that, it wants
/// of this.
fn resources(fleet: &Fleet) -> ResourceRequirements {
    let name = match &fleet.handler {
        Handler::Consumer { container } => container,
        _ => WORKER_CONTAINER,
    };
    let pod = fleet.template.spec.iter();
    let mut containers = pod.flat_map(|pod| &pod.containers);
    let consumes = containers.find(|container| container.name == name);
    let written = consumes.and_then(|container| container.resources.as_ref());
    let written = written.map(counted).unwrap_or_default();
    // Transactions hold 16 MiB; the rest is librdkafka's, which reads ahead.
    let mut limits = overlaid(amounts(&[("memory", "512Mi")]), written.limits);
    let least = Quantity(LEAST_MEMORY.to_owned());
    if let Some(limit) = limits.get_mut("memory")
        && is_less(limit, &least)
    {
        *limit = least;
    }
    // A request above a limit of ours raises it.
    for (name, request) in written.requests.iter().flatten() {
        if let Some(limit) = limits.get_mut(name)
            && is_less(limit, request)
        {
            *limit = request.clone();
        }
    }
    let ours = amounts(&[("cpu", "50m"), ("memory", "64Mi")]);
    ResourceRequirements {
        requests: Some(requests(ours, &limits, written.requests)),
        limits: Some(limits),
        claims: None,
    }
}
