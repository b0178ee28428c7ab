//! Where a group begins that has never committed anything.
//!
//! The first offsets are written before the first pod is there. So lag is defined from the
//! beginning, `Latest` means the moment when the resource was first seen, and every member begins
//! at the same place. So does a topic that is added while nobody is there. A partition that is added later is left
//! alone: its worker begins at the oldest record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Need;
use crate::api::StartAt;
use crate::kafka::admin::{Admin, Answers, Committed, Error, Spec};
use crate::topic::{Offset, TopicPartition};

/// How long Kafka may take for each question.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a group's first offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// They were written: the group had none and no members.
    Written(BTreeMap<TopicPartition, Offset>),
    /// Those that Kafka had forgotten were written again.
    Restored(BTreeMap<TopicPartition, Offset>),
    /// The group goes on from what it has committed.
    Resumes,
    /// The group has members and no commits: what it reads is their business.
    HasMembers(usize),
}

/// Writes the first offsets of a group without commits and members, if it still may: those that it had committed
/// `last`, where that is known. Of a group that has commits, those of `added` topics of which it has none.
///
/// # Errors
/// If Kafka cannot be asked, or refuses.
pub async fn initial_offsets(
    admin: &Admin,
    need: &Need,
    (start_at, added): (StartAt, &BTreeSet<String>),
    last: &BTreeMap<TopicPartition, Committed>,
    may_write: &(dyn Fn() -> bool + Send + Sync),
) -> Result<Start, Error> {
    let topics: BTreeSet<String> = need.topics.iter().cloned().collect();
    let mut partitions = Vec::new();
    for (topic, numbers) in admin.partitions(&topics, TIMEOUT).await? {
        let numbers = numbers?;
        partitions.extend(numbers.into_iter().map(|n| TopicPartition::new(&*topic, n)));
    }

    let group = need.group_id.as_str();
    let committed = all(admin.committed(group, &partitions, TIMEOUT).await?)?;
    let begun = committed.iter().filter(|(_, it)| it.offset.is_some());
    let begun: BTreeSet<&str> = begun.map(|(partition, _)| &*partition.topic).collect();
    let resumes = !begun.is_empty();
    if resumes {
        partitions.retain(|it| added.contains(&*it.topic) && !begun.contains(&*it.topic));
    }
    if partitions.is_empty() {
        return Ok(Start::Resumes);
    }
    match admin.group(group, TIMEOUT).await {
        Ok(group) if !group.members.is_empty() => {
            return Ok(Start::HasMembers(group.members.len()));
        }
        // A broker that cannot describe groups still refuses the write below if there are members.
        Ok(_) | Err(Error::NoSuchGroup | Error::Unsupported(_)) => {}
        Err(error) => return Err(error),
    }

    let anew = resumes || last.is_empty();
    let first = match anew {
        true => without_texts(first_offsets(admin, &partitions, start_at).await?),
        false => where_it_was(admin, &partitions, last).await?,
    };
    if !may_write() {
        return Err(Error::Later("not written any more".to_owned()));
    }
    let written = admin.alter_committed(group, &first, TIMEOUT).await?;
    let offsets = first
        .into_iter()
        .map(|(partition, (at, _))| (partition, at));
    let offsets = offsets.collect();
    match all(written) {
        Ok(_) if anew => Ok(Start::Written(offsets)),
        Ok(_) => Ok(Start::Restored(offsets)),
        // Somebody joined in the meantime.
        Err(Error::GroupBusy) => Ok(Start::HasMembers(1)),
        Err(error) => Err(error),
    }
}

type Texts = BTreeMap<TopicPartition, (Offset, Vec<u8>)>;

fn without_texts(offsets: BTreeMap<TopicPartition, Offset>) -> Texts {
    let offsets = offsets.into_iter();
    offsets
        .map(|(partition, offset)| (partition, (offset, Vec::new())))
        .collect()
}

/// What was committed `last`, with its texts: workers know by them of what topic that was said. A partition that was
/// never committed, that has fewer records than that now, or of which retention has taken more, begins with its oldest
/// record.
async fn where_it_was(
    admin: &Admin,
    partitions: &[TopicPartition],
    last: &BTreeMap<TopicPartition, Committed>,
) -> Result<Texts, Error> {
    let oldest = first_offsets(admin, partitions, StartAt::Earliest).await?;
    // Who reads what is not committed may have been beyond the last stable offset.
    let ends = all(admin
        .offsets(partitions, Spec::HighWatermark, TIMEOUT)
        .await?)?;
    let mut offsets = without_texts(oldest);
    for (partition, committed) in last {
        let end = ends.get(partition).copied().flatten();
        let end = end.unwrap_or(Offset(0));
        if let Some(at) = committed.offset.filter(|&at| at <= end)
            && let Some(begin) = offsets.get_mut(partition)
        {
            *begin = (at.max(begin.0), committed.metadata.clone());
        }
    }
    Ok(offsets)
}

async fn first_offsets(
    admin: &Admin,
    partitions: &[TopicPartition],
    start_at: StartAt,
) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
    let spec = match start_at {
        StartAt::Earliest => Spec::Earliest,
        StartAt::Latest => Spec::Latest,
        StartAt::Time(time) => Spec::Time(time.as_millisecond()),
    };
    let found = all(admin.offsets(partitions, spec, TIMEOUT).await?)?;
    // A time after the last record is a place at the end.
    let without: Vec<TopicPartition> = found
        .iter()
        .filter(|(_, offset)| offset.is_none())
        .map(|(partition, _)| partition.clone())
        .collect();
    let ends = all(admin.offsets(&without, Spec::Latest, TIMEOUT).await?)?;
    found
        .into_iter()
        .map(|(partition, offset)| {
            let offset = offset.or_else(|| ends.get(&partition).copied().flatten());
            let offset = offset.ok_or_else(|| Error::Later(format!("{partition} has no end")))?;
            Ok((partition, offset))
        })
        .collect()
}

/// All values, or the first failure: half an answer is none here.
fn all<T>(answers: Answers<T>) -> Result<BTreeMap<TopicPartition, T>, Error> {
    answers
        .into_iter()
        .map(|(partition, answer)| answer.map(|value| (partition, value)))
        .collect()
}
