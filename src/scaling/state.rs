//! What one step leaves for the next.

use std::time::Duration;

use jiff::Timestamp;

use super::behind::Behind;
use super::calm::Calm;
use super::estimate::Capacity;
use super::flow::Flow;
use super::gate::Surplus;
use super::guards::Guards;
use super::hope::Hope;
use super::in_hand::InHand;
use super::level::Level;
use super::likely::Likely;
use super::orders::Orders;
use super::reading::Reading;
use super::rises::Rises;
use super::scars::Scars;
use super::track::{Track, Waited};
use super::turned_away::TurnedAway;
use super::window::{Burst, Surge};
use crate::topic::{ByPartition, TopicPartition, by_partition};

/// What one step leaves for the next. After a restart of the controller it is rebuilt by
/// [`State::resume`] from what status kept; the rest is seen again within two minutes, and until
/// then nothing is lowered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// When the newest sample was read.
    pub(super) seen: Option<Timestamp>,
    /// Every partition's past.
    pub(super) tracks: ByPartition<Track>,
    /// What unknown partitions likely do.
    pub(super) likely: Likely,
    /// Seconds between two commits of a partition in which records wait.
    pub(super) commit_gap: f64,
    /// Records that arrived.
    pub(super) arrivals: Flow,
    /// Records that arrived where nothing moves: told, but planned for only once they move.
    pub(super) aside: Flow,
    /// When anything last arrived.
    pub(super) last_arrival: Option<Timestamp>,
    /// Records that were committed.
    pub(super) progress: Flow,
    /// How long records were in hand, and how many were done.
    pub(super) in_hand: InHand,
    /// The arrival rate without its noise.
    pub(super) level: Option<Level>,
    /// Arrivals well above the level, from their beginning.
    pub(super) surge: Option<Surge>,
    /// What has woken the fleet, until it has pods.
    pub(super) burst: Option<Burst>,
    /// Rises that have come and gone.
    pub(super) rises: Rises,
    /// What a pod can do.
    pub(super) capacity: Capacity,
    /// Sizes ordered, and how long pods take.
    pub(super) orders: Orders,
    /// What makes more pods pointless.
    pub(super) guards: Guards,
    /// The handler takes nothing.
    pub(super) turned_away: TurnedAway,
    /// Fewer pods that were tried.
    pub(super) hope: Hope,
    /// What pods share.
    pub(super) behind: Behind,
    /// Sizes that turned out too small.
    pub(super) scars: Scars,
    /// A load that stays the same, and what it has taken.
    pub(super) calm: Option<Calm>,
    /// Pod-seconds that were not needed.
    pub(super) surplus: Surplus,
    /// How long before a peak its pods were ordered, until it begins.
    pub(super) lead: Duration,
    /// The records per second for which pods were last ordered.
    pub(super) ordered_for: Option<f64>,
    /// What the last step wanted.
    pub(super) wanted: Option<u32>,
    /// Since when the oldest record waited that was there before the first sample, as told by whoever knew.
    pub(super) late_since: Option<Timestamp>,
}

impl State {
    /// The state of a controller that has just started, with what the resource's status kept:
    /// records per second that one pod can do, and the time from ordering a pod to its being
    /// ready. Values that cannot be (zero, negative, not a number) count as unknown.
    pub fn resume(capacity_per_pod: Option<f64>, start_up: Option<Duration>) -> Self {
        Self {
            capacity: Capacity::resume(capacity_per_pod),
            orders: Orders::resume(start_up),
            ..Self::default()
        }
    }

    /// The oldest unfinished record has waited since then, as the resource's status said. It is told on until every
    /// record is done that the first sample found: the past that says when they came is gone.
    pub fn late_since(self, late_since: Option<Timestamp>) -> Self {
        Self { late_since, ..self }
    }

    /// Records per second that a pod can do where it shares nothing that is too slow for all; none until measured.
    pub(super) fn unhindered(&self) -> Option<f64> {
        let measured = self.capacity.measured()?;
        // What full load shows beside it pods do not say.
        let shown = measured / self.capacity.by_busy().unwrap_or(measured);
        let per_record = self.capacity.per_record();
        let free = self.behind.unhindered();
        let free = free.map(|free| free * shown * per_record);
        Some(free.unwrap_or(measured).max(measured))
    }

    /// Whether what pods were last ordered for is at most this share of what comes now: the first looks at a rise say little.
    pub(super) fn outgrows_order(&self, share: f64) -> bool {
        let ordered_for = self.ordered_for.zip(self.arrival());
        ordered_for.is_some_and(|(before, now)| before <= share * now)
    }

    /// Every partition's past, for partitions that are asked for in ascending order.
    pub(super) fn tracks_in_order(&self) -> InOrder<'_> {
        let mut tracks = InOrder {
            tracks: self.tracks.iter(),
            next: None,
        };
        tracks.go_on();
        tracks
    }

    /// Remembers what was seen and decided.
    pub(super) fn close(&mut self, reading: &Reading<'_>, wanted: u32) {
        if self.seen.is_none_or(|seen| reading.at > seen) {
            self.seen = Some(reading.at);
        }
        let is_old = |state: &Self| matches!(state.unfinished(reading), Some(Waited::AtLeast(_)));
        if self.late_since.is_some() && reading.complete() && !is_old(self) {
            self.late_since = None;
        }
        self.wanted = Some(wanted);
    }
}

/// Two ordered lists are walked side by side, which is cheaper than to look every partition up.
pub(super) struct InOrder<'a> {
    tracks: by_partition::Iter<'a, Track>,
    next: Option<(&'a TopicPartition, &'a Track)>,
}

impl<'a> InOrder<'a> {
    fn go_on(&mut self) {
        self.next = self.tracks.next();
    }

    /// The past of `partition`, which comes after every one asked for before.
    pub(super) fn of(&mut self, partition: &TopicPartition) -> Option<&'a Track> {
        while let Some((at, track)) = self.next {
            if at == partition {
                return Some(track);
            }
            if at > partition {
                return None;
            }
            self.go_on();
        }
        None
    }
}
