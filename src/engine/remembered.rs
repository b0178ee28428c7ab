//! What a worker had finished of partitions that went before a commit could say so. Where brokers were away for longer than a
//! session they often come back to the very worker, which knows what need not be handled again.
//!
//! It goes by that only where the group stands as this worker left it: at the committed offset that it found, with the text
//! that it found, or at one that it committed itself. Whatever else was committed meanwhile, by another owner or by somebody
//! who sets offsets, is believed instead. Offsets that are set to the very place where they are, where nothing was said with
//! them before either, cannot be told from that: what was finished beyond them stays finished.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use super::event::Assignment;
use super::lane::Lane;
use super::{Engine, LaneId};
use crate::report::Report;
use crate::topic::{Offset, TopicPartition};

/// It is remembered for so long: more than an outage after which a worker goes on by itself takes.
pub(super) const AGE: Duration = Duration::from_secs(3_600);
/// Ranges of one partition: what lies beyond them is handled again.
const MOST_RANGES: usize = 1_024;
/// Ranges of all, a quarter of a mebibyte: partitions that go when there are so many are not remembered.
const MOST_OF_ALL: usize = 16_384;

/// Where the group stood when a partition came: the committed offset, and a hash of what was said with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    offset: Offset,
    said: u64,
}

impl Found {
    /// None where nothing was committed.
    pub(super) fn of(assignment: &Assignment) -> Option<Self> {
        let mut said = DefaultHasher::new();
        assignment.left_behind.hash(&mut said);
        let said = said.finish();
        assignment.committed.map(|offset| Self { offset, said })
    }
}

/// What is remembered, by partition. It may outlive its engine: see [`Engine::into_remembered`].
#[derive(Debug, Default)]
pub struct Remembered {
    partitions: BTreeMap<TopicPartition, Finished>,
    /// Of all of them.
    ranges: usize,
}

#[derive(Debug)]
struct Finished {
    /// The id of the topic that offsets are of.
    topic_id: Option<String>,
    /// Where the group stands unless anybody has committed since.
    found: Option<Found>,
    /// Where it stands if this worker was the last to commit: from the last commit that is known to be taken to the last that
    /// was asked for, whose answer may be lost.
    own: Option<RangeInclusive<Offset>>,
    /// Ascending.
    ranges: Vec<Range<i64>>,
    since: Duration,
}

impl Finished {
    /// None where nothing is finished beyond what is committed, or nothing is known of that.
    fn of(lane: &Lane, now: Duration) -> Option<Self> {
        let found = lane.found.filter(|_| lane.committed.is_none());
        let from = lane.committed.or(found.map(|found| found.offset))?;
        let frontier = lane.ledger.frontier()?;
        let mut ranges = Vec::new();
        if from < frontier {
            ranges.push(from.0..frontier.0);
        }
        ranges.extend(lane.ahead(MOST_RANGES));
        ranges.truncate(MOST_RANGES);
        (!ranges.is_empty()).then(|| Self {
            topic_id: lane.topic_id.clone(),
            found,
            own: lane.asked.map(|asked| from..=asked),
            ranges,
            since: now,
        })
    }

    /// Nobody but this worker has committed since.
    fn is_of(&self, assignment: &Assignment, found: Found, is_own_report: bool) -> bool {
        let own = self.own.as_ref().filter(|_| is_own_report);
        // Kafka forgets what was committed for a topic that is deleted, so that no id is no objection.
        let ids = self.topic_id.as_ref().zip(assignment.topic_id.as_ref());
        ids.is_none_or(|(before, now)| before == now)
            && (self.found == Some(found) || own.is_some_and(|own| own.contains(&found.offset)))
    }

    fn is_old(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) > AGE
    }
}

impl Remembered {
    fn insert(&mut self, partition: &TopicPartition, finished: Finished) {
        self.take(partition);
        if self.ranges + finished.ranges.len() > MOST_OF_ALL {
            let now = finished.since;
            self.partitions.retain(|_, before| !before.is_old(now));
            let left = self.partitions.values();
            self.ranges = left.map(|before| before.ranges.len()).sum();
        }
        if self.ranges + finished.ranges.len() <= MOST_OF_ALL {
            self.ranges += finished.ranges.len();
            self.partitions.insert(partition.clone(), finished);
        }
    }

    fn take(&mut self, partition: &TopicPartition) -> Option<Finished> {
        let finished = self.partitions.remove(partition)?;
        self.ranges -= finished.ranges.len();
        Some(finished)
    }
}

impl<P> Engine<P> {
    /// The partition goes.
    pub(super) fn remember(&mut self, lane: &Lane) {
        if let Some(finished) = Finished::of(lane, self.now) {
            self.remembered.insert(&lane.partition, finished);
        }
    }

    /// The partition comes: what was finished of it is added to what its last owner says. True if that is more.
    pub(super) fn recall(
        &mut self,
        assignment: &mut Assignment,
        found: Option<Found>,
        is_own_report: bool,
    ) -> bool {
        let finished = self.remembered.take(&assignment.partition);
        let (Some(finished), Some(found)) = (finished, found) else {
            return false;
        };
        if finished.is_old(self.now) || !finished.is_of(assignment, found, is_own_report) {
            return false;
        }
        let report = assignment.left_behind.get_or_insert_with(Report::default);
        let before = std::mem::take(&mut report.ahead);
        report.ahead = together(&before, finished.ranges, found.offset);
        report.ahead != before
    }

    /// The log is another one.
    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        self.remembered.take(partition);
    }

    /// What is known of partitions that went, and of those that go now with all else of this engine.
    pub fn into_remembered(mut self) -> Remembered {
        let mut effects = Vec::new();
        for id in (0..self.lanes.len()).filter_map(|id| u32::try_from(id).ok()) {
            self.lose(LaneId(id), &mut effects);
        }
        self.remembered
    }

    /// What an engine before this one knew, with the same clock. To be told before anything is assigned.
    pub fn remember_all(&mut self, remembered: Remembered) {
        self.remembered = remembered;
    }
}

/// All of these ranges, ascending, as far as they lie at `from` or beyond.
fn together(these: &[Range<i64>], those: Vec<Range<i64>>, from: Offset) -> Vec<Range<i64>> {
    let mut all = those;
    all.extend_from_slice(these);
    all.sort_unstable_by_key(|range| range.start);
    let mut together: Vec<Range<i64>> = Vec::with_capacity(all.len());
    for range in all {
        let start = range.start.max(from.0);
        match together.last_mut() {
            _ if start >= range.end => {}
            Some(last) if last.end >= start => last.end = last.end.max(range.end),
            _ => together.push(start..range.end),
        }
    }
    together
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "a list of ranges may have one"
)]
mod tests {
    use super::*;

    fn insert(remembered: &mut Remembered, number: i32, ranges: i64, since: u64) {
        let finished = Finished {
            topic_id: None,
            found: None,
            own: None,
            ranges: (0..ranges).map(|at| 2 * at..2 * at + 1).collect(),
            since: Duration::from_secs(since),
        };
        remembered.insert(&TopicPartition::new("orders", number), finished);
    }

    fn partitions(remembered: &Remembered) -> Vec<i32> {
        let partitions = remembered.partitions.keys();
        partitions.map(|partition| partition.partition).collect()
    }

    #[test]
    fn of_too_much_what_is_old_makes_room_and_what_comes_last_is_not_remembered() {
        let mut remembered = Remembered::default();
        insert(&mut remembered, 0, 10_000, 0);
        insert(&mut remembered, 1, 6_000, 100);
        insert(&mut remembered, 2, 1_000, 100);
        assert_eq!(partitions(&remembered), [0, 1]);
        insert(&mut remembered, 2, 1_000, 3_601);
        assert_eq!(partitions(&remembered), [1, 2]);
        // It went a second time.
        insert(&mut remembered, 1, 10, 3_700);
        assert_eq!(partitions(&remembered), [1, 2]);
        assert_eq!(remembered.ranges, 1_010);
    }

    #[test]
    fn ranges_of_both_are_put_together_from_where_the_group_stands() {
        for (these, those, all) in [
            (vec![], vec![10..14, 16..17], vec![12..14, 16..17]),
            (
                vec![14..15, 20..22],
                vec![10..14, 21..25],
                vec![12..15, 20..25],
            ),
            (vec![30..31], vec![3..12], vec![30..31]),
            (vec![13..20], vec![14..16], vec![13..20]),
        ] {
            assert_eq!(together(&these, those, Offset(12)), all);
        }
    }
}
