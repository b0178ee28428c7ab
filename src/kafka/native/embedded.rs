//! A Kafka in this process: librdkafka's mock cluster, which other processes reach on loopback.
//!
//! For development, and for tests. What it can and cannot do is in `docs/dev.md`.

use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
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

/// What a mock cluster calls itself begins so.
const ID: &str = "mockCluster";
/// Partitions of a topic that a mock makes because a client asks for it. librdkafka lets nobody set it.
pub const PARTITIONS_ON_REQUEST: i32 = 4;

/// Whether a client that has had an answer already is connected to such a cluster, of this process or another.
pub fn is_embedded<C: ClientContext>(client: &Client<C>) -> bool {
    let id = client.fetch_cluster_id(Duration::ZERO);
    id.is_some_and(|id| id.starts_with(ID))
}

/// Whether such a cluster listens there. Only on loopback may it, so nobody else is asked.
pub fn is_embedded_at(servers: &str, timeout: Duration) -> bool {
    let on_loopback = |server: &str| {
        let host = server.trim().rsplit_once(':').map(|(host, _)| host);
        host.is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&host))
    };
    if !servers.split(',').all(on_loopback) {
        return false;
    }
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    let asker: KafkaResult<BaseProducer<Silent>> = config.create_with_context(Silent);
    let Ok(asker) = asker else {
        return false;
    };
    asker.client().fetch_metadata(None, timeout).is_ok() && is_embedded(asker.client())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_another_process_is_known_by_what_it_calls_itself() {
        let timeout = Duration::from_secs(30);
        let embedded = Embedded::start().unwrap();
        assert!(is_embedded_at(embedded.servers(), timeout));
        let two = format!("{}, kafka.example.com:9092", embedded.servers());
        assert!(!is_embedded_at(&two, timeout));
        assert!(!is_embedded_at("127.0.0.1:1", Duration::from_millis(50)));
    }

    #[test]
    fn a_topic_is_created_once_and_two_clusters_are_two() {
        let [one, other] = [(); 2].map(|()| Embedded::start().unwrap());
        assert_ne!(one.servers(), other.servers());
        assert!(one.create_topic("t", 3).unwrap());
        assert!(!one.create_topic("t", 3).unwrap());
        assert!(other.create_topic("t", 3).unwrap());
    }
}
