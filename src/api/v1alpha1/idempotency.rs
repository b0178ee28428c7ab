//! `spec.idempotency`: how a record that was handled is known again.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{Span, text};

/// How a record that was handled is known again, so that it is not handled twice when Kafka brings
/// it twice. Before an attempt its key is claimed in the store; when the handler has done it the
/// claim becomes a mark; when it fails the claim is taken back. A record whose key is marked is
/// passed over and counted; one whose key is claimed by another pod waits. What this guarantees and
/// what it cannot is in `docs/idempotency.md`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("duration(self.retention) >= duration('1m') && duration(self.retention) <= duration('8760h')",
        "spec.idempotency.retention must be between 1m and 8760h; write a time such as 24h"),
    validation = ("!has(self.store.memory) || !has(self.onStoreError)",
        "spec.idempotency.onStoreError is not for store.memory, which is always there; remove it")
)]
pub struct Idempotency {
    /// What tells two records apart: exactly one of `header`, `pointer`, `recordKey` and `offset`.
    pub key: IdempotencyKey,

    /// Where claims and marks are kept: exactly one of `memory`, `redis` and `postgres`.
    pub store: IdempotencyStore,

    /// How long a record that was handled is remembered. Longer than the time in which it may come
    /// again: a producer's retries, a redrive, offsets set back. Default 24h.
    #[serde(default = "Idempotency::default_retention")]
    pub retention: Span,

    /// Who shares marks: two KafkaConsumers with one scope handle a record once between them.
    /// Default `<namespace>.<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::scope")]
    pub scope: Option<String>,

    /// What happens while the store does not answer: `Stall` or `Deliver`. Default `Stall`. Not for
    /// `store.memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_store_error: Option<OnStoreError>,

    /// What happens to a record that has no such key: `Deliver` or `Reject`. Default `Deliver`.
    #[serde(default)]
    pub on_missing_key: OnMissingKey,

    /// A record's header that gives it a key of its own: records are compared only with those that
    /// have the same value there. For delivering again what was handled before; name a header that
    /// only you set. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::header_name")]
    pub redrive_header: Option<String>,
}

impl Idempotency {
    fn default_retention() -> Span {
        Span::secs(24 * 3600)
    }
}

/// What tells two records of a topic apart. Exactly one.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("(has(self.header) ? 1 : 0) + (has(self.pointer) ? 1 : 0) + (has(self.recordKey) ? 1 : 0) + (has(self.offset) ? 1 : 0) == 1",
        "spec.idempotency.key needs exactly one of header, pointer, recordKey and offset; keep the one that tells records apart, remove the others")
)]
pub struct IdempotencyKey {
    /// The value of the record's header of that name, such as `message-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::header_name")]
    pub header: Option<String>,

    /// The text or whole number that a JSON pointer such as `/id` finds in the record's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::json_pointer")]
    pub pointer: Option<String>,

    /// Kafka's own key of the record: `recordKey: {}`. Only for topics in which no two events share
    /// a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_key: Option<RecordKey>,

    /// Partition and offset: `offset: {}`. Knows again what Kafka itself brings twice, not what a
    /// producer has written twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<RecordOffset>,
}

/// Kafka's own key of the record.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordKey {}

/// Partition and offset of the record.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordOffset {}

/// Where claims and marks are kept. Exactly one.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("(has(self.memory) ? 1 : 0) + (has(self.redis) ? 1 : 0) + (has(self.postgres) ? 1 : 0) == 1",
        "spec.idempotency.store needs exactly one of memory, redis and postgres; keep one, remove the others")
)]
pub struct IdempotencyStore {
    /// In each pod's own memory: protects only from what one pod is brought twice while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStore>,

    /// In a Redis 2.6 or later, or what speaks its language; not a Redis Cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisStore>,

    /// In a table of a PostgreSQL 9.6 or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresStore>,
}

/// In each pod's own memory.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryStore {
    /// Marks at most, about 300 bytes each; when there are more, the oldest are forgotten before
    /// their time. Default 50000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_entries: u32,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            max_entries: 50_000,
        }
    }
}

/// In a Redis.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.username) || has(self.passwordSecret)",
        "spec.idempotency.store.redis.username goes with passwordSecret; name the Secret with its password, or remove username")
)]
pub struct RedisStore {
    /// The server: `host:port`.
    #[schemars(schema_with = "text::address")]
    pub address: String,

    /// The number of the database. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 65535))]
    pub database: u32,

    /// The user of its access list. Default: the server's default user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub username: Option<String>,

    /// The Secret with the password. Default: no password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<SecretKey>,

    /// Speak TLS. Default: plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<StoreTls>,
}

/// In a table of a PostgreSQL.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PostgresStore {
    /// The server: `host:port`.
    #[schemars(schema_with = "text::address")]
    pub address: String,

    /// The database.
    #[schemars(length(min = 1, max = 63))]
    pub database: String,

    /// The role.
    #[schemars(length(min = 1, max = 63))]
    pub username: String,

    /// The Secret with the role's password. Default: no password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<SecretKey>,

    /// The table, perhaps with its schema. It is made if it is not there and the role may make it;
    /// else `docs/idempotency.md` has the statement. Several KafkaConsumers may share one. Default
    /// `drover_idempotency`.
    #[serde(default = "PostgresStore::default_table")]
    #[schemars(schema_with = "text::table")]
    pub table: String,

    /// Speak TLS. Default: plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<StoreTls>,
}

impl PostgresStore {
    fn default_table() -> String {
        "drover_idempotency".to_owned()
    }
}

/// TLS to a store. The server's name is checked; certificates of our own are not sent.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StoreTls {
    /// The Secret with the certificates, in PEM, of those that may sign the server's.
    pub ca_secret: SecretKey,
}

/// A key of a Secret in the resource's own namespace. The pod finds its value as a file.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The Secret's name.
    #[schemars(schema_with = "text::secret_name")]
    pub name: String,
    /// The key in it.
    #[schemars(schema_with = "text::secret_key")]
    pub key: String,
}

/// What happens while the store does not answer: `Stall` (records wait, `Stalled` says so; nothing
/// is lost or handled twice) or `Deliver` (records are handled without protection, and counted).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStoreError {
    /// Records wait until it answers.
    #[default]
    Stall,
    /// Records are handled without protection.
    Deliver,
}

/// What happens to a record that has no such key: `Deliver` (it is handled without protection, and
/// counted) or `Reject` (as if the handler had rejected it: see `delivery.onExhausted`). Default
/// `Deliver`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissingKey {
    /// It is handled without protection.
    #[default]
    Deliver,
    /// As if the handler had rejected it.
    Reject,
}
