//! One KafkaConsumer, with everything that its status knows. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::unseen::{no_status, unseen};
use super::{causes, is_well, late};
use crate::api::names::{NOT_IN_PODS, condition};
use crate::api::{KafkaConsumer, KafkaConsumerStatus, ScalingStatus};
use crate::cli::columns::{
    UNKNOWN, ago, aligned, arrival, count, counted, per_second, text as or_unknown,
};
use crate::fleet::unused;

/// The whole text, several lines.
pub(super) fn text(consumer: &KafkaConsumer, now: Timestamp) -> String {
    let name = format!(
        "{} in {}",
        consumer.name_any(),
        consumer.namespace().unwrap_or_default()
    );
    let Some(status) = &consumer.status else {
        return format!("{name}: {}\n", no_status(consumer, now));
    };
    let mut text = format!("{name}: {}\n", headline(status));
    if let Some(late) = behind(consumer, status, now) {
        text.push_str(&late);
    }
    text.push_str(&aligned(&figures(consumer, status, now), "  "));
    // What needs somebody goes first.
    let parts = [
        conditions(status, now),
        stuck(status),
        decision(status),
        not_used(consumer),
    ];
    for part in parts {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    }
    text
}

fn headline(status: &KafkaConsumerStatus) -> String {
    let ready = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == condition::READY);
    match ready {
        Some(ready) if ready.status == "True" => format!("ready ({})", ready.reason),
        Some(ready) => format!("not ready ({})", ready.reason),
        None => "not known to be ready".to_owned(),
    }
}

/// A status that speaks of an older spec says so, and one that nobody writes any more.
fn behind(
    consumer: &KafkaConsumer,
    status: &KafkaConsumerStatus,
    now: Timestamp,
) -> Option<String> {
    if consumer.metadata.deletion_timestamp.is_some() {
        let finalizers = consumer.finalizers().join(", ");
        return Some(format!(
            "  (it is being deleted, and looked after no more; it is still there for the sake of {finalizers})\n"
        ));
    }
    if let Some(unseen) = unseen(consumer, now) {
        return Some(format!("  ({unseen})\n"));
    }
    let newest = consumer.metadata.generation?;
    let observed = status.observed_generation.unwrap_or(0);
    (observed < newest).then(|| {
        format!(
            "  (of generation {observed}; the controller has not seen generation {newest} yet)\n"
        )
    })
}

fn figures(
    consumer: &KafkaConsumer,
    status: &KafkaConsumerStatus,
    now: Timestamp,
) -> Vec<Vec<String>> {
    let line = |name: &str, value: String| vec![name.to_owned(), value];
    let scaling = status.scaling.clone().unwrap_or_default();
    let since = scaling
        .since
        .map(|since| format!(" since {} ago", ago(since, now)));
    let pods = format!(
        "{} ready of {}, {} wanted{}",
        count(status.ready_replicas),
        count(status.replicas),
        count(scaling.wanted),
        since.unwrap_or_default()
    );
    let group = format!(
        "{}, {}",
        or_unknown(status.group_id.as_deref()),
        counted(status.partitions, "partition")
    );
    let late = late(consumer)
        .map(|(_, promise)| format!(", longer than the {promise} of spec.scaling.maxDelay"));
    let lag = format!(
        "{}, the oldest waits {}{}",
        counted(status.lag, "record"),
        or_unknown(status.delay.as_deref()),
        late.unwrap_or_default()
    );
    vec![
        line("pods", pods),
        line("group", group),
        line("lag", lag),
        line("load", load(status, &scaling)),
    ]
}

fn load(status: &KafkaConsumerStatus, scaling: &ScalingStatus) -> String {
    let rate = |rate: Option<f64>| rate.map_or_else(|| UNKNOWN.to_owned(), per_second);
    let start = scaling
        .start_up_seconds
        .map_or_else(|| UNKNOWN.to_owned(), |seconds| format!("{seconds:.1}s"));
    format!(
        "{} arrive, a pod does {}, a new pod works after {start}",
        arrival(status),
        rate(scaling.capacity_per_pod),
    )
}

fn decision(status: &KafkaConsumerStatus) -> String {
    let Some(scaling) = status
        .scaling
        .as_ref()
        .filter(|scaling| !scaling.reasons.is_empty())
    else {
        return String::new();
    };
    let mut text = format!("Why {}\n", counted(scaling.wanted, "pod"));
    for reason in &scaling.reasons {
        text.push_str(&format!("  {reason}\n"));
    }
    text
}

/// What somebody wrote in vain, which is no fault of the fleet.
fn not_used(consumer: &KafkaConsumer) -> String {
    let mut text = String::new();
    let conditions = consumer.status.iter().flat_map(|it| &it.conditions);
    let of_pods = conditions
        .filter(|it| it.type_ == condition::READY)
        .filter_map(|ready| Some(ready.message.split_once(NOT_IN_PODS)?.1.to_owned()));
    let fields = unused(&consumer.spec).into_iter().map(|it| it.message);
    for message in fields.chain(of_pods) {
        if text.is_empty() {
            text.push_str("Not used\n");
        }
        text.push_str(&format!("  {message}\n"));
    }
    text
}

fn conditions(status: &KafkaConsumerStatus, now: Timestamp) -> String {
    let (well, not_well): (Vec<&Condition>, Vec<&Condition>) = status
        .conditions
        .iter()
        .filter(|condition| condition.type_ != condition::PROGRESSING || condition.status == "True")
        .partition(|condition| is_well(condition));
    let mut text = String::new();
    for condition in well.iter().filter(|c| c.type_ == condition::PROGRESSING) {
        text.push_str(&format!("Under way: {}\n", condition.message));
    }
    if not_well.is_empty() {
        return text;
    }
    text.push_str("Not well\n");
    for told in causes(&not_well) {
        text.push_str(&format!(
            "  {} for {}: {}\n",
            told.head(),
            ago(told.condition.last_transition_time.0, now),
            told.says()
        ));
    }
    text
}

fn stuck(status: &KafkaConsumerStatus) -> String {
    if status.stuck.is_empty() {
        return String::new();
    }
    let heading = ["TOPIC", "PARTITION", "OFFSET", "ATTEMPTS", "ERROR"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(status.stuck.iter().map(|record| {
        vec![
            record.topic.clone(),
            record.partition.to_string(),
            record.offset.to_string(),
            record.attempts.to_string(),
            record.error.clone(),
        ]
    }));
    format!("Stuck records\n{}", aligned(&rows, "  "))
}

#[cfg(test)]
mod tests;
