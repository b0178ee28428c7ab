//! How fast letters are moved. Pure.

use std::time::Duration;

/// After a time in which nothing could be moved, as long a time is made up for at most.
const MADE_UP: Duration = Duration::from_secs(1);

/// A rate that is kept at any time, not only on average.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one to the next.
    apart: Duration,
    /// When the next one may go.
    due: Duration,
}

impl Pace {
    /// So many a second.
    pub fn of(rate: f64) -> Self {
        Self {
            apart: Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX),
            due: Duration::ZERO,
        }
    }

    /// How long the next one has still to wait; none if it may go.
    pub fn early(&self, now: Duration) -> Option<Duration> {
        // Less than a millisecond is no pace to keep.
        let early = self.due.checked_sub(now)?;
        (early >= Duration::from_millis(1)).then_some(early)
    }

    /// One goes.
    pub fn goes(&mut self, now: Duration) {
        let owed = self.due.max(now.saturating_sub(MADE_UP));
        self.due = owed.saturating_add(self.apart);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many go in each second, where nothing can go in some of them.
    fn in_seconds(rate: f64, seconds: u64, frozen: std::ops::Range<u64>) -> Vec<u64> {
        let mut pace = Pace::of(rate);
        let counts = (0..seconds).map(|second| {
            let mut count = 0;
            for millis in 0..1000 {
                let now = Duration::from_millis(second * 1000 + millis);
                while !frozen.contains(&second) && pace.early(now).is_none() {
                    pace.goes(now);
                    count += 1;
                }
            }
            count
        });
        counts.collect()
    }

    #[test]
    fn what_a_freeze_has_kept_is_not_made_up_for_at_once() {
        let counts = in_seconds(100.0, 20, 4..18);
        let near = |count: u64, rate: u64| (rate..=rate + 1).contains(&count);
        assert!(
            counts[..4].iter().all(|&count| near(count, 100)),
            "{counts:?}"
        );
        assert!(near(counts[18], 200) && near(counts[19], 100), "{counts:?}");
    }

    #[test]
    fn fast_and_slow_ones_are_kept_on_average() {
        for rate in [0.5, 3.0, 2_500.0] {
            let sum: u64 = in_seconds(rate, 10, 0..0).iter().sum();
            assert!((sum as f64 - rate * 10.0).abs() <= 5.0, "{rate}: {sum}");
        }
        let mut never = Pace::of(f64::MIN_POSITIVE);
        never.goes(Duration::ZERO);
        assert!(never.early(Duration::from_secs(1 << 40)).is_some());
    }
}
