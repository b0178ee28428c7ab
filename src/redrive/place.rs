//! The dead-letter topic: which one, how much is in it, and what of it was replayed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::filter::Whose;
use super::marks::Marks;
use super::reach::Reach;
use crate::kafka::admin::{Admin, Answers, Committed, Error, Spec};
use crate::kafka::scan::Scan;
use crate::topic::{Offset, TopicPartition};

/// Offsets from the oldest to the end, by partition.
pub type Log = BTreeMap<i32, Range<i64>>;

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

    /// What is in the topic at this moment.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub async fn log(&self, admin: &Admin) -> anyhow::Result<Log> {
        let asked = BTreeSet::from([self.topic.clone()]);
        let found = logs(admin, &asked, self.reach.timeout).await;
        let log =
            found.and_then(|mut found| found.remove(&self.topic).unwrap_or(Err(Error::Missing)));
        log.map_err(|error| self.no_log(&error))
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

    /// What was replayed.
    ///
    /// # Errors
    /// If the brokers do not answer or refuse.
    pub async fn marks(&self, admin: &Admin, log: &Log) -> Result<Noted, Error> {
        let partitions = self.partitions(log.keys().copied());
        let timeout = self.reach.timeout;
        match admin.committed(&self.group(), &partitions, timeout).await {
            Err(Error::NoSuchGroup) => Ok(self.nothing(log)),
            committed => self.noted(log, committed?),
        }
    }

    /// What was replayed, by what its group has committed.
    ///
    /// # Errors
    /// If that is not known of a partition.
    pub fn noted(&self, log: &Log, committed: Answers<Committed>) -> Result<Noted, Error> {
        let mut noted = self.nothing(log);
        for (partition, committed) in committed {
            let committed = committed?;
            let end = log.get(&partition.partition).map_or(0, |range| range.end);
            if let Some(offset) = committed.offset {
                let marks = Marks::read(offset, &committed.metadata, end);
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

/// What is in these topics at this moment, in as few questions as for one.
///
/// # Errors
/// If the brokers do not answer. What is wrong with one topic hides no other.
pub async fn logs(
    admin: &Admin,
    topics: &BTreeSet<String>,
    timeout: Duration,
) -> Result<BTreeMap<String, Result<Log, Error>>, Error> {
    let found = admin.partitions(topics, timeout).await?;
    let mut logs = BTreeMap::new();
    let mut partitions = Vec::new();
    for (topic, numbers) in found {
        let log = numbers.map(|numbers| {
            let name: Arc<str> = topic.as_str().into();
            let these = numbers.into_iter();
            partitions.extend(these.map(|number| TopicPartition::new(name.clone(), number)));
            Log::new()
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
            (Ok(range), Ok(log)) => {
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
