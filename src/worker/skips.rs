//! Records that somebody gave up with `drover skip`.

use std::collections::BTreeMap;

use crate::kafka::Message;
use crate::topic::{Offset, TopicPartition};
use crate::worker_config::Skip;

/// What is to be passed over. Almost always nothing, and never much.
pub(super) struct Skips(BTreeMap<(TopicPartition, Offset), Skip>);

impl Skips {
    pub fn new(skips: &[Skip]) -> Self {
        let place = |skip: &Skip| {
            let partition = TopicPartition::new(skip.topic.as_str(), skip.partition);
            (partition, Offset(skip.offset))
        };
        Self(skips.iter().map(|s| (place(s), s.clone())).collect())
    }

    /// What was said of the record at its place; whether it is that record [`is_meant`] knows.
    pub fn of(&self, message: &Message<'_>) -> Option<&Skip> {
        if self.0.is_empty() {
            return None;
        }
        self.at(
            &TopicPartition::new(message.topic(), message.partition()),
            message.offset(),
        )
    }

    pub fn at(&self, partition: &TopicPartition, offset: Offset) -> Option<&Skip> {
        self.0.get(&(partition.clone(), offset))
    }
}

/// It is the record that was given up, and not one of another log at its place.
pub(super) fn is_meant(skip: &Skip, timestamp: Option<i64>) -> bool {
    timestamp == Some(skip.timestamp)
}
