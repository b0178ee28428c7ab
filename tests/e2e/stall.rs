//! Without a dead-letter topic a record that fails holds its key or partition, and nothing else.

use std::time::Duration;

use serde_json::json;

use crate::scenario::{PATIENCE, Scenario};
use crate::{kafka, wait, world};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_stuck_record_is_named_others_go_on_the_fleet_does_not_grow_and_it_heals() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("stall", 6).await;
    scenario.handler("1ms").await;
    scenario
        .witness
        .fault(json!({"key": "key-7", "seq": 3, "status": 500}))
        .await
        .expect("set the fault");
    let mut spec = scenario.spec();
    spec["delivery"] =
        json!({"retry": {"attempts": 3, "initialBackoff": "50ms", "maxBackoff": "1s"}});
    spec["scaling"] = json!({"minReplicas": 1, "maxDelay": "20s"});
    scenario.apply(spec).await;
    scenario.ready_pods(1, PATIENCE).await;
    kafka::produce(&scenario.topic, 20, 1, 10).expect("produce");

    // key-7 stops after two; everything else is handled.
    scenario.handled(19 * 10 + 2, PATIENCE).await;
    let stalled = scenario.condition("Stalled", "True", PATIENCE).await;
    let status = scenario
        .consumer()
        .await
        .expect("consumer")
        .status
        .unwrap_or_default();
    let stuck = status.stuck.first().expect("the stuck record in status");
    assert!(stuck.attempts >= 3, "{stuck:?}");
    assert!(stuck.error.contains("500"), "{stuck:?}");
    for word in [
        stuck.partition.to_string(),
        stuck.offset.to_string(),
        "500".to_owned(),
    ] {
        assert!(
            stalled.message.contains(&word),
            "{word} in {}",
            stalled.message
        );
    }
    // What waits behind it is older than the promise by the end of this.
    wait::throughout(
        "the fleet does not grow",
        Duration::from_secs(30),
        || scenario.pods(),
        |pods| pods.len() <= 1,
    )
    .await;

    scenario.witness.mend().await.expect("mend");
    scenario.handled(20 * 10, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    scenario.condition("Stalled", "False", PATIENCE).await;
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!(
        (stats.handled_twice, stats.out_of_order),
        (0, 0),
        "{stats:#?}"
    );
    scenario.end().await;
}
