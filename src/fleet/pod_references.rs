//! Every place of a pod that names a Secret or a ConfigMap.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, KeyToPath, PodSpec, VolumeProjection};

/// The kind of object that a pod refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Secret,
    ConfigMap,
}

/// One place of a pod that names a Secret or a ConfigMap.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PodReference {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// Keys that must be there.
    pub(super) keys: BTreeSet<String>,
    /// The pod starts without it.
    pub(super) optional: bool,
    pub(super) field: String,
}

/// All of them, in the order in which they are written.
pub(super) fn collect(pod: &PodSpec) -> Vec<PodReference> {
    let mut found = Vec::new();
    let lists = [
        (
            "initContainers",
            pod.init_containers.as_deref().unwrap_or_default(),
        ),
        ("containers", pod.containers.as_slice()),
    ];
    for (list, containers) in lists {
        for (index, container) in containers.iter().enumerate() {
            of_container(
                &format!("spec.template.spec.{list}[{index}]"),
                container,
                &mut found,
            );
        }
    }
    for (index, volume) in pod.volumes.iter().flatten().enumerate() {
        let at = format!("spec.template.spec.volumes[{index}]");
        if let Some(secret) = &volume.secret {
            add(
                &mut found,
                Kind::Secret,
                secret.secret_name.as_deref(),
                keys(&secret.items),
                secret.optional,
                format!("{at}.secret"),
            );
        }
        if let Some(map) = &volume.config_map {
            add(
                &mut found,
                Kind::ConfigMap,
                Some(&map.name),
                keys(&map.items),
                map.optional,
                format!("{at}.configMap"),
            );
        }
        let sources = volume
            .projected
            .iter()
            .flat_map(|projected| projected.sources.iter().flatten());
        for (index, source) in sources.enumerate() {
            of_projection(
                &format!("{at}.projected.sources[{index}]"),
                source,
                &mut found,
            );
        }
    }
    found
}

fn of_projection(at: &str, source: &VolumeProjection, found: &mut Vec<PodReference>) {
    if let Some(secret) = &source.secret {
        add(
            found,
            Kind::Secret,
            Some(&secret.name),
            keys(&secret.items),
            secret.optional,
            format!("{at}.secret"),
        );
    }
    if let Some(map) = &source.config_map {
        add(
            found,
            Kind::ConfigMap,
            Some(&map.name),
            keys(&map.items),
            map.optional,
            format!("{at}.configMap"),
        );
    }
}

fn of_container(at: &str, container: &Container, found: &mut Vec<PodReference>) {
    for (index, env) in container.env.iter().flatten().enumerate() {
        let Some(from) = &env.value_from else {
            continue;
        };
        let at = format!("{at}.env[{index}].valueFrom");
        if let Some(key) = &from.secret_key_ref {
            add(
                found,
                Kind::Secret,
                Some(&key.name),
                [key.key.clone()].into(),
                key.optional,
                format!("{at}.secretKeyRef"),
            );
        }
        if let Some(key) = &from.config_map_key_ref {
            add(
                found,
                Kind::ConfigMap,
                Some(&key.name),
                [key.key.clone()].into(),
                key.optional,
                format!("{at}.configMapKeyRef"),
            );
        }
    }
    for (index, from) in container.env_from.iter().flatten().enumerate() {
        let at = format!("{at}.envFrom[{index}]");
        if let Some(secret) = &from.secret_ref {
            add(
                found,
                Kind::Secret,
                Some(&secret.name),
                BTreeSet::new(),
                secret.optional,
                format!("{at}.secretRef"),
            );
        }
        if let Some(map) = &from.config_map_ref {
            add(
                found,
                Kind::ConfigMap,
                Some(&map.name),
                BTreeSet::new(),
                map.optional,
                format!("{at}.configMapRef"),
            );
        }
    }
}

fn keys(items: &Option<Vec<KeyToPath>>) -> BTreeSet<String> {
    items
        .iter()
        .flatten()
        .map(|item| item.key.clone())
        .collect()
}

fn add(
    found: &mut Vec<PodReference>,
    kind: Kind,
    name: Option<&str>,
    keys: BTreeSet<String>,
    optional: Option<bool>,
    field: String,
) {
    // A place without a name is for the API server to refuse.
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        found.push(PodReference {
            kind,
            name: name.to_owned(),
            keys,
            optional: optional.unwrap_or(false),
            field,
        });
    }
}
