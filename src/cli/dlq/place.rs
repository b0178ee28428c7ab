//! The dead-letter topic: which one, how much is in it, and what of it was replayed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{anyhow, bail};
use clap::Args;
use kube::ResourceExt;

use super::marks::Marks;
use crate::cli::connection::{Connection, ConnectionArgs};
use crate::kafka::admin::{Admin, Error, Spec};
use crate::kafka::scan::Scan;
use crate::topic::TopicPartition;

/// Which dead-letter topic.
#[derive(Args, Clone, Debug)]
pub(super) struct PlaceArgs {
    /// The dead-letter topic; default is the KafkaConsumer's
    #[arg(long)]
    topic: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Offsets from the oldest to the end, by partition.
pub(super) type Log = BTreeMap<i32, Range<i64>>;

/// What was replayed, by partition; none where it is there and cannot be read.
pub(super) type Noted = BTreeMap<i32, Option<Marks>>;

/// A dead-letter topic.
pub(super) struct Place {
    pub connection: Connection,
    pub topic: String,
}

impl PlaceArgs {
    pub async fn resolve(&self) -> anyhow::Result<Place> {
        let connection = self.connection.resolve().await?;
        let theirs = || {
            let delivery = connection.consumer.as_ref()?.spec.delivery.as_ref()?;
            Some(delivery.dead_letter.as_ref()?.topic.clone())
        };
        let topic = match (self.topic.clone().or_else(theirs), &connection.consumer) {
            (Some(topic), _) => topic,
            (None, Some(consumer)) => bail!(
                "KafkaConsumer {} has no dead-letter topic (spec.delivery.deadLetter.topic); name one with --topic",
                consumer.name_any()
            ),
            (None, None) => bail!("no dead-letter topic is named; add --topic"),
        };
        Ok(Place { connection, topic })
    }
}

impl Place {
    /// The consumer group, and transactional id, of replays.
    pub fn group(&self) -> String {
        format!("drover.redrive.{}", self.topic)
    }

    /// What is in the topic at this moment.
    pub async fn log(&self, admin: &Admin) -> anyhow::Result<Log> {
        let asked = BTreeSet::from([self.topic.clone()]);
        let what = format!("read the offsets of topic {}", self.topic);
        let explain = |error: Error| match error {
            Error::Missing => anyhow!(
                "topic {} does not exist at {}; correct --topic or --bootstrap",
                self.topic,
                self.connection.bootstrap
            ),
            error => self.connection.explain(&what, &error),
        };
        let timeout = self.connection.timeout;
        let found = admin.partitions(&asked, timeout).await.map_err(explain)?;
        let numbers = found.into_values().next().unwrap_or(Err(Error::Missing));
        let partitions = self.partitions(numbers.map_err(explain)?);
        let starts = admin.offsets(&partitions, Spec::Earliest, timeout).await;
        let ends = admin.offsets(&partitions, Spec::Latest, timeout).await;
        let (starts, mut ends) = (starts.map_err(explain)?, ends.map_err(explain)?);
        let mut log = Log::new();
        for (partition, start) in starts {
            let end = ends.remove(&partition).unwrap_or(Err(Error::Missing));
            let (start, end) = (start.map_err(explain)?, end.map_err(explain)?);
            let unknown = || explain(Error::Later(format!("{partition} has no offsets yet")));
            let start = start.ok_or_else(unknown)?.0;
            let end = end.ok_or_else(unknown)?.0;
            log.insert(partition.partition, start..end.max(start));
        }
        Ok(log)
    }

    /// What was replayed.
    pub async fn marks(&self, admin: &Admin, log: &Log) -> Result<Noted, Error> {
        let partitions = self.partitions(log.keys().copied());
        let timeout = self.connection.timeout;
        let committed = match admin.committed(&self.group(), &partitions, timeout).await {
            Err(Error::NoSuchGroup) => return Ok(self.nothing(log)),
            committed => committed?,
        };
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

    /// Reads these ranges.
    pub fn scan(&self, ranges: &Log) -> anyhow::Result<Scan> {
        let kafka = self.connection.kafka();
        let patience = Some(self.connection.timeout);
        Scan::open(&kafka, &self.topic, ranges, patience).map_err(|error| self.cannot_read(&error))
    }

    /// Waits for what comes behind these ends, for as long as it takes.
    pub fn follow(&self, log: &Log) -> anyhow::Result<Scan> {
        let ranges = log
            .iter()
            .map(|(&number, range)| (number, range.end..i64::MAX))
            .collect();
        Scan::open(&self.connection.kafka(), &self.topic, &ranges, None)
            .map_err(|error| self.cannot_read(&error))
    }

    pub fn cannot_read(&self, error: &Error) -> anyhow::Error {
        let what = format!("read topic {}", self.topic);
        self.connection.explain(&what, error)
    }

    pub fn partitions(&self, numbers: impl IntoIterator<Item = i32>) -> Vec<TopicPartition> {
        let topic: std::sync::Arc<str> = self.topic.as_str().into();
        let partition = |number| TopicPartition::new(topic.clone(), number);
        numbers.into_iter().map(partition).collect()
    }
}
