//! A member of a consumer group, read event by event.
//!
//! Never blocks, but for what says so. Whoever holds it polls it at least every
//! `max.poll.interval.ms`, answers every [`Polled::Assign`](super::Polled) with [`Consumer::assign`]
//! and every [`Polled::Revoke`](super::Polled), sooner or later, with [`Consumer::unassign`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::{Offset as Position, TopicPartitionList};
use tracing::debug;

use super::errors::{CommitError, Error};
pub use super::native::Place;
use super::native::{self, Event, Queue, Tokens};
use super::oauth::Grant;
use crate::topic::{Offset, TopicPartition};
use crate::worker_config::GroupProtocol;

/// A member of a consumer group. Drop it by [`Consumer::close`], which waits for the broker.
pub struct Consumer {
    // Before `base`: they must not outlive it.
    queue: Queue,
    _tokens: Option<Tokens>,
    base: Arc<BaseConsumer<Context>>,
    protocol: GroupProtocol,
}

/// A frontier to commit.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to read.
    pub offset: Offset,
    /// At most 4,096 bytes.
    pub metadata: String,
}

/// Topics' ids, in Base64: a topic that was deleted and made anew has another.
pub type TopicIds = BTreeMap<String, String>;

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At this offset.
    At(Offset),
    /// At the oldest record.
    Oldest,
    /// Where the group stands, which librdkafka asks for; [`super::errors::ReadError::OutOfRange`]
    /// where it stands nowhere.
    Committed,
}

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The partition.
    pub partition: TopicPartition,
    /// None where nothing was committed.
    pub offset: Option<Offset>,
    /// Anybody may have written it.
    pub metadata: Option<Vec<u8>>,
}

impl Consumer {
    /// A member of the group that `config` names. `wake` is called, in a thread of librdkafka's,
    /// when there is something to poll and there was nothing before.
    pub fn connect(
        config: &ClientConfig,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Create {
            kind: "consumer",
            source,
        };
        let (config, grant) = Grant::take(config);
        let mut base = BaseConsumer::from_config_and_context(&config, Context).map_err(failed)?;
        base.set_nonempty_callback(wake);
        let queue = Queue::of_consumer(&base)
            .ok_or_else(|| failed(KafkaError::ClientCreation("no consumer queue".into())))?;
        Ok(Self {
            queue,
            _tokens: Tokens::keep(base.client(), grant),
            base: Arc::new(base),
            protocol: match config.get("group.protocol") {
                Some("consumer") => GroupProtocol::Consumer,
                _ => GroupProtocol::Classic,
            },
        })
    }

    /// Joins the group.
    pub fn subscribe(&self, topics: &[String]) -> Result<(), Error> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.base
            .subscribe(&names)
            .map_err(|source| Error::Subscribe {
                topics: topics.join(", "),
                source,
            })
    }

    /// The next event, if there is one.
    pub fn poll(&self) -> Option<Event> {
        self.queue.poll()
    }

    /// Sends a commit; its result comes as [`Polled::Committed`](super::Polled), with its `number`, unless this fails.
    pub fn commit(&self, commits: &[Commit], number: usize) -> Result<(), CommitError> {
        let mut list = TopicPartitionList::with_capacity(commits.len());
        for commit in commits {
            let TopicPartition { topic, partition } = &commit.partition;
            let mut element = list.add_partition(topic, *partition);
            // Only fails for an offset that is no number.
            let _ = element.set_offset(Position::Offset(commit.offset.0));
            element.set_metadata(&commit.metadata);
        }
        self.queue
            .commit(&self.base, &list, number)
            .map_err(CommitError::of)
    }

    /// Answers an assignment.
    pub fn assign(&self, partitions: &[(TopicPartition, Begin)]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (TopicPartition { topic, partition }, begin) in partitions {
            let position = match begin {
                Begin::At(offset) => Position::Offset(offset.0),
                Begin::Oldest => Position::Beginning,
                Begin::Committed => Position::Invalid,
            };
            list.add_partition_offset(topic, *partition, position)?;
        }
        match self.base.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.base.incremental_assign(&list),
            _ => self.base.assign(&list),
        }
    }

    /// Answers a revocation. Eager groups always take everything.
    pub fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        match self.base.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.base.incremental_unassign(&list(partitions)),
            _ => self.base.unassign(),
        }
    }

    /// The assignment that is being taken is already someone else's.
    pub fn assignment_lost(&self) -> bool {
        self.base.assignment_lost()
    }

    /// Reads no further from these partitions.
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.base.pause(&list(partitions))
    }

    /// Reads on.
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.base.resume(&list(partitions))
    }

    /// A call that asks for what the group has committed. It **blocks**: for a thread of its own.
    pub fn committed(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> impl FnOnce() -> Result<Vec<Committed>, KafkaError> + Send + use<> {
        let base = Arc::clone(&self.base);
        let list = list(partitions);
        move || committed(&base, list, timeout)
    }

    /// As [`Consumer::committed`], of all partitions of `topics`, whoever they are assigned to.
    pub fn committed_by_all(
        &self,
        topics: &[String],
        timeout: Duration,
    ) -> impl FnOnce() -> Result<Vec<Committed>, KafkaError> + Send + use<> {
        let base = Arc::clone(&self.base);
        let partitions = self.partitions_of(topics, timeout);
        move || committed(&base, list(&partitions()?), timeout)
    }

    /// A call that asks for all partitions of `topics`, whoever they are assigned to. It **blocks**: for a thread
    /// of its own.
    pub fn partitions_of(
        &self,
        topics: &[String],
        timeout: Duration,
    ) -> impl FnOnce() -> Result<Vec<TopicPartition>, KafkaError> + Send + use<> {
        let base = Arc::clone(&self.base);
        let topics = topics.to_vec();
        move || {
            let mut partitions = Vec::new();
            for topic in &topics {
                let metadata = base.fetch_metadata(Some(topic), timeout)?;
                let found = metadata.topics().iter().flat_map(|topic| {
                    let name = topic.name();
                    let ids = topic.partitions().iter().map(|partition| partition.id());
                    ids.map(move |id| TopicPartition::new(name, id))
                });
                partitions.extend(found);
            }
            Ok(partitions)
        }
    }

    /// A call that asks for the ids of the topics of `partitions`; those that cannot be had are left
    /// out. It **blocks**: for a thread of its own.
    pub fn topic_ids(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> impl FnOnce() -> TopicIds + Send + use<> {
        let base = Arc::clone(&self.base);
        let topics: BTreeSet<Arc<str>> = partitions.iter().map(|p| p.topic.clone()).collect();
        move || match native::topic_ids(&base, &topics, timeout) {
            Ok(ids) => ids,
            Err(code) => {
                debug!(%code, "ask for the ids of topics");
                TopicIds::new()
            }
        }
    }

    /// Reads on from `offset`; what was read ahead is dropped. An error that is met later comes as
    /// an event.
    pub fn seek(&self, partition: &TopicPartition, offset: Offset) -> Result<(), KafkaError> {
        let TopicPartition { topic, partition } = partition;
        // Without waiting: librdkafka's own thread does it.
        let now = Duration::ZERO;
        self.base
            .seek(topic, *partition, Position::Offset(offset.0), now)
    }

    /// A call that asks for the oldest offset of a partition and the next one. It **blocks**: for a
    /// thread of its own.
    pub fn watermarks(
        &self,
        partition: &TopicPartition,
        timeout: Duration,
    ) -> impl Fn() -> Result<(Offset, Offset), KafkaError> + Clone + Send + use<> {
        let base = Arc::clone(&self.base);
        let TopicPartition { topic, partition } = partition.clone();
        move || {
            let (low, high) = base.fetch_watermarks(&topic, partition, timeout)?;
            Ok((Offset(low), Offset(high)))
        }
    }

    /// A call that asks whether the group has taken us in. It **blocks**: for a thread of its own.
    pub fn membership(&self) -> impl FnOnce() -> bool + Send + use<> {
        let base = Arc::clone(&self.base);
        move || native::place(&base).generation.is_some()
    }

    /// A call that asks who it is in its group. It **blocks**, for as long as librdkafka's own thread is busy.
    pub fn place(&self) -> impl FnOnce() -> Place + Send + use<> {
        let base = Arc::clone(&self.base);
        move || native::place(&base)
    }

    /// A call that asks whether members of the classic protocol keep this one out, which speaks the
    /// consumer protocol: brokers convert the group for it, but not one whose assignor keeps data of
    /// its own, as librdkafka's cooperative one does, and librdkafka asks on without a word. It
    /// **blocks**: for a thread of its own.
    pub fn kept_out(&self, group: &str, timeout: Duration) -> impl FnOnce() -> bool + Send + use<> {
        let base = Arc::clone(&self.base);
        let group = group.to_owned();
        let newer = self.protocol == GroupProtocol::Consumer;
        move || {
            // Of a group of the consumer protocol this question says that it is dead.
            const WITH_MEMBERS: [&str; 3] = ["PreparingRebalance", "CompletingRebalance", "Stable"];
            newer
                && base
                    .fetch_group_list(Some(&group), timeout)
                    .is_ok_and(|list| {
                        let mut groups = list.groups().iter();
                        groups.any(|group| WITH_MEMBERS.contains(&group.state()))
                    })
        }
    }

    /// The group has, or may have, a member that is this one: it is in, or was given an id to join
    /// with, and has not left.
    pub fn must_leave(&self) -> bool {
        let place = native::place(&self.base);
        match self.protocol {
            GroupProtocol::Classic => !place.id.is_empty(),
            // The id is its own, and stays.
            GroupProtocol::Consumer => place.generation.is_some(),
        }
    }

    /// Wishes to leave the group. What is held is asked back as in any rebalance; then the group is
    /// told, and [`Consumer::must_leave`] ends. A wish that comes while the group rebalances is put off
    /// until that is over, so polling and answering go on meanwhile.
    pub fn unsubscribe(&self) {
        self.base.unsubscribe();
    }

    /// Looks whether a broker answers, from another thread.
    pub fn looker(&self, timeout: Duration) -> Looker {
        Looker {
            base: Arc::clone(&self.base),
            timeout,
        }
    }

    /// A call that waits until the group's coordinator answers. It **blocks**: for a thread of its
    /// own.
    ///
    /// A broker answers one connection's requests in their order: what was asked before is answered
    /// then. While a classic group waits for members to join, those that have asked to hear nothing
    /// from it, nor does it hear them.
    pub fn coordinator(
        &self,
        any: &TopicPartition,
        timeout: Duration,
    ) -> impl FnOnce() -> Result<(), KafkaError> + Send + use<> {
        let base = Arc::clone(&self.base);
        let list = list(std::slice::from_ref(any));
        move || base.committed_offsets(list, timeout).map(|_| ())
    }

    /// Ends the client, and gives back at once what it still holds. It **blocks**, and may, by a defect
    /// of librdkafka's, never return: for a thread of its own. Who has not left the group before may
    /// stay in it for the broker until its session has run out: closing within a rebalance, librdkafka
    /// 2.12 forgets to leave, or leaves over a connection that nobody reads at the time.
    pub fn close(self) {
        // Closing a member of a classic group that holds no partition, librdkafka 2.12 forgets to
        // leave; unsubscribing, it does not.
        self.base.unsubscribe();
        drop(self);
    }
}

/// Looks whether a broker answers.
#[derive(Clone)]
pub struct Looker {
    base: Arc<BaseConsumer<Context>>,
    timeout: Duration,
}

impl Looker {
    /// Asks any broker for the cluster's metadata. It **blocks**: for a thread of its own.
    pub fn look(&self) -> Result<(), KafkaError> {
        // Of no topic in particular: a few bytes whatever the cluster's size would be better still,
        // but librdkafka only asks for one topic or all.
        self.base
            .client()
            .fetch_metadata(Some(NO_TOPIC), self.timeout)
            .map(|_| ())
    }
}

/// A topic that hardly exists and that asking for does not create.
const NO_TOPIC: &str = "__drover_is_anybody_there";

fn committed(
    base: &BaseConsumer<Context>,
    partitions: TopicPartitionList,
    timeout: Duration,
) -> Result<Vec<Committed>, KafkaError> {
    let list = base.committed_offsets(partitions, timeout)?;
    let metadata = native::metadata(&list);
    let elements = list.elements();
    let committed = elements.iter().zip(metadata).map(|(element, metadata)| {
        element.error()?;
        Ok(Committed {
            partition: TopicPartition::new(element.topic(), element.partition()),
            offset: match element.offset() {
                Position::Offset(offset) => Some(Offset(offset)),
                _ => None,
            },
            metadata,
        })
    });
    committed.collect()
}

fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for TopicPartition { topic, partition } in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

/// Takes what librdkafka says while `rdkafka` polls by itself, which is when a consumer is closed.
/// Its own answer to a revocation, to unassign at once, is then the right one.
pub struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log_line(level as i32, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "Kafka client");
    }
}

impl ConsumerContext for Context {}

/// Writes a line of librdkafka's into our log.
///
/// Lines about connections come in floods and are told once
/// a change of state by whoever polls, so here they are for those who look closely.
pub fn log_line(level: i32, facility: &str, text: &str) {
    match (level, facility) {
        (_, "FAIL" | "ERROR") | (7.., _) => {
            tracing::debug!(target: "librdkafka", facility, "{text}");
        }
        (0..=3, _) => tracing::error!(target: "librdkafka", facility, "{text}"),
        (4, _) => tracing::warn!(target: "librdkafka", facility, "{text}"),
        _ => tracing::info!(target: "librdkafka", facility, "{text}"),
    }
}
