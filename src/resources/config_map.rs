//! The ConfigMap with the worker's configuration.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;

use super::labels::child_meta;
use crate::fleet::Fleet;
use crate::worker_config::{FILE_NAME, Handler, WorkerConfig};

pub(super) fn config_map(fleet: &Fleet, config: &WorkerConfig) -> ConfigMap {
    ConfigMap {
        metadata: child_meta(fleet),
        data: Some(BTreeMap::from([(FILE_NAME.to_owned(), text(config))])),
        ..ConfigMap::default()
    }
}

/// The file as it is mounted; also what the configuration's hash is made of.
pub(super) fn text(config: &WorkerConfig) -> String {
    serde_json::to_string_pretty(config).expect("texts and numbers are always JSON")
}

pub(super) fn worker_config(fleet: &Fleet, handler: Handler) -> WorkerConfig {
    WorkerConfig {
        consumer: format!("{}/{}", fleet.namespace, fleet.name),
        bootstrap_servers: fleet.bootstrap_servers.clone(),
        group_id: fleet.group_id.clone(),
        topics: fleet.topics.clone(),
        group_protocol: fleet.group_protocol,
        properties: fleet.properties.clone(),
        security: fleet.security.clone(),
        handler,
        ordering: fleet.delivery.ordering,
        concurrency: fleet.delivery.concurrency.get(),
        batch: fleet.delivery.batch,
        attempts: fleet.delivery.attempts.get(),
        initial_backoff: fleet.delivery.initial_backoff,
        max_backoff: fleet.delivery.max_backoff,
        dead_letter_topic: fleet.delivery.dead_letter_topic.clone(),
        dead_letter_headers: fleet.delivery.header_style,
        breaker_percent: fleet.delivery.breaker.percent,
        breaker_min_records: fleet.delivery.breaker.min_records,
        breaker_window: fleet.delivery.breaker.window.0,
        on_exhausted: fleet.delivery.on_exhausted,
        handler_timeout: fleet.timing.handler_timeout,
        drain_deadline: fleet.timing.drain_deadline,
        max_poll_interval: fleet.timing.max_poll_interval,
        memory_budget_bytes: memory_budget_bytes(fleet.worker_memory_bytes),
        idempotency: fleet.idempotency.clone(),
        encryption: fleet.encryption.clone(),
        skips: fleet.skips.clone(),
    }
}

/// A quarter of the container's limit is for records, wherever in the worker they are. The rest is for the
/// program, connections, requests on their way and what allocators leave unused.
fn memory_budget_bytes(limit: u64) -> u64 {
    limit / 4
}
