//! What librdkafka says beside its answers: log lines, and why connections fail.

use std::sync::Mutex;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;

use super::lock;
use crate::kafka::native::answers::Failure;
use crate::kafka::security;

/// librdkafka's numbers of what it says of connections.
const ALL_BROKERS_DOWN: i32 = -187;
const TLS: i32 = -181;
const AUTHENTICATION: i32 = -169;

/// Log lines go to tracing at debug: what matters comes back as the answer of a request.
pub(super) struct Context {
    /// What librdkafka last complained of, for messages: "timed out" alone helps nobody.
    pub(super) complaint: Mutex<Option<Complaint>>,
}

/// Why a connection could not be made or has ended, in librdkafka's words.
#[derive(Clone, Debug)]
pub enum Complaint {
    /// TLS failed.
    Tls(String),
    /// The broker does not accept our credentials.
    Authentication(String),
    /// There is no token to show to it.
    Token(String),
    /// Anything else.
    Connection(String),
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, message);
    }
}

impl Context {
    pub(super) fn complain(&self, Failure { code, message }: Failure) {
        tracing::debug!(target: "librdkafka", code, message);
        let complaint = match code {
            // It follows on what took the last of them down, and says less.
            ALL_BROKERS_DOWN => return,
            TLS => Complaint::Tls(security::in_our_words(&message)),
            AUTHENTICATION => Complaint::Authentication(message),
            _ => Complaint::Connection(message),
        };
        *lock(&self.complaint) = Some(complaint);
    }
}
