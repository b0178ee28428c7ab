//! Records that the handler had when it was killed, or the worker with it: one of them may be why.
//!
//! A record that has its process killed, by the memory it takes say, takes the worker along where both are
//! in one container, and no answer says so. It would be delivered again to the next, for ever. So what was
//! with the handler then is delivered with nothing beside it, after a commit whose report says so: whoever
//! has the partition next, and finds that such a delivery has no end, knows which record it was.
//!
//! A handler in a container of its own takes only connections along when it is killed. Each record that it had has
//! failed then, and would fail with the guilty one again and again: so what this happens to twice goes alone too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::LaneId;
use super::slab::{Generation, Handle};
use crate::topic::{Offset, TopicPartition};

/// So many deliveries alone that ended with the worker are no accident.
const KILLS: u32 = 2;

/// One of them, in its lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Suspect {
    /// Deliveries alone that had no end.
    pub kills: u32,
    pub(super) stage: Stage,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing is said of a delivery.
    #[default]
    Waiting,
    /// To be said with the next commit, since `since`; `sent` with the one under way.
    Announced { since: Duration, sent: bool },
    /// A commit says it.
    Committed,
}

impl Suspect {
    /// It is not delivered any more.
    pub(super) fn is_convicted(&self) -> bool {
        self.kills >= KILLS
    }

    /// A commit says that its delivery begins, or is to.
    pub(super) fn is_announced(&self) -> bool {
        self.stage != Stage::Waiting
    }

    /// What was committed may say that it has killed somebody.
    pub(super) fn is_accused(&self) -> bool {
        self.kills > 0 || self.is_announced()
    }

    /// After so many deliveries that had no end.
    pub(super) fn after(kills: u32) -> Self {
        let stage = Stage::Waiting;
        Self { kills, stage }
    }

    /// What the report says: that the delivery has no end yet.
    pub(super) fn kills_if_it_does_not_end(&self) -> u32 {
        self.kills.saturating_add(u32::from(self.is_announced()))
    }

    /// A commit is sent that says so.
    pub(super) fn commit_sent(&mut self) {
        if let Stage::Announced { sent, .. } = &mut self.stage {
            *sent = true;
        }
    }

    /// The commit that was under way was taken.
    pub(super) fn commit_taken(&mut self) {
        if let Stage::Announced { sent: true, .. } = self.stage {
            self.stage = Stage::Committed;
        }
    }
}

/// What a commit says of a delivery that is over by now: until another says so, nothing is delivered that could have the
/// worker killed in the name of this record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsaid {
    pub(super) lane: LaneId,
    pub(super) epoch: u64,
    pub(super) since: Duration,
    /// With the commit under way.
    pub(super) sent: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// What a killed worker of this pod had, and is not known to be harmless.
    pub(super) known: BTreeMap<TopicPartition, BTreeSet<i64>>,
    /// Of each partition that was ours: how often its suspects are known to have had a worker killed.
    outlived: BTreeMap<TopicPartition, BTreeMap<i64, u32>>,
    /// Those whose turn it is.
    pub(super) waiting: VecDeque<(Handle, Generation)>,
    /// The one that the handler has, or the one whose dead letter is on its way.
    pub(super) out: Option<(Handle, Generation)>,
    /// Answered, or taken back, and no commit of their lanes has said so.
    pub(super) unsaid: Vec<Unsaid>,
    /// Partitions came with some, which may not be read yet: until when that is waited for.
    pub(super) unread_until: Option<Duration>,
    /// When others, or the one that is announced, are delivered whatever became of what they wait for.
    pub(super) patience: Option<Duration>,
}

impl Suspects {
    /// There is none to be delivered, or with the handler.
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_empty()
            && self.out.is_none()
            && self.unsaid.is_empty()
            && self.unread_until.is_none()
    }

    pub(super) fn none_waits(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A commit is sent of what is so in the lane now.
    pub(super) fn commit_sent(&mut self, lane: LaneId, epoch: u64) {
        let unsaid = self.unsaid.iter_mut();
        for unsaid in unsaid.filter(|unsaid| (unsaid.lane, unsaid.epoch) == (lane, epoch)) {
            unsaid.sent = true;
        }
    }

    /// The commit that was under way was taken, or was not.
    pub(super) fn commit_came_back(&mut self, lane: LaneId, epoch: u64, taken: bool) {
        self.unsaid.retain_mut(|unsaid| {
            if !unsaid.sent || (unsaid.lane, unsaid.epoch) != (lane, epoch) {
                return true;
            }
            unsaid.sent = false;
            !taken
        });
    }

    /// When one of them is due if nothing happens before.
    pub(super) fn due(&self) -> Option<Duration> {
        self.patience
    }

    /// What lies before the frontier is finished.
    pub(super) fn passed(&mut self, partition: &TopicPartition, frontier: Offset) {
        if let Some(known) = self.known.get_mut(partition) {
            *known = known.split_off(&frontier.0);
            if known.is_empty() {
                self.known.remove(partition);
            }
        }
    }

    /// The partition goes. What was committed last may say of a suspect that its delivery has no end, and to take that back
    /// is not for us any more.
    pub(super) fn outlive(&mut self, partition: &TopicPartition, all: &BTreeMap<i64, Suspect>) {
        let kills = all.iter().map(|(offset, suspect)| (*offset, suspect.kills));
        self.outlived.insert(partition.clone(), kills.collect());
    }

    /// The partition comes, with these suspects. Where the report that names them is of this pod, nobody has had it since: what
    /// it says beyond what is known here was no kill, as this worker lives. True if there was any such.
    pub(super) fn acquit_outlived(
        &mut self,
        partition: &TopicPartition,
        is_own_report: bool,
        all: &mut BTreeMap<i64, Suspect>,
    ) -> bool {
        let outlived = self.outlived.remove(partition);
        let Some(outlived) = outlived.filter(|_| is_own_report) else {
            return false;
        };
        let mut any = false;
        for (offset, suspect) in all {
            let kills = outlived.get(offset).copied().unwrap_or_default();
            any |= kills < suspect.kills;
            suspect.kills = kills.min(suspect.kills);
        }
        any
    }

    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        self.known.remove(partition);
        self.outlived.remove(partition);
    }

    pub(super) fn cleared(&mut self, partition: &TopicPartition, offset: Offset) {
        if let Some(known) = self.known.get_mut(partition) {
            known.remove(&offset.0);
            if known.is_empty() {
                self.known.remove(partition);
            }
        }
    }
}
