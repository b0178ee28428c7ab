//! Each reason as a sentence for people: what is so, and what to do where somebody can do something.

use std::fmt;

use super::Why;
use crate::plural::{are, noun, part_are};
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
                smaller,
            } => {
                write!(f, "{} enough: ", pods_are(*replicas))?;
                load(f, *backlog, *arrival)?;
                match backlog {
                    0 => {}
                    _ if *projected > 1e6 => f.write_str(", and no pod is ready")?,
                    _ => write!(f, ", done in about {projected:.1}s")?,
                }
                smaller.map_or(Ok(()), |smaller| write!(f, "; {smaller}"))
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
            Self::Passes {
                replicas,
                backlog,
                arrival,
                rises,
                within,
                worst,
                fewer,
            } => {
                load(f, *backlog, *arrival)?;
                match fewer {
                    Some(fewer) => write!(
                        f,
                        "; {fewer} would do between peaks, but {rises} came in {within:.0}s and the next is expected: {} enough for those",
                        pods_are(*replicas)
                    )?,
                    None => write!(
                        f,
                        ", like each of {rises} peaks in the last {within:.0}s, which passed: {} enough for this one, and more are ordered in time if it lasts",
                        pods_are(*replicas)
                    )?,
                }
                write!(f, "; no record waits longer than about {worst:.0}s")
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
                    "the lag of {unknown} of {partitions} {} is unknown ({first}: ",
                    noun("partition", *partitions)
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
            Self::Starting {
                ready,
                ordered,
                given_up,
            } => {
                let are = part_are((*ready).into(), (*ordered).into(), "ordered pod");
                write!(f, "{are} ready; the next decision waits for ")?;
                match given_up {
                    0 => f.write_str("the rest"),
                    _ => write!(f, "{} more", ordered.saturating_sub(ready + given_up)),
                }
            }
            Self::Rolling => f.write_str("a roll-out is under way; the next decision waits for it"),
            Self::Settling => f.write_str(
                "the group is sharing its partitions out; the next decision waits for it",
            ),
            Self::HandlerFailing { ratio } => write!(
                f,
                "{:.0} % of the handler's attempts fail: more pods would only fail more, and none are taken away; mend the handler",
                ratio * 100.0
            ),
            Self::TurnedAway { seconds } => write!(
                f,
                "for {seconds:.0}s the handler has asked for less and taken no record (429, 503 or slow-down): more pods do not help; look at it, and at what stands before it"
            ),
            Self::MostlyStuck { stuck, partitions } => write!(
                f,
                "{} stuck: more pods cannot help; see Stalled",
                part_are(*stuck as u64, *partitions as u64, "partition")
            ),
            Self::MorePodsDoNotHelp {
                most,
                shown: Some(shown),
                probes,
            } => {
                let next = if *probes {
                    format!("{most} are tried now")
                } else {
                    format!("{most} do as much, and more are tried later")
                };
                write!(
                    f,
                    "{} {} did {:.0} per second together, hardly more than fewer did, and a pod that nothing hinders does {}: something behind the handler is the limit; {next}",
                    shown.pods,
                    noun("pod", shown.pods),
                    shown.rate,
                    number(shown.per_pod),
                )
            }
            Self::MorePodsDoNotHelp { most, .. } => write!(
                f,
                "pods brought no capacity before, so what {most} of them bring is looked at before more are ordered"
            ),
            Self::CappedByPartitions { wanted, partitions } => {
                write!(
                    f,
                    "{} wanted, but {partitions} {} cannot feed more than {partitions}; make the handler faster, let each pod have more in flight (spec.delivery.concurrency), or add partitions",
                    beyond(*wanted, *partitions),
                    noun("partition", *partitions)
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
                    "there are {pods} pods, and scaling.maxReplicas allows {max}: those beyond {useful} are too many"
                ),
                None => write!(
                    f,
                    "there are {pods} pods, of which {useful} share the partitions as well: the others are too many"
                ),
            },
            Self::AtLeastMin { min, partitions } => {
                write!(f, "scaling.minReplicas keeps {min}")?;
                few(f, *min, *partitions)
            }
            Self::Scheduled { peak, partitions } => scheduled(f, peak, *partitions),
            Self::ZeroTooSlow { takes, promise } => write!(
                f,
                "one pod stays: waking up from zero takes {takes:.1}s, longer than the promised {promise:?}; speed up the pod's start or raise scaling.maxDelay"
            ),
            Self::SloUnreachable {
                notice,
                start_up,
                rebalance,
                promise,
            } => {
                write!(
                    f,
                    "a sudden rise of the load breaks the promise of {promise:?}: it is noticed after {notice:.0}s, a pod takes {start_up:.0}s to start, and the group up to {rebalance:.0}s to share its partitions out, which is {:.0}s; ",
                    notice + start_up + rebalance
                )?;
                let needed = promise.as_secs_f64() - notice - rebalance;
                if needed < 1.0 {
                    f.write_str("no start is fast enough for that: raise scaling.maxDelay, or keep enough pods with scaling.minReplicas")
                } else {
                    write!(
                        f,
                        "it holds with a start of {needed:.0}s, or raise scaling.maxDelay or scaling.minReplicas"
                    )
                }
            }
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
                let (what, are) = (noun("partition", *stuck), are(*stuck));
                write!(
                    f,
                    "{stuck} stuck {what} {are} left out: {first} at offset {offset}"
                )?;
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
                "{first} was stuck and works off the {records} {} that came meanwhile: the pod that has it does that alone",
                noun("record", *records)
            ),
            Self::CatchingUp {
                partitions,
                first,
                records,
            } => write!(
                f,
                "{partitions} partitions, {first} among them, were stuck and work off the {records} {} that came meanwhile: the pods that have them do that alone",
                noun("record", *records)
            ),
            Self::PodsMissing { missing, ordered } => write!(
                f,
                "{missing} of {ordered} {} {} not become ready for a long time, and {} not reckoned with; drover status and kubectl get pods say why",
                noun("pod", *ordered),
                if *missing == 1 { "has" } else { "have" },
                are(*missing)
            ),
            Self::RetriesLeftOut {
                records,
                later,
                partition,
                seconds,
                pod,
            } => {
                let so = match pod {
                    None => {
                        let them = if *records == 1 { "it" } else { "them" };
                        format!(": no number of pods helps {them}, nor what waits behind {them}")
                    }
                    Some(pod) => format!(
                        ", all at pod {pod}, which finishes nothing else: it may be that pod's own handler that fails"
                    ),
                };
                write!(
                    f,
                    "{records} {} failed and {} tried again, in {partition} for {seconds:.0}s",
                    noun("record", *records),
                    are(*records)
                )?;
                if let Some((later, next)) = later {
                    write!(
                        f,
                        ", {later} as spec.delivery.retry.then has it, the next at {next}"
                    )?;
                }
                write!(f, "{so}; drover lag shows where, drover logs why")
            }
            Self::HotPartition {
                partition,
                rate,
                per_pod,
            } => write!(
                f,
                "{partition} alone gets {} records per second and a pod does {}: no number of pods is enough for it; spread its keys",
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
    few(f, min, partitions)
}

/// That partitions are fewer than the pods that are kept, if they are.
fn few(f: &mut fmt::Formatter<'_>, min: u32, partitions: u32) -> fmt::Result {
    if partitions == 0 || partitions >= min {
        return Ok(());
    }
    let (what, are) = (noun("partition", partitions), are(partitions));
    write!(f, ", but only {partitions} {what} {are} there to share")
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
        _ => pods_are(wanted),
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
    let what = if records == "1" { "record" } else { "records" };
    format!("{records} {what} a {unit}")
}

fn pods_are(pods: u32) -> String {
    format!("{pods} {} {}", noun("pod", pods), are(pods))
}

/// Three digits are enough for people.
pub(in crate::scaling) fn number(value: f64) -> String {
    if value >= 10.0 || value == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_the_sentence_is_singular() {
        let starting = |ready, ordered| Why::Starting {
            ready,
            ordered,
            given_up: 0,
        };
        let missing = |missing, ordered| Why::PodsMissing { missing, ordered };
        let stuck = |stuck, partitions| Why::MostlyStuck { stuck, partitions };
        for (why, words) in [
            (starting(0, 1), "0 of 1 ordered pod is ready;"),
            (starting(1, 3), "1 of 3 ordered pods is ready;"),
            (starting(1, 3), "waits for the rest"),
            (
                Why::Starting {
                    ready: 2,
                    ordered: 5,
                    given_up: 1,
                },
                "2 of 5 ordered pods are ready; the next decision waits for 2 more",
            ),
            (
                missing(1, 1),
                "1 of 1 pod has not become ready for a long time, and is not",
            ),
            (
                missing(2, 3),
                "2 of 3 pods have not become ready for a long time, and are not",
            ),
            (stuck(1, 1), "1 of 1 partition is stuck:"),
            (stuck(3, 4), "3 of 4 partitions are stuck:"),
            (
                Why::AtLeastMin {
                    min: 2,
                    partitions: 1,
                },
                "keeps 2, but only 1 partition is there to share",
            ),
            (
                Why::CappedByRate {
                    pods: 1,
                    rate: 1.0 / 60.0,
                },
                "allows the fleet 1 record a minute, which 1 pod uses up",
            ),
        ] {
            let text = why.to_string();
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
