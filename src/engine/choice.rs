//! Which record of a lane is started next, where not simply the oldest.
//!
//! The oldest first keeps what a crash would repeat small. But where only one is tried at a time to see whether the handler
//! takes records again, the oldest may be the one that it will never take: then it would be asked after each pause, and
//! nothing else ever. So probes go first to what was tried least lately. And where what fails again and again takes long for
//! it, as until the handler's time is over, a few of it would have all the places for ever: so while others wait it takes half
//! of the places at most, or of the time where there is only one, and half of the leave under a rate limit.

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
    /// The oldest that was never tried.
    Untried,
}

/// What was tried before and is with the handler again.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// Places that it takes, of those that records have: one that failed takes that of a whole batch.
    pub in_flight: usize,
    /// Where there is one place, others have it until then.
    others_until: Duration,
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
        if self.again_has_its_share() {
            return Choice::Untried;
        }
        self.choice_by_turn()
    }

    /// The same where nothing waits that was never tried.
    pub(super) fn choice_by_turn(&self) -> Choice {
        match self.pace {
            Some(_) => Choice::InTurn,
            None => Choice::Oldest,
        }
    }

    fn again_has_its_share(&self) -> bool {
        let limit = self.throttle.limit();
        match limit < 2 * self.settings.run.records {
            true => self.again.in_flight > 0 || self.now < self.again.others_until,
            false => self.again.in_flight >= limit / 2,
        }
    }

    /// A delivery that took so long is over.
    pub(super) fn came_back(&mut self, handle: Handle, took: Duration) {
        let places = self.records[handle].again;
        if places > 0 {
            self.again.in_flight -= places;
            self.again.others_until = self.now.saturating_add(took);
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
        let is_tried = |(_, handle): (Offset, Handle)| records[handle].was_tried();
        if self.in_order {
            if choice == Choice::Untried && self.ready.first().is_none_or(is_tried) {
                return None;
            }
            return self.take_oldest(now);
        }
        if choice == Choice::Untried {
            return self.take_untried(is_tried, now);
        }
        let never = |handle: Handle| records[handle].delivery == 0;
        let chosen = match choice {
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
            Choice::InTurn | Choice::Oldest if self.others_turn(choice) => self
                .all_startable(now)
                .filter(|(_, handle)| never(*handle))
                .min(),
            Choice::Oldest | Choice::InTurn | Choice::Untried => None,
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

    /// What was taken last had been tried before, and where few are taken those that never were take turns with such.
    fn others_turn(&self, choice: Choice) -> bool {
        // Of a crowd one at a time, and what waits for another reason than a failure, such as a key, may be the oldest for ever.
        self.took_again && (choice == Choice::InTurn || self.is_crowded())
    }

    fn take_untried(
        &mut self,
        is_tried: impl Fn((Offset, Handle)) -> bool,
        now: Duration,
    ) -> Option<Handle> {
        let (ready, _) = self.startable(now);
        ready?;
        let first = self.ready.first().filter(|first| !is_tried(*first));
        let taken = match first {
            Some(_) => self.ready.pop(),
            None => {
                let untried = self.ready.all().filter(|each| !is_tried(*each)).min();
                let (offset, handle) = untried?;
                self.ready.take(offset, handle);
                Some(handle)
            }
        };
        self.took_again = false;
        taken
    }

    fn all_startable(&self, now: Duration) -> impl Iterator<Item = (Offset, Handle)> {
        let (ready, _) = self.startable(now);
        let ready = ready.is_some().then_some(&self.ready);
        let both = [ready, Some(&self.again)];
        both.into_iter().flatten().flat_map(Ready::all)
    }
}
