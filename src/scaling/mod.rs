//! Decides how many replicas a fleet should have.
//!
//! Pure: takes samples and `now`, returns a decision with its reasons. Reading lag is `lag`'s work,
//! scaling is `controller::scale`'s.

mod sample;

pub use sample::{PartitionSample, PodSample, Sample};

use std::time::Duration;

use jiff::Timestamp;

/// What the user promised and allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Pods at least.
    pub min: u32,
    /// Pods at most; none means as many as there are partitions.
    pub max: Option<u32>,
    /// No record waits longer than this.
    pub max_delay: Duration,
    /// Deliveries in flight in a pod, for the first guess of an unmeasured handler.
    pub concurrency: u32,
}

/// What was decided, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Pods wanted.
    pub replicas: u32,
    /// The first decided; the others held, raised or lowered on the way.
    pub reasons: Vec<Why>,
    /// Look again at this time at the latest, even if no new sample comes.
    pub look_again_at: Timestamp,
}

/// A reason; `Display` is the sentence for people.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {}
