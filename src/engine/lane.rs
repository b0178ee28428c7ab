//! One assigned partition: its ledger, its queue and what the previous owner left behind.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::time::Duration;

use super::bar::{Bar, Reading};
use super::event::Assignment;
use super::ledger::Ledger;
use super::past::{Behind, Past};
use super::ready::Ready;
use super::remembered::Found;
use super::slab::Handle;
use super::suspects::Suspect;
use super::{LaneId, Settings, Ticket};
use crate::report::{self, Later, Report, Stuck};
use crate::topic::{Offset, TopicPartition};
use crate::worker_config::Ordering;

/// Failed attempts on a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tried {
    pub attempts: u32,
    /// The end of its last back-off.
    pub due: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub id: LaneId,
    pub partition: TopicPartition,
    pub epoch: u64,
    /// The id of the topic that offsets are of.
    pub topic_id: Option<String>,
    pub ledger: Ledger,
    /// Records whose turn it is, the oldest first; unless they come in order, those that failed before are in `again`.
    pub ready: Ready,
    pub again: Ready,
    /// What was started last had been tried before.
    pub took_again: bool,
    /// It stands in the ring of lanes with ready records.
    pub in_ring: bool,
    /// With ordering Partition: a record is started only when all before it are finished.
    pub in_order: bool,
    /// With ordering Key: the last unfinished record of each key.
    pub keys: HashMap<u64, Handle, BuildHasherDefault<KeyHasher>>,
    /// Records that the handler or the producer of dead letters has.
    pub out: usize,
    /// Bytes of the records held.
    pub bytes: usize,
    pub over_share: bool,
    pub paused: bool,
    /// It cannot be read on.
    pub bar: Option<Bar>,
    /// To be given back: nothing more is read or started.
    pub draining: bool,
    /// What it has out was told to stop.
    pub overdue: bool,
    /// Offsets that the previous owner finished beyond its frontier, ascending.
    pub left_behind: VecDeque<Range<i64>>,
    /// What it finished there but for the records of some keys.
    pub past: Option<Past>,
    /// The stuck record that the previous owner reported, until it is read here.
    pub inherited: Option<Offset>,
    /// Failed attempts on records that are not finished, by whoever had them.
    pub tried: BTreeMap<i64, Tried>,
    /// What was said last of those that wait for a later attempt, by the previous owner or before what waits was let go.
    pub said_later: Option<Later>,
    /// Keys of which records waited behind one that is to be tried again when what waits was let go.
    pub said_behind: Behind,
    /// More of these are a crowd (see `crowd`).
    pub room: usize,
    /// In a crowd: the record that is tried for the first time, and when there may be another.
    pub probe: Option<Offset>,
    pub probe_at: Duration,
    /// Records that the handler had when a worker was killed.
    pub suspects: BTreeMap<i64, Suspect>,
    /// Records that nothing gets past, with their place in the report.
    pub stuck: BTreeMap<i64, Stuck>,
    /// The stuck record of the last report.
    pub reported_stuck: Option<i64>,
    /// Something changed since the last commit.
    pub dirty: bool,
    /// The last offset of which a commit was asked in this epoch: it may have been taken even if its
    /// answer said otherwise.
    pub asked: Option<Offset>,
    /// Where the group stood when it came; none where it began anew since.
    pub found: Option<Found>,
    /// The last offset committed in this epoch.
    pub committed: Option<Offset>,
    /// Records finished that no commit or report covers yet.
    pub uncommitted: u64,
    /// How often in a row Kafka did not know the partition when it was committed.
    pub unknown: u32,
    /// Its commit cannot succeed until someone mends it, and is left out of the others' until then; none once it is taken.
    pub refused: Option<Duration>,
}

impl Lane {
    pub(super) fn new(
        assignment: Assignment,
        epoch: u64,
        in_order: bool,
        settings: &Settings,
    ) -> Self {
        let mut lane = Self {
            id: assignment.lane,
            partition: assignment.partition,
            epoch,
            topic_id: assignment.topic_id,
            ledger: Ledger::new(assignment.committed),
            ready: Ready::default(),
            again: Ready::default(),
            took_again: false,
            in_ring: false,
            in_order,
            keys: HashMap::default(),
            out: 0,
            bytes: 0,
            over_share: false,
            paused: false,
            bar: None,
            draining: false,
            overdue: false,
            left_behind: VecDeque::new(),
            past: None,
            inherited: None,
            tried: BTreeMap::new(),
            said_later: None,
            said_behind: Behind::new(),
            room: super::crowd::room(settings),
            probe: None,
            probe_at: Duration::ZERO,
            suspects: BTreeMap::new(),
            stuck: BTreeMap::new(),
            reported_stuck: None,
            dirty: false,
            asked: None,
            found: None,
            committed: None,
            uncommitted: 0,
            unknown: 0,
            refused: None,
        };
        // Without the committed offset nothing says that the report speaks of what we will read.
        if let (Some(committed), Some(report)) = (assignment.committed, assignment.left_behind) {
            lane.take_over(committed, report, settings);
        }
        lane
    }

    fn take_over(&mut self, committed: Offset, report: Report, settings: &Settings) {
        let same_revision = revision(&report.pod) == revision(&settings.pod);
        self.said_later = report.later;
        let same_keys = |past: &report::Past| {
            settings.ordering == Ordering::Key && past.hashing == settings.hashing
        };
        let past = report.past.filter(same_keys);
        self.past = past.map(|past| Past::of(past, committed));
        let mut after = committed.0;
        for range in report.ahead {
            // Ranges that overlap or begin too early come from no worker of ours.
            if range.start >= after && range.start < range.end {
                after = range.end;
                self.left_behind.push_back(range);
            }
        }
        let tried = |attempts| Tried {
            attempts,
            due: None,
        };
        if report.tried > 0 {
            self.tried.insert(committed.0, tried(report.tried));
        }
        if let Some(stuck) = report.stuck
            && stuck.offset >= committed.0
        {
            self.inherited = Some(Offset(stuck.offset));
            self.reported_stuck = Some(stuck.offset);
            // Of the first record `tried` says it exactly, of the others `tries`. A record may be stuck without a failure,
            // which is told as one attempt.
            if stuck.offset != committed.0 && stuck.attempts > 1 {
                self.tried.insert(stuck.offset, tried(stuck.attempts));
            }
            self.stuck.insert(stuck.offset, stuck);
        }
        for tries in report.tries {
            if tries.offset >= committed.0 {
                let at = |at| Duration::from_secs(at).saturating_sub(settings.began);
                let tried = Tried {
                    attempts: tries.attempts,
                    due: tries.next_at.map(at),
                };
                self.tried.insert(tries.offset, tried);
            }
        }
        for suspect in report.suspects {
            if suspect.offset >= committed.0 {
                // What was changed since may be its mending.
                let kills = if same_revision { suspect.kills } else { 0 };
                self.suspects.insert(suspect.offset, Suspect::after(kills));
            }
        }
    }

    /// The log is not the one that the previous owner spoke of.
    pub(super) fn forget_predecessor(&mut self) {
        self.left_behind.clear();
        self.past = None;
        self.said_later = None;
        self.tried.clear();
        self.suspects.clear();
        self.found = None;
        if let Some(offset) = self.inherited.take() {
            self.stuck.remove(&offset.0);
        }
    }

    /// It cannot be read on, and is not being tried again.
    pub(super) fn is_barred(&self) -> bool {
        let bar = self.bar.as_ref();
        bar.is_some_and(|bar| bar.reading != Reading::Again)
    }

    /// The record at `offset` was read. True if the previous owner reported that it could not be.
    pub(super) fn is_readable_again(&mut self, offset: Offset) -> bool {
        let unread = self.inherited == Some(offset)
            && self.stuck.get(&offset.0).is_some_and(|s| s.attempts == 0);
        if unread {
            self.stuck.remove(&offset.0);
        }
        unread
    }

    /// Reading has come to `offset`: true if the previous owner finished it.
    pub(super) fn finished_before(&mut self, offset: Offset) -> bool {
        while let Some(range) = self.left_behind.front() {
            if offset.0 < range.start {
                return false;
            }
            if offset.0 < range.end {
                return true;
            }
            self.left_behind.pop_front();
        }
        false
    }

    /// Reading has come to `next`: a stuck record of the previous owner before it, that was not
    /// read, does not exist any more. True if there was one.
    pub(super) fn pass(&mut self, next: Offset) -> bool {
        if let Some(inherited) = self.inherited
            && inherited < next
        {
            self.inherited = None;
            self.stuck.remove(&inherited.0);
            return true;
        }
        false
    }

    /// How often the record at `offset` was tried in vain, by whoever had it.
    pub(super) fn inherited_attempts(&mut self, offset: Offset) -> Tried {
        if self.inherited == Some(offset) {
            self.inherited = None;
        }
        if self.tried.is_empty() {
            return Tried::default();
        }
        self.tried.get(&offset.0).copied().unwrap_or_default()
    }

    pub(super) fn ticket(&self, offset: Offset) -> Ticket {
        Ticket {
            lane: self.id,
            epoch: self.epoch,
            offset,
        }
    }

    /// What is finished beyond the frontier, here or by the previous owner: at most `most` ranges.
    pub(super) fn ahead(&self, most: usize) -> Vec<Range<i64>> {
        let mut ahead = self.ledger.ahead(most);
        let next = self.ledger.next().map_or(i64::MIN, |next| next.0);
        for range in &self.left_behind {
            let start = range.start.max(next);
            if start >= range.end || ahead.len() >= most {
                continue;
            }
            match ahead.last_mut() {
                Some(last) if last.end >= start => last.end = last.end.max(range.end),
                _ => ahead.push(start..range.end),
            }
        }
        ahead
    }
}

/// The pods of one revision of a Deployment have the name of its ReplicaSet in common.
fn revision(pod: &str) -> &str {
    pod.rsplit_once('-').map_or(pod, |(revision, _)| revision)
}

/// Keys are hashes already; this only spreads them, as the table looks at the top bits.
#[derive(Debug, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
