//! The handler as an HTTP server.

mod batch;
mod cloud_event;
pub mod connection;
pub mod head;
mod headers;
mod incoming;
pub mod request;
pub mod target;

use self::connection::{Connection, Exchanged};
use self::target::Target;
use super::answer;
use super::document::Item;
use super::transport::Attempted;
use crate::engine::Verdict;
use crate::worker_config::HttpFormat as Format;

/// Names of the headers that Drover adds.
pub mod name {
    use http::HeaderName;

    /// The topic.
    pub static TOPIC: HeaderName = HeaderName::from_static("drover-topic");
    /// The partition's number.
    pub static PARTITION: HeaderName = HeaderName::from_static("drover-partition");
    /// The offset.
    pub static OFFSET: HeaderName = HeaderName::from_static("drover-offset");
    /// Milliseconds since 1970.
    pub static TIMESTAMP: HeaderName = HeaderName::from_static("drover-timestamp");
    /// The key, if it is text.
    pub static KEY: HeaderName = HeaderName::from_static("drover-key");
    /// The key, if it is not.
    pub static KEY_BASE64: HeaderName = HeaderName::from_static("drover-key-base64");
    /// `true` where the value is null.
    pub static TOMBSTONE: HeaderName = HeaderName::from_static("drover-tombstone");
    /// `true` where the value was encrypted.
    pub static DECRYPTED: HeaderName = HeaderName::from_static("drover-decrypted");
    /// What the plaintext is labelled, where that is not UTF-8.
    pub static DECRYPTED_ENCODING: HeaderName =
        HeaderName::from_static("drover-decrypted-encoding");
    /// 1 for the first.
    pub static ATTEMPT: HeaderName = HeaderName::from_static("drover-attempt");
    /// What the record's own headers begin with.
    pub const HEADER_PREFIX: &str = "drover-header-";
    /// All of the record's headers as JSON, where the plain ones do not say everything.
    pub static HEADERS: HeaderName = HeaderName::from_static("drover-headers");
    /// How many records a batch has.
    pub static BATCH: HeaderName = HeaderName::from_static("drover-batch");
    /// Stays the same for all attempts.
    pub static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
}

/// How an HTTP handler is spoken to.
#[derive(Debug)]
pub struct Http {
    /// Where it is.
    pub target: Target,
    /// What a record looks like.
    pub format: Format,
    /// The source of CloudEvents that were none in Kafka, without their topic.
    pub source: String,
}

impl Http {
    /// One attempt, over `connection` if it still stands; what can be used again is left there.
    pub async fn attempt(&self, connection: &mut Option<Connection>, item: &Item<'_>) -> Attempted {
        let request = request::request(self, item);
        let Exchanged {
            answer,
            connection: kept,
            reached,
        } = connection::attempt(&self.target, connection.take(), request, answer::EXCERPT).await;
        *connection = kept;
        Attempted {
            verdict: answer.map_or_else(|verdict| verdict, |answer| answer.verdict()),
            reached: Some(reached),
        }
    }

    /// One attempt on several records, which get a verdict each.
    pub async fn attempt_batch(
        &self,
        connection: &mut Option<Connection>,
        items: &[Item<'_>],
    ) -> (Vec<Verdict>, Option<bool>) {
        let request = batch::request(self, items);
        let kept = answer::EXCERPT + batch::ANSWER_PER_RECORD * items.len();
        let Exchanged {
            answer,
            connection: left,
            reached,
        } = connection::attempt(&self.target, connection.take(), request, kept).await;
        *connection = left;
        let verdicts = match answer {
            Ok(answer) => answer.verdicts(items.len()),
            Err(verdict) => vec![verdict; items.len()],
        };
        (verdicts, Some(reached))
    }
}
