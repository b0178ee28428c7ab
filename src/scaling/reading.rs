//! What one sample says by itself: which partitions are known, what waits in them, which of them
//! do not move.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Policy;
use super::flow::seconds;
use super::in_hand;
use super::sample::{LagUnknown, PartitionSample, Sample};
use super::state::State;
use super::track::Track;
use crate::topic::{Offset, TopicPartition};

/// A sample older than this says nothing of the present, seconds.
const STALE: f64 = 10.0;
/// A partition that has not moved for this long, while others have, is stuck, seconds; where a
/// record takes long, for as long as its pod needs to give each of its partitions so many turns.
const UNMOVED: f64 = 60.0;
const TURNS: f64 = 3.0;
/// One record of a slow handler may take so many times as long as they take on average.
const LONG_RECORD: f64 = 5.0;

/// A sample, judged.
#[derive(Clone, Debug)]
pub(super) struct Reading<'a> {
    /// The sample.
    pub(super) sample: &'a Sample,
    /// When it was read; never later than `now`.
    pub(super) at: Timestamp,
    /// When the step is made.
    pub(super) now: Timestamp,
    /// Seconds since the sample before, 0 for the first or a repeated one.
    pub(super) elapsed: f64,
    /// The sample was not judged before.
    pub(super) new: bool,
    /// Partitions whose lag is known, in order.
    pub(super) known: Vec<Known<'a>>,
    /// Partitions whose lag is not, and why where offsets were read.
    pub(super) unknown: Vec<(&'a TopicPartition, Option<LagUnknown>)>,
    /// The sample is too old to be believed, by so many seconds.
    pub(super) stale: Option<f64>,
}

/// Who has which partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owners {
    /// Each partition has one, and each pod is one.
    Pods,
    /// Some have none: partitions are being shared out.
    Changing,
    /// Nobody says, or pods cannot be told apart by what is said.
    Unknown,
}

/// A partition whose lag is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) partition: &'a TopicPartition,
    pub(super) sample: &'a PartitionSample,
    /// Records that are not committed.
    pub(super) lag: u64,
    /// The first record that is neither finished nor tried again later.
    pub(super) next: Offset,
    /// So many records from there on are in hand: a pod works on them, or has room for them.
    pub(super) in_hand: u64,
    /// So many after those wait for a pod.
    pub(super) waits: u64,
    /// It does not move.
    pub(super) stuck: bool,
    /// It was stuck and works off what came meanwhile: one pod does that alone.
    pub(super) recovering: bool,
}

impl Known<'_> {
    /// Records that are neither finished nor tried again later.
    pub(super) fn unfinished(&self) -> u64 {
        self.in_hand + self.waits
    }

    /// Whether more pods can help with its backlog.
    pub(super) fn moves(&self) -> bool {
        !self.stuck && !self.recovering
    }
}

impl<'a> Reading<'a> {
    /// Partitions, known or not.
    pub(super) fn partitions(&self) -> u32 {
        u32::try_from(self.sample.partitions.len()).unwrap_or(u32::MAX)
    }

    /// Whether everything is known: only then may anything be lowered.
    pub(super) fn complete(&self) -> bool {
        self.unknown.is_empty() && self.stale.is_none() && !self.sample.partitions.is_empty()
    }

    /// All pods that were ordered are there, and none is being replaced.
    pub(super) fn all_pods_there(&self) -> bool {
        let sample = self.sample;
        sample.current > 0 && sample.ready >= sample.current && !sample.rolling
    }

    /// Who has which partition, as far as anybody says.
    pub(super) fn owners(&self) -> Owners {
        let pods = self.known.iter().map(|known| known.sample.pod.as_deref());
        let owned: Vec<&str> = pods.flatten().collect();
        let distinct = owned.iter().collect::<BTreeSet<_>>().len();
        let pods = self.sample.ready.min(self.partitions()) as usize;
        match owned.len() {
            0 => Owners::Unknown,
            all if all < self.known.len() => Owners::Changing,
            _ if distinct == pods => Owners::Pods,
            _ => Owners::Unknown,
        }
    }

    /// Records that wait in known partitions, stuck ones left out.
    pub(super) fn backlog(&self) -> f64 {
        self.moving().map(|known| known.waits as f64).sum()
    }

    /// Records that wait in known partitions, stuck ones included.
    pub(super) fn lag(&self) -> u64 {
        self.known
            .iter()
            .fold(0, |sum, known| sum.saturating_add(known.lag))
    }

    /// Known partitions whose backlog more pods can help with.
    pub(super) fn moving(&self) -> impl Iterator<Item = &Known<'a>> {
        self.known.iter().filter(|known| known.moves())
    }

    /// Records that failed and are tried again.
    pub(super) fn retried(&self) -> u64 {
        let beyond = self.known.iter().filter_map(|known| known.sample.beyond);
        let retried = beyond.map(|beyond| beyond.retried);
        retried.fold(0, u64::saturating_add)
    }

    /// Known partitions with records that failed and are tried again.
    pub(super) fn retrying(&self) -> impl Iterator<Item = &Known<'a>> {
        self.known.iter().filter(|known| {
            let beyond = known.sample.beyond;
            beyond.is_some_and(|beyond| beyond.retried > 0)
        })
    }

    /// Of these, those that wait for a later attempt, and when the first is due; none where none does.
    pub(super) fn later(&self) -> Option<(u64, Timestamp)> {
        let beyond = self.known.iter().filter_map(|known| known.sample.beyond);
        let later = beyond.filter_map(|beyond| beyond.later);
        let (records, next_at) = later.fold((0_u64, u64::MAX), |(records, next_at), later| {
            let records = records.saturating_add(later.records);
            (records, next_at.min(later.next_at))
        });
        let next_at = i64::try_from(next_at).ok()?;
        Some((records, Timestamp::from_second(next_at).ok()?))
    }

    /// Known partitions that do not move.
    pub(super) fn stuck(&self) -> impl Iterator<Item = &Known<'a>> {
        self.known.iter().filter(|known| known.stuck)
    }

    /// This partition, if it is known.
    pub(super) fn of(&self, partition: &TopicPartition) -> Option<&Known<'a>> {
        let place = self
            .known
            .binary_search_by(|known| known.partition.cmp(partition));
        self.known.get(place.ok()?)
    }
}

/// Judges `sample`.
pub(super) fn read<'a>(
    policy: &Policy,
    sample: &'a Sample,
    state: &State,
    now: Timestamp,
) -> Reading<'a> {
    let at = sample.at.min(now);
    let age = seconds(at, now);
    let mut known = Vec::with_capacity(sample.partitions.len());
    let mut unknown = Vec::new();
    for (partition, offsets) in &sample.partitions {
        match offsets.as_ref().map(|offsets| (offsets, offsets.lag())) {
            None => unknown.push((partition, None)),
            Some((_, Err(why))) => unknown.push((partition, Some(why))),
            Some((offsets, Ok(lag))) => {
                // Without pods nothing is tried again.
                let (next, waits) = match sample.current {
                    0 => (offsets.position(), lag.0),
                    _ => (offsets.next(), offsets.waits()),
                };
                known.push(Known {
                    partition,
                    sample: offsets,
                    lag: lag.0,
                    next,
                    in_hand: 0,
                    waits,
                    stuck: false,
                    recovering: false,
                });
            }
        }
    }
    mark_stuck(policy, &mut known, sample, state, at);
    in_hand::take(policy, &mut known, sample, state.capacity.per_record());
    Reading {
        sample,
        at,
        now,
        elapsed: state.seen.map_or(0.0, |seen| seconds(seen, at)),
        new: state.seen.is_none_or(|seen| at > seen),
        known,
        unknown,
        stale: (age > STALE).then_some(age),
    }
}

/// Partitions that more pods cannot help. Workers say so in their report; without that it is known
/// once nothing was committed for a minute while other partitions moved on.
fn mark_stuck(
    policy: &Policy,
    known: &mut [Known<'_>],
    sample: &Sample,
    state: &State,
    at: Timestamp,
) {
    let pods = sample.ready.min(sample.current);
    let each = known.len() as f64 / f64::from(pods.max(1));
    let turn = state.capacity.measured().map_or(0.0, |rate| each / rate);
    // Where the fleet may do no more, each partition's turn comes when all others have had theirs.
    let allowed = policy.rate.map_or(0.0, |rate| known.len() as f64 / rate);
    let in_hand = LONG_RECORD * state.service_time();
    let patience = UNMOVED.max(TURNS * turn.max(allowed)).max(in_hand);
    let others_moved = pods > 0
        && state.tracks.values().any(|track| {
            let moved = track.moved;
            moved.is_some_and(|moved| seconds(moved, at) < patience)
        });
    let neglected = |track: Option<&Track>| {
        let since = track.and_then(Track::neglected);
        others_moved && since.is_some_and(|since| seconds(since, at) > patience)
    };
    let mut tracks = state.tracks_in_order();
    for known in known {
        let track = tracks.of(known.partition);
        let said = known.lag > 0 && known.sample.stuck.is_some();
        // Another owner is no movement: what was stuck is so until it moves.
        let still = state.guards.stood(known.partition)
            && track.is_some_and(|track| track.stands_at(known.next));
        known.stuck = said || (known.waits > 0 && (still || neglected(track)));
        known.recovering = !known.stuck && state.guards.recovers(known.partition);
    }
}
