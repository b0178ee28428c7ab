//! One bad resource, or one bad Kafka, among others: the others do not notice.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};

use crate::support::consumers::with;
use crate::support::operator::{Operator, wait_for};

/// The good one goes to zero, changes, and all of that is told.
async fn the_good_one_goes_on(operator: &Operator, round: &str) {
    let template = json!({ "metadata": { "annotations": { "round": round } } });
    operator
        .change("good", json!({ "template": template }))
        .await;
    operator
        .object("good", "the change", |deployment: &Deployment| {
            let template = deployment.spec.template.metadata.as_ref().unwrap();
            template
                .annotations
                .as_ref()
                .unwrap()
                .get("round")
                .map(String::as_str)
                == Some(round)
        })
        .await;
    operator.condition("good", "Ready", "True", "Idle").await;
}

/// How many of the fleets have a word of why they are not ready.
async fn told(operator: &Operator) -> usize {
    let consumers = operator.api::<drover::api::KafkaConsumer>();
    let consumers = consumers.list(&ListParams::default()).await.unwrap();
    let statuses = consumers.into_iter().filter_map(|consumer| consumer.status);
    let is_told = |conditions: &Vec<Condition>| {
        let mut conditions = conditions.iter();
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "False")
    };
    statuses
        .filter(|status| is_told(&status.conditions))
        .count()
}

/// Each of these fleets waits for many seconds for a Kafka that reads but does not take offsets, and
/// there are more of them than are reconciled at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleets_of_a_kafka_that_takes_no_offsets_hold_up_no_others() {
    const BAD: usize = 130;
    const AT_A_TIME: usize = 8;
    let operator = Operator::start(&["events"]).await;
    let bad = MockCluster::new(1).unwrap();
    bad.create_topic("events", 4, 1).unwrap();
    let later = RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
    bad.request_errors(RDKafkaApiKey::OffsetCommit, &vec![later; 100_000]);
    let brokers = json!({ "bootstrapServers": bad.bootstrap_servers() });
    let spec = with(operator.spec("events"), "/kafka", brokers);
    for number in 0..BAD {
        operator
            .create(&format!("bad-{number}"), spec.clone())
            .await;
    }
    let looked_at = async || match told(&operator).await {
        few if few < AT_A_TIME => Err(format!("{few} of them")),
        _ => Ok(()),
    };
    wait_for("bad ones to be looked at", looked_at).await;

    // Whoever writes first offsets to such a Kafka gives up after ten seconds. If each held its place
    // among those that are reconciled while it waits, the good one would get one after two and a half minutes,
    // which is longer than anything here is waited for.
    operator.create("good", operator.spec("events")).await;
    operator.condition("good", "Ready", "True", "Idle").await;
    the_good_one_goes_on(&operator, "2").await;

    // The bad ones heal by themselves.
    bad.clear_request_errors(RDKafkaApiKey::OffsetCommit);
    operator.condition("bad-0", "Ready", "True", "Idle").await;
    // What went wrong was said once, however often it was tried.
    let events = operator.events("bad-0").await;
    let said = |event: &&String| event.starts_with("FirstOffsetsNotWritten");
    let said: Vec<_> = events.iter().filter(said).collect();
    assert!(said.len() <= 1, "{said:?}");
    assert!(said.iter().all(|event| !event.contains("(x")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kafka_that_is_not_there_is_told_of_its_own_fleets_alone() {
    const AWAY: usize = 12;
    let operator = Operator::start(&["events"]).await;
    let nowhere = json!({ "bootstrapServers": "127.0.0.1:1" });
    let spec = with(operator.spec("events"), "/kafka", nowhere);
    for number in 0..AWAY {
        operator
            .create(&format!("away-{number}"), spec.clone())
            .await;
    }
    operator.create("good", operator.spec("events")).await;
    operator.condition("good", "Ready", "True", "Idle").await;
    for number in 0..AWAY {
        let name = format!("away-{number}");
        operator
            .condition(&name, "KafkaReachable", "False", "Unreachable")
            .await;
    }
    the_good_one_goes_on(&operator, "2").await;
    let reachable = operator
        .condition("good", "KafkaReachable", "True", "OffsetsRead")
        .await;
    assert!(!reachable.message.is_empty());
}

/// What another version, or another hand, may have left in a resource.
async fn poison(operator: &Operator, name: &str, spec: Value) -> Result<(), String> {
    let poisoned = json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": name },
        "spec": spec,
    });
    let poisoned = serde_json::from_value(poisoned).unwrap();
    let created = operator
        .raw()
        .create(&PostParams::default(), &poisoned)
        .await;
    created.map(|_| ()).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_resource_stops_neither_others_nor_the_controller() {
    let operator = Operator::start(&["events"]).await;
    operator.create("good", operator.spec("events")).await;

    // More topics than one resource may have do not get in.
    let topics: Vec<String> = (0..10_000)
        .map(|number| format!("topic-{number}"))
        .collect();
    let spec = with(operator.spec("events"), "/topics", json!(topics));
    let refused = poison(&operator, "topics", spec).await.unwrap_err();
    assert!(refused.contains("spec.topics"), "{refused}");

    // A template is the pod's business, so anything gets in that has room.
    let nameless = vec![json!({}); 20_000];
    let spec = with(
        operator.spec("events"),
        "/template",
        json!({ "spec": { "containers": nameless } }),
    );
    poison(&operator, "nameless", spec).await.unwrap();
    let environment: Vec<Value> = (0..2_000)
        .map(|number| {
            json!({ "name": format!("KEY_{number}"), "valueFrom": {
            "secretKeyRef": { "name": format!("secret-{number}"), "key": "k" } } })
        })
        .collect();
    let worker = json!({ "name": "worker", "env": environment });
    let spec = with(
        operator.spec("events"),
        "/template",
        json!({ "spec": { "containers": [worker] } }),
    );
    poison(&operator, "secrets", spec).await.unwrap();
    let annotations = json!({ "metadata": { "annotations": { "large": "x".repeat(900_000) } } });
    let spec = with(operator.spec("events"), "/template", annotations);
    poison(&operator, "large", spec).await.unwrap();

    // What cannot be read is told of as much as there is room for.
    let spec = with(operator.spec("events"), "/handler/timeout", json!("30s"));
    let template = json!({ "spec": { "containers": [{ "name": "x".repeat(100_000), "ports": "x".repeat(100_000) }] } });
    poison(&operator, "unreadable", with(spec, "/template", template))
        .await
        .unwrap();

    operator
        .condition("nameless", "Ready", "False", "InvalidTemplate")
        .await;
    let many = operator
        .condition("secrets", "Ready", "False", "InvalidTemplate")
        .await;
    assert!(
        many.message.contains("more than 256 Secrets"),
        "{}",
        many.message
    );
    operator
        .condition("large", "Ready", "False", "ApplyRefused")
        .await;
    wait_for("the unreadable one to be told", async || {
        let told = operator.raw().get_status("unreadable").await.unwrap();
        match told.data["status"]["conditions"][0]["reason"].as_str() {
            Some("Unreadable") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    the_good_one_goes_on(&operator, "2").await;
    operator.rest(Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_that_cannot_be_read_is_stopped_when_it_is_paused() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec = with(operator.spec("events"), "/scaling/minReplicas", json!(1));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let patch = async |spec: Value| {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let raw = operator.raw();
        raw.patch("fleet", &PatchParams::default(), &patch)
            .await
            .unwrap();
    };
    let told = async |words: &str| {
        wait_for(words, async || {
            let told = operator.raw().get_status("fleet").await.unwrap();
            let conditions = told.data["status"]["conditions"]
                .as_array()
                .unwrap()
                .clone();
            let ready = conditions.iter().find(|it| it["type"] == "Ready").unwrap();
            let message = ready["message"].as_str().unwrap_or_default();
            let is_so = ready["reason"] == "Unreadable" && message.contains(words);
            is_so
                .then(|| ready["lastTransitionTime"].clone())
                .ok_or_else(|| ready.to_string())
        })
        .await
    };
    patch(
        json!({ "template": { "spec": { "containers": [{ "name": "worker", "resources": 7 }] } } }),
    )
    .await;
    let since = told("its children are left as they were").await;
    let is_of_size = |size: i32| move |it: &Deployment| it.spec.replicas == Some(size);
    operator.object("fleet", "one pod", is_of_size(1)).await;

    patch(json!({ "paused": true })).await;
    operator.object("fleet", "no pod", is_of_size(0)).await;
    // It is as unreadable as before, and has been for as long.
    assert_eq!(told("it is paused, so its pods are stopped").await, since);

    // Nobody knows how many pods it should have.
    patch(json!({ "paused": false })).await;
    told("no pod starts before it can be read").await;
    operator
        .object("fleet", "no pod still", is_of_size(0))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_cannot_be_read_keeps_no_fleet_from_being_run() {
    let operator = Operator::start(&["events"]).await;
    operator.create("good", operator.spec("events")).await;
    operator.condition("good", "Ready", "True", "Idle").await;
    // The schema knows no upper bound.
    let malformed = json!({ "status": { "stuck": [
        { "topic": "events", "partition": 0, "offset": 1, "attempts": 5_000_000_000_u64, "error": "" },
    ]}});
    let patch = Patch::Merge(&malformed);
    let raw = operator.raw();
    raw.patch_status("good", &PatchParams::default(), &patch)
        .await
        .unwrap();
    the_good_one_goes_on(&operator, "2").await;
}
