//! Book-keeping between what a group wants and when we answer.
//!
//! Pure: values in, values out; `worker` does the calls.

use std::collections::BTreeSet;

use crate::topic::TopicPartition;

/// A revocation that is not answered yet.
///
/// librdkafka takes one answer for a revocation, and takes it for the whole: partitions that are
/// given back one by one are collected until all of them are.
#[derive(Debug, Default)]
pub struct Revocation {
    wanted: Vec<TopicPartition>,
    waiting_for: BTreeSet<TopicPartition>,
    open: bool,
}

impl Revocation {
    /// The group wants `partitions` back, of which `held` still have work in them. Gives the
    /// answer if there is nothing to wait for.
    pub fn begin(
        &mut self,
        partitions: Vec<TopicPartition>,
        held: impl IntoIterator<Item = TopicPartition>,
    ) -> Option<Vec<TopicPartition>> {
        self.wanted = partitions;
        self.waiting_for = held.into_iter().collect();
        self.open = true;
        self.answer()
    }

    /// `partitions` have no more work in them. Gives the answer when that was the last of it.
    pub fn given_back(&mut self, partitions: &[TopicPartition]) -> Option<Vec<TopicPartition>> {
        for partition in partitions {
            self.waiting_for.remove(partition);
        }
        self.answer()
    }

    /// The partitions are lost: gives the answer at once, whatever was waited for.
    pub fn lost(&mut self) -> Option<Vec<TopicPartition>> {
        self.waiting_for.clear();
        self.answer()
    }

    /// An answer is owed.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// What still has work in it.
    pub fn waiting_for(&self) -> impl Iterator<Item = &TopicPartition> {
        self.waiting_for.iter()
    }

    fn answer(&mut self) -> Option<Vec<TopicPartition>> {
        if !self.open || !self.waiting_for.is_empty() {
            return None;
        }
        self.open = false;
        Some(std::mem::take(&mut self.wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(numbers: &[i32]) -> Vec<TopicPartition> {
        numbers
            .iter()
            .map(|n| TopicPartition::new("t", *n))
            .collect()
    }

    #[test]
    fn a_revocation_is_answered_once_and_for_the_whole() {
        let mut revocation = Revocation::default();
        assert_eq!(
            revocation.begin(partitions(&[0, 1, 2]), partitions(&[0, 2])),
            None
        );
        assert_eq!(revocation.given_back(&partitions(&[2])), None);
        assert_eq!(
            revocation.given_back(&partitions(&[0])),
            Some(partitions(&[0, 1, 2]))
        );
        assert_eq!(revocation.given_back(&partitions(&[0])), None);
        assert!(!revocation.is_open());
    }

    #[test]
    fn a_revocation_without_work_is_answered_at_once() {
        let mut revocation = Revocation::default();
        assert_eq!(
            revocation.begin(partitions(&[3]), []),
            Some(partitions(&[3]))
        );
    }

    #[test]
    fn a_lost_assignment_waits_for_nothing() {
        let mut revocation = Revocation::default();
        assert_eq!(revocation.lost(), None);
        revocation.begin(partitions(&[0, 1]), partitions(&[0, 1]));
        assert_eq!(revocation.lost(), Some(partitions(&[0, 1])));
    }

    #[test]
    fn what_is_given_back_without_being_asked_for_owes_no_answer() {
        let mut revocation = Revocation::default();
        assert_eq!(revocation.given_back(&partitions(&[0])), None);
    }
}
