//! Sees that no commit goes back. The engine promises it and its tests prove it; this is what an
//! installation would notice it by if they were wrong.

use std::collections::BTreeMap;

use crate::topic::{Offset, TopicPartition};

/// What was committed last of each partition since it was assigned.
#[derive(Debug, Default)]
pub(super) struct CommitWatch(BTreeMap<TopicPartition, Offset>);

impl CommitWatch {
    /// Notes a commit; gives the one before if that was further on.
    pub(super) fn went_back(&mut self, partition: &TopicPartition, to: Offset) -> Option<Offset> {
        match self.0.get_mut(partition) {
            Some(last) => Some(std::mem::replace(last, to)).filter(|last| to < *last),
            None => {
                self.0.insert(partition.clone(), to);
                None
            }
        }
    }

    /// The partitions are given back: what others commit for them is not looked at.
    pub(super) fn forget(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.0.remove(partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_commit_below_the_last_of_the_same_assignment_goes_back() {
        let mut watch = CommitWatch::default();
        let (one, other) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
        assert_eq!(watch.went_back(&one, Offset(7)), None);
        assert_eq!(watch.went_back(&one, Offset(7)), None);
        assert_eq!(watch.went_back(&other, Offset(2)), None);
        assert_eq!(watch.went_back(&one, Offset(6)), Some(Offset(7)));
        assert_eq!(watch.went_back(&one, Offset(8)), None);
        watch.forget(std::slice::from_ref(&one));
        assert_eq!(watch.went_back(&one, Offset(1)), None);
    }
}
