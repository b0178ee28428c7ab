//! One partition's past: its end offsets, where the group stands, and how long its records wait.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::flow::seconds;
use super::level::WINDOW;
use super::reading::Known;
use crate::topic::Offset;

/// Points that a partition's past keeps.
const POINTS: usize = 40;
/// Points of a partition's past are this far apart at least, seconds.
const APART: f64 = 0.5;
/// What comes to a partition lasts if it has come for so many windows.
const LASTS: u32 = 3;
/// Retention takes records in lumps of a segment; its pace is a mean of so many seconds.
const RETENTION: f64 = 1800.0;
/// Time constant of a partition's share of the load, seconds.
const SHARES: f64 = 1200.0;

/// A partition's past.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Track {
    /// Time and end offset, both ascending; a stretch without arrivals keeps both its ends.
    ends: VecDeque<(Timestamp, i64)>,
    /// The first record that was neither finished nor tried again later when it was last known.
    position: i64,
    /// Whether that was a committed one.
    committed: bool,
    /// When the position last moved while it was watched.
    pub(super) moved: Option<Timestamp>,
    /// Seconds between the last two moves while records waited: how often the group commits.
    pub(super) gap: Option<f64>,
    /// Since when there are records to do and the position has not moved.
    pub(super) waiting: Option<Timestamp>,
    /// When it was last known.
    pub(super) seen: Timestamp,
    /// Records that arrived, with weights that fade: its share of the load.
    pub(super) arrived: f64,
    /// The oldest offset that Kafka has, its pace, and the position's, in records per second.
    start: i64,
    start_pace: f64,
    pace: f64,
    /// Who worked on it last, as far as anybody says.
    owner: Option<String>,
    /// Since when it has another owner who has not shown any work yet.
    handed: Option<Timestamp>,
    /// The first record that waits for a pod; none where none waits.
    oldest: Option<First>,
    /// The first record that is not committed, where that is another.
    held: Option<Box<First>>,
}

/// A record and when it came.
#[derive(Clone, Copy, Debug, PartialEq)]
struct First {
    offset: i64,
    came: Came,
}

impl First {
    fn waited(self, now: Timestamp) -> Waited {
        let Came { from, into, before } = self.came;
        if before {
            Waited::AtLeast(seconds(from, now))
        } else {
            Waited::For((seconds(from, now) - into).max(0.0))
        }
    }
}

/// When a record came.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Came {
    /// So many seconds
    into: f64,
    /// after this,
    from: Timestamp,
    /// or before it, where nobody had looked yet.
    before: bool,
}

/// What a sample adds to a partition's past.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    /// Records that arrived.
    pub(super) arrived: f64,
    /// Records that were finished.
    pub(super) finished: f64,
    /// Seconds for which nobody worked on it, since it has another owner.
    pub(super) pause: Option<f64>,
}

/// The first record that is not committed, where that is none that waits for a pod.
fn held(known: &Known<'_>) -> Option<i64> {
    let first = known.sample.position().0;
    (known.lag > 0 && waits_from(known) != Some(first)).then_some(first)
}

/// The first record that waits for a pod.
fn waits_from(known: &Known<'_>) -> Option<i64> {
    let in_hand = i64::try_from(known.in_hand).unwrap_or(i64::MAX);
    (known.waits > 0).then(|| known.next.0.saturating_add(in_hand))
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

impl Track {
    pub(super) fn new(at: Timestamp, known: &Known<'_>) -> Self {
        let first = |offset| First {
            offset,
            came: Came {
                into: 0.0,
                from: at,
                before: true,
            },
        };
        let position = known.next.0;
        Self {
            ends: VecDeque::from([(at, known.sample.end.0)]),
            position,
            committed: known.sample.committed.is_some(),
            moved: None,
            gap: None,
            waiting: (known.unfinished() > 0).then_some(at),
            seen: at,
            arrived: 0.0,
            start: known.sample.start.0,
            start_pace: 0.0,
            pace: 0.0,
            owner: known.sample.pod.clone(),
            handed: None,
            oldest: waits_from(known).map(first),
            held: held(known).map(|offset| Box::new(first(offset))),
        }
    }

    /// Whether this was the first record that waited.
    pub(super) fn stands_at(&self, offset: Offset) -> bool {
        self.position == offset.0
    }

    /// Takes new offsets in.
    pub(super) fn observe(&mut self, at: Timestamp, known: &Known<'_>) -> News {
        let end = known.sample.end.0;
        let last_end = self.ends.back().map_or(end, |last| last.1);
        if end < last_end {
            // Another topic of the same name: its past is not this one's.
            *self = Self::new(at, known);
            return News::default();
        }
        self.push(at, end);

        let position = known.next.0;
        let committed = known.sample.committed.is_some();
        let moved = position != self.position;
        // A first commit may be a mere start by `startAt`, so it is no progress.
        let finished = if committed && self.committed {
            (position.saturating_sub(self.position)).max(0)
        } else {
            0
        };
        if moved {
            // Where nothing waits for a pod there may have been nothing to commit.
            let waits = self.waiting.is_some() && self.oldest.is_some();
            if let Some(before) = self.moved.filter(|_| waits) {
                self.gap = Some(seconds(before, at));
            }
            self.moved = Some(at);
        }
        self.waiting = match self.waiting {
            _ if known.unfinished() == 0 => None,
            Some(since) if !moved => Some(since),
            _ => Some(at),
        };
        self.position = position;
        self.committed = committed;
        let oldest = waits_from(known).map(|offset| self.first(offset));
        self.held = held(known).map(|offset| Box::new(self.first(offset)));
        self.oldest = oldest;
        let elapsed = seconds(self.seen, at);
        let arrived = end.saturating_sub(last_end) as f64;
        self.arrived = self.arrived * (-elapsed / SHARES).exp() + arrived;
        let pause = self.watch_owner(at, moved, known);
        self.watch_retention(elapsed, finished, known);
        self.seen = at;
        News {
            arrived,
            finished: finished as f64,
            pause,
        }
    }

    /// A partition that changed hands pauses until its new owner works; commits come in lumps, of
    /// which half is no pause.
    fn watch_owner(&mut self, at: Timestamp, moved: bool, known: &Known<'_>) -> Option<f64> {
        let owner = &known.sample.pod;
        let changed = owner.is_some() && self.owner.is_some() && *owner != self.owner;
        if owner.is_some() {
            self.owner.clone_from(owner);
        }
        if known.lag == 0 {
            self.handed = None;
            return None;
        }
        match self.handed {
            _ if changed => {
                self.handed = Some(at);
                None
            }
            Some(since) if moved => {
                self.handed = None;
                let lump = self.gap.unwrap_or(0.0) / 2.0;
                Some((seconds(since, at) - lump).max(0.0))
            }
            _ => None,
        }
    }

    fn watch_retention(&mut self, elapsed: f64, finished: i64, known: &Known<'_>) {
        let start = known.sample.start.0;
        let gone = start.saturating_sub(self.start).max(0);
        self.start = start;
        if elapsed > 0.0 {
            let share = (elapsed / RETENTION).min(1.0);
            self.start_pace += share * (gone as f64 / elapsed - self.start_pace);
            self.pace += share * (finished as f64 / elapsed - self.pace);
        }
    }

    /// Seconds until retention reaches the position, if both go on as they do and records wait.
    pub(super) fn bites_in(&self) -> Option<f64> {
        self.waiting?;
        let nearer = self.start_pace - self.pace;
        let between = self.position.saturating_sub(self.start) as f64;
        (nearer > 0.0).then(|| between / nearer)
    }

    /// Who worked on it last, as far as anybody says.
    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Its owner is new and has not shown any work yet.
    pub(super) fn is_handed_over(&self) -> bool {
        self.handed.is_some()
    }

    /// Since when there are records to do, its owner is the same, and the position has not moved.
    pub(super) fn neglected(&self) -> Option<Timestamp> {
        let waiting = self.waiting?;
        Some(self.handed.map_or(waiting, |handed| handed.max(waiting)))
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

    /// The record at `offset`. What was found first is the best there is: later the past is coarser.
    fn first(&self, offset: i64) -> First {
        let known = self.oldest.iter().chain(self.held.as_deref());
        let known = known.copied().find(|first| first.offset == offset);
        known.unwrap_or_else(|| First {
            offset,
            came: self.came(offset),
        })
    }

    /// When the record at `position` came: when the end passed it, by interpolation.
    fn came(&self, position: i64) -> Came {
        let mut later: Option<(Timestamp, i64)> = None;
        for &(at, end) in self.ends.iter().rev() {
            if end <= position {
                // It arrived after `at` and no later than the next point.
                let into = later.map_or(0.0, |(later_at, later_end)| {
                    let share = (position - end + 1) as f64 / (later_end - end).max(1) as f64;
                    seconds(at, later_at) * share.min(1.0)
                });
                return Came {
                    into,
                    from: at,
                    before: false,
                };
            }
            later = Some((at, end));
        }
        Came {
            into: 0.0,
            from: self.ends.front().map_or(self.seen, |first| first.0),
            before: true,
        }
    }

    /// How long the first record has waited that waits for a pod.
    pub(super) fn waited(&self, now: Timestamp) -> Waited {
        let first = self.oldest.as_ref();
        first.map_or(Waited::For(0.0), |first| first.waited(now))
    }

    /// How long the first record has waited that is not committed.
    pub(super) fn unfinished(&self, now: Timestamp) -> Waited {
        let first = self.held.as_deref();
        first.map_or_else(|| self.waited(now), |first| first.waited(now))
    }

    /// Records per second that have come for some windows now: as many as in the least of them. A batch of a moment
    /// lies in one of them, or in two. None where the past does not reach so far.
    pub(super) fn lasting_rate(&self) -> Option<f64> {
        let ends: Option<Vec<f64>> = (0..=LASTS)
            .map(|windows| self.end_before(WINDOW * f64::from(windows)))
            .collect();
        let ends = ends?;
        let windows = ends.iter().zip(&ends[1..]);
        let rates = windows.map(|(later, earlier)| (later - earlier) / WINDOW);
        rates.min_by(f64::total_cmp)
    }

    /// The end so many seconds before the last look, by interpolation.
    fn end_before(&self, ago: f64) -> Option<f64> {
        let last_at = self.ends.back()?.0;
        let point = |&(at, end): &(Timestamp, i64)| (seconds(at, last_at), end as f64);
        let old = self
            .ends
            .partition_point(|(at, _)| seconds(*at, last_at) >= ago);
        let before = point(self.ends.get(old.checked_sub(1)?)?);
        let after = self.ends.get(old).map_or(before, point);
        let stretch = before.0 - after.0;
        if stretch <= 0.0 {
            return Some(before.1);
        }
        Some(after.1 + (before.1 - after.1) * (ago - after.0) / stretch)
    }
}
