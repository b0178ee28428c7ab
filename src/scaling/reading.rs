//! What one sample says by itself: which partitions are known, what waits in them, which of them
//! do not move.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::flow::seconds;
use super::sample::{LagUnknown, PartitionSample, Sample};
use super::state::State;
use crate::topic::TopicPartition;

/// A sample older than this says nothing of the present, seconds.
const STALE: f64 = 10.0;
/// A partition that has not moved for this long, while others have, is stuck, seconds; where a
/// record takes long, for as long as its pod needs to give each of its partitions so many turns.
const UNMOVED: f64 = 60.0;
const TURNS: f64 = 3.0;

/// A sample, judged.
#[derive(Debug)]
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
    /// Partitions whose lag is known, with it.
    pub(super) known: BTreeMap<&'a TopicPartition, Known<'a>>,
    /// Partitions whose lag is not, and why where offsets were read.
    pub(super) unknown: Vec<(&'a TopicPartition, Option<LagUnknown>)>,
    /// Known partitions that do not move.
    pub(super) stuck: BTreeSet<&'a TopicPartition>,
    /// Known partitions that were stuck and work off what came meanwhile: one pod does that alone.
    pub(super) recovering: BTreeSet<&'a TopicPartition>,
    /// The sample is too old to be believed, by so many seconds.
    pub(super) stale: Option<f64>,
}

/// A partition whose lag is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) sample: &'a PartitionSample,
    pub(super) lag: u64,
}

impl Reading<'_> {
    /// Partitions, known or not.
    pub(super) fn partitions(&self) -> u32 {
        u32::try_from(self.sample.partitions.len()).unwrap_or(u32::MAX)
    }

    /// Whether everything is known: only then may anything be lowered.
    pub(super) fn complete(&self) -> bool {
        self.unknown.is_empty() && self.stale.is_none() && !self.sample.partitions.is_empty()
    }

    /// Records that wait in known partitions, stuck ones left out.
    pub(super) fn backlog(&self) -> f64 {
        self.moving().map(|(_, known)| known.lag as f64).sum()
    }

    /// Records that wait in known partitions, stuck ones included.
    pub(super) fn lag(&self) -> u64 {
        self.known
            .values()
            .fold(0, |sum, known| sum.saturating_add(known.lag))
    }

    /// Known partitions whose backlog more pods can help with.
    pub(super) fn moving(&self) -> impl Iterator<Item = (&TopicPartition, Known<'_>)> {
        self.known
            .iter()
            .filter(|(partition, _)| self.moves(partition))
            .map(|(partition, known)| (*partition, *known))
    }

    /// Whether more pods can help with this partition's backlog.
    pub(super) fn moves(&self, partition: &TopicPartition) -> bool {
        !self.stuck.contains(partition) && !self.recovering.contains(partition)
    }
}

/// Judges `sample`.
pub(super) fn read<'a>(sample: &'a Sample, state: &State, now: Timestamp) -> Reading<'a> {
    let at = sample.at.min(now);
    let age = seconds(at, now);
    let mut known = BTreeMap::new();
    let mut unknown = Vec::new();
    for (partition, offsets) in &sample.partitions {
        match offsets.as_ref().map(|offsets| (offsets, offsets.lag())) {
            None => unknown.push((partition, None)),
            Some((_, Err(why))) => unknown.push((partition, Some(why))),
            Some((sample, Ok(lag))) => {
                known.insert(partition, Known { sample, lag: lag.0 });
            }
        }
    }
    let stuck = stuck(&known, sample, state, at);
    let recovering = known
        .keys()
        .copied()
        .filter(|partition| state.guards.recovers(partition) && !stuck.contains(partition))
        .collect();
    Reading {
        sample,
        at,
        now,
        elapsed: state.seen.map_or(0.0, |seen| seconds(seen, at)),
        new: state.seen.is_none_or(|seen| at > seen),
        known,
        unknown,
        stuck,
        recovering,
        stale: (age > STALE).then_some(age),
    }
}

/// Partitions that more pods cannot help. Workers say so in their report; without that it is known
/// once nothing was committed for a minute while other partitions moved on.
fn stuck<'a>(
    known: &BTreeMap<&'a TopicPartition, Known<'a>>,
    sample: &Sample,
    state: &State,
    at: Timestamp,
) -> BTreeSet<&'a TopicPartition> {
    let pods = sample.ready.min(sample.current);
    let each = known.len() as f64 / f64::from(pods.max(1));
    let turn = state.capacity.measured().map_or(0.0, |rate| each / rate);
    let patience = UNMOVED.max(TURNS * turn);
    let others_moved = state.tracks.values().any(|track| {
        track
            .moved
            .is_some_and(|moved| seconds(moved, at) < patience)
    });
    known
        .iter()
        .filter(|(partition, known)| {
            if known.lag == 0 {
                return false;
            }
            if known.sample.stuck.is_some() {
                return true;
            }
            let unmoved = state
                .tracks
                .get(**partition)
                .and_then(|track| track.neglected())
                .is_some_and(|since| seconds(since, at) > patience);
            pods > 0 && unmoved && others_moved
        })
        .map(|(partition, _)| *partition)
        .collect()
}
