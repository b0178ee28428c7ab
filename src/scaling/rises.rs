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

use super::Policy;
use super::flow::seconds;
use super::reading::Reading;
use super::rounds::{Lesson, Most, PEAK, Round, Rounds, join};
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
pub(super) const OLD: f64 = 3600.0;
/// Peaks come again and again where of so many rises one at most is no peak.
const RARE: usize = 4;
/// They are over where the next is so many times as late as it ever was.
const OVERDUE: f64 = 2.0;
/// A rise is like those before if it brings so many times as much at most, of what it brings beyond the mean of the longest
/// stretch, and that is so many times what it was.
const LIKE: f64 = 1.15;
const MEAN: f64 = 1.05;

/// Rises that have come and gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rises {
    /// From one rise to the next.
    rounds: VecDeque<Round>,
    /// Since the last one began.
    now: Option<Round>,
    /// It is not over.
    high: bool,
    /// What the rounds of peaks have taught, and what all have.
    of_peaks: Lesson,
    of_all: Lesson,
    /// When what came was last another load, which lasted.
    other: Option<Timestamp>,
    /// The size at the last look.
    size: u32,
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

impl Rises {
    fn next(&mut self, at: Timestamp) {
        self.high = true;
        let Some(round) = self.now.replace(Round::begin(at)) else {
            return;
        };
        if round.seconds > APART {
            self.forget();
            return;
        }
        self.of_all.learn(&round, at);
        if round.is(Rounds::Peaks) {
            self.of_peaks.learn(&round, at);
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
        self.of_peaks = Lesson::default();
        self.of_all = Lesson::default();
    }

    /// Which rises come again and again; none where none do.
    pub(super) fn recur(&self, at: Timestamp) -> Option<Rounds> {
        let longest = self.rounds.iter().map(|round| round.seconds);
        let longest = longest.fold(SHORTEST, f64::max);
        let due = |now: &Round| seconds(now.since, at) < OVERDUE * longest;
        if !self.now.as_ref().is_some_and(due) {
            return None;
        }
        let peaks = self.of(Rounds::Peaks).count();
        let rare = (self.rounds.len() - peaks) * RARE <= self.rounds.len();
        let which = if rare { Rounds::Peaks } else { Rounds::All };
        let enough = self.of(which).count() >= FEW && self.within(which) >= COVERED;
        enough.then_some(which)
    }

    /// What such rounds have taught.
    pub(super) fn lesson(&self, which: Rounds) -> &Lesson {
        match which {
            Rounds::Peaks => &self.of_peaks,
            Rounds::All => &self.of_all,
        }
    }

    /// Such rounds.
    pub(super) fn of(&self, which: Rounds) -> impl Iterator<Item = &Round> {
        self.rounds.iter().filter(move |round| round.is(which))
    }

    /// Seconds that they took.
    pub(super) fn within(&self, which: Rounds) -> f64 {
        self.of(which).map(|round| round.seconds).sum()
    }

    /// The most of each stretch before the present rise.
    pub(super) fn most(&self, which: Rounds) -> Most {
        let mut most = Most::default();
        for round in self.of(which) {
            join(&mut most, round.most(which));
        }
        most
    }

    /// The same with what came since it began, where it is no other load.
    pub(super) fn most_until_now(&self, which: Rounds) -> Most {
        let mut most = self.most(which);
        if let Some(now) = self.now.as_ref().filter(|now| now.is(which)) {
            join(&mut most, now.most(which));
        }
        most
    }

    pub(super) fn known(&self, which: Rounds, worst: f64, fewer: Option<u32>) -> Known {
        Known {
            rises: self.of(which).count(),
            within: self.within(which),
            worst,
            fewer,
        }
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
pub(super) fn observe(policy: &Policy, state: &mut State, reading: &Reading<'_>) {
    if !reading.new || reading.elapsed <= 0.0 {
        return;
    }
    let size = reading.sample.current;
    let promise = policy.max_delay.as_secs_f64();
    let round = state.rises.now.as_ref();
    let waited = round.and_then(|_| state.waited(reading));
    let late = waited.is_some_and(|waited| waited.seconds() > promise);
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
    let before = std::mem::replace(&mut rises.size, size);
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
    let elapsed = reading.elapsed;
    let records = state.arrivals.within(elapsed);
    now.add(elapsed, size, records, late);
    now.high += if rises.high { elapsed } else { 0.0 };
    if before != size && before > 0 {
        now.changed(before, size);
    }
    if now.high > PEAK {
        rises.other = Some(reading.at);
    }
    let other = rises.other;
    let own = |stretch: f64| other.is_none_or(|other| seconds(other, reading.at) >= stretch);
    let come = STRETCHES.map(|stretch| state.arrivals.within(stretch) as f32);
    join(&mut now.all, &come);
    for ((most, come), stretch) in now.most.iter_mut().zip(come).zip(STRETCHES) {
        if !own(stretch) {
            break;
        }
        *most = most.max(come);
    }
}

/// Records that may still come within each stretch if the present rise is like those that brought `most`; none if it is not.
pub(super) fn to_come(
    state: &State,
    which: Rounds,
    most: &Most,
    at: Timestamp,
) -> Option<[f64; STRETCHES.len()]> {
    let other = state.rises.other.filter(|_| which == Rounds::Peaks);
    let other = other.map(|other| seconds(other, at));
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
            let recur = rises.recur(at(300 * rise + 1));
            assert!(recur.is_none() || rise > 3, "{rises:?}");
            rises.next(at(300 * rise));
            if let Some(now) = &mut rises.now {
                now.seconds = 300.0;
                now.most = most();
            }
        }
        assert_eq!(rises.recur(at(1300)), Some(Rounds::Peaks), "{rises:?}");
        assert_eq!(rises.recur(at(1200 + 601)), None, "{rises:?}");
        // One in five that lasts is another load, and changes nothing; with one in two nobody waits for their end.
        rises.rounds[0].high = 200.0;
        assert_eq!(rises.recur(at(1300)), Some(Rounds::Peaks), "{rises:?}");
        rises.rounds[1].high = 200.0;
        assert_eq!(rises.recur(at(1300)), Some(Rounds::All), "{rises:?}");
    }
}
