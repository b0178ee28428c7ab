//! A fleet's Kafka, as it is seen from here: brokers, topics, group, dead-letter topic.
//!
//! Where brokers can only be reached from inside of the cluster, that is unknown, not wrong: what
//! the workers see is in the conditions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;

use super::chain::Chain;
use crate::api::names::condition;
use crate::api::{KafkaConsumer, Span};
use crate::cli::columns::counted;
use crate::cli::connection::{Connection, group_id};
use crate::cli::lag::{Waiting, members, waiting};
use crate::cli::status::{late, promised};
use crate::kafka::admin::{Admin, Error, Spec};
use crate::kafka::dead_letter_topic;
use crate::kafka::right::{Operation, Right};
use crate::plural::are;
use crate::topic::TopicPartition;

/// So long the controller may not have noticed what waits: it asks every few seconds.
const UNNOTICED: Duration = Duration::from_secs(60);

pub(super) async fn look(connection: &Connection, consumer: &KafkaConsumer, chain: &mut Chain) {
    let admin = match connection.admin() {
        Ok(admin) => admin,
        Err(error) => return chain.wrong("Kafka from here", &format!("{error:#}")),
    };
    let topics: BTreeSet<String> = consumer.spec.consumed_topics().into_iter().collect();
    let found = match admin.topics(&topics, true, connection.timeout).await {
        Ok(found) => found,
        Err(error) => {
            let says = format!("{:#}", connection.explain("ask for the topics", &error));
            // Seen from the controller, it may be well.
            return match reached(consumer) && matches!(error, Error::Unreachable(_)) {
                true => chain.unknown(
                    "Kafka from here",
                    &format!("{says}; the controller reaches it"),
                ),
                false => chain.wrong("Kafka from here", &says),
            };
        }
    };
    chain.well("Kafka from here", &connection.bootstrap);
    for (topic, found) in found {
        let what = format!("topic {topic}");
        match found {
            Ok(found) if found.may_read == Some(false) => {
                let right = Right::topic(Operation::Read, &topic);
                let (remedy, property) = (right.remedy(), connection.words.property);
                let says = format!(
                    "{right} is not allowed; {remedy}, or other credentials with {property}"
                );
                chain.wrong(&what, &says);
            }
            Ok(found) => {
                let partitions = found.partitions.len() as i64;
                chain.well(&what, &counted(Some(partitions), "partition"));
            }
            Err(Error::Missing) => chain.wrong(
                &what,
                "it does not exist; create it, or correct the KafkaConsumer",
            ),
            Err(error) => chain.wrong(
                &what,
                &format!("{:#}", connection.explain("look for it", &error)),
            ),
        }
    }
    group(connection, &admin, consumer, chain).await;
    waits(connection, &admin, consumer, chain).await;
    dead_letters(connection, &admin, consumer, chain).await;
}

fn reached(consumer: &KafkaConsumer) -> bool {
    let conditions = consumer.status.iter().flat_map(|status| &status.conditions);
    conditions
        .clone()
        .any(|found| found.type_ == condition::KAFKA_REACHABLE && found.status == "True")
}

async fn group(
    connection: &Connection,
    admin: &Admin,
    consumer: &KafkaConsumer,
    chain: &mut Chain,
) {
    let group = group_id(consumer);
    let what = format!("group {group}");
    let found = connection.ask(async |timeout| admin.group(&group, timeout).await);
    match found.await {
        Ok(found) => chain.well(&what, &members(&found)),
        Err(Error::NoSuchGroup) => chain.well(
            &what,
            "it does not exist yet: it begins with its first offsets",
        ),
        Err(error) => chain.unknown(
            &what,
            &format!("{:#}", connection.explain("ask for it", &error)),
        ),
    }
}

/// What waits, as Kafka itself has it: a status may be well only because nobody writes it any more.
async fn waits(
    connection: &Connection,
    admin: &Admin,
    consumer: &KafkaConsumer,
    chain: &mut Chain,
) {
    let (group, topics) = (group_id(consumer), consumer.spec.consumed_topics());
    // What is wrong with the topics or the group was said.
    let Ok(found) = waiting(connection, admin, &group, topics).await else {
        return;
    };
    if let Some(says) = overdue(consumer, &found) {
        chain.wrong("records in Kafka", &says);
    }
}

/// That records wait for too long of which the status knows nothing, with what to do.
fn overdue(consumer: &KafkaConsumer, found: &Waiting) -> Option<String> {
    let delay = found.delay?;
    // What the status itself knows was said.
    if consumer.spec.paused || late(consumer).is_some() {
        return None;
    }
    let namespace = consumer.namespace().unwrap_or_default();
    let whose = format!("{} -n {namespace}", consumer.name_any());
    let waited = Span::secs(delay.as_secs());
    let status = consumer.status.as_ref()?;
    if status.lag == Some(0) && delay > UNNOTICED {
        let records = counted(found.lag, "record");
        return Some(format!(
            "{records} {} waiting there, the oldest for {waited}, and the status knows of none: see that a controller runs and looks after namespace {namespace} (namespaces of the chart); drover lag {whose} shows them",
            are(found.lag.unwrap_or_default())
        ));
    }
    let promise = promised(consumer).filter(|promise| delay > promise.0)?;
    Some(format!(
        "the oldest record waits {waited}, and spec.scaling.maxDelay promises {promise}; drover lag {whose} says in which partition, and whether its attempts fail; drover explain {whose} why the fleet is not larger"
    ))
}

async fn dead_letters(
    connection: &Connection,
    admin: &Admin,
    consumer: &KafkaConsumer,
    chain: &mut Chain,
) {
    let delivery = consumer.spec.delivery.as_ref();
    let Some(dead_letter) = delivery.and_then(|delivery| delivery.dead_letter.as_ref()) else {
        return;
    };
    let topic = &dead_letter.topic;
    let what = format!("dead-letter topic {topic}");
    let topics = &consumer.spec.topics;
    match dead_letter_topic::look(admin, topic, topics, connection.timeout).await {
        Ok(facts) => match facts.flaw() {
            None => {
                let count = held(connection, admin, topic).await;
                chain.well(&what, &takes(count, consumer));
            }
            Some(flaw) => chain.wrong(&what, &flaw.message),
        },
        Err(error) => chain.unknown(
            &what,
            &format!("{:#}", connection.explain("look at it", &error)),
        ),
    }
}

/// Offsets that the topic holds; none where that cannot be read.
async fn held(connection: &Connection, admin: &Admin, topic: &str) -> Option<u64> {
    let timeout = connection.timeout;
    let asked = BTreeSet::from([topic.to_owned()]);
    let found = admin.partitions(&asked, timeout).await.ok()?;
    let topic: Arc<str> = topic.into();
    let numbers = found.into_values().next()?.ok()?;
    let partitions: Vec<_> = numbers
        .into_iter()
        .map(|number| TopicPartition::new(topic.clone(), number))
        .collect();
    let mut held = 0;
    for (spec, sign) in [(Spec::Latest, 1), (Spec::Earliest, -1)] {
        let offsets = admin.offsets(&partitions, spec, timeout).await.ok()?;
        for offset in offsets.into_values() {
            held += sign * offset.ok()??.0;
        }
    }
    u64::try_from(held).ok()
}

/// A dead-letter topic that takes records, and what is in it: who is called at night looks there.
fn takes(held: Option<u64>, consumer: &KafkaConsumer) -> String {
    let takes = "it takes what cannot be handled";
    let name = consumer.name_any();
    let namespace = consumer.namespace().unwrap_or_default();
    match held {
        None => takes.to_owned(),
        Some(0) => format!("{takes}, and is empty"),
        Some(held) => format!(
            "{takes}, and holds {held}; drover dlq list {name} -n {namespace} says why, since when, and how many were replayed"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(status: serde_json::Value) -> KafkaConsumer {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
            "metadata": { "name": "orders", "namespace": "shop" },
            "spec": { "kafka": { "bootstrapServers": "kafka:9092" }, "topics": ["orders"],
                "handler": { "http": { "url": "http://orders/kafka" } },
                "scaling": { "maxDelay": "2m" } },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn records_that_wait_in_kafka_are_wrong_where_the_status_knows_of_none_or_the_promise_is_broken()
     {
        let waiting = |seconds| Waiting {
            lag: Some(3),
            delay: Some(Duration::from_secs(seconds)),
        };
        let none = Waiting {
            lag: Some(0),
            delay: None,
        };
        let at_rest = consumer(serde_json::json!({ "lag": 0, "conditions": [] }));
        assert_eq!(overdue(&at_rest, &none), None);
        assert_eq!(overdue(&at_rest, &waiting(60)), None);
        let says = overdue(&at_rest, &waiting(63)).unwrap();
        for words in [
            "3 records are waiting there, the oldest for 1m3s, and the status knows of none",
            "looks after namespace shop",
            "drover lag orders -n shop",
        ] {
            assert!(says.contains(words), "{words}: {says}");
        }
        let seen = consumer(serde_json::json!({ "lag": 3, "delay": "5s", "conditions": [] }));
        assert_eq!(overdue(&seen, &waiting(120)), None);
        let says = overdue(&seen, &waiting(125)).unwrap();
        assert!(
            says.contains("waits 2m5s, and spec.scaling.maxDelay promises 2m"),
            "{says}"
        );
        // What the status says itself is not said twice, and who pauses a fleet lets records wait.
        let late = consumer(serde_json::json!({ "lag": 3, "delay": "3m", "conditions": [] }));
        assert_eq!(overdue(&late, &waiting(180)), None);
        let mut paused = at_rest;
        paused.spec.paused = true;
        assert_eq!(overdue(&paused, &waiting(180)), None);
    }

    #[test]
    fn what_a_dead_letter_topic_holds_is_told_with_the_command_that_counts_it() {
        let consumer = consumer(serde_json::Value::Null);
        let held = takes(Some(111), &consumer);
        assert!(
            held.contains("holds 111; drover dlq list orders -n shop"),
            "{held}"
        );
        assert!(takes(Some(0), &consumer).ends_with("is empty"));
        assert_eq!(takes(None, &consumer), "it takes what cannot be handled");
    }
}
