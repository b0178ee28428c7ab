//! Which handle the engine knows a partition by.

use std::sync::Arc;

use crate::engine::LaneId;
use crate::kafka::Message;
use crate::topic::TopicPartition;

/// The partitions that the engine knows, by their handles.
#[derive(Debug, Default)]
pub struct Lanes {
    by_id: Vec<Option<TopicPartition>>,
    /// By librdkafka's handle of the topic, so that a record costs no look at a name. Forgotten at
    /// each change: a handle is only as good as the assignment it came with.
    topics: Vec<Topic>,
}

#[derive(Debug)]
struct Topic {
    handle: usize,
    name: Arc<str>,
    lanes: Vec<Option<LaneId>>,
}

impl Lanes {
    /// Gives `partition` the lowest free handle.
    pub fn insert(&mut self, partition: TopicPartition) -> LaneId {
        self.topics.clear();
        let free = self.by_id.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.by_id.push(None);
            self.by_id.len() - 1
        });
        self.by_id[index] = Some(partition);
        lane(index)
    }

    /// Forgets `partitions`.
    pub fn remove(&mut self, partitions: &[TopicPartition]) {
        self.topics.clear();
        for slot in &mut self.by_id {
            if slot.as_ref().is_some_and(|held| partitions.contains(held)) {
                *slot = None;
            }
        }
    }

    /// `partition` is known.
    pub fn holds(&self, partition: &TopicPartition) -> bool {
        self.all().any(|held| held == partition)
    }

    /// All partitions that are known.
    pub fn all(&self) -> impl Iterator<Item = &TopicPartition> {
        self.by_id.iter().flatten()
    }

    /// The handle and topic of a record's partition; None if it is not known.
    pub fn of(&mut self, message: &Message<'_>) -> Option<(LaneId, Arc<str>)> {
        let handle = message.topic_handle();
        let index = match self.topics.iter().position(|topic| topic.handle == handle) {
            Some(index) => index,
            None => self.learn(handle, message.topic()),
        };
        let topic = &self.topics[index];
        let number = usize::try_from(message.partition()).ok()?;
        let lane = (*topic.lanes.get(number)?)?;
        Some((lane, Arc::clone(&topic.name)))
    }

    fn learn(&mut self, handle: usize, name: &str) -> usize {
        let mut topic = Topic {
            handle,
            name: name.into(),
            lanes: Vec::new(),
        };
        for (index, held) in self.by_id.iter().enumerate() {
            let Some(held) = held.as_ref().filter(|held| *held.topic == *name) else {
                continue;
            };
            topic.name = Arc::clone(&held.topic);
            let number = usize::try_from(held.partition).unwrap_or_default();
            if topic.lanes.len() <= number {
                topic.lanes.resize(number + 1, None);
            }
            topic.lanes[number] = Some(lane(index));
        }
        self.topics.push(topic);
        self.topics.len() - 1
    }
}

fn lane(index: usize) -> LaneId {
    LaneId(u32::try_from(index).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_used_again_only_after_its_partition_is_gone() {
        let mut lanes = Lanes::default();
        let [a, b, c] = [0, 1, 2].map(|n| TopicPartition::new("t", n));
        assert_eq!(lanes.insert(a.clone()), LaneId(0));
        assert_eq!(lanes.insert(b.clone()), LaneId(1));
        lanes.remove(std::slice::from_ref(&a));
        assert!(!lanes.holds(&a) && lanes.holds(&b));
        assert_eq!(lanes.insert(c), LaneId(0));
        assert_eq!(lanes.insert(a), LaneId(2));
    }
}
