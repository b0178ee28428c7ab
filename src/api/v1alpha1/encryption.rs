//! `spec.encryption`: how records' values are encrypted.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::idempotency::SecretKey;
use crate::api::text;

/// How records' values are encrypted. The worker decrypts them before the handler gets them; a dead
/// letter is still encrypted. What happens to a record that cannot be decrypted is in
/// `docs/encryption.md`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// By Rails' ActiveRecord::Encryption.
    pub active_record: ActiveRecordEncryption,
}

/// By Rails' ActiveRecord::Encryption: the settings of `config.active_record.encryption`, each
/// secret as a key of a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.primaryKeySecret) != has(self.primaryKeySecrets)",
        "spec.encryption.activeRecord needs exactly one of primaryKeySecret (one key) and primaryKeySecrets (a list, for rotation); remove one")
)]
pub struct ActiveRecordEncryption {
    /// `primary_key`, where that is one key. Exactly one of this and `primaryKeySecrets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_key_secret: Option<SecretKey>,

    /// `primary_key`, where that is a list, as it is while keys are rotated: all of them decrypt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub primary_key_secrets: Vec<SecretKey>,

    /// `key_derivation_salt`.
    pub key_derivation_salt_secret: SecretKey,

    /// `deterministic_key`, where records hold what deterministic attributes hold. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deterministic_key_secret: Option<SecretKey>,

    /// `hash_digest_class`: `Sha256` with `load_defaults 7.1` and later, `Sha1` before; the version
    /// of Rails alone does not tell. Default `Sha256`.
    #[serde(default)]
    pub hash_digest: HashDigest,

    /// `support_sha1_for_non_deterministic_encryption`: primary keys are tried as SHA-1 derives
    /// them, too. Default false.
    #[serde(default, rename = "supportSha1ForNonDeterministicEncryption")]
    pub support_sha1_for_non_deterministic_encryption: bool,

    /// Where the message is, if the value is a plain JSON document and only a part of it is
    /// encrypted: a JSON pointer such as `/payload` to a text (or an object) that is the message.
    /// The decrypted text takes its place, as a text. Default: the whole value is the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::json_pointer")]
    pub pointer: Option<String>,

    /// Bytes that a compressed text may become; above them the record counts as one that cannot be
    /// decrypted. Decrypted values count in the worker's memory budget, a quarter of its memory limit;
    /// together they take three eighths of that at most, and so does one alone. Default 8388608.
    #[serde(default = "ActiveRecordEncryption::default_max_inflated_bytes")]
    #[schemars(range(min = 1024, max = 268_435_456))]
    pub max_inflated_bytes: u32,

    /// What happens to a record that names a key which is not among the keys here, as it does when
    /// the application is given a new key first: `Stall` or `DeadLetter`. Default `Stall`.
    #[serde(default)]
    pub on_unknown_key: OnUnknownKey,

    /// What happens to a record that is not encrypted: `Reject` or `Deliver`. Default `Reject`. A
    /// null value is no value and is always delivered.
    #[serde(default)]
    pub on_plaintext: OnPlaintext,
}

impl ActiveRecordEncryption {
    /// The Secrets of all primary keys, in the order in which they are written.
    pub fn primary_keys(&self) -> impl Iterator<Item = &SecretKey> {
        self.primary_key_secret
            .iter()
            .chain(&self.primary_key_secrets)
    }

    fn default_max_inflated_bytes() -> u32 {
        8 << 20
    }
}

/// The hash that keys are derived with: `Sha256` (`load_defaults 7.1` and later) or `Sha1`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashDigest {
    /// `OpenSSL::Digest::SHA256`.
    #[default]
    Sha256,
    /// `OpenSSL::Digest::SHA1`.
    Sha1,
}

/// What happens to a record that names a key which is not there: `Stall` (it waits, and what must
/// wait for it; `Stalled` says so; a changed Secret rolls the pods, which then have the key) or
/// `DeadLetter` (as any other record that cannot be decrypted).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnknownKey {
    /// It waits for the key.
    #[default]
    Stall,
    /// As any other record that cannot be decrypted.
    DeadLetter,
}

/// What happens to a record that is not encrypted: `Reject` (as any other that cannot be decrypted)
/// or `Deliver` (as it is: `support_unencrypted_data`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPlaintext {
    /// As any other record that cannot be decrypted.
    #[default]
    Reject,
    /// As it is.
    Deliver,
}
