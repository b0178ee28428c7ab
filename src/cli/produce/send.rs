//! Feeds the producer: at a rate, with headers, showing progress, until all is acknowledged.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{anyhow, bail};
use jiff::Timestamp;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::connect::{About, Failure, Heard, Refused, concerns_one_record};
use super::records::Record;
use super::{ProduceArgs, summary};
use crate::cli::grouped::grouped;
use crate::cli::progress::Progress;
use crate::clock::{self, Monotonic};
use crate::kafka::Tokens;
use crate::kafka::right::{Operation, Right};

/// One wait inside librdkafka before looking around again; it takes this long even if there is news.
const LOOK: Duration = Duration::from_millis(10);

/// Characters of a key that are shown in an error.
const KEY_CHARS: usize = 60;

/// What was sent, all of it acknowledged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sent {
    pub records: u64,
    /// Lines that are no record, and records that were refused; none but with `--best-effort`.
    pub passed_over: u64,
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
    /// Set when no more is to be sent.
    stop: &'a AtomicBool,
    progress: Progress,
    started_at: Timestamp,
    clock: Monotonic,
    sent: u64,
    passed_over: u64,
}

impl<'a> Sender<'a> {
    pub fn new(
        producer: BaseProducer<Heard>,
        tokens: Option<Tokens>,
        args: &'a ProduceArgs,
        stop: &'a AtomicBool,
        show: bool,
    ) -> Self {
        Self {
            _tokens: tokens,
            producer,
            args,
            stop,
            progress: Progress::new(show, args.count),
            started_at: clock::now(),
            clock: Monotonic::start(),
            sent: 0,
            passed_over: 0,
        }
    }

    /// Hands over one record, when its time has come and there is room, and nobody has stopped it meanwhile. `number` tells it apart.
    pub fn send(&mut self, number: usize, record: &Record) -> anyhow::Result<()> {
        self.wait_for_rate()?;
        if self.is_stopped() {
            return Ok(());
        }
        let headers = self.headers(record);
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let mut next = self.next(number, key, value, headers);
        loop {
            match self.producer.send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), same)) => {
                    next = same;
                    self.look(LOOK)?;
                }
                Err((error, _)) => {
                    return self.not_taken(&error, &About::new(number, key, value));
                }
            }
        }
        self.sent += 1;
        self.look(Duration::ZERO)
    }

    /// Serves what has arrived, where there is nothing to send yet.
    pub fn look_around(&mut self) -> anyhow::Result<()> {
        self.look(Duration::ZERO)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Says why one is not produced, and counts it.
    pub fn pass_over(&mut self, why: &dyn Display) {
        self.progress.clear();
        eprintln!("passed over: {why}");
        self.passed_over += 1;
    }

    /// Waits until everything is acknowledged.
    pub fn finish(mut self) -> anyhow::Result<Sent> {
        self.settle()?;
        self.progress.clear();
        Ok(Sent {
            records: self.producer.context().state().acknowledged,
            passed_over: self.passed_over,
            started_at: self.started_at,
            took: self.clock.elapsed(),
        })
    }

    fn next<'r>(
        &self,
        number: usize,
        key: Option<&'r [u8]>,
        value: Option<&'r [u8]>,
        headers: Option<OwnedHeaders>,
    ) -> BaseRecord<'r, [u8], [u8], usize>
    where
        'a: 'r,
    {
        let args: &'a ProduceArgs = self.args;
        let mut next = BaseRecord::with_opaque_to(&args.topic, number);
        next.key = key;
        next.payload = value;
        next.headers = headers;
        next
    }

    /// A record that librdkafka does not even send: what came before it arrives.
    fn not_taken(&mut self, error: &KafkaError, about: &About) -> anyhow::Result<()> {
        let why = format!("{}: {error}; {}", self.named(about), self.remedy(error));
        if self.args.best_effort && concerns_one_record(error) {
            self.pass_over(&why);
            return Ok(());
        }
        self.settle()?;
        self.progress.clear();
        let before = self.producer.context().state().acknowledged;
        bail!("{why}; {}", summary::before(before))
    }

    /// Until nothing is on its way any more.
    fn settle(&mut self) -> anyhow::Result<()> {
        while self.producer.in_flight_count() > 0 {
            self.look(LOOK)?;
        }
        self.look(Duration::ZERO)
    }

    /// Sends what was refused once more, each record alone: a batch is refused as a whole, perhaps
    /// because of one of them. They may come behind later ones of their key.
    fn send_alone(&mut self, mut refused: Vec<Refused>) -> anyhow::Result<()> {
        self.drain()?;
        refused.extend(self.producer.context().take_refused());
        for one in refused {
            let Refused {
                number, message, ..
            } = one;
            let (key, value) = (message.key(), message.payload());
            let next = self.next(number, key, value, message.headers().cloned());
            let answer = match self.producer.send(next) {
                Ok(()) => {
                    self.drain()?;
                    let again = self.producer.context().take_refused().pop();
                    again.map(|refused| refused.error)
                }
                Err((error, _)) => Some(error),
            };
            if let Some(error) = answer {
                self.not_taken(&error, &About::new(number, key, value))?;
            }
        }
        Ok(())
    }

    /// Until nothing is on its way; what was refused is kept.
    fn drain(&mut self) -> anyhow::Result<()> {
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(LOOK);
            if let Some(failure) = self.producer.context().failure() {
                return Err(self.failed(&failure));
            }
        }
        Ok(())
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
            if early < Duration::from_millis(1) || self.is_stopped() {
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
        if self.progress.is_due(elapsed) {
            let acknowledged = self.producer.context().state().acknowledged;
            self.progress.show(acknowledged, elapsed);
        }
        if let Some(failure) = self.producer.context().failure() {
            return Err(self.failed(&failure));
        }
        let refused = self.producer.context().take_refused();
        if refused.is_empty() {
            return Ok(());
        }
        self.send_alone(refused)
    }

    fn failed(&self, failure: &Failure) -> anyhow::Error {
        self.progress.clear();
        let Failure {
            error,
            about,
            together,
        } = failure;
        let state = self.producer.context().state();
        let why = state.connection.map(|reason| format!(" ({reason})"));
        let which = match together {
            _ if !concerns_one_record(error) => String::new(),
            1 => format!(" with {}", self.named(about)),
            _ => format!(
                " with {}, the largest of {together} sent at once",
                self.named(about)
            ),
        };
        let smaller = match together {
            2.. if concerns_one_record(error) => {
                ", or send less at once with --property batch.size=BYTES"
            }
            _ => "",
        };
        anyhow!(
            "after {} acknowledged records, topic {} took no more{which}: {error}{}; {}{smaller}",
            state.acknowledged,
            self.args.topic,
            why.unwrap_or_default(),
            self.remedy(error)
        )
    }

    fn named(&self, about: &About) -> String {
        let noun = if self.args.reads_lines() {
            "line"
        } else {
            "record"
        };
        let key = about.key.as_ref().map(|key| {
            let text = String::from_utf8_lossy(key);
            let (short, rest) = match text.char_indices().nth(KEY_CHARS) {
                Some((end, _)) => (&text[..end], "…"),
                None => (&*text, ""),
            };
            format!("key {}{rest}, ", short.escape_debug())
        });
        let bytes = grouped(i64::try_from(about.bytes).unwrap_or(i64::MAX));
        let key = key.unwrap_or_default();
        format!("{noun} {} ({key}{bytes} bytes)", about.number)
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

    fn remedy(&self, error: &KafkaError) -> String {
        let remedy = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                "make the record smaller, or raise the topic's max.message.bytes and --property message.max.bytes"
            }
            Some(RDKafkaErrorCode::InvalidRecord) => {
                "a compacted topic takes no record without a key; see the brokers' log for other reasons"
            }
            Some(RDKafkaErrorCode::MessageTimedOut) => {
                "check that the brokers are up and enough replicas in sync, or raise --timeout"
            }
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed,
            ) => {
                let right = Right::topic(Operation::Write, &self.args.topic);
                return format!(
                    "{} and, on brokers before 2.8, IdempotentWrite on the cluster, or name other credentials with --property",
                    right.remedy()
                );
            }
            _ => "see the brokers' log",
        };
        remedy.to_owned()
    }
}
