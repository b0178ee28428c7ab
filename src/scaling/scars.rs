//! Sizes that turned out too small, and for which load: a fleet learns from the same mistake once.
//!
//! A constant load may lie just where a size is enough in theory and not in practice. Without a
//! memory the fleet would be lowered to it again and again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Policy;
use super::calm::Calm;
use super::flow::seconds;
use super::reading::Reading;
use super::state::State;

/// A load is like the one that a size was too small for if it is less by this share at most; every
/// time that it turns out so again it takes as much more.
const LIKE: f64 = 0.1;
const MOST_LIKE: f64 = 0.25;
/// Loads further away than this share are another time of day;
const ELSEWHERE: f64 = 0.35;
/// after so many seconds of it what was learned is forgotten.
const FORGOTTEN: f64 = 600.0;
/// A size is ruled out for so many seconds since it last turned out too small, and for as long as the load stays
/// the same, if it has begun to by then: of a load that comes and goes the worst moment of the day says little of this one.
const RULED_OUT: f64 = 600.0;
/// The stretch whose mean says for which load a size was too small, seconds.
const STRETCH: f64 = 60.0;
/// A fleet that gets no more than this share of what arrives done is not too small, but stands.
const STANDS: f64 = 0.5;

/// A size of which what comes takes no more than this share is not to blame for what is late from before its pods came.
const AMPLE: f64 = 0.8;

/// A load that a size was too small for.
#[derive(Clone, Debug, PartialEq)]
struct Scar {
    /// In pods' worth.
    load: f64,
    /// How often that was so.
    times: f64,
    /// When it last was.
    learned: Timestamp,
    /// Since when the load is elsewhere.
    elsewhere: Option<Timestamp>,
}

/// Sizes that turned out too small.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scars {
    sizes: BTreeMap<u32, Scar>,
}

impl Scars {
    /// Whether `size` is known to be too small for a load of so many pods' worth, where it is no other load since.
    pub(super) fn forbid(&self, size: u32, load: f64, calm: Option<&Calm>, now: Timestamp) -> bool {
        self.sizes.range(size..).any(|(_, scar)| {
            let like = 1.0 - (LIKE * scar.times).min(MOST_LIKE);
            let ruled_out = |at: Timestamp| seconds(scar.learned, at) < RULED_OUT;
            // Pods that are faster now than then are slower again in a while.
            let same = calm.filter(|calm| calm.lasts(now) || ruled_out(calm.since()));
            let load = same.map_or(load, |calm| load.max(calm.most()));
            (ruled_out(now) || same.is_some()) && load >= scar.load * like
        })
    }

    fn learn(&mut self, size: u32, load: f64, now: Timestamp) {
        let scar = self.sizes.entry(size).or_insert(Scar {
            load,
            times: 0.0,
            learned: now,
            elsewhere: None,
        });
        scar.load = scar.load.min(load);
        scar.times += 1.0;
        scar.learned = now;
    }

    fn age(&mut self, load: f64, now: Timestamp) {
        self.sizes.retain(|_, scar| {
            let off = (load - scar.load).abs() > ELSEWHERE * scar.load;
            scar.elsewhere = off.then(|| scar.elsewhere.unwrap_or(now));
            scar.elsewhere
                .is_none_or(|since| seconds(since, now) < FORGOTTEN)
        });
    }
}

/// Forgets what was learned of other loads.
pub(super) fn observe(state: &mut State, reading: &Reading<'_>) {
    if let Some(load) = load(state).filter(|_| reading.new) {
        state.scars.age(load, reading.at);
    }
}

/// A raise from `size` shows what it is too small for: the load of late, or of this moment where
/// that is more and the pods were not let go just before. Not while it stands: what is behind the handler fails, or the
/// pods have only begun.
pub(super) fn learn(policy: &Policy, state: &mut State, reading: &Reading<'_>, size: u32) {
    let now = reading.at;
    let Some(per_pod) = state.capacity.measured().filter(|_| size > 0) else {
        return;
    };
    let Some(of_late) = state.arrivals.peak(STRETCH, STRETCH) else {
        return;
    };
    // What waits since before these pods were there says nothing of what they are too few for.
    let ample = of_late <= AMPLE * per_pod * f64::from(size);
    let late = ample && state.came_late(reading, policy.max_delay.as_secs_f64());
    if late || state.inherits(reading) {
        return;
    }
    let done = state.progress.rate(STRETCH, STRETCH);
    if done.is_some_and(|done| done < STANDS * of_late) {
        return;
    }
    let at_once = state.arrival().unwrap_or(0.0);
    let load = if state.surplus.lowered_lately() {
        of_late
    } else {
        of_late.max(at_once)
    };
    state.scars.learn(size, load / per_pod, now);
}

/// The load, in pods' worth.
pub(super) fn load(state: &State) -> Option<f64> {
    Some(state.arrival()? / state.capacity.measured()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For some minutes it must not be tried again; for the rest of the day it may.
    #[test]
    fn a_size_that_was_too_small_is_ruled_out_for_some_minutes() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let mut scars = Scars::default();
        scars.learn(8, 7.0, at(0));
        assert!(scars.forbid(8, 6.5, None, at(599)), "{scars:?}");
        assert!(
            scars.forbid(7, 6.5, None, at(599)),
            "a smaller one too: {scars:?}"
        );
        assert!(!scars.forbid(10, 6.5, None, at(599)), "{scars:?}");
        assert!(
            !scars.forbid(8, 5.0, None, at(599)),
            "another load: {scars:?}"
        );
        assert!(!scars.forbid(8, 7.0, None, at(600)), "{scars:?}");
        let calm = Calm::begin(700.0, 7.0, at(7000));
        assert!(scars.forbid(8, 7.0, Some(&calm), at(9000)), "{scars:?}");
        scars.learn(8, 7.0, at(900));
        assert!(
            scars.forbid(8, 5.8, None, at(1400)),
            "twice weighs more: {scars:?}"
        );
    }

    /// Whether a load stays the same shows only after minutes, and until then pods may be faster than they were.
    #[test]
    fn a_size_stays_ruled_out_until_it_shows_whether_the_load_is_another() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let mut scars = Scars::default();
        scars.learn(24, 18.1, at(200));
        let calm = Calm::begin(1700.0, 18.0, at(500));
        let other = Calm::begin(1700.0, 18.0, at(801));
        assert!(scars.forbid(24, 16.2, Some(&calm), at(860)), "{scars:?}");
        assert!(!scars.forbid(24, 16.2, Some(&other), at(860)), "{scars:?}");
        assert!(!scars.forbid(24, 16.2, None, at(860)), "{scars:?}");
    }
}
