//! The annotation of records that somebody gave up: checked, and told to the worker.

use super::problem::Problems;
use crate::api::names::ANNOTATION_SKIP;
use crate::api::{KafkaConsumer, Skip};
use crate::worker_config;

/// The field, as problems name it.
const FIELD: &str = "metadata.annotations[drover.dev/skip]";

/// Says what is wrong with the annotation.
pub(super) fn check(consumer: &KafkaConsumer, problems: &mut Problems) {
    let Some(text) = annotation(consumer) else {
        return;
    };
    let name = consumer.metadata.name.as_deref().unwrap_or_default();
    let remove = format!("kubectl annotate kc {name} {ANNOTATION_SKIP}-");
    match Skip::read(text) {
        Err(flaw) => problems.invalid(
            FIELD,
            format!("{FIELD} {flaw}; write it with drover skip, or take it away: {remove}"),
        ),
        Ok(skips) if !skips.is_empty() && consumer.spec.handler.consumer.is_some() => problems
            .contradiction(
                FIELD,
                format!("{FIELD} cannot work with spec.handler.consumer, a program that consumes and commits by itself; let that program pass the record over, and take the annotation away: {remove}"),
            ),
        Ok(_) => {}
    }
}

/// Those of them that the fleet may meet: a topic may have been taken out of the spec since.
pub(super) fn complete(consumer: &KafkaConsumer, topics: &[String]) -> Vec<worker_config::Skip> {
    let written = annotation(consumer).map(Skip::read);
    let skips = written.and_then(Result::ok).unwrap_or_default();
    skips
        .into_iter()
        .filter(|skip| topics.contains(&skip.topic))
        .map(|skip| worker_config::Skip {
            topic: skip.topic,
            partition: skip.partition,
            offset: skip.offset,
            timestamp: skip.timestamp,
            reason: skip.reason,
        })
        .collect()
}

fn annotation(consumer: &KafkaConsumer) -> Option<&str> {
    let annotations = consumer.metadata.annotations.as_ref()?;
    annotations.get(ANNOTATION_SKIP).map(String::as_str)
}
