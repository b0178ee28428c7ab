//! How many deliveries may be in flight now: the user's concurrency, or fewer while the handler asks
//! for less.
//!
//! Halved when the handler asks for less, raised again by one for each round that goes well. With
//! one left, a further refusal holds everything back for as long as the handler asked.

use std::num::NonZeroU64;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Throttle {
    /// The user's concurrency.
    most: usize,
    limit: usize,
    /// Below this the limit grows with each record that goes well, above it with each round.
    quick_below: usize,
    /// Records that went well since the limit last grew.
    credit: usize,
    /// Deliveries started before this one say nothing of the limit as it is now.
    lowered_at: u64,
    /// Deliveries started so far.
    started: u64,
    held_until: Duration,
    /// Refusals since a record last went well.
    refusals: u32,
    /// Records that went well, plus one.
    went_well: NonZeroU64,
}

impl Throttle {
    pub(super) fn new(concurrency: usize) -> Self {
        let most = concurrency.max(1);
        Self {
            most,
            limit: most,
            quick_below: 0,
            credit: 0,
            lowered_at: 0,
            started: 0,
            held_until: Duration::ZERO,
            refusals: 0,
            went_well: NonZeroU64::MIN,
        }
    }

    pub(super) fn allows(&self, in_flight: usize, now: Duration) -> bool {
        in_flight < self.limit && now >= self.held_until
    }

    /// The number of the delivery that starts now.
    pub(super) fn start(&mut self) -> u64 {
        self.started += 1;
        self.started
    }

    /// The number of the last delivery.
    pub(super) fn started(&self) -> u64 {
        self.started
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn held_until(&self) -> Duration {
        self.held_until
    }

    /// Refusals since a record last went well.
    pub(super) fn refusals(&self) -> u32 {
        self.refusals
    }

    /// Grows with each record that goes well.
    pub(super) fn mark(&self) -> NonZeroU64 {
        self.went_well
    }

    /// The handler took a record.
    pub(super) fn went_well(&mut self) {
        self.refusals = 0;
        self.went_well = self.went_well.saturating_add(1);
        if self.limit == self.most {
            return;
        }
        self.credit += 1;
        if self.limit < self.quick_below || self.credit >= self.limit {
            self.credit = 0;
            self.limit += 1;
        }
    }

    /// The handler asked for less, in answer to delivery number `started`, for `wait`. `alone`: of this record, while
    /// others went well. True if nothing is delivered for this time.
    pub(super) fn refused(
        &mut self,
        started: u64,
        wait: Duration,
        alone: bool,
        now: Duration,
    ) -> bool {
        self.credit = 0;
        if self.limit == 1 && alone {
            return false;
        }
        if self.limit == 1 {
            self.refusals = self.refusals.saturating_add(1);
            self.held_until = self.held_until.max(now + wait);
            return true;
        }
        if started > self.lowered_at {
            // Once a round: sixteen refusals of one moment are one piece of news.
            self.refusals = self.refusals.saturating_add(1);
            self.limit /= 2;
            self.quick_below = self.limit;
            self.lowered_at = self.started;
        }
        false
    }

    /// Delivery number `started` says that nothing can succeed: how often that was said since a record last went well,
    /// once for each round.
    pub(super) fn in_vain(&mut self, started: u64) -> u32 {
        if started > self.lowered_at || self.refusals == 0 {
            self.refusals = self.refusals.saturating_add(1);
        }
        self.refusals
    }

    /// Nothing is delivered before `until`.
    pub(super) fn hold(&mut self, until: Duration) {
        self.held_until = self.held_until.max(until);
    }

    /// Nothing that is delivered can succeed: one probe after each `wait`.
    pub(super) fn misconfigured(&mut self, wait: Duration, now: Duration) {
        self.limit = 1;
        self.quick_below = self.most;
        self.credit = 0;
        self.lowered_at = self.started;
        self.held_until = self.held_until.max(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(2);
    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn refusals_of_one_round_halve_once() {
        let mut throttle = Throttle::new(16);
        let round: Vec<_> = (0..16).map(|_| throttle.start()).collect();
        for started in round {
            throttle.refused(started, WAIT, false, NOW);
        }
        assert_eq!(throttle.limit(), 8);
        let next = throttle.start();
        throttle.refused(next, WAIT, false, NOW);
        assert_eq!(throttle.limit(), 4);
        assert!(throttle.allows(3, NOW));
    }

    #[test]
    fn at_the_floor_a_refusal_holds_everything_for_the_wait() {
        let mut throttle = Throttle::new(1);
        let started = throttle.start();
        throttle.refused(started, WAIT, false, NOW);
        assert_eq!(throttle.limit(), 1);
        assert!(!throttle.allows(0, NOW));
        assert!(throttle.allows(0, NOW + WAIT));
    }

    #[test]
    fn the_limit_grows_by_one_a_round_up_to_the_concurrency() {
        let mut throttle = Throttle::new(8);
        let started = throttle.start();
        throttle.refused(started, WAIT, false, NOW);
        assert_eq!(throttle.limit(), 4);
        for _ in 0..4 {
            throttle.went_well();
        }
        assert_eq!(throttle.limit(), 5);
        for _ in 0..1000 {
            throttle.went_well();
        }
        assert_eq!(throttle.limit(), 8);
    }

    #[test]
    fn after_a_misconfiguration_the_limit_comes_back_quickly() {
        let mut throttle = Throttle::new(8);
        throttle.misconfigured(WAIT, NOW);
        assert_eq!(throttle.limit(), 1);
        assert!(!throttle.allows(0, NOW));
        for _ in 0..7 {
            throttle.went_well();
        }
        assert_eq!(throttle.limit(), 8);
    }
}
