use serde_json::json;

use super::*;
use crate::api::ScalingMode;

fn consumer(status: serde_json::Value) -> KafkaConsumer {
    serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": {"name": "orders", "namespace": "shop", "generation": 3},
        "spec": {
            "kafka": {"bootstrapServers": "kafka:9092"},
            "topics": ["orders"],
            "handler": {"http": {"url": "http://orders/kafka"}},
        },
        "status": status,
    }))
    .unwrap()
}

fn now() -> Timestamp {
    "2026-11-22T12:01:00Z".parse().unwrap()
}

#[test]
fn one_that_is_being_deleted_says_so() {
    let mut deleted = consumer(json!({ "observedGeneration": 3 }));
    deleted.metadata.generation = Some(4);
    deleted.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-11-22T12:00:00Z")).unwrap();
    deleted.metadata.finalizers = Some(vec!["backup.example/keep".to_owned()]);
    let text = text(&deleted, now());
    assert!(
        text.contains("it is being deleted, and looked after no more; it is still there for the sake of backup.example/keep"),
        "{text}"
    );
    assert!(!text.contains("has not seen generation"), "{text}");
}

#[test]
fn everything_known_is_shown() {
    let text = text(
        &consumer(json!({
            "observedGeneration": 3, "replicas": 3, "readyReplicas": 2, "groupId": "shop.orders",
            "partitions": 12, "lag": 12345, "delay": "12s",
            "scaling": {
                "wanted": 6, "since": "2026-11-22T12:00:30Z", "reasons": ["60,000 records wait", "6 is a useful size"],
                "arrivalPerSecond": 2000.0, "capacityPerPod": 190.4, "startUpSeconds": 2.06,
            },
            "stuck": [{"topic": "orders", "partition": 4, "offset": 77, "attempts": 9, "error": "HttpStatus 500"}],
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "AsWanted", "message": "all is well",
                 "lastTransitionTime": "2026-11-22T12:00:00Z"},
                {"type": "Progressing", "status": "True", "reason": "Scaling", "message": "3 of 6 pods are ready",
                 "lastTransitionTime": "2026-11-22T12:00:00Z"},
                {"type": "Stalled", "status": "True", "reason": "RecordStuck", "message": "mend the handler",
                 "lastTransitionTime": "2026-11-22T12:00:15Z"},
            ],
        })),
        now(),
    );
    assert_eq!(
        text,
        "\
orders in shop: ready (AsWanted)
  pods   2 ready of 3, 6 wanted since 30s ago
  group  shop.orders, 12 partitions
  lag    12,345 records, the oldest waits 12s
  load   2,000/s arrive, a pod does 190/s, a new pod works after 2.1s

Under way: 3 of 6 pods are ready
Not well
  Stalled True (RecordStuck) for 45s: mend the handler

Stuck records
  TOPIC   PARTITION  OFFSET  ATTEMPTS  ERROR
  orders  4          77      9         HttpStatus 500

Why 6 pods
  60,000 records wait
  6 is a useful size
"
    );
}

#[test]
fn what_is_unknown_is_shown_as_unknown() {
    let text = text(&consumer(json!({"observedGeneration": 2})), now());
    assert_eq!(
        text,
        "\
orders in shop: not known to be ready
  (of generation 2; the controller has not seen generation 3 yet)
  pods   - ready of -, - wanted
  group  -, - partitions
  lag    - records, the oldest waits -
  load   - arrive, a pod does -, a new pod works after -
"
    );
}

#[test]
fn a_broken_promise_is_said_and_what_is_said_twice_is_said_once() {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-11-22T12:00:00Z"})
    };
    let text = text(
        &consumer(json!({
            "observedGeneration": 3, "lag": 5, "delay": "1m1s",
            "conditions": [
                condition("Ready", "False", "Stalled", "nothing gets past it"),
                condition("Stalled", "True", "RecordStuck", "nothing gets past it"),
                condition("ScalingActive", "False", "Manual", "spec.replicas sets the size"),
            ],
        })),
        now(),
    );
    assert!(
        text.contains("the oldest waits 1m1s, longer than the 1m of spec.scaling.maxDelay\n"),
        "{text}"
    );
    assert_eq!(text.matches("nothing gets past it").count(), 1, "{text}");
    assert!(text.contains("not ready (Stalled)"), "{text}");
    assert!(!text.contains("Manual"), "{text}");
}

#[test]
fn what_pods_do_not_have_of_the_template_is_named() {
    let ready = "2 of 2 pods are ready; not used of spec.template: spec.template.spek is not a field; did you mean spec?";
    let fleet = consumer(json!({
        "observedGeneration": 3,
        "conditions": [{"type": "Ready", "status": "True", "reason": "AllReady", "message": ready,
            "lastTransitionTime": "2026-11-22T12:00:00Z"}],
    }));
    let text = text(&fleet, now());
    assert!(
        text.ends_with("Not used\n  spec.template.spek is not a field; did you mean spec?\n"),
        "{text}"
    );
}

#[test]
fn what_the_mode_does_not_use_is_named() {
    let mut fleet = consumer(json!({ "observedGeneration": 3 }));
    assert!(!text(&fleet, now()).contains("Not used"));
    fleet.spec.scaling.mode = ScalingMode::Manual;
    fleet.spec.scaling.max_replicas = Some(6);
    let text = text(&fleet, now());
    assert!(
        text.ends_with("\n\nNot used\n  spec.scaling.maxReplicas is not used in mode Manual: spec.replicas alone sets the size; remove maxReplicas, or set spec.scaling.mode to Auto or External\n"),
        "{text}"
    );
}
