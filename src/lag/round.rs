//! One round of questions to a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;

use super::TopicState;
use super::assemble::{Ends, silence};
use crate::kafka::admin::{Admin, Answers, Committed, Error, Member, Spec};
use crate::topic::{ByPartition, Offset, TopicPartition};

/// How long Kafka may take for an answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// Groups that are asked about at the same time: enough to fill the wait, few enough for the
/// queue of one connection.
const SIDE_BY_SIDE: usize = 32;

/// What was asked, and what failed.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Questions.
    pub(super) requests: AtomicU64,
    /// Questions without an answer.
    pub(super) failures: AtomicU64,
    /// Rounds that ended.
    pub(super) rounds: AtomicU64,
    /// Microseconds that they took, added up.
    pub(super) rounds_took_us: AtomicU64,
}

impl Counters {
    /// A round ended after `took`.
    pub(super) fn round(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.rounds.fetch_add(1, Ordering::Relaxed);
        self.rounds_took_us.fetch_add(took, Ordering::Relaxed);
    }

    fn count<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if answer.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }
}

/// The state of each topic. Fails only if nothing is known of any.
pub(super) async fn topics(
    admin: &Admin,
    counters: &Counters,
    topics: &BTreeSet<String>,
) -> Result<BTreeMap<String, TopicState>, Error> {
    let answer = counters.count(admin.partitions(topics, TIMEOUT).await)?;
    let state = |partitions: Result<Vec<i32>, Error>| match partitions {
        Ok(partitions) => TopicState::Exists(u32::try_from(partitions.len()).unwrap_or(u32::MAX)),
        Err(Error::Missing) => TopicState::Missing,
        Err(error) => TopicState::Unknown(error),
    };
    Ok(answer
        .into_iter()
        .map(|(topic, partitions)| (topic, state(partitions)))
        .collect())
}

/// What each group has committed for its partitions.
pub(super) async fn commits(
    admin: &Admin,
    counters: &Counters,
    mut groups: BTreeMap<String, Vec<TopicPartition>>,
) -> BTreeMap<String, Result<Answers<Committed>, Error>> {
    let (together, questions) = admin.committed_together(&groups, TIMEOUT).await;
    counters.requests.fetch_add(questions, Ordering::Relaxed);
    groups.retain(|group, _| !together.contains_key(group));
    let mut answers: BTreeMap<_, _> = futures::stream::iter(groups)
        .map(|(group, partitions)| async move {
            let answer = admin.committed(&group, &partitions, TIMEOUT).await;
            (group, counters.count(answer))
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await;
    answers.extend(
        together
            .into_iter()
            .map(|(group, answer)| (group, Ok(answer))),
    );
    answers
}

/// The members of each group, of those that the brokers say them of.
pub(super) async fn members(
    admin: &Admin,
    counters: &Counters,
    groups: BTreeSet<String>,
) -> BTreeMap<String, Vec<Member>> {
    futures::stream::iter(groups)
        .map(|group| async move {
            let answer = counters.count(admin.group(&group, TIMEOUT).await);
            let members = match answer {
                Ok(group) => group.members,
                Err(Error::NoSuchGroup) => Vec::new(),
                Err(_) => return None,
            };
            Some((group, members))
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// The high watermarks of these partitions, of those of which they are told.
pub(super) async fn high_watermarks(
    admin: &Admin,
    counters: &Counters,
    partitions: &[TopicPartition],
) -> ByPartition<Offset> {
    if partitions.is_empty() {
        return ByPartition::default();
    }
    let answer = admin.offsets(partitions, Spec::HighWatermark, TIMEOUT);
    let answer = counters.count(answer.await).unwrap_or_default();
    let known = answer.into_iter();
    known
        .filter_map(|(partition, end)| Some((partition, end.ok()??)))
        .collect()
}

/// The ends of all partitions, and the starts of those that want them.
pub(super) async fn ends(
    admin: &Admin,
    counters: &Counters,
    ends: &[TopicPartition],
    starts: &[TopicPartition],
) -> Result<Ends, Error> {
    let (end, start) = tokio::join!(
        admin.offsets(ends, Spec::Latest, TIMEOUT),
        admin.offsets(starts, Spec::Earliest, TIMEOUT),
    );
    let end = counters.count(end)?;
    if let Some(error) = silence(&end) {
        counters.failures.fetch_add(1, Ordering::Relaxed);
        return Err(error);
    }
    let start = if starts.is_empty() {
        Answers::new()
    } else {
        counters.count(start)?
    };
    Ok(Ends {
        end,
        start: start
            .into_iter()
            .filter_map(|(partition, start)| Some((partition, start.ok()??)))
            .collect(),
        high: ByPartition::default(),
    })
}
