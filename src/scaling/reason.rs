//! Why a fleet has the size that it has.

mod sentence;

pub(super) use sentence::number;

use std::time::Duration;

use jiff::Timestamp;

use super::Policy;
use super::behind::Shown;
use super::rises::Known;
use super::sample::LagUnknown;
use super::schedule::Floor;
use super::smaller::Smaller;
use super::state::State;
use super::target::Needs;
use crate::topic::TopicPartition;

/// A reason; `Display` is the sentence for people, [`Why::label`] the word for machines.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// Nothing waits, no pod runs.
    AtRest,
    /// The size is enough.
    Enough {
        /// It.
        replicas: u32,
        /// Records that wait.
        backlog: u64,
        /// Records that arrive per second, where known.
        arrival: Option<f64>,
        /// Seconds until what waits is finished.
        projected: f64,
        /// Why fewer are not, where that is known.
        smaller: Option<Smaller>,
    },
    /// The projected delay presses: raise.
    Raise {
        /// Pods now.
        from: u32,
        /// Pods wanted.
        to: u32,
        /// Records that wait.
        backlog: u64,
        /// Records that arrive per second, where known.
        arrival: Option<f64>,
        /// Records per second that a pod can do.
        per_pod: f64,
        /// That was measured, not guessed.
        measured: bool,
        /// What the user promised.
        promise: Duration,
    },
    /// Rises come again and again, and the size rides them out.
    Passes {
        /// The size.
        replicas: u32,
        /// Records that wait.
        backlog: u64,
        /// Records that arrive per second, where known.
        arrival: Option<f64>,
        /// Rises that were like it.
        rises: usize,
        /// Seconds within which they came.
        within: f64,
        /// How long a record waits at most, seconds.
        worst: f64,
        /// A smaller size that would do between them, where it is held for the next.
        fewer: Option<u32>,
    },
    /// A burst has just begun: look once more before ordering.
    SecondLook,
    /// Fewer pods would do.
    Spare {
        /// Pods now.
        from: u32,
        /// Pods that would do.
        to: u32,
        /// Records that arrive per second.
        arrival: f64,
        /// Records per second that a pod can do.
        per_pod: f64,
        /// That was measured; else fewer pods are a probe.
        measured: bool,
    },
    /// Nothing waits and nothing arrives.
    Idle {
        /// For so many seconds.
        seconds: f64,
    },
    /// Nothing waits and nothing arrives, but the last pod stays as long as the user wants it to.
    StaysAwake {
        /// Idle for so many seconds.
        idle: f64,
        /// It stays for so many more.
        left: f64,
    },
    /// Fewer pods would do, but not for long enough yet.
    NotWorthItYet {
        /// Pods that would do.
        to: u32,
        /// Pod-seconds that were not needed.
        collected: f64,
        /// Pod-seconds that a needless round of down and up costs.
        price: f64,
    },
    /// Offsets of some partitions could not be read or make no sense.
    Unknown {
        /// How many.
        unknown: usize,
        /// Of how many.
        partitions: usize,
        /// The first of them.
        first: TopicPartition,
        /// What is wrong with its offsets; none where there are none.
        cause: Option<LagUnknown>,
    },
    /// The newest offsets are too old.
    Stale {
        /// So old.
        age: Duration,
    },
    /// No partition of the topics is known.
    NoPartitions,
    /// Ordered pods are not all ready.
    Starting {
        /// Pods that are ready.
        ready: u32,
        /// Pods ordered.
        ordered: u32,
        /// Of those that are not ready, so many are not awaited any more.
        given_up: u32,
    },
    /// A roll-out is under way.
    Rolling,
    /// The group is still sharing partitions out.
    Settling,
    /// More than half of the attempts fail.
    HandlerFailing {
        /// The share that fails.
        ratio: f64,
    },
    /// The handler asks for less, whatever it is given.
    TurnedAway {
        /// For how long already.
        seconds: f64,
    },
    /// Most partitions do not move.
    MostlyStuck {
        /// How many.
        stuck: usize,
        /// Of how many.
        partitions: usize,
    },
    /// A raise brought no capacity: pods share a limit.
    MorePodsDoNotHelp {
        /// Pods at most.
        most: u32,
        /// What has shown it; none where more pods have helped since, and even more are not ordered at once.
        shown: Option<Shown>,
        /// More are tried once more.
        probes: bool,
    },
    /// The partitions are too few.
    CappedByPartitions {
        /// Pods wanted.
        wanted: u32,
        /// Partitions of all topics.
        partitions: u32,
    },
    /// `scaling.maxReplicas` is too low.
    CappedByMax {
        /// Pods wanted.
        wanted: u32,
        /// The limit.
        max: u32,
        /// The largest useful size within it.
        useful: u32,
    },
    /// `delivery.rateLimit` allows no more, whatever the number of pods.
    CappedByRate {
        /// Pods that use it up.
        pods: u32,
        /// Records per second that the fleet may deliver.
        rate: f64,
    },
    /// There are more pods than are allowed, which the load does not ask for: the limit was lowered, or
    /// somebody else set the size.
    BeyondLimit {
        /// Pods that there are.
        pods: u32,
        /// As many are allowed by `scaling.maxReplicas`; none where the partitions are the limit.
        max: Option<u32>,
        /// The largest useful size within the limit.
        useful: u32,
    },
    /// `scaling.minReplicas` holds.
    AtLeastMin {
        /// The limit.
        min: u32,
        /// Partitions of all topics.
        partitions: u32,
    },
    /// A peak of `scaling.schedule` holds.
    Scheduled {
        /// It.
        peak: Box<Floor>,
        /// Partitions of all topics.
        partitions: u32,
    },
    /// A wake-up takes longer than the promise.
    ZeroTooSlow {
        /// Seconds that it takes.
        takes: f64,
        /// What the user promised.
        promise: Duration,
    },
    /// Pods take so long to start that a sudden rise of the load breaks the promise.
    SloUnreachable {
        /// Seconds until a rise is noticed.
        notice: f64,
        /// Seconds that pods take to start.
        start_up: f64,
        /// Seconds at most that the group takes to share its partitions out.
        rebalance: f64,
        /// What the user promised.
        promise: Duration,
    },
    /// Retention is about to take records that nobody has read.
    RetentionNear {
        /// Where.
        partition: TopicPartition,
        /// In so many seconds.
        seconds: f64,
    },
    /// Partitions that do not move are left out.
    StuckLeftOut {
        /// How many.
        stuck: usize,
        /// The first of them.
        first: TopicPartition,
        /// Its first unfinished record.
        offset: i64,
        /// What the last attempt ended with, where a worker says so.
        error: Option<String>,
    },
    /// Partitions were stuck, and what came meanwhile is left out.
    CatchingUp {
        /// How many.
        partitions: usize,
        /// One of them.
        first: TopicPartition,
        /// Records that wait there.
        records: u64,
    },
    /// Pods were ordered long ago and have not become ready.
    PodsMissing {
        /// How many.
        missing: u32,
        /// Of so many.
        ordered: u32,
    },
    /// Records failed and are tried again: they are left out.
    RetriesLeftOut {
        /// How many.
        records: u64,
        /// How many of them wait for a later attempt, and when the first of these is due.
        later: Option<(u64, Timestamp)>,
        /// The partition of the one that has waited longest.
        partition: TopicPartition,
        /// For so many seconds.
        seconds: f64,
        /// The pod that has all of them and finishes nothing else: it may be the pod that fails, not they.
        pod: Option<String>,
    },
    /// One partition gets more than a pod can do.
    HotPartition {
        /// It.
        partition: TopicPartition,
        /// Records that arrive there per second.
        rate: f64,
        /// Records per second that a pod can do.
        per_pod: f64,
    },
}

impl Why {
    pub(super) fn raised(
        policy: &Policy,
        state: &State,
        from: u32,
        to: u32,
        needs: &Needs,
    ) -> Self {
        Self::Raise {
            from,
            to,
            backlog: needs.waits as u64,
            arrival: needs.arrival,
            per_pod: needs.per_pod,
            measured: state.capacity.measured().is_some(),
            promise: policy.max_delay,
        }
    }

    pub(super) fn passes(replicas: u32, needs: &Needs, known: &Known) -> Self {
        Self::Passes {
            replicas,
            backlog: needs.waits as u64,
            arrival: needs.arrival,
            rises: known.rises,
            within: known.within,
            worst: known.worst,
            fewer: known.fewer,
        }
    }

    /// The word for metrics, events and conditions; stable.
    pub fn label(&self) -> &'static str {
        match self {
            Self::AtRest => "AtRest",
            Self::Enough { .. } => "Enough",
            Self::Raise { .. } => "DelayProjected",
            Self::Passes { .. } => "PeakPasses",
            Self::SecondLook => "SecondLook",
            Self::Spare { .. } => "CapacityToSpare",
            Self::Idle { .. } => "Idle",
            Self::StaysAwake { .. } => "StaysAwake",
            Self::NotWorthItYet { .. } => "NotWorthItYet",
            Self::Unknown { .. } => "LagUnknown",
            Self::Stale { .. } => "OffsetsStale",
            Self::NoPartitions => "NoPartitions",
            Self::Starting { .. } => "PodsStarting",
            Self::Rolling => "RollingOut",
            Self::Settling => "Rebalancing",
            Self::HandlerFailing { .. } => "HandlerFailing",
            Self::TurnedAway { .. } => "HandlerTurnsAway",
            Self::MostlyStuck { .. } => "MostlyStuck",
            Self::MorePodsDoNotHelp { .. } => "MorePodsDoNotHelp",
            Self::CappedByPartitions { .. } => "CappedByPartitions",
            Self::CappedByMax { .. } => "CappedByMaxReplicas",
            Self::CappedByRate { .. } => "CappedByRateLimit",
            Self::BeyondLimit { .. } => "BeyondLimit",
            Self::AtLeastMin { .. } => "AtLeastMinReplicas",
            Self::Scheduled { .. } => "Scheduled",
            Self::ZeroTooSlow { .. } => "ZeroTooSlow",
            Self::SloUnreachable { .. } => "SLOUnreachable",
            Self::RetentionNear { .. } => "RetentionNear",
            Self::StuckLeftOut { .. } => "StuckLeftOut",
            Self::CatchingUp { .. } => "CatchingUp",
            Self::PodsMissing { .. } => "PodsMissing",
            Self::RetriesLeftOut { .. } => "RetriesLeftOut",
            Self::HotPartition { .. } => "HotPartition",
        }
    }

    /// Something keeps the size from what the load asks for: status shows it as the condition
    /// `ScalingLimited`.
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::HandlerFailing { .. }
                | Self::TurnedAway { .. }
                | Self::MostlyStuck { .. }
                | Self::MorePodsDoNotHelp { .. }
                | Self::CappedByPartitions { .. }
                | Self::CappedByMax { .. }
                | Self::CappedByRate { .. }
                | Self::ZeroTooSlow { .. }
                | Self::SloUnreachable { .. }
                | Self::HotPartition { .. }
        )
    }

    /// Nothing can be decided for want of data.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. } | Self::Stale { .. } | Self::NoPartitions
        )
    }
}
