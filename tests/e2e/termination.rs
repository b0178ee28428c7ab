//! A pod that is told to go finishes what it holds, commits it, leaves the group and exits 0.

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario};
use crate::{kafka, wait, world};

/// Watches a pod until it is gone and returns its worker's last exit code.
async fn exit_code(scenario: &Scenario, pod: &str) -> Option<i32> {
    let of_pod = watcher::Config::default().fields(&format!("metadata.name={pod}"));
    let events = watcher(scenario.api::<Pod>(), of_pod).default_backoff();
    let mut events = std::pin::pin!(events);
    let mut code = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                let statuses = pod.status.and_then(|status| status.container_statuses);
                code = statuses
                    .into_iter()
                    .flatten()
                    .filter_map(|status| status.state?.terminated)
                    .map(|ended| ended.exit_code)
                    .next()
                    .or(code);
            }
            Ok(watcher::Event::Delete(_)) => return code,
            _ => {}
        }
    }
    code
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn sigterm_with_slow_handlers_finishes_commits_and_exits_zero() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("sigterm", 4).await;
    scenario.handler("4s").await;
    let mut spec = scenario.spec();
    spec["delivery"] = json!({"concurrency": 8, "ordering": "None"});
    scenario.apply(spec).await;
    let pods = scenario.ready_pods(1, PATIENCE).await;
    let leaving = pods[0].metadata.name.clone().expect("name");
    kafka::produce(&scenario.topic, 4, 1, 6).expect("produce");
    wait::until(
        "eight records in flight",
        PATIENCE,
        || scenario.witness.stats(),
        |stats| stats.in_flight == 8,
    )
    .await;

    let (code, deleted) = tokio::join!(
        tokio::time::timeout(PATIENCE, exit_code(&scenario, &leaving)),
        async {
            let pods = scenario.api::<Pod>();
            pods.delete(&leaving, &DeleteParams::default()).await
        }
    );
    deleted.expect("delete the pod");
    assert_eq!(code.expect("the pod goes within its grace period"), Some(0));

    scenario.handled(24, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!(
        (
            stats.handled,
            stats.handled_twice,
            stats.handled_again_on_retry
        ),
        (24, 0, 0),
        "what was in flight is finished and committed, so nothing comes twice: {stats:#?}"
    );
    scenario.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn deleting_the_resource_drains_and_removes_every_child_and_keeps_the_group() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("delete", 3).await;
    scenario.handler("20ms").await;
    let mut spec = scenario.spec();
    spec["scaling"] = json!({"minReplicas": 2, "maxReplicas": 2, "maxDelay": "60s"});
    scenario.apply(spec).await;
    scenario.ready_pods(2, PATIENCE).await;
    let produced = kafka::produce(&scenario.topic, 50, 1, 40).expect("produce");
    scenario.handled(200, PATIENCE).await;

    let fleets = scenario.api::<drover::api::KafkaConsumer>();
    fleets
        .delete("fleet", &DeleteParams::background())
        .await
        .expect("delete the KafkaConsumer");
    let ours = ListParams::default().labels("drover.dev/consumer=fleet");
    wait::until(
        "every child to be gone",
        PATIENCE,
        || async {
            Ok(scenario.api::<Deployment>().list(&ours).await?.items.len()
                + scenario
                    .api::<ServiceAccount>()
                    .list(&ours)
                    .await?
                    .items
                    .len()
                + scenario
                    .api::<PodDisruptionBudget>()
                    .list(&ours)
                    .await?
                    .items
                    .len()
                + scenario.api::<Pod>().list(&ours).await?.items.len())
        },
        |children| *children == 0,
    )
    .await;

    // Everything that was handled is committed, and nothing that was not.
    let stats = scenario.witness.stats().await.expect("stats");
    let lag = kafka::lag(&scenario.group(), &scenario.topic)
        .await
        .expect("lag");
    assert!(
        stats.handled < produced,
        "the fleet was too quick for this test"
    );
    assert_eq!(lag, (produced - stats.handled) as i64, "{stats:#?}");
    assert_eq!(stats.in_flight, 0);
    scenario.end().await;
}
