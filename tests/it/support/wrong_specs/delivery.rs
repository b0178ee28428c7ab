//! `spec.delivery`.

use serde_json::{Value, json};

use super::{Wrong, wrong};
use crate::support::consumers::{http_url, own_consumer, with};

/// Batches, retries, dead letters, rate limits.
pub(super) fn wrong_delivery() -> Vec<Wrong> {
    let url = |pointer: &str, value: Value| with(http_url(), pointer, value);
    vec![
        // A field that is missing, of the wrong type, out of bounds, or not one of the known words.
        wrong(
            url("/spec/delivery/ordering", json!("Keys")),
            "spec.delivery.ordering",
            "supported values: \"Key\", \"Partition\", \"None\"",
        ),
        wrong(
            url("/spec/delivery/batch/maxRecords", json!(0)),
            "spec.delivery.batch.maxRecords",
            "greater than or equal to 1",
        ),
        wrong(
            url("/spec/delivery/batch/maxBytes", json!("1Gi")),
            "spec.delivery.batch.maxBytes",
            "such as 500000, 512Ki or 4Mi",
        ),
        wrong(
            url("/spec/delivery/batch/maxWait", json!("11s")),
            "spec.delivery.batch.maxWait",
            "at most 10s",
        ),
        wrong(
            url(
                "/spec/delivery",
                json!({ "batch": { "maxRecords": 2 }, "retry": { "attempts": 1 } }),
            ),
            "spec.delivery.retry.attempts",
            "set batch.maxRecords to 1",
        ),
        wrong(
            url("/spec/delivery/concurrency", json!(0)),
            "spec.delivery.concurrency",
            "greater than or equal to 1",
        ),
        wrong(
            url("/spec/delivery/retry/attempts", json!(0)),
            "spec.delivery.retry.attempts",
            "greater than or equal to 1",
        ),
        wrong(
            url(
                "/spec/delivery/deadLetter",
                json!({ "topic": "dlq", "headerStyle": "spring" }),
            ),
            "spec.delivery.deadLetter.headerStyle",
            "supported values: \"Drover\", \"Spring\", \"KafkaConnect\"",
        ),
        wrong(
            url(
                "/spec/delivery/deadLetter",
                json!({ "topic": "dlq", "breaker": { "percent": 0 } }),
            ),
            "spec.delivery.deadLetter.breaker.percent",
            "greater than or equal to 1",
        ),
        wrong(
            url(
                "/spec/delivery/deadLetter",
                json!({ "topic": "dlq", "breaker": { "window": "2h" } }),
            ),
            "spec.delivery.deadLetter.breaker",
            "between 1s and 1h",
        ),
        wrong(
            url(
                "/spec/delivery/rateLimit",
                json!({ "records": 100, "per": "100ms" }),
            ),
            "spec.delivery.rateLimit",
            "between 1s and 24h",
        ),
        wrong(
            url("/spec/delivery/rateLimit", json!({ "records": 0 })),
            "spec.delivery.rateLimit.records",
            "greater than or equal to 1",
        ),
        wrong(
            url("/spec/delivery/deadLetter", json!({})),
            "spec.delivery.deadLetter.topic",
            "Required value",
        ),
        // Fields that contradict each other.
        wrong(
            url("/spec/delivery/onExhausted", json!("DeadLetter")),
            "spec.delivery.onExhausted",
            "name a topic",
        ),
        wrong(
            url(
                "/spec/delivery/deadLetter",
                json!({ "topic": "dlq", "retryTopic": "user_events" }),
            ),
            "spec.delivery.deadLetter.retryTopic",
            "name a topic of its own",
        ),
        wrong(
            url(
                "/spec/delivery/deadLetter",
                json!({ "topic": "dlq", "retryTopic": "dlq" }),
            ),
            "spec.delivery.deadLetter.retryTopic",
            "is the dead-letter topic itself",
        ),
        wrong(
            url("/spec/delivery/deadLetter/topic", json!("user_events")),
            "spec.delivery.deadLetter.topic",
            "name another topic",
        ),
        wrong(
            url("/spec/delivery/retry/initialBackoff", json!("1m")),
            "spec.delivery.retry.initialBackoff",
            "lower the first or raise the second",
        ),
        wrong(
            url("/spec/delivery/retry/initialBackoff", json!("1ms")),
            "spec.delivery.retry",
            "at least 10ms",
        ),
        wrong(
            url("/spec/delivery/retry/maxBackoff", json!("2h")),
            "spec.delivery.retry",
            "at most 1h",
        ),
        wrong(
            url("/spec/delivery/retry/then", json!(["1m", "500ms"])),
            "spec.delivery.retry",
            "not between 1s and 24h",
        ),
        wrong(
            url("/spec/delivery/retry/then", json!(["25h"])),
            "spec.delivery.retry",
            "not between 1s and 24h",
        ),
        wrong(
            url("/spec/delivery/retry/then", json!(vec!["1m"; 11])),
            "spec.delivery.retry.then",
            "10 items",
        ),
        wrong(
            with(own_consumer(), "/spec/delivery", json!({})),
            "spec.delivery",
            "remove spec.delivery",
        ),
    ]
}
