//! How long a record waits for its next attempt, here or with whoever has it by then.

use std::time::Duration;

use super::lane::Tried;
use super::slab::Handle;
use super::{Engine, backoff};

impl<P> Engine<P> {
    /// How long the record waits for its next attempt after so many that failed; none after the last.
    pub(super) fn wait_after(&self, handle: Handle, failures: u32) -> Option<Duration> {
        if failures < self.settings.attempts {
            return Some(self.growing(handle, failures));
        }
        let record = &self.records[handle];
        let seed = backoff::seed(record.lane.0, record.offset.0, failures);
        let later = self.settings.later(failures)?;
        Some(backoff::at_least(later, seed))
    }

    pub(super) fn growing(&self, handle: Handle, failures: u32) -> Duration {
        let record = &self.records[handle];
        backoff::growing(
            self.settings.initial_backoff,
            self.settings.max_backoff,
            failures,
            backoff::seed(record.lane.0, record.offset.0, failures),
        )
    }

    /// The wait of a record that was not taken again and again, and was to come after `first`.
    pub(super) fn more_seldom(&mut self, handle: Handle, first: Duration) -> Duration {
        let longest = self.settings.max_backoff.max(first);
        let record = &mut self.records[handle];
        record.slow_downs = record.slow_downs.saturating_add(1);
        let times = record.slow_downs;
        let seed = backoff::seed(record.lane.0, record.offset.0, times);
        backoff::growing(first, longest, times, seed)
    }

    pub(super) fn longest_wait(&self, handle: Handle) -> Duration {
        let record = &self.records[handle];
        let seed = backoff::seed(record.lane.0, record.offset.0, record.attempts);
        backoff::jittered(self.settings.max_backoff, seed)
    }

    /// A record that failed is not to be tried before `due`, by whoever has it then.
    pub(super) fn note_due(&mut self, handle: Handle, due: Duration) {
        let record = &self.records[handle];
        let (id, offset) = (record.lane, record.offset);
        if record.attempts > 0
            && let Some(lane) = self.lane_mut(id)
        {
            lane.tried.entry(offset.0).or_default().due = Some(due);
        }
    }

    /// Where the wall clock has time zero, as far as is known: since 1970.
    pub fn began(&self) -> Duration {
        self.settings.began
    }

    /// What waits goes on to wait as long; whoever has it next is told of that by the clock as it is now.
    pub(super) fn clock_set(&mut self, began: Duration) {
        self.settings.began = began;
        let waiting = self.lanes.iter().flatten();
        let waiting = waiting.filter(|lane| !lane.tried.is_empty());
        let waiting: Vec<_> = waiting.map(|lane| lane.id).collect();
        for id in waiting {
            self.changed(id);
        }
    }

    /// How much longer a record waits that failed before it was read here; none where its turn is
    /// now.
    pub(super) fn rest_of_wait(&self, tried: Tried) -> Option<Duration> {
        let wait = tried.due?.checked_sub(self.now)?;
        // Clocks differ; and the settings may have changed since.
        let later = self.settings.later(tried.attempts);
        let longest = later.map_or(Duration::ZERO, backoff::longest);
        (!wait.is_zero()).then(|| wait.min(longest.max(self.settings.max_backoff)))
    }

    /// What it waited for is finished. It may have failed before, under an owner who knew so before us.
    pub(super) fn follows(&mut self, handle: Handle) {
        let record = &self.records[handle];
        let tried = self.lane(record.lane).map(|lane| &lane.tried);
        let tried = tried.and_then(|tried| tried.get(&record.offset.0)).copied();
        match tried.and_then(|tried| self.rest_of_wait(tried)) {
            Some(wait) => self.back_off(handle, wait),
            None => self.turn_has_come(handle),
        }
    }
}
