//! A `KafkaConsumer` and what it refers to, checked and complete.
//!
//! Pure. `validate` gives a [`Fleet`] or every [`Problem`] at once; nothing after it checks again.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use k8s_openapi::api::core::v1::PodTemplateSpec;

use crate::api::{GroupProtocol, OnExhausted, Ordering, ScalingMode, StartAt};
use crate::scaling::Policy;

/// A checked, complete fleet: no field here is absent because nobody wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// The resource's name; also its children's.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID, for owner references.
    pub uid: String,
    /// Brokers to begin with.
    pub bootstrap_servers: String,
    /// How the group agrees on partitions.
    pub group_protocol: GroupProtocol,
    /// Further librdkafka properties; none of them Drover's own.
    pub properties: BTreeMap<String, String>,
    /// The topics.
    pub topics: Vec<String>,
    /// The consumer group.
    pub group_id: String,
    /// Where a group without offsets begins.
    pub start_at: StartAt,
    /// The user's code.
    pub handler: Handler,
    /// How records are delivered; meaningless for [`Handler::Consumer`].
    pub delivery: Delivery,
    /// All times that follow from the handler's time-out.
    pub timing: Timing,
    /// What the planner is told.
    pub policy: Policy,
    /// Who decides the size.
    pub mode: ScalingMode,
    /// `spec.replicas`, for mode `Manual`.
    pub manual_replicas: Option<u32>,
    /// Stopped by the user.
    pub paused: bool,
    /// The user's part of the pod.
    pub template: PodTemplateSpec,
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
    /// Records in flight in a pod.
    pub concurrency: NonZeroU32,
    /// Attempts in all.
    pub attempts: NonZeroU32,
    /// The wait before the second attempt.
    pub initial_backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
    /// The dead-letter topic.
    pub dead_letter_topic: Option<String>,
    /// What happens after the last attempt; `DeadLetter` only with a topic.
    pub on_exhausted: OnExhausted,
}

/// All times that follow from the handler's time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For one record.
    pub handler_timeout: Duration,
    /// For what is in flight when partitions are given back.
    pub drain_deadline: Duration,
    /// `terminationGracePeriodSeconds`.
    pub grace_period: Duration,
    /// `max.poll.interval.ms`.
    pub max_poll_interval: Duration,
}

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, such as `spec.scaling.minReplicas`.
    pub field: String,
    /// Stable CamelCase word for the condition's reason.
    pub reason: &'static str,
    /// What, why and what to do.
    pub message: String,
    /// Waiting can help (a missing Secret may appear); else only a change of the spec can.
    pub may_heal: bool,
}
