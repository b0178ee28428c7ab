//! Letters that their topic does not take: which they are, and what is noted of them.

use anyhow::anyhow;

use super::{Halt, Mover, Sent};
use crate::kafka::redrive::{self, Refusal};
use crate::redrive::marks::{Kind, Marks};
use crate::redrive::report::{Refused, Tally};

/// More letters that their topic does not take are no exceptions any more, and each costs a new producer. Those that
/// an earlier replay has found are none of them, so that the next one comes further.
const MOST_REFUSED: usize = 20;

/// What librdkafka puts into one batch unless told otherwise.
pub(super) const BATCH: usize = 1_000_000;
/// Where batches are no larger it is the letters that are.
const LEAST_BATCH: usize = 1024;

impl Mover<'_> {
    /// What was sent since the last commit does not count. A letter that was refused alone is one that its topic does
    /// not take; of several it is found out which.
    pub(super) fn halt(&mut self, what: &str, error: redrive::Error) -> Halt {
        let redrive::Error::Records(refusals) = error else {
            return Halt::Failed(self.replay.refused(what, &error));
        };
        self.redrive.abort();
        let sent = std::mem::take(&mut self.sent);
        self.positions.clear();
        self.bytes = 0;
        self.left_out = Tally::default();
        self.unclaimed = 0;
        let (true, [Refusal { why, .. }]) = (sent.len() == 1, refusals.as_slice()) else {
            if self.is_the_batch(&sent, &refusals) {
                self.batch /= 2;
                return Halt::Refusal;
            }
            let found = refusals.iter();
            let found = found.filter_map(|refusal| sent.get(refusal.number));
            self.suspects.extend(found.map(|sent| sent.place));
            return Halt::Refusal;
        };
        let (partition, offset) = sent[0].place;
        self.refused.insert((partition, offset));
        let noted = self.noted.get(&partition).and_then(Option::as_ref);
        let is_known = noted.is_some_and(|noted| noted.was_refused(&self.replay.kind, offset));
        self.newly_refused += usize::from(!is_known);
        self.report.refused.push(Refused {
            partition,
            offset,
            why: why.clone(),
        });
        if self.newly_refused < MOST_REFUSED {
            return Halt::Refusal;
        }
        let words = self.replay.place.reach.words;
        Halt::Failed(anyhow!(
            "{}; so many were refused that no more are tried: {} comes further, or begin behind them, at offset {} of partition {partition}, with {}",
            self.report.missing().unwrap_or_default(),
            words.next,
            offset + 1,
            words.offsets
        ))
    }

    /// Whether a batch was too large where each of its letters may be taken.
    fn is_the_batch(&self, sent: &[Sent], refusals: &[Refusal]) -> bool {
        let stands_with_others = |refusal: &Refusal| {
            let sent = sent.get(refusal.number).filter(|_| refusal.is_too_large);
            sent.is_some_and(|sent| sent.size <= self.batch / 2)
        };
        self.batch > LEAST_BATCH && refusals.len() > 1 && refusals.iter().any(stands_with_others)
    }

    /// How large a batch may be, if that is less than usual.
    pub fn batch(&self) -> Option<usize> {
        Some(self.batch).filter(|batch| *batch < BATCH)
    }

    /// Notes what was refused in a partition that is dealt with up to `next`.
    pub(super) fn note_refused(&self, number: i32, next: i64, kind: &Kind, marks: &mut Marks) {
        let refused = self.refused.range((number, i64::MIN)..(number, next));
        let mut refused = refused.map(|&(_, offset)| offset).peekable();
        while let Some(first) = refused.next() {
            let mut end = first + 1;
            while refused.next_if_eq(&end).is_some() {
                end += 1;
            }
            marks.again(&kind.only(number, first..end), end);
        }
    }
}
