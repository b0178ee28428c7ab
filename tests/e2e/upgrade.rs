//! `helm upgrade`, and back, while records are handled: the controller is another, all pods are rolled, and
//! nothing is lost, repeated or out of order for it.

use std::collections::BTreeSet;
use std::process::Command;

use drover::api::KafkaConsumer;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario, is_ready};
use crate::{kafka, wait, world};

const PODS: usize = 3;
const KEYS: u64 = 60;
/// Of each key, in each of three parts: before, between upgrade and rollback, and after.
const RECORDS: u64 = 100;

async fn helm(arguments: &[&str]) {
    let output = tokio::process::Command::from(Command::new(world::program("helm").expect("helm")))
        .args(["--namespace", "drover-system"])
        .args(arguments)
        .args(["--wait", "--timeout", "180s"])
        .output()
        .await
        .expect("run helm");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "helm {arguments:?}: {said}");
}

fn names(pods: &[Pod]) -> BTreeSet<String> {
    pods.iter().map(ResourceExt::name_any).collect()
}

/// Waits until as many pods as before are ready, and none of those before is there.
async fn rolled(scenario: &Scenario, before: &BTreeSet<String>) -> BTreeSet<String> {
    let pods = wait::until(
        "other pods in the place of all",
        PATIENCE,
        || scenario.pods(),
        |pods| pods.len() == PODS && pods.iter().all(is_ready) && names(pods).is_disjoint(before),
    )
    .await;
    names(&pods)
}

/// The name of the only pod with a controller.
async fn controller(scenario: &Scenario) -> anyhow::Result<BTreeSet<String>> {
    let of_controllers = ListParams::default().labels("app.kubernetes.io/name=drover-controller");
    let pods = Api::<Pod>::namespaced(scenario.client.clone(), "drover-system");
    Ok(names(&pods.list(&of_controllers).await?.items))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn an_upgrade_under_load_and_its_rollback_lose_and_repeat_nothing() {
    let _cluster = world::alone().await;
    let scenario = Scenario::begin("upgrade", 6).await;
    scenario.handler("5ms").await;
    let mut spec = scenario.spec();
    spec["delivery"] = json!({ "concurrency": 1 });
    spec["scaling"] = json!({ "minReplicas": PODS, "maxReplicas": PODS, "maxDelay": "120s" });
    scenario.apply(spec).await;
    let first = names(&scenario.ready_pods(PODS, PATIENCE).await);
    let first_controller = controller(&scenario).await.expect("controller");
    let asked = scenario.consumer().await.expect("KafkaConsumer").spec;

    // What changes of the workers' pods changes all of them, as another image does.
    kafka::produce(&scenario.topic, KEYS, 1, RECORDS).expect("produce");
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/drover");
    let changed = [
        "--reset-then-reuse-values",
        "--set",
        "worker.image.pullPolicy=Never,controller.logFormat=text",
    ];
    helm(&[&["upgrade", "drover", chart][..], &changed].concat()).await;
    let second = rolled(&scenario, &first).await;
    let second_controller = controller(&scenario).await.expect("controller");
    assert!(second_controller.is_disjoint(&first_controller));

    kafka::produce(&scenario.topic, KEYS, RECORDS + 1, 2 * RECORDS).expect("produce");
    helm(&["rollback", "drover"]).await;
    rolled(&scenario, &second).await;
    kafka::produce(&scenario.topic, KEYS, 2 * RECORDS + 1, 3 * RECORDS).expect("produce");

    scenario.handled(3 * KEYS * RECORDS, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!(
        (stats.handled, stats.handled_twice, stats.out_of_order),
        (3 * KEYS * RECORDS, 0, 0),
        "{stats:#?}"
    );
    // What was asked of it is what it was.
    let fleet: KafkaConsumer = scenario.consumer().await.expect("KafkaConsumer");
    assert_eq!(
        serde_json::to_value(&fleet.spec).expect("spec"),
        serde_json::to_value(&asked).expect("spec")
    );
    scenario.end().await;
}
