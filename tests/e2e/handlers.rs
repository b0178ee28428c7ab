//! The ways to a handler that need a pod to be seen: a command in the user's own image, a Unix socket
//! between two containers.

use k8s_openapi::api::core::v1::Service;
use kube::api::PostParams;
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario, image, restricted};
use crate::{kafka, world};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_command_in_the_users_image_handles_records() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("exec", 3).await;
    scenario.handler("1ms").await;
    let witness = format!("handler.{}.svc.cluster.local:8080", scenario.namespace);
    let mut spec = scenario.spec();
    spec["handler"] = json!({
        "exec": {"command": ["/exec-handler", "--forward", witness], "processes": 2},
        "timeout": "10s",
    });
    spec["template"] = json!({"spec": {"containers": [{
        "name": "worker",
        "image": image("exec-handler"),
        "imagePullPolicy": "IfNotPresent",
        "securityContext": restricted(),
    }]}});
    scenario.apply(spec).await;
    a_hundred_records_are_handled_once(scenario).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_record_that_kills_its_container_is_dead_lettered_and_the_fleet_lives() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("deadly", 3).await;
    scenario.handler("5ms").await;
    let dead = format!("{}.dlq", scenario.topic);
    kafka::create_topic(&dead, 1)
        .await
        .expect("create the dead-letter topic");
    let witness = format!("handler.{}.svc.cluster.local:8080", scenario.namespace);
    let mut spec = scenario.spec();
    let deadly = r#""key-3","seq":2"#;
    spec["handler"] = json!({
        "exec": {"command": ["/exec-handler", "--forward", witness, "--deadly", deadly], "processes": 4},
        "timeout": "10s",
    });
    spec["delivery"] = json!({"deadLetter": {"topic": dead}});
    spec["kafka"]["properties"] = json!({"session.timeout.ms": "6000"});
    // Two pods, so that the record may move from one to the other.
    spec["scaling"] = json!({"minReplicas": 2, "maxReplicas": 2, "maxDelay": "60s"});
    spec["template"] = json!({"spec": {
        "shareProcessNamespace": true,
        "containers": [{
            "name": "worker",
            "image": image("exec-handler"),
            "imagePullPolicy": "IfNotPresent",
            "securityContext": restricted(),
        }],
    }});
    scenario.apply(spec).await;
    scenario.ready_pods(2, PATIENCE).await;
    kafka::produce(&scenario.topic, 10, 1, 10).expect("produce");

    scenario.handled(99, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    let letters = kafka::read(&dead, 1).await.expect("read the dead letter");
    assert_eq!(
        letters[0].value.as_deref(),
        Some(r#"{"key":"key-3","seq":2}"#)
    );
    let mut headers = letters[0].headers.iter();
    let reason = headers.find(|(name, _)| name == "drover-dlq-reason");
    assert_eq!(reason.map(|(_, value)| &**value), Some("WorkerKilled"));
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!((stats.handled, stats.failed), (99, 0), "{stats:#?}");
    scenario.ready_pods(2, PATIENCE).await;
    scenario.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_container_on_a_unix_socket_handles_records() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("socket", 3).await;
    // The witness is the handler itself, which also listens on a port.
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "handler"},
        "spec": {
            "selector": {"drover.dev/consumer": "fleet"},
            "ports": [{"port": 8080}],
            "publishNotReadyAddresses": true,
        },
    }))
    .expect("a service");
    scenario
        .api::<Service>()
        .create(&PostParams::default(), &service)
        .await
        .expect("create the service");
    let socket = "/run/handler/http.sock";
    let mut spec = scenario.spec();
    spec["handler"] = json!({"http": {"socket": socket, "path": "/records"}, "timeout": "10s"});
    spec["template"] = json!({"spec": {"containers": [{
        "name": "handler",
        "image": image("handler"),
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "HANDLER_LISTEN", "value": socket}, {"name": "HANDLER_DELAY", "value": "1ms"}],
        "securityContext": restricted(),
    }]}});
    scenario.apply(spec).await;
    a_hundred_records_are_handled_once(scenario).await;
}

async fn a_hundred_records_are_handled_once(scenario: Scenario) {
    kafka::produce(&scenario.topic, 10, 1, 10).expect("produce");

    scenario.handled(100, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!((stats.handled, stats.failed), (100, 0), "{stats:#?}");
    assert_eq!(
        (stats.out_of_order, stats.handled_twice),
        (0, 0),
        "{stats:#?}"
    );
    scenario.end().await;
}
