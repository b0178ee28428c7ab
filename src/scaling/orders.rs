//! Sizes ordered: whether what was ordered is there yet, and how long that takes.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use super::Policy;
use super::flow::seconds;
use super::reading::Reading;
use super::starts;
use super::state::State;

/// The first guesses, seconds, for fleets that were never seen to start; shares of the promise
/// where that is less, since a guess should not order pods by itself.
const START_UP: f64 = 30.0;
const REBALANCE: f64 = 5.0;
const SHARE_OF_START_UP: f64 = 0.5;
const SHARE_OF_REBALANCE: f64 = 0.125;
/// Observations that are remembered.
const REMEMBERED: usize = 20;
const REMEMBERED_PAUSES: usize = 100;
/// Longer is a failure to start, not a start, seconds.
pub(super) const NEVER: f64 = 600.0;
/// Pods that take so many times as long as others are late, if it is so many seconds at least.
pub(super) const LATE: f64 = 3.0;
const AT_LEAST: f64 = 120.0;
/// An order of which not one pod has come for so many seconds brings none.
const NONE_CAME: f64 = 300.0;
/// By so many seconds the time of somebody else's order may be wrong.
pub(super) const OTHERS_ORDER: f64 = 2.0;
/// A group settles within this, seconds.
const SETTLES: f64 = 20.0;

/// Sizes ordered, and how long pods take.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Orders {
    /// The size that the Deployment had when it was last looked at.
    size: Option<u32>,
    /// Pods that were ready then.
    ready: u32,
    /// When that last changed.
    changed: Option<Timestamp>,
    /// A raise whose pods are awaited.
    raise: Option<Raise>,
    /// Seconds from order to ready.
    start_ups: Seen,
    /// The same by the pods' own times, for as long as no raise has shown it.
    told: Option<f64>,
    /// When something other than their start was last seen to keep pods from being ready.
    held_up: Option<Timestamp>,
    /// Seconds from ready to the last new pod's first report.
    rebalances: Seen,
    /// Seconds for which partitions that changed hands were left alone.
    pauses: Seen,
    /// When a roll-out was last seen.
    rolled: Option<Timestamp>,
    /// When a lack of pods was last seen.
    lacked: Option<Timestamp>,
    /// Since when fewer pods are ready than ordered.
    lacking: Option<Timestamp>,
    /// Pods that were given up: they were awaited for longer than pods take.
    absent: u32,
    /// Seconds that a rebalance was last told to take.
    pub(super) told_rebalance: Option<f64>,
    /// The last raise, whose pods may never come.
    last_raise: Option<LastRaise>,
}

/// What came of a raise.
#[derive(Clone, Copy, Debug, PartialEq)]
struct LastRaise {
    /// When it was seen.
    at: Timestamp,
    /// Pods that were ready when it was ordered.
    ready: u32,
    /// Seconds after which the latest of its pods became ready; none while none has.
    came: Option<f64>,
    /// All its pods were given up, so that more orders would bring no more: there is no room for them, say.
    in_vain: bool,
}

/// A raise whose pods are awaited.
#[derive(Clone, Debug, PartialEq)]
struct Raise {
    /// The size ordered.
    to: u32,
    /// When.
    at: Timestamp,
    /// When all were ready.
    ready: Option<Timestamp>,
}

impl Orders {
    pub(super) fn resume(start_up: Option<Duration>) -> Self {
        Self {
            start_ups: start_up
                .map(|start_up| start_up.as_secs_f64())
                .filter(|seconds| *seconds > 0.0 && *seconds < NEVER)
                .map_or_else(Seen::default, Seen::once),
            ..Self::default()
        }
    }

    /// Seconds from ordering a pod to its being ready, as it was seen.
    pub(super) fn learned_start_up(&self) -> Option<f64> {
        self.start_ups.high.or(self.told)
    }

    /// The same of every second raise: what is told of it, where plans reckon with worse.
    pub(super) fn usual_start_up(&self) -> Option<f64> {
        self.start_ups.middle.or(self.told)
    }

    /// Seconds from ready to working, as it was seen.
    pub(super) fn learned_rebalance(&self) -> Option<f64> {
        // What partitions waited is mixed with what their pods had to do first, so the middle says
        // more.
        let pause = self.pauses.middle.filter(|_| self.pauses.all.len() >= 5);
        match (self.rebalances.high, pause) {
            (Some(reported), Some(pause)) => Some(reported.max(pause)),
            (reported, pause) => reported.or(pause),
        }
    }

    /// Takes in for how long partitions that changed hands were left alone.
    pub(super) fn watch_pauses(&mut self, pauses: Vec<f64>) {
        for pause in pauses.into_iter().filter(|pause| *pause < NEVER) {
            self.pauses.remember(pause, REMEMBERED_PAUSES);
        }
    }

    /// Seconds from ordering a pod to its being ready, to plan with.
    pub(super) fn start_up(&self, policy: &Policy) -> f64 {
        self.learned_start_up()
            .unwrap_or_else(|| START_UP.min(SHARE_OF_START_UP * policy.max_delay.as_secs_f64()))
    }

    /// Seconds from ready to working, to plan with.
    pub(super) fn rebalance(&self, policy: &Policy) -> f64 {
        self.learned_rebalance()
            .unwrap_or_else(|| REBALANCE.min(SHARE_OF_REBALANCE * policy.max_delay.as_secs_f64()))
    }

    /// Ordered pods are awaited, and there is reason to believe that they come. Pods that take
    /// three times as long as ever, and two minutes at least, are given up: an image that cannot
    /// be pulled must not hold a fleet at its size for ever. A change of size makes nobody hope for them again.
    pub(super) fn awaiting(&self, reading: &Reading<'_>, policy: &Policy) -> bool {
        let sample = reading.sample;
        if sample.current.saturating_sub(sample.ready) <= self.absent {
            return false;
        }
        let patience = (LATE * self.start_up(policy)).max(AT_LEAST);
        self.lacking
            .is_some_and(|since| seconds(since, reading.now) < patience)
    }

    /// What is not there yet will not come: pods of the same order have, long ago, or none has in all that time.
    fn given_up_at(&self, reading: &Reading<'_>, policy: &Policy) -> bool {
        let patience = match &self.last_raise {
            Some(raise) => raise.came.map_or(NONE_CAME, |came| LATE * came),
            None => LATE * self.start_up(policy),
        };
        let patience = patience.max(LATE * self.start_up(policy)).max(AT_LEAST);
        self.lacking
            .is_some_and(|since| seconds(since, reading.now) >= patience)
    }

    /// Pods that were ordered and that no plan reckons with any more; none where the last raise brought nobody, since
    /// another would bring no more.
    pub(super) fn absent(&self) -> u32 {
        match self.last_raise {
            Some(raise) if raise.in_vain => 0,
            _ => self.absent,
        }
    }

    /// As [`Self::absent`], but in any case.
    pub(super) fn given_up(&self) -> u32 {
        self.absent
    }

    /// The group has had its time to share partitions out since the last change.
    pub(super) fn settled(&self, reading: &Reading<'_>, policy: &Policy) -> bool {
        self.settles_in(reading, policy) <= 0.0
    }

    /// Seconds until it has; zero or less where it has.
    pub(super) fn settles_in(&self, reading: &Reading<'_>, policy: &Policy) -> f64 {
        // Pods that are given up settle nothing by still being absent.
        let came = self.lacked.filter(|_| self.lacking.is_none());
        let last = [self.changed, self.rolled, came]
            .into_iter()
            .flatten()
            .max();
        let rebalance = self.rebalance(policy);
        last.map_or(0.0, |at| rebalance - seconds(at, reading.now))
    }

    /// Seconds since the size last changed.
    pub(super) fn since_change(&self, reading: &Reading<'_>) -> f64 {
        self.changed
            .map_or(f64::INFINITY, |at| seconds(at, reading.now))
    }

    /// Seconds until pods that are ordered and not there yet are expected to work; the shortest
    /// step where they are late.
    pub(super) fn awaited_for(&self, reading: &Reading<'_>, policy: &Policy) -> f64 {
        let ordered = self
            .raise
            .as_ref()
            .map_or(0.0, |raise| seconds(raise.at, reading.now));
        let left = self.start_up(policy) + self.rebalance(policy) - ordered;
        left.max(self.rebalance(policy)).max(1.0)
    }

    /// The size has changed since the sample before.
    pub(super) fn resized(&self, reading: &Reading<'_>) -> bool {
        reading.new && self.changed == Some(reading.at)
    }

    /// Seconds for which everything ordered has been there.
    pub(super) fn steady_for(&self, reading: &Reading<'_>) -> f64 {
        [self.changed, self.rolled, self.lacked]
            .into_iter()
            .flatten()
            .map(|at| seconds(at, reading.at))
            .fold(f64::INFINITY, f64::min)
    }
}

/// Takes size and ready pods in.
pub(super) fn observe(policy: &Policy, state: &mut State, reading: &Reading<'_>) {
    let sample = reading.sample;
    let (current, ready) = (sample.current, sample.ready);
    let orders = &mut state.orders;
    let at = reading.at;

    if let Some(size) = orders.size.filter(|&size| size != current) {
        orders.changed = Some(at);
        if current > size {
            orders.last_raise = Some(LastRaise {
                at,
                ready: orders.ready,
                came: None,
                in_vain: false,
            });
        }
        // The order went out between two samples, right after the first if it was ours. When somebody else's did only
        // its pods can tell, and an idle fleet is seen once a minute.
        let seen = state.seen.map_or(at, |seen| seen.min(at));
        let known = state.wanted == Some(current) || seconds(seen, at) <= OTHERS_ORDER;
        let ordered = match known {
            true => Some(seen),
            false => starts::first_made(&sample.starts, seen),
        };
        orders.raise = ordered.filter(|_| current > size).map(|ordered| Raise {
            to: current,
            at: ordered.min(at),
            ready: None,
        });
    }
    orders.size = Some(current);
    if sample.held_up {
        orders.held_up = Some(at);
    }
    if orders.start_ups.all.is_empty() {
        orders.told = starts::told(&sample.starts, orders.held_up).or(orders.told);
    }
    if let Some(raise) = orders.last_raise.as_mut().filter(|_| ready > orders.ready) {
        raise.came = Some(seconds(raise.at, at));
    }
    orders.ready = ready;

    let lacking = ready < current;
    orders.lacking = match orders.lacking {
        _ if !lacking => None,
        // A new order starts the patience anew.
        Some(since) if orders.changed.is_none_or(|changed| changed <= since) => Some(since),
        _ => Some(at),
    };
    if lacking {
        orders.lacked = Some(at);
    }
    let missing = current.saturating_sub(ready);
    // Pods that were given up before a new order are still not there.
    orders.absent = orders.absent.min(missing);
    if lacking && !sample.rolling && orders.given_up_at(reading, policy) {
        orders.absent = missing;
        if let Some(raise) = &mut orders.last_raise {
            raise.in_vain = ready <= raise.ready;
        }
    }
    if !lacking {
        orders.last_raise = None;
    }
    if sample.rolling {
        orders.rolled = Some(at);
    }

    let Some(raise) = &mut orders.raise else {
        return;
    };
    let is_no_start = sample.held_up && raise.ready.is_none();
    if sample.rolling || is_no_start || seconds(raise.at, at) > NEVER {
        orders.raise = None;
        return;
    }
    if raise.ready.is_none() && ready >= raise.to {
        // They may have been for as long as nobody looked.
        let there = starts::all_ready(&sample.starts, raise.at).map_or(at, |there| there.min(at));
        raise.ready = Some(there);
        let took = seconds(raise.at, there);
        orders.start_ups.remember(took, REMEMBERED);
    }
    let Some(ready_at) = raise.ready.filter(|&ready_at| ready_at < at) else {
        return;
    };
    let took = seconds(ready_at, at);
    let owners: BTreeSet<&str> = reading
        .known
        .iter()
        .filter_map(|known| known.sample.pod.as_deref())
        .collect();
    let expected = raise.to.min(reading.partitions()) as usize;
    if owners.len() == expected && reading.backlog() > 0.0 {
        orders.rebalances.remember(took, REMEMBERED);
        orders.raise = None;
    } else if took > SETTLES {
        orders.raise = None;
    }
}

/// Times that were observed, in seconds, and what they come to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    all: VecDeque<f64>,
    middle: Option<f64>,
    /// The 90th percentile: a plan that holds only on average breaks every second promise.
    high: Option<f64>,
}

impl Seen {
    fn once(seconds: f64) -> Self {
        let mut seen = Self::default();
        seen.remember(seconds, 1);
        seen
    }

    fn remember(&mut self, seconds: f64, most: usize) {
        self.all.push_back(seconds);
        while self.all.len() > most {
            self.all.pop_front();
        }
        let mut sorted: Vec<f64> = self.all.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
            sorted.get(place).copied()
        };
        (self.middle, self.high) = (at(0.5), at(0.9));
    }
}
