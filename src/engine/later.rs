//! What the report says of records that wait for a later attempt: no defect, and nothing that more pods could help with.

use std::collections::HashSet;

use super::Engine;
use super::commit::no_earlier;
use super::lane::Lane;
use super::record::{Record, State};
use crate::report::Later;

impl<P> Engine<P> {
    /// None where no record waits so. What was said last, until what the previous owner said of records beyond the frontier was
    /// read, since only then it is known which of them still are; and once what waits was let go, to be given back.
    pub(super) fn later(&self, lane: &Lane) -> Option<Later> {
        if self.settings.then.is_empty() {
            return None;
        }
        let (last_tried, _) = lane.tried.last_key_value()?;
        let read_to = lane.ledger.next()?.0;
        let past = lane.past.as_ref().and_then(|past| past.ranges.back());
        let ends = [lane.left_behind.back(), past];
        let ends = ends.into_iter().flatten().map(|last| last.end);
        let ahead = ends.max().unwrap_or(i64::MIN);
        if lane.draining || *last_tried >= read_to || ahead > read_to {
            return lane.said_later;
        }
        let mut later = Later {
            records: 0,
            behind: 0,
            next_at: u64::MAX,
            next: read_to,
            more: 0,
        };
        let (mut keys, mut all_behind) = (HashSet::new(), false);
        let mut waits_for_a_pod: u64 = 0;
        for (_, handle) in lane.ledger.held() {
            let record = &self.records[handle];
            if let Some(next_at) = self.waits_for_later(lane, record) {
                later.records += 1;
                later.next_at = later.next_at.min(next_at);
                all_behind |= lane.in_order;
                keys.extend(record.key.map(|key| key.0));
                continue;
            }
            let key = record.key.filter(|_| record.state == State::Following);
            if all_behind || key.is_some_and(|key| keys.contains(&key.0)) {
                later.behind += 1;
            } else if record.attempts == 0 {
                later.next = later.next.min(record.offset.0);
                waits_for_a_pod += 1;
            }
        }
        let beyond = (read_to - later.next).unsigned_abs();
        later.more = beyond.saturating_sub(waits_for_a_pod);
        (later.records > 0).then_some(later)
    }

    /// When its later attempt is due, seconds since 1970: now, where it is under way. None where it waits for none.
    fn waits_for_later(&self, lane: &Lane, record: &Record<P>) -> Option<u64> {
        let later = self.settings.attempts..self.settings.attempts_in_all();
        let tried = lane.tried.get(&record.offset.0);
        let tried = tried.filter(|_| later.contains(&record.attempts))?;
        let due = tried.due.unwrap_or(self.now);
        Some(no_earlier(self.settings.began.saturating_add(due)))
    }
}
