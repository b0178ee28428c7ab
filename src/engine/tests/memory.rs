//! What a worker is to remember of partitions that went, in the plainest way: see `books`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::books::LaneBook;
use crate::engine::remembered::AGE;
use crate::report::Report;

/// Beyond the end of every log.
const END: i64 = 200;

/// Of partitions that went.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<i32, Gone>);

#[derive(Debug)]
struct Gone {
    finished: BTreeSet<i64>,
    kept: Kept,
    /// The last commit that was asked for.
    asked: Option<i64>,
    at: Duration,
}

/// Of one partition that is there.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Finished when it was there before.
    finished: BTreeSet<i64>,
    /// What was committed when it came, and what was said with it.
    found: Option<(i64, Option<Report>)>,
    /// The commit that has no answer yet, and the last that was taken.
    pub(super) under_way: Option<i64>,
    taken: Option<i64>,
}

impl Kept {
    pub(super) fn knows(&self, offset: i64) -> bool {
        self.finished.contains(&offset)
    }

    pub(super) fn answered(&mut self, taken: bool) {
        let answered = self.under_way.take().filter(|_| taken);
        self.taken = answered.or(self.taken);
    }

    pub(super) fn of_another_log(&mut self) {
        self.finished.clear();
        self.found = None;
    }

    /// The least offset at which its group may stand.
    fn from(&self) -> Option<i64> {
        self.taken
            .or(self.found.as_ref().map(|(offset, _)| *offset))
    }
}

impl LaneBook {
    fn has_finished(&self, offset: i64) -> bool {
        match self.records.get(&offset) {
            Some(record) => record.finished,
            // There is none.
            None if self.position.is_some_and(|next| offset < next) => true,
            None => {
                let mut ahead = self.left.ahead.iter();
                self.kept.knows(offset) || ahead.any(|range| range.contains(&offset))
            }
        }
    }
}

impl Memory {
    pub(super) fn keep(&mut self, partition: i32, lane: &LaneBook, at: Duration) {
        let from = lane.kept.from().unwrap_or(END);
        let gone = Gone {
            finished: (from..END).filter(|o| lane.has_finished(*o)).collect(),
            kept: Kept {
                finished: BTreeSet::new(),
                found: lane.kept.found.clone(),
                ..lane.kept
            },
            asked: lane.committed,
            at,
        };
        self.0.insert(partition, gone);
    }

    /// The partition comes, and this was committed.
    pub(super) fn kept(
        &mut self,
        partition: i32,
        committed: Option<i64>,
        left: &Option<Report>,
        pod: &str,
        at: Duration,
    ) -> Kept {
        let found = committed.map(|committed| (committed, left.clone()));
        let own = left.as_ref().is_some_and(|report| report.pod == pod);
        let is_as_it_was = |gone: &Gone| {
            let from = gone.kept.from();
            let untouched = gone.kept.taken.is_none() && gone.kept.found == found;
            let ours = own && from <= committed && committed <= gone.asked;
            from.is_some() && at <= gone.at + AGE && (untouched || ours)
        };
        let gone = self.0.remove(&partition).filter(is_as_it_was);
        let finished = gone.map(|gone| gone.finished).unwrap_or_default();
        let finished = finished.into_iter();
        Kept {
            finished: finished.filter(|o| Some(*o) >= committed).collect(),
            found,
            ..Kept::default()
        }
    }
}
