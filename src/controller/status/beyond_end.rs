//! Offsets that the group committed beyond the end of the log: what waits is not known, and at zero no worker is there
//! to say so.

use super::texts::{Place, reset};
use super::{Facts, Kafka};
use crate::api::StuckRecord;
use crate::scaling::LagUnknown;

/// What is so and what to do; none where no commit lies beyond an end.
pub(super) fn text(facts: &Facts<'_>) -> Option<String> {
    let Kafka::Read(sample) = &facts.kafka else {
        return None;
    };
    let mut beyond =
        sample
            .partitions
            .iter()
            .filter_map(|(partition, seen)| match seen.as_ref()?.lag() {
                Err(LagUnknown::CommittedBeyondEnd { committed, end }) => {
                    Some((partition, committed, end))
                }
                _ => None,
            });
    let (partition, committed, end) = beyond.next()?;
    let others = match beyond.count() {
        0 => String::new(),
        1 => " (and so it is with another partition)".to_owned(),
        more => format!(" (and so it is with {more} other partitions)"),
    };
    let place = StuckRecord {
        topic: partition.topic.to_string(),
        partition: partition.partition,
        offset: committed.0,
        attempts: 0,
        error: String::new(),
    };
    Some(format!(
        "the committed offset {committed} of {partition} lies beyond its end {end}{others}: what waits is not known, no pod starts for it, and what comes is not read before the end has passed that offset; the log was cut, made anew or restored from an older state, or the offset was set too far. No record is passed over without your word: to begin with the oldest that is there, {}",
        reset(facts, &place, &Place::Oldest)
    ))
}
