//! What partitions likely do whose offsets are unknown for a while.
//!
//! Unknown is not zero. Which share of the load each of them has was known a moment before, so what comes to the others says
//! what likely comes to them, and what waits in the others what likely waits in them. That may raise; it lowers nothing, and
//! nobody learns from it what pods can do.

use jiff::Timestamp;

use super::flow::seconds;
use super::reading::Reading;
use super::track::Track;
use crate::topic::{ByPartition, TopicPartition};

/// Known partitions have to have so much of the load to say what happens to the rest; the rest of those that have less is
/// taken to go on as before.
const TELLS: f64 = 0.25;
/// A partition counts as like the others until about so many records came.
const ALIKE: f64 = 16.0;

/// Partitions that are unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Likely {
    /// The share of the load that each had when it was last known.
    shares: ByPartition<f64>,
    /// When any was last unknown.
    last: Option<Timestamp>,
}

impl Likely {
    /// Takes in what is unknown now; `tracks` are as they were at the last look.
    pub(super) fn observe(&mut self, tracks: &ByPartition<Track>, reading: &Reading<'_>) {
        if reading.unknown.is_empty() {
            if !self.shares.is_empty() {
                self.shares = ByPartition::default();
            }
            return;
        }
        self.last = Some(reading.at);
        let unknown = &reading.unknown;
        let place = |partition: &TopicPartition| unknown.binary_search_by(|u| u.0.cmp(partition));
        self.shares.retain(|partition, _| place(partition).is_ok());
        let unknown = unknown.iter().map(|unknown| unknown.0);
        let new = unknown.filter(|partition| !self.shares.contains_key(partition));
        let new: Vec<&TopicPartition> = new.collect();
        if new.is_empty() {
            return;
        }
        // One that was never seen is taken to be like the others on average.
        let (mut sum, mut seen) = (0.0, 0.0);
        let known = reading.known.iter().map(|known| known.partition);
        for track in known
            .chain(new.iter().copied())
            .filter_map(|p| tracks.get(p))
        {
            sum += track.arrived + ALIKE;
            seen += 1.0;
        }
        let mean = if seen > 0.0 { sum / seen } else { ALIKE };
        let all = mean * (reading.known.len() + new.len()) as f64;
        let left = 1.0 - self.share();
        for partition in new {
            let weight = tracks.get(partition).map(|track| track.arrived + ALIKE);
            let share = left * weight.unwrap_or(mean) / all;
            self.shares.insert(partition.clone(), share);
        }
    }

    /// The share of the load that is unknown.
    pub(super) fn share(&self) -> f64 {
        self.shares.values().sum::<f64>().clamp(0.0, 1.0)
    }

    /// Each unknown partition and its share of the load.
    pub(super) fn shares(&self) -> impl Iterator<Item = (&TopicPartition, f64)> {
        self.shares
            .iter()
            .map(|(partition, share)| (partition, *share))
    }

    /// How many times what known partitions do the unknown ones do; none where the known ones are too few to say it.
    pub(super) fn times(&self) -> Option<f64> {
        let share = self.share();
        (1.0 - share >= TELLS).then(|| share / (1.0 - share))
    }

    /// Seconds for which everything has been known.
    pub(super) fn known_for(&self, at: Timestamp) -> f64 {
        self.last.map_or(f64::INFINITY, |last| seconds(last, at))
    }
}
