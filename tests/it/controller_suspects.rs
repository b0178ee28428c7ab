//! Brokers whose answers crash the controller's process: they are found out, and other fleets go on.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::path::Path;

use k8s_openapi::api::apps::v1::Deployment;
use rdkafka::mocking::MockCluster;
use serde_json::json;

use crate::lag_admin::produce;
use crate::support::consumers::with;
use crate::support::controllers::ControllerProcess;
use crate::support::forgetful::Forgetful;
use crate::support::operator::{Operator, wait_for};

const BAD: &str = "bad";
const GOOD: [&str; 2] = ["good", "better"];

/// Starts the controller as a kubelet does, until one tells of the bad fleet's brokers; how many died before.
async fn restarted_until_told(operator: &Operator, state: &Path) -> (ControllerProcess, usize) {
    let mut deaths = 0;
    loop {
        let identity = format!("{}-controller", operator.namespace);
        let mut controller = ControllerProcess::start_keeping(
            operator.cluster(),
            &operator.namespace,
            &identity,
            3,
            Some(state),
        )
        .await;
        loop {
            if let Some(end) = controller.ended() {
                deaths += 1;
                assert!(deaths < 4, "it dies again and again: {end}");
                break;
            }
            let conditions = operator.status(BAD).await.conditions;
            let told = |reason: &str| reason == "BrokersSuspected";
            if conditions.iter().any(|it| told(&it.reason)) {
                return (controller, deaths);
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_crash_the_controller_are_left_alone_and_other_fleets_go_on() {
    let operator = Operator::prepare(&["events"]).await;
    let other = MockCluster::new(1).unwrap();
    other.create_topic("events", 4, 1).unwrap();
    let kafkas = [
        operator.kafka.bootstrap_servers(),
        other.bootstrap_servers(),
    ];
    let proxy = Forgetful::of(&kafkas[0]).await;
    let at = |brokers: &str| {
        let brokers = json!({ "bootstrapServers": brokers });
        with(operator.spec("events"), "/kafka", brokers)
    };
    for (name, brokers) in GOOD.iter().zip(&kafkas) {
        operator.create(name, at(brokers)).await;
    }
    operator.create(BAD, at(&proxy.bootstrap_servers)).await;

    let state = tempfile::tempdir().unwrap();
    let (mut controller, deaths) = restarted_until_told(&operator, state.path()).await;
    assert!((1..=2).contains(&deaths), "{deaths} deaths");

    let told = operator
        .condition(BAD, "KafkaReachable", "False", "BrokersSuspected")
        .await;
    let message = &told.message;
    assert!(message.contains("died once"), "{message}");
    assert!(message.contains("drover lag"), "{message}");
    for (name, brokers) in GOOD.iter().zip(&kafkas) {
        operator.condition(name, "Ready", "True", "Idle").await;
        produce(brokers, "events", &[0, 1, 2, 3], 500);
        operator
            .object(name, "pods", |deployment: &Deployment| {
                deployment.spec.replicas > Some(0)
            })
            .await;
    }
    assert_eq!(controller.ended(), None);

    // Mended: another address is asked at once, and nothing of it is held against the fleet.
    let mended = json!({ "kafka": { "bootstrapServers": kafkas[1] } });
    operator.change(BAD, mended).await;
    operator
        .condition(BAD, "KafkaReachable", "True", "OffsetsRead")
        .await;

    // An end in order leaves nothing but the conviction.
    controller.signal("TERM");
    wait_for("its end", async || match controller.page("/livez").await {
        Ok(_) => Err("it runs".to_owned()),
        Err(_) => Ok(()),
    })
    .await;
    wait_for("what it leaves", async || {
        match std::fs::read_dir(state.path()).unwrap().count() {
            1 => Ok(()),
            files => Err(format!("{files} files")),
        }
    })
    .await;
}
