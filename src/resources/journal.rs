//! The worker's journal of what a command has: a volume that outlives the container, since a command that
//! takes too much memory has the container killed with the worker in it.

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, EnvVar, Volume, VolumeMount};

use crate::api::names::{JOURNAL_PATH, JOURNAL_VOLUME};
use crate::worker_config::ENV_JOURNAL;

/// Tells the worker where it is.
pub(super) fn variable() -> EnvVar {
    EnvVar {
        name: ENV_JOURNAL.to_owned(),
        value: Some(JOURNAL_PATH.to_owned()),
        value_from: None,
    }
}

/// Where the container has it.
pub(super) fn mount() -> VolumeMount {
    VolumeMount {
        name: JOURNAL_VOLUME.to_owned(),
        mount_path: JOURNAL_PATH.to_owned(),
        ..VolumeMount::default()
    }
}

/// The volume.
pub(super) fn volume() -> Volume {
    Volume {
        name: JOURNAL_VOLUME.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }
}
