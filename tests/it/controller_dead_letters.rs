//! What becomes of a dead-letter topic is told while a fleet waits for it and while it runs.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use drover::report::Report;
use drover::topic::Offset;
use k8s_openapi::api::apps::v1::Deployment;
use rdkafka::types::RDKafkaRespErr;
use serde_json::{Value, json};

use crate::lag_admin::{commit, produce};
use crate::support::consumers::with;
use crate::support::operator::Operator;

const DEAD: &str = "events.dlq";
const MISSING: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
const WELL: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;

fn spec(operator: &Operator) -> Value {
    let dead_letter = json!({ "topic": DEAD });
    let spec = with(
        operator.spec("events"),
        "/delivery",
        json!({ "deadLetter": dead_letter }),
    );
    with(spec, "/scaling/minReplicas", json!(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_topic_that_is_missing_is_named_until_it_is_there() {
    let operator = Operator::start(&["events", DEAD]).await;
    operator.play_kubelet();
    operator.kafka.topic_error(DEAD, MISSING).unwrap();
    operator.create("fleet", spec(&operator)).await;
    let named = operator
        .condition(
            "fleet",
            "DeadLetterWritable",
            "False",
            "DeadLetterTopicNotFound",
        )
        .await;
    assert!(named.message.contains(DEAD), "{}", named.message);
    assert!(named.message.contains("create it"), "{}", named.message);
    operator
        .condition("fleet", "Ready", "False", "DeadLetterTopicNotFound")
        .await;
    operator.event("fleet", "DeadLetterNotWritable").await;

    operator.kafka.topic_error(DEAD, WELL).unwrap();
    operator
        .condition("fleet", "DeadLetterWritable", "True", "Writable")
        .await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    assert_eq!(operator.event("fleet", "DeadLetterWritable").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pod_reports_of_the_dead_letter_topic_is_told_and_looked_into() {
    let operator = Operator::start(&["events", DEAD]).await;
    operator.play_kubelet();
    operator.create("fleet", spec(&operator)).await;
    operator
        .condition("fleet", "DeadLetterWritable", "True", "Writable")
        .await;
    operator
        .object("fleet", "a pod", |deployment: &Deployment| {
            let status = deployment.status.as_ref();
            status.is_some_and(|status| status.ready_replicas == Some(1))
        })
        .await;
    let group = format!("{}.fleet", operator.namespace);
    let servers = operator.kafka.bootstrap_servers();
    produce(&servers, "events", &[2], 10);
    let says = |offset: i64, flaw: Option<&str>| {
        let report = Report {
            pod: "p".to_owned(),
            slots: 1,
            dead_letter: flaw.map(str::to_owned),
            ..Report::default()
        };
        let text = report.encode(Offset(offset));
        commit(&servers, &group, "events", &[(2, offset, &text)]);
    };

    says(5, Some("TooSmall"));
    let told = operator
        .condition("fleet", "DeadLetterWritable", "False", "TooSmall")
        .await;
    for part in ["pods find", DEAD, "max.message.bytes"] {
        assert!(told.message.contains(part), "{}", told.message);
    }
    // What it finds itself comes first: it looks as long as a pod has something against the topic.
    operator.kafka.topic_error(DEAD, MISSING).unwrap();
    operator
        .condition(
            "fleet",
            "DeadLetterWritable",
            "False",
            "DeadLetterTopicNotFound",
        )
        .await;
    operator.kafka.topic_error(DEAD, WELL).unwrap();
    operator
        .condition("fleet", "DeadLetterWritable", "False", "TooSmall")
        .await;
    says(6, None);
    operator
        .condition("fleet", "DeadLetterWritable", "True", "Writable")
        .await;
    assert_eq!(operator.event("fleet", "DeadLetterWritable").await.len(), 1);
}
