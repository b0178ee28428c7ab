//! A producer, and a topic that exists.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{anyhow, bail};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, OwnedMessage};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use tokio::runtime::Handle;

use super::ProduceArgs;
use crate::kafka::admin::{Admin, Error};
use crate::kafka::errors::without_values;
use crate::kafka::oauth::Grant;
use crate::kafka::right::{Operation, Right};
use crate::kafka::topics::Topics;
use crate::kafka::{PARTITIONS_ON_REQUEST, Tokens, is_embedded};
use crate::plural::noun;

/// What the producer has heard.
#[derive(Debug)]
pub(super) struct Heard {
    best_effort: bool,
    state: Mutex<State>,
    refused: Mutex<Vec<Refused>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub acknowledged: u64,
    /// Of the first record that was not acknowledged.
    pub failure: Option<Failure>,
    /// What a connection last ended with; explains a time-out.
    pub connection: Option<String>,
}

/// Why nothing more is sent.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub error: KafkaError,
    /// The record that it is about; the largest, as a batch is refused as a whole.
    pub about: About,
    /// Records that failed with it.
    pub together: u64,
}

/// What a record is told by.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// Its line or, without lines, which one it is, from 1.
    pub number: usize,
    pub key: Option<Vec<u8>>,
    /// Of its key and its value.
    pub bytes: usize,
}

impl About {
    pub fn new(number: usize, key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        Self {
            number,
            key: key.map(<[u8]>::to_vec),
            bytes: key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len),
        }
    }
}

/// A record that was refused in a batch, perhaps because of another one.
#[derive(Debug)]
pub(super) struct Refused {
    pub number: usize,
    pub message: OwnedMessage,
    pub error: KafkaError,
}

/// True if a record is refused for what it is, so that others may be taken.
pub(super) fn concerns_one_record(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidDifferentRecord
                | RDKafkaErrorCode::InvalidTimestamp
        )
    )
}

impl Heard {
    /// With `best_effort`, records that are refused for what they are do not count as failures, and
    /// are kept to be sent alone.
    fn new(best_effort: bool) -> Self {
        Self {
            best_effort,
            state: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    pub fn state(&self) -> State {
        lock(&self.state).clone()
    }

    pub fn failure(&self) -> Option<Failure> {
        lock(&self.state).failure.clone()
    }

    /// Those refused since the last time, in the order in which they were sent.
    pub fn take_refused(&self) -> Vec<Refused> {
        let mut refused = std::mem::take(&mut *lock(&self.refused));
        refused.sort_by_key(|refused| refused.number);
        refused
    }

    fn note(&self, note: impl FnOnce(&mut State)) {
        note(&mut lock(&self.state));
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn fail(&mut self, error: &KafkaError, about: About) {
        match &mut self.failure {
            None => {
                self.failure = Some(Failure {
                    error: error.clone(),
                    about,
                    together: 1,
                });
            }
            Some(failure) if failure.error == *error => {
                failure.together += 1;
                if about.bytes > failure.about.bytes {
                    failure.about = about;
                }
            }
            Some(_) => {}
        }
    }
}

impl ClientContext for Heard {
    fn error(&self, error: KafkaError, reason: &str) {
        // It follows on what took the last of them down, and says less.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            return;
        }
        self.note(|state| state.connection = Some(reason.to_owned()));
    }

    // What matters of the log arrives as an error, too.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
}

impl ProducerContext for Heard {
    /// The record's number.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(_) => self.note(|state| state.acknowledged += 1),
            Err((error, message)) if self.best_effort && concerns_one_record(error) => {
                lock(&self.refused).push(Refused {
                    number,
                    message: message.detach(),
                    error: error.clone(),
                });
            }
            Err((error, message)) => {
                let about = About::new(number, message.key(), message.payload());
                self.note(|state| state.fail(error, about));
            }
        }
    }
}

fn config(args: &ProduceArgs) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &args.bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("queue.buffering.max.kbytes", "65536")
        .set(
            "delivery.timeout.ms",
            args.timeout.0.as_millis().to_string(),
        )
        // The partition of a key as Java clients choose it, not librdkafka's own.
        .set("partitioner", "murmur2_random");
    for (name, value) in &args.properties {
        config.set(name, value);
    }
    config
}

/// A producer, and what gives it its OAuth tokens, which must go before it.
pub(super) fn producer(
    args: &ProduceArgs,
) -> anyhow::Result<(BaseProducer<Heard>, Option<Tokens>)> {
    let (config, grant) = Grant::take(&config(args));
    let producer: BaseProducer<Heard> = config
        .create_with_context(Heard::new(args.best_effort))
        .map_err(|error| {
            anyhow!(
                "{}; check --bootstrap and --property",
                without_values(&error)
            )
        })?;
    let tokens = Tokens::keep(producer.client(), grant);
    Ok((producer, tokens))
}

/// The topic's partitions; creates it if that was asked for.
pub(super) fn topic(producer: &BaseProducer<Heard>, args: &ProduceArgs) -> anyhow::Result<usize> {
    match partitions(producer, args)? {
        Some(found) => {
            if let Some(wanted) = args.partitions.filter(|wanted| *wanted as usize != found) {
                eprintln!(
                    "topic {} exists with {found} {} and is left so; --partitions {wanted} is for a new one",
                    args.topic,
                    noun("partition", found)
                );
            }
            Ok(found)
        }
        None if is_hidden(producer, args) => {
            let right = Right::topic(Operation::Write, &args.topic);
            bail!(
                "{right} at {} is not allowed, nor to see whether it exists; {}, or other credentials with --property",
                args.bootstrap,
                right.remedy()
            )
        }
        None if args.create => create(producer, args),
        None => bail!(
            "topic {} does not exist at {}; create it, or add --create --partitions N",
            args.topic,
            args.bootstrap
        ),
    }
}

/// Asks for all topics: asking for one would create it where brokers create topics on request.
fn partitions(producer: &BaseProducer<Heard>, args: &ProduceArgs) -> anyhow::Result<Option<usize>> {
    let found = producer.client().fetch_metadata(None, args.timeout.0);
    let metadata = found.map_err(|error| unreachable(producer, args, &error))?;
    Ok(metadata
        .topics()
        .iter()
        .find(|topic| topic.name() == args.topic)
        .map(|topic| topic.partitions().len()))
}

/// Among all topics one that this user may not see is left out like one that does not exist. Asked for by its name it is
/// told from it, by a request that creates nothing, which the embedded Kafka does not know.
fn is_hidden(producer: &BaseProducer<Heard>, args: &ProduceArgs) -> bool {
    if is_embedded(producer.client()) {
        return false;
    }
    let properties = args.properties.iter().cloned().collect();
    let Ok(admin) = Admin::open(&args.bootstrap, &properties) else {
        return false;
    };
    let topics = [args.topic.clone()].into();
    let found = Handle::current().block_on(admin.partitions(&topics, args.timeout.0));
    let answer = found.ok().and_then(|found| found.into_values().next());
    matches!(answer, Some(Err(Error::NotAuthorized(_))))
}

fn unreachable(
    producer: &BaseProducer<Heard>,
    args: &ProduceArgs,
    error: &KafkaError,
) -> anyhow::Error {
    // Serves the errors that explain it.
    producer.poll(Duration::from_millis(50));
    let why = match producer.context().state().connection {
        Some(reason) => reason,
        None => error.to_string(),
    };
    anyhow!(
        "no broker at {} answered within {}: {why}; check --bootstrap and that the brokers run and can be reached from here",
        args.bootstrap,
        args.timeout
    )
}

/// The Kafka of `drover dev` knows no request to create topics; it makes those that are asked for.
fn create_at_embedded(producer: &BaseProducer<Heard>, args: &ProduceArgs) -> anyhow::Result<usize> {
    let topic = &args.topic;
    if let Some(wanted) = args
        .partitions
        .filter(|wanted| *wanted != PARTITIONS_ON_REQUEST)
    {
        bail!(
            "the Kafka embedded in drover dev makes topic {topic} with {PARTITIONS_ON_REQUEST} partitions, and no other number; leave --partitions {wanted} away, or have {topic} in spec.topics of the KafkaConsumer and start drover dev with --partitions {wanted}"
        );
    }
    let asked = producer
        .client()
        .fetch_metadata(Some(topic), args.timeout.0);
    let metadata = asked.map_err(|error| unreachable(producer, args, &error))?;
    let mut found = metadata.topics().iter();
    match found.find(|found| found.name() == topic && found.error().is_none()) {
        Some(found) => Ok(found.partitions().len()),
        None => {
            bail!("the Kafka embedded in drover dev did not make topic {topic}; check its name")
        }
    }
}

fn create(producer: &BaseProducer<Heard>, args: &ProduceArgs) -> anyhow::Result<usize> {
    if is_embedded(producer.client()) {
        return create_at_embedded(producer, args);
    }
    let mut admin_config = ClientConfig::new();
    admin_config.set("bootstrap.servers", &args.bootstrap);
    for (name, value) in &args.properties {
        admin_config.set(name, value);
    }
    let topics = Topics::of(&admin_config, args.timeout.0)?;
    futures::executor::block_on(topics.create(&args.topic, args.partitions))?;
    // The broker that answers next may not have heard of it yet.
    for _ in 0..100 {
        if let Some(found) = partitions(producer, args)? {
            return Ok(found);
        }
        producer.poll(Duration::from_millis(100));
    }
    bail!(
        "topic {} was created, but {} does not show it after 10s; try again",
        args.topic,
        args.bootstrap
    )
}
