//! What one cluster's task knows of its topics, and for how long it believes it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
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
/// What is of no fleet any more is forgotten this often.
const TIDIED: Duration = Duration::from_secs(60);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A refusal, of which Kafka only says that it is one, as one of `what`.
pub(super) fn refusal(error: &Error, what: &str) -> Option<Error> {
    let Error::NotAuthorized(why) = error else {
        return None;
    };
    let says = format!(
        "{what} may not be read ({}); allow Describe and Read on it for the user of spec.kafka",
        why.said
    );
    Some(Error::NotAuthorized(says.into()))
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
    tidied: Option<Instant>,
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

    /// Forgets, once in a while, what none of `needs` names, which are all fleets': topics come and go.
    pub(super) fn tidy<'a>(&mut self, needs: impl Iterator<Item = &'a Need> + Clone, now: Instant) {
        if self.tidied.is_some_and(|at| now < at + TIDIED) {
            return;
        }
        self.tidied = Some(now);
        let topics = needs.clone().flat_map(|need| &need.topics);
        let topics: HashSet<&str> = topics.map(String::as_str).collect();
        self.states.retain(|topic, _| topics.contains(&**topic));
        self.states_read
            .retain(|topic, _| topics.contains(topic.as_str()));
        self.starts
            .retain(|partition, _| topics.contains(&*partition.topic));
        self.dead_letters.keep(needs);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::security::Security;
    use crate::lag::Source;

    fn need(topic: &str) -> Need {
        Need {
            source: Source {
                bootstrap_servers: "kafka:9092".to_owned(),
                properties: BTreeMap::new(),
                security: Security::default(),
            },
            topics: vec![topic.to_owned()],
            group_id: "shop".to_owned(),
            dead_letter_topic: Some(format!("{topic}.dlq")),
            own_consumer: false,
        }
    }

    /// Reads a topic with two partitions, as far as a task keeps it.
    fn read(task: &mut Task, need: &Need) {
        let topic: Arc<str> = need.topics[0].as_str().into();
        for number in 0..2 {
            let partition = TopicPartition::new(Arc::clone(&topic), number);
            task.starts.insert(partition, (Instant::now(), Offset(0)));
        }
        task.states_read.insert(topic.to_string(), Instant::now());
        task.states.insert(topic, TopicState::Exists(2));
        task.dead_letters.ask_for(need);
    }

    #[test]
    fn what_is_of_no_fleet_any_more_is_forgotten_within_a_minute() {
        let mut task = Task::default();
        let stays = need("orders");
        read(&mut task, &stays);
        let began = Instant::now();
        for number in 0..1000 {
            read(&mut task, &need(&format!("preview-{number}")));
            task.tidy(std::iter::once(&stays), began);
        }
        task.tidy(std::iter::once(&stays), began + TIDIED);
        let topics: Vec<&str> = task.states.keys().map(|topic| &**topic).collect();
        assert_eq!(topics, ["orders"]);
        assert_eq!((task.states_read.len(), task.starts.len()), (1, 2));
        assert_eq!(task.dead_letters.len(), 1);
    }
}
