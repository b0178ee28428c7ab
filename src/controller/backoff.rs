//! How long to wait after failures in a row: doubling, with jitter, capped.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// Failures in a row of one fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    count: u32,
}

impl Failures {
    /// One more; returns how long to wait. `seed` spreads fleets that fail for one cause.
    pub fn another(&mut self, seed: &str) -> Duration {
        let wait = self.wait(seed);
        self.count = self.count.saturating_add(1);
        wait
    }

    /// How long to wait if this is one more.
    pub fn wait(&self, seed: &str) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.count.min(10)).min(LONGEST);
        jittered(doubled, &(seed, self.count))
    }

    /// It went well.
    pub fn none(&mut self) {
        self.count = 0;
    }

    /// How many there were in a row.
    pub fn count(&self) -> u32 {
        self.count
    }
}

/// Between 0.75 and 1.25 of `wait`, always the same for one `seed`.
pub fn jittered(wait: Duration, seed: &impl Hash) -> Duration {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    let part = (hasher.finish() % 1000) as f64 / 1000.0;
    wait.mul_f64(0.75 + part / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_cap_and_start_over_after_success() {
        let mut failures = Failures::default();
        let waits: Vec<Duration> = (0..20).map(|_| failures.another("a")).collect();
        assert!(waits[0] < Duration::from_secs(1), "{waits:?}");
        assert!(waits[5] > waits[1].saturating_mul(4), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LONGEST.mul_f64(1.25)));
        assert!(waits[19] >= LONGEST.mul_f64(0.75));
        failures.none();
        assert!(failures.another("a") < Duration::from_secs(1));
    }

    #[test]
    fn fleets_that_fail_together_do_not_come_back_together() {
        let waits: std::collections::BTreeSet<Duration> = (0..20)
            .map(|fleet| Failures::default().another(&format!("fleet-{fleet}")))
            .collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
