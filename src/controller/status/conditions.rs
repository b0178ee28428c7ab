//! The conditions, one function each. Reasons are CamelCase and stable; messages say what, why and
//! what to do.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::pods::{
    nobody_handles_text, not_ready_text, ready_text, remedy, rolling_text, rolling_wait_text,
};
use super::texts::{
    nothing_stuck_text, problems_text, stalled_reason, stalled_text, turned_away_text,
    unknown_fields_text, unreachable_text, with_unused,
};
use super::{Facts, Kafka, Spec, beyond_end, own_consumer};
use crate::api::names::{condition, reason};
use crate::api::{ScalingMode, StuckRecord};
use crate::controller::size::By;
use crate::controller::workload::Workload;
use crate::fleet::Problem;
use crate::lag::dead_letter_topic;
use crate::plural::noun;
use crate::scaling::Why;

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
        (
            condition::READY,
            with_unknown_fields(ready(facts, stuck), facts.unknown_fields),
        ),
        (condition::PROGRESSING, progressing(facts)),
        (condition::KAFKA_REACHABLE, kafka_reachable(facts)),
        (condition::SCALING_ACTIVE, scaling_active(facts)),
        (condition::SCALING_LIMITED, scaling_limited(facts)),
        (condition::STALLED, stalled(facts, stuck)),
        (condition::DEAD_LETTER_WRITABLE, dead_letter_writable(facts)),
        (condition::GROUP_SHARED, group_shared(facts)),
        (condition::PAUSED, paused(facts)),
    ];
    judgements
        .into_iter()
        .map(|(type_, judgement)| dated(facts, type_, judgement))
        .collect()
}

/// A condition keeps its time unless its status flips. The API knows whole seconds: with more, a status that
/// was read would never be the one that was written.
fn dated(facts: &Facts<'_>, type_: &str, judgement: Judgement) -> Condition {
    let before = facts
        .previous
        .conditions
        .iter()
        .find(|old| old.type_ == type_);
    let last_transition_time = match before {
        Some(old) if old.status == judgement.status => old.last_transition_time.clone(),
        _ => Time(Timestamp::from_second(facts.now.as_second()).unwrap_or(facts.now)),
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

/// Whatever else is to be said: nothing but status tells of them.
fn with_unknown_fields(mut judgement: Judgement, fields: &[String]) -> Judgement {
    judgement.message.push_str(&unknown_fields_text(fields));
    judgement
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
        let remedy = remedy(trouble, fleet).unwrap_or_default();
        return no(
            trouble.reason.clone(),
            format!("{}{remedy}", trouble.message),
        );
    }
    if let Kafka::Unreachable { reason, error } = &facts.kafka {
        return no("KafkaUnreachable", unreachable_text(facts, reason, error));
    }
    if let Some(flaw) = dead_letter_flaw(facts) {
        return no(flaw.reason, flaw.message);
    }
    if let Some(record) = stuck.first() {
        return no("Stalled", stalled_text(facts, record, stuck.len()));
    }
    if !fleet.paused
        && let Some(seconds) = turned_away(facts)
    {
        return no("HandlerTurnsAway", turned_away_text(facts, seconds));
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
        return no("RollingOut", rolling_wait_text(facts, fleet, workload));
    }
    if ready < size {
        return no("PodsNotReady", not_ready_text(facts, fleet, workload));
    }
    // A pod would say so itself, as Stalled.
    if size == 0
        && let Some(text) = beyond_end::text(facts)
    {
        return no("OffsetBeyondEnd", text);
    }
    let decides = !matches!(fleet.mode, ScalingMode::Manual | ScalingMode::External);
    match size {
        0 if decides && facts.decision.is_none() => unknown(
            "WaitingForOffsets",
            "what waits in Kafka is not known yet; no pod starts before",
        ),
        0 if waits(facts) && fleet.mode != ScalingMode::Auto => yes(
            "HeldAtZero",
            "records wait, and no pod is started, as spec.scaling.mode leaves the size to others: set spec.replicas, or spec.scaling.mode to Auto",
        ),
        0 => yes("Idle", "at zero: there is nothing to do"),
        _ => yes("AllReady", ready_text(ready, size)),
    }
}

/// Records are known to wait.
fn waits(facts: &Facts<'_>) -> bool {
    let lag = facts.decision.and_then(|decision| decision.outlook.lag);
    lag.is_some_and(|lag| lag > 0)
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
        yes("ScalingUp", ready_text(workload.ready, size))
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
    // Of a topic that is not there the brokers are not to blame.
    let missing = match facts.spec {
        Spec::Bad(problems) => problems
            .iter()
            .find(|it| it.reason == reason::TOPIC_NOT_FOUND),
        Spec::Good(_) => None,
    };
    match &facts.kafka {
        Kafka::Read(_) if let Some(problem) = missing => {
            no("TopicMissing", problem.message.clone())
        }
        Kafka::Unasked => unknown("NotAskedYet", "offsets have not been read yet"),
        Kafka::Unreachable { reason, error } => no(*reason, unreachable_text(facts, reason, error)),
        Kafka::Read(sample) => {
            let unknown_partitions = sample.partitions.values().filter(|seen| seen.is_none());
            match unknown_partitions.count() {
                0 => yes("OffsetsRead", "offsets are read"),
                count => no(
                    "PartitionsUnread",
                    format!(
                        "offsets of {count} of {} {} cannot be read; the brokers that lead them may be down",
                        sample.partitions.len(),
                        noun("partition", sample.partitions.len())
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
            let note =
                "spec.replicas sets the size; use kubectl scale, or set spec.scaling.mode to Auto";
            return no("Manual", with_unused(fleet, note));
        }
        ScalingMode::External => {
            let note = "spec.replicas sets the size, and an autoscaler sets that; set spec.scaling.mode to Auto to have Drover decide";
            return no("External", with_unused(fleet, note));
        }
        ScalingMode::Recommend => {
            let note = "sizes are recommended in status.scaling.wanted, not set; set spec.scaling.mode to Auto to act on them";
            return no("RecommendOnly", with_unused(fleet, note));
        }
        ScalingMode::Auto => {}
    }
    match &facts.kafka {
        Kafka::Unasked => unknown("NotAskedYet", "offsets have not been read yet"),
        Kafka::Unreachable { .. } => {
            let note = "the size is left as it is while offsets cannot be read";
            no("KafkaUnreachable", with_unused(fleet, note))
        }
        Kafka::Read(_) if lag_is_unknown(facts) => {
            let note = "the size is left as it is: what waits is not known at present; see status.scaling.reasons";
            no("LagUnknown", with_unused(fleet, note))
        }
        Kafka::Read(_) => yes("Auto", with_unused(fleet, "sizes follow decisions")),
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
        (None, Kafka::Read(sample)) => match nobody_handles(facts) {
            Some(workload) => yes("NoPodReady", nobody_handles_text(facts, workload)),
            None => match turned_away(facts) {
                Some(seconds) => yes("HandlerTurnsAway", turned_away_text(facts, seconds)),
                None => no("NothingStuck", nothing_stuck_text(sample)),
            },
        },
        (None, _) => unknown("NotRead", "reports of the pods cannot be read"),
    }
}

/// For how many seconds the handler has asked for less and taken nothing.
fn turned_away(facts: &Facts<'_>) -> Option<f64> {
    let mut reasons = facts.decision.iter().flat_map(|it| &it.reasons);
    reasons.find_map(|why| match why {
        Why::TurnedAway { seconds } => Some(*seconds),
        _ => None,
    })
}

/// Records wait, and not one pod is ready, for longer than pods take: their handlers are gone, say. It is said until a pod
/// is ready again or nothing waits; another size or another template, for which pods are awaited anew, ends nothing.
fn nobody_handles<'a>(facts: &Facts<'a>) -> Option<&'a Workload> {
    let ordered = |workload: &&Workload| workload.size > 0 && workload.ready == 0;
    let workload = facts.workload.filter(ordered)?;
    if facts.order.is_some_and(|order| order.by == By::Pause) {
        return None;
    }
    let mut before = facts.previous.conditions.iter();
    let was_so = before.any(|old| old.type_ == condition::STALLED && old.reason == "NoPodReady");
    let lag = facts.decision.and_then(|decision| decision.outlook.lag);
    let all_given_up = || {
        let mut reasons = facts.decision.iter().flat_map(|it| &it.reasons);
        reasons
            .any(|why| matches!(why, Why::PodsMissing { missing, ordered } if missing == ordered))
    };
    match lag {
        Some(0) => None,
        Some(_) if was_so || all_given_up() => Some(workload),
        // Not to know what waits is not to know that it is over.
        None if was_so => Some(workload),
        _ => None,
    }
}

fn group_shared(facts: &Facts<'_>) -> Judgement {
    if let Spec::Bad(problems) = facts.spec {
        return unknown(
            first_reason(problems),
            "it is looked at once the spec is good",
        );
    }
    match &facts.kafka {
        Kafka::Unasked => return unknown("NotAskedYet", "Kafka has not been asked yet"),
        Kafka::Unreachable { .. } => {
            return unknown("NotRead", "Kafka does not say who has the group");
        }
        Kafka::Read(_) => {}
    }
    let sharing = &facts.sharing;
    if !sharing.strangers.is_empty() {
        yes("OtherMembers", sharing.strangers_text())
    } else if !sharing.rivals.is_empty() {
        yes("OtherFleet", sharing.rivals_text())
    } else if sharing.foreign > 0 && !own_consumer(facts) {
        yes("OtherCommits", sharing.foreign_text())
    } else if !sharing.is_known {
        unknown("NotRead", "Kafka does not say who has the group")
    } else {
        no("NotShared", "nobody else is seen in the group")
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
        Spec::Bad(_) if facts.order.is_some_and(|order| order.by == By::Pause) => yes(
            "Paused",
            "stopped by spec.paused, although the spec is not good; correct it and set paused to false to go on",
        ),
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
