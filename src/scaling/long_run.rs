//! What comes in the long run: as long as a promise gives time for.
//!
//! A load that rises for ten minutes is a backlog where hours are promised. What is ordered for it has to keep up with what
//! comes on the whole; should the rise go on, that grows with it, and there is time to order more.

use super::Policy;
use super::reading::Reading;
use super::state::State;

/// The share of the promise over which what comes is averaged.
const SHARE: f64 = 0.1;

/// The mean of what comes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct LongRun {
    /// Records per second.
    rate: f64,
    /// For so many seconds it was watched.
    watched: f64,
}

impl LongRun {
    /// Records per second; none while nobody has watched.
    pub(super) fn rate(&self) -> Option<f64> {
        (self.watched > 0.0).then_some(self.rate)
    }

    fn follow(&mut self, rate: f64, elapsed: f64, memory: f64) {
        self.watched += elapsed;
        let share = elapsed / self.watched.min(memory).max(elapsed);
        self.rate += share * (rate - self.rate);
    }
}

/// Takes in what has come.
pub(super) fn observe(policy: &Policy, state: &mut State, reading: &Reading<'_>) {
    let elapsed = reading.elapsed;
    if !reading.new || elapsed <= 0.0 {
        return;
    }
    let rate = state.arrivals.within(elapsed) / elapsed;
    let memory = SHARE * policy.max_delay.as_secs_f64();
    state.long_run.follow(rate, elapsed, memory);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_counts_for_as_much_of_it_as_has_come() {
        let mut mean = LongRun::default();
        assert_eq!(mean.rate(), None);
        for _ in 0..100 {
            mean.follow(10.0, 5.0, 1440.0);
        }
        assert!((mean.rate().unwrap() - 10.0).abs() < 1e-9, "{mean:?}");
        for _ in 0..144 {
            mean.follow(10.0, 5.0, 1440.0);
        }
        for _ in 0..60 {
            mean.follow(110.0, 5.0, 1440.0);
        }
        let rate = mean.rate().unwrap();
        assert!((25.0..35.0).contains(&rate), "{rate}");
    }
}
