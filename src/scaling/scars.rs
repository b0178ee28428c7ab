//! Sizes that turned out too small, and for which load: a fleet learns from the same mistake once.
//!
//! A constant load may lie just where a size is enough in theory and not in practice. Without a
//! memory the fleet would be lowered to it again and again.

use std::collections::BTreeMap;

use jiff::Timestamp;

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
/// The stretch whose mean says for which load a size was too small, seconds.
const STRETCH: f64 = 60.0;

/// A load that a size was too small for.
#[derive(Clone, Debug, PartialEq)]
struct Scar {
    /// In pods' worth.
    load: f64,
    /// How often that was so.
    times: f64,
    /// Since when the load is elsewhere.
    elsewhere: Option<Timestamp>,
}

/// Sizes that turned out too small.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scars {
    sizes: BTreeMap<u32, Scar>,
}

impl Scars {
    /// Whether `size` is known to be too small for a load of so many pods' worth.
    pub(super) fn forbid(&self, size: u32, load: f64) -> bool {
        self.sizes
            .range(size..)
            .any(|(_, scar)| load >= scar.load * (1.0 - (LIKE * scar.times).min(MOST_LIKE)))
    }

    fn learn(&mut self, size: u32, load: f64) {
        let scar = self.sizes.entry(size).or_insert(Scar {
            load,
            times: 0.0,
            elsewhere: None,
        });
        scar.load = scar.load.min(load);
        scar.times += 1.0;
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
/// that is more and the pods were not let go just before.
pub(super) fn learn(state: &mut State, size: u32) {
    let Some(per_pod) = state.capacity.measured().filter(|_| size > 0) else {
        return;
    };
    let Some(of_late) = state.arrivals.peak(STRETCH, STRETCH) else {
        return;
    };
    let now = state.arrival().unwrap_or(0.0);
    let load = if state.surplus.lowered_lately() {
        of_late
    } else {
        of_late.max(now)
    };
    state.scars.learn(size, load / per_pod);
}

/// The load, in pods' worth.
pub(super) fn load(state: &State) -> Option<f64> {
    Some(state.arrival()? / state.capacity.measured()?)
}
