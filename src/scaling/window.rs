//! What samples say one after the other: arrivals, their level, surges, and how long records wait.

use std::time::Duration;

use jiff::Timestamp;

use super::flow::{Flow, seconds};
use super::level::Level;
use super::reading::Reading;
use super::state::State;
use super::track::{Track, Waited};
use crate::topic::TopicPartition;

/// A surge brings so many times the level at least, and so many records more than it; fewer are
/// noise.
const SURGE: f64 = 2.0;
const SURGE_RECORDS: f64 = 10.0;
/// A surge that a later sample has not shown too may have been a batch, seconds; and it is a blip until it
/// is so old.
const CONFIRMED: f64 = 1.0;
const BLIP: f64 = 3.0;
/// What arrives where nothing moves is told as its rate over so many seconds.
const ASIDE: f64 = 30.0;
/// What wakes a fleet still grows while it comes at this share of its mean rate at least.
const STILL: f64 = 0.75;

/// Arrivals well above the level, from their beginning.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Surge {
    /// The last time before it.
    pub(super) since: Timestamp,
    /// When a step first saw it.
    pub(super) noticed: Timestamp,
    /// The total of arrivals before it.
    total: f64,
    /// When the sample was read that showed it first, and the total by then: a surge begins somewhere
    /// in between, so its rate is known only from then on.
    seen: Timestamp,
    first: f64,
}

/// What arrives at a fleet without pods, from its first record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Burst {
    /// When a step first saw it.
    pub(super) noticed: Timestamp,
    /// Records per second, on the whole or at the last look, whichever is more; none at the first,
    /// which says nothing of a rate.
    pub(super) rate: Option<f64>,
    /// The last look that showed it to come as fast as before, or faster.
    grew: Timestamp,
    /// What has arrived since it was noticed.
    arrived: f64,
}

/// Takes the sample's offsets in.
pub(super) fn observe(state: &mut State, reading: &Reading<'_>) {
    if !reading.new {
        return;
    }
    state.likely.observe(&state.tracks, reading);
    // Nothing is counted while nothing is known.
    let last = state.arrivals.last();
    let elapsed = last.map_or(reading.elapsed, |last| seconds(last, reading.at));
    let (mut arrived, mut aside, mut finished) = (0.0, 0.0, 0.0);
    let (mut pauses, mut new) = (Vec::new(), Vec::new());
    let mut quiet = reading.complete() && reading.lag() == 0;
    for known in &reading.known {
        match state.tracks.get_mut(known.partition) {
            Some(track) => {
                // Of a partition that was unknown for a while only the newest stretch counts: what likely came
                // before is counted already.
                let stretch = seconds(track.seen, reading.at);
                let share = if stretch > 0.0 {
                    (elapsed / stretch).min(1.0)
                } else {
                    0.0
                };
                let news = track.observe(reading.at, known);
                quiet &= news.arrived == 0.0;
                finished += news.finished * share;
                pauses.extend(news.pause);
                // What arrives where nothing moves asks for no pods; it will, as a backlog, once
                // that partition moves again.
                if known.stuck {
                    aside += news.arrived * share;
                } else {
                    arrived += news.arrived * share;
                }
            }
            None => new.push((known.partition.clone(), Track::new(reading.at, known))),
        }
    }
    if !new.is_empty() {
        state.tracks.extend(new);
    }
    if state.tracks.len() > reading.known.len() {
        state
            .tracks
            .retain(|partition, _| reading.sample.partitions.contains_key(partition));
    }
    state.commit_gap = commit_gap(state);

    // The first commit comes when the first record is done, and that takes as long as it takes.
    let service = state.service_time();
    let pauses = pauses.into_iter().map(|pause| (pause - service).max(0.0));
    state.orders.watch_pauses(pauses.collect());
    state.in_hand.add(
        reading,
        finished * (reading.elapsed / elapsed.max(1e-9)).min(1.0),
    );
    state.surplus.watch_idle(quiet, reading.at);
    if reading.known.is_empty() {
        return;
    }
    if arrived > 0.0 {
        state.last_arrival = Some(reading.at);
    }
    let (come, done) = unknown(state, arrived, finished, elapsed);
    arrived += come;
    finished += done;

    let before = state.arrivals.total();
    state.arrivals.add(reading.at, arrived);
    // Nearly always nothing, and then it takes no memory.
    if aside > 0.0 || state.aside.last().is_some() {
        state.aside.add(reading.at, aside);
        if state.aside.span() >= ASIDE && state.aside.rate(ASIDE, ASIDE) == Some(0.0) {
            state.aside = Flow::default();
        }
    }
    state.progress.add(reading.at, finished);
    watch_surge(state, reading, arrived, before, last);
    watch_burst(state, reading, arrived, elapsed);
    state.level = Level::follow(
        state.level.take(),
        &state.arrivals,
        arrived,
        elapsed,
        reading.at,
    );
}

/// Records that likely came to unknown partitions, and were finished there, in so many seconds in which so many were in the
/// others.
fn unknown(state: &State, arrived: f64, finished: f64, elapsed: f64) -> (f64, f64) {
    match state.likely.times() {
        Some(times) => (times * arrived, times * finished),
        None => {
            let usual = state.level.as_ref().map_or(0.0, |level| level.rate);
            let likely = state.likely.share() * usual * elapsed;
            (likely, likely)
        }
    }
}

/// Seconds between two commits of a partition in which records wait: of the busier ones, since
/// the others have nothing to commit in between.
fn commit_gap(state: &State) -> f64 {
    let mut gaps: Vec<f64> = state
        .tracks
        .values()
        .filter_map(|track| track.gap)
        .collect();
    if gaps.is_empty() {
        return 0.0;
    }
    let place = gaps.len() / 8;
    *gaps.select_nth_unstable_by(place, f64::total_cmp).1
}

/// Notices that a surge begins or ends. Its own mean tells its size long before the window does.
fn watch_surge(
    state: &mut State,
    reading: &Reading<'_>,
    arrived: f64,
    before: f64,
    since: Option<Timestamp>,
) {
    let elapsed = since.map_or(0.0, |since| seconds(since, reading.at));
    if elapsed <= 0.0 {
        return;
    }
    let rate = arrived / elapsed;
    match &state.surge {
        Some(surge) => {
            let last = seconds(surge.since, reading.at) - elapsed;
            let mean = (last > 0.0).then(|| surge.rate(before, last));
            let over = seconds(surge.since, reading.at) > 60.0;
            if over || rate < mean.unwrap_or(rate) / 2.0 {
                state.surge = None;
            }
        }
        None => {
            let level = state.level.as_ref().map_or(0.0, |level| level.rate);
            let usual = level * elapsed;
            let noise = 4.0 * usual.sqrt();
            let most = (SURGE * usual + noise).max(usual + SURGE_RECORDS);
            if state.level.is_some() && arrived > most {
                state.surge = since.map(|since| Surge {
                    since,
                    noticed: reading.now,
                    total: before,
                    seen: reading.at,
                    first: before + arrived,
                });
            }
        }
    }
}

/// Notices that a fleet without pods is woken, and whether more is coming.
fn watch_burst(state: &mut State, reading: &Reading<'_>, arrived: f64, elapsed: f64) {
    state.burst = match state.burst.take() {
        _ if reading.sample.current > 0 || reading.lag() == 0 || elapsed <= 0.0 => None,
        Some(burst) => {
            let rate = arrived / elapsed;
            let age = seconds(burst.noticed, reading.at);
            let grows = rate > 0.0 && rate * (age - elapsed) >= STILL * burst.arrived;
            let all = burst.arrived + arrived;
            Some(Burst {
                rate: Some(rate.max(all / age.max(elapsed))),
                grew: if grows { reading.at } else { burst.grew },
                arrived: all,
                ..burst
            })
        }
        None => (arrived > 0.0).then_some(Burst {
            noticed: reading.now,
            rate: None,
            grew: reading.at,
            arrived: 0.0,
        }),
    };
}

impl Burst {
    /// Seconds for which looks have shown no growth.
    pub(super) fn quiet_for(&self, reading: &Reading<'_>) -> f64 {
        seconds(self.grew, reading.at)
    }
}

impl Surge {
    /// Its mean rate when the total of arrivals is `total` and it is `age` seconds old.
    fn rate(&self, total: f64, age: f64) -> f64 {
        let later = age - seconds(self.since, self.seen);
        if later >= CONFIRMED {
            (total - self.first) / later
        } else {
            (total - self.total) / age.max(1e-3)
        }
    }
}

impl State {
    /// Records per second to plan for, as far as it is known: the level, or a surge's mean once
    /// it is no blip any more.
    /// All that arrives, for people: also where nothing moves.
    pub(super) fn arrival_in_all(&self) -> Option<f64> {
        Some(self.arrival()? + self.aside.rate(ASIDE, 1.0).unwrap_or(0.0))
    }

    pub(super) fn arrival(&self) -> Option<f64> {
        let level = self.level.as_ref().map(|level| level.rate)?;
        let surge = self.surge.as_ref().and_then(|surge| {
            let age = self.surge_age(surge)?;
            let later = age - seconds(surge.since, surge.seen);
            (age >= BLIP && later >= CONFIRMED).then(|| surge.rate(self.arrivals.total(), age))
        });
        Some(level.max(surge.unwrap_or(0.0)))
    }

    /// Records that will arrive in the next `horizon` seconds: the level goes on, and what has
    /// surged for some time goes on for as long again.
    pub(super) fn arriving(&self, horizon: f64) -> f64 {
        let steady = self.arrival().unwrap_or(0.0) * horizon;
        let surging = self.surge.as_ref().and_then(|surge| {
            let age = self.surge_age(surge)?;
            Some(surge.rate(self.arrivals.total(), age) * horizon.min(age))
        });
        steady.max(surging.unwrap_or(0.0))
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

    /// How long the oldest record has waited that waits for a pod, stuck partitions left out. None where
    /// there is nothing to say it by.
    pub(super) fn waited(&self, reading: &Reading<'_>) -> Option<Waited> {
        let mut tracks = self.tracks_in_order();
        let known = reading.known.iter().filter(|known| !known.stuck);
        known
            .filter_map(|known| Some(tracks.of(known.partition)?.waited(reading.now)))
            .max_by(|a, b| a.seconds().total_cmp(&b.seconds()))
    }

    /// How long the oldest unfinished record has waited, whatever for; but where records wait for a later attempt, which the
    /// spec wants, the oldest that waits for a pod.
    pub(super) fn unfinished(&self, reading: &Reading<'_>) -> Option<Waited> {
        let mut tracks = self.tracks_in_order();
        let known = reading.known.iter();
        known
            .filter_map(|known| {
                let track = tracks.of(known.partition)?;
                let later = known.sample.beyond.and_then(|beyond| beyond.later);
                Some(match later {
                    Some(_) if !known.stuck => track.waited(reading.now),
                    _ => track.unfinished(reading.now),
                })
            })
            .max_by(|a, b| a.seconds().total_cmp(&b.seconds()))
    }

    /// The same of partitions that are worked on: neglected for less than `patience` seconds.
    pub(super) fn waited_at_work(&self, reading: &Reading<'_>, patience: f64) -> Option<Waited> {
        let mut tracks = self.tracks_in_order();
        reading
            .moving()
            .filter_map(|known| {
                let track = tracks.of(known.partition)?;
                let since = track.neglected().unwrap_or(reading.now);
                (seconds(since, reading.now) < patience).then(|| track.waited(reading.now))
            })
            .max_by(|a, b| a.seconds().total_cmp(&b.seconds()))
    }

    /// The partition whose first record failed and has waited longest, and for how many seconds.
    pub(super) fn held_longest<'a>(
        &self,
        reading: &Reading<'a>,
    ) -> Option<(&'a TopicPartition, f64)> {
        let mut tracks = self.tracks_in_order();
        let known = reading.retrying();
        known
            .filter(|known| !known.stuck && known.lag > 0)
            .filter_map(|known| {
                let waited = tracks.of(known.partition)?.unfinished(reading.now);
                Some((known.partition, waited.seconds()))
            })
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The oldest unfinished record's wait for people: where the past does not reach far enough,
    /// the backlog at the present rate bounds it.
    pub(super) fn delay(&self, reading: &Reading<'_>) -> Option<Duration> {
        let waited = match self.unfinished(reading)? {
            Waited::For(seconds) => seconds,
            Waited::AtLeast(counted) => {
                let rate = self.level.as_ref().map_or(0.0, |level| level.rate);
                match self.late_since {
                    Some(since) => counted.max(seconds(since, reading.now)),
                    None if rate > 0.0 => counted.max(reading.lag() as f64 / rate),
                    None if counted > 0.0 => counted,
                    None => return None,
                }
            }
        };
        Duration::try_from_secs_f64(waited).ok()
    }

    /// The partition with the most arrivals that last, and its records per second.
    pub(super) fn hottest(&self) -> Option<(&TopicPartition, f64)> {
        self.tracks
            .iter()
            .filter_map(|(partition, track)| Some((partition, track.lasting_rate()?)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }
}
