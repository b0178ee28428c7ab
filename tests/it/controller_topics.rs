//! A topic that goes while its fleet is at work.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use crate::lag_broker::broker;
use crate::support::consumers::with;
use crate::support::operator::Operator;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_is_named_and_its_fleet_keeps_its_size() {
    let kafka = broker();
    let topic = kafka.create_topic("deleted", 2).await;
    let operator = Operator::start(&[]).await;
    operator.play_kubelet();
    let spec = with(operator.spec(&topic), "/groupId", json!(topic));
    let spec = with(spec, "/scaling/minReplicas", json!(1));
    let spec = with(spec, "/kafka/bootstrapServers", json!(kafka.servers));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "KafkaReachable", "True", "OffsetsRead")
        .await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;

    kafka.delete_topic(&topic).await;
    let missing = operator
        .condition("fleet", "KafkaReachable", "False", "TopicMissing")
        .await;
    assert!(missing.message.contains(&topic), "{}", missing.message);
    assert!(
        !missing.message.contains("check that Kafka runs"),
        "{}",
        missing.message
    );
    let deployment = operator.api::<Deployment>().get("fleet").await.unwrap();
    assert_eq!(deployment.spec.replicas, Some(1), "unknown is not zero");

    kafka.create_topic("deleted", 2).await;
    operator
        .condition("fleet", "KafkaReachable", "True", "OffsetsRead")
        .await;
}
