//! What one cluster's task knows of its topics, and for how long it believes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::assemble::Ends;
use super::dead_letters::DeadLetters;
use super::round::{self, Counters};
use super::{Need, TopicState};
use crate::kafka::admin::{Admin, Error};
use crate::topic::{Offset, TopicPartition};

/// Partitions of a topic and starts of partitions change rarely.
const TOPICS_KEPT: Duration = Duration::from_secs(15);
const STARTS_KEPT: Duration = Duration::from_secs(30);
/// A topic that is not there is looked for again after this.
const MISSING_KEPT: Duration = Duration::from_secs(2);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A refusal, of which Kafka only says that it is one, as one of `what`.
pub(super) fn refusal(error: &Error, what: &str) -> Option<Error> {
    let Error::NotAuthorized(why) = error else {
        return None;
    };
    Some(Error::NotAuthorized(format!(
        "{what} may not be read ({why}); allow Describe and Read on it for the user of spec.kafka"
    )))
}

/// What a cluster's task keeps for itself from round to round.
#[derive(Default)]
pub(super) struct Task {
    /// Rounds that failed one after the other.
    pub(super) failures: u32,
    pub(super) states: BTreeMap<Arc<str>, TopicState>,
    states_read: HashMap<String, Instant>,
    starts: BTreeMap<TopicPartition, (Instant, Offset)>,
    pub(super) dead_letters: DeadLetters,
    random: RandomState,
}

impl Task {
    /// Whether the topic is there and has this partition, as far as was read.
    pub(super) fn exists(&self, partition: &TopicPartition) -> bool {
        matches!(
            self.states.get(&*partition.topic),
            Some(TopicState::Exists(count)) if i64::from(partition.partition) < i64::from(*count)
        )
    }

    /// Reads the topics of these fleets of which nothing is known, or nothing new enough.
    ///
    /// # Errors
    /// As the cluster's answer to the whole question; what is the matter with one topic is its state.
    pub(super) async fn refresh_topics<K>(
        &mut self,
        admin: &Admin,
        counters: &Counters,
        due: &BTreeMap<K, Need>,
    ) -> Result<(), Error> {
        let outdated: BTreeSet<String> = due
            .values()
            .flat_map(|need| &need.topics)
            .filter(|topic| {
                let kept = match self.states.get(topic.as_str()) {
                    Some(TopicState::Exists(_)) => TOPICS_KEPT,
                    _ => MISSING_KEPT,
                };
                self.states_read
                    .get(*topic)
                    .is_none_or(|at| at.elapsed() >= kept)
            })
            .cloned()
            .collect();
        let read = round::topics(admin, counters, &outdated).await?;
        for (topic, state) in read {
            self.states_read.insert(topic.clone(), Instant::now());
            // The name stays the one that fleets share already.
            match self.states.get_mut(topic.as_str()) {
                Some(known) => *known = state,
                None => {
                    self.states.insert(topic.into(), state);
                }
            }
        }
        Ok(())
    }

    /// What Kafka does not let us see of these topics, by name and with what to do.
    pub(super) fn refusal(&self, topics: &[String]) -> Option<Error> {
        topics
            .iter()
            .find_map(|topic| match self.states.get(topic.as_str())? {
                TopicState::Unknown(error) => refusal(error, &format!("topic {topic}")),
                _ => None,
            })
    }

    /// Ends of these partitions, and their starts where those are old.
    ///
    /// # Errors
    /// As [`Self::refresh_topics`].
    pub(super) async fn read_ends(
        &mut self,
        admin: &Admin,
        counters: &Counters,
        partitions: &[TopicPartition],
    ) -> Result<Ends, Error> {
        let outdated: Vec<TopicPartition> = partitions
            .iter()
            .filter(|partition| {
                let read = self.starts.get(*partition);
                read.is_none_or(|(at, _)| at.elapsed() >= STARTS_KEPT)
            })
            .cloned()
            .collect();
        let mut ends = round::ends(admin, counters, partitions, &outdated).await?;
        let now = Instant::now();
        for (partition, start) in std::mem::take(&mut ends.start) {
            self.starts.insert(partition, (now, start));
        }
        for (partition, end) in &ends.end {
            if end.is_err() {
                // Deleted, made anew, or without a leader: ask again what there is.
                self.states_read.remove(&*partition.topic);
                self.starts.remove(partition);
            }
        }
        ends.start = partitions
            .iter()
            .filter_map(|partition| Some((partition.clone(), self.starts.get(partition)?.1)))
            .collect();
        Ok(ends)
    }

    /// How long to wait after so many failures. Doubles with each; the jitter keeps controllers and clusters from marching in step.
    pub(super) fn pause(&self) -> Duration {
        let doubled = Duration::from_millis(500) * 2_u32.pow(self.failures.min(6) - 1);
        let mut hasher = self.random.build_hasher();
        hasher.write_u32(self.failures);
        let share = (hasher.finish() % 1000) as f64 / 1000.0;
        doubled.min(LONGEST_PAUSE).mul_f64(0.75 + 0.5 * share)
    }
}
