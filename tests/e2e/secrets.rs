//! A Secret is changed while records are handled: the pods are rolled for it, once, and nothing is lost or
//! repeated.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario, from, is_ready};
use crate::{kafka, wait, world};

const PODS: usize = 2;
const KEYS: u64 = 20;

/// How often the Deployment's pods have been made anew.
async fn revision(scenario: &Scenario) -> anyhow::Result<u64> {
    let deployment = scenario.api::<Deployment>().get("fleet").await?;
    let annotations = deployment.annotations();
    Ok(annotations["deployment.kubernetes.io/revision"].parse()?)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_changed_secret_rolls_the_pods_once_and_loses_and_repeats_nothing() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("secret", 4).await;
    scenario.handler("5ms").await;
    let secret = json!({ "metadata": { "name": "keys" }, "stringData": { "token": "first" } });
    let secrets = scenario.api::<Secret>();
    let made = secrets.create(&PostParams::default(), &from(secret)).await;
    made.expect("create the Secret");
    let mut spec = scenario.spec();
    spec["scaling"] = json!({ "minReplicas": PODS, "maxReplicas": PODS, "maxDelay": "120s" });
    spec["template"] = json!({ "spec": { "containers": [{
        "name": "worker",
        "env": [{ "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "keys", "key": "token" } } }],
    }] } });
    scenario.apply(spec).await;
    let first = scenario.ready_pods(PODS, PATIENCE).await;
    let first: BTreeSet<String> = first.iter().map(ResourceExt::name_any).collect();
    let before = revision(&scenario).await.expect("revision");

    let change = Patch::Merge(json!({ "stringData": { "token": "second" } }));
    let params = PatchParams::default();
    let changed = secrets.patch("keys", &params, &change).await;
    changed.expect("change the Secret");
    // Some records all the time, until other pods are there.
    let mut produced = 0;
    wait::until(
        "other pods in the place of all",
        PATIENCE,
        || {
            produced += 1;
            kafka::produce(&scenario.topic, KEYS, produced, produced).expect("produce");
            scenario.pods()
        },
        |pods| {
            let other = |pod: &Pod| is_ready(pod) && !first.contains(&pod.name_any());
            pods.len() == PODS && pods.iter().all(other)
        },
    )
    .await;
    kafka::produce(&scenario.topic, KEYS, produced + 1, produced + 20).expect("produce");
    let all = KEYS * (produced + 20);
    scenario.handled(all, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!(
        (stats.handled, stats.handled_twice, stats.out_of_order),
        (all, 0, 0),
        "{stats:#?}"
    );
    assert_eq!(revision(&scenario).await.expect("revision"), before + 1);
    scenario.end().await;
}
