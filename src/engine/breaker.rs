//! Stops dead-lettering when too much of it would happen: a handler that is broken for everybody
//! would empty a topic into its dead-letter topic within minutes.
//!
//! Counts what becomes of the pod's records in a sliding window, and in the worst stretch up to now; to that
//! one, while it lasts, is added what the other pods of the group report of theirs. Open, nothing is dead-lettered: records are
//! tried one at a time, with growing waits after each failure, until some in a row went well.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::Engine;
use super::effect::Effect;
use super::event::Failure;
use super::outcome::in_few_words;
use super::slab::Handle;
use super::stretch::Stretch;
use crate::report::{Outcomes, Report};

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Of so many records in a hundred, or more.
    pub percent: u32,
    /// Fewer records than this say nothing.
    pub min_records: u32,
    /// Records of this time count.
    pub window: Duration,
}

/// What a window is counted by.
const SLICES: u32 = 10;
/// So many records in a row must go well: with half of them broken, one says little.
const CONVINCED_BY: u32 = 5;
/// Others' records only count for a pod that has given up one of so many of the least number by itself, one after the
/// other: or the one pod of a fleet that is broken would stop all the others at each of their failures.
const OWN_SHARE: u32 = 10;
/// What other pods reported counts for so long; it is asked for again every few seconds.
const HEARD_LATELY: Duration = Duration::from_secs(30);

/// The breaker and what it has seen.
#[derive(Debug)]
pub(super) struct Fuse {
    breaker: Breaker,
    /// Slices of the window, the oldest first, with the time of their beginning.
    slices: VecDeque<Slice>,
    stretch: Stretch,
    others: Option<Others>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Slice {
    since: Duration,
    good: u32,
    bad: u32,
}

/// What all other pods said together.
#[derive(Debug)]
struct Others {
    bad: u32,
    of: u32,
    heard: Duration,
}

/// Nothing is dead-lettered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    /// Records that would have been dead-lettered when it opened.
    pub bad: u32,
    /// Of so many.
    pub of: u32,
    /// What the last of them ended with, in a few words.
    pub error: String,
    /// Those of the two that were the pod's own.
    own: (u32, u32),
    /// Deliveries before this one say nothing.
    since_delivery: u64,
    well_in_a_row: u32,
    failures: u32,
}

impl Fuse {
    pub(super) fn new(breaker: Breaker) -> Self {
        Self {
            breaker,
            slices: VecDeque::new(),
            stretch: Stretch::default(),
            others: None,
            open: None,
        }
    }

    pub(super) fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    pub(super) fn window(&self) -> Duration {
        self.breaker.window
    }

    /// Records that were given up, and all, of this pod: of late, or when it opened.
    pub(super) fn own(&self) -> (u32, u32) {
        let lately = (self.stretch.bad, self.stretch.of);
        self.open.as_ref().map_or(lately, |open| open.own)
    }

    /// Whether it matters what the other pods see.
    pub(super) fn asks_others(&self) -> bool {
        self.open.is_none() && self.stretch.bad > 0
    }

    /// All other pods together gave up `bad` records of `of`.
    pub(super) fn others_are(&mut self, (bad, of): (u32, u32), now: Duration) {
        self.others = Some(Others {
            bad,
            of,
            heard: now,
        });
    }

    /// A record went well, by its delivery number `delivery`. True if that closes the breaker.
    pub(super) fn went_well(&mut self, delivery: u64, now: Duration) -> bool {
        let Some(open) = &mut self.open else {
            self.slice(now).good += 1;
            self.lengthen(false, now);
            return false;
        };
        if delivery <= open.since_delivery {
            return false;
        }
        open.failures = 0;
        open.well_in_a_row += 1;
        let convinced = open.well_in_a_row >= CONVINCED_BY;
        if convinced {
            self.open = None;
        }
        convinced
    }

    /// An attempt failed. How many probes in a row have, where it was one.
    pub(super) fn failed(&mut self, delivery: u64) -> Option<u32> {
        let open = self.open.as_mut()?;
        if delivery <= open.since_delivery {
            return None;
        }
        open.well_in_a_row = 0;
        open.failures = open.failures.saturating_add(1);
        Some(open.failures)
    }

    /// A record would be dead-lettered. True if it must not be, because the breaker is open or just
    /// opened; `started` is the number of the last delivery.
    pub(super) fn given_up(&mut self, error: &str, started: u64, now: Duration) -> bool {
        if self.open.is_some() {
            return true;
        }
        self.slice(now).bad += 1;
        self.lengthen(true, now);
        let Some((bad, of)) = self.too_many(now) else {
            return false;
        };
        let own = self.own();
        self.slices.clear();
        self.stretch = Stretch::default();
        self.others = None;
        self.open = Some(Open {
            bad,
            of,
            error: error.to_owned(),
            own,
            since_delivery: started,
            well_in_a_row: 0,
            failures: 0,
        });
        true
    }

    fn lengthen(&mut self, is_bad: bool, now: Duration) {
        self.stretch.count(is_bad, &self.breaker, now);
        if self.stretch.bad > 0 {
            let counts = self.counts(now);
            self.stretch.shorten(counts, &self.breaker, now);
        }
    }

    /// Records that were given up, and all, where that is too many: with the other pods', of late, or in the window.
    fn too_many(&self, now: Duration) -> Option<(u32, u32)> {
        let (own, least) = (self.stretch, self.breaker.min_records);
        let lately = |others: &&Others| {
            let heard = now.saturating_sub(others.heard) <= HEARD_LATELY;
            heard && own.of >= (least / OWN_SHARE).max(1)
        };
        let others = self.others.as_ref().filter(lately);
        let all = others.map(|others| own.and((others.bad, others.of)));
        let mut stretches = [all, Some(own)].into_iter().flatten();
        let stretch = stretches.find(|stretch| stretch.is_too_much(&self.breaker));
        let (bad, of) = self.counts(now);
        let enough = of >= least.max(1);
        let in_window =
            enough && u64::from(bad) * 100 >= u64::from(self.breaker.percent) * u64::from(of);
        stretch
            .map(|stretch| (stretch.bad, stretch.of))
            .or(in_window.then_some((bad, of)))
    }

    /// Records of the window that were given up, and all.
    fn counts(&self, now: Duration) -> (u32, u32) {
        let begin = now.saturating_sub(self.breaker.window);
        let within = self.slices.iter().filter(|slice| slice.since >= begin);
        within.fold((0, 0), |(bad, of): (u32, u32), slice| {
            let both = slice.good.saturating_add(slice.bad);
            (bad.saturating_add(slice.bad), of.saturating_add(both))
        })
    }

    /// The slice of the window that `now` is in.
    fn slice(&mut self, now: Duration) -> &mut Slice {
        let length = self.breaker.window / SLICES;
        let begin = now.saturating_sub(self.breaker.window);
        while self.slices.front().is_some_and(|slice| slice.since < begin) {
            self.slices.pop_front();
        }
        if self
            .slices
            .back()
            .is_none_or(|slice| now >= slice.since + length)
        {
            self.slices.push_back(Slice {
                since: now,
                good: 0,
                bad: 0,
            });
        }
        let last = self.slices.len() - 1;
        &mut self.slices[last]
    }
}

impl<P> Engine<P> {
    /// The handler took a record.
    pub(super) fn went_well(&mut self, handle: Handle, effects: &mut Vec<Effect<P>>) {
        let Some(fuse) = &mut self.fuse else {
            return self.throttle.went_well();
        };
        let was_open = fuse.open().is_some();
        let closes = fuse.went_well(self.records[handle].delivery, self.now);
        if !was_open {
            self.throttle.went_well();
        } else if closes {
            self.throttle.went_well();
            effects.push(Effect::BreakerClosed);
            self.breaker_changed();
        }
    }

    /// The partition's last owner had finished a record: it speaks for the handler, or a pod that comes to what waits
    /// behind a bad key would see nothing but that key.
    pub(super) fn went_well_before(&mut self) {
        let now = self.now;
        if let Some(fuse) = self.fuse.as_mut().filter(|fuse| fuse.open().is_none()) {
            fuse.went_well(0, now);
        }
    }

    /// While nothing is dead-lettered, the next record waits after one that failed.
    pub(super) fn probe_failed(&mut self, handle: Handle) {
        let fuse = self.fuse.as_mut();
        let failures = fuse.and_then(|fuse| fuse.failed(self.records[handle].delivery));
        if let Some(failures) = failures {
            let wait = self.growing(handle, failures);
            self.throttle.misconfigured(wait, self.now);
        }
    }

    /// A record that would be dead-lettered must not be: too many are.
    pub(super) fn is_held_back(&mut self, failure: &Failure, effects: &mut Vec<Effect<P>>) -> bool {
        let (started, now) = (self.throttle.started(), self.now);
        let Some(fuse) = &mut self.fuse else {
            return false;
        };
        let was_open = fuse.open().is_some();
        let held_back = fuse.given_up(&in_few_words(failure), started, now);
        if !was_open && let Some(open) = fuse.open() {
            effects.push(Effect::BreakerOpened {
                bad: open.bad,
                of: open.of,
                failure: failure.clone(),
            });
            let wait = self.settings.initial_backoff;
            self.throttle.misconfigured(wait, now);
            self.breaker_changed();
        }
        held_back
    }

    /// What the other pods saw of the handler lately, the latest that each says.
    pub(super) fn others_report(&mut self, reports: &[Report]) {
        let Some(fuse) = &mut self.fuse else {
            return;
        };
        let wall = (self.settings.began + self.now).as_secs();
        let mut latest: HashMap<&str, Outcomes> = HashMap::new();
        for Report { pod, outcomes, .. } in reports {
            let Some(outcomes) = *outcomes else {
                continue;
            };
            // A clock that is ahead of ours is as good as any.
            let is_recent = wall.saturating_sub(outcomes.at) <= fuse.window().as_secs();
            if *pod == self.settings.pod || !is_recent {
                continue;
            }
            let known = latest.entry(pod).or_insert(outcomes);
            if known.at < outcomes.at {
                *known = outcomes;
            }
        }
        let sum = latest
            .values()
            .fold((0, 0), |(given_up, of): (u32, u32), one| {
                (
                    given_up.saturating_add(one.given_up),
                    of.saturating_add(one.of),
                )
            });
        fuse.others_are(sum, self.now);
    }

    /// All reports say it, at once.
    fn breaker_changed(&mut self) {
        let lanes: Vec<_> = self.lanes.iter().flatten().map(|lane| lane.id).collect();
        lanes.into_iter().for_each(|lane| self.changed(lane));
        self.commits.hurry();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn fuse(min_records: u32) -> Fuse {
        Fuse::new(Breaker {
            percent: 50,
            min_records,
            window: Duration::from_secs(60),
        })
    }

    #[test]
    fn it_opens_at_the_share_and_not_before_there_are_enough_records() {
        let mut fuse = fuse(10);
        for n in 0..9 {
            assert!(!fuse.given_up("e", n, NOW));
        }
        assert!(fuse.given_up("e", 9, NOW));
        assert_eq!(fuse.open().map(|open| (open.bad, open.of)), Some((10, 10)));

        let mut fuse = self::fuse(10);
        fuse.went_well(0, NOW);
        for n in 0..10 {
            fuse.went_well(n, NOW);
            assert!(!fuse.given_up("e", n, NOW), "less than half");
        }
        assert!(fuse.given_up("e", 21, NOW));
        assert_eq!(fuse.open().map(|open| (open.bad, open.of)), Some((11, 22)));
    }

    #[test]
    fn what_other_pods_saw_counts_as_well_for_a_while() {
        let mut fuse = fuse(10);
        assert!(!fuse.asks_others(), "nothing was given up");
        assert!(!fuse.given_up("e", 0, NOW));
        assert!(fuse.asks_others());
        fuse.others_are((8, 8), NOW);
        assert!(fuse.given_up("e", 1, NOW));
        assert_eq!(fuse.open().map(|open| (open.bad, open.of)), Some((10, 10)));
        assert_eq!(fuse.own(), (2, 2), "others add theirs themselves");
        assert!(!fuse.asks_others());

        let mut fuse = self::fuse(10);
        fuse.others_are((8, 8), NOW);
        let later = NOW + Duration::from_secs(31);
        assert!(!fuse.given_up("e", 0, later));
        assert!(!fuse.given_up("e", 1, later));
    }

    #[test]
    fn a_few_records_of_a_group_that_is_well_are_given_up() {
        let mut fuse = fuse(10);
        fuse.others_are((1, 1_000), NOW);
        for n in 0..9 {
            assert!(!fuse.given_up("e", n, NOW));
        }
        assert!(
            fuse.given_up("e", 9, NOW),
            "its own handler may be the only broken one"
        );
        assert_eq!(fuse.open().map(|open| (open.bad, open.of)), Some((10, 10)));
    }

    #[test]
    fn a_handler_that_breaks_after_hours_of_going_well_is_noticed_by_its_latest_records() {
        let mut fuse = fuse(50);
        for n in 0..6_000 {
            fuse.went_well(n, NOW);
        }
        assert_eq!(fuse.own(), (0, 0), "nobody needs to hear of it");
        for n in 0..49 {
            assert!(!fuse.given_up("e", n, NOW));
        }
        assert!(fuse.given_up("e", 49, NOW));
        assert_eq!(fuse.open().map(|open| (open.bad, open.of)), Some((50, 50)));
    }

    #[test]
    fn a_pod_that_is_well_does_not_stop_because_another_is_broken() {
        let mut fuse = fuse(50);
        fuse.others_are((50, 50), NOW);
        for n in 0..10_000 {
            assert!(!fuse.given_up("e", n, NOW), "one of four fails");
            for _ in 0..3 {
                fuse.went_well(n, NOW);
            }
        }
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut fuse = fuse(4);
        for seconds in 0..3 {
            assert!(!fuse.given_up("e", 0, NOW + Duration::from_secs(seconds)));
        }
        assert!(!fuse.given_up("e", 0, NOW + Duration::from_secs(70)));
    }

    #[test]
    fn only_probes_in_a_row_close_it() {
        let mut fuse = fuse(1);
        assert!(fuse.given_up("e", 7, NOW));
        for _ in 0..20 {
            assert!(!fuse.went_well(7, NOW), "delivered before it opened");
        }
        for delivery in 8..12 {
            assert!(!fuse.went_well(delivery, NOW));
        }
        assert_eq!(fuse.failed(12), Some(1));
        assert_eq!(fuse.failed(13), Some(2));
        for delivery in 14..18 {
            assert!(!fuse.went_well(delivery, NOW));
        }
        assert!(fuse.went_well(18, NOW));
        assert!(fuse.open().is_none());
    }
}
