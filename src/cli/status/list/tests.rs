use serde_json::json;

use super::*;

fn consumer(name: &str, status: serde_json::Value) -> KafkaConsumer {
    serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "kafka": {"bootstrapServers": "kafka:9092"},
            "topics": ["orders"],
            "handler": {"http": {"url": "http://orders/kafka"}},
        },
        "status": status,
    }))
    .unwrap()
}

fn condition(kind: &str, status: &str, reason: &str) -> serde_json::Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": "said so",
        "lastTransitionTime": "2026-11-22T12:00:00Z",
    })
}

fn now() -> Timestamp {
    "2026-11-22T12:10:00Z".parse().unwrap()
}

const EVERYWHERE: Columns = Columns {
    namespaces: true,
    wide: false,
};

#[test]
fn each_is_a_line_and_what_is_not_well_follows() {
    let well = consumer(
        "orders",
        json!({
            "replicas": 3, "readyReplicas": 2, "lag": 12345, "delay": "12s",
            "scaling": {"wanted": 6},
            "conditions": [
                condition("Ready", "True", "AsWanted"),
                condition("Progressing", "True", "Scaling"),
                condition("Stalled", "False", "NoneStuck"),
            ],
        }),
    );
    let ill = consumer(
        "mails",
        json!({"conditions": [condition("Stalled", "True", "RecordStuck")]}),
    );
    assert_eq!(
        text(&[well, ill], EVERYWHERE, None, now()),
        "\
NAMESPACE  NAME    READY  PODS  WANTED  LAG     DELAY  REASON
shop       orders  True   2/3   6       12,345  12s    AsWanted
shop       mails   -      -     -       -       -      -

shop/mails: Stalled True (RecordStuck): said so"
    );
}

#[test]
fn a_resource_without_status_asks_for_the_controller() {
    let new = consumer("orders", serde_json::Value::Null);
    assert!(
        text(&[new], Columns::default(), None, now())
            .ends_with("orders: no status yet; is the controller running?")
    );
}

#[test]
fn a_wide_table_says_what_each_is_to_do() {
    let status = json!({ "replicas": 1, "readyReplicas": 1, "lag": 0, "delay": "0s" });
    let columns = Columns {
        wide: true,
        ..Columns::default()
    };
    assert_eq!(
        text(&[consumer("orders", status)], columns, None, now()),
        "\
NAME    READY  PODS  WANTED  LAG  DELAY  REASON  PROMISE  SIZES  HANDLER  GROUP        TOPICS
orders  -      1/1   -       0    0s     -       1m       1+     http     shop.orders  orders
"
    );
}

#[test]
fn a_table_is_cut_to_the_terminal_and_what_is_not_well_is_told_in_whole() {
    let mut ready = condition("Ready", "False", "DeadLetterTopicNotFound");
    ready["message"] = json!("topic orders.dlq does not exist; create it");
    let ill = consumer(
        "orders",
        json!({ "replicas": 3, "lag": 5, "conditions": [ready] }),
    );
    assert_eq!(
        text(&[ill], Columns::default(), Some(55), now()),
        "\
NAME    READY  PODS  WANTED  LAG  DELAY  REASON
orders  False  -/3   -       5    -      DeadLetterTop…

orders: Ready False (DeadLetterTopicNotFound): topic
  orders.dlq does not exist; create it"
    );
}

#[test]
fn one_that_no_controller_looks_at_is_named_with_what_to_do() {
    let mut unseen = consumer("orders", json!({ "replicas": 1 }));
    unseen.metadata.generation = Some(1);
    unseen.metadata.creation_timestamp =
        serde_json::from_value(json!("2026-11-22T12:00:00Z")).unwrap();
    let told = text(&[unseen], Columns::default(), None, now());
    assert!(
        told.ends_with("orders: no controller has looked at it for 10m; see that one runs and looks after namespace shop: drover doctor orders -n shop"),
        "{told}"
    );
}

/// Each of what a controller writes of a fleet whose Kafka is away.
#[test]
fn without_kafka_its_absence_is_told_and_what_follows_from_it_is_only_named() {
    let told = |kafka: serde_json::Value| {
        let conditions = json!([
            condition("Ready", "False", "KafkaUnreachable"),
            kafka,
            condition("ScalingActive", "False", "KafkaUnreachable"),
            condition("Stalled", "Unknown", "NotRead"),
            condition("GroupShared", "Unknown", "NotRead"),
            condition("DeadLetterWritable", "False", "TopicMissing"),
        ]);
        let ill = consumer("orders", json!({ "conditions": conditions }));
        complaints(&ill, now())
    };
    assert_eq!(
        told(condition("KafkaReachable", "False", "Unreachable")),
        [
            "KafkaReachable False (Unreachable): said so; also not well because of it: ScalingActive, Stalled, GroupShared",
            "DeadLetterWritable False (TopicMissing): said so",
        ]
    );
    // What has another cause is told.
    let all = told(condition("KafkaReachable", "False", "PartitionsUnread"));
    assert_eq!(all.len(), 5, "{all:?}");
    let all = told(condition("KafkaReachable", "True", "OffsetsRead"));
    assert_eq!(all.len(), 4, "{all:?}");
}
