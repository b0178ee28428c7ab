//! Records of one lane whose turn it is.
//!
//! The oldest goes first, also when it became ready late: behind another of its key, or after a
//! back-off. A queue that took followers first would finish a few keys down to the end while the
//! frontier waits for the others, and a crash would repeat all of it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::slab::Handle;
use crate::topic::Offset;

/// Records of one lane whose turn it is, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Those that came in the order of their offsets, as nearly all do.
    in_turn: VecDeque<(Offset, Handle)>,
    /// Those that came behind a later one.
    late: BinaryHeap<Reverse<(Offset, Handle)>>,
}

impl Ready {
    pub(super) fn push(&mut self, offset: Offset, handle: Handle) {
        match self.in_turn.back() {
            Some((last, _)) if offset < *last => self.late.push(Reverse((offset, handle))),
            _ => self.in_turn.push_back((offset, handle)),
        }
    }

    /// The oldest.
    pub(super) fn first(&self) -> Option<(Offset, Handle)> {
        let oldest = match self.late_is_first() {
            true => self.late.peek().map(|Reverse(late)| late),
            false => self.in_turn.front(),
        };
        oldest.copied()
    }

    /// Takes the oldest.
    pub(super) fn pop(&mut self) -> Option<Handle> {
        let oldest = match self.late_is_first() {
            true => self.late.pop().map(|Reverse(late)| late),
            false => self.in_turn.pop_front(),
        };
        oldest.map(|(_, handle)| handle)
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = (Offset, Handle)> {
        let late = self.late.iter().map(|Reverse(late)| late);
        self.in_turn.iter().chain(late).copied()
    }

    /// Takes this one. False if it is not among them.
    pub(super) fn take(&mut self, offset: Offset, handle: Handle) -> bool {
        let searched = (offset, handle);
        if let Some(place) = self.in_turn.iter().position(|each| *each == searched) {
            self.in_turn.remove(place);
            return true;
        }
        let before = self.late.len();
        self.late.retain(|Reverse(each)| *each != searched);
        self.late.len() < before
    }

    fn late_is_first(&self) -> bool {
        match (self.late.peek(), self.in_turn.front()) {
            (Some(Reverse(late)), Some(in_turn)) => late < in_turn,
            (late, _) => late.is_some(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.in_turn.clear();
        self.late.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes in whatever order, between whatever is taken.
        #[test]
        fn the_oldest_is_always_first(steps in proptest::collection::vec(proptest::option::of(0..50_i64), 0..200)) {
            let mut ready = Ready::default();
            let mut all = std::collections::BTreeSet::new();
            for (number, step) in (0_u32..).zip(steps) {
                let handle = Handle::from(number);
                match step {
                    Some(offset) => {
                        // An offset is there once.
                        let offset = Offset(offset * 1000 + i64::from(number));
                        ready.push(offset, handle);
                        all.insert((offset, handle));
                    }
                    None => {
                        let oldest = all.pop_first().map(|(_, handle)| handle);
                        prop_assert_eq!(ready.first().map(|(_, handle)| handle), oldest);
                        prop_assert_eq!(ready.pop(), oldest);
                    }
                }
            }
            while let Some((_, oldest)) = all.pop_first() {
                prop_assert_eq!(ready.pop(), Some(oldest));
            }
            prop_assert_eq!(ready.pop(), None);
            ready.push(Offset(1), Handle::from(1));
            ready.clear();
            prop_assert_eq!(ready.first(), None);
        }
    }
}
