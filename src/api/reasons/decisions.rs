//! Reasons of decisions about a size: `status.scaling.reasons` has their sentences, metrics their
//! words.

use super::{Reason, reason, well};

/// All that the policy says. Those of the condition `ScalingLimited` have their remedies there.
pub const ALL: &[Reason] = &[
    well("AtRest", "nothing waits, so no pod is needed"),
    well("Enough", "the size is enough for what waits and arrives"),
    well(
        "DelayProjected",
        "raised: without it a record would wait longer than promised",
    ),
    well(
        "PeakPasses",
        "peaks like this one have come and gone, and the size is enough for them; more pods are ordered in time should one last",
    ),
    well(
        "SecondLook",
        "a burst has just begun: it is looked at once more, to order the right size in one step",
    ),
    well("CapacityToSpare", "lowered: fewer pods would do"),
    well("Idle", "nothing waits and nothing arrives"),
    well(
        "StaysAwake",
        "nothing waits and nothing arrives, and the last pod stays as long as spec.scaling.idleTimeToZero says",
    ),
    well(
        "NotWorthItYet",
        "fewer pods would do, but not for long enough yet to pay for a needless round of down and up",
    ),
    reason(
        "LagUnknown",
        "offsets of some partitions cannot be read or make no sense; nothing is lowered on unknown data",
        "the sentence names the first of them and why; see the condition KafkaReachable",
    ),
    reason(
        "OffsetsStale",
        "the newest offsets are too old; nothing changes on old data",
        "see the condition KafkaReachable",
    ),
    reason(
        "NoPartitions",
        "no partition of the topics is known",
        "see the condition KafkaReachable",
    ),
    well(
        "PodsStarting",
        "ordered pods are not all ready; the next decision waits for them",
    ),
    well(
        "RollingOut",
        "a roll-out is under way; the next decision waits for it",
    ),
    well(
        "Rebalancing",
        "the group is sharing its partitions out; the next decision waits for it",
    ),
    reason(
        "HandlerFailing",
        "more than half of the attempts fail",
        "see ScalingLimited",
    ),
    reason(
        "HandlerTurnsAway",
        "whatever the handler is given, it asks for less",
        "see Stalled",
    ),
    reason(
        "MostlyStuck",
        "most partitions do not move",
        "see ScalingLimited",
    ),
    reason(
        "MorePodsDoNotHelp",
        "the last raise brought no capacity",
        "see ScalingLimited",
    ),
    reason(
        "CappedByPartitions",
        "the partitions are too few",
        "see ScalingLimited",
    ),
    reason(
        "CappedByMaxReplicas",
        "spec.scaling.maxReplicas is too low",
        "see ScalingLimited",
    ),
    reason(
        "CappedByRateLimit",
        "spec.delivery.rateLimit allows no more records",
        "see ScalingLimited",
    ),
    reason(
        "PodsMissing",
        "pods that were ordered have not become ready for longer than pods take; as many more are ordered as are needed, unless the last order brought nobody",
        "mend what keeps them, or make room for them",
    ),
    well(
        "CatchingUp",
        "a partition was stuck, and what came meanwhile is left out: one pod works it off",
    ),
    well(
        "BeyondLimit",
        "there are more pods than spec.scaling.maxReplicas or the partitions allow, which the load does not ask for: the limit was lowered, or somebody else set the size",
    ),
    well("AtLeastMinReplicas", "spec.scaling.minReplicas holds"),
    well(
        "Scheduled",
        "a peak of spec.scaling.schedule holds, or begins as soon as its pods have started",
    ),
    reason(
        "ZeroTooSlow",
        "a wake-up takes longer than the promise",
        "see ScalingLimited",
    ),
    reason(
        "SLOUnreachable",
        "pods take too long to start for the promise",
        "see ScalingLimited",
    ),
    reason(
        "RetentionNear",
        "retention is about to take records that nobody has read; all pods that help are ordered",
        "lengthen the topic's retention.ms if that is not enough",
    ),
    reason(
        "StuckLeftOut",
        "partitions that do not move are left out of the plan",
        "see the condition Stalled",
    ),
    reason(
        "RetriesLeftOut",
        "records failed and are tried again; they are left out of the plan, since what they wait for is their next try. Where it comes first, what waits behind them is all that waits too long, and no pod is ordered for it. The sentence says where it may be one pod that fails, and not the records",
        "drover lag shows where they are and how often they were tried, drover logs why they fail",
    ),
    reason(
        "HotPartition",
        "one partition gets more than a pod can do",
        "see ScalingLimited",
    ),
];
