//! The volume with the Secrets that the worker itself needs, each key a file.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    KeyToPath, ProjectedVolumeSource, SecretProjection, Volume, VolumeMount, VolumeProjection,
};

use crate::api::names::SECRETS_VOLUME;
use crate::fleet::Fleet;
use crate::worker_config::SECRETS_PATH;

/// None where the worker needs none.
pub(super) fn volume(fleet: &Fleet) -> Option<Volume> {
    let mut items: BTreeMap<&str, Vec<KeyToPath>> = BTreeMap::new();
    for file in &fleet.secret_files {
        items.entry(&file.secret).or_default().push(KeyToPath {
            key: file.key.clone(),
            path: file.file.clone().into_owned(),
            ..KeyToPath::default()
        });
    }
    let sources = items.into_iter().map(|(secret, items)| VolumeProjection {
        secret: Some(SecretProjection {
            name: secret.to_owned(),
            items: Some(items),
            optional: None,
        }),
        ..VolumeProjection::default()
    });
    (!fleet.secret_files.is_empty()).then(|| Volume {
        name: SECRETS_VOLUME.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(sources.collect()),
            ..ProjectedVolumeSource::default()
        }),
        ..Volume::default()
    })
}

/// Where the worker's container has it.
pub(super) fn mount(fleet: &Fleet) -> Option<VolumeMount> {
    (!fleet.secret_files.is_empty()).then(|| VolumeMount {
        name: SECRETS_VOLUME.to_owned(),
        mount_path: SECRETS_PATH.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    })
}
