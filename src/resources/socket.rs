//! The volume in which the handler's Unix socket lies, shared by all containers of the pod.

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Volume, VolumeMount};

use crate::api::names::SOCKET_VOLUME;
use crate::fleet::{Fleet, Handler};

/// Where the volume lies, if there is one.
pub(super) fn mount(fleet: &Fleet) -> Option<VolumeMount> {
    let Handler::Socket { socket, .. } = &fleet.handler else {
        return None;
    };
    let (folder, _) = socket.rsplit_once('/')?;
    Some(VolumeMount {
        name: SOCKET_VOLUME.to_owned(),
        mount_path: folder.to_owned(),
        ..VolumeMount::default()
    })
}

/// The volume, if there is one.
pub(super) fn volume(fleet: &Fleet) -> Option<Volume> {
    mount(fleet).map(|_| Volume {
        name: SOCKET_VOLUME.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    })
}
