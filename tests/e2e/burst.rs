//! From zero to size, through a roll-out, and back to zero.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario};
use crate::{kafka, wait, world};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_burst_through_a_roll_out_is_handled_once_and_in_order() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("burst", 12).await;
    scenario.handler("5ms").await;
    let mut spec = scenario.spec();
    spec["delivery"]["concurrency"] = json!(1);
    spec["scaling"] = json!({"minReplicas": 0, "maxDelay": "30s"});
    scenario.apply(spec).await;
    scenario.condition("Ready", "True", PATIENCE).await;
    scenario.ready_pods(0, PATIENCE).await;

    let produced = kafka::produce(&scenario.topic, 200, 1, 300).expect("produce");
    scenario.handled(produced * 4 / 10, PATIENCE).await;
    scenario
        .api::<Deployment>()
        .restart("fleet")
        .await
        .expect("restart the fleet");

    scenario.handled(produced, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    scenario.ready_pods(0, PATIENCE).await;
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!(stats.handled, produced);
    assert_eq!(
        stats.handled_twice + stats.handled_again_on_retry,
        0,
        "{stats:#?}"
    );
    assert_eq!(stats.out_of_order + stats.overlapping, 0, "{stats:#?}");
    scenario.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn latest_begins_where_the_log_was_when_the_resource_was_created() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("latest", 3).await;
    scenario.handler("1ms").await;
    kafka::produce(&scenario.topic, 10, 1, 10).expect("produce");
    let mut spec = scenario.spec();
    spec["startAt"] = json!("Latest");
    spec["scaling"] = json!({"minReplicas": 0, "maxDelay": "30s"});
    scenario.apply(spec).await;
    let group = scenario.group();
    wait::until(
        "the group's first offsets",
        PATIENCE,
        || kafka::lag(&group, &scenario.topic),
        |lag| *lag == 0,
    )
    .await;

    // No pod has ever run; what comes now is what the fleet is for.
    kafka::produce(&scenario.topic, 10, 11, 15).expect("produce");
    scenario.handled(50, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!((stats.handled, stats.handled_twice), (50, 0));
    wait::throughout(
        "no older record comes",
        Duration::from_secs(2),
        || scenario.witness.stats(),
        |stats| stats.handled == 50,
    )
    .await;
    scenario.end().await;
}
