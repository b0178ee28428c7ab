//! Rises that come again and again: what a fleet has seen pass several times needs no new pods each time.
//!
//! A rise is taken at its word: what arrives now goes on arriving. Where rises have come and gone before, minutes
//! apart, that is wrong each time, and the pods arrive when they are over. So the most that came within any stretch of some seconds to
//! some minutes is kept, from one rise to the next: for a rise that is no more than those before, it says how much
//! may still come, and for any size how long records would have waited.
//!
//! What follows from that for sizes is `ride`'s.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::cost::MOVE;
use super::flow::seconds;
use super::reading::Reading;
use super::state::State;

/// Stretches of time of which the most that came is kept, seconds.
pub(super) const STRETCHES: [f64; 12] = [
    5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0, 300.0,
];
pub(super) const LONGEST: f64 = STRETCHES[STRETCHES.len() - 1];
/// A rise begins where a look brings so many times the mean of the longest stretch, and more than noise explains, and
/// is over where it brings less than so many times it.
const BEGINS: f64 = 1.3;
const ENDS: f64 = 1.1;
const NOISE: f64 = 5.0;
/// Rises that are closer than this are one, seconds; those further apart do not come again and again.
const SHORTEST: f64 = 60.0;
const APART: f64 = 1800.0;
/// So many rounds, from one rise to the next, and so many seconds of them say something;
const FEW: usize = 3;
const COVERED: f64 = 300.0;
/// no more are kept, and of those that are older than so many seconds only as many as it takes.
const MANY: usize = 16;
const OLD: f64 = 3600.0;
/// One that lasted for longer, seconds, is another load and no peak; of so many one may be.
const PEAK: f64 = LONGEST / 2.0;
const RARE: usize = 4;
/// They are over where the next is so many times as late as it ever was.
const OVERDUE: f64 = 2.0;
/// A rise is like those before if it brings so many times as much at most, of what it brings beyond the mean of the longest
/// stretch, and that is so many times what it was.
const LIKE: f64 = 1.15;
const MEAN: f64 = 1.05;
/// What the last round up and down has cost counts for so much beside those before it.
const NEWEST: f64 = 0.3;

pub(super) type Most = [f32; STRETCHES.len()];

/// Rises that have come and gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rises {
    /// From one rise to the next.
    rounds: VecDeque<Round>,
    /// Since the last one began.
    now: Option<Round>,
    /// It is not over.
    high: bool,
    /// Pod-seconds that it has cost to go up for a rise and down after it.
    pub(super) price: Option<f64>,
    /// When what came was last another load, which lasted.
    other: Option<Timestamp>,
    /// A size that was raised in a peak, and when that was over.
    too_small: Option<(u32, Timestamp)>,
    /// The size at the last look.
    size: u32,
}

/// From the beginning of a rise to that of the next.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Round {
    since: Timestamp,
    seconds: f64,
    /// The most records of any stretch that ended in it.
    pub(super) most: Most,
    pod_seconds: f64,
    /// The seconds of it in which more came than usual.
    high: f64,
    least_pods: u32,
    /// The size that was raised first.
    raised: Option<u32>,
    changes: u32,
}

/// Why a size is enough for rises that are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Known {
    /// Rises that were like it.
    pub(super) rises: usize,
    /// Seconds within which they came.
    pub(super) within: f64,
    /// How long a record waits at most, seconds.
    pub(super) worst: f64,
    /// A smaller size that would do between them, where that is what it holds against.
    pub(super) fewer: Option<u32>,
}

impl Round {
    fn begin(at: Timestamp, size: u32) -> Self {
        Self {
            since: at,
            seconds: 0.0,
            most: Most::default(),
            pod_seconds: 0.0,
            high: 0.0,
            least_pods: size,
            raised: None,
            changes: 0,
        }
    }

    /// What its ups and downs have cost beyond the fewest pods that it had; none where there were none, or it was no peak.
    fn price(&self) -> Option<f64> {
        let least = f64::from(self.least_pods) * self.seconds;
        let moves = MOVE * f64::from(self.changes);
        (self.raised.is_some() && self.high <= PEAK).then_some(self.pod_seconds - least + moves)
    }
}

impl Rises {
    fn next(&mut self, at: Timestamp) {
        self.high = true;
        let Some(round) = self.now.replace(Round::begin(at, self.size)) else {
            return;
        };
        if round.seconds > APART {
            self.forget();
            return;
        }
        if let Some(size) = round.raised.filter(|_| round.high <= PEAK) {
            self.too_small = Some((size.max(self.too_small(at)), at));
        }
        if let Some(price) = round.price() {
            let before = self.price.unwrap_or(price);
            self.price = Some(before + NEWEST * (price - before));
        }
        self.rounds.push_back(round);
        let old = |round: &Round| seconds(round.since, at) > OLD;
        while self.rounds.len() > MANY
            || (self.rounds.len() > FEW && self.rounds.front().is_some_and(old))
        {
            self.rounds.pop_front();
        }
    }

    fn forget(&mut self) {
        self.rounds.clear();
        self.price = None;
        self.too_small = None;
    }

    /// Whether rises come again and again.
    pub(super) fn recur(&self, at: Timestamp) -> bool {
        let longest = self.rounds.iter().map(|round| round.seconds);
        let longest = longest.fold(SHORTEST, f64::max);
        let due = |now: &Round| seconds(now.since, at) < OVERDUE * longest;
        let peaks = self.peaks().count();
        let rare = (self.rounds.len() - peaks) * RARE <= self.rounds.len();
        rare && peaks >= FEW && self.within() >= COVERED && self.now.as_ref().is_some_and(due)
    }

    /// A size that had to be raised in a peak of late, whatever was reckoned.
    pub(super) fn too_small(&self, at: Timestamp) -> u32 {
        let fresh = |known: &(u32, Timestamp)| seconds(known.1, at) < OLD;
        self.too_small.filter(fresh).map_or(0, |known| known.0)
    }

    /// Those rounds whose rise has passed soon.
    pub(super) fn peaks(&self) -> impl Iterator<Item = &Round> {
        self.rounds.iter().filter(|round| round.high <= PEAK)
    }

    /// Seconds that they took.
    pub(super) fn within(&self) -> f64 {
        self.peaks().map(|round| round.seconds).sum()
    }

    /// The most of each stretch before the present rise.
    pub(super) fn most(&self) -> Most {
        let mut most = Most::default();
        for round in self.peaks() {
            join(&mut most, &round.most);
        }
        most
    }

    /// The same with what came since it began, where it is no other load.
    pub(super) fn most_until_now(&self) -> Most {
        let mut most = self.most();
        if let Some(now) = self.now.as_ref().filter(|now| now.high <= PEAK) {
            join(&mut most, &now.most);
        }
        most
    }

    pub(super) fn known(&self, worst: f64, fewer: Option<u32>) -> Known {
        Known {
            rises: self.peaks().count(),
            within: self.within(),
            worst,
            fewer,
        }
    }
}

fn join(most: &mut Most, other: &Most) {
    for (most, other) in most.iter_mut().zip(other) {
        *most = most.max(*other);
    }
}

/// The most that a rise brings which is like those that brought `most`.
pub(super) fn alike(most: &Most) -> [f64; STRETCHES.len()] {
    let mean = f64::from(most[STRETCHES.len() - 1]) / LONGEST;
    let mut alike = most.map(f64::from);
    for (records, stretch) in alike.iter_mut().zip(STRETCHES) {
        let usual = mean * stretch;
        *records = MEAN * usual + LIKE * (*records - usual).max(0.0);
    }
    alike
}

/// The most records within `stretch` seconds.
fn within(most: &[f64], stretch: f64) -> f64 {
    let place = STRETCHES.partition_point(|&known| known < stretch);
    let record = |place: usize| most[place];
    match place {
        // They may have come at once.
        0 => record(0),
        _ if place < STRETCHES.len() => {
            let (before, after) = (STRETCHES[place - 1], STRETCHES[place]);
            let share = (stretch - before) / (after - before);
            record(place - 1) + share * (record(place) - record(place - 1))
        }
        _ => record(place - 1) * stretch / LONGEST,
    }
}

/// Takes the sample's arrivals in.
pub(super) fn observe(state: &mut State, reading: &Reading<'_>) {
    if !reading.new || reading.elapsed <= 0.0 {
        return;
    }
    let size = reading.sample.current;
    let rises = &mut state.rises;
    if !reading.complete() || size == 0 {
        // What is unknown may have risen.
        rises.now = None;
        rises.high = false;
        rises.size = size;
        return;
    }
    let look = reading.elapsed.max(STRETCHES[0]);
    let (Some(newest), Some(usual)) = (
        state.arrivals.rate(look, look),
        state.arrivals.rate(LONGEST, SHORTEST),
    ) else {
        return;
    };
    let noise = NOISE * (usual / look).sqrt();
    let merged = rises
        .now
        .as_ref()
        .is_some_and(|now| seconds(now.since, reading.at) < SHORTEST);
    if rises.high {
        rises.high = newest >= ENDS * usual;
    } else if newest > BEGINS * usual + noise {
        match merged {
            true => rises.high = true,
            false => rises.next(reading.at),
        }
    }
    let changed = rises.size != size && rises.size > 0;
    let raised = Some(rises.size).filter(|&before| size > before && before > 0);
    rises.size = size;
    let overdue = rises
        .now
        .as_ref()
        .is_some_and(|now| seconds(now.since, reading.at) > APART);
    if overdue {
        rises.forget();
    }
    let Some(now) = &mut rises.now else {
        return;
    };
    now.seconds += reading.elapsed;
    now.high += if rises.high { reading.elapsed } else { 0.0 };
    now.pod_seconds += f64::from(size) * reading.elapsed;
    now.least_pods = now.least_pods.min(size);
    now.changes += u32::from(changed);
    now.raised = now.raised.or(raised);
    if now.high > PEAK {
        rises.other = Some(reading.at);
    }
    let other = rises.other;
    let own = |stretch: f64| other.is_none_or(|other| seconds(other, reading.at) >= stretch);
    for (most, stretch) in now.most.iter_mut().zip(STRETCHES) {
        if !own(stretch) {
            break;
        }
        *most = most.max(state.arrivals.within(stretch) as f32);
    }
}

/// Records that may still come within each stretch if the present rise is like those that brought `most`; none if it is not.
pub(super) fn to_come(state: &State, most: &Most, at: Timestamp) -> Option<[f64; STRETCHES.len()]> {
    let other = state.rises.other.map(|other| seconds(other, at));
    let own = other.unwrap_or(f64::INFINITY);
    if own <= 0.0 {
        return None;
    }
    let most = alike(most);
    let come = STRETCHES.map(|stretch| state.arrivals.within(stretch));
    let mut left = [0.0; STRETCHES.len()];
    for (left, ahead) in left.iter_mut().zip(STRETCHES) {
        *left = within(&most, ahead);
        for (come, behind) in come
            .iter()
            .zip(STRETCHES)
            .filter(|(_, behind)| *behind <= own)
        {
            let may = within(&most, behind + ahead) - come;
            *left = left.min(may + NOISE * come.sqrt());
        }
        if *left < 0.0 {
            return None;
        }
    }
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two hundred at once, and ten a second.
    fn most() -> Most {
        STRETCHES.map(|stretch| (200.0 + 10.0 * stretch) as f32)
    }

    #[test]
    fn the_most_within_any_stretch_is_read_between_those_that_are_kept() {
        let most = most().map(f64::from);
        for (stretch, records) in [(1.0, 250.0), (5.0, 250.0), (25.0, 450.0), (75.0, 950.0)] {
            assert_eq!(within(&most, stretch), records, "{stretch} s");
        }
        // Beyond the longest the mean goes on.
        assert_eq!(within(&most, 600.0), 2.0 * 3200.0);
    }

    #[test]
    fn rises_come_again_and_again_until_the_next_is_overdue() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let mut rises = Rises::default();
        for rise in 0..5 {
            assert!(!rises.recur(at(300 * rise + 1)) || rise > 3, "{rises:?}");
            rises.next(at(300 * rise));
            if let Some(now) = &mut rises.now {
                now.seconds = 300.0;
                now.most = most();
            }
        }
        assert!(rises.recur(at(1300)), "{rises:?}");
        assert!(!rises.recur(at(1200 + 601)), "{rises:?}");
        // One in five that lasts is another load, and changes nothing; one in two does.
        rises.rounds[0].high = 200.0;
        assert!(rises.recur(at(1300)), "{rises:?}");
        rises.rounds[1].high = 200.0;
        assert!(!rises.recur(at(1300)), "{rises:?}");
    }
}
