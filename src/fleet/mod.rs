//! A `KafkaConsumer` and what it refers to, checked and complete.
//!
//! Pure. `validate` gives a [`Fleet`] or every [`Problem`] at once; nothing after it checks again.
//! `references` says what to look up before.

mod choice;
mod digest;
mod document;
mod encryption;
mod for_worker;
mod http;
mod idempotency;
mod names;
mod nearest;
mod pod_references;
mod problem;
mod properties;
mod quantity;
mod references;
mod replay;
mod rules;
mod schedule;
mod schema;
mod secrets;
mod security;
pub mod service;
mod skips;
mod template;
mod timing;
mod unused;
mod validate;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use k8s_openapi::api::core::v1::PodTemplateSpec;

use crate::api::{
    BreakerSpec, Decode, GroupProtocol, HeaderStyle, OnExhausted, Ordering, ScalingMode, StartAt,
};
use crate::scaling::Policy;
use crate::worker_config::{Batch, Encryption, Idempotency, RateLimit, Security, Skip};

pub use choice::choose;
pub use digest::digest;
pub use document::{
    check_document, check_document_with, unknown_in_template, why_unreadable,
    with_readable_template,
};
pub use for_worker::{worker_config, worker_config_text};
pub use http::Http;
pub use nearest::nearest;
pub use problem::Problem;
pub use quantity::amount;
pub use references::{Contents, Known, References, Wanted, references};
pub use replay::check_replay;
pub use schedule::read_schedule;
pub use secrets::{SecretFile, SecretValue};
pub use timing::Timing;
pub use unused::{Unused, unused, unused_of_document};
pub use validate::validate;

/// A checked, complete fleet: no field here is absent because nobody wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// The resource's name; also its children's.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID, for owner references; empty where the resource is only a file.
    pub uid: String,
    /// Brokers to begin with.
    pub bootstrap_servers: String,
    /// How the group agrees on partitions.
    pub group_protocol: GroupProtocol,
    /// Further librdkafka properties; none of them Drover's own.
    pub properties: BTreeMap<String, String>,
    /// How connections to Kafka are encrypted and authenticated.
    pub security: Security,
    /// The Secrets of `security`.
    pub security_files: Vec<SecretFile>,
    /// The topics.
    pub topics: Vec<String>,
    /// The consumer group.
    pub group_id: String,
    /// Where a group without offsets begins.
    pub start_at: StartAt,
    /// The user's code.
    pub handler: Handler,
    /// How an HTTP handler is spoken to; meaningless for others.
    pub http: Http,
    /// How records are delivered; meaningless for [`Handler::Consumer`].
    pub delivery: Delivery,
    /// All times that follow from the handler's time-out.
    pub timing: Timing,
    /// How a record that was handled is known again.
    pub idempotency: Option<Idempotency>,
    /// How records' values are encrypted.
    pub encryption: Option<Encryption>,
    /// Secrets that the worker finds as files.
    pub secret_files: Vec<SecretFile>,
    /// What the planner is told.
    pub policy: Policy,
    /// Who decides the size.
    pub mode: ScalingMode,
    /// `spec.replicas`, for modes `Manual` and `External`.
    pub manual_replicas: Option<u32>,
    /// What was written and is not used in this mode.
    pub unused: Vec<Unused>,
    /// Records that somebody gave up.
    pub skips: Vec<Skip>,
    /// Stopped by the user.
    pub paused: bool,
    /// The user's part of the pod.
    pub template: PodTemplateSpec,
    /// The memory limit of the worker's container in bytes: the template's or the default.
    pub worker_memory_bytes: u64,
    /// What the Secrets and ConfigMaps of spec and template hold, as a hash: a change rolls the pods.
    pub contents_hash: String,
}

/// The user's code.
#[derive(Clone, Debug, PartialEq)]
pub enum Handler {
    /// An existing service.
    Url(String),
    /// A container of the same pod.
    Port {
        /// On localhost.
        port: u16,
        /// Begins with `/`.
        path: String,
    },
    /// A container of the same pod that listens on a Unix socket.
    Socket {
        /// Its path in all containers.
        socket: String,
        /// Of requests; begins with `/`.
        path: String,
    },
    /// A command in the image of the template's container named `worker`.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
        /// Processes in a pod.
        processes: NonZeroU32,
    },
    /// A consumer of the user's own.
    Consumer {
        /// The container that consumes.
        container: String,
    },
}

/// How records are delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Which records wait for each other.
    pub ordering: Ordering,
    /// Deliveries in flight in a pod, each of one record or one batch.
    pub concurrency: NonZeroU32,
    /// Records that are delivered together.
    pub batch: Batch,
    /// What a value has to be.
    pub decode: Option<Decode>,
    /// Attempts in quick succession.
    pub attempts: NonZeroU32,
    /// Records that the whole fleet may deliver within a time.
    pub rate_limit: Option<RateLimit>,
    /// The wait before the second attempt.
    pub initial_backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
    /// Waits before later attempts.
    pub then: Vec<Duration>,
    /// The dead-letter topic.
    pub dead_letter_topic: Option<String>,
    /// What happens after the last attempt; `DeadLetter` only with a topic.
    pub on_exhausted: OnExhausted,
    /// Names of a dead letter's headers.
    pub header_style: HeaderStyle,
    /// The topic that dead letters are sent back to, if that is not the one that they came from.
    pub retry_topic: Option<String>,
    /// When to stop dead-lettering.
    pub breaker: BreakerSpec,
}

impl Delivery {
    /// The dead-letter topic, if records go there.
    pub fn used_dead_letter_topic(&self) -> Option<&str> {
        let topic = self.dead_letter_topic.as_deref();
        topic.filter(|_| self.on_exhausted == OnExhausted::DeadLetter)
    }
}

/// The memory limit of the worker's container where the template has none, in bytes.
pub const DEFAULT_WORKER_MEMORY_BYTES: u64 = 128 << 20;
/// The least memory limit of the worker's container: what it needs with a large backlog of small
/// records, in bytes.
pub const LEAST_WORKER_MEMORY_BYTES: u64 = 64 << 20;
/// The environment of [`Handler::Consumer`]: brokers.
pub const ENV_BOOTSTRAP_SERVERS: &str = "KAFKA_BOOTSTRAP_SERVERS";
/// The environment of [`Handler::Consumer`]: the group.
pub const ENV_GROUP_ID: &str = "KAFKA_GROUP_ID";
/// The environment of [`Handler::Consumer`]: the topics, with commas.
pub const ENV_TOPICS: &str = "KAFKA_TOPICS";

impl Fleet {
    /// What Drover adds to the environment of a consumer of the user's own.
    pub fn consumer_environment(&self) -> [(&'static str, String); 3] {
        consumer_environment(&self.bootstrap_servers, &self.group_id, &self.topics)
    }
}

fn consumer_environment(
    bootstrap_servers: &str,
    group_id: &str,
    topics: &[String],
) -> [(&'static str, String); 3] {
    [
        (ENV_BOOTSTRAP_SERVERS, bootstrap_servers.to_owned()),
        (ENV_GROUP_ID, group_id.to_owned()),
        (ENV_TOPICS, topics.join(",")),
    ]
}
