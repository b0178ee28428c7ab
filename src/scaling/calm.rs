//! A load that stays the same: the worst that it has asked for counts, not what it asks for now.
//!
//! Pods are faster at one time and slower at another, so a fleet that is judged by the last two minutes
//! is lowered in every lull and raised again after it. A load that has been the same for an hour has
//! shown what it takes. As soon as it changes only the last minutes count again.

use jiff::Timestamp;

use super::flow::seconds;
use super::reading::Reading;
use super::state::State;

/// A load is the same as long as its mean over so many seconds is off by this share at most; where the
/// noise of its number is as much, so many times over, nobody can tell.
const LONG: f64 = 300.0;
const SAME: f64 = 0.08;
const NOISE: f64 = 3.0;
/// It falls where a minute brings this share less than the most that it was, and less than noise explains.
const FALLS: f64 = 0.04;
/// It counts once it has been the same for so many seconds.
const LASTS: f64 = 900.0;
/// The stretch of what it takes, and how long everything has to have been there, seconds.
const STRETCH: f64 = 60.0;
/// What it took fades so slowly, seconds.
const FADES: f64 = 6.0 * 3600.0;
/// It is forgotten where it has taken so much less
const FAR_LESS: f64 = 0.7;
/// for so many seconds: the handler is faster than it was.
const FOR_LONG: f64 = 600.0;

/// A load that stays the same.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Calm {
    since: Timestamp,
    /// Records per second, when it began, and the most since then.
    rate: f64,
    highest: f64,
    /// The most that it took, in pods' worth.
    most: f64,
    /// What it takes now.
    now: f64,
    /// Since when that is far less.
    less: Option<Timestamp>,
}

impl Calm {
    /// By how much the most that the load took lies above what it takes now; 1 at least.
    pub(super) fn factor(&self, now: Timestamp) -> f64 {
        if !self.lasts(now) {
            return 1.0;
        }
        (self.most / self.now.max(1e-9)).clamp(1.0, 1.0 / FAR_LESS)
    }

    /// Whether the load has been the same for long.
    pub(super) fn lasts(&self, now: Timestamp) -> bool {
        seconds(self.since, now) >= LASTS
    }

    /// Since when it has been the same.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    /// The most that it took, in pods' worth.
    pub(super) fn most(&self) -> f64 {
        self.most
    }

    /// Whether the last minute shows the end of what lasted, long before its mean does.
    fn falls(&self, minute: f64) -> bool {
        let noise = NOISE * (self.highest / STRETCH).sqrt();
        minute < (1.0 - FALLS) * self.highest - noise
    }

    fn follow(self, rate: f64, minute: f64, worth: f64, elapsed: f64, at: Timestamp) -> Self {
        if (rate - self.rate).abs() > SAME * self.rate || self.falls(minute) {
            return Self::begin(rate, worth, at);
        }
        let less = (worth < FAR_LESS * self.most).then(|| self.less.unwrap_or(at));
        if less.is_some_and(|since| seconds(since, at) > FOR_LONG) {
            return Self::begin(rate, worth, at);
        }
        let faded = self.most + (elapsed / FADES).min(1.0) * (worth - self.most);
        Self {
            since: self.since,
            rate: self.rate,
            highest: self.highest.max(rate),
            most: worth.max(faded),
            now: worth,
            less,
        }
    }

    pub(super) fn begin(rate: f64, worth: f64, at: Timestamp) -> Self {
        Self {
            since: at,
            rate,
            highest: rate,
            most: worth,
            now: worth,
            less: None,
        }
    }
}

/// Takes in what the load takes now.
pub(super) fn observe(state: &mut State, reading: &Reading<'_>) {
    if !reading.new || state.orders.steady_for(reading) < STRETCH {
        return;
    }
    let (Some(long), Some(rate)) = (
        state.arrivals.peak(LONG, 0.0),
        state.arrivals.peak(STRETCH, 0.0),
    ) else {
        return;
    };
    let tells = NOISE * (long / LONG).sqrt() < SAME * long;
    let Some(per_pod) = state.capacity.measured().filter(|_| tells) else {
        state.calm = None;
        return;
    };
    let worth = rate / per_pod;
    state.calm = Some(match state.calm.take() {
        Some(calm) => calm.follow(long, rate, worth, reading.elapsed, reading.at),
        None => Calm::begin(long, worth, reading.at),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ramp up, a level top and a ramp down: the most that the top took counts while it lasts, and not
    /// once a minute shows the way down, when the mean is still near that of the ramp up.
    #[test]
    fn the_end_of_a_level_top_shows_before_its_mean_does() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let begin = Calm::begin(1400.0, 15.0, at(0));
        let top = begin.follow(1500.0, 1500.0, 15.0, 5.0, at(600));
        let level = top.follow(1500.0, 1490.0, 12.0, 5.0, at(1000));
        assert!(level.factor(at(1000)) > 1.2, "{level:?}");
        let falls = level.follow(1470.0, 1420.0, 12.0, 5.0, at(1100));
        assert_eq!(falls.factor(at(1100)), 1.0, "{falls:?}");
    }
}
