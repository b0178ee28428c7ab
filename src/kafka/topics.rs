//! Makes topics and takes them away, for tools; fleets' topics are their owners'.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client_config::{self, Connection};
use super::errors::without_values;
use super::native::Tokens;
use super::oauth::Grant;
use super::right::{Operation, Right};

/// The brokers' choice, in a request to create a topic (Kafka 2.4 and later).
const BROKER_DEFAULT: i32 = -1;

/// What a broker refuses by its ACLs.
const REFUSALS: [RDKafkaErrorCode; 3] = [
    RDKafkaErrorCode::TopicAuthorizationFailed,
    RDKafkaErrorCode::GroupAuthorizationFailed,
    RDKafkaErrorCode::ClusterAuthorizationFailed,
];

/// A client that may change which topics there are.
pub struct Topics {
    // Before the client: they must not outlive it.
    _tokens: Option<Tokens>,
    admin: AdminClient<DefaultClientContext>,
    options: AdminOptions,
}

/// Why a topic or a group is not as it was wanted.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Refused {
    what: String,
    why: String,
}

impl Topics {
    /// A client; each call ends after `timeout` at the latest.
    ///
    /// # Errors
    /// If librdkafka refuses the settings.
    pub fn open(connection: &Connection<'_>, timeout: Duration) -> Result<Self, Refused> {
        Self::of(&client_config::questions(connection), timeout)
    }

    /// The same, of librdkafka's properties.
    ///
    /// # Errors
    /// If librdkafka refuses the settings.
    pub fn of(config: &ClientConfig, timeout: Duration) -> Result<Self, Refused> {
        let (config, grant) = Grant::take(config);
        let admin: AdminClient<DefaultClientContext> =
            config.create().map_err(|error| Refused {
                what: "connect to Kafka".to_owned(),
                why: without_values(&error),
            })?;
        let options = AdminOptions::new()
            .request_timeout(Some(timeout))
            .operation_timeout(Some(timeout));
        Ok(Self {
            _tokens: Tokens::keep(admin.inner(), grant),
            admin,
            options,
        })
    }

    /// A topic of so many partitions, or of the brokers' default, as that of replicas is. One that exists
    /// already is left as it is.
    ///
    /// # Errors
    /// If Kafka does not answer or refuses.
    pub async fn create(&self, topic: &str, partitions: Option<i32>) -> Result<(), Refused> {
        let new = NewTopic::new(
            topic,
            partitions.unwrap_or(BROKER_DEFAULT),
            TopicReplication::Fixed(BROKER_DEFAULT),
        );
        let answer = self.admin.create_topics([&new], &self.options).await;
        let right = Right::topic(Operation::Create, topic);
        outcome(format!("create topic {topic}"), &right, answer)
    }

    /// Takes a topic away, with all that is in it.
    ///
    /// # Errors
    /// If Kafka does not answer or refuses.
    pub async fn delete(&self, topic: &str) -> Result<(), Refused> {
        let answer = self.admin.delete_topics(&[topic], &self.options).await;
        let right = Right::topic(Operation::Delete, topic);
        outcome(format!("delete topic {topic}"), &right, answer)
    }

    /// Forgets a group and its offsets.
    ///
    /// # Errors
    /// If Kafka does not answer or refuses; a group that has members cannot be forgotten.
    pub async fn delete_group(&self, group: &str) -> Result<(), Refused> {
        let answer = self.admin.delete_groups(&[group], &self.options).await;
        let right = Right::group(Operation::Delete, group);
        outcome(format!("delete group {group}"), &right, answer)
    }
}

/// What became of it; of a refusal with the right that it takes.
fn outcome(
    what: String,
    right: &Right,
    answer: Result<Vec<TopicResult>, KafkaError>,
) -> Result<(), Refused> {
    let why = match answer.map(|answers| answers.into_iter().next()) {
        Ok(None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)))) => return Ok(()),
        Ok(Some(Err((_, code)))) if REFUSALS.contains(&code) => {
            format!("{right} is not allowed ({code}); {}", right.remedy())
        }
        Ok(Some(Err((_, code)))) => code.to_string(),
        Err(error) => error.to_string(),
    };
    Err(Refused { what, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_create_a_topic_is_told_which_right_that_takes() {
        let right = Right::topic(Operation::Create, "orders");
        let refused = (
            "orders".to_owned(),
            RDKafkaErrorCode::TopicAuthorizationFailed,
        );
        let answer = outcome(
            "create topic orders".to_owned(),
            &right,
            Ok(vec![Err(refused)]),
        );
        let says = answer.unwrap_err().to_string();
        for words in [
            "create topic orders: Create on topic orders is not allowed",
            "--operation Create --topic orders",
        ] {
            assert!(says.contains(words), "{says}");
        }
    }
}
