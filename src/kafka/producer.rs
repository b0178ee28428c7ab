//! Writes single records and waits until the brokers have them.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::util::Timeout;
use tracing::debug;

use super::consumer::log_line;
use super::errors::Error;
use super::native::{Tokens, headers};
use super::oauth::Grant;

/// Writes records.
#[derive(Clone)]
pub struct Producer {
    // Before the client: they must not outlive it.
    _tokens: Option<Arc<Tokens>>,
    inner: FutureProducer<Context>,
}

/// A record to write. Null and empty are different for key, value and header values.
#[derive(Debug, Default)]
pub struct Outgoing<'a> {
    /// Where to.
    pub topic: &'a str,
    /// Also decides the partition.
    pub key: Option<&'a [u8]>,
    /// None is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since 1970; None is now.
    pub timestamp: Option<i64>,
    /// In their order; names need not be text.
    pub headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

impl Producer {
    /// A producer; it connects when it first has something to write.
    pub fn new(config: &ClientConfig) -> Result<Self, Error> {
        let (config, grant) = Grant::take(config);
        let inner =
            FutureProducer::from_config_and_context(&config, Context).map_err(|source| {
                Error::Create {
                    kind: "producer",
                    source,
                }
            })?;
        Ok(Self {
            _tokens: Tokens::keep(inner.client(), grant).map(Arc::new),
            inner,
        })
    }

    /// Writes a record; Ok means that all replicas that must have it do.
    pub async fn send(&self, record: Outgoing<'_>) -> Result<(), KafkaError> {
        let outgoing: FutureRecord<'_, [u8], [u8]> = FutureRecord {
            topic: record.topic,
            partition: None,
            payload: record.value,
            key: record.key,
            timestamp: record.timestamp,
            headers: Some(headers(&record.headers)),
        };
        match self
            .inner
            .send(outgoing, Timeout::After(Duration::ZERO))
            .await
        {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error),
        }
    }

    /// It can write nothing any more, and another one must be made: a refusal of the right to write
    /// idempotently is for good, also when the right is given later.
    pub fn has_failed_for_good(&self) -> bool {
        self.inner.client().fatal_error().is_some()
    }

    /// What an error came of: what was still waiting is given up when the producer fails for good, and says only that.
    pub fn cause(&self, error: &KafkaError) -> String {
        let given_up = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::PurgeQueue
                    | RDKafkaErrorCode::PurgeInflight
                    | RDKafkaErrorCode::Fatal
            )
        );
        match self.inner.client().fatal_error() {
            Some((code, text)) if given_up => in_words(code, &text),
            _ => refused(error),
        }
    }

    /// Waits for what is on its way. It **blocks**: for a thread of its own.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.inner.flush(timeout)
    }
}

/// Why a record was not taken. Short, as a report has little room; the likeliest first.
fn refused(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        // Of a topic that it had seen and finds no more it says no other word.
        Some(RDKafkaErrorCode::MessageTimedOut) => {
            "MessageTimedOut: the topic may be gone; look whether it is there, with a leader and enough replicas in sync".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Why a producer has failed for good.
fn in_words(code: RDKafkaErrorCode, text: &str) -> String {
    match code {
        // That is asked first: whoever may write to any topic may write idempotently.
        RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::TopicAuthorizationFailed => {
            "NotAuthorized: Kafka refuses this user the right to write; allow Write and Describe on the topic".to_owned()
        }
        _ => text.to_owned(),
    }
}

/// Takes what librdkafka says of the producer.
struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        // Each producer that is made anew may say it; whoever writes tells it as the cause, and not in floods.
        if facility == "FATAL" {
            return debug!(target: "librdkafka", facility, "{text}");
        }
        log_line(level as i32, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "Kafka producer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_nobody_took_in_time_is_told_with_where_to_look() {
        let of = |code| refused(&KafkaError::MessageProduction(code));
        let late = of(RDKafkaErrorCode::MessageTimedOut);
        for part in ["MessageTimedOut", "may be gone", "enough replicas"] {
            assert!(late.contains(part), "{late}");
        }
        let large = of(RDKafkaErrorCode::MessageSizeTooLarge);
        assert!(large.contains("MessageSizeTooLarge"), "{large}");
        assert!(!large.contains("gone"), "{large}");
    }
}
