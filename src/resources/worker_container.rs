//! The container that Drover makes, and what the template's container named `worker` adds to it.
//!
//! The template may add environment, mounts, ports and anything else that is not set here; of
//! `resources` and `securityContext` it may replace single entries. Image, arguments, probes and
//! life cycle are Drover's, and `fleet::validate` refuses them by name.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, ExecAction, HTTPGetAction,
    Lifecycle, LifecycleHandler, ObjectFieldSelector, PodSpec, Probe, ResourceRequirements,
    SeccompProfile, SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::amounts::{Amounts, amounts, requests};
use super::pod_template::overlaid;
use super::{Settings, journal, program, secrets, socket};
use crate::api::names::{ENV_POD_NAME, WORKER_CONTAINER};
use crate::fleet::{Fleet, Handler, worker_config, worker_config_text};
use crate::worker_config::{ADMIN_PORT, ENV_CONFIG};

/// The port's name, for probes and for those who scrape.
const PORT_NAME: &str = "admin";
/// The user in the image; numeric, so that `runAsNonRoot` can be checked.
const NON_ROOT: i64 = 65532;

pub(super) fn worker_container(
    written: Container,
    fleet: &Fleet,
    settings: &Settings,
) -> Container {
    let is_exec = matches!(fleet.handler, Handler::Exec { .. });
    let mut env = vec![pod_name(), configuration(fleet)];
    if is_exec {
        env.push(journal::variable());
    }
    let (image, pull_policy, command) = if is_exec {
        (written.image.clone(), None, Some(vec![program::program()]))
    } else {
        let policy = settings.image_pull_policy.clone();
        (Some(settings.worker_image.clone()), policy, None)
    };
    let written_security = written.security_context.clone().unwrap_or_default();
    Container {
        name: WORKER_CONTAINER.to_owned(),
        image,
        image_pull_policy: written.image_pull_policy.clone().or(pull_policy),
        command,
        env: Some(joined(env, written.env)),
        ports: Some(joined(
            vec![ContainerPort {
                name: Some(PORT_NAME.to_owned()),
                container_port: i32::from(ADMIN_PORT),
                protocol: Some("TCP".to_owned()),
                ..ContainerPort::default()
            }],
            written.ports,
        )),
        volume_mounts: mounts(fleet, written.volume_mounts),
        resources: Some(resources(written.resources.unwrap_or_default(), fleet)),
        security_context: Some(if is_exec {
            restricted(written_security)
        } else {
            security_context(written_security, settings)
        }),
        // A worker whose loop turns answers at once; half a minute without an answer is not load.
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            timeout_seconds: Some(3),
            failure_threshold: Some(3),
            ..probe("/livez")
        }),
        // Every second, because the time to the first record counts, and the next step of a
        // roll-out waits for it. It costs the worker nothing.
        readiness_probe: Some(Probe {
            period_seconds: Some(1),
            timeout_seconds: Some(3),
            failure_threshold: Some(3),
            ..probe("/readyz")
        }),
        ..written
    }
}

/// Before the container is stopped its first process must listen for the signal: to the first process of a container a
/// signal that it does not listen for is none, and a pod that is deleted while it starts would take records until it is
/// killed. None where that process is another: where containers share theirs, or have the host's, one that does not
/// listen is ended by the signal.
pub(super) fn before_stop(pod: &PodSpec) -> Option<Lifecycle> {
    let is_shared = [pod.share_process_namespace, pod.host_pid].contains(&Some(true));
    let wait = ["/proc/1/exe", "--wait-for-signals"].map(str::to_owned);
    (!is_shared).then(|| Lifecycle {
        pre_stop: Some(LifecycleHandler {
            exec: Some(ExecAction {
                command: Some(wait.to_vec()),
            }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    })
}

/// None where there is nothing to mount: an empty list is not the same to a differ.
fn mounts(fleet: &Fleet, written: Option<Vec<VolumeMount>>) -> Option<Vec<VolumeMount>> {
    let is_exec = matches!(fleet.handler, Handler::Exec { .. });
    let ours = [
        secrets::mount(fleet),
        socket::mount(fleet),
        is_exec.then(program::mount),
        is_exec.then(journal::mount),
    ];
    let mounts = joined(ours.into_iter().flatten().collect(), written);
    (!mounts.is_empty()).then_some(mounts)
}

fn probe(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(PORT_NAME.to_owned()),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}

fn pod_name() -> EnvVar {
    EnvVar {
        name: ENV_POD_NAME.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: "metadata.name".to_owned(),
            }),
            ..EnvVarSource::default()
        }),
        value: None,
    }
}

/// In the template itself, so that a pod has the configuration that it was made with however often its
/// containers start: docs/adr/020. Not as a file: a kubelet mounts a pod's first volume a third of a second
/// after it has seen the pod, or two, and a fleet that is woken by a burst waits for it.
fn configuration(fleet: &Fleet) -> EnvVar {
    EnvVar {
        name: ENV_CONFIG.to_owned(),
        value: worker_config(fleet).map(|config| worker_config_text(&config)),
        value_from: None,
    }
}

/// Memory is limited, so that the budget for records has a measure; CPU is not: throttling would
/// lengthen the delay that was promised. Requests are small, because a fleet may be many pods.
fn resources(written: ResourceRequirements, fleet: &Fleet) -> ResourceRequirements {
    // A limit for the user's commands is the user's to set.
    let limits = match fleet.handler {
        Handler::Exec { .. } => Amounts::new(),
        _ => amounts(&[("memory", &memory_text(fleet.worker_memory_bytes))]),
    };
    let limits = overlaid(limits, written.limits);
    let ours = amounts(&[("cpu", "50m"), ("memory", "64Mi")]);
    ResourceRequirements {
        requests: Some(requests(ours, &limits, written.requests)),
        limits: (!limits.is_empty()).then_some(limits),
        claims: written.claims,
    }
}

fn memory_text(bytes: u64) -> String {
    const MEBI: u64 = 1 << 20;
    if bytes.is_multiple_of(MEBI) {
        format!("{}Mi", bytes / MEBI)
    } else {
        bytes.to_string()
    }
}

/// What Pod Security's level `restricted` asks for, a user without rights, and a root file system that
/// nothing writes to.
pub(super) fn security_context(written: SecurityContext, settings: &Settings) -> SecurityContext {
    let ours = (!settings.user_by_platform).then_some(NON_ROOT);
    SecurityContext {
        run_as_non_root: written.run_as_non_root.or(Some(true)),
        run_as_user: written.run_as_user.or(ours),
        run_as_group: written.run_as_group.or(ours),
        read_only_root_filesystem: written.read_only_root_filesystem.or(Some(true)),
        ..restricted(written)
    }
}

/// What the level asks for whatever the image is: which user it has is the image's own matter.
fn restricted(written: SecurityContext) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: written.allow_privilege_escalation.or(Some(false)),
        capabilities: written.capabilities.clone().or(Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        })),
        seccomp_profile: written.seccomp_profile.clone().or(Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        })),
        ..written
    }
}

fn joined<T>(mut ours: Vec<T>, written: Option<Vec<T>>) -> Vec<T> {
    ours.extend(written.unwrap_or_default());
    ours
}
