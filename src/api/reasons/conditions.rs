//! Conditions and their reasons, in the order in which status shows them.

use super::problems::{CHILDREN, PODS, SPEC};
use super::{Reason, reason, well};
use crate::api::names::condition;

/// A type of condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its type.
    pub type_: &'static str,
    /// What it says where it is `True`.
    pub meaning: &'static str,
    /// Its status on a good day; a metric and `drover status` point at the others. None where both
    /// are.
    pub good: Option<&'static str>,
    /// What it can say, by status.
    pub reasons: &'static [(&'static str, &'static [Reason])],
    /// Tables of reasons that it shares with others.
    pub shared: &'static [Shared],
}

/// Reasons that several conditions can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// Of a spec that is not good.
    Spec,
    /// Of children that cannot be made as they should be.
    Children,
    /// Of pods that do not run.
    Pods,
    /// Of a dead-letter topic that will not take records.
    DeadLetters,
}

impl Shared {
    /// The reasons.
    pub fn reasons(self) -> &'static [Reason] {
        match self {
            Self::Spec => SPEC,
            Self::Children => CHILDREN,
            Self::Pods => PODS,
            Self::DeadLetters => DEAD_LETTERS,
        }
    }
}

const KAFKA_AWAY: Reason = reason(
    "KafkaUnreachable",
    "offsets cannot be read; the size is left as it is",
    "see the condition KafkaReachable",
);
const NOT_ASKED: Reason = well("NotAskedYet", "Kafka has not answered yet");
const PAUSED: Reason = reason(
    "Paused",
    "stopped by spec.paused; offsets stay where they are",
    "`drover resume`, or spec.paused: false, when it shall go on",
);
const DRAINING: Reason = well(
    "Draining",
    "pods that leave finish what they hold, commit and go",
);
const ROLLING: Reason = reason(
    "RollingOut",
    "pods are being replaced by pods of the new template",
    "nothing at first; where it lasts, the message of Ready says what the new pods wait for. Those before them work on; putting the spec back ends it",
);
const CREATING: Reason = well("Creating", "the Deployment is being created");

/// Of a dead-letter topic that will not take records.
const DEAD_LETTERS: &[Reason] = &[
    reason(
        "DeadLetterTopicNotFound",
        "the dead-letter topic does not exist",
        "create it, or name another in spec.delivery.deadLetter.topic",
    ),
    reason(
        "NotAuthorized",
        "the dead-letter topic may not be written to",
        "allow Write and Describe on it for the user of spec.kafka",
    ),
    reason(
        "Compacted",
        "the dead-letter topic is compacted: it refuses records without a key and drops all but the last of each key",
        "set its cleanup.policy to delete",
    ),
    reason(
        "TooSmall",
        "the dead-letter topic takes smaller records than the topics have",
        "raise its max.message.bytes to what the message says",
    ),
];

/// All conditions.
pub const ALL: &[Condition] = &[
    Condition {
        type_: condition::READY,
        meaning: "The fleet does what its spec says.",
        good: Some("True"),
        reasons: &[
            (
                "True",
                &[
                    well("AllReady", "all pods are ready"),
                    well("Idle", "at zero pods: there is nothing to do"),
                    reason(
                        "HeldAtZero",
                        "at zero pods while records wait: spec.scaling.mode leaves the size to others",
                        "set spec.replicas (mode Manual or External), or spec.scaling.mode to Auto",
                    ),
                    PAUSED,
                ],
            ),
            (
                "False",
                &[
                    CREATING,
                    KAFKA_AWAY,
                    reason(
                        "Stalled",
                        "a record holds up what must wait for it",
                        "see the condition Stalled",
                    ),
                    reason(
                        "HandlerTurnsAway",
                        "the handler asks for less, whatever it is given",
                        "see the condition Stalled",
                    ),
                    reason(
                        "OffsetBeyondEnd",
                        "at zero pods, and a committed offset lies behind the last record, so that nobody knows what waits: the log was cut or restored, or the offset was set too far",
                        "set the group's offsets where it shall go on (`drover reset`)",
                    ),
                    DRAINING,
                    ROLLING,
                    reason(
                        "PodsNotReady",
                        "pods are starting, or wait for their handler or for Kafka",
                        "nothing at first; where it lasts, `drover logs` says what they wait for, and `kubectl describe pod` what Kubernetes does",
                    ),
                    reason(
                        "Deleting",
                        "the resource is being deleted, and nobody looks after it any more; it is still there because of finalizers that somebody else put on it, or because Kubernetes sees to its children first. It is the only condition then",
                        "whoever put the finalizers there that the message names has to take them away",
                    ),
                ],
            ),
            (
                "Unknown",
                &[well(
                    "WaitingForOffsets",
                    "what waits in Kafka is not known yet; no pod starts before",
                )],
            ),
        ],
        shared: &[
            Shared::Spec,
            Shared::Children,
            Shared::Pods,
            Shared::DeadLetters,
        ],
    },
    Condition {
        type_: condition::PROGRESSING,
        meaning: "A roll-out or a change of size is under way.",
        good: None,
        reasons: &[
            (
                "True",
                &[
                    CREATING,
                    ROLLING,
                    well("ScalingUp", "pods are starting"),
                    DRAINING,
                ],
            ),
            ("False", &[well("Settled", "pods are as they should be")]),
        ],
        shared: &[Shared::Spec, Shared::Children, Shared::Pods],
    },
    Condition {
        type_: condition::KAFKA_REACHABLE,
        meaning: "The controller can read offsets.",
        good: Some("True"),
        reasons: &[
            ("True", &[well("OffsetsRead", "offsets are read")]),
            (
                "False",
                &[
                    reason(
                        "PartitionsUnread",
                        "offsets of some partitions cannot be read",
                        "look for the brokers that lead them; they may be down",
                    ),
                    reason(
                        "Unreachable",
                        "no broker answers in time",
                        "check that Kafka runs, spec.kafka.bootstrapServers, name resolution, network policies",
                    ),
                    reason(
                        "TlsFailed",
                        "a broker is there, and TLS with it fails",
                        "do what the message says of a certificate or a port; where it does not say, check spec.kafka.tls: authorities, names and dates of certificates, and that the port speaks TLS",
                    ),
                    reason(
                        "AuthenticationFailed",
                        "a broker does not accept who we are",
                        "check mechanism, user and password, or oauth, in spec.kafka.sasl and its Secret",
                    ),
                    reason(
                        "BrokersSuspected",
                        "the controller died within seconds of asking these brokers, as it can by a malformed answer; they are left alone for a while, so that other fleets go on",
                        "see what answers at spec.kafka.bootstrapServers, such as a proxy: `drover lag` from a pod shows whether that crashes, too; another address is asked at once",
                    ),
                    reason(
                        "NotAuthorized",
                        "Kafka refuses to say: a right is missing",
                        "allow Describe and Read on the topics and the group for the user of spec.kafka",
                    ),
                    reason(
                        "TopicMissing",
                        "a topic or partition has gone while it was read",
                        "create it again, or change spec.topics",
                    ),
                    reason(
                        "ClientConfig",
                        "no client can be made of spec.kafka",
                        "correct what the message names, mostly spec.kafka.properties",
                    ),
                    reason(
                        "Unsupported",
                        "the broker does not know a request that is needed",
                        "use brokers of version 2.4 or later",
                    ),
                    reason(
                        "Later",
                        "leaders or coordinators are moving, for longer than usual",
                        "look at the brokers; it is asked again",
                    ),
                    reason(
                        "GroupBusy",
                        "the group has members where it must have none",
                        "stop consumers of the same group that are not this fleet's",
                    ),
                    reason(
                        "NoSuchGroup",
                        "the group does not exist",
                        "nothing: it comes to be with its first offsets",
                    ),
                    reason(
                        "Other",
                        "Kafka answers with an error that has no word of its own",
                        "the message has Kafka's own words",
                    ),
                ],
            ),
            ("Unknown", &[NOT_ASKED]),
        ],
        shared: &[],
    },
    Condition {
        type_: condition::SCALING_ACTIVE,
        meaning: "Sizes follow decisions of the policy.",
        good: Some("True"),
        reasons: &[
            ("True", &[well("Auto", "sizes follow decisions")]),
            (
                "False",
                &[
                    PAUSED,
                    well(
                        "Manual",
                        "spec.replicas sets the size, as spec.scaling.mode wants it",
                    ),
                    well(
                        "External",
                        "spec.replicas sets the size, and an autoscaler sets that, as spec.scaling.mode wants it",
                    ),
                    well(
                        "RecommendOnly",
                        "sizes are recommended in status.scaling.wanted, not set, as spec.scaling.mode wants it",
                    ),
                    KAFKA_AWAY,
                    reason(
                        "LagUnknown",
                        "what waits is not known at present; the size is left as it is",
                        "status.scaling.reasons names the partition and why",
                    ),
                ],
            ),
            ("Unknown", &[NOT_ASKED]),
        ],
        shared: &[Shared::Spec],
    },
    Condition {
        type_: condition::SCALING_LIMITED,
        meaning: "Something holds the size from what the load asks for.",
        good: Some("False"),
        reasons: &[
            (
                "True",
                &[
                    reason(
                        "CappedByMaxReplicas",
                        "more pods are wanted than spec.scaling.maxReplicas allows",
                        "raise it, or make the handler faster",
                    ),
                    reason(
                        "CappedByPartitions",
                        "more pods are wanted than there are partitions to share",
                        "make the handler faster, let each pod have more in flight (spec.delivery.concurrency), or add partitions, which moves keys to others",
                    ),
                    reason(
                        "CappedByRateLimit",
                        "spec.delivery.rateLimit allows no more records, which more pods do not change",
                        "raise it, if what the handler calls allows more",
                    ),
                    reason(
                        "HotPartition",
                        "one partition gets more than a pod can do: no number of pods is enough for it",
                        "spread its keys, or make the handler faster",
                    ),
                    reason(
                        "MorePodsDoNotHelp",
                        "the last raise brought no capacity: something behind the handler is the limit",
                        "look at the handler's database and at what else it calls",
                    ),
                    reason(
                        "HandlerFailing",
                        "more than half of the attempts fail: more pods would only fail more",
                        "mend the handler; `drover logs` has its errors",
                    ),
                    reason(
                        "HandlerTurnsAway",
                        "for a minute the handler has asked for less (429, 503 or slow-down) and taken nothing: more pods do not help",
                        "see the condition Stalled",
                    ),
                    reason(
                        "MostlyStuck",
                        "most partitions do not move: more pods cannot help",
                        "see the condition Stalled",
                    ),
                    reason(
                        "ZeroTooSlow",
                        "one pod stays, as waking up from zero takes longer than the promise",
                        "make pods start faster, raise spec.scaling.maxDelay, or let it be",
                    ),
                    reason(
                        "SLOUnreachable",
                        "pods take so long to start that a sudden rise of the load breaks the promise",
                        "make pods start faster, raise spec.scaling.maxDelay or spec.scaling.minReplicas",
                    ),
                ],
            ),
            (
                "False",
                &[
                    well("NotLimited", "nothing holds the size from what is wanted"),
                    well("NotDeciding", "the policy does not decide at present"),
                ],
            ),
        ],
        shared: &[],
    },
    Condition {
        type_: condition::STALLED,
        meaning: "Records wait and do not move: nothing gets past one, or no pod is there for them.",
        good: Some("False"),
        reasons: &[
            (
                "True",
                &[
                    reason(
                        "RecordStuck",
                        "a record has used up its attempts, or a partition does not move while others do",
                        "mend the handler and it goes on by itself; or name a dead-letter topic in spec.delivery.deadLetter; or give the record up with `drover skip`. The message names partition, offset and error, and the command",
                    ),
                    reason(
                        "BreakerOpen",
                        "the breaker is open: too many records would be dead-lettered, so none is; they are tried one at a time, and those not tried yet wait as well",
                        "mend the handler and it goes on by itself; or raise spec.delivery.deadLetter.breaker.percent",
                    ),
                    reason(
                        "RetriesFull",
                        "as many records of a partition failed and wait for another attempt as its report has room for: others are tried one at a time",
                        "mend the handler and it goes on by itself; or shorten spec.delivery.retry.then",
                    ),
                    reason(
                        "RecordUnreadable",
                        "Kafka gives a record with an error, such as a wrong checksum",
                        "look at the brokers' disks and the network between; it goes on by itself once the record can be read; to give it up, set the group's offset behind it (`drover reset`)",
                    ),
                    reason(
                        "OffsetsExpired",
                        "retention was faster than the fleet: records that were not read are gone",
                        "set the group's offsets to the earliest (`drover reset`), and let the topic keep its records longer",
                    ),
                    reason(
                        "OffsetBeyondEnd",
                        "the committed offset lies behind the last record: the log was cut",
                        "set the group's offsets where it shall go on (`drover reset`)",
                    ),
                    reason(
                        "TopicRecreated",
                        "the topic was deleted and made anew, or the group's offsets were copied from another cluster: they speak of another log",
                        "set the group's offsets to the earliest (`drover reset`); where the records were copied, too, as by a mirror, to what they are",
                    ),
                    reason(
                        "OffsetOutOfRange",
                        "Kafka does not have the committed offset, and it is not known why",
                        "set the group's offsets where it shall go on (`drover reset`)",
                    ),
                    reason(
                        "HandlerTurnsAway",
                        "records wait, and for a minute the handler has asked for less (429, 503 or slow-down), whatever it was given",
                        "look at the handler, and at what stands before it: an ingress or a mesh with nobody behind it answers 503, too; it goes on by itself",
                    ),
                    reason(
                        "NoPodReady",
                        "records wait, and not one pod has been ready for longer than pods take to start: their handlers are gone, say",
                        "mend what keeps the pods from being ready, which the message and the condition Ready name; it goes on by itself",
                    ),
                ],
            ),
            (
                "False",
                &[well("NothingStuck", "no record is reported as stuck")],
            ),
            (
                "Unknown",
                &[well("NotRead", "reports of the pods cannot be read")],
            ),
        ],
        shared: &[],
    },
    Condition {
        type_: condition::DEAD_LETTER_WRITABLE,
        meaning: "Records that cannot be handled have a place to go to.",
        good: Some("True"),
        reasons: &[
            (
                "True",
                &[
                    well("Writable", "the dead-letter topic is there"),
                    well("NotUsed", "no record goes to a dead-letter topic"),
                ],
            ),
            (
                "Unknown",
                &[
                    NOT_ASKED,
                    well("NotRead", "Kafka does not say how the dead-letter topic is"),
                ],
            ),
        ],
        shared: &[Shared::Spec, Shared::DeadLetters],
    },
    Condition {
        type_: condition::GROUP_SHARED,
        meaning: "Others than the fleet's pods take records of its group.",
        good: Some("False"),
        reasons: &[
            (
                "True",
                &[
                    reason(
                        "OtherMembers",
                        "the group has members that are no pods of the fleet; they have been there for a minute",
                        "stop them, or give them another group: what they take the handler never sees. The message has their client ids and addresses",
                    ),
                    reason(
                        "OtherFleet",
                        "another KafkaConsumer reads the same topics with the same group",
                        "give one of them another spec.groupId",
                    ),
                    reason(
                        "OtherCommits",
                        "offsets move without reports of the fleet's workers",
                        "stop the program that commits for the group, or give it another one",
                    ),
                ],
            ),
            (
                "False",
                &[well("NotShared", "nobody else is seen in the group")],
            ),
            (
                "Unknown",
                &[
                    NOT_ASKED,
                    well("NotRead", "Kafka does not say who has the group"),
                ],
            ),
        ],
        shared: &[Shared::Spec],
    },
    Condition {
        type_: condition::PAUSED,
        meaning: "The fleet is stopped by spec.paused.",
        good: Some("False"),
        reasons: &[
            ("True", &[PAUSED]),
            ("False", &[well("NotPaused", "spec.paused is false")]),
        ],
        shared: &[Shared::Spec],
    },
];
