//! What a worker is told of its idempotency store. Secrets are files, of which it is told the paths.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{OnMissingKey, OnStoreError, millis};

/// How a record that was handled is known again.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Idempotency {
    /// What the key is made of.
    pub key: IdempotencyKey,
    /// A header that gives a record a key of its own.
    pub redrive_header: Option<String>,
    /// The topic whose records have the key that they had where they were first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_topic: Option<String>,
    /// Where claims and marks are kept.
    pub store: StoreKind,
    /// Who shares them.
    pub scope: String,
    /// How long a mark stays.
    #[serde(with = "millis")]
    pub retention: Duration,
    /// How long a claim stays if its holder is never heard of again.
    #[serde(with = "millis")]
    pub lease: Duration,
    /// What happens while the store does not answer.
    pub on_store_error: OnStoreError,
    /// What happens to a record without the key.
    pub on_missing_key: OnMissingKey,
}

/// What a key is made of.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum IdempotencyKey {
    /// A header's value.
    Header(String),
    /// What a JSON pointer finds in the value.
    Pointer(String),
    /// Kafka's key.
    RecordKey,
    /// Partition and offset.
    Offset,
}

/// Where claims and marks are kept.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum StoreKind {
    /// In the worker's own memory.
    Memory {
        /// Marks at most.
        max_entries: u32,
    },
    /// In a Redis, or what speaks its language.
    Redis(Redis),
    /// In a PostgreSQL.
    Postgres(Postgres),
}

/// How to reach a Redis.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redis {
    /// `host:port`.
    pub address: String,
    /// The database's number.
    pub database: u32,
    /// The user; None for Redis' own default.
    pub username: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The file with the certificates of those that may sign the server's; with it TLS is spoken.
    pub ca_file: Option<PathBuf>,
}

/// How to reach a PostgreSQL.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Postgres {
    /// `host:port`.
    pub address: String,
    /// The database.
    pub database: String,
    /// The role.
    pub username: String,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The table, perhaps with its schema.
    pub table: String,
    /// The file with the certificates of those that may sign the server's; with it TLS is spoken.
    pub ca_file: Option<PathBuf>,
}
