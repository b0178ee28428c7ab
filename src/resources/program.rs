//! The worker's program in a container whose image is the user's: an init container copies it into a
//! volume that both have. It is static, so it runs in any image.

use k8s_openapi::api::core::v1::{Container, EmptyDirVolumeSource, Volume, VolumeMount};

use super::Settings;
use super::amounts::counted;
use super::worker_container::security_context;
use crate::api::names::{PROGRAM_CONTAINER, PROGRAM_PATH, PROGRAM_VOLUME};

/// The program's name in [`PROGRAM_PATH`].
const PROGRAM: &str = "drover-worker";

/// The program in the user's container.
pub(super) fn program() -> String {
    format!("{PROGRAM_PATH}/{PROGRAM}")
}

/// Copies the program, with what `worker` has: it is gone when that begins, so a pod asks for no more by it.
pub(super) fn init_container(settings: &Settings, worker: &Container) -> Container {
    Container {
        name: PROGRAM_CONTAINER.to_owned(),
        image: Some(settings.worker_image.clone()),
        image_pull_policy: settings.image_pull_policy.clone(),
        args: Some(vec!["--copy-to".to_owned(), program()]),
        volume_mounts: Some(vec![VolumeMount {
            read_only: None,
            ..mount()
        }]),
        resources: worker.resources.as_ref().map(counted),
        security_context: Some(security_context(Default::default(), settings)),
        ..Container::default()
    }
}

/// Where the program lies in the user's container.
pub(super) fn mount() -> VolumeMount {
    VolumeMount {
        name: PROGRAM_VOLUME.to_owned(),
        mount_path: PROGRAM_PATH.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}

/// The volume between the two.
pub(super) fn volume() -> Volume {
    Volume {
        name: PROGRAM_VOLUME.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }
}
