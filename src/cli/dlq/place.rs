//! The dead-letter topic, as arguments.

use anyhow::bail;
use clap::Args;
use kube::ResourceExt;

use crate::api::KafkaConsumer;
use crate::cli::connection::ConnectionArgs;
use crate::redrive::place::{Fleet, Place};

/// Which dead-letter topic.
#[derive(Args, Clone, Debug)]
pub(super) struct PlaceArgs {
    /// The dead-letter topic; default is the KafkaConsumer's
    #[arg(long)]
    topic: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl PlaceArgs {
    /// The topic, and the KafkaConsumer if one was named.
    pub async fn resolve(&self) -> anyhow::Result<(Place, Option<KafkaConsumer>)> {
        let (reach, consumer) = self.connection.resolve().await?.reach();
        let theirs = || {
            let delivery = consumer.as_ref()?.spec.delivery.as_ref()?;
            Some(delivery.dead_letter.as_ref()?.topic.clone())
        };
        let topic = match (self.topic.clone().or_else(theirs), &consumer) {
            (Some(topic), _) => topic,
            (None, Some(consumer)) => bail!(
                "KafkaConsumer {name} has no dead-letter topic (spec.delivery.deadLetter.topic): what its handler refuses stays where it is, and drover status {name} names it; to look into another topic, name that with --topic",
                name = consumer.name_any()
            ),
            (None, None) => bail!("no dead-letter topic is named; add --topic"),
        };
        let fleet = consumer.as_ref().map(|consumer| Fleet {
            name: consumer.name_any(),
            topics: consumer.spec.topics.clone(),
            retry_topic: consumer.spec.retry_topic().map(str::to_owned),
        });
        let place = Place {
            reach,
            topic,
            fleet,
        };
        Ok((place, consumer))
    }
}
