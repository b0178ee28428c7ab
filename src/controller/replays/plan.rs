//! What a replay's Job is to do. Pure.

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::status::Said;
use crate::api::names::replay_reason as reason;
use crate::api::{DeadLetterReplay, KafkaConsumer, Moment, Offsets, ReplayPhase};
use crate::fleet::{Fleet, References, validate};
use crate::worker_config::replay::{Filter, NothingMeant, ReplayConfig, Whose};

/// What the Job is to do, and like whose pods; or why there cannot be one.
pub fn plan(
    replay: &DeadLetterReplay,
    consumer: Option<&KafkaConsumer>,
) -> Result<(Fleet, ReplayConfig), Box<Said>> {
    let spec = &replay.spec;
    let name = &spec.consumer_ref.name;
    let waits = |reason, message| Box::new(Said::new(ReplayPhase::Pending, reason, message));
    let consumer = consumer.ok_or_else(|| {
        waits(
            reason::CONSUMER_NOT_FOUND,
            format!(
                "there is no KafkaConsumer {name} that could be read in this namespace; create or mend it, or delete this DeadLetterReplay"
            ),
        )
    })?;
    // Whether its Secrets are there is seen by the pod.
    let fleet = validate(consumer, &References::default()).map_err(|problems| {
        let first = problems.into_iter().next().map(|problem| problem.message);
        waits(
            reason::INVALID_CONSUMER,
            format!(
                "the spec of KafkaConsumer {name} is not good: {}",
                first.unwrap_or_default()
            ),
        )
    })?;
    let topic = fleet.delivery.dead_letter_topic.clone().ok_or_else(|| {
        waits(
            reason::NO_DEAD_LETTER_TOPIC,
            format!(
                "KafkaConsumer {name} has no dead-letter topic; name one in its spec.delivery.deadLetter.topic"
            ),
        )
    })?;
    let meant = |message: String| {
        Box::new(Said::new(
            ReplayPhase::Failed,
            reason::NOTHING_MEANT,
            message,
        ))
    };
    if spec.to.as_ref() == Some(&topic) {
        return Err(meant(format!(
            "spec.to {topic} is the dead-letter topic itself; create another DeadLetterReplay that names another one"
        )));
    }
    let whose = Whose {
        consumer: format!("{}/{}", fleet.namespace, fleet.name),
        group: Some(fleet.group_id.clone()),
    };
    let filter = filter(replay, whose).map_err(|NothingMeant| {
        meant(
            "spec.filter.until is not after spec.filter.since, so no dead letter is meant; create another DeadLetterReplay with one of them corrected"
                .to_owned(),
        )
    })?;
    let header = consumer.spec.idempotency.as_ref();
    let header = header.and_then(|idempotency| idempotency.redrive_header.clone());
    if spec.bypass_idempotency && header.is_none() {
        return Err(waits(
            reason::NO_REDRIVE_HEADER,
            format!(
                "spec.bypassIdempotency is set and KafkaConsumer {name} has no spec.idempotency.redriveHeader, so no header makes it handle a record again; set it there"
            ),
        ));
    }
    let config = ReplayConfig {
        replay: format!("{}/{}", fleet.namespace, replay.name_any()),
        id: id(replay),
        bootstrap_servers: fleet.bootstrap_servers.clone(),
        properties: fleet.properties.clone(),
        security: fleet.security.clone(),
        consumer: name.clone(),
        topics: consumer.spec.topics.clone(),
        retry_topic: consumer.spec.retry_topic().map(str::to_owned),
        dead_letter_topic: topic,
        filter,
        to: spec.to.clone(),
        to_source: spec.to_source,
        rate: spec.rate,
        dry_run: spec.dry_run,
        max_replays: spec.max_replays,
        stop_at: spec.stop_at,
        settle_millis: u64::try_from(spec.settle.0.as_millis()).unwrap_or(u64::MAX),
        bypass: header.filter(|_| spec.bypass_idempotency),
    };
    Ok((fleet, config))
}

/// The same for all attempts, so that what they moved is known to be of one replay.
pub fn id(replay: &DeadLetterReplay) -> String {
    format!("{}-{}", replay.name_any(), replay.uid().unwrap_or_default())
}

/// "Ago" is before the object was created: every attempt means the same letters.
fn filter(replay: &DeadLetterReplay, whose: Whose) -> Result<Filter, NothingMeant> {
    let written = &replay.spec.filter;
    let created = replay.metadata.creation_timestamp.as_ref();
    let created = created.map_or(Timestamp::UNIX_EPOCH, |created| created.0);
    let at = |moment: Moment| moment.millis(created);
    let filter = Filter {
        reasons: written.reasons.clone(),
        since: written.since.map(at),
        until: written.until.map(at),
        key: written.key.clone(),
        partition: written.partition,
        offsets: written.offsets.map(|Offsets(first, end)| (first, end)),
        headers: written.headers.clone(),
        origin_topics: written.origin_topics.clone(),
        whose: Some(whose),
    };
    filter.normal()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn replay(spec: Value) -> DeadLetterReplay {
        let mut all = json!({ "consumerRef": { "name": "orders" } });
        all.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "DeadLetterReplay",
            "metadata": { "name": "again", "namespace": "shop", "uid": "u-1",
                "creationTimestamp": "1970-01-01T02:00:00Z" },
            "spec": all,
        }))
        .unwrap()
    }

    fn consumer(change: Value) -> KafkaConsumer {
        let mut spec = json!({
            "kafka": { "bootstrapServers": "kafka:9092" },
            "topics": ["orders"],
            "handler": { "http": { "url": "http://orders/kafka" } },
            "delivery": { "deadLetter": { "topic": "orders.dlq", "retryTopic": "orders.retry" } },
        });
        spec.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
            "metadata": { "name": "orders", "namespace": "shop", "uid": "u-2" },
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn what_is_written_reaches_the_job() {
        let spec = json!({
            "filter": { "reasons": ["b", "a"], "since": "1h", "until": "1970-01-01T03:00:00Z",
                "key": "k", "partition": 2, "offsets": "5..", "headers": ["tenant=a"],
                "originTopics": ["orders"] },
            "to": "copy", "rate": 2.5, "dryRun": true, "maxReplays": 7, "stopAt": 20, "settle": "90s",
            "bypassIdempotency": true,
        });
        let consumer = consumer(json!({
            "idempotency": { "key": { "offset": {} }, "store": { "memory": {} }, "redriveHeader": "redrive" },
        }));
        let (_, config) = plan(&replay(spec), Some(&consumer)).unwrap();
        assert_eq!(config.filter.reasons, ["a", "b"]);
        assert_eq!(
            (config.filter.since, config.filter.until),
            (Some(3_600_000), Some(10_800_000))
        );
        assert_eq!(config.filter.offsets, Some((5, i64::MAX)));
        assert_eq!(
            (config.filter.key.as_deref(), config.filter.partition),
            (Some("k"), Some(2))
        );
        assert_eq!(config.filter.headers, ["tenant=a"]);
        assert_eq!(config.filter.origin_topics, ["orders"]);
        let whose = config.filter.whose.unwrap();
        assert_eq!(whose.consumer, "shop/orders");
        assert_eq!(whose.group.as_deref(), Some("shop.orders"));
        assert_eq!(config.dead_letter_topic, "orders.dlq");
        assert_eq!(config.retry_topic.as_deref(), Some("orders.retry"));
        assert_eq!(config.to.as_deref(), Some("copy"));
        assert_eq!((config.rate, config.dry_run), (Some(2.5), true));
        assert_eq!((config.max_replays, config.stop_at), (7, 20));
        assert_eq!(config.settle_millis, 90_000);
        assert_eq!(config.bypass.as_deref(), Some("redrive"));
        assert_eq!(config.id, "again-u-1");
        assert_eq!(config.replay, "shop/again");
    }

    #[test]
    fn what_cannot_be_is_told_with_its_remedy() {
        let good = consumer(json!({}));
        let bare = consumer(json!({ "delivery": {} }));
        let bad = consumer(json!({ "topics": [] }));
        for (spec, consumer, phase, reason, words) in [
            (
                json!({}),
                None,
                ReplayPhase::Pending,
                reason::CONSUMER_NOT_FOUND,
                "create or mend it",
            ),
            (
                json!({}),
                Some(&bad),
                ReplayPhase::Pending,
                reason::INVALID_CONSUMER,
                "spec.topics",
            ),
            (
                json!({}),
                Some(&bare),
                ReplayPhase::Pending,
                reason::NO_DEAD_LETTER_TOPIC,
                "spec.delivery.deadLetter.topic",
            ),
            (
                json!({ "to": "orders.dlq" }),
                Some(&good),
                ReplayPhase::Failed,
                reason::NOTHING_MEANT,
                "spec.to",
            ),
            (
                json!({ "filter": { "since": "1h", "until": "2h" } }),
                Some(&good),
                ReplayPhase::Failed,
                reason::NOTHING_MEANT,
                "spec.filter.until",
            ),
            (
                json!({ "bypassIdempotency": true }),
                Some(&good),
                ReplayPhase::Pending,
                reason::NO_REDRIVE_HEADER,
                "redriveHeader",
            ),
        ] {
            let said = plan(&replay(spec), consumer).unwrap_err();
            assert_eq!(
                (said.phase, said.reason),
                (phase, reason),
                "{}",
                said.message
            );
            assert!(said.message.contains(words), "{}", said.message);
        }
    }
}
