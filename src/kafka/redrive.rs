//! Moves records from a topic to others, and says in the same transaction how far it has come.
//!
//! Blocking, for a thread of its own. One transactional id and one group for each topic that is
//! read: who begins later ends whoever was at it before, so two never move the same record.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{Offset as Position, TopicPartitionList};

use super::client_config::{self, Connection};
use super::errors::without_values;
use super::native::{Tokens, headers};
use super::oauth::Grant;
use super::producer::Outgoing;
use super::right::{Denial, Operation, Right};
use crate::clock::Monotonic;
use crate::topic::{Offset, TopicPartition};

/// One wait inside librdkafka: it lasts as long, whatever comes meanwhile.
const WAIT: Duration = Duration::from_millis(1);
/// How long librdkafka may wait at a time for a transaction to be taken back.
const ABORT: Duration = Duration::from_millis(200);
/// After so many records it is looked at what came back of those before them.
const SERVED_AFTER: u32 = 256;

/// What the producer has heard.
#[derive(Default)]
struct Heard(Mutex<State>);

#[derive(Clone, Default)]
struct State {
    /// Why the first record was not written.
    failed: Option<String>,
    /// Records that their topics do not take.
    refused: Vec<Refusal>,
    /// What a connection last ended with.
    connection: Option<String>,
}

impl Heard {
    fn state(&self) -> State {
        let state = self.0.lock();
        state.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_failed(&self) -> bool {
        let state = self.0.lock();
        state
            .unwrap_or_else(PoisonError::into_inner)
            .failed
            .is_some()
    }

    fn note(&self, note: impl FnOnce(&mut State)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl ClientContext for Heard {
    fn error(&self, error: KafkaError, reason: &str) {
        // It follows on what took the last of them down, and says less.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.note(|state| state.connection = Some(reason.to_owned()));
        }
    }

    // What matters of the log arrives as an error, too.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
}

/// What was given up together with the transaction only follows on something else.
const GIVEN_UP: [RDKafkaErrorCode; 2] = [
    RDKafkaErrorCode::PurgeQueue,
    RDKafkaErrorCode::PurgeInflight,
];
/// What a broker refuses because of the record, or of another one in the same batch.
const OF_THE_RECORD: [RDKafkaErrorCode; 6] = [
    RDKafkaErrorCode::MessageSizeTooLarge,
    RDKafkaErrorCode::MessageBatchTooLarge,
    RDKafkaErrorCode::InvalidRecord,
    RDKafkaErrorCode::InvalidMessage,
    RDKafkaErrorCode::InvalidTimestamp,
    RDKafkaErrorCode::InvalidDifferentRecord,
];

/// Of those, what says that the record, or all of the batch, is too large.
const TOO_LARGE: [RDKafkaErrorCode; 2] = [
    RDKafkaErrorCode::MessageSizeTooLarge,
    RDKafkaErrorCode::MessageBatchTooLarge,
];

impl ProducerContext for Heard {
    /// The record's number.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        if let Err((error, _)) = result {
            self.failed(number, error);
        }
    }
}

impl Heard {
    fn failed(&self, number: usize, error: &KafkaError) {
        let code = error.rdkafka_error_code();
        let is = |codes: &[RDKafkaErrorCode]| code.is_some_and(|code| codes.contains(&code));
        if is(&GIVEN_UP) {
            return;
        }
        self.note(|state| {
            let why = error.to_string();
            if is(&OF_THE_RECORD) {
                state.refused.push(Refusal {
                    number,
                    is_too_large: is(&TOO_LARGE),
                    why: why.clone(),
                });
            }
            state.failed.get_or_insert(why);
        });
    }
}

/// A record that its topic does not take, or that stood in one batch with such a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As it was numbered when it was sent.
    pub number: usize,
    /// It, or the batch that it stood in, is too large.
    pub is_too_large: bool,
    /// The broker's words.
    pub why: String,
}

/// Why a record or a transaction did not go through. Nothing of the open transaction counts then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// librdkafka refuses a property.
    #[error("make a Kafka client: {0}")]
    Config(String),
    /// Somebody else has begun to move records of the same topic.
    #[error("another replay of this topic has begun and ended this one")]
    Fenced,
    /// Too few rights.
    #[error("Kafka refuses it: {0}")]
    NotAuthorized(Denial),
    /// No broker answered in time.
    #[error("no Kafka broker answered in time: {0}")]
    Unreachable(String),
    /// These records are not taken, or stood in one batch with such ones: sent alone it shows. The producer is of no
    /// more use: open another one.
    #[error("{} records are refused, the first because of: {}", .0.len(), .0.first().map_or("-", |first| &first.why))]
    Records(Vec<Refusal>),
    /// Anything else.
    #[error("{0}")]
    Refused(String),
}

/// A transactional producer with a group for its progress.
pub struct Redrive {
    // Before the clients: they must not outlive them.
    _tokens: [Option<Tokens>; 2],
    producer: BaseProducer<Heard>,
    /// Never joins; only says which group offsets are for.
    group: BaseConsumer,
    /// Of both.
    name: String,
    timeout: Duration,
    /// Since when a transaction is open.
    open: Option<Monotonic>,
    /// Records since it was last looked at what came back.
    unserved: u32,
}

impl Redrive {
    /// Opens both under the name `group`, and waits until what an earlier one left open is over. `batch`: so many bytes
    /// stand together at most, where that is known.
    ///
    /// # Errors
    /// If no broker answers in time, or the rights to the transactional id are missing.
    pub fn open(
        connection: &Connection<'_>,
        group: &str,
        batch: Option<usize>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let mut writes = client_config::transactions(connection, group, timeout);
        if let Some(batch) = batch {
            writes.set("batch.size", batch.to_string());
        }
        let reads = client_config::group(connection, group);
        let failed = |error: KafkaError| Error::Config(without_values(&error));
        let (writes, grant) = Grant::take(&writes);
        let (reads, grant_again) = Grant::take(&reads);
        let producer: BaseProducer<Heard> = writes
            .create_with_context(Heard::default())
            .map_err(failed)?;
        let name = group.to_owned();
        let group: BaseConsumer = reads.create().map_err(failed)?;
        let redrive = Self {
            _tokens: [
                Tokens::keep(producer.client(), grant),
                Tokens::keep(group.client(), grant_again),
            ],
            producer,
            group,
            name,
            timeout,
            open: None,
            unserved: 0,
        };
        let begun = redrive.producer.init_transactions(timeout);
        begun.map_err(|error| redrive.explain(&error))?;
        Ok(redrive)
    }

    /// Hands a record over, in the transaction that is open or a new one; waits for room. By its `number` it is told if
    /// it is refused.
    ///
    /// # Errors
    /// If it or one before it was refused.
    pub fn send(&mut self, record: &Outgoing<'_>, number: usize) -> Result<(), Error> {
        self.begin()?;
        let mut next: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(record.topic, number);
        next.key = record.key;
        next.payload = record.value;
        next.timestamp = record.timestamp;
        next.headers = Some(headers(&record.headers));
        self.unserved += 1;
        if self.unserved >= SERVED_AFTER {
            self.poll();
        }
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), same)) => {
                    next = same;
                    self.producer.poll(WAIT);
                    if self.producer.context().has_failed() {
                        return Err(self.explain(&KafkaError::Canceled));
                    }
                }
                Err((error, _)) => {
                    self.producer.context().failed(number, &error);
                    return Err(self.explain(&error));
                }
            }
        }
    }

    /// Serves what has come back; never waits.
    pub fn poll(&mut self) {
        self.producer.poll(Duration::ZERO);
        self.unserved = 0;
    }

    /// Ends the transaction: all records that were sent are there, and with them each offset with
    /// its text as a commit of the group; or, on an error, nothing of both.
    ///
    /// # Errors
    /// If the brokers refuse it or do not answer in time.
    pub fn commit(&mut self, progress: &[(TopicPartition, Offset, String)]) -> Result<(), Error> {
        self.begin()?;
        let mut list = TopicPartitionList::with_capacity(progress.len());
        for (TopicPartition { topic, partition }, offset, text) in progress {
            let mut element = list.add_partition(topic, *partition);
            // Only fails for an offset that is no number.
            let _ = element.set_offset(Position::Offset(offset.0));
            element.set_metadata(text);
        }
        let group = self
            .group
            .group_metadata()
            .ok_or_else(|| Error::Config("the group has no metadata".to_owned()))?;
        self.settle();
        let ended = self
            .retried(|producer, timeout| {
                producer.send_offsets_to_transaction(&list, &group, timeout)
            })
            .and_then(|()| self.retried(|producer, timeout| producer.commit_transaction(timeout)));
        match ended {
            Ok(()) => {
                self.open = None;
                Ok(())
            }
            Err(error) => {
                let error = self.explain(&error);
                self.abort();
                Err(error)
            }
        }
    }

    /// Waits until each record was acknowledged, or one refused. The commit would do that too, but looks
    /// for it only every tenth of a second.
    fn settle(&self) {
        let clock = Monotonic::start();
        while self.producer.in_flight_count() > 0
            && clock.elapsed() < self.timeout
            && !self.producer.context().has_failed()
        {
            self.producer.poll(WAIT);
        }
    }

    /// Takes back what was sent since the last commit, as far as the brokers can still be told; they
    /// do it by themselves otherwise.
    pub fn abort(&mut self) {
        if self.open.take().is_none() {
            return;
        }
        // librdkafka waits until what became of each record was heard, which only we can do: were it left to
        // wait for all of its time, that would be for nothing.
        let clock = Monotonic::start();
        while let Err(KafkaError::Transaction(error)) = self.producer.abort_transaction(ABORT)
            && error.is_retriable()
            && clock.elapsed() < self.timeout
        {
            self.producer.poll(WAIT);
            while self.producer.in_flight_count() > 0 && clock.elapsed() < self.timeout {
                self.producer.poll(WAIT);
            }
        }
    }

    fn begin(&mut self) -> Result<(), Error> {
        if self.open.is_none() {
            let begun = self.producer.begin_transaction();
            begun.map_err(|error| self.explain(&error))?;
            self.open = Some(Monotonic::start());
        }
        Ok(())
    }

    /// What librdkafka says may be asked again is asked again, a few times.
    fn retried(
        &self,
        ask: impl Fn(&BaseProducer<Heard>, Duration) -> Result<(), KafkaError>,
    ) -> Result<(), KafkaError> {
        let mut left = 5;
        loop {
            match ask(&self.producer, self.timeout) {
                Err(KafkaError::Transaction(error)) if error.is_retriable() && left > 0 => {
                    left -= 1
                }
                ended => return ended,
            }
        }
    }

    fn explain(&self, error: &KafkaError) -> Error {
        // Serves the reports and errors that explain it.
        self.producer.poll(Duration::from_millis(50));
        let State {
            failed,
            refused,
            connection,
        } = self.producer.context().state();
        let code = match self.producer.client().fatal_error() {
            Some((code, _)) => Some(code),
            None => match error {
                KafkaError::Transaction(error) => Some(error.code()),
                error => error.rdkafka_error_code(),
            },
        };
        let message = failed.unwrap_or_else(|| match error {
            KafkaError::Transaction(error) => error.string(),
            error => error.to_string(),
        });
        use RDKafkaErrorCode as Code;
        match code {
            // The brokers end so, too, what was open for too long, as in a process that was frozen.
            Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
                if is_too_long(self.open.map(|since| since.elapsed())) =>
            {
                Error::Refused(format!(
                    "its transaction was open for more than {} s, after which the brokers end it: this process was frozen, or could not reach them for so long",
                    client_config::TRANSACTION.as_secs()
                ))
            }
            Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => Error::Fenced,
            Some(
                Code::TransactionalIdAuthorizationFailed
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::Authentication,
            ) => Error::NotAuthorized(Denial {
                said: message,
                // Of a topic it is not said which one.
                right: match code {
                    Some(Code::TransactionalIdAuthorizationFailed) => {
                        Some(Right::transactional_id(Operation::Write, &self.name))
                    }
                    Some(Code::GroupAuthorizationFailed) => {
                        Some(Right::group(Operation::Read, &self.name))
                    }
                    _ => None,
                },
            }),
            _ if !refused.is_empty() => Error::Records(refused),
            Some(
                Code::OperationTimedOut | Code::RequestTimedOut | Code::BrokerTransportFailure,
            ) => Error::Unreachable(match connection {
                Some(last) => format!("{message}; last: {last}"),
                None => message,
            }),
            _ => Error::Refused(message),
        }
    }
}

/// Whether the brokers have ended a transaction by themselves that is open for so long.
fn is_too_long(open: Option<Duration>) -> bool {
    open.is_some_and(|open| open >= client_config::TRANSACTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_open_for_longer_than_brokers_wait_was_not_ended_by_another_replay() {
        assert!(is_too_long(Some(Duration::from_secs(75))));
        assert!(!is_too_long(Some(Duration::from_secs(59))));
        assert!(!is_too_long(None));
    }
}
