//! Reads ranges of a topic from end to end, as no member of any group.
//!
//! For tools: it blocks, belongs into a thread of its own, commits nothing and leaves nothing behind
//! in Kafka. Memory is bounded, whatever the size of the ranges.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::ops::Range;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset as Position, TopicPartitionList};

use super::admin::Error;
use super::client_config::{self, Connection};
use super::consumer::Context;
use super::errors::without_values;
use super::native::answers::Failure;
use super::native::{Message, Polled, Queue, Tokens};
use super::oauth::Grant;
use crate::clock::Monotonic;
use crate::topic::Offset;

/// A reading that is under way.
pub struct Scan {
    // Before `base`: they must not outlive it.
    queue: Queue,
    _tokens: Option<Tokens>,
    base: BaseConsumer<Context>,
    topic: String,
    /// Where reading ends, by partition; those that are read to their end are not in here.
    left: BTreeMap<i32, i64>,
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
    /// Begins to read. An offset below the oldest record stands for that; one behind the end of the
    /// partition ends where the partition does at that moment. `patience`: how long the brokers may
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
        let mut list = TopicPartitionList::with_capacity(ranges.len());
        let mut left = BTreeMap::new();
        for (&partition, range) in ranges.iter().filter(|(_, range)| !range.is_empty()) {
            list.add_partition_offset(topic, partition, Position::Offset(range.start))
                .map_err(failed)?;
            left.insert(partition, range.end);
        }
        base.assign(&list).map_err(failed)?;
        Ok(Self {
            queue,
            _tokens: Tokens::keep(base.client(), grant),
            base,
            topic: topic.to_owned(),
            left,
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
                let Some(&end) = self.left.get(&partition) else {
                    return Ok(Step::Nothing);
                };
                if offset.0 < end {
                    on_record(&message);
                }
                if offset.0 + 1 >= end {
                    self.finished(partition);
                }
                Ok(if offset.0 < end {
                    Step::Record
                } else {
                    Step::Nothing
                })
            }
            Polled::End { partition, next } => {
                self.silent = Duration::ZERO;
                self.reached(partition.partition, next);
                Ok(Step::Nothing)
            }
            Polled::Error {
                code,
                fatal,
                reason,
                ..
            } => self.trouble(code as i32, fatal, reason),
            _ => Ok(Step::Nothing),
        }
    }

    /// Reading has come to the end of what there is.
    fn reached(&mut self, partition: i32, next: Offset) {
        // An end of i64::MAX means to wait for more.
        let end = self.left.get(&partition);
        if end.is_some_and(|&end| end != i64::MAX || next.0 >= end) {
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
        let error = Error::of(Failure {
            code,
            message: message.clone(),
        });
        match error {
            Error::Unreachable(_) | Error::Later(_) | Error::Moved if !fatal => {
                self.complaint = Some(message);
                self.silence()
            }
            error => Err(error),
        }
    }
}

fn millis(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}
