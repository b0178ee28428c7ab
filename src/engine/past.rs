//! What is finished beyond the frontier, in few words: where a record waits for an hour, so do hundreds of its key behind it, and
//! to name each of the gaps between what is finished would need more room than a report has. So the next owner is told which
//! keys wait, and from where on; all other records of the ranges are finished.
//!
//! A key is told by a tag of its hash. Who holds records back by it may hold back one too many, which is handled again, and
//! never one too few.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::lane::Lane;
use super::ledger::Place;
use super::{Engine, KeyHash};
use crate::report;
use crate::topic::Offset;
use crate::worker_config::Ordering;

/// More ranges than this never fit into a report.
const MOST_RANGES: usize = 512;

/// Tags of keys, and from which offset on their records wait.
pub(super) type Behind = BTreeMap<u32, i64>;

/// What the previous owner had finished, of what is not read yet.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub ranges: VecDeque<Range<i64>>,
    but: Behind,
}

impl Past {
    pub(super) fn of(report: report::Past, committed: Offset) -> Self {
        let mut past = Self::default();
        let mut after = committed.0;
        for range in report.ranges {
            if range.start >= after && range.start < range.end {
                after = range.end;
                past.ranges.push_back(range);
            }
        }
        for (from, tag) in report.but {
            waits_from(&mut past.but, tag, from);
        }
        past
    }
}

fn waits_from(behind: &mut Behind, tag: u32, from: i64) {
    let first = behind.entry(tag).or_insert(from);
    *first = from.min(*first);
}

fn is_behind(behind: &Behind, tag: Option<u32>, offset: i64) -> bool {
    let from = tag.and_then(|tag| behind.get(&tag));
    from.is_some_and(|from| offset >= *from)
}

impl Lane {
    /// Reading has come to `offset`: true if the previous owner finished it, by what it said of keys.
    pub(super) fn is_past(&mut self, offset: Offset, key: Option<KeyHash>) -> bool {
        let Some(past) = &mut self.past else {
            return false;
        };
        while past
            .ranges
            .front()
            .is_some_and(|range| range.end <= offset.0)
        {
            past.ranges.pop_front();
        }
        let Some(range) = past.ranges.front() else {
            self.past = None;
            return false;
        };
        range.contains(&offset.0) && !is_behind(&past.but, key.map(KeyHash::tag), offset.0)
    }
}

impl<P> Engine<P> {
    /// Keys of which records wait behind one that is to be tried again.
    pub(super) fn behind(&self, lane: &Lane) -> Behind {
        if self.settings.ordering != Ordering::Key {
            return Behind::new();
        }
        if lane.draining {
            return lane.said_behind.clone();
        }
        let inherited = lane.past.as_ref().map(|past| past.but.clone());
        let mut behind = inherited.unwrap_or_default();
        if !behind.is_empty() {
            self.leave_out_what_is_finished(lane, &mut behind);
        }
        for offset in lane.tried.keys() {
            if let Some((_, handle)) = lane.ledger.find(Offset(*offset))
                && let record = &self.records[handle]
                && record.follower.is_some()
                && let Some(key) = record.key
            {
                waits_from(&mut behind, key.tag(), offset + 1);
            }
        }
        behind
    }

    /// What was read of an inherited key may be finished by now: then only what is not, or is not read yet, waits.
    fn leave_out_what_is_finished(&self, lane: &Lane, behind: &mut Behind) {
        let mut first = Behind::new();
        for (_, handle) in lane.ledger.held() {
            let record = &self.records[handle];
            if let Some(key) = record.key {
                waits_from(&mut first, key.tag(), record.offset.0);
            }
        }
        let next = lane.ledger.next().map_or(i64::MIN, |next| next.0);
        for (tag, from) in behind {
            let unfinished = first.get(tag).copied().unwrap_or(next);
            *from = unfinished.max(*from);
        }
    }

    /// None where it says no more than what is said without it.
    pub(super) fn past(&self, lane: &Lane, ahead: &[Range<i64>]) -> Option<report::Past> {
        let behind = self.behind(lane);
        if behind.is_empty() {
            return None;
        }
        let tag = |place| match place {
            Place::Held(handle) => self.records[handle].key.map(KeyHash::tag),
            Place::LetGo(tag) => tag,
            Place::Finished => None,
        };
        let waits = |offset, place| is_behind(&behind, tag(place), offset);
        let mut ranges = lane.ledger.ahead_but(MOST_RANGES, waits);
        let next = lane.ledger.next().map_or(i64::MIN, |next| next.0);
        let unread = lane.past.as_ref().map(|past| &past.ranges);
        for range in unread.unwrap_or(&lane.left_behind) {
            let start = range.start.max(next);
            if start >= range.end || ranges.len() >= MOST_RANGES {
                continue;
            }
            match ranges.last_mut() {
                Some(last) if last.end >= start => last.end = last.end.max(range.end),
                _ => ranges.push(start..range.end),
            }
        }
        (ranges != ahead).then(|| report::Past {
            hashing: self.settings.hashing,
            but: behind.into_iter().map(|(tag, from)| (from, tag)).collect(),
            ranges,
        })
    }
}
