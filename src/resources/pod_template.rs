//! The pod: the user's template and what Drover adds to it.
//!
//! How the two are merged:
//!
//! * Labels and annotations: both; where both have one, the template's wins, except for the
//!   labels by which Drover finds pods and the configuration's hash, which are Drover's.
//! * With `handler.http` the worker is the pod's only container. The template's other containers
//!   become native sidecars (init containers with `restartPolicy: Always`), after the template's
//!   own init containers: they start before the worker and stop after it has drained.
//! * The template's container named `worker` is merged into the worker's: `worker_container`.
//! * With `handler.http.socket` all of them share the volume in which the socket lies: `socket`.
//! * With `handler.exec` the same, but that container has the user's image: `program` brings the
//!   worker's program into it, and `journal` a folder that outlives it.
//! * With `handler.consumer` the template's containers stay as they are; only the environment of
//!   the one that consumes is added to: `own_consumer_pod`.
//! * `terminationGracePeriodSeconds` is the longer of the template's and the needed one.
//! * `serviceAccountName`, `automountServiceAccountToken`, `enableServiceLinks`: the template's,
//!   else Drover's. Everything else of the pod's spec is the template's.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::labels::{found_by, labels};
use super::own_consumer_pod::with_environment;
use super::worker_container::{before_stop, worker_container};
use super::{Settings, journal, program, secrets, socket};
use crate::api::names::{ANNOTATION_CONFIG_HASH, WORKER_CONTAINER};
use crate::fleet::{Fleet, Handler, digest, worker_config, worker_config_text};

pub(super) fn pod_template(fleet: &Fleet, settings: &Settings) -> PodTemplateSpec {
    let written = fleet.template.spec.clone().unwrap_or_default();
    let spec = match &fleet.handler {
        Handler::Consumer { container } => PodSpec {
            containers: with_environment(written.containers.clone(), container, fleet),
            ..common(written, fleet)
        },
        Handler::Url(_) | Handler::Port { .. } | Handler::Socket { .. } | Handler::Exec { .. } => {
            worker_pod(written, fleet, settings)
        }
    };
    PodTemplateSpec {
        metadata: Some(metadata(fleet)),
        spec: Some(spec),
    }
}

fn metadata(fleet: &Fleet) -> ObjectMeta {
    let written = fleet.template.metadata.clone().unwrap_or_default();
    let mut annotations = written.annotations.unwrap_or_default();
    annotations.insert(ANNOTATION_CONFIG_HASH.to_owned(), config_hash(fleet));
    ObjectMeta {
        labels: Some(pod_labels(fleet)),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    }
}

/// All labels of a fleet's pods.
pub fn pod_labels(fleet: &Fleet) -> BTreeMap<String, String> {
    let written = fleet.template.metadata.clone().unwrap_or_default();
    let mut all = labels(fleet);
    all.extend(written.labels.unwrap_or_default());
    all.extend(found_by(fleet));
    all
}

/// Changes with the worker's configuration and with what the template's Secrets and ConfigMaps
/// hold; pods read both only when they start.
fn config_hash(fleet: &Fleet) -> String {
    let config = worker_config(fleet).map(|config| worker_config_text(&config));
    digest([config.unwrap_or_default(), fleet.contents_hash.clone()])
}

fn worker_pod(written: PodSpec, fleet: &Fleet, settings: &Settings) -> PodSpec {
    let (own, beside): (Vec<Container>, Vec<Container>) = written
        .containers
        .iter()
        .cloned()
        .partition(|container| container.name == WORKER_CONTAINER);
    let is_exec = matches!(fleet.handler, Handler::Exec { .. });
    let own = own.into_iter().next().unwrap_or_default();
    let worker = Container {
        lifecycle: before_stop(&written),
        ..worker_container(own, fleet, settings)
    };
    let mut init_containers = Vec::new();
    if is_exec {
        init_containers.push(program::init_container(settings, &worker));
    }
    init_containers.extend(written.init_containers.clone().unwrap_or_default());
    let beside = beside.into_iter().map(|mut container| {
        if let Some(mount) = socket::mount(fleet) {
            container.volume_mounts.get_or_insert_default().push(mount);
        }
        native_sidecar(container)
    });
    init_containers.extend(beside);
    let mut volumes = written.volumes.clone().unwrap_or_default();
    volumes.extend(secrets::volume(fleet));
    if is_exec {
        volumes.push(program::volume());
        volumes.push(journal::volume());
    }
    volumes.extend(socket::volume(fleet));
    PodSpec {
        // An empty list of what the user wrote is not the same as none to a differ.
        init_containers: (!init_containers.is_empty()).then_some(init_containers),
        containers: vec![worker],
        volumes: (!volumes.is_empty()).then_some(volumes),
        // Its variables would be one for each port of each service of the namespace.
        enable_service_links: Some(written.enable_service_links.unwrap_or(false)),
        ..common(written, fleet)
    }
}

/// What is the same whoever consumes.
pub(super) fn common(written: PodSpec, fleet: &Fleet) -> PodSpec {
    let own_account = names_account(&written);
    PodSpec {
        // Who names an account of their own wants its token; ours has no rights.
        automount_service_account_token: written
            .automount_service_account_token
            .or((!own_account).then_some(false)),
        service_account_name: written
            .service_account_name
            .clone()
            .or((!own_account).then(|| fleet.name.clone())),
        termination_grace_period_seconds: i64::try_from(fleet.timing.grace_period.as_secs()).ok(),
        ..written
    }
}

/// The pods' account is somebody else's.
pub(super) fn names_account(written: &PodSpec) -> bool {
    written.service_account_name.is_some() || written.service_account.is_some()
}

fn native_sidecar(container: Container) -> Container {
    Container {
        restart_policy: Some("Always".to_owned()),
        ..container
    }
}

/// `base` with the entries of `over` in place of its own.
pub(super) fn overlaid<V>(
    mut base: BTreeMap<String, V>,
    over: Option<BTreeMap<String, V>>,
) -> BTreeMap<String, V> {
    base.extend(over.unwrap_or_default());
    base
}
