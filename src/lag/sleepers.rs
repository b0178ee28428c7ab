//! Fleets at zero in whose partitions nothing waits: woken by the record that arrives.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tracing::debug;

use super::{Offsets, Pace, Source};
use crate::kafka::tails::{Ends, READ, Tails};
use crate::topic::TopicPartition;

/// A watch stands for certain after so long: a read that was under way has ended, and the next one,
/// for which the topic had to be looked up, is at the broker.
const STANDS_AFTER: Duration = READ.saturating_mul(3);
/// How often a fleet is read that is watched: only in case the watch has a hole.
const WATCHED: Duration = Duration::from_secs(1);
/// Fleets that sleep and are due within this are read together with those that are due now: a
/// question costs little more for many partitions than for few.
pub(super) const TOGETHER: Duration = Duration::from_secs(1);
/// Partitions that are read a second at most, for fleets that are watched, each fleet's own.
const READ_A_SECOND: usize = 4000;
/// The longest time between two readings, watched or not: older ones count as unknown.
const LONGEST: Duration = Duration::from_secs(5);
/// Arrivals wake a fleet no more often than this: where others consume, much arrives and nothing
/// waits.
pub(super) const BREATH: Duration = Duration::from_millis(100);

/// The watch over one cluster's tails. Its client is made when the first fleet sleeps.
pub(super) struct Sleepers {
    source: Source,
    tails: Option<Tails>,
    arrived: UnboundedSender<TopicPartition>,
    /// Partitions to be read for all that sleep; one of several fleets counts for each.
    partitions: usize,
}

impl Sleepers {
    /// A watch over nothing yet; what arrives comes through the receiver.
    pub(super) fn new(source: Source) -> (Self, UnboundedReceiver<TopicPartition>) {
        // Bounded by the number of partitions: each is told once for each time that it is watched.
        let (arrived, arrivals) = unbounded_channel();
        let sleepers = Self {
            source,
            tails: None,
            arrived,
            partitions: 0,
        };
        (sleepers, arrivals)
    }

    /// Watches what these fleets have read last, and nothing else.
    pub(super) fn watch<'a>(&mut self, sleeping: impl Iterator<Item = &'a Offsets>) {
        let mut ends = Ends::new();
        self.partitions = 0;
        for offsets in sleeping {
            self.partitions += offsets.partitions.len();
            for (partition, sample) in &offsets.partitions {
                let Some(sample) = sample else { continue };
                // Of two fleets with one topic the one that has read less counts.
                let end = ends.entry(partition.clone()).or_insert(sample.end);
                *end = sample.end.min(*end);
            }
        }
        if self.tails.is_none() && !ends.is_empty() {
            self.tails = self.open();
        }
        if let Some(tails) = &self.tails {
            tails.watch(ends);
        }
    }

    fn open(&self) -> Option<Tails> {
        let arrived = self.arrived.clone();
        let tell = move |partition| {
            // Nobody listens once the cluster's task is over.
            let _ = arrived.send(partition);
        };
        let Source {
            bootstrap_servers,
            properties,
            security,
        } = &self.source;
        // Without it fleets are woken by being read, which takes half a second longer.
        Tails::open(bootstrap_servers, properties, security, tell)
            .inspect_err(|error| debug!(%error, "tails are not watched"))
            .ok()
    }

    /// Time to the next reading of a fleet that sleeps since `since`.
    pub(super) fn period(&self, since: Instant) -> Duration {
        if self.tails.is_none() || since.elapsed() < STANDS_AFTER {
            return Pace::Close.period();
        }
        let all = Duration::from_secs(1) * u32::try_from(self.partitions).unwrap_or(u32::MAX)
            / u32::try_from(READ_A_SECOND).unwrap_or(u32::MAX);
        all.clamp(WATCHED, LONGEST)
    }
}

/// What has arrived, by topic, so that fleets are found by their topics.
pub(super) fn by_topic(
    first: TopicPartition,
    arrivals: &mut UnboundedReceiver<TopicPartition>,
) -> BTreeMap<std::sync::Arc<str>, usize> {
    let mut topics = BTreeMap::from([(first.topic, 1)]);
    while let Ok(partition) = arrivals.try_recv() {
        *topics.entry(partition.topic).or_default() += 1;
    }
    topics
}
