//! Sees that no commit goes back. The engine promises it and its tests prove it; this is what an
//! installation would notice it by if they were wrong. And that commits are answered: while a classic group waits for a
//! member that is dead or frozen, its coordinator answers nobody who has asked to join again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::topic::{Offset, TopicPartition};

/// A commit that is not answered for so long is told of.
const OVERDUE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct CommitWatch {
    /// What was committed last of each partition since it was assigned.
    last: BTreeMap<TopicPartition, Offset>,
    /// When the commit was sent that is not answered yet.
    sent: Option<Duration>,
    told: bool,
}

impl CommitWatch {
    /// Notes a commit; gives the one before if that was further on.
    pub(super) fn went_back(&mut self, partition: &TopicPartition, to: Offset) -> Option<Offset> {
        match self.last.get_mut(partition) {
            Some(last) => Some(std::mem::replace(last, to)).filter(|last| to < *last),
            None => {
                self.last.insert(partition.clone(), to);
                None
            }
        }
    }

    /// A commit is on its way.
    pub(super) fn sent(&mut self, now: Duration) {
        self.sent = Some(now);
    }

    /// It was answered. Some if it had been told that it was not, with how long that took.
    pub(super) fn answered(&mut self, now: Duration) -> Option<Duration> {
        let sent = self.sent.take();
        let told = std::mem::take(&mut self.told);
        sent.filter(|_| told).map(|sent| now.saturating_sub(sent))
    }

    /// Some, once, with how long the commit has not been answered, if that is to be told.
    pub(super) fn overdue(&mut self, now: Duration) -> Option<Duration> {
        let waits = now.saturating_sub(self.sent?);
        if waits < OVERDUE || self.told {
            return None;
        }
        self.told = true;
        Some(waits)
    }

    /// The partitions are given back: what others commit for them is not looked at.
    pub(super) fn forget(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.last.remove(partition);
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

    #[test]
    fn a_commit_that_is_not_answered_is_told_once() {
        let at = Duration::from_secs;
        let mut watch = CommitWatch::default();
        assert_eq!(watch.overdue(at(100)), None, "none was sent");
        watch.sent(at(100));
        assert_eq!(watch.overdue(at(104)), None);
        assert_eq!(watch.answered(at(104)), None, "nobody was told");
        watch.sent(at(105));
        assert_eq!(watch.overdue(at(110)), Some(at(5)));
        assert_eq!(watch.overdue(at(120)), None);
        assert_eq!(watch.answered(at(130)), Some(at(25)));
        watch.sent(at(131));
        assert_eq!(watch.overdue(at(137)), Some(at(6)));
    }
}
