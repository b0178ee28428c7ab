//! What librdkafka says beside its answers: log lines, and why connections fail.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;

use super::lock;
use crate::clock::Monotonic;
use crate::kafka::native::answers::Failure;
use crate::kafka::security;

/// librdkafka's numbers of what it says of connections.
const ALL_BROKERS_DOWN: i32 = -187;
const TLS: i32 = -181;
const AUTHENTICATION: i32 = -169;

/// Within so long librdkafka goes on to another broker where one lets nobody in.
const OTHERS: Duration = Duration::from_secs(4);

/// Log lines go to tracing at debug: what matters comes back as the answer of a request.
#[derive(Default)]
pub(super) struct Context {
    pub(super) said: Mutex<Said>,
}

/// What librdkafka said of connections.
#[derive(Default)]
pub(super) struct Said {
    /// Its last complaint, for messages: "timed out" alone helps nobody.
    pub(super) complaint: Option<Complaint>,
    /// By broker, whether what it failed of last stays as it is until somebody corrects it.
    lasting: BTreeMap<String, bool>,
    /// Each of them has failed.
    all_are_down: bool,
    /// None lets us in, and waiting will not help.
    refused: Option<Monotonic>,
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
    pub(super) fn complain(&self, failure: Failure) {
        let Failure { code, message } = &failure;
        tracing::debug!(target: "librdkafka", code, message);
        lock(&self.said).take(failure);
    }
}

impl Said {
    fn take(&mut self, Failure { code, message }: Failure) {
        if code == ALL_BROKERS_DOWN {
            // It follows on what took the last of them down, and says less.
            self.all_are_down = true;
        } else {
            // Some connections end so in librdkafka's words for what passes.
            let code = match message.contains("certificate verify failed") {
                true => TLS,
                false => code,
            };
            let broker = message.split_once(": ").map_or("", |(broker, _)| broker);
            let lasts = matches!(code, TLS | AUTHENTICATION);
            self.lasting.insert(broker.to_owned(), lasts);
            self.complaint = Some(match code {
                TLS => Complaint::Tls(security::in_our_words(&message)),
                AUTHENTICATION => Complaint::Authentication(message),
                _ => Complaint::Connection(message),
            });
        }
        let is_refused = self.lasting.values().all(|lasts| *lasts);
        self.refused = match is_refused && !self.lasting.is_empty() {
            true => Some(self.refused.unwrap_or_else(Monotonic::start)),
            false => None,
        };
    }

    /// For how long every broker that is known has let nobody in, for a reason that stays: a certificate, a password. One
    /// that is merely away may be back at any moment.
    pub(super) fn refused_for(&self) -> Option<Duration> {
        let lasts = self.refused.as_ref()?.elapsed();
        // That all of them are down is not always said; others of those that were named would have been tried by then.
        match self.all_are_down {
            true => Some(lasts),
            false => lasts.checked_sub(OTHERS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(failures: &[(i32, &str)]) -> Said {
        let mut said = Said::default();
        for (code, message) in failures {
            said.take(Failure {
                code: *code,
                message: (*message).to_owned(),
            });
        }
        said
    }

    #[test]
    fn waiting_is_in_vain_only_where_no_broker_is_merely_away() {
        const AWAY: i32 = -195;
        let all_down = (ALL_BROKERS_DOWN, "2/2 brokers are down");
        let (one, other) = ("ssl://a:1/bootstrap: failed", "ssl://b:1/bootstrap: failed");
        for (failures, expected) in [
            (&[][..], false),
            (&[all_down], false),
            (&[(TLS, one)], false),
            (&[(TLS, one), all_down], true),
            (&[(TLS, one), (AUTHENTICATION, other), all_down], true),
            (&[(TLS, one), (AWAY, other), all_down], false),
            (&[(AWAY, one), (TLS, other), all_down], false),
            (
                &[
                    (
                        AWAY,
                        "ssl://a:1/bootstrap: SSL routines::certificate verify failed",
                    ),
                    all_down,
                ],
                true,
            ),
            // Its first moments over, it says what it thinks of us; or it goes away.
            (&[(AWAY, one), all_down, (AUTHENTICATION, one)], true),
            (&[(TLS, one), all_down, (AWAY, one)], false),
        ] {
            let refused = said(failures).refused_for();
            assert_eq!(refused.is_some(), expected, "{failures:?}");
        }
    }
}
