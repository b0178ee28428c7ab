//! How the load lies on the pods: the busiest pod decides what a fleet can do.
//!
//! Partitions are handed out by count. Some get more records than others, and some pods are
//! slower, so the busiest pod is full before the fleet is.

use std::collections::HashMap;

use super::reading::Reading;
use super::sizes;
use super::state::State;
use super::track::Track;

/// A partition counts as like the others until about so many records came.
const ALIKE: f64 = 16.0;
/// How much faster than a pod's backlog its oldest record ages, until that is this old, seconds, and
/// at most.
const CROWDING: f64 = 4.0;
const CROWD: f64 = 10.0;
const MOST_CROWDED: f64 = 8.0;
/// A partition is worked on if it has moved within so many seconds.
const NEGLECT: f64 = 15.0;
/// How much pods differ until it is seen, as a share of their speed, and how many pods it takes to
/// see it.
const USUAL_SPREAD: f64 = 0.06;
const FEW_PODS: f64 = 4.0;

/// A partition stands out that has so many times the mean share, and lies by so many spreads of the others above those: no chance
/// spreads it over several pods.
const TIMES: f64 = 2.0;
const STANDS_OUT: f64 = 4.0;

/// By so many spreads the busiest pod of a size that is only expected is taken to be busier than it is on
/// average. How the partitions will lie is chance: without this, half of all fleets that began with too many
/// pods gave up too many, and raised again a moment later.
const CAUTION: f64 = 1.8;

/// How the load lies on the pods.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Load {
    partitions: u32,
    /// Records per second that a pod can do.
    pub(super) per_pod: f64,
    /// Spread of the partitions' shares, and of the pods' speeds, around 1.
    shares: f64,
    speeds: f64,
    /// The largest share of one partition, 1 where all are equal.
    pub(super) largest: f64,
    /// Where one partition stands out: all the others.
    others: Option<Others>,
    /// The size whose distribution is known, and how much busier than the others its busiest pod is.
    known: Option<(u32, f64)>,
    /// Records that wait for a pod, with what likely waits in unknown partitions.
    backlog: f64,
    /// Seconds that the busiest pod needs for what waits now, where the distribution is known.
    pub(super) busiest: Option<f64>,
    /// Seconds that one pod needs for the partition with the most waiting.
    pub(super) deepest: f64,
    /// How many times faster than a full pod's backlog its oldest record ages.
    pub(super) crowding: f64,
    /// By so many spreads the busiest pod of another size is taken to be busier than on average.
    caution: f64,
}

/// Partitions beside one that stands out.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Others {
    /// Their mean share, 1 where it is that of all.
    share: f64,
    /// Its spread, as a share of it.
    spread: f64,
}

impl Others {
    /// Of `count` partitions with so much `spread`, the sum of squares around 1, and the `largest` share; none where that does
    /// not stand out of them.
    fn of(count: f64, spread: f64, largest: f64) -> Option<Self> {
        let rest = count - 1.0;
        let share = (count - largest) / rest.max(1.0);
        // Around their own mean.
        let squares = spread - (largest - 1.0).powi(2) - rest * (share - 1.0).powi(2);
        let spread = (squares.max(0.0) / rest.max(1.0)).sqrt();
        let stands_out = rest >= 1.0 && share > 0.0 && largest > share + STANDS_OUT * spread;
        stands_out.then_some(Self {
            share,
            spread: spread / share,
        })
    }
}

/// What a pod has.
#[derive(Clone, Copy, Debug, Default)]
struct Owner {
    /// The sum of its partitions' shares of the load,
    share: f64,
    /// of the records that wait in them,
    waits: f64,
    /// and their number.
    partitions: u32,
}

impl Owner {
    fn add(&mut self, share: f64, waits: f64) {
        self.share += share;
        self.waits += waits;
        self.partitions += 1;
    }
}

/// Records that came to all partitions of late, as far as they count for shares.
fn seen(state: &State, reading: &Reading<'_>) -> f64 {
    let unknown = state.likely.share();
    if unknown <= 0.0 || unknown >= 1.0 {
        return state.tracks.values().map(|track| track.arrived).sum();
    }
    let mut tracks = state.tracks_in_order();
    let known = reading.known.iter();
    let known = known.filter_map(|known| tracks.of(known.partition));
    known.map(|track| track.arrived).sum::<f64>() / (1.0 - unknown)
}

impl Load {
    /// Reads it off the partitions and their owners.
    pub(super) fn of(state: &State, reading: &Reading<'_>, per_pod: f64, promise: f64) -> Self {
        let partitions = reading.partitions();
        let count = f64::from(partitions.max(1));
        let seen = seen(state, reading);
        let mean = seen / count + ALIKE;
        let rate = state.arrival().unwrap_or(0.0) / count;
        let half_gap = state.commit_gap / 2.0;

        let (mut spread, mut largest, mut deepest) = (0.0, 1.0_f64, 0.0_f64);
        // Share and waiting records of each owner's partitions.
        let mut owners: HashMap<&str, Owner> = HashMap::new();
        let mut all = Owner::default();
        let mut tracks = state.tracks_in_order();
        for known in &reading.known {
            let arrived = tracks.of(known.partition).map_or(0.0, |t| t.arrived);
            let share = (arrived + ALIKE) / mean;
            spread += (share - 1.0).powi(2);
            largest = largest.max(share);
            // What was done since the last commit waits only on paper.
            let on_paper = rate * share * half_gap;
            let waits = if known.moves() {
                (known.waits as f64 - on_paper).max(0.0)
            } else {
                0.0
            };
            deepest = deepest.max(waits / per_pod);
            all.add(share, waits);
            if let Some(owner) = known.sample.pod.as_deref() {
                owners.entry(owner).or_default().add(share, waits);
            }
        }

        let mut backlog = reading.backlog();
        let of_known = match reading.unknown.is_empty() {
            true => HashMap::new(),
            false => owners.clone(),
        };
        for (partition, share) in state.likely.shares() {
            let share = (share * seen + ALIKE) / mean;
            spread += (share - 1.0).powi(2);
            largest = largest.max(share);
            let owner = state.tracks.get(partition).and_then(Track::owner);
            // As long as in the others of its pod, where that has any.
            let others = owner.and_then(|owner| of_known.get(owner)).unwrap_or(&all);
            let waits = match state.likely.times() {
                Some(_) => others.waits * share / others.share.max(1e-9),
                None => 0.0,
            };
            backlog += waits;
            if let Some(owner) = owner {
                owners.entry(owner).or_default().add(share, waits);
            }
        }

        let (mut differences, mut pods) = (FEW_PODS * USUAL_SPREAD.powi(2), FEW_PODS);
        for pod in state.capacity.pods() {
            differences += (state.capacity.speed(pod) - 1.0).powi(2);
            pods += 1.0;
        }

        let ready = reading.sample.ready.min(reading.sample.current);
        let owned: u32 = owners.values().map(|owner| owner.partitions).sum();
        let whole = owners.len() == ready.min(partitions) as usize && owned == partitions;
        let (mut known, mut busiest) = (None, None);
        if whole && ready > 0 {
            let of_pods = owners.iter().map(|(pod, owner)| {
                let speed = state.capacity.speed(pod);
                (owner.share / speed, owner.waits / (speed * per_pod))
            });
            let (share, waits) = of_pods.fold((0.0_f64, 0.0_f64), |most, pod| {
                (most.0.max(pod.0), most.1.max(pod.1))
            });
            let equal = f64::from(partitions.div_ceil(ready));
            known = Some((ready, (share / equal).max(1.0)));
            busiest = Some(waits);
        }
        Self {
            partitions,
            per_pod,
            shares: (spread / count).sqrt(),
            speeds: (differences / pods).sqrt(),
            largest,
            others: Others::of(count, spread, largest).filter(|_| largest > TIMES),
            known,
            backlog,
            busiest,
            deepest,
            crowding: 1.0,
            caution: 0.0,
        }
        .crowded(state, reading, ready, promise)
    }

    /// A pod serves its partitions in turn, so what it does not manage gathers in those with the
    /// largest shares, and their records wait longer than the pod's backlog says.
    fn crowded(mut self, state: &State, reading: &Reading<'_>, ready: u32, promise: f64) -> Self {
        if ready == 0 {
            return self;
        }
        let equal = self.per_pod * sizes::worth(ready, self.partitions);
        let busiest = self.busiest.unwrap_or(self.backlog / equal.max(1e-9));
        let most = f64::from(self.partitions.div_ceil(ready.max(1)));
        // Where a pod hardly comes round within the promise, records are done as they came.
        let turns = self.per_pod * promise / most;
        // A partition that has not had a turn when its pod went round is not late for want of pods.
        let each = f64::from(self.partitions) / f64::from(ready);
        let patience = NEGLECT.max(each / self.per_pod).max(state.turns());
        let oldest = state
            .waited_at_work(reading, patience)
            .map_or(0.0, |waited| waited.seconds() - state.commit_gap);
        let seen = oldest / busiest.max(1.0);
        let usual = if oldest < CROWD {
            CROWDING.max(seen)
        } else {
            seen
        };
        self.crowding = usual.clamp(1.0, most.min(turns).clamp(1.0, MOST_CROWDED));
        self.busiest = Some(busiest.max(oldest));
        self
    }

    /// Records that wait, as if each of the `ready` pods had as many as the busiest.
    pub(super) fn waits(&self, ready: u32) -> f64 {
        match self.busiest {
            Some(seconds) => seconds * self.capacity(ready),
            None => self.backlog,
        }
    }

    /// The same for sizes that are only expected: their busiest pod is busier than the average one's.
    pub(super) fn cautious(&self) -> Self {
        Self {
            caution: CAUTION,
            ..self.clone()
        }
    }

    /// Records per second with which the busiest of `pods` is full.
    pub(super) fn capacity(&self, pods: u32) -> f64 {
        self.per_pod * sizes::worth(pods, self.partitions) / self.imbalance(pods)
    }

    /// How much busier than with equal partitions and pods the busiest of `pods` is; 1 at least.
    pub(super) fn imbalance(&self, pods: u32) -> f64 {
        if let Some((size, imbalance)) = self.known
            && size == pods
        {
            return imbalance;
        }
        // The most of `pods` sums of partitions, each as far off as its spread makes likely.
        let each = f64::from(self.partitions.div_ceil(pods.max(1))).max(1.0);
        let caution = if pods > 1 { self.caution } else { 0.0 };
        let Some(others) = self.others.filter(|_| pods > 1) else {
            let spread = (self.shares.powi(2) / each + self.speeds.powi(2)).sqrt();
            let least = self.largest / each;
            let likely = 1.0 + (most_of(pods) + caution) * spread;
            return likely.max(least).max(1.0);
        };
        // One pod has the partition that stands out, and the others are as far off as the rest of them makes likely.
        let spread = |partitions: f64| {
            let shares = others.spread.powi(2) / partitions.max(1.0);
            (shares + self.speeds.powi(2)).sqrt()
        };
        let beside = others.share * (each - 1.0);
        let with = self.largest * (1.0 + caution * self.speeds)
            + beside * (1.0 + caution * spread(each - 1.0));
        let without = others.share * (1.0 + (most_of(pods) + caution) * spread(each));
        (with / each).max(without).max(1.0)
    }
}

/// By how many spreads the largest of `count` normal values is expected to lie above their mean.
fn most_of(count: u32) -> f64 {
    if count < 2 {
        return 0.0;
    }
    1.33 * f64::from(count).ln().sqrt() - 0.54
}
