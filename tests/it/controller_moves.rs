//! A fleet whose spec names other brokers than before, or one more topic: where its group begins there.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use rdkafka::mocking::MockCluster;
use serde_json::{Value, json};

use crate::lag_admin::{Mock, commit, produce};
use crate::support::consumers::with;
use crate::support::operator::{Operator, committed, wait_for};

const QUIET: Duration = Duration::from_secs(3);

fn sized(size: i32) -> impl Fn(&Deployment) -> bool {
    move |deployment| deployment.spec.replicas == Some(size)
}

/// Another Kafka, with records from before.
fn other() -> Mock {
    let kafka = MockCluster::new(1).unwrap();
    kafka.create_topic("events", 4, 1).unwrap();
    produce(&kafka.bootstrap_servers(), "events", &[0, 1], 8);
    kafka
}

fn latest(operator: &Operator) -> Value {
    with(operator.spec("events"), "/startAt", json!("Latest"))
}

fn group(operator: &Operator) -> String {
    format!("{}.fleet", operator.namespace)
}

async fn begins_at(servers: &str, group: &str, topic: &str, expected: [i64; 4]) {
    let expected = expected.map(Some).to_vec();
    let what = format!("{topic} to begin at {expected:?}");
    wait_for(&what, async || {
        let found = committed(servers, group, topic).await;
        match found == expected {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    })
    .await;
}

/// Its pods would read these brokers, or this topic.
fn reads(what: &str) -> impl Fn(&Deployment) -> bool {
    let what = what.to_owned();
    move |deployment| json!(deployment.spec.template).to_string().contains(&what)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_fleet_begins_at_other_brokers_where_start_at_says() {
    let operator = Operator::start(&["events"]).await;
    operator.create("fleet", latest(&operator)).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator.change("fleet", json!({ "paused": true })).await;
    operator.condition("fleet", "Ready", "True", "Paused").await;
    let other = other();
    let servers = other.bootstrap_servers();
    let kafka = json!({ "bootstrapServers": servers });
    operator
        .change("fleet", json!({ "kafka": kafka, "paused": false }))
        .await;
    begins_at(&servers, &group(&operator), "events", [8, 8, 0, 0]).await;
    operator
        .object("fleet", "the new place", reads(&servers))
        .await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator.rest(QUIET).await;
    assert_eq!(operator.status("fleet").await.lag, Some(0));
    operator.object("fleet", "no pod", sized(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_go_to_other_brokers_when_their_group_has_a_place_to_begin_there() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec = with(latest(&operator), "/scaling/minReplicas", json!(1));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let other = other();
    let servers = other.bootstrap_servers();
    let kafka = json!({ "bootstrapServers": servers });
    operator.change("fleet", json!({ "kafka": kafka })).await;
    operator
        .object("fleet", "the new place", reads(&servers))
        .await;
    // It is there before the first pod of the new template.
    let ends = [8, 8, 0, 0].map(Some).to_vec();
    assert_eq!(committed(&servers, &group(&operator), "events").await, ends);
    operator.object("fleet", "one pod still", sized(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_has_offsets_at_the_other_brokers_goes_on_from_them() {
    let operator = Operator::start(&["events"]).await;
    operator.create("fleet", latest(&operator)).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    let other = other();
    let servers = other.bootstrap_servers();
    commit(&servers, &group(&operator), "events", &[(0, 3, "")]);
    let kafka = json!({ "bootstrapServers": servers });
    operator.change("fleet", json!({ "kafka": kafka })).await;
    operator.object("fleet", "pods", |it| !sized(0)(it)).await;
    let found = committed(&servers, &group(&operator), "events").await;
    assert_eq!(found, [Some(3), None, None, None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_added_to_a_stopped_fleet_begins_where_start_at_says() {
    let operator = Operator::start(&["events", "more"]).await;
    operator.create("fleet", latest(&operator)).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    let servers = operator.kafka.bootstrap_servers();
    produce(&servers, "more", &[2], 8);
    let topics = json!(["events", "more"]);
    operator.change("fleet", json!({ "topics": topics })).await;
    begins_at(&servers, &group(&operator), "more", [0, 0, 8, 0]).await;
    operator
        .object("fleet", "the new topic", reads("more"))
        .await;
    operator.rest(QUIET).await;
    assert_eq!(operator.status("fleet").await.lag, Some(0));
    operator.object("fleet", "no pod", sized(0)).await;
}
