//! Reads ranges of a topic from end to end, as no member of any group.
//!
//! For tools: it blocks, belongs into a thread of its own, commits nothing and leaves nothing behind
//! in Kafka. Memory is bounded, whatever the size of the ranges.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_int;
use std::ops::Range;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset as Position, TopicPartitionList};

use super::admin::Error;
use super::client_config::{self, Connection};
use super::consumer::Context;
use super::errors::without_values;
use super::native::answers::Failure;
use super::native::{Message, Polled, Queue, Tokens};
use super::oauth::Grant;
use super::right::{Operation, Right};
use crate::clock::Monotonic;
use crate::topic::Offset;

/// A reading that is under way.
pub struct Scan {
    // Before `base`: they must not outlive it.
    queue: Queue,
    _tokens: Option<Tokens>,
    base: BaseConsumer<Context>,
    topic: String,
    /// What is left to read, by partition; those that are read to their end are not in here.
    left: BTreeMap<i32, Range<i64>>,
    /// Partitions that go on at their oldest record, for what was to come next is not there any more.
    cut: BTreeSet<i32>,
    deleted: u64,
    /// How long silence is waited for; for ever where reading waits for what is not there yet.
    patience: Option<Duration>,
    clock: Monotonic,
    /// For how long nothing has come while somebody waited.
    silent: Duration,
    complaint: Option<String>,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A record was handed over.
    Record,
    /// Nothing has come yet.
    Nothing,
    /// Everything was read.
    End,
}

impl Scan {
    /// Begins to read. An offset below the oldest record stands for that, and what lies between is counted as
    /// deleted; one behind the end of the partition ends where the partition does at that moment. `patience`: how long the brokers may
    /// be silent; none waits for ever.
    ///
    /// # Errors
    /// If librdkafka refuses a property.
    pub fn open(
        connection: &Connection<'_>,
        topic: &str,
        ranges: &BTreeMap<i32, Range<i64>>,
        patience: Option<Duration>,
    ) -> Result<Self, Error> {
        let config = client_config::scan(connection);
        let failed = |error: rdkafka::error::KafkaError| Error::Config(without_values(&error));
        let (config, grant) = Grant::take(&config);
        let base = BaseConsumer::from_config_and_context(&config, Context).map_err(failed)?;
        let queue = Queue::of_consumer(&base)
            .ok_or_else(|| Error::Config("the consumer has no queue".to_owned()))?;
        let left = ranges.iter().filter(|(_, range)| !range.is_empty());
        let left: BTreeMap<i32, Range<i64>> = left.map(|(&n, range)| (n, range.clone())).collect();
        let list = places(topic, &left, &BTreeSet::new()).map_err(failed)?;
        base.assign(&list).map_err(failed)?;
        Ok(Self {
            queue,
            _tokens: Tokens::keep(base.client(), grant),
            base,
            topic: topic.to_owned(),
            left,
            cut: BTreeSet::new(),
            deleted: 0,
            patience,
            clock: Monotonic::start(),
            silent: Duration::ZERO,
            complaint: None,
        })
    }

    /// Waits up to `wait` for the next record and lends it to `on_record`. Records of a partition
    /// come in their order.
    ///
    /// # Errors
    /// If the brokers refuse or were silent for too long, or a record cannot be read.
    pub fn step(
        &mut self,
        wait: Duration,
        on_record: impl FnOnce(&Message<'_>),
    ) -> Result<Step, Error> {
        if self.left.is_empty() {
            return Ok(Step::End);
        }
        let began = self.clock.elapsed();
        let Some(event) = self.queue.wait(millis(wait)) else {
            self.silent += self.clock.elapsed().saturating_sub(began);
            return self.silence();
        };
        match event.read() {
            Polled::Message(message) => {
                self.silent = Duration::ZERO;
                let (partition, offset) = (message.partition(), message.offset());
                if let Some(code) = message.error() {
                    let place = format!("{}[{partition}] offset {offset}", self.topic);
                    return Err(Error::Other {
                        code: code as i32,
                        message: format!("the record at {place} cannot be read: {code}"),
                    });
                }
                if !self.goes_on(partition, offset.0)? {
                    return Ok(Step::Nothing);
                }
                let Some(range) = self.left.get_mut(&partition) else {
                    return Ok(Step::Nothing);
                };
                // What was fetched before all were assigned anew.
                if offset.0 < range.start {
                    return Ok(Step::Nothing);
                }
                let is_meant = offset.0 < range.end;
                range.start = offset.0 + 1;
                if is_meant {
                    on_record(&message);
                }
                if range.start >= range.end {
                    self.finished(partition);
                }
                Ok(if is_meant {
                    Step::Record
                } else {
                    Step::Nothing
                })
            }
            Polled::End { partition, next } => {
                self.silent = Duration::ZERO;
                self.goes_on(partition.partition, next.0)?;
                self.reached(partition.partition, next);
                Ok(Step::Nothing)
            }
            Polled::Error {
                code: RDKafkaErrorCode::AutoOffsetReset,
                place: Some((partition, _)),
                ..
            } => self.go_to_the_oldest(partition.partition),
            Polled::Error {
                code,
                fatal,
                reason,
                ..
            } => self.trouble(code as i32, fatal, reason),
            _ => Ok(Step::Nothing),
        }
    }

    /// Reads no more of this partition.
    pub fn leave(&mut self, partition: i32) {
        self.finished(partition);
    }

    /// How many offsets are still to be read.
    pub fn left(&self) -> u64 {
        let left = self.left.values().map(|range| range.end - range.start);
        left.map(|left| u64::try_from(left).unwrap_or(0)).sum()
    }

    /// How many offsets were deleted, by retention or by somebody, before reading came to them.
    pub fn deleted(&self) -> u64 {
        self.deleted
    }

    /// What was to come next is not there: goes on at what is the oldest now.
    fn go_to_the_oldest(&mut self, partition: i32) -> Result<Step, Error> {
        if self.left.contains_key(&partition) {
            self.cut.insert(partition);
            // A partition without a place to read from cannot be sent elsewhere; all can be assigned anew.
            let list = places(&self.topic, &self.left, &self.cut);
            let begun = list.and_then(|list| self.base.assign(&list));
            begun.map_err(|error| Error::Config(without_values(&error)))?;
        }
        Ok(Step::Nothing)
    }

    /// Whether what stands at `offset` follows on what was read before, after a cut too: that counts what was deleted.
    fn goes_on(&mut self, partition: i32, offset: i64) -> Result<bool, Error> {
        if !self.cut.remove(&partition) {
            return Ok(true);
        }
        let Some(range) = self.left.get(&partition) else {
            return Ok(false);
        };
        if offset < range.start {
            return Err(Error::Other {
                code: RDKafkaErrorCode::OffsetOutOfRange as i32,
                message: format!(
                    "{}[{partition}] has come to an end before offset {}: the topic was deleted and made anew, or its log was cut; begin again",
                    self.topic, range.start
                ),
            });
        }
        let upto = offset.min(range.end);
        self.deleted += u64::try_from(upto - range.start).unwrap_or(0);
        Ok(true)
    }

    /// Reading has come to the end of what there is.
    fn reached(&mut self, partition: i32, next: Offset) {
        // An end of i64::MAX means to wait for more.
        let range = self.left.get(&partition);
        if range.is_some_and(|range| range.end != i64::MAX || next.0 >= range.end) {
            self.finished(partition);
        }
    }

    fn finished(&mut self, partition: i32) {
        self.left.remove(&partition);
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        // What comes all the same is passed over.
        let _ = self.base.pause(&list);
    }

    fn silence(&mut self) -> Result<Step, Error> {
        match self.patience {
            Some(patience) if self.silent > patience => {
                let last = self.complaint.take();
                let why = last.map_or_else(String::new, |last| format!("; last: {last}"));
                Err(Error::Unreachable(format!(
                    "no answer within {patience:?}{why}"
                )))
            }
            _ => Ok(Step::Nothing),
        }
    }

    /// Connections come back by themselves; what a broker refuses does not.
    fn trouble(&mut self, code: i32, fatal: bool, message: String) -> Result<Step, Error> {
        // librdkafka looks for the coordinator of a group that nothing is asked of: no right to it is needed.
        if code == RDKafkaErrorCode::GroupAuthorizationFailed as i32 && !fatal {
            return Ok(Step::Nothing);
        }
        let error = Error::of(Failure {
            code,
            message: message.clone(),
        });
        match error {
            Error::Unreachable(_) | Error::Later(_) | Error::Moved if !fatal => {
                self.complaint = Some(message);
                self.silence()
            }
            error => Err(error.lacking(|| Right::topic(Operation::Read, &self.topic))),
        }
    }
}

/// Where reading goes on: of those that are cut at their oldest record.
fn places(
    topic: &str,
    left: &BTreeMap<i32, Range<i64>>,
    cut: &BTreeSet<i32>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(left.len());
    for (&partition, range) in left {
        let place = match cut.contains(&partition) {
            true => Position::Beginning,
            false => Position::Offset(range.start),
        };
        list.add_partition_offset(topic, partition, place)?;
    }
    Ok(list)
}

fn millis(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}
