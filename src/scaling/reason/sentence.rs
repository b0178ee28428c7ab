//! Each reason as a sentence for people: what is so, and what to do where somebody can do something.

use std::fmt;

use super::Why;
use crate::scaling::schedule::Floor;

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
