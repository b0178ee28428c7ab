//! Many KafkaConsumers: one line each, then what needs somebody. Pure.

use kube::ResourceExt;

use super::{is_well, says_again};
use crate::api::{KafkaConsumer, names::condition};
use crate::cli::columns::{UNKNOWN, aligned, count, text as or_unknown};

/// The table; with `namespaces`, their column first.
pub(super) fn text(consumers: &[KafkaConsumer], namespaces: bool) -> String {
    let mut rows = vec![heading(namespaces)];
    rows.extend(consumers.iter().map(|consumer| row(consumer, namespaces)));
    let mut text = aligned(&rows, "");
    for consumer in consumers {
        for line in complaints(consumer) {
            text.push_str(&format!("\n{}: {line}", label(consumer, namespaces)));
        }
    }
    text
}

fn heading(namespaces: bool) -> Vec<String> {
    let names = ["NAME", "READY", "PODS", "WANTED", "LAG", "DELAY", "REASON"];
    let first = namespaces.then_some("NAMESPACE");
    first.into_iter().chain(names).map(str::to_owned).collect()
}

fn row(consumer: &KafkaConsumer, namespaces: bool) -> Vec<String> {
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
    let namespace = namespaces.then(|| consumer.namespace().unwrap_or_default());
    namespace.into_iter().chain(cells).collect()
}

/// What is not well, in sentences. A fleet on its way (`Progressing`) needs nobody.
fn complaints(consumer: &KafkaConsumer) -> Vec<String> {
    let Some(status) = &consumer.status else {
        return vec!["no status yet; is the controller running?".to_owned()];
    };
    let bad: Vec<_> = status
        .conditions
        .iter()
        .filter(|condition| condition.type_ != condition::PROGRESSING)
        .filter(|condition| !is_well(condition))
        .collect();
    bad.iter()
        .filter(|condition| !says_again(condition, &bad))
        .map(|condition| {
            format!(
                "{} {} ({}): {}",
                condition.type_, condition.status, condition.reason, condition.message
            )
        })
        .collect()
}

fn label(consumer: &KafkaConsumer, namespaces: bool) -> String {
    match consumer.namespace().filter(|_| namespaces) {
        Some(namespace) => format!("{namespace}/{}", consumer.name_any()),
        None => consumer.name_any(),
    }
}

#[cfg(test)]
mod tests;
