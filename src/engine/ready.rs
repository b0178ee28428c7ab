//! Records of one lane whose turn it is.
//!
//! The oldest goes first, also when it became ready late: behind another of its key, or after a
//! back-off. A queue that took followers first would finish a few keys down to the end while the
//! frontier waits for the others, and a crash would repeat all of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slab::Handle;
use crate::topic::Offset;

/// Records of one lane whose turn it is, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Ready(BinaryHeap<Reverse<(Offset, Handle)>>);

impl Ready {
    pub(super) fn push(&mut self, offset: Offset, handle: Handle) {
        self.0.push(Reverse((offset, handle)));
    }

    /// The oldest.
    pub(super) fn first(&self) -> Option<Handle> {
        self.0.peek().map(|Reverse((_, handle))| *handle)
    }

    /// Takes the oldest.
    pub(super) fn pop(&mut self) -> Option<Handle> {
        self.0.pop().map(|Reverse((_, handle))| handle)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
