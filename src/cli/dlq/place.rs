//! The dead-letter topic, as arguments.

use anyhow::bail;
use clap::Args;
use kube::ResourceExt;

use crate::api::KafkaConsumer;
use crate::cli::connection::{Connection, ConnectionArgs, group_id};
use crate::redrive::filter::Whose;
use crate::redrive::place::{Fleet, Place};
use crate::redrive::words;

/// Which dead-letter topic.
#[derive(Args, Clone, Debug)]
pub(super) struct PlaceArgs {
    /// The dead-letter topic; default is the KafkaConsumer's
    #[arg(long)]
    topic: Option<String>,
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

impl PlaceArgs {
    /// The topic, and the KafkaConsumer if one was named.
    pub async fn resolve(&self) -> anyhow::Result<(Place, Option<KafkaConsumer>)> {
        self.of(self.connection.resolve().await?.said_where())
    }

    /// As [`PlaceArgs::resolve`], for what writes there or deletes.
    ///
    /// # Errors
    /// Also if only the environment says at which brokers.
    pub async fn resolve_to_change(&self) -> anyhow::Result<(Place, Option<KafkaConsumer>)> {
        let connection = self.connection.resolve().await?;
        connection.is_meant()?;
        self.of(connection)
    }

    /// Neither a topic nor a KafkaConsumer is named.
    pub fn names_nothing(&self) -> bool {
        self.topic.is_none() && self.connection.names_nothing()
    }

    /// As [`PlaceArgs::resolve`], for a connection that was found already.
    pub fn of(&self, connection: Connection) -> anyhow::Result<(Place, Option<KafkaConsumer>)> {
        let (mut reach, consumer) = connection.reach();
        if self.topic.is_some() {
            reach.words.topic = words::FLAGS.topic;
        }
        let theirs = || dead_letter_topic(consumer.as_ref()?).map(str::to_owned);
        let topic = match (self.topic.clone().or_else(theirs), &consumer) {
            (Some(topic), _) => topic,
            (None, Some(consumer)) => bail!(
                "KafkaConsumer {name} has no dead-letter topic (spec.delivery.deadLetter.topic): what its handler refuses stays where it is, and drover status {name}{here} names it; to look into another topic, name that with --topic",
                name = consumer.name_any(),
                here = self.connection.cluster.here()
            ),
            (None, None) => bail!("no dead-letter topic is named; add --topic"),
        };
        let fleet = consumer.as_ref().map(|consumer| Fleet {
            name: consumer.name_any(),
            topics: consumer.spec.topics.clone(),
            retry_topic: consumer.spec.retry_topic().map(str::to_owned),
            whose: self.whose(consumer),
        });
        let place = Place {
            reach,
            topic,
            fleet,
        };
        Ok((place, consumer))
    }

    /// As its dead letters name it. A file need not say in which namespace it is to be.
    fn whose(&self, consumer: &KafkaConsumer) -> Whose {
        let namespace = self.connection.cluster.namespace.clone();
        match consumer.namespace().or(namespace) {
            Some(namespace) => Whose {
                consumer: format!("{namespace}/{}", consumer.name_any()),
                group: Some(group_id(consumer)),
            },
            None => Whose {
                consumer: consumer.name_any(),
                group: consumer.spec.group_id.clone(),
            },
        }
    }
}

/// The topic that a KafkaConsumer names for its dead letters.
pub(super) fn dead_letter_topic(consumer: &KafkaConsumer) -> Option<&str> {
    let dead_letter = consumer.spec.delivery.as_ref()?.dead_letter.as_ref()?;
    Some(&dead_letter.topic)
}
