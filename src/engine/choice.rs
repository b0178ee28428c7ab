//! Which record of a lane is started next, where not simply the oldest.
//!
//! The oldest first keeps what a crash would repeat small. But where only one is tried at a time to see whether the handler
//! takes records again, the oldest may be the one that it will never take: then it would be asked after each pause, and
//! nothing else ever. So probes go first to what was tried least lately. And under a rate limit what fails again and again
//! takes half of the leave at most.

use std::time::Duration;

use super::Engine;
use super::lane::Lane;
use super::ready::Ready;
use super::record::Record;
use super::slab::{Handle, Slab};
use crate::topic::Offset;

/// Which of a lane's records, of those that can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// The oldest.
    Oldest,
    /// The one that was tried least lately, and of those never tried the oldest or the newest.
    LeastLately { newest: bool },
    /// Those tried before and those that never were, in turn.
    InTurn,
}

impl<P> Engine<P> {
    /// What to start now.
    pub(super) fn choice(&self) -> Choice {
        if self.breaker_is_open() {
            // What opened it is most often a row of records, of which the oldest are the beginning.
            return Choice::LeastLately { newest: true };
        }
        let refusals = self.throttle.refusals();
        if refusals > 0 && self.throttle.limit() == 1 {
            // From both ends: there may be many in a row that are refused.
            let newest = refusals.is_multiple_of(2);
            return Choice::LeastLately { newest };
        }
        match self.pace {
            Some(_) => Choice::InTurn,
            None => Choice::Oldest,
        }
    }
}

impl Lane {
    /// Takes a record that can be started now.
    pub(super) fn take<P>(
        &mut self,
        choice: Choice,
        records: &Slab<Record<P>>,
        now: Duration,
    ) -> Option<Handle> {
        if self.in_order {
            return self.take_oldest(now);
        }
        let never = |handle: Handle| records[handle].delivery == 0;
        let chosen = match choice {
            Choice::Oldest => None,
            Choice::LeastLately { newest } => {
                self.all_startable(now).min_by_key(|(offset, handle)| {
                    let delivery = records[*handle].delivery;
                    let place = match newest && delivery == 0 {
                        true => -offset.0,
                        false => offset.0,
                    };
                    (delivery, place)
                })
            }
            Choice::InTurn if self.took_again => self
                .all_startable(now)
                .filter(|(_, handle)| never(*handle))
                .min(),
            Choice::InTurn => None,
        };
        let taken = match chosen {
            Some((offset, handle)) => {
                if !self.ready.take(offset, handle) {
                    self.again.take(offset, handle);
                }
                Some(handle)
            }
            None => self.take_oldest(now),
        };
        self.took_again = taken.is_some_and(|handle| !never(handle));
        taken
    }

    fn all_startable(&self, now: Duration) -> impl Iterator<Item = (Offset, Handle)> {
        let (ready, _) = self.startable(now);
        let ready = ready.is_some().then_some(&self.ready);
        let both = [ready, Some(&self.again)];
        both.into_iter().flatten().flat_map(Ready::all)
    }
}
