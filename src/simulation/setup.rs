//! The world that a policy is tried in.

use serde::Serialize;

/// The world that a policy is tried in. Times are seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Setup {
    /// Partitions of the topic.
    pub partitions: u32,
    /// How unequal they are: sigma of their log-normal shares of the load.
    pub skew: f64,
    /// Records per second that an average pod can do.
    pub per_pod: f64,
    /// Records that a pod has in flight.
    pub concurrency: u32,
    /// How unequal pods are: sigma of their log-normal speed.
    pub pod_spread: f64,
    /// Sigma of the common ups and downs of all pods.
    pub noise: f64,
    /// From a pod's creation to its joining the group: the median,
    pub start_up: f64,
    /// and the sigma of its log-normal distribution.
    pub start_up_spread: f64,
    /// From the order to go to having left the group.
    pub drain: f64,
    /// For how long a partition rests that changes its pod.
    pub pause: f64,
    /// Every change of members stops all partitions, not only those that move.
    pub eager: bool,
    /// From commit to commit of a partition.
    pub commit_every: f64,
    /// Pods run a consumer of their own: nobody reports what a pod does.
    pub own_consumer: bool,
    /// And they reach Kafka through one address, so that it cannot say which of them has which partitions.
    pub one_address: bool,
    /// Pods at least, whatever the policy.
    pub min: u32,
    /// Pods at most, whatever the policy.
    pub max: u32,
    /// No record shall wait for longer.
    pub promise: f64,
    /// Which of the possible runs.
    pub seed: u64,
    /// What goes wrong.
    pub faults: Faults,
}

/// What goes wrong, each from the middle of the trace on. Times are seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Faults {
    /// Every pod does so many times what it did: 0.6 is a handler 40 % slower.
    pub speed: Option<f64>,
    /// What lies behind the handler serves no more than so many pods, from the beginning.
    pub downstream_pods: Option<f64>,
    /// The first partition stands still for so long.
    pub stuck: Option<f64>,
    /// Offsets cannot be read for so long.
    pub blind: Option<f64>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            partitions: 48,
            skew: 0.25,
            per_pod: 100.0,
            concurrency: 1,
            pod_spread: 0.08,
            noise: 0.05,
            start_up: 30.0,
            start_up_spread: 0.25,
            drain: 3.0,
            pause: 5.0,
            eager: false,
            commit_every: 5.0,
            own_consumer: false,
            one_address: false,
            min: 1,
            max: 48,
            promise: 60.0,
            seed: 1,
            faults: Faults::default(),
        }
    }
}

impl Setup {
    /// A world without chance: equal partitions, equal pods, each start as long as the other.
    #[must_use]
    pub fn without_chance(self) -> Self {
        Self {
            skew: 0.0,
            pod_spread: 0.0,
            noise: 0.0,
            start_up_spread: 0.0,
            ..self
        }
    }
}
