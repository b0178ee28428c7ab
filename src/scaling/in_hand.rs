//! Records that are not finished and do not wait either: pods have them in hand.
//!
//! By Little's law so many are in hand as arrive while one is done, which is hundreds where a record takes a minute.
//! A pod takes as many at once as it has slots, so what is unfinished waits only beyond those: more pods do nothing
//! for the rest.

use std::collections::BTreeMap;

use super::Policy;
use super::reading::{Known, Reading};
use super::sample::Sample;
use super::state::State;

/// How long records were in hand is forgotten at this pace, seconds.
const MEMORY: f64 = 300.0;
/// Pods that have just begun have finished the shortest records only. What they have done says something after so many
/// records in each slot, or after so many times as long as one takes.
pub(super) const TURNS: f64 = 3.0;

/// Takes what pods have in hand out of what waits: as many records as they have slots, shared among their
/// partitions as if each got one in turn.
pub(super) fn take(policy: &Policy, known: &mut [Known<'_>], sample: &Sample, per_record: f64) {
    let pods = sample.ready.min(sample.current);
    if pods == 0 || known.iter().all(|known| known.waits == 0) {
        return;
    }
    let mut groups: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (place, known) in known.iter().enumerate() {
        if known.waits > 0 {
            let owner = known.sample.pod.as_deref();
            groups.entry(owner).or_default().push(place);
        }
    }
    let owners: std::collections::BTreeSet<&str> = known
        .iter()
        .filter_map(|known| known.sample.pod.as_deref())
        .collect();
    // Of pods that cannot be told apart each has its share of what all have.
    let pods_of_each = match u32::try_from(owners.len()) {
        Ok(owners) if owners > 0 => u64::from((pods / owners).max(1)),
        _ => u64::from(pods),
    };
    for (owner, places) in groups {
        if owner.is_none() && !owners.is_empty() {
            // Nobody works on these now.
            continue;
        }
        let reported = owner.and_then(|owner| sample.pods.get(owner));
        let slots = reported.map_or(policy.concurrency, |pod| pod.slots).max(1);
        let slots = (f64::from(slots) * per_record).round() as u64;
        share_out(known, places, slots * pods_of_each);
    }
}

fn share_out(known: &mut [Known<'_>], mut places: Vec<usize>, mut slots: u64) {
    places.sort_by_key(|&place| known[place].waits);
    let mut left = places.len() as u64;
    for place in places {
        // Whoever has fewer than an equal share leaves the rest to the others.
        let known = &mut known[place];
        let share = known.waits.min(slots.div_ceil(left));
        known.in_hand = share;
        known.waits -= share;
        slots -= share;
        left -= 1;
    }
}

/// How long records were in hand, and how many were done, of late: all fades.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct InHand {
    /// Seconds, of all records together.
    seconds: f64,
    done: f64,
}

impl InHand {
    /// Takes in what is in hand now, and that so many were finished.
    pub(super) fn add(&mut self, reading: &Reading<'_>, finished: f64) {
        let in_hand = reading.known.iter().map(|known| known.in_hand);
        let records = in_hand.fold(0, u64::saturating_add);
        let fade = (-reading.elapsed / MEMORY).exp();
        self.seconds = self.seconds * fade + records as f64 * reading.elapsed;
        self.done = self.done * fade + finished;
    }

    /// Seconds that a record is in hand; the least that it may be where none is done yet.
    fn of_each(&self) -> f64 {
        self.seconds / self.done.max(1.0)
    }
}

impl State {
    /// How long a record is in hand, seconds: as pods say, or as commits show.
    pub(super) fn service_time(&self) -> f64 {
        let said = self.capacity.service_time();
        said.unwrap_or_else(|| self.in_hand.of_each())
    }

    /// Seconds for which pods have to be there before what they do shows what they can.
    pub(super) fn turns(&self) -> f64 {
        TURNS * self.service_time()
    }
}

/// Whether a pod has been at work for long enough for `done` and `busy` seconds, of so many `slots`, to say something.
pub(super) fn tells(done: f64, busy: f64, slots: f64, age: f64) -> bool {
    done > 0.0 && (done >= TURNS * slots || age >= TURNS * busy / done)
}
