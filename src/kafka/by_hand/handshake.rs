//! A handshake of our own with a broker, to learn why librdkafka's has failed.
//!
//! OpenSSL's text is the same for a certificate that has expired, one of an unknown authority and one for another
//! name, and a port without TLS merely hangs up. So when a connection has failed already, one is made by hand, seldom,
//! and given up soon; what it fails of is told ([`reason`]). Where it does not fail, or the way is not known ([`Way`]),
//! librdkafka's words stand.

mod reason;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use self::reason::{Attempt, Reason};
use super::connection::{Connection, Trouble};
use super::way::{self, Way};
use crate::clock::Monotonic;
use crate::kafka::client_config;
use crate::kafka::security::Security;

/// How long it may take in all.
const LIMIT: Duration = Duration::from_secs(3);
/// What was found out is told for so long before it is looked for again: a broker that is in trouble has enough to do.
const KEPT: Duration = Duration::from_secs(10);

/// Finds out why connections to the brokers of one cluster fail in TLS.
pub struct Handshake {
    bootstrap_servers: String,
    client_id: String,
    properties: BTreeMap<String, String>,
    /// Kept as it is: what it takes to connect is made of it when it is needed, which it hardly ever is.
    security: Security,
    found: Mutex<Option<Found>>,
}

struct Found {
    at: Monotonic,
    words: Option<String>,
}

impl Handshake {
    /// None where connections are not encrypted.
    pub fn of(connection: &client_config::Connection<'_>) -> Option<Self> {
        connection.security.tls.as_ref()?;
        Some(Self {
            bootstrap_servers: connection.bootstrap_servers.to_owned(),
            client_id: connection.client_id.to_owned(),
            properties: connection.properties.clone(),
            security: connection.security.clone(),
            found: Mutex::default(),
        })
    }

    /// What is the matter and what to do, if librdkafka's `words` are about TLS and more can be said. It takes a few
    /// seconds at most.
    pub async fn explain(&self, words: &str) -> Option<String> {
        if !may_be_tls(words) {
            return None;
        }
        // Who fails meanwhile waits for the same answer.
        let mut found = self.found.lock().await;
        match &*found {
            Some(found) if found.at.elapsed() < KEPT => found.words.clone(),
            _ => {
                let words = timeout(LIMIT, self.look(words)).await.ok().flatten();
                *found = Some(Found {
                    at: Monotonic::start(),
                    words: words.clone(),
                });
                words
            }
        }
    }

    async fn look(&self, words: &str) -> Option<String> {
        let way = self.way()?;
        let tls = self.security.tls.as_ref()?;
        let brokers = named_in(words).map_or_else(|| way.bootstrap.clone(), |one| vec![one]);
        for (host, port) in &brokers {
            let reason = match fails(host, *port, &way).await {
                // Names are not looked at, and all that comes before them was well.
                Some(Reason::OtherName(_)) if !tls.verify_hostname => None,
                reason => reason,
            };
            if let Some(reason) = reason {
                return Some(reason.words(&Attempt {
                    host,
                    port: *port,
                    has_authorities: tls.ca.is_some(),
                    has_certificate: tls.certificate.is_some(),
                }));
            }
        }
        None
    }

    /// Only as far as the encryption: who we are is not said.
    fn way(&self) -> Option<Way> {
        let mut tls = self.security.tls.clone()?;
        tls.verify_hostname = true;
        let security = Security {
            tls: Some(tls),
            ..Security::default()
        };
        Way::of(&client_config::Connection {
            bootstrap_servers: &self.bootstrap_servers,
            client_id: &self.client_id,
            properties: &self.properties,
            security: &security,
        })
    }
}

/// Why a connection to this broker fails; none if it does not, or for a reason that is not TLS's.
async fn fails(host: &str, port: u16, way: &Way) -> Option<Reason> {
    // With a question and its answer: what a broker thinks of our certificate it says after the handshake.
    let Err(Trouble::Io(error)) = Connection::open(host, port, way, &[]).await else {
        return None;
    };
    let cause: Option<&rustls::Error> = error.get_ref().and_then(|cause| cause.downcast_ref());
    let reason = match cause {
        Some(cause) => Reason::of(cause)?,
        // It hangs up without a word of TLS.
        None => Reason::NoTls,
    };
    if reason != Reason::NoTls {
        return Some(reason);
    }
    let plain = Way {
        tls: None,
        ..way.clone()
    };
    let is_kafka = Connection::open(host, port, &plain, &[]).await.is_ok();
    match cause {
        _ if is_kafka => Some(Reason::PlainKafka),
        Some(_) => Some(Reason::NoTls),
        None => None,
    }
}

/// Whether librdkafka's words can be about TLS. The port of a broker that hangs up is nothing else to it.
fn may_be_tls(words: &str) -> bool {
    words.contains("SSL") || words.contains("Disconnected")
}

/// The broker that librdkafka speaks of last: `sasl_ssl://kafka:9093/bootstrap: …`.
fn named_in(words: &str) -> Option<(String, u16)> {
    let (_, behind) = words.rsplit_once("ssl://")?;
    let (place, _) = behind.split_once('/')?;
    way::address(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_that_librdkafka_speaks_of_is_looked_at() {
        let place = |host: &str| Some((host.to_owned(), 9093));
        for (words, expected) in [
            (
                "ssl://kafka:9093/bootstrap: SSL handshake failed: certificate verify failed",
                place("kafka"),
            ),
            (
                "timed out; last: sasl_ssl://[::1]:9093/2: Disconnected (after 3ms in state APIVERSION_QUERY)",
                place("::1"),
            ),
            ("Local: SSL error", None),
            ("kafka:9092/bootstrap: Disconnected", None),
        ] {
            assert_eq!(named_in(words), expected, "{words}");
            assert!(may_be_tls(words), "{words}");
        }
        assert!(!may_be_tls("no answer within 5s"));
    }

    #[test]
    fn where_nothing_is_encrypted_nothing_is_looked_at() {
        let connection = client_config::Connection {
            bootstrap_servers: "kafka:9092",
            client_id: "drover",
            properties: &BTreeMap::new(),
            security: &Security::default(),
        };
        assert!(Handshake::of(&connection).is_none());
    }
}
