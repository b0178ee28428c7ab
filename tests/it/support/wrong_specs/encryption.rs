//! `spec.encryption`.

use serde_json::{Value, json};

use super::{Wrong, wrong};
use crate::support::consumers::{http_url, own_consumer, with};

/// Encryption with one key and the salt, and more.
fn encryption(more: Value) -> Value {
    let mut written = json!({
        "primaryKeySecret": { "name": "rails", "key": "primary_key" },
        "keyDerivationSaltSecret": { "name": "rails", "key": "salt" },
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        written[name] = value.clone();
    }
    json!({ "activeRecord": written })
}

/// Keys, and what is done with them.
pub(super) fn wrong_encryption() -> Vec<Wrong> {
    let url = |pointer: &str, value: Value| with(http_url(), pointer, value);
    vec![
        wrong(
            with(own_consumer(), "/spec/encryption", encryption(json!({}))),
            "spec.encryption",
            "remove spec.encryption",
        ),
        wrong(
            url("/spec/encryption", json!({ "activeRecord": {} })),
            "spec.encryption.activeRecord.keyDerivationSaltSecret",
            "Required value",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "primaryKeySecret": { "name": "a" } })),
            ),
            "spec.encryption.activeRecord.primaryKeySecret.key",
            "Required value",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "primaryKeySecret": { "name": "A_b", "key": "k" } })),
            ),
            "spec.encryption.activeRecord.primaryKeySecret.name",
            "correct the name",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "primaryKeySecret": { "name": "a", "key": "a/b" } })),
            ),
            "spec.encryption.activeRecord.primaryKeySecret.key",
            "correct the key",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "primaryKeySecrets": [{ "name": "a", "key": "k" }] })),
            ),
            "spec.encryption.activeRecord",
            "exactly one of primaryKeySecret (one key) and primaryKeySecrets",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "hashDigest": "SHA256" })),
            ),
            "spec.encryption.activeRecord.hashDigest",
            "supported values: \"Sha256\", \"Sha1\"",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "pointer": "payload" })),
            ),
            "spec.encryption.activeRecord.pointer",
            "write a JSON pointer",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "maxInflatedBytes": 10 })),
            ),
            "spec.encryption.activeRecord.maxInflatedBytes",
            "greater than or equal to 1024",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "onUnknownKey": "DeadLetter" })),
            ),
            "spec.encryption.activeRecord.onUnknownKey",
            "name spec.delivery.deadLetter.topic",
        ),
    ]
}
