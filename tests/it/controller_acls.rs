//! The controller at a broker that does not let it see what it needs: named in status, and never taken for no lag.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::collections::BTreeMap;
use std::time::Duration;

use drover::clock::Monotonic;
use drover::kafka::client_config::Connection;
use drover::kafka::scan::Scan;
use drover::kafka::security::Security;
use k8s_openapi::api::apps::v1::Deployment;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

use crate::support::acls::{DESCRIBE_CONFIGS, Of, READ, allow, broker, disallow};
use crate::support::consumers::with;
use crate::support::operator::Operator;

const DEADLINE: Duration = Duration::from_secs(90);

fn producer(servers: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).create().unwrap()
}

fn spec(operator: &Operator, topic: &str) -> Value {
    let kafka = json!({ "bootstrapServers": broker().servers });
    let spec = with(operator.spec(topic), "/kafka", kafka);
    let spec = with(spec, "/groupId", json!(topic));
    with(spec, "/scaling/minReplicas", json!(1))
}

/// `of` is refused from the beginning, allowed, and refused again beneath a fleet at work.
async fn refused_and_allowed(of: Of<'_>, topic: &str, named: &str) {
    allow(of, DESCRIBE_CONFIGS);
    let operator = Operator::start(&[]).await;
    operator.play_kubelet();
    operator.create("fleet", spec(&operator, topic)).await;
    let refused = async || {
        let refused = operator
            .condition("fleet", "KafkaReachable", "False", "NotAuthorized")
            .await;
        let message = refused.message;
        assert!(message.contains(named), "{message}");
        assert!(
            message.contains("allow Describe and Read on it"),
            "{message}"
        );
        assert!(!message.contains("check that Kafka runs"), "{message}");
    };
    refused().await;
    allow(of, READ);
    operator
        .condition("fleet", "KafkaReachable", "True", "OffsetsRead")
        .await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    disallow(of, READ);
    refused().await;
    let deployment = operator.api::<Deployment>().get("fleet").await.unwrap();
    assert_eq!(deployment.spec.replicas, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_may_not_be_seen_is_named_in_status() {
    let topic = broker().create_topic("acl-unseen", 2).await;
    refused_and_allowed(
        Of::Topic(&topic),
        &topic,
        &format!("topic {topic} may not be read"),
    )
    .await;
}

/// Who reads dead letters needs rights to their topic and to no group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_read_without_any_right_to_a_group() {
    let topic = broker().create_topic("acl-no-group", 1).await;
    allow(Of::Group("no-right-to-it"), DESCRIBE_CONFIGS);
    let producer = producer(&broker().servers);
    let write = |value: &str| {
        let record = BaseRecord::<(), _>::to(&topic).payload(value);
        producer.send(record).unwrap();
        producer.flush(DEADLINE).unwrap();
    };
    write("first");
    let security = Security::default();
    let connection = Connection {
        bootstrap_servers: &broker().servers,
        client_id: "no-right-to-it",
        properties: &BTreeMap::new(),
        security: &security,
    };
    // To the end and beyond: it waits for what is not there yet.
    let ranges = BTreeMap::from([(0, 0..i64::MAX)]);
    let mut scan = Scan::open(&connection, &topic, &ranges, Some(DEADLINE)).unwrap();
    let (began, mut read) = (Monotonic::start(), 0);
    let mut late = false;
    while read < 2 {
        scan.step(Duration::from_millis(100), |_| read += 1)
            .unwrap();
        // The broker has refused the group a dozen times by then.
        if !late && began.elapsed() > Duration::from_secs(3) {
            write("second");
            late = true;
        }
        assert!(began.elapsed() < DEADLINE);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_may_not_be_seen_is_named_in_status() {
    let topic = broker().create_topic("acl-unseen-group", 2).await;
    let named = format!("consumer group {topic} may not be read");
    refused_and_allowed(Of::Group(&topic), &topic, &named).await;
}
