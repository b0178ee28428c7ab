//! Writes dead letters and waits for the brokers, beside the loop.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};

use super::dead_letter::{Circumstances, Headers};
use super::record::Record;
use crate::clock;
use crate::engine::{DeadLetterReason, Failure, Ticket};
use crate::kafka::client_config::{self, Connection};
use crate::kafka::producer::Producer;
use crate::kafka::security::Security;
use crate::worker_config::HeaderStyle;

/// How long the producer may take to hand over what it still has when the worker stops. All of it
/// is acknowledged by then, or counted as not dead-lettered.
const FLUSH: Duration = Duration::from_millis(500);

/// Who writes, and where to.
#[derive(Clone, Debug)]
pub struct Letterhead {
    /// The dead-letter topic; None where there is none.
    pub topic: Option<String>,
    /// Names of the headers.
    pub style: HeaderStyle,
    /// Only of its records is it believed where they were first.
    pub retry_topic: Option<String>,
    /// The consumer group.
    pub group: String,
    /// `namespace/name` of the KafkaConsumer.
    pub consumer: String,
    /// The pod.
    pub pod: String,
    /// Brokers to begin with.
    pub bootstrap_servers: String,
    /// The user's properties.
    pub properties: BTreeMap<String, String>,
    /// Encryption and authentication.
    pub security: Security,
    /// How long a copy may wait for the brokers' acknowledgement.
    pub timeout: Duration,
}

/// A dead letter to write.
pub struct Letter {
    /// To be given back.
    pub ticket: Ticket,
    /// Why.
    pub reason: DeadLetterReason,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt ended with.
    pub failure: Failure,
    /// The record.
    pub record: Box<Record>,
}

/// A dead letter that is written, or could not be.
pub struct Written {
    /// From [`Letter`].
    pub ticket: Ticket,
    /// The brokers' answer.
    pub result: Result<(), String>,
    /// From [`Letter`].
    pub record: Box<Record>,
}

/// Writes dead letters.
pub struct DeadLetters {
    head: Rc<Letterhead>,
    /// Made with the first letter, as most workers never need one; and anew when it has failed for
    /// good.
    producer: Option<Producer>,
    tasks: JoinSet<()>,
    over: Rc<RefCell<Vec<Written>>>,
    wake: Arc<Notify>,
}

impl DeadLetters {
    /// A writer that has not connected to anything yet. Must be used inside a `LocalSet`.
    pub fn new(head: Letterhead, wake: Arc<Notify>) -> Self {
        Self {
            head: Rc::new(head),
            producer: None,
            tasks: JoinSet::new(),
            over: Rc::default(),
            wake,
        }
    }

    /// Begins to write a dead letter.
    pub fn write(&mut self, letter: Letter) {
        while self.tasks.try_join_next().is_some() {}
        let producer = self.producer();
        let (head, over, wake) = (self.head.clone(), self.over.clone(), self.wake.clone());
        self.tasks.spawn_local(async move {
            let result = match &producer {
                Ok(producer) => write(producer, &head, &letter).await,
                Err(why) => Err(why.clone()),
            };
            let Letter { ticket, record, .. } = letter;
            over.borrow_mut().push(Written {
                ticket,
                result,
                record,
            });
            wake.notify_one();
        });
    }

    /// Takes the letters that are written, or could not be.
    pub fn take_over(&self, into: &mut Vec<Written>) {
        into.append(&mut self.over.borrow_mut());
    }

    /// Hands over what the producer still has.
    pub async fn close(mut self) {
        if let Some(producer) = self.producer.take() {
            let flushed = spawn_blocking(move || producer.flush(FLUSH));
            // Nothing depends on it any more: what was not acknowledged was not committed.
            let _ = tokio::time::timeout(FLUSH * 2, flushed).await;
        }
    }

    fn producer(&mut self) -> Result<Producer, String> {
        if let Some(producer) = &self.producer
            && !producer.has_failed_for_good()
        {
            return Ok(producer.clone());
        }
        let connection = Connection {
            bootstrap_servers: &self.head.bootstrap_servers,
            client_id: &self.head.pod,
            properties: &self.head.properties,
            security: &self.head.security,
        };
        let producer = Producer::new(&client_config::producer(&connection, self.head.timeout))
            .map_err(|error| {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                format!("{error}: {}", source.unwrap_or_default())
            })?;
        Ok(self.producer.insert(producer).clone())
    }
}

async fn write(producer: &Producer, head: &Letterhead, letter: &Letter) -> Result<(), String> {
    let topic = head.topic.as_deref().ok_or("no dead-letter topic is set")?;
    let why = Circumstances {
        reason: letter.reason,
        attempts: letter.attempts,
        failure: &letter.failure,
        group: &head.group,
        consumer: &head.consumer,
        pod: &head.pod,
        at: clock::now(),
    };
    let replayed = head.retry_topic.as_deref() == Some(&*letter.record.topic);
    let headers = Headers::of(head.style, &letter.record, replayed, &why);
    let sent = producer.send(headers.outgoing(topic, &letter.record)).await;
    sent.map_err(|error| {
        let cause = producer.cause(&error);
        format!("write to dead-letter topic {topic}: {cause}")
    })
}
