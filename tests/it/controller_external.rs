//! An autoscaler of the user's own on the scale subresource of a real API server: its number is carried over to
//! the Deployment within the bounds, and nothing else decides.

use std::time::Duration;

use drover::api::KafkaConsumer;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::lag_admin::produce;
use crate::support::consumers::with;
use crate::support::operator::{Operator, wait_for};

fn sized(size: i32) -> impl Fn(&Deployment) -> bool {
    move |deployment| deployment.spec.replicas == Some(size)
}

/// As the HPA does: through the scale subresource, and nothing but the number.
async fn choose(operator: &Operator, replicas: i32) {
    let scale = json!({ "spec": { "replicas": replicas } });
    let consumers = operator.api::<KafkaConsumer>();
    consumers
        .patch_scale("fleet", &PatchParams::default(), &Patch::Merge(&scale))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_autoscalers_number_is_carried_over_within_the_bounds() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let scaling =
        json!({ "mode": "External", "minReplicas": 1, "maxReplicas": 3, "maxDelay": "1s" });
    let spec = with(operator.spec("events"), "/scaling", scaling);
    operator.create("fleet", spec).await;

    // Without a number an autoscaler gets an error for the subresource: there is one without anybody's doing.
    let consumers = operator.api::<KafkaConsumer>();
    let scale = wait_for("a scale to begin with", async || {
        let scale = consumers
            .get_scale("fleet")
            .await
            .map_err(|error| error.to_string())?;
        let status = scale.status.clone().unwrap_or_default();
        if scale.spec.as_ref().and_then(|spec| spec.replicas) == Some(1) && status.replicas == 1 {
            Ok(scale)
        } else {
            Err(format!("{scale:?}"))
        }
    })
    .await;
    let selector = scale.status.unwrap().selector.unwrap();
    assert!(selector.contains("=fleet"), "{selector}");
    operator
        .condition("fleet", "ScalingActive", "False", "External")
        .await;

    choose(&operator, 3).await;
    operator.object("fleet", "three pods", sized(3)).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    operator
        .condition("fleet", "ScalingLimited", "False", "NotLimited")
        .await;

    choose(&operator, 9).await;
    let limited = operator
        .condition("fleet", "ScalingLimited", "True", "CappedByMaxReplicas")
        .await;
    assert!(
        limited.message.contains("9 pods are wanted"),
        "{}",
        limited.message
    );
    operator.object("fleet", "three pods still", sized(3)).await;

    choose(&operator, 0).await;
    operator.object("fleet", "the least", sized(1)).await;

    // A backlog that breaks the promise is told, and orders nothing.
    produce(
        &operator.kafka.bootstrap_servers(),
        "events",
        &[0, 1, 2, 3],
        500,
    );
    wait_for("the lag in status", async || {
        let status = operator.status("fleet").await;
        if status.lag == Some(2000) {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    })
    .await;
    operator.rest(Duration::from_secs(3)).await;
    operator.object("fleet", "one pod still", sized(1)).await;
    let scaling = operator.status("fleet").await.scaling.unwrap();
    assert_eq!(scaling.wanted, Some(1));
    assert!(
        scaling
            .reasons
            .iter()
            .any(|reason| reason.contains("spec.replicas is 0")),
        "{scaling:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_were_counted_bind_an_autoscaler_while_kafka_is_away_too() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec = with(operator.spec("events"), "/scaling/mode", json!("External"));
    operator
        .create("fleet", with(spec, "/replicas", json!(2)))
        .await;
    operator.object("fleet", "two pods", sized(2)).await;
    operator.kafka.broker_down(1).unwrap();
    operator
        .condition("fleet", "KafkaReachable", "False", "Unreachable")
        .await;
    choose(&operator, 50).await;
    operator
        .object("fleet", "a pod for each partition", sized(4))
        .await;
    // Whoever wants none gets none: the least is zero here.
    choose(&operator, 0).await;
    operator.object("fleet", "no pod", sized(0)).await;
}
