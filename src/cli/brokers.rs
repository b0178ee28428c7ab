//! Kafka clusters that many fleets are asked about: one client for each, and one that is away is waited for once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use tokio::sync::OnceCell;

use super::connection::Connection;
use crate::kafka::admin::{Admin, Error};
use crate::kafka::security::Security;

/// Brokers to begin with, properties, and who we are to them.
type Key = (String, BTreeMap<String, String>, Security);

/// The client, or why there is none.
type Opened = Arc<OnceCell<Result<Arc<Admin>, String>>>;

/// The clusters that were asked so far.
#[derive(Default)]
pub(super) struct Brokers(Mutex<BTreeMap<Key, Opened>>);

impl Brokers {
    /// The client of this cluster. The first who wants it has the brokers asked whether they are there.
    ///
    /// # Errors
    /// In one line with its remedy, the same for all who want it.
    pub async fn admin(&self, connection: &Connection) -> anyhow::Result<Arc<Admin>> {
        let key = (
            connection.bootstrap.clone(),
            connection.properties.clone(),
            connection.security.clone(),
        );
        let opened = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(key).or_default())
        };
        let opened = opened.get_or_init(async || open(connection).await);
        opened.await.clone().map_err(|why| anyhow!(why))
    }
}

async fn open(connection: &Connection) -> Result<Arc<Admin>, String> {
    let admin = connection.admin().map_err(|error| format!("{error:#}"))?;
    let consumer = connection.consumer.as_ref();
    let topics = consumer.map(|consumer| consumer.spec.consumed_topics());
    let topics = topics.unwrap_or_default().into_iter().collect();
    match admin.partitions(&topics, connection.timeout).await {
        Err(
            error @ (Error::Unreachable(_)
            | Error::Tls(_)
            | Error::Authentication(_)
            | Error::Token(_)),
        ) => {
            let error = connection.explain("look for the topics", &error);
            Err(format!("{error:#}"))
        }
        // Whatever else is wrong may be so for this fleet only.
        _ => Ok(Arc::new(admin)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;

    use super::*;
    use crate::cli::connection::ConnectionArgs;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        connection: ConnectionArgs,
    }

    fn connection(consumer: &str, flags: &[&str]) -> Connection {
        let flags = Flags::parse_from([&["drover"], flags].concat());
        let consumer = serde_json::json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
            "metadata": { "name": consumer, "namespace": "shop" },
            "spec": { "kafka": { "bootstrapServers": "127.0.0.1:1" }, "topics": [consumer],
                "handler": { "http": { "url": "http://orders/kafka" } } },
        });
        let consumer = serde_json::from_value(consumer).unwrap();
        let connection = flags.connection.of(Some(consumer), Security::default());
        connection.unwrap()
    }

    #[tokio::test]
    async fn brokers_that_are_away_are_asked_once_for_all_their_fleets() {
        let brokers = Brokers::default();
        let said = async |name: &str, flags: &[&str]| {
            let connection = connection(name, flags);
            assert!(connection.timeout <= Duration::from_millis(300));
            let answer = brokers.admin(&connection).await;
            format!("{:#}", answer.err().unwrap())
        };
        let short = ["--bootstrap", "127.0.0.1:1", "--timeout", "300ms"];
        let one = said("orders", &short).await;
        assert!(one.contains("127.0.0.1:1"), "{one}");
        assert_eq!(said("mails", &short).await, one);
        assert_eq!(brokers.0.lock().unwrap().len(), 1);
        let other = [&short[..], &["--property", "client.rack=b"]].concat();
        said("mails", &other).await;
        assert_eq!(brokers.0.lock().unwrap().len(), 2);
    }
}
