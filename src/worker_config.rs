//! The contract from controller to worker: what `resources/worker_container.rs` writes into the pod template
//! and `drover-worker` reads. No secret is in it. Pure; both sides round-trip it in a test.

mod encryption;
mod idempotency;
mod relocated;
pub mod replay;
pub mod security;
mod skip;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The environment variable that gives the configuration to the worker.
pub const ENV_CONFIG: &str = "DROVER_CONFIG";
/// The environment variable with the folder of the journal.
pub const ENV_JOURNAL: &str = "DROVER_JOURNAL";
/// The folder where the Secrets that the worker needs are mounted.
pub const SECRETS_PATH: &str = "/etc/drover-secrets";
/// The worker's port for `/livez`, `/readyz` and `/metrics`.
pub const ADMIN_PORT: u16 = 9090;

/// Everything a worker needs to know, complete: no field has a default here.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerConfig {
    /// `namespace/name` of the KafkaConsumer, for logs and headers.
    pub consumer: String,
    /// Brokers to begin with.
    pub bootstrap_servers: String,
    /// The consumer group.
    pub group_id: String,
    /// The topics.
    pub topics: Vec<String>,
    /// How the group agrees on partitions.
    pub group_protocol: GroupProtocol,
    /// Further librdkafka properties, checked by `fleet::validate`.
    pub properties: BTreeMap<String, String>,
    /// How connections to Kafka are encrypted and authenticated.
    #[serde(default, skip_serializing_if = "Security::is_none")]
    pub security: Security,
    /// How records are delivered.
    pub handler: Handler,
    /// Which records wait for each other.
    pub ordering: Ordering,
    /// Requests in flight at most, each with one record or one batch.
    pub concurrency: u32,
    /// Records that are delivered together.
    pub batch: Batch,
    /// What a value has to be before the handler is given it; none for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<Decode>,
    /// Attempts in quick succession.
    pub attempts: u32,
    /// The wait before the second attempt.
    #[serde(with = "millis")]
    pub initial_backoff: Duration,
    /// The longest wait between attempts.
    #[serde(with = "millis")]
    pub max_backoff: Duration,
    /// Waits before later attempts, one each.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "many_millis")]
    pub then: Vec<Duration>,
    /// The dead-letter topic.
    pub dead_letter_topic: Option<String>,
    /// Names of a dead letter's headers.
    pub dead_letter_headers: HeaderStyle,
    /// The topic that dead letters are sent back to; one of `topics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_topic: Option<String>,
    /// When to stop dead-lettering: of so many records in a hundred …
    pub breaker_percent: u32,
    /// … of at least so many records …
    pub breaker_min_records: u32,
    /// … within this time.
    #[serde(with = "millis")]
    pub breaker_window: Duration,
    /// Records that the whole fleet may deliver within a time; none for as many as it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// What happens after the last attempt.
    pub on_exhausted: OnExhausted,
    /// How long the handler may take for one record.
    #[serde(with = "millis")]
    pub handler_timeout: Duration,
    /// How long what is in flight may take to finish when partitions are given back.
    #[serde(with = "millis")]
    pub drain_deadline: Duration,
    /// librdkafka's `max.poll.interval.ms`, which is also the group's rebalance time-out.
    #[serde(with = "millis")]
    pub max_poll_interval: Duration,
    /// Bytes of records that may be held, read ahead by librdkafka or taken by the engine.
    pub memory_budget_bytes: u64,
    /// How a record that was handled is known again; None where nobody looks.
    pub idempotency: Option<Idempotency>,
    /// How records' values are encrypted; None where they are not.
    pub encryption: Option<Encryption>,
    /// Records that somebody gave up: they are passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<Skip>,
}

pub use encryption::Encryption;
pub use idempotency::{Idempotency, IdempotencyKey, Postgres, Redis, StoreKind};
pub use security::Security;
pub use skip::Skip;

impl WorkerConfig {
    /// Attempts in all, the quick and the later ones.
    pub fn attempts_in_all(&self) -> u32 {
        let later = u32::try_from(self.then.len()).unwrap_or(u32::MAX);
        self.attempts.saturating_add(later)
    }

    /// How long the brokers may take to acknowledge a dead letter: what the drain has left for it
    /// behind an attempt that used all of its time, but not less than it takes them to do without a broker
    /// that has died. What is not acknowledged is written again, and may be there twice then.
    pub fn dead_letter_timeout(&self) -> Duration {
        dead_letter_timeout(self.drain_deadline, self.handler_timeout)
    }
}

fn dead_letter_timeout(drain_deadline: Duration, handler_timeout: Duration) -> Duration {
    let left = drain_deadline.saturating_sub(handler_timeout);
    left.max(BROKER_LOST.min(drain_deadline))
        .max(SHORTEST_DEAD_LETTER)
}

/// librdkafka's least `delivery.timeout.ms` that makes sense with its time-outs of requests.
const SHORTEST_DEAD_LETTER: Duration = Duration::from_secs(1);
/// A broker is out of the set that has to acknowledge when it was silent for its session of nine seconds
/// (`broker.session.timeout.ms`); and a moment for the others to hear of it.
const BROKER_LOST: Duration = Duration::from_secs(15);

/// Records that are delivered together.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Batch {
    /// At most; 1 delivers each alone.
    pub max_records: u32,
    /// Bytes of keys, values and headers at most, unless one record alone has more.
    pub max_bytes: u64,
    /// The longest that a record waits for company.
    #[serde(with = "millis")]
    pub max_wait: Duration,
}

/// Records within a time, at most.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// So many, of the whole fleet.
    pub records: u32,
    /// Within this.
    #[serde(with = "millis")]
    pub per: Duration,
}

/// How records are delivered.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum Handler {
    /// To an HTTP server.
    Http(HttpHandler),
    /// To a command.
    Exec(ExecHandler),
}

/// A command, of which as many processes run as there are deliveries in flight.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecHandler {
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// An HTTP server.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpHandler {
    /// Where records are POSTed.
    pub url: String,
    /// The Unix socket to connect to instead of the URL's host.
    pub socket: Option<String>,
    /// It runs in the same pod: wait for it before joining the group.
    pub in_pod: bool,
    /// What a record looks like.
    pub format: HttpFormat,
    /// What HTTP is spoken over.
    pub protocol: HttpProtocol,
    /// How one behind `https://` is checked, and what it is shown; None: by the public authorities, and nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<HandlerTls>,
    /// The file with what the header `authorization` of every request says; None: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_file: Option<PathBuf>,
}

/// TLS to an HTTP server.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HandlerTls {
    /// The file with the certificates of those that may sign the server's; None: the public authorities.
    pub ca_file: Option<PathBuf>,
    /// What the server is shown.
    pub certificate: Option<security::Certificate>,
}

impl std::fmt::Display for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http(http) => f.write_str(http.socket.as_ref().unwrap_or(&http.url)),
            // Not its arguments, which may be nobody's business.
            Self::Exec(exec) => f.write_str(exec.command.first().map_or("", String::as_str)),
        }
    }
}

/// See [`crate::api::Decode`].
pub use crate::api::Decode;
/// See [`crate::api::GroupProtocol`].
pub use crate::api::GroupProtocol;
/// See [`crate::api::HashDigest`].
pub use crate::api::HashDigest;
/// See [`crate::api::HeaderStyle`].
pub use crate::api::HeaderStyle;
/// See [`crate::api::HttpFormat`].
pub use crate::api::HttpFormat;
/// See [`crate::api::HttpProtocol`].
pub use crate::api::HttpProtocol;
/// See [`crate::api::OnExhausted`].
pub use crate::api::OnExhausted;
/// See [`crate::api::OnMissingKey`].
pub use crate::api::OnMissingKey;
/// See [`crate::api::OnPlaintext`].
pub use crate::api::OnPlaintext;
/// See [`crate::api::OnStoreError`].
pub use crate::api::OnStoreError;
/// See [`crate::api::OnUnknownKey`].
pub use crate::api::OnUnknownKey;
/// See [`crate::api::Ordering`].
pub use crate::api::Ordering;

/// See [`crate::api::librdkafka`].
pub use crate::api::librdkafka::{OWNED_PROPERTIES, OwnedProperty, owned_property};

/// Durations are whole milliseconds in the file.
mod many_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(values: &[Duration], serializer: S) -> Result<S::Ok, S::Error> {
        let millis = |value: &Duration| u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
        serializer.collect_seq(values.iter().map(millis))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Duration>, D::Error> {
        let millis = Vec::<u64>::deserialize(deserializer)?;
        Ok(millis.into_iter().map(Duration::from_millis).collect())
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_has_as_long_as_brokers_need_to_do_without_one_of_them() {
        let of = |drain, handler| {
            let seconds = Duration::from_secs;
            dead_letter_timeout(seconds(drain), seconds(handler)).as_secs()
        };
        assert_eq!(of(35, 30), 15);
        assert_eq!(of(120, 30), 90, "what the drain leaves");
        assert_eq!(of(8, 5), 8, "not longer than the drain");
        assert_eq!(of(0, 30), 1);
    }
}
