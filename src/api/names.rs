//! Every label, annotation, field manager, condition type and reason, once.

/// The field manager of the children.
pub const FIELD_MANAGER: &str = "drover-controller";
/// The field manager of the size (the Deployment's scale subresource).
pub const SCALE_MANAGER: &str = "drover-scaling";
/// The field manager of the status.
pub const STATUS_MANAGER: &str = "drover-status";

/// `app.kubernetes.io/name` of every child.
pub const APP_NAME: &str = "drover-worker";
/// `app.kubernetes.io/managed-by` of every child.
pub const MANAGED_BY: &str = "drover";
/// The label that carries the KafkaConsumer's name; the selector of its pods.
pub const LABEL_CONSUMER: &str = "drover.dev/consumer";
/// The label that carries the DeadLetterReplay's name, of its Job and its pods.
pub const LABEL_REPLAY: &str = "drover.dev/replay";
/// The label of such a Job that carries the KafkaConsumer's name.
pub const LABEL_REPLAYED: &str = "drover.dev/replayed-consumer";
/// The label of such a Job that stands for its brokers and dead-letter topic: of those with the same one runs at a time.
pub const LABEL_DEAD_LETTERS: &str = "drover.dev/dead-letters";
/// `app.kubernetes.io/name` of such a Job and its pods.
pub const REPLAY_APP_NAME: &str = "drover-replay";

/// Annotation of every child: hash of what was applied last, so that a controller that starts again
/// knows its own work and writes nothing.
pub const ANNOTATION_APPLIED: &str = "drover.dev/applied";
/// Annotation of the pod template: hash of the worker's configuration, so that a change rolls.
pub const ANNOTATION_CONFIG_HASH: &str = "drover.dev/config-hash";
/// Kubernetes' own: the pods with the lowest cost leave first.
pub const ANNOTATION_DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Annotation of a KafkaConsumer: records that somebody gave up, see [`crate::api::Skip`].
pub const ANNOTATION_SKIP: &str = "drover.dev/skip";

/// In the message of `Ready`, before what spec.template has and pods have not.
pub const NOT_IN_PODS: &str = "; not used of spec.template: ";

/// Annotation of a controller's Lease: the namespaces that its holder looks after, with commas; [`ALL_NAMESPACES`] for all.
pub const ANNOTATION_NAMESPACES: &str = "drover.dev/namespaces";
/// In [`ANNOTATION_NAMESPACES`], whatever there is.
pub const ALL_NAMESPACES: &str = "*";

/// The container of the worker in a pod template.
pub const WORKER_CONTAINER: &str = "worker";
/// The volume with the Secrets that the worker needs, in a pod template.
pub const SECRETS_VOLUME: &str = "drover-secrets";
/// With `handler.http.socket`: the volume with the socket in a pod template.
pub const SOCKET_VOLUME: &str = "drover-socket";
/// With `handler.exec`: the volume with the worker's program in a pod template.
pub const PROGRAM_VOLUME: &str = "drover-program";
/// With `handler.exec`: the init container that puts it there.
pub const PROGRAM_CONTAINER: &str = "drover-program";
/// With `handler.exec`: where the user's container has it.
pub const PROGRAM_PATH: &str = "/opt/drover";
/// With `handler.exec`: the volume with the journal of what the command has, which outlives the container.
pub const JOURNAL_VOLUME: &str = "drover-journal";
/// With `handler.exec`: where the user's container has it.
pub const JOURNAL_PATH: &str = "/run/drover";
/// The environment variable with the pod's own name.
pub const ENV_POD_NAME: &str = "POD_NAME";

/// The longest name of a KafkaConsumer. A pod is named `<name>-<hash, 10>-<suffix, 5>`; the API
/// server cuts what is over 63, and a pod's name is how reports and deletion costs tell it apart.
pub const MAX_NAME_LENGTH: usize = 46;

/// Whether this can be the name of an object, such as a Secret: a DNS subdomain (RFC 1123, as Kubernetes
/// has it). Nothing else may become a part of a path to the API server.
pub fn is_object_name(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|byte| alphanumeric(*byte))
            && bytes.last().is_some_and(|byte| alphanumeric(*byte))
            && bytes
                .iter()
                .all(|byte| alphanumeric(*byte) || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// The condition type of a DeadLetterReplay: all was dealt with.
pub const COMPLETE: &str = "Complete";
/// The condition type of a DeadLetterReplay: it has ended without that.
pub const FAILED: &str = "Failed";
/// The reasons that it gives.
pub mod replay_reason {
    /// The KafkaConsumer does not exist.
    pub const CONSUMER_NOT_FOUND: &str = "ConsumerNotFound";
    /// The KafkaConsumer's spec has problems.
    pub const INVALID_CONSUMER: &str = "InvalidConsumer";
    /// The KafkaConsumer names no dead-letter topic.
    pub const NO_DEAD_LETTER_TOPIC: &str = "NoDeadLetterTopic";
    /// The KafkaConsumer names no header for `spec.bypassIdempotency`.
    pub const NO_REDRIVE_HEADER: &str = "NoRedriveHeader";
    /// No dead letter can satisfy the filter, or the target is the dead-letter topic.
    pub const NOTHING_MEANT: &str = "NothingMeant";
    /// Another replay of the same KafkaConsumer, or of the same dead-letter topic, is at it.
    pub const ANOTHER_RUNS: &str = "AnotherRuns";
    /// A Job of the name is somebody else's.
    pub const NAME_TAKEN: &str = "NameTaken";
    /// The API server refused the Job.
    pub const JOB_REFUSED: &str = "JobRefused";
    /// A pod is at it, or will be.
    pub const RUNNING: &str = "Running";
    /// An attempt failed; another follows.
    pub const RETRYING: &str = "Retrying";
    /// A pod cannot run.
    pub const POD_TROUBLE: &str = "PodTrouble";
    /// All was dealt with.
    pub const REPLAYED: &str = "Replayed";
    /// What would be replayed was counted.
    pub const COUNTED: &str = "Counted";
    /// Too many of those that were replayed are dead letters again.
    pub const TOO_MANY_FAIL_AGAIN: &str = "TooManyFailAgain";
    /// Some were refused by the topic that they go to, or deleted before their turn; the others were replayed.
    pub const INCOMPLETE: &str = "Incomplete";
    /// Another replay of the dead-letter topic has begun and ended this one.
    pub const FENCED: &str = "Fenced";
    /// It was given up after some attempts.
    pub const JOB_FAILED: &str = "JobFailed";
    /// The object cannot be read.
    pub const UNREADABLE: &str = "Unreadable";
    /// The Job has ended, and its pods with what they left are gone.
    pub const RESULT_LOST: &str = "ResultLost";
    /// All of them.
    pub const ALL: [&str; 19] = [
        CONSUMER_NOT_FOUND,
        INVALID_CONSUMER,
        NO_DEAD_LETTER_TOPIC,
        NO_REDRIVE_HEADER,
        NOTHING_MEANT,
        ANOTHER_RUNS,
        NAME_TAKEN,
        JOB_REFUSED,
        RUNNING,
        RETRYING,
        POD_TROUBLE,
        REPLAYED,
        COUNTED,
        TOO_MANY_FAIL_AGAIN,
        INCOMPLETE,
        FENCED,
        JOB_FAILED,
        UNREADABLE,
        RESULT_LOST,
    ];
}

/// Condition types.
pub mod condition {
    /// The fleet does what its spec says.
    pub const READY: &str = "Ready";
    /// A roll-out or a change of size is under way.
    pub const PROGRESSING: &str = "Progressing";
    /// Offsets can be read.
    pub const KAFKA_REACHABLE: &str = "KafkaReachable";
    /// Size follows decisions.
    pub const SCALING_ACTIVE: &str = "ScalingActive";
    /// Something holds the size below or above what was wanted.
    pub const SCALING_LIMITED: &str = "ScalingLimited";
    /// A record that nothing gets past.
    pub const STALLED: &str = "Stalled";
    /// Records that cannot be handled have a place to go to.
    pub const DEAD_LETTER_WRITABLE: &str = "DeadLetterWritable";
    /// Others than the fleet's pods take records of its group.
    pub const GROUP_SHARED: &str = "GroupShared";
    /// The fleet is stopped by `spec.paused`.
    pub const PAUSED: &str = "Paused";
    /// All of them, in the order in which status shows them.
    pub const ALL: [&str; 9] = [
        READY,
        PROGRESSING,
        KAFKA_REACHABLE,
        SCALING_ACTIVE,
        SCALING_LIMITED,
        STALLED,
        DEAD_LETTER_WRITABLE,
        GROUP_SHARED,
        PAUSED,
    ];
    /// Reasons for which [`SCALING_ACTIVE`] is `False` because somebody chose so.
    pub const CHOSEN: [&str; 4] = ["Paused", "Manual", "External", "RecommendOnly"];
}

/// Reasons of problems: what is wrong with a spec or with what it refers to. Stable: alerts and
/// scripts may compare them.
pub mod reason {
    /// A field has a value that it cannot have.
    pub const INVALID_VALUE: &str = "InvalidValue";
    /// A field that must be there is not.
    pub const MISSING_FIELD: &str = "MissingField";
    /// A field that does not exist: the API server would drop it.
    pub const UNKNOWN_FIELD: &str = "UnknownField";
    /// Two fields contradict each other.
    pub const CONTRADICTION: &str = "Contradiction";
    /// `metadata.name` does not do for the children.
    pub const INVALID_NAME: &str = "InvalidName";
    /// A librdkafka property that Drover sets itself, or that would break it.
    pub const OWNED_PROPERTY: &str = "OwnedProperty";
    /// A librdkafka property that holds a secret, which would be readable in a pod.
    pub const SECRET_IN_PROPERTY: &str = "SecretInProperty";
    /// `spec.template` says something that Drover must decide, or that cannot work.
    pub const INVALID_TEMPLATE: &str = "InvalidTemplate";
    /// The pod's grace period is too short for the handler's time-out.
    pub const GRACE_PERIOD_TOO_SHORT: &str = "GracePeriodTooShort";
    /// A Secret that the template needs does not exist.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// A ConfigMap that the template needs does not exist.
    pub const CONFIG_MAP_NOT_FOUND: &str = "ConfigMapNotFound";
    /// A Secret or ConfigMap is there, but not the key that the template needs.
    pub const KEY_NOT_FOUND: &str = "KeyNotFound";
    /// A topic does not exist in Kafka.
    pub const TOPIC_NOT_FOUND: &str = "TopicNotFound";
    /// The document is not a KafkaConsumer that this version knows.
    pub const UNKNOWN_KIND: &str = "UnknownKind";
    /// The document cannot be read at all.
    pub const UNREADABLE: &str = "Unreadable";
    /// All of them.
    pub const ALL: [&str; 15] = [
        INVALID_VALUE,
        MISSING_FIELD,
        UNKNOWN_FIELD,
        CONTRADICTION,
        INVALID_NAME,
        OWNED_PROPERTY,
        SECRET_IN_PROPERTY,
        INVALID_TEMPLATE,
        GRACE_PERIOD_TOO_SHORT,
        SECRET_NOT_FOUND,
        CONFIG_MAP_NOT_FOUND,
        KEY_NOT_FOUND,
        TOPIC_NOT_FOUND,
        UNKNOWN_KIND,
        UNREADABLE,
    ];
}

#[cfg(test)]
mod tests {
    use super::is_object_name;

    #[test]
    fn only_dns_subdomains_are_names_of_objects() {
        for name in ["keys", "a", "0.keys-2.of.shop", &"a".repeat(253)] {
            assert!(is_object_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../keys",
            "a/b",
            "a..b",
            "-a",
            "a-",
            "Keys",
            "a?b",
            "a%2f",
            "a ",
            &"a".repeat(254),
        ] {
            assert!(!is_object_name(name), "{name}");
        }
    }
}
