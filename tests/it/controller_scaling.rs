//! Sizes on a real API server with offsets of a real protocol: who orders them, by which means, and
//! when nobody may.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::lag_admin::{commit, produce};
use crate::support::consumers::with;
use crate::support::operator::{Operator, wait_for};

const QUIET: Duration = Duration::from_secs(3);

fn sized(size: i32) -> impl Fn(&Deployment) -> bool {
    move |deployment| deployment.spec.replicas == Some(size)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_raises_the_fleet_from_zero_by_the_scale_subresource() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator.rest(QUIET).await;
    let writes = operator.writes().len();
    let before: Deployment = operator.api().get("fleet").await.unwrap();

    produce(
        &operator.kafka.bootstrap_servers(),
        "events",
        &[0, 1, 2, 3],
        500,
    );
    let deployment = operator
        .object("fleet", "a pod", |deployment: &Deployment| {
            deployment.spec.replicas > Some(0)
        })
        .await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let status = operator.status("fleet").await;
    assert_eq!(status.lag, Some(2000));
    let scaling = status.scaling.unwrap();
    assert_eq!(scaling.wanted, deployment.spec.replicas);
    assert!(
        scaling.since.is_some() && !scaling.reasons.is_empty(),
        "{scaling:?}"
    );
    let events = operator.event("fleet", "Scaled").await;
    assert!(events[0].contains("from 0 to"), "{events:?}");
    let since = operator.writes().split_off(writes);
    assert!(
        since
            .iter()
            .any(|write| write.contains("deployments/scale")),
        "{since:#?}"
    );
    // Nothing about its shape has changed; that its size is not our shape's any more is written once.
    assert_eq!(deployment.spec.template, before.spec.template);
    let shaped = since
        .iter()
        .filter(|write| write.contains("deployments/ "))
        .count();
    assert!(shaped <= 1, "{since:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_fleet_begins_with_the_size_that_it_needs() {
    let operator = Operator::start(&["events"]).await;
    let spec = with(operator.spec("events"), "/scaling/minReplicas", json!(2));
    operator.create("fleet", spec).await;
    operator.object("fleet", "two pods", sized(2)).await;
    let group = format!("{}.fleet", operator.namespace);
    assert_eq!(operator.committed(&group, "events").await, vec![Some(0); 4]);
    operator.rest(QUIET).await;
    operator.object("fleet", "two pods still", sized(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latest_leaves_out_what_was_there_before() {
    let operator = Operator::prepare(&["events"]).await;
    produce(&operator.kafka.bootstrap_servers(), "events", &[0, 1], 300);
    let mut operator = operator;
    operator.run().await;
    operator
        .create(
            "fleet",
            with(operator.spec("events"), "/startAt", json!("Latest")),
        )
        .await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    let group = format!("{}.fleet", operator.namespace);
    let ends = vec![Some(300), Some(300), Some(0), Some(0)];
    assert_eq!(operator.committed(&group, "events").await, ends);
    assert_eq!(operator.status("fleet").await.lag, Some(0));
    operator.rest(QUIET).await;
    operator.object("fleet", "no pod", sized(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manual_mode_follows_kubectl_scale() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec = with(operator.spec("events"), "/scaling/mode", json!("Manual"));
    operator
        .create("fleet", with(spec, "/replicas", json!(1)))
        .await;
    operator.object("fleet", "one pod", sized(1)).await;

    let scale = json!({ "spec": { "replicas": 3 } });
    let consumers = operator.api::<drover::api::KafkaConsumer>();
    consumers
        .patch_scale("fleet", &PatchParams::default(), &Patch::Merge(&scale))
        .await
        .unwrap();
    operator.object("fleet", "three pods", sized(3)).await;
    operator
        .condition("fleet", "ScalingActive", "False", "Manual")
        .await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let seen = consumers.get_scale("fleet").await.unwrap();
    assert_eq!(seen.status.unwrap().replicas, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recommend_decides_and_does_not_act() {
    let operator = Operator::start(&["events"]).await;
    let spec = with(operator.spec("events"), "/scaling/mode", json!("Recommend"));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "ScalingActive", "False", "RecommendOnly")
        .await;
    produce(
        &operator.kafka.bootstrap_servers(),
        "events",
        &[0, 1, 2, 3],
        500,
    );
    wait_for("a recommendation", async || {
        let scaling = operator.status("fleet").await.scaling.unwrap_or_default();
        if scaling.wanted > Some(0) {
            Ok(())
        } else {
            Err(format!("{scaling:?}"))
        }
    })
    .await;
    operator.object("fleet", "no pod", sized(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pausing_takes_every_pod_away_and_resuming_brings_them_back() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec = with(operator.spec("events"), "/scaling/minReplicas", json!(2));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    operator.change("fleet", json!({ "paused": true })).await;
    operator.condition("fleet", "Ready", "True", "Paused").await;
    operator.object("fleet", "no pod", sized(0)).await;
    operator.change("fleet", json!({ "paused": false })).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    operator.object("fleet", "two pods", sized(2)).await;
    assert_eq!(operator.event("fleet", "Paused").await.len(), 1);
    assert_eq!(operator.event("fleet", "Resumed").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_kafka_nothing_is_scaled_and_it_is_told_once() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec = with(operator.spec("events"), "/scaling/minReplicas", json!(1));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;

    operator.kafka.broker_down(1).unwrap();
    let away = operator
        .condition("fleet", "KafkaReachable", "False", "Unreachable")
        .await;
    assert!(
        away.message.contains(&operator.kafka.bootstrap_servers()),
        "{}",
        away.message
    );
    operator
        .condition("fleet", "ScalingActive", "False", "KafkaUnreachable")
        .await;
    assert_eq!(operator.status("fleet").await.lag, None);
    // Not even a new minimum changes the size, but the rest of the spec is applied.
    let annotated = json!({ "metadata": { "annotations": { "mark": "1" } } });
    operator
        .change(
            "fleet",
            json!({ "scaling": { "minReplicas": 3 }, "template": annotated }),
        )
        .await;
    operator
        .object("fleet", "the new template", |deployment: &Deployment| {
            let template = deployment.spec.template.metadata.as_ref().unwrap();
            template
                .annotations
                .iter()
                .flatten()
                .any(|(key, _)| key == "mark")
        })
        .await;
    operator.object("fleet", "one pod still", sized(1)).await;

    operator.kafka.broker_up(1).unwrap();
    operator
        .condition("fleet", "KafkaReachable", "True", "OffsetsRead")
        .await;
    operator.object("fleet", "three pods", sized(3)).await;
    assert_eq!(operator.event("fleet", "KafkaUnreachable").await.len(), 1);
    assert_eq!(operator.event("fleet", "KafkaReachable").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_without_kafka_is_made_and_stays_at_zero() {
    let operator = Operator::start(&["events"]).await;
    operator.kafka.broker_down(1).unwrap();
    let spec = with(operator.spec("events"), "/scaling/minReplicas", json!(2));
    operator.create("fleet", spec).await;
    operator
        .object("fleet", "the Deployment, at zero", sized(0))
        .await;
    operator
        .condition("fleet", "Ready", "False", "KafkaUnreachable")
        .await;
    operator.object("fleet", "no pod", sized(0)).await;
    operator.kafka.broker_up(1).unwrap();
    operator.object("fleet", "two pods", sized(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pods_that_own_nothing_leave() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec = with(operator.spec("events"), "/scaling/mode", json!("Manual"));
    operator
        .create("fleet", with(spec, "/replicas", json!(3)))
        .await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let ours = ListParams::default().labels("drover.dev/consumer=fleet");
    let pods = operator.api::<Pod>();
    let names: Vec<String> = pods
        .list(&ours)
        .await
        .unwrap()
        .iter()
        .map(ResourceExt::name_any)
        .collect();

    let group = format!("{}.fleet", operator.namespace);
    let servers = operator.kafka.bootstrap_servers();
    produce(&servers, "events", &[0, 1, 2, 3], 10);
    let owner = names[1].clone();
    let report = |offset: i64| {
        let report = drover::report::Report {
            pod: owner.clone(),
            slots: 1,
            ..Default::default()
        };
        report.encode(drover::topic::Offset(offset))
    };
    let text = report(5);
    let commits: Vec<(i32, i64, &str)> = (0..4).map(|p| (p, 5, text.as_str())).collect();
    commit(&servers, &group, "events", &commits);
    wait_for("the commits to be read", async || {
        let lag = operator.status("fleet").await.lag;
        if lag == Some(20) {
            Ok(())
        } else {
            Err(format!("{lag:?}"))
        }
    })
    .await;

    operator.change("fleet", json!({ "replicas": 1 })).await;
    wait_for("two pods to go", async || {
        let left: Vec<String> = pods
            .list(&ours)
            .await
            .unwrap()
            .iter()
            .map(ResourceExt::name_any)
            .collect();
        if left.len() == 1 {
            Ok(left)
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await
    .iter()
    .for_each(|left| assert_eq!(*left, owner));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_record_is_told_and_so_is_its_end() {
    let operator = Operator::start(&["events"]).await;
    let spec = with(operator.spec("events"), "/scaling/mode", json!("Manual"));
    operator
        .create("fleet", with(spec, "/replicas", json!(1)))
        .await;
    operator.object("fleet", "one pod", sized(1)).await;
    let group = format!("{}.fleet", operator.namespace);
    let servers = operator.kafka.bootstrap_servers();
    produce(&servers, "events", &[2], 10);
    let report = |stuck: Option<drover::report::Stuck>| {
        let report = drover::report::Report {
            pod: "p".to_owned(),
            slots: 1,
            stuck,
            ..Default::default()
        };
        report.encode(drover::topic::Offset(5))
    };
    let stuck = drover::report::Stuck {
        offset: 5,
        attempts: 7,
        error: "HttpStatus 500".to_owned(),
    };
    commit(&servers, &group, "events", &[(2, 5, &report(Some(stuck)))]);
    let stalled = operator
        .condition("fleet", "Stalled", "True", "RecordStuck")
        .await;
    for part in ["events[2]", "offset 5", "7 attempts", "HttpStatus 500"] {
        assert!(stalled.message.contains(part), "{}", stalled.message);
    }
    assert_eq!(operator.event("fleet", "Stalled").await.len(), 1);
    commit(&servers, &group, "events", &[(2, 6, &report(None))]);
    operator
        .condition("fleet", "Stalled", "False", "NothingStuck")
        .await;
    assert_eq!(operator.event("fleet", "Recovered").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_tried_again_ask_for_no_pods_and_status_says_so() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec = with(operator.spec("events"), "/scaling/minReplicas", json!(1));
    let spec = with(spec, "/scaling/maxDelay", json!("5s"));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let group = format!("{}.fleet", operator.namespace);
    let servers = operator.kafka.bootstrap_servers();
    let pods: Vec<Pod> = {
        let ours = ListParams::default().labels("drover.dev/consumer=fleet");
        operator.api().list(&ours).await.unwrap().items
    };
    // Committed before they come, so that nobody sees them without that: the first of each partition failed
    // twice and is tried again, all behind it are done.
    let report = drover::report::Report {
        pod: pods[0].name_any(),
        done: 1000,
        busy: Duration::from_secs(10),
        slots: 1,
        failures: 8,
        tried: 2,
        tries: vec![drover::report::Tries {
            offset: 0,
            attempts: 2,
            next_at: None,
        }],
        ahead: std::iter::once(1..20).collect(),
        ..Default::default()
    };
    let text = report.encode(drover::topic::Offset(0));
    let commits: Vec<(i32, i64, &str)> = (0..4).map(|p| (p, 0, text.as_str())).collect();
    commit(&servers, &group, "events", &commits);
    produce(&servers, "events", &[0, 1, 2, 3], 20);
    let told = wait_for("the retries to be told", async || {
        let status = operator.status("fleet").await;
        let reasons = status.scaling.clone().map(|scaling| scaling.reasons);
        let reasons = reasons.unwrap_or_default().join(" ");
        match reasons.contains("are tried again") {
            true => Ok(status),
            false => Err(format!("{status:?}")),
        }
    })
    .await;
    // People see what is not committed; no pod is asked for it.
    assert_eq!(told.lag, Some(80));
    assert_eq!(told.scaling.unwrap().wanted, Some(1));
    operator.object("fleet", "one pod still", sized(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_is_paused_with_another_template_gets_no_pod_of_it() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec = with(operator.spec("events"), "/scaling/minReplicas", json!(1));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let deployments = operator.api::<Deployment>();
    let this = WatchParams::default().fields("metadata.name=fleet");
    let before = deployments.get("fleet").await.unwrap();
    let version = before.metadata.resource_version.unwrap();
    let mut changes = deployments.watch(&this, &version).await.unwrap().boxed();

    let template = json!({ "metadata": { "annotations": { "try": "1" } } });
    let patch = json!({ "paused": true, "template": template });
    operator.change("fleet", patch).await;
    let is_new = |deployment: &Deployment| {
        let annotations = deployment.spec.template.metadata.as_ref();
        let annotations = annotations.and_then(|meta| meta.annotations.as_ref());
        annotations.is_some_and(|annotations| annotations.contains_key("try"))
    };
    // The first version with the new template wants no pod any more.
    let first = loop {
        match changes.next().await {
            Some(Ok(WatchEvent::Modified(deployment))) if is_new(&deployment) => break deployment,
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(first.spec.replicas, Some(0));
    operator.event("fleet", "Scaled").await;
}
