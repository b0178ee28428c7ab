//! Size by hand, and pausing.

use std::time::Duration;

use drover::api::KafkaConsumer;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario};
use crate::{kafka, wait, world};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn manual_mode_follows_the_scale_subresource_and_paused_stops_the_fleet() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("manual", 6).await;
    scenario.handler("1ms").await;
    let mut spec = scenario.spec();
    spec["replicas"] = json!(1);
    spec["scaling"] = json!({"mode": "Manual", "minReplicas": 0});
    scenario.apply(spec.clone()).await;
    scenario.ready_pods(1, PATIENCE).await;

    // As `kubectl scale kc/fleet --replicas=3` does it.
    scenario
        .api::<KafkaConsumer>()
        .patch_scale(
            "fleet",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"replicas": 3}})),
        )
        .await
        .expect("scale the KafkaConsumer");
    scenario.ready_pods(3, PATIENCE).await;

    spec["replicas"] = json!(3);
    spec["paused"] = json!(true);
    scenario.apply(spec.clone()).await;
    scenario.ready_pods(0, PATIENCE).await;
    scenario.condition("Paused", "True", PATIENCE).await;
    kafka::produce(&scenario.topic, 10, 1, 10).expect("produce");
    wait::throughout(
        "a paused fleet stays away",
        Duration::from_secs(5),
        || scenario.pods(),
        Vec::is_empty,
    )
    .await;

    spec["paused"] = json!(false);
    scenario.apply(spec).await;
    scenario.handled(100, PATIENCE).await;
    scenario.end().await;
}
