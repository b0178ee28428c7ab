//! Why a fleet has the size that it has.

use std::fmt;
use std::time::Duration;

use super::Policy;
use super::sample::LagUnknown;
use super::schedule::Floor;
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
    /// Most partitions do not move.
    MostlyStuck {
        /// How many.
        stuck: usize,
        /// Of how many.
        partitions: usize,
    },
    /// The last raise brought no capacity.
    MorePodsDoNotHelp {
        /// The size before it.
        most: u32,
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
        /// Seconds that they take.
        start_up: f64,
        /// Seconds that they may take.
        needed: f64,
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
        /// The partition of the one that has waited longest.
        partition: TopicPartition,
        /// For so many seconds.
        seconds: f64,
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
            backlog: needs.backlog as u64,
            arrival: needs.arrival,
            per_pod: needs.per_pod,
            measured: state.capacity.measured().is_some(),
            promise: policy.max_delay,
        }
    }

    /// The word for metrics, events and conditions; stable.
    pub fn label(&self) -> &'static str {
        match self {
            Self::AtRest => "AtRest",
            Self::Enough { .. } => "Enough",
            Self::Raise { .. } => "DelayProjected",
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

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtRest => f.write_str("nothing waits, so no pod is needed"),
            Self::Enough {
                replicas,
                backlog,
                arrival,
                projected,
            } => {
                write!(f, "{} enough: ", are(*replicas))?;
                load(f, *backlog, *arrival)?;
                match backlog {
                    0 => Ok(()),
                    _ if *projected > 1e6 => f.write_str(", and no pod is ready"),
                    _ => write!(f, ", done in about {projected:.1}s"),
                }
            }
            Self::Raise {
                from,
                to,
                backlog,
                arrival,
                per_pod,
                measured,
                promise,
            } => {
                write!(f, "raise from {from} to {to}: ")?;
                load(f, *backlog, *arrival)?;
                let origin = if *measured { "" } else { ", a first guess" };
                write!(
                    f,
                    "; a pod does {} per second{origin}, and no record shall wait longer than {promise:?}",
                    number(*per_pod)
                )
            }
            Self::SecondLook => f.write_str(
                "a burst has just begun; looking once more to order the right size in one step",
            ),
            Self::Spare {
                from,
                to,
                arrival,
                per_pod,
                measured: true,
            } => write!(
                f,
                "{to} instead of {from} would do: {} per second arrive, a pod does {}",
                number(*arrival),
                number(*per_pod)
            ),
            Self::Spare { from, to, .. } => write!(
                f,
                "{to} instead of {from} may do: nothing waits, and what a pod can do shows only when it is busy"
            ),
            Self::Idle { seconds } => {
                write!(f, "nothing has waited or arrived for {seconds:.1}s")
            }
            Self::StaysAwake { idle, left } => write!(
                f,
                "nothing has waited or arrived for {idle:.1}s; the last pod stays for {left:.1}s more, as spec.scaling.idleTimeToZero says"
            ),
            Self::NotWorthItYet {
                to,
                collected,
                price,
            } => write!(
                f,
                "lowering to {to} waits: {collected:.0} pod-seconds were spare so far, a needless round of down and up costs {price:.0}"
            ),
            Self::Unknown {
                unknown,
                partitions,
                first,
                cause,
            } => {
                write!(
                    f,
                    "the lag of {unknown} of {partitions} partitions is unknown ({first}: "
                )?;
                match cause {
                    Some(cause) => write!(f, "{cause}")?,
                    None => f.write_str("no offsets could be read")?,
                }
                f.write_str("); nothing is lowered on unknown data")
            }
            Self::Stale { age } => write!(
                f,
                "the newest offsets are {:.0}s old; nothing changes on old data, see KafkaReachable",
                age.as_secs_f64()
            ),
            Self::NoPartitions => f.write_str(
                "no partition of the topics is known; nothing changes until Kafka names them",
            ),
            Self::Starting { ready, ordered } => write!(
                f,
                "{ready} of {ordered} ordered pods are ready; the next decision waits for the rest"
            ),
            Self::Rolling => f.write_str("a roll-out is under way; the next decision waits for it"),
            Self::Settling => f.write_str(
                "the group is sharing its partitions out; the next decision waits for it",
            ),
            Self::HandlerFailing { ratio } => write!(
                f,
                "{:.0} % of the handler's attempts fail: more pods would only fail more, and none are taken away; mend the handler",
                ratio * 100.0
            ),
            Self::MostlyStuck { stuck, partitions } => write!(
                f,
                "{stuck} of {partitions} partitions are stuck: more pods cannot help; see Stalled"
            ),
            Self::MorePodsDoNotHelp { most } => write!(
                f,
                "more than {most} pods brought no capacity: something behind the handler is the limit; this is tried again later"
            ),
            Self::CappedByPartitions { wanted, partitions } => {
                let most = match partitions {
                    1 => "1 partition",
                    more => &format!("{more} partitions"),
                };
                write!(
                    f,
                    "{} wanted, but {most} cannot feed more than {partitions}; add partitions or make the handler faster",
                    beyond(*wanted, *partitions)
                )
            }
            Self::CappedByMax {
                wanted,
                max,
                useful,
            } => {
                write!(
                    f,
                    "{} wanted, but scaling.maxReplicas allows {max}",
                    beyond(*wanted, *max)
                )?;
                if useful < max {
                    write!(f, ", of which {useful} share the partitions as well")?;
                }
                f.write_str("; raise it to keep the promise")
            }
            Self::CappedByRate { pods, rate } => {
                let use_up = if *pods == 1 { "pod uses" } else { "pods use" };
                write!(
                    f,
                    "delivery.rateLimit allows the fleet {}, which {pods} {use_up} up; raise it to keep the promise, if what the handler calls allows more",
                    rate_of(*rate)
                )
            }
            Self::BeyondLimit { pods, max, useful } => match max {
                Some(max) => write!(
                    f,
                    "there are {pods} pods, and scaling.maxReplicas allows {max}: those beyond {useful} go"
                ),
                None => write!(
                    f,
                    "there are {pods} pods, of which {useful} share the partitions as well: the others go"
                ),
            },
            Self::AtLeastMin { min, partitions } => {
                write!(f, "scaling.minReplicas keeps {min}")?;
                if *partitions > 0 && partitions < min {
                    write!(f, ", but only {partitions} partitions are there to share")?;
                }
                Ok(())
            }
            Self::Scheduled { peak, partitions } => scheduled(f, peak, *partitions),
            Self::ZeroTooSlow { takes, promise } => write!(
                f,
                "one pod stays: waking up from zero takes {takes:.1}s, longer than the promised {promise:?}; speed up the pod's start or raise scaling.maxDelay"
            ),
            Self::SloUnreachable {
                needed, promise, ..
            } if *needed < 1.0 => write!(
                f,
                "what has to happen before a new pod works takes longer than the promise of {promise:?} even where a pod starts at once, so a sudden rise of the load breaks it; raise scaling.maxDelay, or keep enough pods with scaling.minReplicas"
            ),
            Self::SloUnreachable {
                start_up,
                needed,
                promise,
            } => write!(
                f,
                "a pod takes {start_up:.0}s to start, so a sudden rise of the load breaks the promise of {promise:?}; it holds with a start of {needed:.0}s, or raise scaling.maxDelay or scaling.minReplicas"
            ),
            Self::RetentionNear { partition, seconds } => write!(
                f,
                "retention reaches unread records of {partition} in about {seconds:.0}s: all pods that help are ordered; lengthen the topic's retention.ms if that is not enough"
            ),
            Self::StuckLeftOut {
                stuck,
                first,
                offset,
                error,
            } => {
                write!(f, "{stuck} stuck ")?;
                f.write_str(if *stuck == 1 {
                    "partition is"
                } else {
                    "partitions are"
                })?;
                write!(f, " left out: {first} at offset {offset}")?;
                match error {
                    Some(error) => write!(f, " ({error})"),
                    None => f.write_str(" has not moved while others have"),
                }
            }
            Self::CatchingUp {
                partitions: 1,
                first,
                records,
            } => write!(
                f,
                "{first} was stuck and works off the {records} records that came meanwhile: the pod that has it does that alone"
            ),
            Self::CatchingUp {
                partitions,
                first,
                records,
            } => write!(
                f,
                "{partitions} partitions, {first} among them, were stuck and work off the {records} records that came meanwhile: the pods that have them do that alone"
            ),
            Self::PodsMissing { missing, ordered } => write!(
                f,
                "{missing} of {ordered} pods have not become ready for a long time, and are not reckoned with; drover status and kubectl get pods say why"
            ),
            Self::RetriesLeftOut {
                records,
                partition,
                seconds,
            } => {
                match records {
                    1 => f.write_str("1 record failed and is tried again")?,
                    more => write!(f, "{more} records failed and are tried again")?,
                }
                write!(
                    f,
                    ", in {partition} for {seconds:.0}s: no number of pods helps; drover lag shows where, drover logs why"
                )
            }
            Self::HotPartition {
                partition,
                rate,
                per_pod,
            } => write!(
                f,
                "{partition} alone gets {} records per second and a pod does {}: no number of pods helps; spread its keys",
                number(*rate),
                number(*per_pod)
            ),
        }
    }
}

/// Times as the clocks of the spec show them: the sentence stays as it is while the peak lasts.
fn scheduled(f: &mut fmt::Formatter<'_>, peak: &Floor, partitions: u32) -> fmt::Result {
    const TIME: &str = "%a %H:%M";
    let (place, min, until) = (peak.place, peak.min, peak.until.strftime(TIME));
    let zone = peak.until.time_zone().iana_name().unwrap_or("UTC");
    write!(f, "scaling.schedule[{place}] keeps {min} ")?;
    match &peak.begins {
        Some(begins) => write!(
            f,
            "from {} to {until} ({zone}), and pods are ordered before, because they take time to start",
            begins.strftime(TIME)
        )?,
        None => write!(f, "until {until} ({zone})")?,
    }
    if partitions > 0 && partitions < min {
        write!(f, ", but only {partitions} partitions are there to share")?;
    }
    Ok(())
}

fn load(f: &mut fmt::Formatter<'_>, backlog: u64, arrival: Option<f64>) -> fmt::Result {
    match backlog {
        1 => f.write_str("1 record waits")?,
        more => write!(f, "{more} records wait")?,
    }
    match arrival {
        Some(rate) => write!(f, ", {} per second arrive", number(rate)),
        None => f.write_str(", the rate of arrivals is not known yet"),
    }
}

/// Pods that are wanted beyond a limit. What ten times as many could not do is no number of pods.
fn beyond(wanted: u32, limit: u32) -> String {
    match limit.checked_mul(10) {
        Some(many) if limit > 0 && wanted > many => "far more pods are".to_owned(),
        _ => are(wanted),
    }
}

/// A rate by the largest unit of time that makes it at least one.
fn rate_of(per_second: f64) -> String {
    let (times, unit) = match per_second {
        rate if rate >= 1.0 => (1.0, "second"),
        rate if rate >= 1.0 / 60.0 => (60.0, "minute"),
        rate if rate >= 1.0 / 3600.0 => (3600.0, "hour"),
        _ => (86_400.0, "day"),
    };
    let records = per_second * times;
    let records = match (records - records.round()).abs() < 1e-6 {
        true => format!("{records:.0}"),
        false => number(records),
    };
    format!("{records} records a {unit}")
}

fn are(pods: u32) -> String {
    match pods {
        1 => "1 pod is".to_owned(),
        pods => format!("{pods} pods are"),
    }
}

/// Three digits are enough for people.
fn number(value: f64) -> String {
    if value >= 10.0 || value == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
