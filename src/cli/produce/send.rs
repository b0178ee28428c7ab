//! Feeds the producer: at a rate, with headers, showing progress, until all is acknowledged.

use std::time::Duration;

use anyhow::anyhow;
use jiff::Timestamp;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::ProduceArgs;
use super::connect::Heard;
use super::records::Record;
use crate::cli::progress::Progress;
use crate::clock::{self, Monotonic};
use crate::kafka::Tokens;

/// One wait inside librdkafka before looking around again; it takes this long even if there is news.
const LOOK: Duration = Duration::from_millis(10);

/// What was sent, all of it acknowledged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sent {
    pub records: u64,
    pub started_at: Timestamp,
    /// From the first record to the last acknowledgement.
    pub took: Duration,
}

/// Sends one record after the other.
pub(super) struct Sender<'a> {
    // Before the producer: they must not outlive it.
    _tokens: Option<Tokens>,
    producer: BaseProducer<Heard>,
    args: &'a ProduceArgs,
    progress: Progress,
    started_at: Timestamp,
    clock: Monotonic,
    sent: u64,
}

impl<'a> Sender<'a> {
    pub fn new(
        producer: BaseProducer<Heard>,
        tokens: Option<Tokens>,
        args: &'a ProduceArgs,
        show: bool,
    ) -> Self {
        Self {
            _tokens: tokens,
            producer,
            args,
            progress: Progress::new(show, args.count),
            started_at: clock::now(),
            clock: Monotonic::start(),
            sent: 0,
        }
    }

    /// Hands over one record, when its time has come and there is room.
    pub fn send(&mut self, record: Record) -> anyhow::Result<()> {
        self.wait_for_rate()?;
        let headers = self.headers(&record);
        let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.args.topic);
        next.key = record.key.as_deref();
        next.payload = record.value.as_deref();
        next.headers = headers;
        loop {
            match self.producer.send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), same)) => {
                    next = same;
                    self.look(LOOK)?;
                }
                Err((error, _)) => return Err(self.refused(&error)),
            }
        }
        self.sent += 1;
        self.look(Duration::ZERO)
    }

    /// Waits until everything is acknowledged.
    pub fn finish(mut self) -> anyhow::Result<Sent> {
        while self.producer.in_flight_count() > 0 {
            self.look(LOOK)?;
        }
        self.look(Duration::ZERO)?;
        self.progress.clear();
        Ok(Sent {
            records: self.sent,
            started_at: self.started_at,
            took: self.clock.elapsed(),
        })
    }

    fn wait_for_rate(&mut self) -> anyhow::Result<()> {
        let Some(rate) = self.args.rate else {
            return Ok(());
        };
        let due = Duration::from_secs_f64(self.sent as f64 / rate);
        while let Some(early) = due
            .checked_sub(self.clock.elapsed())
            .filter(|d| !d.is_zero())
        {
            // librdkafka waits in whole milliseconds; less than one of them is no pace to keep.
            if early < Duration::from_millis(1) {
                break;
            }
            self.look(early.min(LOOK * 10))?;
        }
        Ok(())
    }

    /// Serves acknowledgements for up to `wait`, and stops at the first that says no.
    fn look(&mut self, wait: Duration) -> anyhow::Result<()> {
        self.producer.poll(wait);
        let elapsed = self.clock.elapsed();
        if !self.progress.is_due(elapsed) {
            return match self.producer.context().failure() {
                Some(error) => Err(self.refused(&error)),
                None => Ok(()),
            };
        }
        let state = self.producer.context().state();
        self.progress.show(state.acknowledged, elapsed);
        match state.failure {
            Some(error) => Err(self.refused(&error)),
            None => Ok(()),
        }
    }

    fn refused(&self, error: &KafkaError) -> anyhow::Error {
        self.progress.clear();
        let state = self.producer.context().state();
        let why = state.connection.map(|reason| format!(" ({reason})"));
        anyhow!(
            "after {} acknowledged records, topic {} took no more: {error}{}; {}",
            state.acknowledged,
            self.args.topic,
            why.unwrap_or_default(),
            remedy(error)
        )
    }

    fn headers(&self, record: &Record) -> Option<OwnedHeaders> {
        let of_all = self.args.headers.iter().map(|(name, value)| Header {
            key: name.as_str(),
            value: Some(value.as_bytes()),
        });
        let own = record.headers.iter().map(|(name, value)| Header {
            key: name.as_str(),
            value: value.as_deref(),
        });
        let mut headers = None;
        for header in of_all.chain(own) {
            let before = headers.unwrap_or_else(OwnedHeaders::new);
            headers = Some(before.insert(header));
        }
        headers
    }
}

fn remedy(error: &KafkaError) -> &'static str {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
            "make the record smaller, or raise the topic's max.message.bytes and --property message.max.bytes"
        }
        Some(RDKafkaErrorCode::MessageTimedOut) => {
            "check that the brokers are up and enough replicas in sync, or raise --timeout"
        }
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed,
        ) => "allow this user to write to the topic (and IdempotentWrite on older brokers)",
        _ => "see the brokers' log",
    }
}
