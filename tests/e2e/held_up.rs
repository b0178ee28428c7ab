//! Nothing is handled, and no record is to blame: the handler asks for less and takes nothing, or no pod is ready.
//! Either is told a minute or two later, so this mostly waits.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario, is_ready};
use crate::{kafka, wait, world};

/// Pods are given up after two minutes, or three times as long as they took to start, where that is more.
const GIVEN_UP: Duration = Duration::from_secs(360);

/// Which the kubelet makes of a pod's readiness, besides its probes.
const GATE: &str = "e2e.drover.dev/well";

/// Has the kubelet call the fleet's only pod ready, or not.
async fn call_ready(scenario: &Scenario, ready: bool) {
    let pods = wait::until(
        "the only pod",
        PATIENCE,
        || scenario.pods(),
        |pods| pods.len() == 1,
    )
    .await;
    let status = if ready { "True" } else { "False" };
    let said = json!({ "status": { "conditions": [{ "type": GATE, "status": status }] } });
    scenario
        .api::<Pod>()
        .patch_status(
            &pods[0].name_any(),
            &PatchParams::default(),
            &Patch::Strategic(said),
        )
        .await
        .expect("patch the pod's status");
    wait::until(
        "the kubelet to say so, too",
        PATIENCE,
        || scenario.pods(),
        |pods| pods.iter().all(|pod| is_ready(pod) == ready),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_handler_that_takes_nothing_and_pods_that_are_not_ready_are_told_and_it_heals() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("held-up", 3).await;
    scenario.handler("1ms").await;
    let mut spec = scenario.spec();
    spec["template"] = json!({ "spec": { "readinessGates": [{ "conditionType": GATE }] } });
    scenario.apply(spec).await;
    call_ready(&scenario, true).await;
    kafka::produce(&scenario.topic, 10, 1, 10).expect("produce");
    scenario.handled(100, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    scenario.condition("Ready", "True", PATIENCE).await;

    scenario
        .witness
        .fault(json!({ "status": 503 }))
        .await
        .expect("set the fault");
    call_ready(&scenario, false).await;
    kafka::produce(&scenario.topic, 10, 11, 20).expect("produce");
    let ready = scenario
        .condition_because("Ready", "False", "HandlerTurnsAway", PATIENCE)
        .await;
    assert!(ready.message.contains("drover logs fleet"), "{ready:?}");
    let stalled = scenario
        .condition_because("Stalled", "True", "NoPodReady", GIVEN_UP)
        .await;
    assert!(
        stalled.message.contains("no pod has been ready"),
        "{stalled:?}"
    );
    assert_eq!(scenario.pods().await.expect("pods").len(), 1);

    call_ready(&scenario, true).await;
    scenario.witness.mend().await.expect("mend");
    scenario.handled(200, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    scenario.condition("Stalled", "False", PATIENCE).await;
    scenario.condition("Ready", "True", PATIENCE).await;
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!(
        (stats.handled, stats.handled_twice, stats.out_of_order),
        (200, 0, 0),
        "{stats:#?}"
    );
    scenario.end().await;
}
