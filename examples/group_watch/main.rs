//! Shows the generations of consumer groups as they come: one line of JSON each.
//!
//! Brokers write every generation of a group into the topic `__consumer_offsets`; this reads it from
//! its end, so it costs the group nothing. Stops with the first signal.
//!
//!     group_watch localhost:9092 demo.user-events
//!     {"at":"2026-11-22T12:00:00Z","group":"demo.user-events","generation":7,"members":12}

mod record;

use std::env;
use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;

const TOPIC: &str = "__consumer_offsets";
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(bootstrap), wanted) = (arguments.next(), arguments.next()) else {
        bail!("write group_watch HOST:PORT [GROUP]");
    };
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        // Needed by librdkafka, never joined.
        .set("group.id", "group_watch")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "200")
        .create()?;
    consumer.assign(&ends(&consumer).with_context(|| format!("read {TOPIC} at {bootstrap}"))?)?;
    eprintln!("watching");
    loop {
        let Some(message) = consumer.poll(Duration::from_secs(1)) else {
            continue;
        };
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                eprintln!("{error}");
                continue;
            }
        };
        let found = record::generation(message.key(), message.payload());
        if let Some(found) = found.filter(|found| wanted.as_ref().is_none_or(|w| *w == found.group))
        {
            println!(
                "{}",
                json!({
                    "at": drover::clock::now().to_string(),
                    "group": found.group,
                    "generation": found.generation,
                    "members": found.members,
                })
            );
        }
    }
}

/// Every partition of the topic, from its end. Before a cluster's first group the topic does not
/// exist; then the wait is for it, and everything in it is news.
fn ends(consumer: &BaseConsumer) -> anyhow::Result<TopicPartitionList> {
    let mut start = Offset::End;
    loop {
        let metadata = consumer.fetch_metadata(None, PATIENCE)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == TOPIC);
        let partitions = topic.map_or(&[][..], |topic| topic.partitions());
        if !partitions.is_empty() {
            let mut list = TopicPartitionList::new();
            for partition in partitions {
                list.add_partition_offset(TOPIC, partition.id(), start)?;
            }
            return Ok(list);
        }
        start = Offset::Beginning;
        consumer.poll(Duration::from_millis(500));
    }
}
