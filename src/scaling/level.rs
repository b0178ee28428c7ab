//! The arrival rate without its noise: a slow average that jumps when the rate has changed.

use jiff::Timestamp;

use super::flow::{Flow, seconds};

/// The window of the arrival rate, seconds.
pub(super) const WINDOW: f64 = 15.0;
/// A rate over a shorter time is spread over this, seconds: the first records say little.
const SHORTEST: f64 = 5.0;
/// Time constant of the level, seconds.
const TAU: f64 = 120.0;
/// Deviations of a window, in its noise, that are no noise if they last for two windows; twice as
/// many at once.
const Z: f64 = 4.0;
/// Longer windows see smaller changes: their length in seconds and the deviations that are none of
/// theirs.
const LONGER: [(f64, f64); 2] = [(60.0, 3.5), (180.0, 3.0)];

/// The arrival rate without its noise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Level {
    /// Records per second.
    pub(super) rate: f64,
    /// The usual deviation of a window from it.
    pub(super) spread: f64,
    /// Since when the rate is off it, and on which side.
    off: Option<(Timestamp, bool)>,
    /// When it last jumped.
    jumped: Timestamp,
    /// When a sample last lay above it.
    above: Option<Timestamp>,
}

impl Level {
    /// Takes in what has arrived, `newest` of it since the sample before; `before` is the level until now.
    pub(super) fn follow(
        before: Option<Self>,
        arrivals: &Flow,
        newest: f64,
        elapsed: f64,
        at: Timestamp,
    ) -> Option<Self> {
        let Some(rate) = arrivals.rate(WINDOW, SHORTEST) else {
            return before;
        };
        let Some(mut level) = before else {
            return Some(Self {
                rate,
                spread: 0.0,
                off: None,
                jumped: at,
                above: None,
            });
        };
        // A batch is no rate, however large: what arrives now has to bear a rise out, and more than once.
        let newest = newest / elapsed.max(1e-3);
        let above = newest > level.rate;
        let again = level.above.is_some_and(|last| seconds(last, at) <= WINDOW);
        let rising = above && again;
        if above {
            level.above = Some(at);
        }
        level.step(rate, elapsed, rising, at);
        for (window, z) in LONGER {
            level.compare(arrivals, window, z, rising, at);
        }
        Some(level)
    }

    fn step(&mut self, rate: f64, elapsed: f64, rising: bool, at: Timestamp) {
        let deviation = (rate - self.rate).abs();
        let noise = self.noise(rate, WINDOW);
        let above = rate > self.rate;
        let lasting = match self.off {
            Some((since, side)) if side == above => seconds(since, at) >= WINDOW,
            _ => false,
        };
        let far = deviation > 2.0 * Z * noise || (lasting && deviation > Z * noise);
        if far && (rising || !above) {
            self.jump(rate, at);
            return;
        }
        let share = (elapsed / TAU).min(1.0);
        self.rate += share * (rate - self.rate);
        self.spread += share * (deviation - self.spread);
        self.off = match self.off {
            _ if deviation <= Z * noise => None,
            Some((since, side)) if side == above => Some((since, side)),
            _ => Some((at, above)),
        };
    }

    /// A longer window that lies wholly behind the last jump corrects what the slow average has
    /// not followed yet.
    fn compare(&mut self, arrivals: &Flow, window: f64, z: f64, rising: bool, at: Timestamp) {
        if arrivals.span() < window || seconds(self.jumped, at) < window {
            return;
        }
        let Some(rate) = arrivals.rate(window, window) else {
            return;
        };
        let far = (rate - self.rate).abs() > z * self.noise(rate, window);
        if far && (rising || rate < self.rate) {
            self.jump(rate, at);
        }
    }

    fn jump(&mut self, rate: f64, at: Timestamp) {
        self.rate = rate;
        self.off = None;
        self.jumped = at;
    }

    /// What a window deviates without any change: the square root is the noise that any count of
    /// independent arrivals has.
    fn noise(&self, rate: f64, window: f64) -> f64 {
        let usual = self.spread * (WINDOW / window).sqrt();
        usual.max((self.rate.max(rate) / window).sqrt())
    }
}
