//! Batches that are too large for the handler: a server that takes no request of more than so many bytes says so
//! with 413, of which no record is to blame. The batch goes again in two halves, and what the server takes is kept in mind.

use std::cell::Cell;
use std::collections::VecDeque;

use tracing::warn;

use super::Delivery;
use super::results;
use crate::engine::Verdict;

/// Bytes that the handler is known to take together; none while it has refused nothing.
#[derive(Debug, Default)]
pub(super) struct Most(Cell<Option<usize>>);

impl Most {
    pub(super) fn get(&self) -> Option<usize> {
        self.0.get()
    }

    /// The handler has refused so many bytes.
    pub(super) fn refused(&self, bytes: usize) {
        let half = (bytes / 2).max(1);
        if self.0.get().is_none_or(|most| half < most) {
            self.0.set(Some(half));
            warn!(
                bytes,
                half,
                "the handler answers 413 to a batch: those with more than half as many bytes go in parts from now on; raise the handler's limit for bodies, or lower spec.delivery.batch.maxBytes"
            );
        }
    }
}

/// What is left of a batch.
pub(super) struct Parts<'a> {
    most: &'a Most,
    in_order: bool,
    left: VecDeque<Vec<Delivery>>,
    /// A record was not finished, so nothing that comes after it may be delivered.
    failed: bool,
}

/// What became of a part.
pub(super) enum Outcome {
    /// Its deliveries are over.
    Over(Vec<(Delivery, Verdict)>),
    /// It goes again, in two.
    Again,
}

impl<'a> Parts<'a> {
    pub(super) fn of(batch: Vec<Delivery>, most: &'a Most, in_order: bool) -> Self {
        let mut left: VecDeque<Vec<Delivery>> = VecDeque::new();
        let mut room = 0;
        for delivery in batch {
            let bytes = delivery.record.content_bytes();
            match left.back_mut() {
                Some(part) if most.get().is_none() || bytes <= room => part.push(delivery),
                _ => {
                    room = most.get().unwrap_or(usize::MAX);
                    left.push_back(vec![delivery]);
                }
            }
            room = room.saturating_sub(bytes);
        }
        Self {
            most,
            in_order,
            left,
            failed: false,
        }
    }

    /// The next part to deliver.
    pub(super) fn next(&mut self) -> Option<Vec<Delivery>> {
        if self.failed && self.in_order {
            return None;
        }
        self.left.pop_front()
    }

    /// Whether there are parts after the one that was taken last.
    pub(super) fn has_more(&self) -> bool {
        !self.left.is_empty()
    }

    /// What to make of the verdicts on a part.
    pub(super) fn settle(&mut self, mut part: Vec<Delivery>, verdicts: Vec<Verdict>) -> Outcome {
        if part.len() > 1 && are_too_large(&verdicts) {
            let bytes = part.iter().map(|delivery| delivery.record.content_bytes());
            self.most.refused(bytes.sum());
            let rest = part.split_off(part.len() / 2);
            self.left.push_front(rest);
            self.left.push_front(part);
            return Outcome::Again;
        }
        self.failed |= !verdicts.iter().all(results::finishes);
        Outcome::Over(part.into_iter().zip(verdicts).collect())
    }

    /// What is not to be delivered any more.
    pub(super) fn rest(self) -> impl Iterator<Item = Delivery> {
        self.left.into_iter().flatten()
    }
}

/// In order, what comes after the first is cancelled.
fn are_too_large(verdicts: &[Verdict]) -> bool {
    let refused = |verdict: &Verdict| matches!(verdict, Verdict::Retry(failure) if failure.status == Some(413));
    let mut others = verdicts.iter().skip(1);
    verdicts.first().is_some_and(refused)
        && others.all(|verdict| refused(verdict) || matches!(verdict, Verdict::Cancelled))
}
