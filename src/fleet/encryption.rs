//! `spec.encryption`: rules between its fields, and what the worker is told of it.

use super::problem::Problems;
use super::secrets::{self, SecretFile};
use crate::api::{self, KafkaConsumerSpec, OnExhausted, OnUnknownKey};
use crate::worker_config::Encryption;

/// What the CEL rules of `spec.encryption` say, in the same words.
pub(super) fn check(spec: &KafkaConsumerSpec, problems: &mut Problems) {
    let Some(api::Encryption { active_record }) = &spec.encryption else {
        return;
    };
    if spec.handler.consumer.is_some() {
        problems.contradiction("spec.encryption", "spec.encryption is not for handler.consumer: your own consumer reads the records; remove spec.encryption");
    }
    if active_record.primary_key_secret.is_some() != active_record.primary_key_secrets.is_empty() {
        problems.contradiction("spec.encryption.activeRecord", "spec.encryption.activeRecord needs exactly one of primaryKeySecret (one key) and primaryKeySecrets (a list, for rotation); remove one");
    }
    let dead_letters = spec.delivery.as_ref().is_some_and(|delivery| {
        let policy = delivery.on_exhausted.unwrap_or(OnExhausted::DeadLetter);
        delivery.dead_letter.is_some() && policy == OnExhausted::DeadLetter
    });
    if active_record.on_unknown_key == OnUnknownKey::DeadLetter && !dead_letters {
        problems.contradiction("spec.encryption.activeRecord.onUnknownKey", "spec.encryption.activeRecord.onUnknownKey is DeadLetter but nothing is dead-lettered; name spec.delivery.deadLetter.topic and leave spec.delivery.onExhausted at DeadLetter, or choose Stall");
    }
}

/// What the worker is told; None where values are not encrypted.
pub(super) fn complete(spec: &KafkaConsumerSpec, files: &[SecretFile]) -> Option<Encryption> {
    let written = &spec.encryption.as_ref()?.active_record;
    let path = |name: &str| secrets::path(files, name);
    Some(Encryption {
        primary_key_files: (0..written.primary_keys().count())
            .filter_map(|index| path(&secrets::primary_key(index)))
            .collect(),
        deterministic_key_file: path(secrets::DETERMINISTIC_KEY),
        salt_file: path(secrets::SALT)?,
        hash_digest: written.hash_digest,
        support_sha1: written.support_sha1_for_non_deterministic_encryption,
        pointer: written.pointer.clone(),
        max_inflated_bytes: written.max_inflated_bytes.into(),
        on_unknown_key: written.on_unknown_key,
        on_plaintext: written.on_plaintext,
    })
}
