//! Which events a reconcile is worth: one for each transition, none for a state that lasts.
//!
//! Pure. The status before is the memory, so a restarted controller does not repeat itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::children::Correction;
use super::resized::Resized;
use super::scale::Scaled;
use crate::api::KafkaConsumerStatus;
use crate::api::names::{NOT_IN_PODS, condition};
use crate::k8s::events::Announcement;

/// What happened in a reconcile, beside the change of status.
#[derive(Debug, Default)]
pub struct Happenings {
    /// What was put right.
    pub corrections: Vec<Correction>,
    /// The change of size.
    pub scaled: Option<Scaled>,
    /// What somebody else did to the size, where that is to be told.
    pub resized: Option<Resized>,
    /// Why the size is so, in words.
    pub why: Option<String>,
    /// The spec has problems.
    pub bad_spec: bool,
    /// The children could not be applied.
    pub trouble: bool,
}

/// The events for the way from `before` to `after`.
pub fn announcements(
    before: &KafkaConsumerStatus,
    after: &KafkaConsumerStatus,
    happenings: &Happenings,
) -> Vec<Announcement> {
    let mut events = Vec::new();
    if let Some(resized) = &happenings.resized {
        events.push(Announcement {
            warning: true,
            reason: "ResizedByOther".to_owned(),
            action: format!("Scale{}To{}", resized.from, resized.to),
            note: resized.to_string(),
        });
    }
    if let Some(Scaled { from, to }) = happenings.scaled {
        events.push(normal(
            "Scaled",
            format!("Scale{from}To{to}"),
            match &happenings.why {
                Some(why) => format!("from {from} to {to}: {why}"),
                None => format!("from {from} to {to}"),
            },
        ));
    }
    for correction in &happenings.corrections {
        events.push(drift(correction));
    }
    if let Some(event) = bad_day(before, after, happenings) {
        events.push(event);
    }
    events.extend(unknown_fields(before, after));
    let flips = [
        (
            condition::KAFKA_REACHABLE,
            "False",
            true,
            "KafkaUnreachable",
        ),
        (condition::STALLED, "True", true, "Stalled"),
        (
            condition::DEAD_LETTER_WRITABLE,
            "False",
            true,
            "DeadLetterNotWritable",
        ),
        (condition::GROUP_SHARED, "True", true, "GroupShared"),
        (condition::PAUSED, "True", false, "Paused"),
        (condition::SCALING_LIMITED, "True", false, "ScalingLimited"),
    ];
    for (type_, bad, warning, reason) in flips {
        if let Some(condition) = flipped(before, after, type_, bad) {
            events.push(Announcement {
                warning,
                reason: reason.to_owned(),
                action: condition.reason.clone(),
                note: condition.message.clone(),
            });
        }
    }
    let mends = [
        (
            condition::KAFKA_REACHABLE,
            "False",
            "True",
            "KafkaReachable",
        ),
        (condition::STALLED, "True", "False", "Recovered"),
        (
            condition::DEAD_LETTER_WRITABLE,
            "False",
            "True",
            "DeadLetterWritable",
        ),
        (condition::GROUP_SHARED, "True", "False", "GroupAlone"),
        (condition::PAUSED, "True", "False", "Resumed"),
    ];
    for (type_, bad, good, reason) in mends {
        let was_bad = find(before, type_).is_some_and(|old| old.status == bad);
        if was_bad && let Some(condition) = flipped(before, after, type_, good) {
            events.push(normal(reason, reason.to_owned(), condition.message.clone()));
        }
    }
    events
}

/// A spec with problems, children that cannot be applied, or pods that cannot run: told when the
/// reason is a new one.
fn bad_day(
    before: &KafkaConsumerStatus,
    after: &KafkaConsumerStatus,
    happenings: &Happenings,
) -> Option<Announcement> {
    let ready = find(after, condition::READY)?;
    if ready.status != "False" {
        return None;
    }
    let old = find(before, condition::READY);
    let same_reason = old.is_some_and(|old| old.status == "False" && old.reason == ready.reason);
    let same_spec = before.observed_generation == after.observed_generation;
    let progressing = find(after, condition::PROGRESSING)?;
    let pods_fail = progressing.status == "False" && progressing.reason == ready.reason;
    let reason = if happenings.bad_spec {
        "InvalidSpec".to_owned()
    } else if happenings.trouble || pods_fail {
        ready.reason.clone()
    } else {
        return None;
    };
    (!same_reason || (happenings.bad_spec && !same_spec)).then(|| Announcement {
        warning: true,
        reason,
        action: ready.reason.clone(),
        note: ready.message.clone(),
    })
}

/// What the template has and does not exist, where it is not what was told.
fn unknown_fields(
    before: &KafkaConsumerStatus,
    after: &KafkaConsumerStatus,
) -> Option<Announcement> {
    fn told(status: &KafkaConsumerStatus) -> Option<&str> {
        let ready = find(status, condition::READY)?;
        Some(ready.message.split_once(NOT_IN_PODS)?.1)
    }
    let note = told(after).filter(|_| told(before) != told(after))?;
    Some(Announcement {
        warning: true,
        reason: "UnknownField".to_owned(),
        action: "UnknownField".to_owned(),
        note: note.to_owned(),
    })
}

fn drift(correction: &Correction) -> Announcement {
    const SHOWN: usize = 5;
    let Correction { kind, fields } = correction;
    let note = if fields.is_empty() {
        format!("{kind} had been deleted and was made again")
    } else {
        let mut shown: Vec<&str> = fields.iter().take(SHOWN).map(String::as_str).collect();
        if fields.len() > SHOWN {
            shown.push("…");
        }
        format!(
            "{kind} had been changed by somebody else and was put right: {}",
            shown.join(", ")
        )
    };
    normal("DriftCorrected", format!("Apply{kind}"), note)
}

fn normal(reason: &str, action: String, note: String) -> Announcement {
    Announcement {
        warning: false,
        reason: reason.to_owned(),
        action,
        note,
    }
}

fn find<'a>(status: &'a KafkaConsumerStatus, type_: &str) -> Option<&'a Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
}

/// The condition, if it has come to `status` just now.
fn flipped<'a>(
    before: &KafkaConsumerStatus,
    after: &'a KafkaConsumerStatus,
    type_: &str,
    status: &str,
) -> Option<&'a Condition> {
    let now = find(after, type_)?;
    let was = find(before, type_).map(|old| old.status.as_str());
    (now.status == status && was != Some(status)).then_some(now)
}
