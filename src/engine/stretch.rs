//! Since when records fail as they should not: a handler that breaks after hours of going well shows it by its
//! latest records, long before those of the whole window are half of them bad.
//!
//! A cumulative sum (Page's test): each bad record adds what it is above the share that is allowed, each good one
//! takes that share away, and below zero it begins anew. So the stretch is the one, up to now, that is worst.

use std::time::Duration;

use super::breaker::Breaker;

/// By so many standard deviations a stretch lies above the share that is allowed, since of many stretches the
/// worst is looked at. Half of the records bad where 40 % of them always are is chance once in hours.
const CLEARLY: f64 = 3.0;

/// Records given up, of all since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    since: Duration,
    pub(super) bad: u32,
    pub(super) of: u32,
}

impl Stretch {
    /// One more record.
    pub(super) fn count(&mut self, is_bad: bool, breaker: &Breaker, now: Duration) {
        if self.of == 0 {
            self.since = now;
        }
        self.of = self.of.saturating_add(1);
        self.bad = self.bad.saturating_add(u32::from(is_bad));
        if self.lead(breaker) < 0.0 {
            *self = Self::default();
        }
    }

    /// It began before the window, of which `counts` is all.
    pub(super) fn shorten(&mut self, counts: (u32, u32), breaker: &Breaker, now: Duration) {
        if self.of > 0 && now.saturating_sub(self.since) > breaker.window {
            *self = Self {
                since: now.saturating_sub(breaker.window),
                bad: counts.0,
                of: counts.1,
            };
            if self.bad == 0 || self.lead(breaker) < 0.0 {
                *self = Self::default();
            }
        }
    }

    /// With what others counted.
    pub(super) fn and(self, (bad, of): (u32, u32)) -> Self {
        Self {
            bad: self.bad.saturating_add(bad),
            of: self.of.saturating_add(of),
            ..self
        }
    }

    /// Whether that is too much, and more than chance.
    pub(super) fn is_too_much(&self, breaker: &Breaker) -> bool {
        let share = f64::from(breaker.percent) / 100.0;
        let spread = (f64::from(self.of) * share * (1.0 - share)).sqrt();
        let all = self.bad == self.of;
        self.of >= breaker.min_records.max(1) && (all || self.lead(breaker) >= CLEARLY * spread)
    }

    /// Bad records beyond those that are allowed.
    fn lead(&self, breaker: &Breaker) -> f64 {
        f64::from(self.bad) - f64::from(self.of) * f64::from(breaker.percent) / 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);
    const BREAKER: Breaker = Breaker {
        percent: 50,
        min_records: 50,
        window: Duration::from_secs(300),
    };

    /// Records that fail in this many of a hundred cases, until it is too much; none within a million.
    fn opens_after(percent: u64) -> Option<u32> {
        let mut stretch = Stretch::default();
        let mut random = 7_u64;
        (1..=1_000_000).find(|_| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            stretch.count((random >> 33) % 100 < percent, &BREAKER, NOW);
            stretch.is_too_much(&BREAKER)
        })
    }

    #[test]
    fn what_fails_often_opens_soon_and_what_fails_less_than_allowed_never() {
        assert_eq!(opens_after(100), Some(50));
        assert!(opens_after(80).is_some_and(|records| records < 200));
        assert!(opens_after(60).is_some_and(|records| records < 2_000));
        for percent in [1, 10, 20, 30] {
            assert_eq!(opens_after(percent), None, "{percent} %");
        }
    }

    #[test]
    fn what_went_well_for_hours_hides_nothing() {
        let mut stretch = Stretch::default();
        for _ in 0..1_000_000 {
            stretch.count(false, &BREAKER, NOW);
        }
        assert_eq!(stretch, Stretch::default());
        for _ in 0..50 {
            assert!(!stretch.is_too_much(&BREAKER));
            stretch.count(true, &BREAKER, NOW);
        }
        assert!(stretch.is_too_much(&BREAKER));
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut stretch = Stretch::default();
        for _ in 0..49 {
            stretch.count(true, &BREAKER, NOW);
        }
        let later = NOW + BREAKER.window + Duration::from_secs(1);
        stretch.shorten((2, 3), &BREAKER, later);
        assert_eq!((stretch.bad, stretch.of), (2, 3));
        stretch.shorten((0, 0), &BREAKER, later + 2 * BREAKER.window);
        assert_eq!(stretch, Stretch::default());
    }
}
