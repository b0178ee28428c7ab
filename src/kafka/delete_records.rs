//! Deletes the oldest records of partitions.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset as Position, TopicPartitionList};

use super::admin::{Answers, Error};
use super::client_config::{self, Connection};
use super::errors::without_values;
use super::native::Tokens;
use super::native::answers::Failure;
use super::oauth::Grant;
use super::right::{Operation, Right};
use crate::topic::{Offset, TopicPartition};

/// Deletes what lies below each offset. Answers with the oldest offset that is left.
///
/// # Errors
/// If no broker answers or the request as a whole is refused; partitions have failures of their own.
pub async fn delete_records(
    connection: &Connection<'_>,
    below: &BTreeMap<TopicPartition, Offset>,
    timeout: Duration,
) -> Result<Answers<Offset>, Error> {
    let config = client_config::questions(connection);
    let (config, grant) = Grant::take(&config);
    let client: AdminClient<DefaultClientContext> = config
        .create()
        .map_err(|error| Error::Config(without_values(&error)))?;
    let _tokens = Tokens::keep(client.inner(), grant);
    let mut list = TopicPartitionList::with_capacity(below.len());
    for (TopicPartition { topic, partition }, offset) in below {
        list.add_partition_offset(topic, *partition, Position::Offset(offset.0))
            .map_err(|error| refused(&error))?;
    }
    let options = AdminOptions::new()
        .operation_timeout(Some(timeout))
        .request_timeout(Some(timeout));
    let deleted = client.delete_records(&list, &options).await;
    let deleted = deleted.map_err(|error| refused(&error))?;
    let elements = deleted.elements();
    let answers = elements.iter().map(|element| {
        let partition = TopicPartition::new(element.topic(), element.partition());
        let oldest = match (element.error(), element.offset()) {
            (Ok(()), Position::Offset(offset)) => Ok(Offset(offset)),
            (Ok(()), _) => Ok(Offset(0)),
            (Err(error), _) => {
                let error = refused(&error);
                Err(error.lacking(|| Right::topic(Operation::Delete, element.topic())))
            }
        };
        (partition, oldest)
    });
    Ok(answers.collect())
}

fn refused(error: &KafkaError) -> Error {
    let message = match error.rdkafka_error_code() {
        // https://kafka.apache.org/documentation/#topicconfigs_cleanup.policy
        Some(RDKafkaErrorCode::PolicyViolation) => {
            "Kafka deletes records only of topics that have delete in cleanup.policy, and this one is only compacted; set it to compact,delete first".to_owned()
        }
        Some(code) => code.to_string(),
        None => error.to_string(),
    };
    match error.rdkafka_error_code() {
        Some(code) => Error::of(Failure {
            code: code as i32,
            message,
        }),
        None => Error::Config(message),
    }
}
