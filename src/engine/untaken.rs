//! Records that were not taken, and spent no attempt: the handler asked for less, the store said not now, or nobody was
//! asked.

use std::time::Duration;

use super::Engine;
use super::effect::Effect;
use super::event::Failure;
use super::slab::Handle;

/// A handler that names a longer wait than this is asked again after this.
const LONGEST_ASKED_WAIT: Duration = Duration::from_secs(3600);
/// The shortest wait after a handler asked for less. One that names a shorter one, such as none or a time that is over,
/// has not said for how long: it would be asked again and again without a pause.
const SHORTEST_SLOW_DOWN: Duration = Duration::from_millis(100);
/// A handler that is not there is tried so often at least: it costs it nothing, and one that crashes again and again is
/// not there for long.
const ABSENT: Duration = Duration::from_secs(2);
/// After a pause of all a record that was refused lets others go first for so long at most.
const BEHIND_OTHERS: Duration = Duration::from_millis(500);
/// What was not begun is begun after this.
const NOT_BEGUN: Duration = Duration::from_millis(50);

impl<P> Engine<P> {
    /// The handler asked for less, or is not there: how long this record waits.
    pub(super) fn slow_down(
        &mut self,
        handle: Handle,
        after: Option<Duration>,
        is_absent: bool,
    ) -> Duration {
        self.totals.slow_downs += 1;
        let record = &mut self.records[handle];
        record.slow_downs = record.slow_downs.saturating_add(1);
        let (started, times) = (record.delivery, record.slow_downs);
        let after = after.filter(|after| *after >= SHORTEST_SLOW_DOWN);
        let growing = |times| match after {
            Some(after) => after.min(LONGEST_ASKED_WAIT),
            None if is_absent => self
                .growing(handle, times)
                .clamp(SHORTEST_SLOW_DOWN, ABSENT),
            None => self.growing(handle, times).max(SHORTEST_SLOW_DOWN),
        };
        let own = growing(times);
        let everyone = growing(self.throttle.refusals().saturating_add(1));
        let alone = self.unwanted_alone(handle);
        let all_wait = self.throttle.refused(started, everyone, alone, self.now);
        // After a pause of all, others go first: it may be this one alone that is refused.
        own + match all_wait {
            true => self.settings.initial_backoff.min(BEHIND_OTHERS),
            false => Duration::ZERO,
        }
    }

    /// In order of the partition its turn comes with the end of what is before it. Else it waits a moment: what was in
    /// its way, such as memory, may be free by then, and who cancels without being asked does not spin.
    pub(super) fn not_begun(&mut self, index: usize, handle: Handle, effects: &mut Vec<Effect<P>>) {
        let comes_behind = self.lane(self.records[handle].lane).is_some_and(|lane| {
            lane.in_order && !lane.draining && lane.ledger.oldest() != Some(handle)
        });
        match comes_behind {
            true => self.turn_has_come(handle),
            false => self.try_again(index, handle, NOT_BEGUN, effects),
        }
    }

    /// The handler would not have this record before either, and has taken others since: it says nothing of them.
    pub(super) fn unwanted_alone(&mut self, handle: Handle) -> bool {
        let mark = self.throttle.mark();
        let before = self.records[handle].unwanted_at.replace(mark);
        before.is_some_and(|before| mark > before)
    }

    /// The store did not let it be delivered: tried again after a time, for a reason if there is one, which may be in the
    /// way of all.
    pub(super) fn postponed(
        &mut self,
        index: usize,
        handle: Handle,
        (after, failure, of_all): (Duration, Option<Failure>, bool),
        effects: &mut Vec<Effect<P>>,
    ) {
        let mut wait = after;
        if let Some(failure) = failure {
            if of_all {
                // One probe after each wait.
                self.throttle.misconfigured(after, self.now);
            } else {
                // Many of them must not keep those from their turn that fare better.
                wait = self.more_seldom(handle, after);
            }
            self.stall(handle, failure, effects);
        }
        self.try_again(index, handle, wait, effects);
    }
}
