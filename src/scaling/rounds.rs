//! Rounds: from one rise to the next, what it brought and what the sizes held in it have cost.
//!
//! What it costs to follow rises, up for each and down after it, is what it did cost: pods, changes of size, and the time
//! over the promise until pods came. It is told by what has arrived, so that it holds for a load that is a little more, or less.

use jiff::Timestamp;

use super::cost::{MOVE, PRICE};
use super::flow::seconds;
use super::rises::{LONGEST, OLD, STRETCHES};

/// A rise that lasts for longer, seconds, is another load and no peak: nobody waits for its end.
pub(super) const PEAK: f64 = LONGEST / 2.0;
/// What the last round has cost counts for so much at least beside those before it.
const NEWEST: f64 = 0.3;

/// The most records within each of the stretches.
pub(super) type Most = [f32; STRETCHES.len()];

/// Which rounds are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounds {
    /// Those of peaks: the rise had passed soon.
    Peaks,
    /// All, however long the rise lasted.
    All,
}

/// From the beginning of a rise to that of the next.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Round {
    pub(super) since: Timestamp,
    pub(super) seconds: f64,
    /// The most records of any stretch that ended in it and does not reach back into another load.
    pub(super) most: Most,
    /// The most records of any stretch that ended in it.
    pub(super) all: Most,
    /// Records that arrived.
    pub(super) records: f64,
    /// What its sizes have cost, pod-seconds.
    pub(super) cost: f64,
    /// The seconds of it in which more came than usual.
    pub(super) high: f64,
    /// The size that was raised first.
    pub(super) raised: Option<u32>,
}

impl Round {
    pub(super) fn begin(since: Timestamp) -> Self {
        Self {
            since,
            seconds: 0.0,
            most: Most::default(),
            all: Most::default(),
            records: 0.0,
            cost: 0.0,
            high: 0.0,
            raised: None,
        }
    }

    pub(super) fn is(&self, which: Rounds) -> bool {
        which == Rounds::All || self.high <= PEAK
    }

    pub(super) fn most(&self, which: Rounds) -> &Most {
        match which {
            Rounds::Peaks => &self.most,
            Rounds::All => &self.all,
        }
    }

    /// The size was changed.
    pub(super) fn changed(&mut self, from: u32, to: u32) {
        self.cost += MOVE;
        if to > from {
            self.raised = self.raised.or(Some(from));
        }
    }

    /// So many seconds went by with so many pods, and so many records; the oldest waited for longer than was promised, or
    /// not.
    pub(super) fn add(&mut self, elapsed: f64, pods: u32, records: f64, late: bool) {
        let late = if late { PRICE } else { 0.0 };
        self.seconds += elapsed;
        self.records += records;
        self.cost += (f64::from(pods) + late) * elapsed;
    }
}

/// What rounds have taught.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lesson {
    /// What it has cost to go up for a rise and down after it, pod-seconds for each record that came; and in how many rounds.
    price: Option<f64>,
    rounds: u32,
    /// A size that was raised in such a round, and when that was over.
    too_small: Option<(u32, Timestamp)>,
}

impl Lesson {
    pub(super) fn learn(&mut self, round: &Round, at: Timestamp) {
        let Some(size) = round.raised else {
            return;
        };
        self.too_small = Some((size.max(self.too_small(at)), at));
        if round.records > 0.0 {
            self.rounds += 1;
            // The first of them may have begun with any size: it counts for no more than those after it.
            let share = NEWEST.max(1.0 / f64::from(self.rounds));
            let price = round.cost / round.records;
            let before = self.price.unwrap_or(price);
            self.price = Some(before + share * (price - before));
        }
    }

    /// A size that had to be raised of late, whatever was reckoned.
    pub(super) fn too_small(&self, at: Timestamp) -> u32 {
        let fresh = |known: &(u32, Timestamp)| seconds(known.1, at) < OLD;
        self.too_small.filter(fresh).map_or(0, |known| known.0)
    }

    /// What a round costs that is followed, pod-seconds; nobody knows where none was.
    pub(super) fn of(&self, round: &Round) -> Option<f64> {
        Some(self.price? * round.records)
    }
}

pub(super) fn join(most: &mut Most, other: &Most) {
    for (most, other) in most.iter_mut().zip(other) {
        *most = most.max(*other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(pods: u32, late: f64) -> Round {
        let mut round = Round::begin(Timestamp::UNIX_EPOCH);
        round.add(100.0 - late, pods, 1000.0, false);
        round.add(late, pods, 0.0, true);
        round.changed(pods, pods + 1);
        round.changed(pods + 1, pods);
        round
    }

    #[test]
    fn what_was_followed_costs_its_pods_its_changes_and_the_time_over_the_promise() {
        let at = Timestamp::UNIX_EPOCH;
        let mut lesson = Lesson::default();
        assert_eq!(lesson.of(&round(3, 0.0)), None);
        lesson.learn(&round(3, 0.0), at);
        assert_eq!(lesson.of(&round(3, 0.0)), Some(300.0 + 2.0 * MOVE));
        let mut late = Lesson::default();
        late.learn(&round(3, 50.0), at);
        let cost = 300.0 + 2.0 * MOVE + 50.0 * PRICE;
        assert_eq!(late.of(&round(3, 0.0)), Some(cost));
        assert_eq!(late.too_small(at), 3);
    }

    #[test]
    fn the_first_round_counts_for_no_more_than_those_after_it() {
        let mut lesson = Lesson::default();
        for pods in [30, 3, 3] {
            lesson.learn(&round(pods, 0.0), Timestamp::UNIX_EPOCH);
        }
        let cost = lesson.of(&round(3, 0.0));
        assert_eq!(cost, Some(1200.0 + 2.0 * MOVE));
    }
}
