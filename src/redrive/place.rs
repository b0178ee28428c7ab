//! The dead-letter topic: which one, how much is in it, and what of it was replayed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, ensure};

use super::filter::Whose;
use super::marks::Marks;
use super::reach::Reach;
use crate::clock::Monotonic;
use crate::kafka::admin::{Admin, Answers, Committed, Error, Spec};
use crate::kafka::scan::Scan;
use crate::topic::{Offset, TopicPartition};

/// From question to question about what may be otherwise in a moment.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a broker may take to say that a topic is still the same.
const SOON: Duration = Duration::from_secs(5);

/// Offsets from the oldest to the end, by partition.
pub type Log = BTreeMap<i32, Range<i64>>;

/// Kafka's id of a topic: one of the same name that was deleted and made anew has another. None where the brokers give
/// none.
pub type Life = Option<String>;

/// What was replayed, by partition; none where it is there and cannot be read.
pub type Noted = BTreeMap<i32, Option<Marks>>;

/// A dead-letter topic.
pub struct Place {
    /// Where its Kafka is.
    pub reach: Reach,
    /// Its name.
    pub topic: String,
    /// The KafkaConsumer that it belongs to, if one is known.
    pub fleet: Option<Fleet>,
}

/// What a KafkaConsumer says of where its dead letters may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Its name.
    pub name: String,
    /// What it reads.
    pub topics: Vec<String>,
    /// Its own topic for what is replayed.
    pub retry_topic: Option<String>,
    /// As its dead letters name it.
    pub whose: Whose,
}

impl Place {
    /// The consumer group, and transactional id, of replays.
    pub fn group(&self) -> String {
        format!("drover.redrive.{}", self.topic)
    }

    /// The topic of the KafkaConsumer's own for what is replayed.
    pub fn retry_topic(&self) -> Option<String> {
        self.fleet.as_ref()?.retry_topic.clone()
    }

    /// What is in the topic at this moment, and of which topic of that name that is. What may be otherwise in a moment,
    /// as while a broker starts, is asked again for as long as brokers are waited for.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub async fn log(&self, admin: &Admin) -> anyhow::Result<(Log, Life)> {
        let asked = BTreeSet::from([self.topic.clone()]);
        let clock = Monotonic::start();
        loop {
            let found = logs(admin, &asked, self.reach.timeout).await;
            let log = found
                .and_then(|mut found| found.remove(&self.topic).unwrap_or(Err(Error::Missing)));
            match log {
                Err(Error::Later(_) | Error::Moved) if clock.elapsed() < self.reach.timeout => {
                    tokio::time::sleep(AGAIN).await;
                }
                log => return log.map_err(|error| self.no_log(&error)),
            }
        }
    }

    /// Makes sure that the topic is still the one that was looked at. What is not answered soon is not known, and ends
    /// nothing.
    ///
    /// # Errors
    /// In one line, if it was deleted and made anew.
    pub async fn is_still(&self, admin: &Admin, life: &Life) -> anyhow::Result<()> {
        let Some(life) = life else { return Ok(()) };
        let asked = BTreeSet::from([self.topic.clone()]);
        let soon = self.reach.timeout.min(SOON);
        let found = admin.topics(&asked, false, soon).await;
        let now = found.ok().and_then(|found| found.into_values().next());
        let now = now.and_then(|now| now.ok()?.id);
        ensure!(
            now.is_none_or(|now| now == *life),
            "topic {} was deleted and made anew meanwhile; nothing was done with what is in the new one: begin again",
            self.topic
        );
        Ok(())
    }

    /// Why it is not known what is in the topic, and what to do.
    pub fn no_log(&self, error: &Error) -> anyhow::Error {
        match error {
            Error::Missing => anyhow!(
                "topic {} does not exist at {}; correct {} or {}",
                self.topic,
                self.reach.bootstrap,
                self.reach.words.topic,
                self.reach.words.bootstrap
            ),
            error => {
                let what = format!("read the offsets of topic {}", self.topic);
                self.reach.explain(&what, error)
            }
        }
    }

    /// What was replayed of the topic with this id.
    ///
    /// # Errors
    /// If the brokers do not answer or refuse.
    pub async fn marks(&self, admin: &Admin, log: &Log, life: &Life) -> Result<Noted, Error> {
        let partitions = self.partitions(log.keys().copied());
        let timeout = self.reach.timeout;
        let clock = Monotonic::start();
        loop {
            let noted = match admin.committed(&self.group(), &partitions, timeout).await {
                Err(Error::NoSuchGroup) => Ok(self.nothing(log)),
                committed => committed.and_then(|committed| self.noted(log, life, committed)),
            };
            match noted {
                Err(Error::Later(_) | Error::Moved) if clock.elapsed() < timeout => {
                    tokio::time::sleep(AGAIN).await;
                }
                noted => return noted,
            }
        }
    }

    /// What was replayed, by what its group has committed.
    ///
    /// # Errors
    /// If that is not known of a partition.
    pub fn noted(
        &self,
        log: &Log,
        life: &Life,
        committed: Answers<Committed>,
    ) -> Result<Noted, Error> {
        let mut noted = self.nothing(log);
        for (partition, committed) in committed {
            let committed = committed?;
            let end = log.get(&partition.partition).map_or(0, |range| range.end);
            if let Some(offset) = committed.offset {
                let marks = Marks::read(offset, &committed.metadata, end, life.as_deref());
                noted.insert(partition.partition, marks);
            }
        }
        Ok(noted)
    }

    fn nothing(&self, log: &Log) -> Noted {
        log.keys()
            .map(|&partition| (partition, Some(Marks::default())))
            .collect()
    }

    /// Reads these ranges, which are there.
    ///
    /// # Errors
    /// If librdkafka refuses a property.
    pub fn scan(&self, ranges: &Log) -> anyhow::Result<Scan> {
        let kafka = self.reach.kafka();
        let patience = Some(self.reach.timeout);
        let scan = Scan::open(&kafka, &self.topic, ranges, patience);
        scan.map(Scan::whole)
            .map_err(|error| self.cannot_read(&error))
    }

    /// Waits for what comes behind these ends, for as long as it takes.
    ///
    /// # Errors
    /// If librdkafka refuses a property.
    pub fn follow(&self, log: &Log) -> anyhow::Result<Scan> {
        let ranges = log
            .iter()
            .map(|(&number, range)| (number, range.end..i64::MAX))
            .collect();
        Scan::open(&self.reach.kafka(), &self.topic, &ranges, None)
            .map_err(|error| self.cannot_read(&error))
    }

    /// What went wrong while the topic was read, and what to do.
    pub fn cannot_read(&self, error: &Error) -> anyhow::Error {
        let what = format!("read topic {}", self.topic);
        self.reach.explain(&what, error)
    }

    /// The topic's partitions of these numbers.
    pub fn partitions(&self, numbers: impl IntoIterator<Item = i32>) -> Vec<TopicPartition> {
        let topic: Arc<str> = self.topic.as_str().into();
        let partition = |number| TopicPartition::new(topic.clone(), number);
        numbers.into_iter().map(partition).collect()
    }
}

/// What is in these topics at this moment, and which they are, in as few questions as for one.
///
/// # Errors
/// If the brokers do not answer. What is wrong with one topic hides no other.
pub async fn logs(
    admin: &Admin,
    topics: &BTreeSet<String>,
    timeout: Duration,
) -> Result<BTreeMap<String, Result<(Log, Life), Error>>, Error> {
    // Which topic it is, before what is in it: of one that is made anew in between, the id is the old one's, and what is
    // done with the new one does not count.
    let found = admin.topics(topics, false, timeout).await?;
    let mut logs = BTreeMap::new();
    let mut partitions = Vec::new();
    for (topic, described) in found {
        let log = described.map(|described| {
            let name: Arc<str> = topic.as_str().into();
            let these = described.partitions.into_iter();
            partitions.extend(these.map(|number| TopicPartition::new(name.clone(), number)));
            (Log::new(), described.id)
        });
        logs.insert(topic, log);
    }
    let starts = admin.offsets(&partitions, Spec::Earliest, timeout).await?;
    let mut ends = admin.offsets(&partitions, Spec::Latest, timeout).await?;
    for (partition, start) in starts {
        let end = ends.remove(&partition).unwrap_or(Err(Error::Missing));
        let Some(log) = logs.get_mut(&*partition.topic) else {
            continue;
        };
        match (range(&partition, start, end), log.as_mut()) {
            (Ok(range), Ok((log, _))) => {
                log.insert(partition.partition, range);
            }
            (Err(error), Ok(_)) => *log = Err(error),
            (_, Err(_)) => {}
        }
    }
    Ok(logs)
}

fn range(
    partition: &TopicPartition,
    start: Result<Option<Offset>, Error>,
    end: Result<Option<Offset>, Error>,
) -> Result<Range<i64>, Error> {
    let (start, end) = (start?, end?);
    let unknown = || Error::Later(format!("{partition} has no offsets yet"));
    let start = start.ok_or_else(unknown)?.0;
    let end = end.ok_or_else(unknown)?.0;
    Ok(start..end.max(start))
}
