//! Records that wait for longer than a rush lasts are a debt: work put off.
//!
//! A long promise lets a fleet put work off while a peak lasts, and that spares pods where the peak is over before
//! the debt is due. Under a load that stays the same it spares nothing: what is put off has to be done
//! beside what comes then, by more pods. So a debt is run up while a peak may pass, never by giving up pods that
//! a load needs, and is worked off by a size that does more than what arrives.

use super::cost::Outset;
use super::reading::Reading;
use super::state::State;
use super::track::Waited;

/// What waits for so many seconds was not brought by a rush.
const DEBT: f64 = 60.0;
/// A record that has waited for this share of the promise is late.
const LATE: f64 = 0.4;
/// Whether a debt grows shows within so many seconds, and well within so many.
const SHOWS: f64 = 60.0;
const SHOWS_WELL: f64 = 300.0;
/// A debt grows where no more than this share of what comes is done.
const BEHIND: f64 = 0.98;

impl State {
    /// Seconds for which the oldest record has waited, where that is a debt.
    pub(super) fn debt(&self, reading: &Reading<'_>) -> Option<f64> {
        let waited = self.waited(reading).map_or(0.0, Waited::seconds);
        (waited > DEBT).then_some(waited)
    }

    /// Whether there is a debt that this size is not to blame for: it is from before all pods were there, or they
    /// work it off.
    pub(super) fn inherits(&self, reading: &Reading<'_>) -> bool {
        let debt = self.debt(reading);
        debt.is_some_and(|waited| {
            let worked_off = self
                .done_of_arrived(reading)
                .is_some_and(|share| share >= 1.0);
            worked_off || waited > self.orders.steady_for(reading)
        })
    }

    /// Whether what waits is late for what is promised, came before all pods were there, and grows less since then.
    pub(super) fn came_late(&self, reading: &Reading<'_>, promise: f64) -> bool {
        let waited = self.waited(reading).map_or(0.0, Waited::seconds);
        let there = self.orders.steady_for(reading);
        let grows_less = self.progress.within(there) > self.arrivals.within(there);
        waited > LATE * promise && waited > there && grows_less
    }

    /// Whether a debt grows, and the load is no peak: it has been the same for long.
    pub(super) fn falls_behind(&self, reading: &Reading<'_>) -> bool {
        let calm = self.calm.as_ref();
        let lasts = calm.is_some_and(|calm| calm.lasts(reading.at));
        let share = self.done_of_arrived(reading).unwrap_or(1.0);
        lasts && self.debt(reading).is_some() && share < BEHIND
    }

    /// How much is done of what comes, since all pods of this size have been there; none until it shows.
    fn done_of_arrived(&self, reading: &Reading<'_>) -> Option<f64> {
        let stretch = self.orders.steady_for(reading).min(SHOWS_WELL);
        if stretch < SHOWS {
            return None;
        }
        let arrived = self.arrivals.rate(stretch, SHOWS)?;
        Some(self.progress.rate(stretch, SHOWS)? / arrived.max(1e-9))
    }
}

/// The sizes to choose from, of the fleet's `own` and the larger ones. Where there is time its own stays until it
/// has to go, and then none is ordered that would have to be outgrown before it shows whether the load is a peak.
pub(super) fn choices(outset: &Outset<'_>, own: Option<u32>, larger: Vec<u32>) -> Vec<u32> {
    if !outset.may_wait() {
        return own.into_iter().chain(larger).collect();
    }
    let behind = outset.falls_behind;
    if let Some(own) = own.filter(|_| !behind)
        && outset.can_wait()
    {
        return vec![own];
    }
    let stays = |size: u32| outset.keeps_up(size) || (!behind && outset.is_free(size));
    let keep_up = larger.iter().copied().filter(|&size| stays(size));
    let keep_up: Vec<u32> = keep_up.collect();
    let larger = if keep_up.is_empty() { larger } else { keep_up };
    let own = own.filter(|_| larger.is_empty() || !behind);
    own.into_iter().chain(larger).collect()
}
