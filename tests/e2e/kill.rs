//! A worker that dies without warning loses nothing, and repeats only what no commit had seen.

use std::process::Command;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::PostParams;
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario, from, is_ready, restricted};
use crate::{kafka, wait, world};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_killed_worker_loses_nothing_and_repeats_only_what_was_not_committed() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("kill", 6).await;
    scenario.handler("10ms").await;
    let mut spec = scenario.spec();
    spec["delivery"] = json!({"concurrency": 4, "ordering": "Key"});
    spec["kafka"]["properties"] = json!({"session.timeout.ms": "6000"});
    spec["scaling"] = json!({"minReplicas": 2, "maxReplicas": 2, "maxDelay": "60s"});
    scenario.apply(spec).await;
    let pods = scenario.ready_pods(2, PATIENCE).await;
    let produced = kafka::produce(&scenario.topic, 100, 1, 100).expect("produce");
    scenario.handled(produced / 4, PATIENCE).await;

    let pod = pods[0].metadata.name.clone().expect("name");
    let pid = world::process_of_pod(&pod).expect("find the worker's process");
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.expect("kill").success());

    scenario.handled(produced, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!(stats.handled, produced);
    // A pod does at most 4 / 10 ms = 400 records a second and commits each second; what it had in
    // flight, and what it did in the second before a commit under way came back, may come again.
    let repeated = stats.handled_twice + stats.handled_again_on_retry;
    assert!(repeated <= 2 * 400 + 4, "{stats:#?}");
    // What is repeated begins again at the commit, so a key's records may be seen a second time,
    // but never two of them at once.
    assert_eq!(stats.overlapping, 0, "{stats:#?}");
    scenario.ready_pods(2, PATIENCE).await;
    scenario.end().await;
}

/// How often the containers of a pod were started again.
fn restarts(pod: &Pod) -> i32 {
    let containers = pod.status.iter().flat_map(|it| &it.container_statuses);
    containers.flatten().map(|it| it.restart_count).sum()
}

/// The new configuration needs a file that only pods of the new template mount, and none of them ever starts.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_worker_that_is_killed_while_a_roll_out_hangs_works_on_as_it_was() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("hang", 4).await;
    scenario.handler("5ms").await;
    let mut spec = scenario.spec();
    scenario.apply(spec.clone()).await;
    let old = scenario.ready_pods(1, PATIENCE).await;
    let old = old[0].name_any();

    let secret = json!({ "metadata": { "name": "token" }, "stringData": { "header": "Bearer x" } });
    let secrets = scenario.api::<Secret>();
    let made = secrets.create(&PostParams::default(), &from(secret)).await;
    made.expect("create the Secret");
    spec["handler"]["http"]["authorizationSecret"] = json!({ "name": "token", "key": "header" });
    spec["template"] = json!({ "spec": { "initContainers": [{
        "name": "never", "image": "drover.local/never:1", "securityContext": restricted(),
    }] } });
    scenario.apply(spec).await;
    wait::until(
        "a new pod beside the old one",
        PATIENCE,
        || scenario.pods(),
        |pods| pods.len() == 2,
    )
    .await;

    let pid = world::process_of_pod(&old).expect("find the worker's process");
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.expect("kill").success());
    wait::until(
        "the old pod to be started again and ready",
        PATIENCE,
        || async { Ok(scenario.api::<Pod>().get(&old).await?) },
        |pod| restarts(pod) == 1 && is_ready(pod),
    )
    .await;
    let produced = kafka::produce(&scenario.topic, 20, 1, 10).expect("produce");
    scenario.handled(produced, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    scenario.end().await;
}
