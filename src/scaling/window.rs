//! What samples say one after the other: arrivals, their level, surges, and how long records wait.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use super::flow::seconds;
use super::reading::{Known, Reading};
use super::state::State;
use crate::topic::Offset;

/// The window of the arrival rate, seconds.
pub(super) const WINDOW: f64 = 15.0;
/// A rate over a shorter time is spread over this, seconds: the first records say little.
const SHORTEST: f64 = 5.0;
/// Time constant of the level, seconds.
const TAU: f64 = 120.0;
/// Deviations, in spreads, that are no noise if they last one window; twice as many at once.
const Z: f64 = 2.5;
/// Points that a partition's past keeps.
const POINTS: usize = 40;
/// Points of a partition's past are this far apart at least, seconds.
const APART: f64 = 0.5;

/// The arrival rate without its noise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Level {
    /// Records per second.
    pub(super) rate: f64,
    /// Its usual deviation.
    spread: f64,
    /// Since when the rate is off it, and on which side.
    off: Option<(Timestamp, bool)>,
}

/// Arrivals well above the level, from their beginning.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Surge {
    /// The last time before it.
    pub(super) since: Timestamp,
    /// When a step first saw it.
    pub(super) noticed: Timestamp,
    /// The total of arrivals before it.
    total: f64,
}

/// What arrives at a fleet without pods, from its first record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Burst {
    /// When a step first saw it.
    pub(super) noticed: Timestamp,
    /// Records per second at the last look; none at the first, which says nothing of a rate.
    pub(super) rate: Option<f64>,
}

/// A partition's past.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Track {
    /// Time and end offset, both ascending; a stretch without arrivals keeps both its ends.
    ends: VecDeque<(Timestamp, i64)>,
    /// The newest position of the group, if it was known.
    position: i64,
    /// Whether that was a committed one.
    committed: bool,
    /// When the position last moved while it was watched.
    pub(super) moved: Option<Timestamp>,
    /// Seconds between the last two moves while records waited: how often the group commits.
    gap: Option<f64>,
    /// Since when records wait and the position has not moved.
    pub(super) waiting: Option<Timestamp>,
    /// When it was last known.
    seen: Timestamp,
}

/// How long the first unfinished record of a partition has waited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Waited {
    /// So many seconds.
    For(f64),
    /// It arrived before anybody looked: so many seconds at least.
    AtLeast(f64),
}

impl Waited {
    /// The seconds, exact or not.
    pub(super) fn seconds(self) -> f64 {
        match self {
            Self::For(seconds) | Self::AtLeast(seconds) => seconds,
        }
    }
}

/// Takes the sample's offsets in.
pub(super) fn observe(state: &mut State, reading: &Reading<'_>) {
    if !reading.new {
        return;
    }
    let (mut arrived, mut finished) = (0.0, 0.0);
    let mut quiet = reading.complete() && reading.lag() == 0;
    for (&partition, known) in &reading.known {
        match state.tracks.get_mut(partition) {
            Some(track) => {
                // Of a partition that was unknown for a while only the newest stretch counts, or
                // its whole pause would look like a surge.
                let stretch = seconds(track.seen, reading.at);
                let share = if stretch > 0.0 {
                    (reading.elapsed / stretch).min(1.0)
                } else {
                    0.0
                };
                let (more, done) = track.observe(reading.at, known);
                quiet &= more == 0.0;
                finished += done * share;
                // What arrives where nothing moves asks for no pods; it will, as a backlog, once
                // that partition moves again.
                if !reading.stuck.contains(partition) {
                    arrived += more * share;
                }
            }
            None => {
                let track = Track::new(reading.at, known);
                state.tracks.insert(partition.clone(), track);
            }
        }
    }
    state
        .tracks
        .retain(|partition, _| reading.sample.partitions.contains_key(partition));

    state.surplus.watch_idle(quiet, reading.at);
    if reading.known.is_empty() {
        return;
    }
    if arrived > 0.0 {
        state.last_arrival = Some(reading.at);
    }

    let before = state.arrivals.total();
    state.arrivals.add(reading.at, arrived);
    state.progress.add(reading.at, finished);
    watch_surge(state, reading, arrived, before);
    watch_burst(state, reading, arrived);
    if let Some(rate) = state.arrivals.rate(WINDOW, SHORTEST) {
        match &mut state.level {
            Some(level) => level.follow(rate, reading.elapsed, reading.at),
            None => {
                state.level = Some(Level {
                    rate,
                    spread: 0.0,
                    off: None,
                });
            }
        }
    }
}

/// Notices that a surge begins or ends. Its own mean tells its size long before the window does.
fn watch_surge(state: &mut State, reading: &Reading<'_>, arrived: f64, before: f64) {
    if reading.elapsed <= 0.0 {
        return;
    }
    let rate = arrived / reading.elapsed;
    match &state.surge {
        Some(surge) => {
            let mean = surge.rate(before, seconds(surge.since, reading.at) - reading.elapsed);
            let over = seconds(surge.since, reading.at) > 60.0;
            if over || rate < mean.unwrap_or(rate) / 2.0 {
                state.surge = None;
            }
        }
        None => {
            let level = state.level.as_ref().map_or(0.0, |level| level.rate);
            let noise = (level / reading.elapsed).sqrt();
            if arrived > 0.0 && state.level.is_some() && rate > 2.0 * level + 4.0 * noise {
                state.surge = state.seen.map(|seen| Surge {
                    since: seen,
                    noticed: reading.now,
                    total: before,
                });
            }
        }
    }
}

/// Notices that a fleet without pods is woken, and whether more is coming.
fn watch_burst(state: &mut State, reading: &Reading<'_>, arrived: f64) {
    state.burst = match state.burst.take() {
        _ if reading.sample.current > 0 || reading.lag() == 0 || reading.elapsed <= 0.0 => None,
        Some(burst) => Some(Burst {
            rate: Some(arrived / reading.elapsed),
            ..burst
        }),
        None => (arrived > 0.0).then_some(Burst {
            noticed: reading.now,
            rate: None,
        }),
    };
}

impl Surge {
    /// Its mean rate when the total of arrivals is `total` and it is `age` seconds old.
    fn rate(&self, total: f64, age: f64) -> Option<f64> {
        (age > 0.0).then(|| (total - self.total) / age)
    }
}

impl State {
    /// Records per second to plan for, as far as it is known: the level, or a surge's mean once
    /// it is no blip any more.
    pub(super) fn arrival(&self) -> Option<f64> {
        let level = self.level.as_ref().map(|level| level.rate)?;
        let surge = self.surge.as_ref().and_then(|surge| {
            let age = self.surge_age(surge)?;
            (age >= 3.0).then(|| (self.arrivals.total() - surge.total) / age)
        });
        Some(level.max(surge.unwrap_or(0.0)))
    }

    /// Records that will arrive in the next `horizon` seconds: the level goes on, and what has
    /// surged for some time goes on for as long again.
    pub(super) fn arriving(&self, horizon: f64) -> f64 {
        let steady = self.arrival().unwrap_or(0.0) * horizon;
        let surging = self.surge.as_ref().and_then(|surge| {
            let age = self.surge_age(surge)?;
            Some((self.arrivals.total() - surge.total) * (horizon / age).min(1.0))
        });
        steady.max(surging.unwrap_or(0.0))
    }

    /// Seconds between two commits of a partition in which records wait.
    pub(super) fn commit_gap(&self) -> f64 {
        let mut gaps: Vec<f64> = self.tracks.values().filter_map(|track| track.gap).collect();
        gaps.sort_by(f64::total_cmp);
        gaps.get(gaps.len() / 2).copied().unwrap_or(0.0)
    }

    /// Seconds for which nothing has arrived.
    pub(super) fn since_arrival(&self, reading: &Reading<'_>) -> f64 {
        self.last_arrival
            .map_or(0.0, |last| seconds(last, reading.now))
    }

    fn surge_age(&self, surge: &Surge) -> Option<f64> {
        let age = seconds(surge.since, self.arrivals.last()?);
        (age > 0.0).then_some(age)
    }

    /// How long the oldest unfinished record of a known partition has waited; stuck ones count
    /// only `with_stuck`. None where there is nothing to say it by.
    pub(super) fn waited(&self, reading: &Reading<'_>, with_stuck: bool) -> Option<Waited> {
        reading
            .known
            .iter()
            .filter(|(partition, _)| with_stuck || !reading.stuck.contains(*partition))
            .filter_map(|(partition, known)| {
                let track = self.tracks.get(*partition)?;
                Some(track.waited(known.sample.position(), known.lag, reading.now))
            })
            .max_by(|a, b| a.seconds().total_cmp(&b.seconds()))
    }

    /// The oldest unfinished record's wait for people: where the past does not reach far enough,
    /// the backlog at the present rate bounds it.
    pub(super) fn delay(&self, reading: &Reading<'_>) -> Option<Duration> {
        let waited = match self.waited(reading, true)? {
            Waited::For(seconds) => seconds,
            Waited::AtLeast(seconds) => {
                let rate = self.level.as_ref().map_or(0.0, |level| level.rate);
                if rate > 0.0 {
                    seconds.max(reading.lag() as f64 / rate)
                } else if seconds > 0.0 {
                    seconds
                } else {
                    return None;
                }
            }
        };
        Duration::try_from_secs_f64(waited).ok()
    }

    /// The partition with the most arrivals, and its records per second.
    pub(super) fn hottest(&self) -> Option<(&crate::topic::TopicPartition, f64)> {
        self.tracks
            .iter()
            .filter_map(|(partition, track)| Some((partition, track.rate()?)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

impl Level {
    /// Noise must not move it, a change must: it jumps when the rate is off by much, or by less
    /// for a whole window; else it follows slowly. The square root is the noise that any count of
    /// independent arrivals has.
    fn follow(&mut self, rate: f64, elapsed: f64, at: Timestamp) {
        let deviation = (rate - self.rate).abs();
        let noise = self.spread.max((self.rate.max(rate) / WINDOW).sqrt());
        let above = rate > self.rate;
        let lasting = match self.off {
            Some((since, side)) if side == above => seconds(since, at) >= WINDOW,
            _ => false,
        };
        if deviation > 2.0 * Z * noise || (lasting && deviation > Z * noise) {
            self.rate = rate;
            self.off = None;
            return;
        }
        let share = (elapsed / TAU).min(1.0);
        self.rate += share * (rate - self.rate);
        self.spread += share * (deviation - self.spread);
        self.off = match self.off {
            _ if deviation <= Z * noise => None,
            Some((since, side)) if side == above => Some((since, side)),
            _ => Some((at, above)),
        };
    }
}

impl Track {
    fn new(at: Timestamp, known: &Known<'_>) -> Self {
        Self {
            ends: VecDeque::from([(at, known.sample.end.0)]),
            position: known.sample.position().0,
            committed: known.sample.committed.is_some(),
            moved: None,
            gap: None,
            waiting: (known.lag > 0).then_some(at),
            seen: at,
        }
    }

    /// Takes new offsets in; gives the records that arrived and those that were finished.
    fn observe(&mut self, at: Timestamp, known: &Known<'_>) -> (f64, f64) {
        let end = known.sample.end.0;
        let last_end = self.ends.back().map_or(end, |last| last.1);
        if end < last_end {
            // Another topic of the same name: its past is not this one's.
            *self = Self::new(at, known);
            return (0.0, 0.0);
        }
        self.push(at, end);

        let position = known.sample.position().0;
        let committed = known.sample.committed.is_some();
        let moved = position != self.position;
        // A first commit may be a mere start by `startAt`, so it is no progress.
        let finished = if committed && self.committed {
            (position.saturating_sub(self.position)).max(0)
        } else {
            0
        };
        if moved {
            if let Some(before) = self.moved.filter(|_| self.waiting.is_some()) {
                self.gap = Some(seconds(before, at));
            }
            self.moved = Some(at);
        }
        self.waiting = match self.waiting {
            _ if known.lag == 0 => None,
            Some(since) if !moved => Some(since),
            _ => Some(at),
        };
        self.position = position;
        self.committed = committed;
        self.seen = at;
        (end.saturating_sub(last_end) as f64, finished as f64)
    }

    fn push(&mut self, at: Timestamp, end: i64) {
        let len = self.ends.len();
        if len >= 2 {
            let (before, last) = (self.ends[len - 2], self.ends[len - 1]);
            let flat = before.1 == last.1 && last.1 == end;
            let close = seconds(before.0, last.0) < APART && last.1 != end && before.1 != last.1;
            if flat || close {
                self.ends.pop_back();
            }
        }
        self.ends.push_back((at, end));
        if self.ends.len() > POINTS {
            // Thin the older half: far back, a coarse answer is good enough.
            let half = POINTS / 2;
            let mut index = 0;
            self.ends.retain(|_| {
                index += 1;
                index > half || index % 2 == 1
            });
        }
    }

    /// How long the record at `position` has waited: since the end passed it, by interpolation.
    fn waited(&self, position: Offset, lag: u64, now: Timestamp) -> Waited {
        if lag == 0 {
            return Waited::For(0.0);
        }
        let record = position.0;
        let mut later: Option<(Timestamp, i64)> = None;
        for &(at, end) in self.ends.iter().rev() {
            if end <= record {
                // It arrived after `at` and no later than the next point.
                let Some((later_at, later_end)) = later else {
                    return Waited::For(0.0);
                };
                let share = (record - end + 1) as f64 / (later_end - end).max(1) as f64;
                let into = seconds(at, later_at) * share.min(1.0);
                return Waited::For((seconds(at, now) - into).max(0.0));
            }
            later = Some((at, end));
        }
        Waited::AtLeast(self.ends.front().map_or(0.0, |first| seconds(first.0, now)))
    }

    /// Records per second over the last window or what is remembered of it.
    fn rate(&self) -> Option<f64> {
        let &(last_at, last_end) = self.ends.back()?;
        let from = self
            .ends
            .iter()
            .rev()
            .find(|(at, _)| seconds(*at, last_at) >= WINDOW)?;
        Some((last_end - from.1) as f64 / seconds(from.0, last_at))
    }
}
