//! The conditions, one function each. Reasons are CamelCase and stable; messages say what, why and
//! what to do.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Facts, Kafka, Spec, own_consumer};
use crate::api::names::condition;
use crate::api::{ScalingMode, StuckRecord};
use crate::controller::size::By;
use crate::controller::workload::Workload;
use crate::fleet::{Fleet, Problem};
use crate::lag::dead_letter_topic;
use crate::report::{IDEMPOTENCY_STORE, unread};

/// `True`, `False` or `Unknown`, with reason and message.
struct Judgement {
    status: &'static str,
    reason: String,
    message: String,
}

fn yes(reason: impl Into<String>, message: impl Into<String>) -> Judgement {
    judgement("True", reason, message)
}

fn no(reason: impl Into<String>, message: impl Into<String>) -> Judgement {
    judgement("False", reason, message)
}

fn unknown(reason: impl Into<String>, message: impl Into<String>) -> Judgement {
    judgement("Unknown", reason, message)
}

fn judgement(
    status: &'static str,
    reason: impl Into<String>,
    message: impl Into<String>,
) -> Judgement {
    Judgement {
        status,
        reason: reason.into(),
        message: message.into(),
    }
}

/// All conditions, in the order in which status shows them.
pub(super) fn conditions(facts: &Facts<'_>, stuck: &[StuckRecord]) -> Vec<Condition> {
    let judgements = [
        (condition::READY, ready(facts, stuck)),
        (condition::PROGRESSING, progressing(facts)),
        (condition::KAFKA_REACHABLE, kafka_reachable(facts)),
        (condition::SCALING_ACTIVE, scaling_active(facts)),
        (condition::SCALING_LIMITED, scaling_limited(facts)),
        (condition::STALLED, stalled(facts, stuck)),
        (condition::DEAD_LETTER_WRITABLE, dead_letter_writable(facts)),
        (condition::PAUSED, paused(facts)),
    ];
    judgements
        .into_iter()
        .map(|(type_, judgement)| dated(facts, type_, judgement))
        .collect()
}

/// A condition keeps its time unless its status flips.
fn dated(facts: &Facts<'_>, type_: &str, judgement: Judgement) -> Condition {
    let before = facts
        .previous
        .conditions
        .iter()
        .find(|old| old.type_ == type_);
    let last_transition_time = match before {
        Some(old) if old.status == judgement.status => old.last_transition_time.clone(),
        _ => Time(facts.now),
    };
    Condition {
        type_: type_.to_owned(),
        status: judgement.status.to_owned(),
        observed_generation: facts.generation,
        last_transition_time,
        reason: judgement.reason,
        message: judgement.message,
    }
}

fn ready(facts: &Facts<'_>, stuck: &[StuckRecord]) -> Judgement {
    let fleet = match facts.spec {
        Spec::Bad(problems) => return no(first_reason(problems), problems_text(problems, facts)),
        Spec::Good(fleet) => fleet,
    };
    if let Some(trouble) = facts.trouble {
        return no(trouble.reason, trouble.message.clone());
    }
    let Some(workload) = facts.workload else {
        return no("Creating", "the Deployment is being created");
    };
    if let Some(trouble) = workload.troubles.first() {
        let remedy = remedy(&trouble.reason, fleet).unwrap_or_default();
        return no(
            trouble.reason.clone(),
            format!("{}{remedy}", trouble.message),
        );
    }
    if let Kafka::Unreachable { error, .. } = &facts.kafka {
        return no("KafkaUnreachable", unreachable_text(facts, error));
    }
    if let Some(flaw) = dead_letter_flaw(facts) {
        return no(flaw.reason, flaw.message);
    }
    if let Some(record) = stuck.first() {
        return no("Stalled", stalled_text(facts, record, stuck.len()));
    }
    let (size, ready) = (workload.size, workload.ready);
    if fleet.paused {
        return if workload.replicas == 0 && workload.leaving == 0 {
            yes(
                "Paused",
                "stopped by spec.paused; offsets stay where they are",
            )
        } else {
            no(
                "Draining",
                "paused: pods finish what they hold, commit and go",
            )
        };
    }
    if workload.rolling {
        return no("RollingOut", rolling_text(workload.replicas));
    }
    if ready < size {
        return no("PodsNotReady", not_ready_text(facts, fleet, workload));
    }
    let decides = !matches!(fleet.mode, ScalingMode::Manual | ScalingMode::External);
    match size {
        0 if decides && facts.decision.is_none() => unknown(
            "WaitingForOffsets",
            "what waits in Kafka is not known yet; no pod starts before",
        ),
        0 => yes("Idle", "at zero: there is nothing to do"),
        _ => yes("AllReady", format!("{ready} of {size} pods are ready")),
    }
}

/// What to do about a trouble of pods that Kubernetes does not say itself.
fn remedy(reason: &str, fleet: &Fleet) -> Option<String> {
    Some(match reason {
        "ErrImagePull" | "ImagePullBackOff" => {
            "; check the image's name and imagePullSecrets in spec.template".to_owned()
        }
        "CrashLoopBackOff" => format!(
            "; drover logs {} -n {} -p has the last words of the run before",
            fleet.name, fleet.namespace
        ),
        "Unschedulable" => "; add nodes, or lower resources in spec.template".to_owned(),
        "QuotaExceeded" => "; raise the namespace's quota, or lower spec.scaling.maxReplicas or the resources in spec.template".to_owned(),
        _ => return None,
    })
}

/// A pod that runs says what it waits for in its log and in `/readyz`, which nobody has read here.
fn not_ready_text(facts: &Facts<'_>, fleet: &Fleet, workload: &Workload) -> String {
    let (name, namespace) = (&fleet.name, &fleet.namespace);
    let so = format!("{} of {} pods are ready", workload.ready, workload.size);
    match workload.waiting {
        0 => format!("{so}; the others are starting"),
        waiting if own_consumer(facts) => format!(
            "{so}; {waiting} run, and their readiness probe does not say yes so far: drover logs {name} -n {namespace} has what they say"
        ),
        waiting => format!(
            "{so}; {waiting} run, and begin or wait for their handler or for Kafka: drover logs {name} -n {namespace} says for what"
        ),
    }
}

fn progressing(facts: &Facts<'_>) -> Judgement {
    if let Spec::Bad(problems) = facts.spec {
        return no(
            first_reason(problems),
            "the children are left as they were until the spec is good",
        );
    }
    if let Some(trouble) = facts.trouble {
        return no(trouble.reason, trouble.message.clone());
    }
    let Some(workload) = facts.workload else {
        return yes("Creating", "the Deployment is being created");
    };
    if let Some(trouble) = workload.troubles.first() {
        return no(trouble.reason.clone(), trouble.message.clone());
    }
    let (size, replicas) = (workload.size, workload.replicas);
    if workload.rolling {
        yes("RollingOut", rolling_text(replicas))
    } else if replicas < size || workload.ready < size {
        yes(
            "ScalingUp",
            format!("{} of {size} pods are ready", workload.ready),
        )
    } else if replicas > size || workload.leaving > 0 {
        yes(
            "Draining",
            "pods that leave finish what they hold, commit and go",
        )
    } else {
        no("Settled", "pods are as they should be")
    }
}

fn kafka_reachable(facts: &Facts<'_>) -> Judgement {
    match &facts.kafka {
        Kafka::Unasked => unknown("NotAskedYet", "offsets have not been read yet"),
        Kafka::Unreachable { reason, error } => no(*reason, unreachable_text(facts, error)),
        Kafka::Read(sample) => {
            let unknown_partitions = sample.partitions.values().filter(|seen| seen.is_none());
            match unknown_partitions.count() {
                0 => yes("OffsetsRead", "offsets are read"),
                count => no(
                    "PartitionsUnread",
                    format!(
                        "offsets of {count} of {} partitions cannot be read; the brokers that lead them may be down",
                        sample.partitions.len()
                    ),
                ),
            }
        }
    }
}

fn scaling_active(facts: &Facts<'_>) -> Judgement {
    let fleet = match facts.spec {
        Spec::Bad(problems) => {
            return no(
                first_reason(problems),
                "the size is left as it is until the spec is good",
            );
        }
        Spec::Good(fleet) => fleet,
    };
    if fleet.paused {
        return no("Paused", "stopped by spec.paused; set it to false to go on");
    }
    match fleet.mode {
        ScalingMode::Manual => {
            return no(
                "Manual",
                "spec.replicas sets the size; use kubectl scale, or set spec.scaling.mode to Auto",
            );
        }
        ScalingMode::External => {
            return no(
                "External",
                "spec.replicas sets the size, and an autoscaler sets that; set spec.scaling.mode to Auto to have Drover decide",
            );
        }
        ScalingMode::Recommend => {
            return no(
                "RecommendOnly",
                "sizes are recommended in status.scaling.wanted, not set; set spec.scaling.mode to Auto to act on them",
            );
        }
        ScalingMode::Auto => {}
    }
    match &facts.kafka {
        Kafka::Unasked => unknown("NotAskedYet", "offsets have not been read yet"),
        Kafka::Unreachable { .. } => no(
            "KafkaUnreachable",
            "the size is left as it is while offsets cannot be read",
        ),
        Kafka::Read(_) if lag_is_unknown(facts) => no(
            "LagUnknown",
            "the size is left as it is: what waits is not known at present; see status.scaling.reasons",
        ),
        Kafka::Read(_) => {
            let ignored = fleet.manual_replicas.is_some();
            let note = if ignored {
                "sizes follow decisions; spec.replicas is not used in mode Auto"
            } else {
                "sizes follow decisions"
            };
            yes("Auto", note)
        }
    }
}

fn lag_is_unknown(facts: &Facts<'_>) -> bool {
    let first = facts.decision.and_then(|decision| decision.reasons.first());
    first.is_some_and(|why| why.is_unknown())
}

fn scaling_limited(facts: &Facts<'_>) -> Judgement {
    let policy_decides = facts
        .order
        .is_some_and(|order| matches!(order.by, By::Policy | By::Recommendation));
    if let Some(order) = facts.order.filter(|order| order.by == By::Outside) {
        return match &order.limit {
            Some((label, sentence)) => yes(*label, sentence.clone()),
            None => no("NotLimited", "nothing holds the size from what is wanted"),
        };
    }
    match facts.decision {
        Some(decision) if policy_decides => {
            match decision.reasons.iter().find(|why| why.is_limit()) {
                Some(why) => yes(why.label(), why.to_string()),
                None => no("NotLimited", "nothing holds the size from what is wanted"),
            }
        }
        _ => no("NotDeciding", "the policy does not decide at present"),
    }
}

fn stalled(facts: &Facts<'_>, stuck: &[StuckRecord]) -> Judgement {
    match (stuck.first(), &facts.kafka) {
        (Some(record), _) => yes(
            stalled_reason(record),
            stalled_text(facts, record, stuck.len()),
        ),
        (None, Kafka::Read(_)) => no("NothingStuck", "no record is reported as stuck"),
        (None, _) => unknown("NotRead", "reports of the pods cannot be read"),
    }
}

fn dead_letter_writable(facts: &Facts<'_>) -> Judgement {
    match facts.spec {
        Spec::Good(fleet) if fleet.delivery.used_dead_letter_topic().is_none() => {
            return yes("NotUsed", "no record goes to a dead-letter topic");
        }
        Spec::Good(_) => {}
        Spec::Bad(problems) => {
            return unknown(
                first_reason(problems),
                "it is asked about once the spec is good",
            );
        }
    }
    if let Some(flaw) = dead_letter_flaw(facts) {
        let waits = match facts.workload {
            Some(workload) if workload.ready > 0 => {
                "what would go there waits, and no pod begins before"
            }
            _ => "no record is taken before",
        };
        return no(flaw.reason, format!("{}; {waits}", flaw.message));
    }
    let Some(known) = facts.dead_letter else {
        return unknown("NotAskedYet", "Kafka has not been asked about it yet");
    };
    if let dead_letter_topic::State::Unknown(error) = &known.state {
        return unknown("NotRead", format!("Kafka does not say: {error}"));
    }
    let topic = &known.topic;
    match known.advice() {
        Some(advice) => yes(
            "Writable",
            format!("dead-letter topic {topic} is there; {advice}"),
        ),
        None => yes("Writable", format!("dead-letter topic {topic} is there")),
    }
}

/// What the controller found wrong with the dead-letter topic, or else pods that run.
fn dead_letter_flaw(facts: &Facts<'_>) -> Option<dead_letter_topic::Flaw> {
    let Spec::Good(fleet) = facts.spec else {
        return None;
    };
    let topic = fleet.delivery.used_dead_letter_topic()?;
    let found = facts.dead_letter.and_then(dead_letter_topic::Facts::flaw);
    found.or_else(|| {
        // What pods said that are gone is not looked at by anybody again.
        facts.workload.filter(|workload| workload.replicas > 0)?;
        dead_letter_topic::Flaw::told(facts.dead_letter_told?, topic)
    })
}

fn paused(facts: &Facts<'_>) -> Judgement {
    match facts.spec {
        Spec::Good(fleet) if fleet.paused => {
            yes("Paused", "stopped by spec.paused; set it to false to go on")
        }
        Spec::Good(_) => no("NotPaused", "spec.paused is false"),
        Spec::Bad(problems) => unknown(
            first_reason(problems),
            "the spec is not good, so it is not known whether it pauses",
        ),
    }
}

fn first_reason(problems: &[Problem]) -> &'static str {
    problems
        .first()
        .map_or("InvalidSpec", |problem| problem.reason)
}

/// Every problem at once, as far as a message has room.
fn problems_text(problems: &[Problem], facts: &Facts<'_>) -> String {
    const ROOM: usize = 4000;
    let mut text = String::new();
    for problem in problems {
        let line = format!("{}: {}; ", problem.field, problem.message);
        let room = ROOM.saturating_sub(text.len());
        if line.len() > room {
            if text.is_empty() {
                text.extend(line.chars().take(room / 4));
                text.push_str("…; ");
            }
            text.push_str("and more; ");
            break;
        }
        text.push_str(&line);
    }
    text.push_str(if facts.workload.is_some() {
        "the children are left as they were"
    } else {
        "nothing was created"
    });
    text
}

fn unreachable_text(facts: &Facts<'_>, error: &str) -> String {
    let servers = match facts.spec {
        Spec::Good(fleet) => fleet.bootstrap_servers.as_str(),
        Spec::Bad(_) => "spec.kafka.bootstrapServers",
    };
    format!(
        "offsets cannot be read from {servers}: {error}; the size is left as it is; check that Kafka runs and can be reached from the controller"
    )
}

/// What kind of trouble it is: of a record that cannot be handled, or one that cannot be read.
fn stalled_reason(record: &StuckRecord) -> &'static str {
    let class = record.error.split(' ').next().unwrap_or_default();
    let unread = unread::ALL.into_iter().find(|unread| *unread == class);
    unread.unwrap_or("RecordStuck")
}

fn stalled_text(facts: &Facts<'_>, record: &StuckRecord, count: usize) -> String {
    let StuckRecord {
        topic,
        partition,
        offset,
        attempts,
        error,
    } = record;
    let others = match count {
        0 | 1 => String::new(),
        more => format!(" ({} more in status.stuck)", more - 1),
    };
    let tried = match attempts {
        0 => String::new(),
        attempts => format!(" after {attempts} attempts"),
    };
    if error.starts_with(IDEMPOTENCY_STORE) {
        return format!(
            "nothing gets past {topic}[{partition}] offset {offset}{others}: the idempotency store does not answer; bring it back and it goes on by itself (the workers' log and /readyz have its words), or choose spec.idempotency.onStoreError: Deliver"
        );
    }
    let remedy = match stalled_reason(record) {
        unread::BREAKER_OPEN => {
            "none is dead-lettered meanwhile: they are tried one at a time and go on by themselves once the handler takes them; mend it, or raise spec.delivery.deadLetter.breaker.percent".to_owned()
        }
        unread::UNREADABLE => format!(
            "it is read again and again and goes on by itself once that works; look at the disks of the brokers and the network between; to give it up, {}",
            reset(facts, "--to-offset OFFSET")
        ),
        unread::OFFSETS_EXPIRED => format!(
            "what was deleted is lost; to go on with the oldest record that is left, {}, and let the topic's retention be longer than a fleet may stand still",
            reset(facts, "--to-earliest")
        ),
        unread::OFFSET_BEYOND_END | unread::TOPIC_RECREATED | unread::OFFSET_OUT_OF_RANGE => {
            format!(
                "no record is passed over without your word: to begin anew, {}",
                reset(facts, "--to-earliest")
            )
        }
        _ if error.starts_with("DeadLetter") => {
            "it goes on by itself once the dead-letter topic takes the copy".to_owned()
        }
        _ if error == "Protocol" => {
            "the handler does not answer in what spec.handler.http.protocol says: set that to Http1, or let the handler speak HTTP/2 without TLS (h2c, prior knowledge)".to_owned()
        }
        _ if own_consumer(facts) => {
            "look at what your consumer logs of this partition; mend it and it goes on by itself".to_owned()
        }
        _ => format!(
            "mend the handler and it goes on by itself, or name a dead-letter topic in spec.delivery.deadLetter; if the record is not worth it, {}",
            skip(facts, record)
        ),
    };
    format!(
        "nothing gets past {topic}[{partition}] offset {offset}{tried}: {error}{others}; {remedy}"
    )
}

/// How to set a group's offsets: only while it has no members.
/// The command that gives the record up.
fn skip(facts: &Facts<'_>, record: &StuckRecord) -> String {
    let whose = match facts.spec {
        Spec::Good(fleet) => format!("{} -n {}", fleet.name, fleet.namespace),
        Spec::Bad(_) => "NAME".to_owned(),
    };
    let (topic, partition, offset) = (&record.topic, record.partition, record.offset);
    format!(
        "drover skip {whose} --topic {topic} --partition {partition} --offset {offset} --reason WHY"
    )
}

fn reset(facts: &Facts<'_>, to: &str) -> String {
    let group = match facts.spec {
        Spec::Good(fleet) => fleet.group_id.as_str(),
        Spec::Bad(_) => "GROUP",
    };
    format!(
        "set spec.paused to true, wait until no pod is left, run kafka-consumer-groups --group {group} --reset-offsets {to} for the partition, and set spec.paused to false"
    )
}

fn rolling_text(replicas: u32) -> String {
    format!("pods are being replaced by pods of the new template ({replicas} exist)")
}
