//! `spec.idempotency`: rules between its fields, and what the worker is told of it.

use std::time::Duration;

use super::problem::Problems;
use super::secrets::SecretFile;
use super::{Timing, secrets};
use crate::api::{self, KafkaConsumerSpec};
use crate::worker_config::{Idempotency, IdempotencyKey, Postgres, Redis, StoreKind};

/// What the CEL rules of `spec.idempotency` say, in the same words.
pub(super) fn check(spec: &KafkaConsumerSpec, problems: &mut Problems) {
    let Some(written) = &spec.idempotency else {
        return;
    };
    if spec.handler.consumer.is_some() {
        problems.contradiction("spec.idempotency", "spec.idempotency is not for handler.consumer: your own consumer delivers; remove spec.idempotency");
    }
    if !(Duration::from_secs(60)..=Duration::from_secs(8760 * 3600)).contains(&written.retention.0)
    {
        problems.invalid(
            "spec.idempotency.retention",
            "spec.idempotency.retention must be between 1m and 8760h; write a time such as 24h",
        );
    }
    let (key, store) = (&written.key, &written.store);
    let keys = [
        key.header.is_some(),
        key.pointer.is_some(),
        key.record_key.is_some(),
        key.offset.is_some(),
    ];
    if !exactly_one(&keys) {
        problems.contradiction("spec.idempotency.key", "spec.idempotency.key needs exactly one of header, pointer, recordKey and offset; keep the one that tells records apart, remove the others");
    }
    let stores = [
        store.memory.is_some(),
        store.redis.is_some(),
        store.postgres.is_some(),
    ];
    if !exactly_one(&stores) {
        problems.contradiction("spec.idempotency.store", "spec.idempotency.store needs exactly one of memory, redis and postgres; keep one, remove the others");
    }
    if store.memory.is_some() && written.on_store_error.is_some() {
        problems.contradiction("spec.idempotency.onStoreError", "spec.idempotency.onStoreError is not for store.memory, which is always there; remove it");
    }
    if let Some(redis) = &store.redis
        && redis.username.is_some()
        && redis.password_secret.is_none()
    {
        problems.contradiction("spec.idempotency.store.redis.username", "spec.idempotency.store.redis.username goes with passwordSecret; name the Secret with its password, or remove username");
    }
}

fn exactly_one(given: &[bool]) -> bool {
    given.iter().filter(|given| **given).count() == 1
}

/// What the worker is told; None where nothing is asked for. `default_scope` is the fleet's own.
pub(super) fn complete(
    spec: &KafkaConsumerSpec,
    files: &[SecretFile],
    timing: &Timing,
    default_scope: String,
) -> Option<Idempotency> {
    let written = spec.idempotency.as_ref()?;
    Some(Idempotency {
        key: key(&written.key)?,
        redrive_header: written.redrive_header.clone(),
        retry_topic: spec.retry_topic().map(str::to_owned),
        store: store(&written.store, files)?,
        scope: written.scope.clone().unwrap_or(default_scope),
        retention: written.retention.0,
        lease: timing.idempotency_lease(),
        on_store_error: written.on_store_error.unwrap_or_default(),
        on_missing_key: written.on_missing_key,
    })
}

fn key(written: &api::IdempotencyKey) -> Option<IdempotencyKey> {
    let header = written.header.clone().map(IdempotencyKey::Header);
    let pointer = || written.pointer.clone().map(IdempotencyKey::Pointer);
    let record_key = || written.record_key.map(|_| IdempotencyKey::RecordKey);
    let offset = || written.offset.map(|_| IdempotencyKey::Offset);
    header.or_else(pointer).or_else(record_key).or_else(offset)
}

fn store(written: &api::IdempotencyStore, files: &[SecretFile]) -> Option<StoreKind> {
    let path = |name| secrets::path(files, name);
    if let Some(memory) = &written.memory {
        return Some(StoreKind::Memory {
            max_entries: memory.max_entries,
        });
    }
    if let Some(redis) = &written.redis {
        return Some(StoreKind::Redis(Redis {
            address: redis.address.clone(),
            database: redis.database,
            username: redis.username.clone(),
            password_file: path(secrets::STORE_PASSWORD),
            ca_file: path(secrets::STORE_CA),
        }));
    }
    let postgres = written.postgres.as_ref()?;
    Some(StoreKind::Postgres(Postgres {
        address: postgres.address.clone(),
        database: postgres.database.clone(),
        username: postgres.username.clone(),
        password_file: path(secrets::STORE_PASSWORD),
        table: postgres.table.clone(),
        ca_file: path(secrets::STORE_CA),
    }))
}
