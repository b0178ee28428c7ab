//! What Kafka says of the partitions whose offsets are to be set, and what is to be done to each. Nothing is written here.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{anyhow, bail};
use jiff::Timestamp;

use super::step::{Step, in_log};
use super::to::To;
use crate::cli::connection::Connection;
use crate::kafka::admin::{Admin, Answers, Committed, Error, Spec};
use crate::plural::noun;
use crate::topic::{Offset, TopicPartition};

/// What was asked for.
pub(super) struct Wanted {
    pub group: String,
    pub topics: Vec<String>,
    /// None means all.
    pub partitions: BTreeSet<i32>,
    pub to: To,
}

/// A step for each partition that is meant.
///
/// # Errors
/// In one line with its remedy, also if of one of them it cannot be known where it would go on.
pub(super) async fn plan(
    connection: &Connection,
    admin: &Admin,
    wanted: &Wanted,
    now: Timestamp,
) -> anyhow::Result<Vec<Step>> {
    let (partitions, ids) = partitions(connection, admin, wanted).await?;
    let committed = committed(connection, admin, &wanted.group, &partitions).await?;
    let starts = ends(connection, admin, &partitions, Spec::Earliest).await?;
    let ends_at = ends(connection, admin, &partitions, Spec::Latest).await?;
    let first_since = match wanted.to {
        To::At(moment) => {
            let spec = Spec::Time(moment.millis(now));
            ends(connection, admin, &partitions, spec).await?
        }
        _ => BTreeMap::new(),
    };
    let mut steps = Vec::new();
    for partition in partitions {
        let known = |found: &BTreeMap<TopicPartition, Option<Offset>>| {
            found.get(&partition).copied().flatten()
        };
        let (Some(start), Some(end)) = (known(&starts), known(&ends_at)) else {
            return Err(no_ends(
                connection,
                &partition,
                &Error::Later("it has no offsets yet".to_owned()),
            ));
        };
        let log = start.0..end.0;
        let to = match wanted.to {
            To::Earliest => start,
            To::Latest => end,
            // Nothing is as late: it goes on with what comes.
            To::At(_) => known(&first_since).unwrap_or(end),
            To::Offset(offset) => in_log(&partition, offset, &log)?,
        };
        let committed = committed.get(&partition);
        let committed = committed.and_then(|answer| answer.as_ref().ok());
        let id = ids.get(&*partition.topic).map(String::as_str);
        steps.push(Step::new(partition, committed, id, &log, to));
    }
    Ok(steps)
}

/// The partitions that are meant, and the ids of their topics.
async fn partitions(
    connection: &Connection,
    admin: &Admin,
    wanted: &Wanted,
) -> anyhow::Result<(Vec<TopicPartition>, BTreeMap<String, String>)> {
    let asked: BTreeSet<String> = wanted.topics.iter().cloned().collect();
    let found = admin.topics(&asked, false, connection.timeout).await;
    let found = found.map_err(|error| connection.explain("look for the topics", &error))?;
    let (mut partitions, mut ids) = (Vec::new(), BTreeMap::new());
    for (topic, found) in found {
        let mut found = found.map_err(|error| match error {
            Error::Missing => anyhow!(
                "topic {topic} does not exist at {}; create it or correct the name",
                connection.bootstrap
            ),
            error => connection.explain(&format!("look for topic {topic}"), &error),
        })?;
        let mut named = wanted.partitions.iter();
        if let Some(missing) = named.find(|named| !found.partitions.contains(named)) {
            let count = found.partitions.len();
            bail!(
                "--partition {missing}: topic {topic} has {count} {}, from 0",
                noun("partition", count)
            );
        }
        ids.extend(found.id.take().map(|id| (topic.clone(), id)));
        let is_meant =
            |number: &i32| wanted.partitions.is_empty() || wanted.partitions.contains(number);
        let topic: std::sync::Arc<str> = topic.into();
        let numbers = found.partitions.into_iter().filter(is_meant);
        partitions.extend(numbers.map(|number| TopicPartition::new(topic.clone(), number)));
    }
    partitions.sort();
    Ok((partitions, ids))
}

/// What the group has committed; nothing of a group that does not exist.
async fn committed(
    connection: &Connection,
    admin: &Admin,
    group: &str,
    partitions: &[TopicPartition],
) -> anyhow::Result<Answers<Committed>> {
    let answers = connection.ask(async |timeout| admin.committed(group, partitions, timeout).await);
    match answers.await {
        Err(Error::NoSuchGroup) => Ok(Answers::new()),
        answers => answers.map_err(|error| {
            connection.explain(&format!("read the offsets of group {group}"), &error)
        }),
    }
}

/// One offset of each of them, which must all be known: nothing is done by halves that need not be.
async fn ends(
    connection: &Connection,
    admin: &Admin,
    partitions: &[TopicPartition],
    spec: Spec,
) -> anyhow::Result<BTreeMap<TopicPartition, Option<Offset>>> {
    let answers = admin.offsets(partitions, spec, connection.timeout).await;
    let what = "read where the topics begin and end";
    let answers = answers.map_err(|error| connection.explain(what, &error))?;
    let known = answers.into_iter().map(|(partition, answer)| match answer {
        Ok(offset) => Ok((partition, offset)),
        Err(error) => Err(no_ends(connection, &partition, &error)),
    });
    known.collect()
}

fn no_ends(connection: &Connection, partition: &TopicPartition, error: &Error) -> anyhow::Error {
    let what = format!("read where {partition} begins and ends");
    let explained = connection.explain(&what, error);
    anyhow!(
        "{explained}; nothing was written: try again, or name the other partitions with --topic and --partition"
    )
}
