//! A KafkaConsumer of which no controller has seen what its spec says now. Pure.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::api::KafkaConsumer;
use crate::cli::columns::ago;

/// A controller that runs sees a change at once; so long none has only where none runs, or none looks after the namespace.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// How long nobody has seen it, where that is too long; with what to do.
pub(super) fn unseen(consumer: &KafkaConsumer, now: Timestamp) -> Option<String> {
    let observed = consumer.status.as_ref()?.observed_generation;
    let is_seen = observed.is_some() && observed >= consumer.metadata.generation;
    // Of one that is being deleted no controller writes any more.
    if is_seen || consumer.metadata.deletion_timestamp.is_some() {
        return None;
    }
    overdue(consumer, now)
}

/// That there is no status.
pub(super) fn no_status(consumer: &KafkaConsumer, now: Timestamp) -> String {
    let overdue = overdue(consumer, now).map(|overdue| format!("no status: {overdue}"));
    overdue.unwrap_or_else(|| "no status yet; is the controller running?".to_owned())
}

fn overdue(consumer: &KafkaConsumer, now: Timestamp) -> Option<String> {
    let written = written(consumer)?;
    let name = consumer.name_any();
    let namespace = consumer.namespace().unwrap_or_default();
    (now.duration_since(written) > PATIENCE).then(|| {
        format!(
            "no controller has looked at it for {}; see that one runs and looks after namespace {namespace}: drover doctor {name} -n {namespace}",
            ago(written, now)
        )
    })
}

/// When something of it was written last, its status aside.
fn written(consumer: &KafkaConsumer) -> Option<Timestamp> {
    let entries = consumer.metadata.managed_fields.iter().flatten();
    let entries = entries.filter(|entry| entry.subresource.as_deref() != Some("status"));
    let last = entries
        .filter_map(|entry| Some(entry.time.as_ref()?.0))
        .max();
    let created = || Some(consumer.metadata.creation_timestamp.as_ref()?.0);
    last.or_else(created)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Made at 12:00, of generation 3, with this status.
    fn consumer(status: Value, managed: Value) -> KafkaConsumer {
        serde_json::from_value(json!({
            "apiVersion": "drover.dev/v1alpha1",
            "kind": "KafkaConsumer",
            "metadata": {
                "name": "orders", "namespace": "shop", "generation": 3,
                "creationTimestamp": "2026-11-22T12:00:00Z", "managedFields": managed,
            },
            "spec": {
                "kafka": { "bootstrapServers": "kafka:9092" }, "topics": ["orders"],
                "handler": { "http": { "url": "http://orders/kafka" } },
            },
            "status": status,
        }))
        .unwrap()
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-11-22T{time}Z").parse().unwrap()
    }

    #[test]
    fn one_that_no_controller_ever_saw_says_so_after_a_minute() {
        let never = consumer(json!({ "replicas": 1 }), json!([]));
        assert_eq!(unseen(&never, at("12:01:00")), None);
        let says = unseen(&never, at("12:05:00")).unwrap();
        assert_eq!(
            says,
            "no controller has looked at it for 5m; see that one runs and looks after namespace shop: drover doctor orders -n shop"
        );
        assert_eq!(
            no_status(&never, at("12:05:00")),
            format!("no status: {says}")
        );
        assert_eq!(
            no_status(&never, at("12:01:00")),
            "no status yet; is the controller running?"
        );
    }

    #[test]
    fn a_change_is_not_seen_since_it_was_written_whatever_the_status_says_meanwhile() {
        let managed = json!([
            { "manager": "kubectl", "operation": "Update", "time": "2026-11-22T13:00:00Z" },
            { "manager": "drover", "operation": "Apply", "subresource": "status", "time": "2026-11-22T13:04:00Z" },
        ]);
        let behind = consumer(json!({ "observedGeneration": 2 }), managed.clone());
        assert_eq!(unseen(&behind, at("13:01:00")), None);
        let says = unseen(&behind, at("13:03:00")).unwrap();
        assert!(says.contains("looked at it for 3m"), "{says}");
        let seen = consumer(json!({ "observedGeneration": 3 }), managed);
        assert_eq!(unseen(&seen, at("23:00:00")), None);
    }

    #[test]
    fn one_that_is_being_deleted_is_looked_at_by_none() {
        let mut deleted = consumer(json!({ "observedGeneration": 2 }), json!([]));
        deleted.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-11-22T12:00:00Z")).unwrap();
        assert_eq!(unseen(&deleted, at("23:00:00")), None);
    }
}
