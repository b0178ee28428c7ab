//! Secrets that the worker itself needs. It finds them as files: never in its configuration, its
//! environment or its arguments, where more people can read them.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::api::{Encryption, KafkaConsumerSpec, SecretKey};
use crate::worker_config::SECRETS_PATH;

/// A key of a Secret, as a file in the worker's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// The Secret's name.
    pub secret: String,
    /// The key in it.
    pub key: String,
    /// The file's name below [`SECRETS_PATH`].
    pub file: Cow<'static, str>,
    /// The field that names it.
    pub(super) field: Cow<'static, str>,
}

impl SecretFile {
    /// Where the worker finds it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(SECRETS_PATH).join(&*self.file)
    }
}

/// The file with the store's password.
pub(super) const STORE_PASSWORD: &str = "idempotency-password";
/// The file with the certificates that the store's is checked with.
pub(super) const STORE_CA: &str = "idempotency-ca.crt";

/// The file with the salt of key derivation.
pub(super) const SALT: &str = "encryption-key-derivation-salt";
/// The file with the deterministic key.
pub(super) const DETERMINISTIC_KEY: &str = "encryption-deterministic-key";

/// The file with a primary key, by its place among them.
pub(super) fn primary_key(index: usize) -> String {
    format!("encryption-primary-key-{index}")
}

/// All of them, in the order of the spec.
pub(super) fn secret_files(spec: &KafkaConsumerSpec) -> Vec<SecretFile> {
    let mut files = Vec::new();
    let mut add = |named: Option<&SecretKey>, file: &'static str, field: &'static str| {
        files.extend(named.map(|named| SecretFile {
            secret: named.name.clone(),
            key: named.key.clone(),
            file: file.into(),
            field: field.into(),
        }));
    };
    if let Some(idempotency) = &spec.idempotency {
        if let Some(redis) = &idempotency.store.redis {
            let ca = redis.tls.as_ref().map(|tls| &tls.ca_secret);
            add(
                redis.password_secret.as_ref(),
                STORE_PASSWORD,
                "spec.idempotency.store.redis.passwordSecret",
            );
            add(ca, STORE_CA, "spec.idempotency.store.redis.tls.caSecret");
        }
        if let Some(postgres) = &idempotency.store.postgres {
            let ca = postgres.tls.as_ref().map(|tls| &tls.ca_secret);
            add(
                postgres.password_secret.as_ref(),
                STORE_PASSWORD,
                "spec.idempotency.store.postgres.passwordSecret",
            );
            add(ca, STORE_CA, "spec.idempotency.store.postgres.tls.caSecret");
        }
    }
    if let Some(encryption) = &spec.encryption {
        of_encryption(encryption, &mut files);
    }
    files
}

fn of_encryption(encryption: &Encryption, files: &mut Vec<SecretFile>) {
    let written = &encryption.active_record;
    let mut add = |named: &SecretKey, file: Cow<'static, str>, field: &str| {
        files.push(SecretFile {
            secret: named.name.clone(),
            key: named.key.clone(),
            file,
            field: format!("spec.encryption.activeRecord.{field}").into(),
        });
    };
    for (index, named) in written.primary_keys().enumerate() {
        let field = match written.primary_key_secret {
            Some(_) if index == 0 => "primaryKeySecret".to_owned(),
            _ => format!("primaryKeySecrets[{index}]"),
        };
        add(named, primary_key(index).into(), &field);
    }
    let salt = &written.key_derivation_salt_secret;
    add(salt, SALT.into(), "keyDerivationSaltSecret");
    if let Some(named) = &written.deterministic_key_secret {
        add(named, DETERMINISTIC_KEY.into(), "deterministicKeySecret");
    }
}
