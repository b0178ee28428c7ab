//! Which records of one partition are unfinished, and how far may be committed.
//!
//! Only offsets that were read are here, in the order of reading. An offset that was never read
//! does not exist (transaction markers, compaction) and holds nothing. A finished record needs no
//! place either: what is below `next` and not unfinished is finished or never was. So a record that
//! stays unfinished for hours costs one entry, however much is finished beyond it.

use std::collections::VecDeque;
use std::ops::Range;

use super::slab::Handle;
use crate::topic::Offset;

/// Fewer entries than this are never worth compacting.
const COMPACT_FROM: usize = 64;

/// What an offset is to a ledger that is about to read it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The next record.
    Next,
    /// The first record of the epoch, yet before the committed offset: the client was reset.
    Rewound,
    /// Reading had come past it in this epoch, and it is not finished.
    Again,
    /// The same, and nothing before it is unfinished: no client goes back so far by itself.
    Anew,
}

#[derive(Debug)]
pub(super) struct Ledger {
    entries: VecDeque<Entry>,
    /// Where reading has come to; none until the first record where nothing was committed.
    next: Option<Offset>,
    /// Something was read in this epoch.
    read: bool,
    unfinished: usize,
    /// One past the highest finished offset.
    finished_to: i64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: i64,
    place: Place,
}

/// Where the record of an offset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Held.
    Held(Handle),
    /// Unfinished, but let go: the next owner reads it again. With the tag of its key, if it has one.
    LetGo(Option<u32>),
    /// Finished.
    Finished,
}

impl Ledger {
    pub(super) fn new(committed: Option<Offset>) -> Self {
        Self {
            entries: VecDeque::new(),
            next: committed,
            read: false,
            unfinished: 0,
            finished_to: i64::MIN,
        }
    }

    pub(super) fn reading(&self, offset: Offset) -> Reading {
        match self.next {
            Some(next) if offset < next && self.read => match self.entries.front() {
                Some(first) if first.offset < offset.0 => Reading::Again,
                _ => Reading::Anew,
            },
            Some(next) if offset < next => Reading::Rewound,
            _ => Reading::Next,
        }
    }

    /// Adds a record that is [`Reading::Next`] or [`Reading::Rewound`].
    pub(super) fn push(&mut self, offset: Offset, handle: Handle) {
        self.entries.push_back(Entry {
            offset: offset.0,
            place: Place::Held(handle),
        });
        self.unfinished += 1;
        self.next = Some(offset.next());
        self.read = true;
    }

    /// Adds a record that is finished already.
    pub(super) fn push_finished(&mut self, offset: Offset) {
        self.next = Some(offset.next());
        self.read = true;
        self.finished_to = offset.0 + 1;
    }

    /// Reading has come to `next` without a record; false if that is nothing new.
    pub(super) fn move_to(&mut self, next: Offset) -> bool {
        let moves = match self.next {
            Some(now) => next > now || (next < now && !self.read),
            None => true,
        };
        if moves {
            self.next = Some(next);
        }
        self.read = true;
        moves
    }

    /// Where the entry of `offset` is, if it is unfinished and held.
    pub(super) fn find(&self, offset: Offset) -> Option<(usize, Handle)> {
        let first = self.entries.front()?.offset;
        // Without gaps the distance is the index; gaps only make the index smaller.
        let distance = usize::try_from(offset.0.checked_sub(first)?).ok()?;
        let guess = distance.min(self.entries.len() - 1);
        let index = if self.entries[guess].offset == offset.0 {
            guess
        } else {
            let index = self.entries.partition_point(|e| e.offset < offset.0);
            (self.entries.get(index)?.offset == offset.0).then_some(index)?
        };
        match self.entries[index].place {
            Place::Held(handle) => Some((index, handle)),
            Place::LetGo(_) | Place::Finished => None,
        }
    }

    /// The entry at `index` is finished.
    pub(super) fn finish(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        entry.place = Place::Finished;
        self.finished_to = self.finished_to.max(entry.offset + 1);
        self.unfinished -= 1;
        while let Some(front) = self.entries.front()
            && front.place == Place::Finished
        {
            self.entries.pop_front();
        }
        if self.entries.len() > COMPACT_FROM && self.entries.len() > 4 * self.unfinished {
            self.entries.retain(|e| e.place != Place::Finished);
        }
    }

    /// The record at `index` stays unfinished, but is not held any more.
    pub(super) fn let_go(&mut self, index: usize, tag: Option<u32>) {
        self.entries[index].place = Place::LetGo(tag);
    }

    /// The next offset to read for whoever comes after us: what may be committed.
    pub(super) fn frontier(&self) -> Option<Offset> {
        match self.entries.front() {
            Some(first) => Some(Offset(first.offset)),
            None => self.next,
        }
    }

    /// Where reading has come to.
    pub(super) fn next(&self) -> Option<Offset> {
        self.next
    }

    /// Records read and not finished.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// The oldest record that is held.
    pub(super) fn oldest(&self) -> Option<Handle> {
        self.held().next().map(|(_, handle)| handle)
    }

    /// Every record that is held, with its index.
    pub(super) fn held(&self) -> impl Iterator<Item = (usize, Handle)> {
        let held = |(index, entry): (usize, &Entry)| match entry.place {
            Place::Held(handle) => Some((index, handle)),
            Place::LetGo(_) | Place::Finished => None,
        };
        self.entries.iter().enumerate().filter_map(held)
    }

    /// What is finished, or does not exist, beyond the frontier: at most `most` ranges.
    pub(super) fn ahead(&self, most: usize) -> Vec<Range<i64>> {
        self.ahead_but(most, |_, _| false)
    }

    /// The same of all but the records that wait, as `waits` says, which lie within the ranges.
    pub(super) fn ahead_but(
        &self,
        most: usize,
        waits: impl Fn(i64, Place) -> bool,
    ) -> Vec<Range<i64>> {
        let mut ranges = Vec::new();
        let unfinished = self.entries.iter().filter(|e| e.place != Place::Finished);
        let mut after: Option<i64> = None;
        for entry in unfinished {
            if waits(entry.offset, entry.place) {
                after.get_or_insert(entry.offset);
                continue;
            }
            let end = entry.offset.min(self.finished_to);
            if let Some(start) = after
                && start < end
            {
                ranges.push(start..end);
            }
            after = Some(entry.offset + 1);
            if entry.offset >= self.finished_to || ranges.len() >= most {
                return ranges;
            }
        }
        if let Some(start) = after
            && start < self.finished_to
        {
            ranges.push(start..self.finished_to);
        }
        ranges
    }
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "a list of ranges may have one"
)]
mod tests {
    use super::*;

    fn ledger(offsets: &[i64]) -> Ledger {
        let mut ledger = Ledger::new(None);
        for &offset in offsets {
            ledger.push(Offset(offset), Handle::from(7));
        }
        ledger
    }

    fn finish(ledger: &mut Ledger, offset: i64) {
        let (index, _) = ledger.find(Offset(offset)).unwrap();
        ledger.finish(index);
    }

    #[test]
    fn the_frontier_is_the_first_unfinished() {
        let mut ledger = ledger(&[3, 4, 5]);
        assert_eq!(ledger.frontier(), Some(Offset(3)));
        finish(&mut ledger, 4);
        assert_eq!(ledger.frontier(), Some(Offset(3)));
        assert_eq!(ledger.ahead(9), [4..5]);
        finish(&mut ledger, 3);
        assert_eq!(ledger.frontier(), Some(Offset(5)));
        finish(&mut ledger, 5);
        assert_eq!(ledger.frontier(), Some(Offset(6)));
        assert_eq!(ledger.ahead(9), []);
    }

    #[test]
    fn gaps_hold_nothing_and_are_found_past() {
        let mut ledger = ledger(&[3, 10, 11, 20]);
        finish(&mut ledger, 11);
        finish(&mut ledger, 3);
        assert_eq!(ledger.frontier(), Some(Offset(10)));
        assert_eq!(ledger.ahead(9), [11..12]);
        assert_eq!(ledger.find(Offset(12)), None);
        assert_eq!(ledger.find(Offset(2)), None);
        assert_eq!(ledger.find(Offset(21)), None);
        finish(&mut ledger, 10);
        assert_eq!(ledger.frontier(), Some(Offset(20)));
    }

    #[test]
    fn a_position_moves_an_empty_ledger_only_forward() {
        let mut ledger = ledger(&[3]);
        finish(&mut ledger, 3);
        assert!(ledger.move_to(Offset(9)));
        assert_eq!(ledger.frontier(), Some(Offset(9)));
        assert!(!ledger.move_to(Offset(5)));
        assert_eq!(ledger.frontier(), Some(Offset(9)));
    }

    #[test]
    fn one_record_unfinished_for_long_costs_no_memory() {
        let mut ledger = ledger(&[0]);
        for offset in 1..100_000 {
            ledger.push(Offset(offset), Handle::from(1));
            finish(&mut ledger, offset);
            assert!(ledger.entries.len() <= COMPACT_FROM + 1);
        }
        assert_eq!(ledger.frontier(), Some(Offset(0)));
        assert_eq!(ledger.ahead(9), vec![1..100_000]);
        finish(&mut ledger, 0);
        assert_eq!(ledger.frontier(), Some(Offset(100_000)));
    }

    #[test]
    fn a_record_before_all_that_is_unfinished_is_of_another_log() {
        let mut ledger = Ledger::new(Some(Offset(100)));
        assert_eq!(ledger.reading(Offset(100)), Reading::Next);
        assert_eq!(ledger.reading(Offset(5)), Reading::Rewound);
        ledger.push(Offset(5), Handle::from(0));
        assert_eq!(ledger.frontier(), Some(Offset(5)));
        assert_eq!(ledger.reading(Offset(6)), Reading::Next);
        ledger.push(Offset(6), Handle::from(0));
        assert_eq!(ledger.reading(Offset(6)), Reading::Again);
        assert_eq!(ledger.reading(Offset(5)), Reading::Anew);
        assert_eq!(ledger.reading(Offset(0)), Reading::Anew);
    }
}
