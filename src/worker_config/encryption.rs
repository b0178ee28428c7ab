//! What a worker is told of encryption. Secrets are files, of which it is told the paths.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{HashDigest, OnPlaintext, OnUnknownKey};

/// How records' values are encrypted.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Encryption {
    /// A file for each primary key.
    pub primary_key_files: Vec<PathBuf>,
    /// The file with the deterministic key.
    pub deterministic_key_file: Option<PathBuf>,
    /// The file with the salt.
    pub salt_file: PathBuf,
    /// What keys are derived with.
    pub hash_digest: HashDigest,
    /// Primary keys are tried as SHA-1 derives them, too.
    pub support_sha1: bool,
    /// Where in the value the message is; None where it is the value.
    pub pointer: Option<String>,
    /// Bytes that a compressed text may become.
    pub max_inflated_bytes: u64,
    /// What happens to a record that names a key which is not there.
    pub on_unknown_key: OnUnknownKey,
    /// What happens to a record that is not encrypted.
    pub on_plaintext: OnPlaintext,
}
