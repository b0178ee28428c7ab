//! The ConfigMap with the worker's configuration.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;

use super::labels::child_meta;
use crate::fleet::{Fleet, worker_config_text};
use crate::worker_config::{FILE_NAME, WorkerConfig};

pub(super) fn config_map(fleet: &Fleet, config: &WorkerConfig) -> ConfigMap {
    ConfigMap {
        metadata: child_meta(fleet),
        data: Some(BTreeMap::from([(
            FILE_NAME.to_owned(),
            worker_config_text(config),
        )])),
        ..ConfigMap::default()
    }
}
