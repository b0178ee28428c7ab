//! The list of records in the annotation. Pure.

use anyhow::{anyhow, ensure};
use kube::ResourceExt;

use crate::api::names::ANNOTATION_SKIP;
use crate::api::{KafkaConsumer, MOST_SKIPS, Skip};
use crate::topic::TopicPartition;

/// What the annotation says now.
///
/// # Errors
/// If it cannot be read: it is not ours to throw away.
pub(super) fn written(consumer: &KafkaConsumer) -> anyhow::Result<Vec<Skip>> {
    let Some(text) = consumer.annotations().get(ANNOTATION_SKIP) else {
        return Ok(Vec::new());
    };
    Skip::read(text).map_err(|flaw| {
        anyhow!(
            "annotation {ANNOTATION_SKIP} {flaw}; take it away and skip again: kubectl annotate kc {} -n {} {ANNOTATION_SKIP}-",
            consumer.name_any(),
            consumer.namespace().unwrap_or_default()
        )
    })
}

/// The entry of the same record, if it is there already.
pub(super) fn find<'a>(entries: &'a [Skip], skip: &Skip) -> Option<&'a Skip> {
    entries
        .iter()
        .find(|entry| is_at(entry, skip) && entry.timestamp == skip.timestamp)
}

/// What is said of an entry that is there already.
pub(super) fn already(entry: &Skip) -> String {
    let by = entry.by.as_deref().unwrap_or("somebody");
    let at = entry.at.as_deref().unwrap_or("an unknown time");
    format!(
        "{}[{}] offset {} is skipped already, by {by} at {at}: {}",
        entry.topic, entry.partition, entry.offset, entry.reason
    )
}

/// The list with `skip` added, and without what is `done`: offsets that the group has committed, of which
/// all before them needs no skipping any more.
///
/// # Errors
/// If it has no room.
pub(super) fn with(
    mut entries: Vec<Skip>,
    skip: Skip,
    done: &[(TopicPartition, i64)],
) -> anyhow::Result<Vec<Skip>> {
    entries.retain(|entry| {
        // One of another timestamp spoke of a topic that is no more.
        let passed = done.iter().any(|(partition, committed)| {
            *partition.topic == *entry.topic
                && partition.partition == entry.partition
                && entry.offset < *committed
        });
        !passed && !is_at(entry, &skip)
    });
    ensure!(
        entries.len() < MOST_SKIPS,
        "{MOST_SKIPS} records are being skipped already, and no more have room; so many are a fault of the handler: mend it, or name a dead-letter topic in spec.delivery.deadLetter"
    );
    entries.push(skip);
    Ok(entries)
}

fn is_at(entry: &Skip, skip: &Skip) -> bool {
    (&entry.topic, entry.partition, entry.offset) == (&skip.topic, skip.partition, skip.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(partition: i32, offset: i64) -> Skip {
        Skip {
            topic: "orders".to_owned(),
            partition,
            offset,
            timestamp: 7,
            reason: "no such user".to_owned(),
            at: None,
            by: None,
        }
    }

    fn offsets(entries: &[Skip]) -> Vec<(i32, i64)> {
        entries
            .iter()
            .map(|entry| (entry.partition, entry.offset))
            .collect()
    }

    #[test]
    fn what_is_committed_goes_and_what_is_not_known_stays() {
        let entries = vec![skip(0, 5), skip(0, 9), skip(1, 5)];
        let done = [(TopicPartition::new("orders", 0), 9)];
        let now = with(entries, skip(0, 12), &done).unwrap();
        assert_eq!(offsets(&now), [(0, 9), (1, 5), (0, 12)]);
    }

    #[test]
    fn a_record_of_a_topic_made_anew_takes_the_place_of_the_old_one() {
        let old = vec![skip(0, 5)];
        let new = Skip {
            timestamp: 8,
            ..skip(0, 5)
        };
        assert!(find(&old, &skip(0, 5)).is_some());
        assert!(find(&old, &new).is_none());
        assert_eq!(with(old, new.clone(), &[]).unwrap(), [new]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let full: Vec<_> = (0..50).map(|offset| skip(0, offset)).collect();
        let error = with(full.clone(), skip(0, 99), &[]).unwrap_err();
        assert!(error.to_string().starts_with("50 records"), "{error}");
        let done = [(TopicPartition::new("orders", 0), 1)];
        assert_eq!(with(full, skip(0, 99), &done).unwrap().len(), 50);
    }
}
