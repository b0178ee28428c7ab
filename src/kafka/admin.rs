//! Questions to a Kafka cluster: topics, offsets, what groups have committed.
//!
//! One [`Admin`] for each cluster and set of credentials, kept for as long as it is needed; it
//! serves any number of callers side by side and never blocks a task.

mod asking;
mod error;
mod refusal;

pub use error::Error;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;

use super::by_hand::group_offsets::{self, GroupOffsets};
use super::by_hand::handshake::Handshake;
use super::client_config::{self, Connection};
use super::errors::without_values;
use super::native::admin::Native;
use super::native::answers::{Failure, PerPartition};
pub use super::native::answers::{Member, Topic};
use super::right::{Operation, Right};
use super::security::Security;
use crate::clock::Monotonic;
use crate::topic::{ByPartition, Offset, TopicPartition};
use refusal::Refusal;

/// What librdkafka is given beyond its own time-out before we stop waiting for it.
const GRACE: Duration = Duration::from_secs(1);

/// A client for questions to one cluster.
pub struct Admin {
    config: ClientConfig,
    native: Mutex<Current>,
    together: Option<GroupOffsets>,
    handshake: Option<Handshake>,
    /// The cluster's brokers, the one to ask last.
    brokers: Mutex<Vec<i32>>,
    refusal: Refusal,
}

/// The client in use.
struct Current {
    native: Arc<Native>,
    since: Monotonic,
}

/// Which offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spec {
    /// The oldest record that Kafka still has.
    Earliest,
    /// The next one that a reader of committed records will get.
    Latest,
    /// The one behind the last record, be its transaction open or not.
    HighWatermark,
    /// The first record with this time or a later one, milliseconds since 1970.
    Time(i64),
}

/// What a group has committed for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read; none where nothing was committed.
    pub offset: Option<Offset>,
    /// What the committer wrote beside it, in any form.
    pub metadata: Vec<u8>,
}

/// A group at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its members.
    pub members: Vec<Member>,
    /// In Kafka's words, such as `Stable` or `Empty`.
    pub state: String,
}

/// Values by partition, each with its own failure.
pub type Answers<T> = ByPartition<Result<T, Error>>;

impl Admin {
    /// Opens a client that neither encrypts nor says who it is, unless `properties`, which are
    /// librdkafka's, do. Nothing is connected yet.
    pub fn open(
        bootstrap_servers: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        Self::secured(bootstrap_servers, properties, &Security::default())
    }

    /// Opens a client. Nothing is connected yet.
    pub fn secured(
        bootstrap_servers: &str,
        properties: &BTreeMap<String, String>,
        security: &Security,
    ) -> Result<Self, Error> {
        let connection = Connection {
            bootstrap_servers,
            client_id: "drover-controller",
            properties,
            security,
        };
        let mut config = client_config::questions(&connection);
        // It never joins; see `native::admin` for why there is one.
        config.set("group.id", "drover-controller");
        config.set("enable.auto.commit", "false");
        let native =
            Native::open(&config).map_err(|error| Error::Config(without_values(&error)))?;
        Ok(Self {
            config,
            native: Mutex::new(Current {
                native: Arc::new(native),
                since: Monotonic::start(),
            }),
            together: GroupOffsets::of(&connection),
            handshake: Handshake::of(&connection),
            brokers: Mutex::default(),
            refusal: Refusal::default(),
        })
    }

    /// Where no broker lets us in, for a reason that somebody has to correct (a certificate, a password), questions end
    /// soon, and not only with their time-out: for who waits for the answer, and does not ask again.
    pub fn ending_when_refused(mut self) -> Self {
        self.refusal = Refusal::ends();
        self
    }

    /// The partitions of each topic; [`Error::Missing`] for one that does not exist.
    pub async fn partitions(
        &self,
        topics: &BTreeSet<String>,
        timeout: Duration,
    ) -> Result<BTreeMap<String, Result<Vec<i32>, Error>>, Error> {
        let described = self.topics(topics, false, timeout).await?;
        let partitions = |(topic, described): (String, Result<Topic, Error>)| {
            (topic, described.map(|topic| topic.partitions))
        };
        Ok(described.into_iter().map(partitions).collect())
    }

    /// The topics, and with `rights` whether we may write to them; [`Error::Missing`] for one that
    /// does not exist.
    pub async fn topics(
        &self,
        topics: &BTreeSet<String>,
        rights: bool,
        timeout: Duration,
    ) -> Result<BTreeMap<String, Result<Topic, Error>>, Error> {
        if topics.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names: Vec<CString> = topics
            .iter()
            .map(|topic| c_string(topic))
            .collect::<Result<_, _>>()?;
        // Any broker knows; left to itself librdkafka asks the controller alone.
        let broker = self.broker(timeout).await?;
        let native = self.native();
        let receiver = native.topics(broker, &names, rights, timeout);
        let answer = self
            .answer(&native, receiver, timeout + GRACE)
            .await
            .inspect_err(|_| {
                self.lock_brokers().retain(|&other| other != broker);
            })?;
        let read = |(topic, described): (String, Result<Topic, Failure>)| {
            let described =
                described.map_err(|failure| failed(failure, Operation::Describe, &topic));
            (topic, described)
        };
        Ok(answer.into_iter().map(read).collect())
    }

    /// The settings of each topic, where we may know them.
    pub async fn topic_settings(
        &self,
        topics: &BTreeSet<String>,
        timeout: Duration,
    ) -> Result<BTreeMap<String, Result<BTreeMap<String, String>, Error>>, Error> {
        let names: Vec<CString> = topics
            .iter()
            .map(|topic| c_string(topic))
            .collect::<Result<_, _>>()?;
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let native = self.native();
        let receiver = native.topic_configs(&names, timeout);
        let answer = self.answer(&native, receiver, timeout + GRACE).await?;
        let read = |(topic, settings): (String, Result<_, Failure>)| {
            let wanted = Operation::DescribeConfigs;
            let settings = settings.map_err(|failure| failed(failure, wanted, &topic));
            (topic, settings)
        };
        Ok(answer.into_iter().map(read).collect())
    }

    /// One offset for each partition, in one request to each broker. With [`Spec::Time`] a
    /// partition without such a record gives none.
    pub async fn offsets(
        &self,
        partitions: &[TopicPartition],
        spec: Spec,
        timeout: Duration,
    ) -> Result<Answers<Option<Offset>>, Error> {
        if partitions.is_empty() {
            return Ok(Answers::new());
        }
        let number = match spec {
            Spec::Latest | Spec::HighWatermark => -1,
            Spec::Earliest => -2,
            Spec::Time(millis) => millis.max(0),
        };
        let asked: Vec<_> = partitions.iter().map(|p| (p.clone(), number)).collect();
        // Reading committed, the end is the last stable offset: records of open transactions
        // cannot be read yet and are nobody's backlog.
        let read_committed = spec != Spec::HighWatermark;
        let native = self.native();
        let receiver = native.list_offsets(&asked, read_committed, timeout);
        let answer = self.answer(&native, receiver, timeout + GRACE).await?;
        Ok(by_partition(answer, Operation::Describe, None, |offset| {
            (offset >= 0).then_some(Offset(offset))
        }))
    }

    /// What `group` has committed for these partitions.
    pub async fn committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Answers<Committed>, Error> {
        if partitions.is_empty() {
            return Ok(Answers::new());
        }
        self.ask_committed(group, Some(partitions), timeout).await
    }

    /// What groups have committed for these partitions, in a few questions, whose number is given too. Groups that
    /// are not among the answers have to be asked for one by one ([`Self::committed`]): all of them, where
    /// there are few, or brokers do not answer for many at once.
    pub async fn committed_together(
        &self,
        groups: &BTreeMap<String, Vec<TopicPartition>>,
        timeout: Duration,
    ) -> (BTreeMap<String, Answers<Committed>>, u64) {
        match &self.together {
            Some(together) if groups.len() >= group_offsets::WORTH_IT => {
                let round = together.ask(groups, timeout).await;
                (round.answers, round.questions)
            }
            _ => Default::default(),
        }
    }

    /// What `group` has committed for any partition.
    pub async fn all_committed(
        &self,
        group: &str,
        timeout: Duration,
    ) -> Result<Answers<Committed>, Error> {
        self.ask_committed(group, None, timeout).await
    }

    /// Writes the offsets of a group without members, each with a text. [`Error::GroupBusy`] where it has some.
    pub async fn alter_committed(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, (Offset, Vec<u8>)>,
        timeout: Duration,
    ) -> Result<Answers<()>, Error> {
        if offsets.is_empty() {
            return Ok(Answers::new());
        }
        let name = c_string(group)?;
        let offsets: Vec<_> = offsets
            .iter()
            .map(|(partition, (offset, text))| {
                let text = (!text.is_empty()).then(|| text.clone());
                (partition.clone(), offset.0, text)
            })
            .collect();
        let native = self.native_for(&name).await?;
        let receiver = native.alter(&name, &offsets);
        let answer = self.answer(&native, receiver, timeout).await;
        let answer = answer.map_err(|error| error.lacking(|| Right::group(Operation::Read, group)));
        let altered =
            answer.map(|answer| by_partition(answer, Operation::Read, Some(group), |()| ()));
        self.learn(&native, altered)
    }

    /// Members and state of a group.
    pub async fn group(&self, group: &str, timeout: Duration) -> Result<Group, Error> {
        let name = c_string(group)?;
        let native = self.native_for(&name).await?;
        let receiver = native.group(&name);
        let answer = self.answer(&native, receiver, timeout).await;
        let group = answer.map_err(|error| error.lacking(|| seen(group)))?;
        Ok(Group {
            members: group.members,
            state: group.state,
        })
    }

    /// A broker to ask. One that did not answer is left out until none is left.
    async fn broker(&self, timeout: Duration) -> Result<i32, Error> {
        if let Some(&broker) = self.lock_brokers().last() {
            return Ok(broker);
        }
        let native = self.native();
        let asked = self.refusal.of_brokers(&native, timeout).await;
        let brokers = match asked {
            Ok(Ok(brokers)) => {
                self.refusal.answered();
                brokers
            }
            Ok(Err(failure)) => return Err(self.explain(&native, Error::of(failure)).await),
            Err(error) => return Err(Error::Later(format!("ask for brokers: {error}"))),
        };
        let broker = brokers.last().copied();
        *self.lock_brokers() = brokers;
        broker.ok_or_else(|| Error::Later("the cluster names no broker".to_owned()))
    }

    fn lock_brokers(&self) -> MutexGuard<'_, Vec<i32>> {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_committed(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
        timeout: Duration,
    ) -> Result<Answers<Committed>, Error> {
        let name = c_string(group)?;
        let native = self.native_for(&name).await?;
        let receiver = native.committed(&name, partitions);
        let answer = self.answer(&native, receiver, timeout).await;
        let answer = answer.map_err(|error| error.lacking(|| seen(group)));
        let committed = answer.map(|answer| {
            by_partition(answer, Operation::Describe, Some(group), |committed| {
                Committed {
                    offset: (committed.offset >= 0).then_some(Offset(committed.offset)),
                    metadata: committed.metadata,
                }
            })
        });
        self.learn(&native, committed)
    }
}

/// Values by partition, of a question that takes `operation` on each topic and, where it is of one, on the group.
fn by_partition<T, U>(
    answer: PerPartition<T>,
    operation: Operation,
    group: Option<&str>,
    value: impl Fn(T) -> U,
) -> Answers<U> {
    let read = |(partition, answer): (TopicPartition, Result<T, Failure>)| {
        let answer = answer.map(&value).map_err(|failure| match group {
            Some(group) if failure.code == RDKafkaErrorCode::GroupAuthorizationFailed as i32 => {
                Error::of(failure).lacking(|| Right::group(operation, group))
            }
            _ => failed(failure, operation, &partition.topic),
        });
        (partition, answer)
    };
    answer.into_iter().map(read).collect()
}

/// Why there is no answer about a topic; of a refusal with the right that it takes.
fn failed(failure: Failure, operation: Operation, topic: &str) -> Error {
    Error::of(failure).lacking(|| Right::topic(operation, topic))
}

/// To see a group, its members and its offsets.
fn seen(group: &str) -> Right {
    Right::group(Operation::Describe, group)
}

fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Config(format!("{text:?} holds a zero byte")))
}
