//! Known rises that are over at once: batches, however looks cut them.
//!
//! What a single look shows may be a batch, and what two show one that the moment of the look has cut. Taken for a
//! rate that never ends it would ask for the largest size, whose pods come when it is over. Where all that known rises
//! brought came within a few seconds, so long is the next taken for one of them; once it has brought more, or gone on for
//! longer, it is not.

use super::cost::Outset;
use super::rises::{LONGEST, STRETCHES};
use super::rounds::Most;
use super::state::State;

/// Share of the promise, and number of looks, that such a rise takes at most.
const SHARE: f64 = 0.25;
const LOOKS: f64 = 2.0;
/// Share of what a rise brings beyond the mean of the longest stretch that counts for all of it.
const ALL: f64 = 0.9;

/// The place of the stretch that brings all of the rises that brought `most`.
fn all_of(most: &Most) -> Option<usize> {
    let mean = f64::from(most[STRETCHES.len() - 1]) / LONGEST;
    let beyond = |place: usize| f64::from(most[place]) - mean * STRETCHES[place];
    let all = (0..STRETCHES.len()).map(beyond).fold(0.0, f64::max);
    (0..STRETCHES.len()).find(|&place| all > 0.0 && beyond(place) >= ALL * all)
}

/// Whether rises that brought `most` were over before pods came that were ordered when they began.
pub(super) fn over_before(most: &Most, reaction: f64) -> bool {
    all_of(most).is_some_and(|place| STRETCHES[place] <= reaction)
}

/// The place of the stretch within which rises that brought `most` were over; none where they lasted.
pub(super) fn over_within(most: &Most, promise: f64, look: f64) -> Option<usize> {
    let place = all_of(most)?;
    let longest = (SHARE * promise).max(LOOKS * look.max(STRETCHES[0]));
    (STRETCHES[place] <= longest).then_some(place)
}

/// Records per second that come now, where rises were over within so many seconds: what came before it began as well.
pub(super) fn sustained(state: &State, outset: &Outset<'_>, look: f64, over: f64) -> f64 {
    let ago = over.max(look) + look;
    let newest = state.arrivals.within(look);
    let before = state.arrivals.within(ago + look) - state.arrivals.within(ago);
    let usual = state.arrivals.within(LONGEST) / LONGEST;
    (newest.min(before) / look).max(usual) * outset.margin
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two hundred a second for so many seconds, and ten a second.
    fn most(lasts: f64) -> Most {
        STRETCHES.map(|stretch| (200.0 * stretch.min(lasts) + 10.0 * stretch) as f32)
    }

    #[test]
    fn rises_are_over_within_the_stretch_that_brings_all_of_them() {
        for (lasts, place) in [(1.0, 0), (5.0, 0), (8.0, 1), (10.0, 1), (15.0, 2)] {
            let found = over_within(&most(lasts), 60.0, 5.0);
            assert_eq!(found, Some(place), "{lasts} s");
        }
        assert_eq!(over_within(&most(20.0), 60.0, 5.0), None);
        assert_eq!(over_within(&most(15.0), 30.0, 5.0), None);
        assert_eq!(over_within(&Most::default(), 60.0, 5.0), None);
        for (lasts, reaction, over) in [(20.0, 40.0, true), (40.0, 45.0, true), (40.0, 30.0, false)]
        {
            assert_eq!(over_before(&most(lasts), reaction), over, "{lasts} s");
        }
        assert!(!over_before(&Most::default(), 60.0));
    }
}
