//! Reads ranges of a topic, or of several, from end to end, as no member of any group.
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

/// Ranges of topics, by partition.
pub type Ranges = BTreeMap<String, BTreeMap<i32, Range<i64>>>;

/// A reading that is under way.
pub struct Scan {
    /// None where there is nothing to read.
    client: Option<Client>,
    /// More than one topic is read: what is wrong with one ends no other.
    several: bool,
    /// What is left to read, by topic and partition; those that are read to their end are not in here.
    left: Ranges,
    /// Partitions that go on at their oldest record, for what was to come next is not there any more.
    cut: BTreeSet<(String, i32)>,
    /// Topics that have come to their end since somebody asked.
    ended: Vec<String>,
    /// What ended one of several topics before its end.
    failed: BTreeMap<String, Error>,
    deleted: u64,
    /// That the ranges are there is known: an end before theirs is one that lags.
    whole: bool,
    /// How long silence is waited for; for ever where reading waits for what is not there yet.
    patience: Option<Duration>,
    clock: Monotonic,
    /// For how long nothing has come while somebody waited.
    silent: Duration,
    complaint: Option<String>,
}

/// Who reads.
struct Client {
    // Before `base`: they must not outlive it.
    queue: Queue,
    _tokens: Option<Tokens>,
    base: BaseConsumer<Context>,
}

impl Client {
    fn open(connection: &Connection<'_>) -> Result<Self, Error> {
        let config = client_config::scan(connection);
        let failed = |error: rdkafka::error::KafkaError| Error::Config(without_values(&error));
        let (config, grant) = Grant::take(&config);
        let base = BaseConsumer::from_config_and_context(&config, Context).map_err(failed)?;
        let queue = Queue::of_consumer(&base)
            .ok_or_else(|| Error::Config("the consumer has no queue".to_owned()))?;
        Ok(Self {
            queue,
            _tokens: Tokens::keep(base.client(), grant),
            base,
        })
    }

    fn assign(&self, left: &Ranges, cut: &BTreeSet<(String, i32)>) -> Result<(), Error> {
        let begun = places(left, cut).and_then(|list| self.base.assign(&list));
        begun.map_err(|error| Error::Config(without_values(&error)))
    }
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
        let ranges = BTreeMap::from([(topic.to_owned(), ranges.clone())]);
        Self::of_topics(connection, ranges, patience)
    }

    /// The same of several topics at once, by one client. Of what is wrong with one of them [`Scan::failed`] knows.
    ///
    /// # Errors
    /// If librdkafka refuses a property.
    pub fn of_topics(
        connection: &Connection<'_>,
        mut left: Ranges,
        patience: Option<Duration>,
    ) -> Result<Self, Error> {
        let several = left.len() > 1;
        for ranges in left.values_mut() {
            ranges.retain(|_, range| !range.is_empty());
        }
        left.retain(|_, ranges| !ranges.is_empty());
        let mut client = None;
        if !left.is_empty() {
            let opened = Client::open(connection)?;
            opened.assign(&left, &BTreeSet::new())?;
            client = Some(opened);
        }
        Ok(Self {
            client,
            several,
            left,
            cut: BTreeSet::new(),
            ended: Vec::new(),
            failed: BTreeMap::new(),
            deleted: 0,
            whole: false,
            patience,
            clock: Monotonic::start(),
            silent: Duration::ZERO,
            complaint: None,
        })
    }

    /// All of the ranges is there. Where a partition comes to an end before that, as one may whose leader was elected just
    /// now, the rest is waited for, as long as the brokers may be silent.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
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
        let Some(client) = &self.client else {
            return Ok(Step::End);
        };
        let began = self.clock.elapsed();
        let Some(event) = client.queue.wait(millis(wait)) else {
            self.silent += self.clock.elapsed().saturating_sub(began);
            return self.silence();
        };
        match event.read() {
            Polled::Message(message) => {
                self.silent = Duration::ZERO;
                let (topic, partition) = (message.topic(), message.partition());
                let offset = message.offset();
                if let Some(code) = message.error() {
                    let place = format!("{topic}[{partition}] offset {offset}");
                    let error = Error::Other {
                        code: code as i32,
                        message: format!("the record at {place} cannot be read: {code}"),
                    };
                    return self.fails(topic, error);
                }
                match self.goes_on(topic, partition, offset.0) {
                    Ok(true) => {}
                    Ok(false) => return Ok(Step::Nothing),
                    Err(error) => return self.fails(topic, error),
                }
                let theirs = self.left.get_mut(topic);
                let Some(range) = theirs.and_then(|theirs| theirs.get_mut(&partition)) else {
                    return Ok(Step::Nothing);
                };
                // What was fetched before all were assigned anew.
                if offset.0 < range.start {
                    return Ok(Step::Nothing);
                }
                let is_meant = offset.0 < range.end;
                range.start = offset.0 + 1;
                let is_last = range.start >= range.end;
                if is_meant {
                    on_record(&message);
                }
                if is_last {
                    self.finished(topic, partition);
                }
                Ok(if is_meant {
                    Step::Record
                } else {
                    Step::Nothing
                })
            }
            Polled::End { partition, next } => {
                self.silent = Duration::ZERO;
                let (topic, number) = (&*partition.topic, partition.partition);
                if let Err(error) = self.goes_on(topic, number, next.0) {
                    return self.fails(topic, error);
                }
                self.reached(topic, number, next);
                Ok(Step::Nothing)
            }
            Polled::Error {
                code: RDKafkaErrorCode::AutoOffsetReset,
                place: Some((partition, _)),
                ..
            } => self.go_to_the_oldest(&partition.topic, partition.partition),
            Polled::Error {
                code,
                fatal,
                reason,
                place,
            } => {
                let topic = place.map(|(partition, _)| partition.topic);
                self.trouble(code as i32, fatal, reason, topic.as_deref())
            }
            _ => Ok(Step::Nothing),
        }
    }

    /// Reads no more of these partitions, whatever their topic.
    pub fn leave(&mut self, partition: i32) {
        let topics: Vec<String> = self.left.keys().cloned().collect();
        for topic in topics {
            self.finished(&topic, partition);
        }
    }

    /// How many offsets are still to be read.
    pub fn left(&self) -> u64 {
        let ranges = self.left.values().flat_map(BTreeMap::values);
        let left = ranges.map(|range| range.end - range.start);
        left.map(|left| u64::try_from(left).unwrap_or(0)).sum()
    }

    /// How many offsets were deleted, by retention or by somebody, before reading came to them.
    pub fn deleted(&self) -> u64 {
        self.deleted
    }

    /// Topics that have come to their end, or failed, since this was asked last.
    pub fn ended(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ended)
    }

    /// What ended the reading of one of several topics before its end.
    pub fn failed(&self, topic: &str) -> Option<&Error> {
        self.failed.get(topic)
    }

    /// One of several topics is read no further; of one alone it is the end.
    fn fails(&mut self, topic: &str, error: Error) -> Result<Step, Error> {
        if !self.several {
            return Err(error);
        }
        let theirs = self.left.get(topic).into_iter().flat_map(BTreeMap::keys);
        let theirs: Vec<i32> = theirs.copied().collect();
        if !theirs.is_empty() {
            self.failed.insert(topic.to_owned(), error);
        }
        for partition in theirs {
            self.finished(topic, partition);
        }
        Ok(Step::Nothing)
    }

    /// What was to come next is not there: goes on at what is the oldest now.
    fn go_to_the_oldest(&mut self, topic: &str, partition: i32) -> Result<Step, Error> {
        if let Some(client) = &self.client
            && self.range(topic, partition).is_some()
        {
            self.cut.insert((topic.to_owned(), partition));
            // A partition without a place to read from cannot be sent elsewhere; all can be assigned anew.
            client.assign(&self.left, &self.cut)?;
        }
        Ok(Step::Nothing)
    }

    fn range(&self, topic: &str, partition: i32) -> Option<&Range<i64>> {
        self.left.get(topic)?.get(&partition)
    }

    /// Whether what stands at `offset` follows on what was read before, after a cut too: that counts what was deleted.
    fn goes_on(&mut self, topic: &str, partition: i32, offset: i64) -> Result<bool, Error> {
        // Nearly always; a place to look for takes memory.
        if self.cut.is_empty() || !self.cut.remove(&(topic.to_owned(), partition)) {
            return Ok(true);
        }
        let Some(range) = self.range(topic, partition) else {
            return Ok(false);
        };
        if offset < range.start {
            return Err(Error::Other {
                code: RDKafkaErrorCode::OffsetOutOfRange as i32,
                message: format!(
                    "{topic}[{partition}] has come to an end before offset {}: the topic was deleted and made anew, or its log was cut; begin again",
                    range.start
                ),
            });
        }
        let upto = offset.min(range.end);
        self.deleted += u64::try_from(upto - range.start).unwrap_or(0);
        Ok(true)
    }

    /// Reading has come to the end of what there is.
    fn reached(&mut self, topic: &str, partition: i32, next: Offset) {
        let Some(end) = self.range(topic, partition).map(|range| range.end) else {
            return;
        };
        // An end of i64::MAX means to wait for more.
        if next.0 >= end || !(self.whole || end == i64::MAX) {
            self.finished(topic, partition);
        } else if self.whole {
            self.complaint = Some(format!(
                "{topic}[{partition}] ends at offset {}, before {end}: its leader lags behind, or its log was cut",
                next.0
            ));
        }
    }

    fn finished(&mut self, topic: &str, partition: i32) {
        let Some(theirs) = self.left.get_mut(topic) else {
            return;
        };
        if theirs.remove(&partition).is_none() {
            return;
        }
        if theirs.is_empty() {
            self.left.remove(topic);
            self.ended.push(topic.to_owned());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        // What comes all the same is passed over.
        let _ = self.client.as_ref().map(|client| client.base.pause(&list));
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
    fn trouble(
        &mut self,
        code: i32,
        fatal: bool,
        message: String,
        topic: Option<&str>,
    ) -> Result<Step, Error> {
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
            error => {
                let only = self.left.keys().next().filter(|_| self.left.len() == 1);
                let error = match topic.or(only.map(String::as_str)) {
                    Some(topic) => error.lacking(|| Right::topic(Operation::Read, topic)),
                    None => error,
                };
                match topic.filter(|_| !fatal) {
                    Some(topic) => self.fails(topic, error),
                    None => Err(error),
                }
            }
        }
    }
}

/// Where reading goes on: of those that are cut at their oldest record.
fn places(left: &Ranges, cut: &BTreeSet<(String, i32)>) -> KafkaResult<TopicPartitionList> {
    let count = left.values().map(BTreeMap::len).sum();
    let mut list = TopicPartitionList::with_capacity(count);
    for (topic, ranges) in left {
        for (&partition, range) in ranges {
            let is_cut = !cut.is_empty() && cut.contains(&(topic.clone(), partition));
            let place = match is_cut {
                true => Position::Beginning,
                false => Position::Offset(range.start),
            };
            list.add_partition_offset(topic, partition, place)?;
        }
    }
    Ok(list)
}

fn millis(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_before_that_of_the_range_ends_only_what_may_be_shorter() {
        for (whole, end, next, left) in [
            (false, 1_000, 100, false),
            (true, 1_000, 100, true),
            (true, 1_000, 1_000, false),
            (true, 1_000, 1_001, false),
            (false, i64::MAX, 100, true),
        ] {
            let connection = Connection {
                bootstrap_servers: "127.0.0.1:1",
                client_id: "test",
                properties: &BTreeMap::new(),
                security: &crate::kafka::security::Security::default(),
            };
            let mut scan = Scan::of_topics(&connection, Ranges::new(), None).unwrap();
            scan.whole = whole;
            let theirs = BTreeMap::from([(0, 0..end)]);
            scan.left = BTreeMap::from([("orders.dlq".to_owned(), theirs)]);
            scan.reached("orders.dlq", 0, Offset(next));
            assert_eq!(!scan.left.is_empty(), left, "{whole} {end} {next}");
            assert_eq!(scan.complaint.is_some(), whole && left);
        }
    }
}
