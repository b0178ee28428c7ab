//! How Kafka is reached, and what went wrong when it was not, in words.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::anyhow;

use super::words::Words;
use crate::kafka::admin::{Admin, Error};
use crate::kafka::client_config;
use crate::kafka::security::Security;

/// How Kafka is reached.
pub struct Reach {
    /// Brokers to begin with.
    pub bootstrap: String,
    /// For librdkafka.
    pub properties: BTreeMap<String, String>,
    /// Beside the properties.
    pub security: Security,
    /// What brokers' logs call us.
    pub client_id: &'static str,
    /// How long brokers are waited for.
    pub timeout: Duration,
    /// What all of this is called where it was written.
    pub words: Words,
}

impl Reach {
    /// A client for questions.
    ///
    /// # Errors
    /// If librdkafka refuses a property.
    pub fn admin(&self) -> anyhow::Result<Admin> {
        let Words {
            bootstrap,
            property,
            ..
        } = self.words;
        Admin::secured(&self.bootstrap, &self.properties, &self.security)
            .map(Admin::ending_when_refused)
            .map_err(|error| anyhow!("{error}; check {bootstrap} and {property}"))
    }

    /// For clients of other kinds.
    pub fn kafka(&self) -> client_config::Connection<'_> {
        client_config::Connection {
            bootstrap_servers: &self.bootstrap,
            client_id: self.client_id,
            properties: &self.properties,
            security: &self.security,
        }
    }

    /// What went wrong while `what` was done, and what to do.
    pub fn explain(&self, what: &str, error: &Error) -> anyhow::Error {
        let address = &self.bootstrap;
        let Words {
            bootstrap,
            property,
            ..
        } = self.words;
        match error {
            Error::Unreachable(_) => anyhow!(
                "{what}: {error}; check {bootstrap} {address} and that the brokers run and can be reached from here"
            ),
            Error::NotAuthorized(denial) => anyhow!(
                "{what}: {error}; {}, or other credentials with {property}",
                denial.remedy()
            ),
            Error::Config(_) => anyhow!("{error}; check {property}"),
            error => anyhow!("{what} at {address}: {error}"),
        }
    }
}

/// What the names of properties begin with that are about membership, or about how a worker reads.
const MEMBERS_ONLY: [&str; 6] = [
    "fetch.",
    "group.",
    "heartbeat.",
    "partition.assignment.",
    "queued.",
    "session.",
];

/// Leaves out what is not for clients that are no members of the KafkaConsumer's group.
pub fn leave_out_members_only(properties: &mut BTreeMap<String, String>) {
    properties.retain(|name, _| !MEMBERS_ONLY.iter().any(|prefix| name.starts_with(prefix)));
}
