//! Many KafkaConsumers: one line each, then what needs somebody. Pure.

use jiff::Timestamp;
use kube::ResourceExt;

use super::unseen::{no_status, unseen};
use super::{causes, is_well};
use crate::api::{KafkaConsumer, KafkaConsumerStatus, ScalingMode, names::condition};
use crate::cli::columns::{UNKNOWN, aligned, count, text as or_unknown};
use crate::cli::connection::group_id;
use crate::cli::fit::{cut_lines, wrapped_lines};

/// Which columns a table has beside the usual ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Columns {
    /// The namespace, first.
    pub namespaces: bool,
    /// What each is to do, last.
    pub wide: bool,
}

/// The table, cut to the width where there is one: its rows stay lines. Below it what needs somebody, in whole.
pub(super) fn text(
    consumers: &[KafkaConsumer],
    columns: Columns,
    width: Option<usize>,
    now: Timestamp,
) -> String {
    let mut text = cut_lines(&aligned(&table(consumers, columns), ""), width);
    for consumer in consumers {
        for line in complaints(consumer, now) {
            let line = format!("{}: {line}", label(consumer, columns));
            text.push('\n');
            text.push_str(&wrapped_lines(&line, width));
        }
    }
    text
}

/// The heading and a row for each.
pub(super) fn table(consumers: &[KafkaConsumer], columns: Columns) -> Vec<Vec<String>> {
    let mut rows = vec![heading(columns)];
    rows.extend(consumers.iter().map(|consumer| row(consumer, columns)));
    rows
}

fn heading(columns: Columns) -> Vec<String> {
    let names = ["NAME", "READY", "PODS", "WANTED", "LAG", "DELAY", "REASON"];
    let first = columns.namespaces.then_some("NAMESPACE");
    let wide = ["PROMISE", "SIZES", "HANDLER", "GROUP", "TOPICS"];
    let last = wide.into_iter().filter(|_| columns.wide);
    let all = first.into_iter().chain(names).chain(last);
    all.map(str::to_owned).collect()
}

/// One KafkaConsumer's row.
pub(super) fn row(consumer: &KafkaConsumer, columns: Columns) -> Vec<String> {
    let status = consumer.status.clone().unwrap_or_default();
    let ready = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == condition::READY);
    let pods = match (status.ready_replicas, status.replicas) {
        (Some(ready), Some(all)) => format!("{ready}/{all}"),
        (None, Some(all)) => format!("{UNKNOWN}/{all}"),
        _ => UNKNOWN.to_owned(),
    };
    let wanted = status.scaling.and_then(|scaling| scaling.wanted);
    let cells = [
        consumer.name_any(),
        or_unknown(ready.map(|ready| ready.status.as_str())),
        pods,
        count(wanted),
        count(status.lag),
        or_unknown(status.delay.as_deref()),
        or_unknown(ready.map(|ready| ready.reason.as_str())),
    ];
    let namespace = columns
        .namespaces
        .then(|| consumer.namespace().unwrap_or_default());
    let wide = columns.wide.then(|| purpose(consumer));
    let wide = wide.into_iter().flatten();
    namespace.into_iter().chain(cells).chain(wide).collect()
}

/// What it is to do.
fn purpose(consumer: &KafkaConsumer) -> [String; 5] {
    let spec = &consumer.spec;
    let scaling = &spec.scaling;
    let promise = match scaling.mode {
        ScalingMode::Manual | ScalingMode::External => UNKNOWN.to_owned(),
        ScalingMode::Auto | ScalingMode::Recommend => scaling.max_delay.to_string(),
    };
    let sizes = match scaling.max_replicas {
        Some(most) => format!("{}-{most}", scaling.min_replicas),
        None => format!("{}+", scaling.min_replicas),
    };
    let handler = &spec.handler;
    let handler = if handler.exec.is_some() {
        "exec"
    } else if handler.consumer.is_some() {
        "consumer"
    } else {
        "http"
    };
    let group = group_id(consumer);
    [
        promise,
        sizes,
        handler.to_owned(),
        group,
        spec.topics.join(","),
    ]
}

/// The status speaks of an older spec.
fn behind(
    consumer: &KafkaConsumer,
    status: &KafkaConsumerStatus,
    now: Timestamp,
) -> Option<String> {
    if let Some(unseen) = unseen(consumer, now) {
        return Some(unseen);
    }
    let newest = consumer.metadata.generation?;
    let observed = status.observed_generation?;
    (observed < newest).then(|| {
        format!(
            "the controller has not seen generation {newest} yet; if that lasts, see drover doctor"
        )
    })
}

/// What is not well, in sentences. A fleet on its way (`Progressing`) needs nobody.
pub(super) fn complaints(consumer: &KafkaConsumer, now: Timestamp) -> Vec<String> {
    let Some(status) = &consumer.status else {
        return vec![no_status(consumer, now)];
    };
    let behind = behind(consumer, status, now);
    let bad: Vec<_> = status
        .conditions
        .iter()
        .filter(|condition| condition.type_ != condition::PROGRESSING)
        .filter(|condition| !is_well(condition))
        .collect();
    let told = causes(&bad);
    let told = told
        .iter()
        .map(|told| format!("{}: {}", told.head(), told.says()));
    behind.into_iter().chain(told).collect()
}

/// Its name, with its namespace where there is a column for it.
pub(super) fn label(consumer: &KafkaConsumer, columns: Columns) -> String {
    match consumer.namespace().filter(|_| columns.namespaces) {
        Some(namespace) => format!("{namespace}/{}", consumer.name_any()),
        None => consumer.name_any(),
    }
}

#[cfg(test)]
mod tests;
