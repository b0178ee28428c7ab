//! What every policy is: it sees what a controller in a cluster would see, and orders a size.

use super::world::World;

/// A policy under trial.
pub trait Controller {
    /// Whether it wants to look at `now`, seconds from the beginning; `arrived` says that records
    /// have arrived since the second before.
    fn due(&self, now: f64, arrived: bool) -> bool;

    /// Looks, and orders a size or leaves it.
    fn decide(&mut self, seen: &Seen<'_>) -> Option<Order>;
}

/// An order to have so many pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Pods wanted.
    pub replicas: u32,
    /// Why, in words.
    pub why: String,
}

/// What a controller can see of the world.
pub struct Seen<'a> {
    pub(super) world: &'a World<'a>,
    /// Seconds from the beginning.
    pub now: f64,
    /// Offsets can be read.
    pub readable: bool,
}

/// A partition as Kafka tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionSeen {
    /// The next offset that a producer will get.
    pub end: u64,
    /// What the group has committed.
    pub committed: u64,
    /// The number of the pod that committed last.
    pub pod: Option<usize>,
    /// Its pod says that nothing gets past the committed offset.
    pub stuck: bool,
}

/// What a pod has reported with its commits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PodSeen {
    /// Records done.
    pub done: u64,
    /// Seconds inside the handler, added up over deliveries.
    pub busy: f64,
}

impl Seen<'_> {
    /// The partitions, in order.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionSeen> + '_ {
        self.world.partitions_seen()
    }

    /// What pod number `pod` has reported.
    pub fn pod(&self, pod: usize) -> PodSeen {
        self.world.pod_seen(pod)
    }

    /// When each of the pods that stay was made and became ready, as Kubernetes tells: seconds from the beginning.
    pub fn starts(&self) -> impl Iterator<Item = (f64, Option<f64>)> + '_ {
        self.world.starts()
    }

    /// Replicas of the Deployment's spec.
    pub fn replicas(&self) -> u32 {
        self.world.replicas()
    }

    /// Pods that are ready, of those.
    pub fn ready(&self) -> u32 {
        self.world.ready()
    }
}

/// So many pods, always.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(pub u32);

impl Controller for Fixed {
    fn due(&self, _: f64, _: bool) -> bool {
        true
    }

    fn decide(&mut self, seen: &Seen<'_>) -> Option<Order> {
        (seen.replicas() != self.0).then(|| Order {
            replicas: self.0,
            why: "fixed".to_owned(),
        })
    }
}
