//! `spec.template`: what Drover must decide itself, and what cannot work.
//!
//! Everything that is wrong with a pod as such is left to the API server, except what it would
//! refuse in words about a Deployment that the user never wrote.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::problem::Problems;
use super::{Handler, LEAST_WORKER_MEMORY_BYTES, Timing, quantity};
use crate::api::names::{
    ENV_POD_NAME, JOURNAL_VOLUME, PROGRAM_CONTAINER, PROGRAM_VOLUME, SECRETS_VOLUME, SOCKET_VOLUME,
    WORKER_CONTAINER, reason,
};
use crate::worker_config::{ADMIN_PORT, ENV_CONFIG, ENV_JOURNAL, SECRETS_PATH};

const POD: &str = "spec.template.spec";

pub(super) fn check(
    template: &PodTemplateSpec,
    handler: &Handler,
    timing: &Timing,
    environment: &[(&'static str, String)],
    problems: &mut Problems,
) {
    let Some(pod) = &template.spec else {
        if !matches!(handler, Handler::Url(_)) {
            problems.template(POD, format!("{POD} is missing, and the handler is one of its containers; add spec.containers to the template"));
        }
        return;
    };
    check_pod(pod, timing, problems);
    check_containers(pod, handler, problems);
    match handler {
        Handler::Consumer { container } => check_consumer(pod, container, environment, problems),
        Handler::Port { port, .. } => {
            check_port(pod, *port, problems);
            check_worker(pod, false, problems);
        }
        Handler::Socket { socket, .. } => {
            check_socket(pod, socket, problems);
            check_worker(pod, false, problems);
        }
        Handler::Url(_) => check_worker(pod, false, problems),
        Handler::Exec { .. } => {
            check_image(pod, problems);
            check_worker(pod, true, problems);
        }
    }
}

fn check_pod(pod: &PodSpec, timing: &Timing, problems: &mut Problems) {
    if pod
        .restart_policy
        .as_deref()
        .is_some_and(|policy| policy != "Always")
    {
        problems.template(
            &format!("{POD}.restartPolicy"),
            format!("{POD}.restartPolicy must be Always, because the pods belong to a Deployment; remove it"),
        );
    }
    let shortest = timing.shortest_grace_period().as_secs();
    if let Some(wished) = pod.termination_grace_period_seconds
        && u64::try_from(wished).unwrap_or(0) < shortest
    {
        problems.add(
            reason::GRACE_PERIOD_TOO_SHORT,
            &format!("{POD}.terminationGracePeriodSeconds"),
            format!(
                "{POD}.terminationGracePeriodSeconds is {wished}, too short to go quietly: {}; remove it, set at least {shortest}, or lower spec.handler.timeout",
                timing.sum()
            ),
        );
    }
    let none = [
        (
            "ephemeralContainers",
            pod.ephemeral_containers.is_some(),
            "cannot be part of a template",
        ),
        (
            "activeDeadlineSeconds",
            pod.active_deadline_seconds.is_some(),
            "cannot be set, because the pods belong to a Deployment, which runs for ever",
        ),
    ];
    for (name, _, why) in none.into_iter().filter(|(_, written, _)| *written) {
        let field = format!("{POD}.{name}");
        problems.template(&field, format!("{field} {why}; remove it"));
    }
}

/// What holds for every container that Drover does not make.
fn check_containers(pod: &PodSpec, handler: &Handler, problems: &mut Problems) {
    let ours = !matches!(handler, Handler::Consumer { .. });
    let mut names = BTreeSet::new();
    for (field, container) in containers(pod) {
        let is_worker = ours && container.name == WORKER_CONTAINER;
        if container.name.is_empty() {
            problems.template(
                &format!("{field}.name"),
                format!("{field}.name is missing; name the container"),
            );
        } else if !names.insert(container.name.as_str()) {
            problems.template(
                &format!("{field}.name"),
                format!(
                    "{field}.name: two containers are named \"{}\"; rename one",
                    container.name
                ),
            );
        }
        if !is_worker && container.image.as_deref().unwrap_or_default().is_empty() {
            problems.template(
                &format!("{field}.image"),
                format!(
                    "{field}.image is missing: container \"{}\" cannot run without; name its image",
                    container.name
                ),
            );
        }
        if is_worker && field.contains("initContainers") {
            problems.template(
                &format!("{field}.name"),
                format!("{field}.name is {WORKER_CONTAINER}, which is Drover's own container; rename yours"),
            );
        }
        if ours && !is_worker && !field.contains("initContainers") {
            check_beside_worker(&field, container, problems);
        }
    }
    if ours
        && pod
            .volumes
            .iter()
            .flatten()
            .any(|volume| volume.name == SECRETS_VOLUME)
    {
        problems.template(
            &format!("{POD}.volumes"),
            format!(
                "{POD}.volumes has one named {SECRETS_VOLUME}, which is Drover's own; rename yours"
            ),
        );
    }
}

/// Containers beside the worker become native sidecars, so that they start before it and stop
/// after it.
fn check_beside_worker(field: &str, container: &Container, problems: &mut Problems) {
    if container
        .restart_policy
        .as_deref()
        .is_some_and(|policy| policy != "Always")
    {
        problems.template(
            &format!("{field}.restartPolicy"),
            format!("{field}.restartPolicy must be Always: the container runs beside the worker as long as that runs; remove it"),
        );
    }
    if declared_ports(container).any(|port| port == i32::from(ADMIN_PORT)) {
        problems.template(
            &format!("{field}.ports"),
            format!("{field}.ports has {ADMIN_PORT}, which is the worker's own in the same pod; let the container listen on another"),
        );
    }
}

/// The command lies in the image of the template's container named `worker`.
fn check_image(pod: &PodSpec, problems: &mut Problems) {
    let mut workers = pod.containers.iter().filter(|c| c.name == WORKER_CONTAINER);
    let image = workers.next().and_then(|worker| worker.image.as_deref());
    if image.unwrap_or_default().is_empty() {
        problems.template(
            &format!("{POD}.containers"),
            format!("{POD}.containers has none named {WORKER_CONTAINER} with an image, in which handler.exec could run its command; add it, or give yours that name"),
        );
    }
    let volumes = pod.volumes.iter().flatten().map(|volume| &*volume.name);
    for name in volumes.filter(|name| [PROGRAM_VOLUME, JOURNAL_VOLUME].contains(name)) {
        problems.template(
            &format!("{POD}.volumes"),
            format!("{POD}.volumes has one named {name}, which is Drover's own; rename yours"),
        );
    }
    if pod
        .init_containers
        .iter()
        .flatten()
        .any(|c| c.name == PROGRAM_CONTAINER)
    {
        problems.template(
            &format!("{POD}.initContainers"),
            format!("{POD}.initContainers has one named {PROGRAM_CONTAINER}, which is Drover's own; rename yours"),
        );
    }
}

/// The container named `worker` is Drover's; the template may add to it.
fn check_worker(pod: &PodSpec, exec: bool, problems: &mut Problems) {
    let worker = containers(pod).find(|(field, container)| {
        container.name == WORKER_CONTAINER && !field.contains("initContainers")
    });
    let Some((field, worker)) = worker else {
        return;
    };
    for (name, written) in [
        ("image", !exec && worker.image.is_some()),
        ("command", worker.command.is_some()),
        ("args", worker.args.is_some()),
        ("livenessProbe", worker.liveness_probe.is_some()),
        ("readinessProbe", worker.readiness_probe.is_some()),
        ("startupProbe", worker.startup_probe.is_some()),
        ("lifecycle", worker.lifecycle.is_some()),
        ("restartPolicy", worker.restart_policy.is_some()),
    ] {
        if written {
            problems.template(
                &format!("{field}.{name}"),
                format!("{field}.{name} cannot be set: the container named {WORKER_CONTAINER} is Drover's own; remove it, or give your container another name"),
            );
        }
    }
    for name in [ENV_POD_NAME, ENV_CONFIG, ENV_JOURNAL] {
        if worker.env.iter().flatten().any(|env| env.name == name) {
            problems.template(
                &format!("{field}.env"),
                format!("{field}.env sets {name}, which Drover sets; remove it"),
            );
        }
    }
    let mut mounts = worker.volume_mounts.iter().flatten();
    if mounts.any(|mount| mount.mount_path.trim_end_matches('/') == SECRETS_PATH) {
        problems.template(
            &format!("{field}.volumeMounts"),
            format!("{field}.volumeMounts has one at {SECRETS_PATH}, where the worker's Secrets lie; mount yours elsewhere"),
        );
    }
    check_memory(&field, worker, problems);
}

fn check_memory(field: &str, worker: &Container, problems: &mut Problems) {
    let resources = worker.resources.as_ref();
    let lists = [
        (
            "limits",
            resources.and_then(|resources| resources.limits.as_ref()),
        ),
        (
            "requests",
            resources.and_then(|resources| resources.requests.as_ref()),
        ),
    ];
    for (list, quantities) in lists {
        let Some(Quantity(text)) = quantities.and_then(|quantities| quantities.get("memory"))
        else {
            continue;
        };
        let field = format!("{field}.resources.{list}.memory");
        match quantity::bytes(text) {
            None => problems.invalid(
                &field,
                format!("{field} \"{text}\" is not a quantity; write one such as 128Mi"),
            ),
            Some(bytes) if list == "limits" && bytes < LEAST_WORKER_MEMORY_BYTES => problems
                .invalid(
                    &field,
                    format!(
                        "{field} is {text}, less than the {}Mi that the worker needs; raise it",
                        LEAST_WORKER_MEMORY_BYTES >> 20
                    ),
                ),
            Some(_) => {}
        }
    }
}

/// The handler is a container of the template that listens on `port`.
fn check_port(pod: &PodSpec, port: u16, problems: &mut Problems) {
    const FIELD: &str = "spec.handler.http.port";
    let beside: Vec<&Container> = beside_worker(pod).collect();
    if beside.is_empty() {
        return problems.template(
            &format!("{POD}.containers"),
            format!("{POD}.containers has none that could listen on {FIELD} {port}; add the handler's container, or use spec.handler.http.url"),
        );
    }
    let declared: BTreeSet<i32> = beside
        .iter()
        .flat_map(|container| declared_ports(container))
        .collect();
    if !declared.is_empty() && !declared.contains(&i32::from(port)) {
        let declared: Vec<String> = declared.iter().map(i32::to_string).collect();
        problems.contradiction(
            FIELD,
            format!("{FIELD} is {port}, but the containers of spec.template listen on {}; correct one of them", declared.join(", ")),
        );
    }
}

/// The handler is a container of the template that listens on `socket`.
fn check_socket(pod: &PodSpec, socket: &str, problems: &mut Problems) {
    const FIELD: &str = "spec.handler.http.socket";
    if beside_worker(pod).next().is_none() {
        problems.template(
            &format!("{POD}.containers"),
            format!("{POD}.containers has none that could listen on {FIELD} {socket}; add the handler's container, or use spec.handler.http.url"),
        );
    }
    let folder = socket.rsplit_once('/').map_or("", |(folder, _)| folder);
    let within = |inner: &str, outer: &str| {
        inner == outer
            || inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    if within(folder, SECRETS_PATH) || within(SECRETS_PATH, folder) {
        problems.contradiction(
            FIELD,
            format!("{FIELD} is in {folder}, and the worker's Secrets in {SECRETS_PATH}; choose another folder, such as /run/handler"),
        );
    }
    if pod
        .volumes
        .iter()
        .flatten()
        .any(|volume| volume.name == SOCKET_VOLUME)
    {
        problems.template(
            &format!("{POD}.volumes"),
            format!(
                "{POD}.volumes has one named {SOCKET_VOLUME}, which is Drover's own; rename yours"
            ),
        );
    }
    for (field, container) in containers(pod) {
        let mounts = container.volume_mounts.iter().flatten();
        if !field.contains("initContainers")
            && mounts
                .into_iter()
                .any(|m| m.mount_path.trim_end_matches('/') == folder)
        {
            problems.template(
                &format!("{field}.volumeMounts"),
                format!("{field}.volumeMounts has one at {folder}, where {FIELD} lies; Drover mounts a volume there, so remove it"),
            );
        }
    }
}

fn check_consumer(
    pod: &PodSpec,
    name: &str,
    environment: &[(&'static str, String)],
    problems: &mut Problems,
) {
    if pod.containers.is_empty() {
        return problems.template(
            &format!("{POD}.containers"),
            format!("{POD}.containers is empty, and handler.consumer runs one of them; add your consumer's container"),
        );
    }
    let Some((field, container)) = containers(pod)
        .find(|(field, container)| container.name == name && !field.contains("initContainers"))
    else {
        let known: Vec<&str> = pod
            .containers
            .iter()
            .map(|container| container.name.as_str())
            .collect();
        return problems.contradiction(
            "spec.handler.consumer.container",
            format!("spec.handler.consumer.container \"{name}\" is none of the template's containers ({}); correct the name", known.join(", ")),
        );
    };
    for (index, env) in container.env.iter().flatten().enumerate() {
        let Some((_, ours)) = environment.iter().find(|(name, _)| *name == env.name) else {
            continue;
        };
        let field = format!("{field}.env[{index}]");
        if env.value_from.is_some() {
            problems.contradiction(
                &field,
                format!("{field}: {} comes from elsewhere and may contradict the spec, which Drover reads lag by; remove it, Drover sets it", env.name),
            );
        } else if env.value.as_deref().unwrap_or_default() != ours {
            problems.contradiction(
                &field,
                format!("{field}: {} contradicts the spec, which says \"{ours}\"; remove it, Drover sets it, or correct the spec", env.name),
            );
        }
    }
}

fn containers(pod: &PodSpec) -> impl Iterator<Item = (String, &Container)> {
    let init = pod.init_containers.iter().flatten().enumerate();
    let main = pod.containers.iter().enumerate();
    init.map(|(index, container)| (format!("{POD}.initContainers[{index}]"), container))
        .chain(main.map(|(index, container)| (format!("{POD}.containers[{index}]"), container)))
}

fn beside_worker(pod: &PodSpec) -> impl Iterator<Item = &Container> {
    pod.containers
        .iter()
        .filter(|container| container.name != WORKER_CONTAINER)
}

fn declared_ports(container: &Container) -> impl Iterator<Item = i32> {
    container
        .ports
        .iter()
        .flatten()
        .map(|port| port.container_port)
}
