//! A Kafka in this process: librdkafka's mock cluster, which other processes reach on loopback.
//!
//! For development, and for tests. What it can and cannot do is in `docs/dev.md`.

use rdkafka::bindings as rd;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

/// How long the first member of a group waits for others; a real broker's three seconds would be
/// waited for at each start and at each change.
const FIRST_JOIN_MS: i32 = 100;

/// The cluster; it ends when this is dropped.
pub struct Embedded {
    /// Whom it belongs to. Nothing is produced by it.
    owner: BaseProducer<Silent>,
    servers: String,
}

/// That the cluster is a mock need not be said to those who asked for it.
#[derive(Debug)]
pub struct Silent;

impl ClientContext for Silent {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Silent {
    type DeliveryOpaque = ();
    fn delivery(&self, _: &rdkafka::message::DeliveryResult<'_>, (): ()) {}
}

impl Embedded {
    /// Starts a cluster of one broker, without topics.
    ///
    /// # Errors
    /// If librdkafka cannot, as where no port on loopback can be had.
    pub fn start() -> KafkaResult<Self> {
        let mut config = ClientConfig::new();
        config.set("test.mock.num.brokers", "1");
        let owner: BaseProducer<Silent> = config.create_with_context(Silent)?;
        // SAFETY: the client is alive for the call; the handle is only asked for.
        let mock = unsafe { rd::rd_kafka_handle_mock_cluster(owner.client().native_ptr()) };
        let Some(cluster) = owner.client().mock_cluster().filter(|_| !mock.is_null()) else {
            let why = "librdkafka made no cluster in this process".to_owned();
            return Err(KafkaError::ClientCreation(why));
        };
        // SAFETY: the handle is not null, and its owner is alive.
        unsafe { rd::rd_kafka_mock_group_initial_rebalance_delay_ms(mock, FIRST_JOIN_MS) };
        let servers = cluster.bootstrap_servers();
        drop(cluster);
        Ok(Self { owner, servers })
    }

    /// Where it listens: `host:port`.
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// The cluster itself, which can be made to misbehave.
    ///
    /// # Panics
    /// Never: it is made with the client that it belongs to.
    pub fn cluster(&self) -> MockCluster<'_, Silent> {
        let cluster = self.owner.client().mock_cluster();
        cluster.expect("a client that was made with a cluster has it for its life")
    }

    /// Creates a topic; false if it is there already.
    ///
    /// # Errors
    /// If its name or its number of partitions will not do.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> KafkaResult<bool> {
        use rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists;
        match self.cluster().create_topic(topic, partitions, 1) {
            Ok(()) => Ok(true),
            Err(KafkaError::MockCluster(TopicAlreadyExists)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_created_once_and_two_clusters_are_two() {
        let [one, other] = [(); 2].map(|()| Embedded::start().unwrap());
        assert_ne!(one.servers(), other.servers());
        assert!(one.create_topic("t", 3).unwrap());
        assert!(!one.create_topic("t", 3).unwrap());
        assert!(other.create_topic("t", 3).unwrap());
    }
}
