//! What follows from the answer to a commit.

use std::time::Duration;

use super::commit::Sent;
use super::event::{CommitFailure, Refused};
use super::suspects::Suspect;
use super::{Engine, backoff};
use crate::report;
use crate::topic::TopicPartition;

/// The wait after a commit that may succeed soon; it doubles up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A commit that has little time, as its partitions must go, is sent again this long after it was
/// sent, or after the answer that it must wait.
const SHORT_WAIT: Duration = Duration::from_millis(100);
/// The wait after a commit that cannot succeed until someone mends it.
const FATAL_WAIT: Duration = Duration::from_secs(30);
/// A partition that Kafka did not know so often in a row is not waited for when it is given back. A broker that has just
/// begun to coordinate may not have heard of it yet.
const GONE: u32 = 3;

impl<P> Engine<P> {
    /// Some of a commit was taken.
    fn commits_go_through(&mut self) {
        self.totals.commits += 1;
        self.commits.failures = 0;
        self.commits.failure = None;
        if self
            .lanes
            .iter()
            .flatten()
            .all(|lane| lane.refused.is_none())
        {
            self.commits.fatal = None;
        }
    }

    /// A lane's commit was taken.
    fn taken(&mut self, sent: &Sent) {
        self.suspects.commit_came_back(sent.lane, sent.epoch, true);
        let lane = self.lane_mut(sent.lane);
        if let Some(lane) = lane.filter(|lane| lane.epoch == sent.epoch) {
            lane.committed = Some(sent.offset);
            lane.uncommitted -= sent.finished;
            lane.unknown = 0;
            lane.refused = None;
            lane.suspects.values_mut().for_each(Suspect::commit_taken);
        }
    }

    /// A commit came back, taken but for these partitions. The others do not wait for them, and one that is to be given
    /// back does not for long.
    pub(super) fn committed_in_part(&mut self, refused: &[(TopicPartition, Refused)]) {
        let Some(all) = self.commits.under_way.take() else {
            return;
        };
        let mut without = Vec::new();
        for sent in &all {
            let lane = self.lane(sent.lane);
            let Some(lane) = lane.filter(|lane| lane.epoch == sent.epoch) else {
                continue;
            };
            let of_it = |(partition, _): &&(TopicPartition, Refused)| *partition == lane.partition;
            match refused.iter().find(of_it) {
                Some((_, why)) => without.push((sent, why)),
                None => self.taken(sent),
            }
        }
        if without.len() < all.len() {
            self.commits_go_through();
        }
        if without.iter().any(|(_, why)| **why != Refused::Gone) {
            self.totals.commit_failures += 1;
        }
        let can_be_shorter = self.commits.most_bytes > report::LEAST_BYTES;
        if can_be_shorter && without.iter().any(|(_, why)| **why == Refused::TooLarge) {
            self.commits.most_bytes = (self.commits.most_bytes / 2).max(report::LEAST_BYTES);
            self.commits.hurry();
        }
        for (sent, why) in without {
            self.suspects.commit_came_back(sent.lane, sent.epoch, false);
            match why {
                Refused::TooLarge if can_be_shorter => self.changed(sent.lane),
                Refused::TooLarge => self.cannot_be_taken(sent, "the report is too large"),
                Refused::Failed(CommitFailure::Fatal(why)) => self.cannot_be_taken(sent, why),
                Refused::Gone => self.is_unknown(sent),
                Refused::Failed(failure) => {
                    self.changed(sent.lane);
                    self.may_be_taken_later(sent, failure);
                }
            }
        }
        self.commits.last_not_before = self.now + SHORT_WAIT;
    }

    /// Until somebody mends it. A last commit that ends so is not waited for any longer.
    fn cannot_be_taken(&mut self, sent: &Sent, why: &str) {
        let until = self.now + FATAL_WAIT;
        if let Some(lane) = self.lane_mut(sent.lane) {
            lane.refused = Some(until);
        }
        if !sent.is_last {
            self.changed(sent.lane);
        }
        self.commits.fatal = Some(why.to_owned());
        self.commits.failure = Some(why.to_owned());
    }

    /// Kafka does not know the partition.
    fn is_unknown(&mut self, sent: &Sent) {
        let Some(lane) = self.lane_mut(sent.lane) else {
            return;
        };
        lane.unknown += 1;
        if !(lane.draining && lane.unknown >= GONE) {
            self.changed(sent.lane);
        }
        let why = CommitFailure::Later("Kafka does not know the partition".to_owned());
        self.may_be_taken_later(sent, &why);
    }

    fn may_be_taken_later(&mut self, sent: &Sent, why: &CommitFailure) {
        self.last_commit_failed(why, |lane, epoch| (lane, epoch) == (sent.lane, sent.epoch));
        self.commits.failure = Some(why.words().to_owned());
    }

    /// A commit came back.
    pub(super) fn committed(&mut self, result: Result<(), CommitFailure>) {
        let Some(sent) = self.commits.under_way.take() else {
            return;
        };
        let Err(failure) = result else {
            for sent in &sent {
                self.taken(sent);
            }
            return self.commits_go_through();
        };
        self.totals.commit_failures += 1;
        for sent in &sent {
            self.suspects.commit_came_back(sent.lane, sent.epoch, false);
            let lane = self.lane(sent.lane);
            if lane.is_some_and(|lane| lane.epoch == sent.epoch) {
                self.changed(sent.lane);
            }
        }
        self.last_commit_failed(&failure, |lane, epoch| {
            sent.iter()
                .any(|sent| sent.lane == lane && sent.epoch == epoch)
        });
        let commits = &mut self.commits;
        commits.failure = Some(failure.words().to_owned());
        match failure {
            // Where the group has rebalanced meanwhile, that took its time already.
            CommitFailure::Outdated(_) => {
                commits.not_before = self.now.max(commits.last + SHORT_WAIT);
                commits.last_not_before = commits.not_before;
            }
            CommitFailure::Later(_) => {
                commits.failures = commits.failures.saturating_add(1);
                let seed = backoff::seed(0, 0, commits.failures);
                let wait = backoff::growing(SHORTEST_WAIT, LONGEST_WAIT, commits.failures, seed);
                commits.not_before = self.now + wait;
                commits.last_not_before = self.now + SHORT_WAIT;
            }
            // The group will say what is still ours; until then the interval is soon enough.
            CommitFailure::Dropped(_) => {
                commits.not_before = self.now + self.settings.commit_interval;
            }
            CommitFailure::Fatal(why) => {
                commits.fatal = Some(why);
                commits.not_before = self.now + FATAL_WAIT;
            }
        }
    }

    /// The most bytes that a report may have, as far as the broker has said.
    pub fn report_room(&self) -> usize {
        self.commits.most_bytes
    }
}
