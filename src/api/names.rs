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

/// Annotation of the pod template: hash of the worker's configuration, so that a change rolls.
pub const ANNOTATION_CONFIG_HASH: &str = "drover.dev/config-hash";
/// Kubernetes' own: the pods with the lowest cost leave first.
pub const ANNOTATION_DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The container of the worker in a pod template.
pub const WORKER_CONTAINER: &str = "worker";

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
    /// The fleet is stopped by `spec.paused`.
    pub const PAUSED: &str = "Paused";
    /// All of them, in the order in which status shows them.
    pub const ALL: [&str; 7] = [
        READY,
        PROGRESSING,
        KAFKA_REACHABLE,
        SCALING_ACTIVE,
        SCALING_LIMITED,
        STALLED,
        PAUSED,
    ];
}
