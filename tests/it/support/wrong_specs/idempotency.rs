//! `spec.idempotency`.

use serde_json::{Value, json};

use super::{Wrong, wrong};
use crate::support::consumers::{http_url, own_consumer, with};

/// `spec.idempotency` as it must not be.
pub(super) fn wrong_idempotency() -> Vec<Wrong> {
    let redis = json!({ "redis": { "address": "redis:6379" } });
    let with_store = |store: Value| json!({ "key": { "offset": {} }, "store": store });
    let of = |idempotency: Value| with(http_url(), "/spec/idempotency", idempotency);
    let at = |pointer: &str, value: Value| {
        let good = of(with_store(redis.clone()));
        with(good, &format!("/spec/idempotency/{pointer}"), value)
    };
    vec![
        wrong(
            of(json!({ "store": redis })),
            "spec.idempotency.key",
            "Required value",
        ),
        wrong(
            at("key", json!({})),
            "spec.idempotency.key",
            "exactly one of header, pointer, recordKey and offset",
        ),
        wrong(
            at("key/header", json!("message-id")),
            "spec.idempotency.key",
            "keep the one that tells records apart",
        ),
        wrong(
            at("key", json!({ "header": "message id" })),
            "spec.idempotency.key.header",
            "visible ASCII without blanks",
        ),
        wrong(
            at("key", json!({ "pointer": "id" })),
            "spec.idempotency.key.pointer",
            "write a JSON pointer",
        ),
        wrong(
            at("store", json!({})),
            "spec.idempotency.store",
            "exactly one of memory, redis and postgres",
        ),
        wrong(
            at("store/memory", json!({})),
            "spec.idempotency.store",
            "keep one, remove the others",
        ),
        wrong(
            at("store", json!({ "memory": { "maxEntries": 0 } })),
            "spec.idempotency.store.memory.maxEntries",
            "greater than or equal to 1",
        ),
        wrong(
            at("store/redis/address", json!("redis://user:secret@redis")),
            "spec.idempotency.store.redis.address",
            "write an address as host:port",
        ),
        wrong(
            at("store/redis/username", json!("drover")),
            "spec.idempotency.store.redis.username",
            "goes with passwordSecret",
        ),
        wrong(
            at("store/redis/tls", json!({})),
            "spec.idempotency.store.redis.tls.caSecret",
            "Required value",
        ),
        wrong(
            at(
                "store/redis/passwordSecret",
                json!({ "name": "Redis", "key": "password" }),
            ),
            "spec.idempotency.store.redis.passwordSecret.name",
            "correct the name",
        ),
        wrong(
            at(
                "store",
                json!({ "postgres": {
                    "address": "postgres:5432", "database": "shop", "username": "drover",
                    "table": "keys; DROP TABLE users",
                } }),
            ),
            "spec.idempotency.store.postgres.table",
            "a table is lower-case letters",
        ),
        wrong(
            at("retention", json!("30s")),
            "spec.idempotency.retention",
            "between 1m and 8760h",
        ),
        wrong(
            at("scope", json!("a:b")),
            "spec.idempotency.scope",
            "correct it",
        ),
        wrong(
            at("onStoreError", json!("Drop")),
            "spec.idempotency.onStoreError",
            "supported values: \"Stall\", \"Deliver\"",
        ),
        wrong(
            with(
                of(with_store(json!({ "memory": {} }))),
                "/spec/idempotency/onStoreError",
                json!("Stall"),
            ),
            "spec.idempotency.onStoreError",
            "not for store.memory",
        ),
        wrong(
            with(
                own_consumer(),
                "/spec/idempotency",
                with_store(json!({ "memory": {} })),
            ),
            "spec.idempotency",
            "remove spec.idempotency",
        ),
    ]
}
