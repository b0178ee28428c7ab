//! What Kafka says of a record that is to be given up: only one that is there, and that the group has not
//! done with, can be.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use anyhow::{anyhow, bail};

use crate::api::{KafkaConsumer, Skip};
use crate::cli::connection::{Connection, group_id};
use crate::kafka::admin::{Admin, Committed, Error, Spec};
use crate::kafka::scan::{Scan, Step};
use crate::plural::noun;
use crate::report::Report;
use crate::topic::{Offset, TopicPartition};

/// One wait for the record.
const LOOK: Duration = Duration::from_millis(100);

/// What was found.
pub(super) struct Found {
    /// Of the record.
    pub timestamp: i64,
    /// What the group has committed, of this partition and of those of earlier skips.
    pub done: Vec<(TopicPartition, i64)>,
}

/// Looks for the record at `offset`. `lag` is the command that shows where the group stands.
///
/// # Errors
/// In one line with its remedy, if it is not there, not there any more, done with, or cannot be read.
pub(super) async fn look(
    connection: &Connection,
    consumer: &KafkaConsumer,
    partition: &TopicPartition,
    offset: i64,
    entries: &[Skip],
    lag: &str,
) -> anyhow::Result<Found> {
    let admin = connection.admin()?;
    let range = range(connection, &admin, partition).await?;
    if offset >= range.end {
        bail!(
            "{partition} offset {offset} is not there yet: the partition ends before {}; see {lag}",
            range.end
        );
    }
    if offset < range.start {
        bail!(
            "{partition} offset {offset} is not there any more: the partition begins at {}; where the group stands before that, set its offsets with drover reset (docs/outcomes.md)",
            range.start
        );
    }
    let group = group_id(consumer);
    let done = committed(connection, &admin, &group, partition, offset, entries).await?;
    let timestamp = timestamp(connection, partition, offset, lag).await?;
    Ok(Found { timestamp, done })
}

async fn range(
    connection: &Connection,
    admin: &Admin,
    partition: &TopicPartition,
) -> anyhow::Result<Range<i64>> {
    let (topic, timeout) = (partition.topic.to_string(), connection.timeout);
    let what = format!("look for topic {topic}");
    let explain = |error: Error| match error {
        Error::Missing => anyhow!(
            "topic {topic} does not exist at {}; create it or correct the name",
            connection.bootstrap
        ),
        error => connection.explain(&what, &error),
    };
    let asked = BTreeSet::from([topic.clone()]);
    let found = admin.partitions(&asked, timeout).await.map_err(explain)?;
    let numbers = found.into_values().next().unwrap_or(Err(Error::Missing));
    let numbers = numbers.map_err(explain)?;
    if !numbers.contains(&partition.partition) {
        bail!(
            "--partition {}: topic {topic} has {} {}, from 0",
            partition.partition,
            numbers.len(),
            noun("partition", numbers.len())
        );
    }
    let asked = [partition.clone()];
    let end = async |spec| {
        let answer = admin.offsets(&asked, spec, timeout).await;
        let answer = answer.map_err(explain)?.remove(partition);
        let offset = answer.unwrap_or(Err(Error::Missing)).map_err(explain)?;
        let unknown = || explain(Error::Later(format!("{partition} has no offsets yet")));
        anyhow::Ok(offset.ok_or_else(unknown)?.0)
    };
    Ok(end(Spec::Earliest).await?..end(Spec::Latest).await?)
}

async fn committed(
    connection: &Connection,
    admin: &Admin,
    group: &str,
    partition: &TopicPartition,
    offset: i64,
    entries: &[Skip],
) -> anyhow::Result<Vec<(TopicPartition, i64)>> {
    let what = format!("read the offsets of group {group}");
    let explain = |error: Error| connection.explain(&what, &error);
    let mut asked: BTreeSet<TopicPartition> = entries
        .iter()
        .map(|entry| TopicPartition::new(entry.topic.as_str(), entry.partition))
        .collect();
    asked.insert(partition.clone());
    let asked: Vec<_> = asked.into_iter().collect();
    let committed = connection.ask(async |timeout| admin.committed(group, &asked, timeout).await);
    let mut answers = match committed.await {
        Err(Error::NoSuchGroup) => return Ok(Vec::new()),
        answers => answers.map_err(explain)?,
    };
    let done = answers.iter().filter_map(|(partition, answer)| {
        let offset = answer.as_ref().ok()?.offset?;
        Some((partition.clone(), offset.0))
    });
    let done = done.collect();
    let ours = answers.remove(partition).unwrap_or(Err(Error::Missing));
    is_open(&ours.map_err(explain)?, partition, offset, group)?;
    Ok(done)
}

/// The group has not done with the record.
fn is_open(
    committed: &Committed,
    partition: &TopicPartition,
    offset: i64,
    group: &str,
) -> anyhow::Result<()> {
    let Some(next) = committed.offset else {
        return Ok(());
    };
    if offset < next.0 {
        bail!(
            "{partition} offset {offset} is committed past already: group {group} goes on at {next}, so there is nothing to skip"
        );
    }
    let report = std::str::from_utf8(&committed.metadata)
        .ok()
        .and_then(|text| Report::decode(text, next).ok());
    let ahead = report.map(|report| report.ahead).unwrap_or_default();
    if ahead.iter().any(|range| range.contains(&offset)) {
        bail!(
            "{partition} offset {offset} is finished already, and only waits to be committed: group {group} stands at {next}, which is the record to look at"
        );
    }
    Ok(())
}

/// When the record says that it was written: nothing else of it is looked at.
async fn timestamp(
    connection: &Connection,
    partition: &TopicPartition,
    offset: i64,
    lag: &str,
) -> anyhow::Result<i64> {
    let what = format!("read {partition} offset {offset}");
    let ranges = BTreeMap::from([(partition.partition, offset..offset + 1)]);
    let timeout = Some(connection.timeout);
    let scan = Scan::open(&connection.kafka(), &partition.topic, &ranges, timeout);
    let read = move || first(scan?, Offset(offset));
    let found = tokio::task::spawn_blocking(read).await?;
    let found = found.map_err(|error| match error {
        Error::Unreachable(_) | Error::NotAuthorized(_) => connection.explain(&what, &error),
        error => anyhow!(
            "{what}: {error}; its timestamp must be known, so that no other record is skipped; to give up what cannot be read, set the group's offset with drover reset (docs/outcomes.md)"
        ),
    })?;
    match found {
        None => bail!(
            "there is no record at {partition} offset {offset}: it is a transaction's marker, or was taken back or compacted, and holds nothing up; see {lag} for the one that does"
        ),
        Some(None) => bail!(
            "{what}: it has no timestamp, by which another record at its place could be told apart; set the group's offset with drover reset instead (docs/outcomes.md)"
        ),
        Some(Some(timestamp)) => Ok(timestamp),
    }
}

fn first(mut scan: Scan, offset: Offset) -> Result<Option<Option<i64>>, Error> {
    let mut found = None;
    while found.is_none() {
        let step = scan.step(LOOK, |message| {
            if message.offset() == offset {
                found = Some(message.timestamp());
            }
        })?;
        if step == Step::End {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(offset: i64, committed: Option<i64>, metadata: &str) -> Result<(), String> {
        let committed = Committed {
            offset: committed.map(Offset),
            metadata: metadata.as_bytes().to_vec(),
        };
        let partition = TopicPartition::new("orders", 3);
        is_open(&committed, &partition, offset, "group").map_err(|error| error.to_string())
    }

    #[test]
    #[allow(
        clippy::single_range_in_vec_init,
        reason = "a list of ranges may have one"
    )]
    fn only_what_the_group_has_not_done_with_can_be_skipped() {
        let report = Report {
            ahead: vec![44..46],
            ..Report::default()
        };
        let text = report.encode(Offset(42));
        assert_eq!(open(42, Some(42), &text), Ok(()));
        assert_eq!(open(43, Some(42), &text), Ok(()));
        assert_eq!(open(46, Some(42), &text), Ok(()));
        assert_eq!(open(7, None, ""), Ok(()));
        assert_eq!(open(42, Some(42), "somebody else's"), Ok(()));
        let past = open(41, Some(42), &text).unwrap_err();
        assert!(past.contains("is committed past already"), "{past}");
        let ahead = open(45, Some(42), &text).unwrap_err();
        assert!(ahead.contains("is finished already"), "{ahead}");
    }
}
