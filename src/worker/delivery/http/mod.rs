//! The handler as an HTTP server.

pub mod authorization;
mod batch;
mod cloud_event;
pub mod connection;
mod dial;
mod event_json;
mod extensions;
pub mod h2c;
pub mod head;
mod headers;
pub mod incoming;
mod oversized;
pub mod request;
pub mod target;
mod tls;
mod turns;

use std::rc::Rc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::Full;

use self::authorization::Authorization;
use self::connection::{Connection, Exchanged};
use self::h2c::Pool;
use self::head::Outgoing;
use self::target::{AGENT, ENCODING, Target};
use self::turns::Turns;
use super::answer::{self, Answer};
use super::document::Item;
use super::spans::Hop;
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
    /// `true` where key and headers are in the body, since they are too large for the head.
    pub static IN_BODY: HeaderName = HeaderName::from_static("drover-in-body");
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
    pub source: Box<str>,
    /// Over what.
    pub protocol: Protocol,
    /// Who has been waiting for how long.
    pub turns: Box<Turns>,
}

/// What HTTP is spoken over.
#[derive(Debug)]
pub enum Protocol {
    /// HTTP/1.1: each slot has a connection of its own.
    Http1,
    /// HTTP/2 without TLS: all slots share these.
    H2c(Rc<Pool>),
}

/// The request for a record that goes alone.
struct Alone {
    request: Outgoing,
    /// It is what it would be in a batch of one.
    as_batch: bool,
}

fn with(hop: Option<&Hop>, mut request: Outgoing) -> Outgoing {
    if let Some(hop) = hop {
        hop.put_into(&mut request.head);
    }
    request
}

impl Http {
    /// One attempt, over `connection` if it still stands; what can be used again is left there.
    pub async fn attempt(
        &self,
        connection: &mut Option<Connection>,
        item: &Item<'_>,
        hop: Option<&Hop>,
    ) -> Attempted {
        let Alone { request, as_batch } = self.alone(item, hop);
        let kept = answer::EXCERPT + batch::ANSWER_PER_RECORD;
        let (answer, reached) = self.ask(connection, request, kept).await;
        let mut verdict = match answer {
            Ok(answer) if as_batch => oversized::verdict(&answer, item.prepared.record),
            Ok(answer) => answer.verdict(),
            Err(verdict) => verdict,
        };
        self.hide_authorization(&mut verdict);
        Attempted {
            verdict,
            reached: Some(reached),
        }
    }

    /// The request for one attempt, in a form that its handler's server takes.
    fn alone(&self, item: &Item<'_>, hop: Option<&Hop>) -> Alone {
        let request = with(hop, request::request(self, item));
        if !request.head.is_too_large() {
            let as_batch = false;
            return Alone { request, as_batch };
        }
        Alone {
            request: with(hop, oversized::request(self, item)),
            as_batch: matches!(self.format, Format::Plain),
        }
    }

    /// One attempt on several records, which get a verdict each.
    pub async fn attempt_batch(
        &self,
        connection: &mut Option<Connection>,
        items: &[Item<'_>],
        hop: Option<&Hop>,
    ) -> (Vec<Verdict>, Option<bool>) {
        let request = with(hop, batch::request(self, items));
        let kept = answer::EXCERPT + batch::ANSWER_PER_RECORD * items.len();
        let (answer, reached) = self.ask(connection, request, kept).await;
        let mut verdicts = match answer {
            Ok(answer) => {
                let records: Vec<_> = items.iter().map(|item| item.prepared.record).collect();
                answer.verdicts(&records)
            }
            Err(verdict) => vec![verdict; items.len()],
        };
        for verdict in &mut verdicts {
            self.hide_authorization(verdict);
        }
        (verdicts, Some(reached))
    }

    /// Sends a request: the answer, of whose body `kept` bytes are kept, or what it means that there is
    /// none; and whether the handler could be talked to.
    async fn ask(
        &self,
        connection: &mut Option<Connection>,
        request: Outgoing,
        kept: usize,
    ) -> (Result<Answer, Verdict>, bool) {
        if let Protocol::H2c(pool) = &self.protocol {
            return pool.attempt(|| self.for_http_2(&request), kept).await;
        }
        let turn = self.turns.begin();
        let Exchanged {
            answer,
            connection: left,
            reached,
        } = connection::attempt(&self.target, connection.take(), request, kept).await;
        *connection = left.filter(|_| !turn.is_to_make_way());
        (answer, reached)
    }

    fn for_http_2(&self, request: &Outgoing) -> Request<Full<Bytes>> {
        let mut request = request.to_request(&self.target.whole);
        let agent = HeaderValue::from_static(AGENT);
        request.headers_mut().insert(USER_AGENT, agent);
        let encoding = HeaderValue::from_static(ENCODING);
        request.headers_mut().insert(ACCEPT_ENCODING, encoding);
        if let Some(Authorization { value, .. }) = &self.target.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        request
    }

    /// What a handler says goes into reports, dead letters and the log.
    fn hide_authorization(&self, verdict: &mut Verdict) {
        let authorization = self.target.authorization.as_ref();
        if let Some((authorization, failure)) = authorization.zip(verdict.failure_mut()) {
            authorization.hide(&mut failure.message);
        }
    }
}

#[cfg(test)]
mod round_trip_tests;
