//! Roll-outs that come to no end, and pods of before that start again meanwhile, on a real API server.

use std::time::Duration;

use drover::worker_config::{ENV_CONFIG, WorkerConfig};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodSpec};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::consumers::with;
use crate::support::operator::{Operator, wait_for};

/// Nothing is written for this long: whatever was under way has come to its end.
const QUIET: Duration = Duration::from_secs(3);

/// What the worker of such a pod reads, whenever its container is started.
pub fn configuration(pod: &PodSpec) -> WorkerConfig {
    let containers = pod.containers.iter();
    let mut variables = containers.flat_map(|container| container.env.iter().flatten());
    let variable = variables.find(|variable| variable.name == ENV_CONFIG);
    let text = variable.unwrap().value.as_deref();
    serde_json::from_str(text.expect("the configuration is in the pod itself")).unwrap()
}

fn concurrency(pod: &Pod) -> u32 {
    configuration(pod.spec.as_ref().unwrap()).concurrency
}

fn of_two_pods(operator: &Operator) -> Value {
    let spec = with(operator.spec("events"), "/scaling/mode", json!("Manual"));
    with(spec, "/replicas", json!(2))
}

/// Waits until the fleet's pods are so.
async fn pods(operator: &Operator, what: &str, is: impl Fn(&[Pod]) -> bool) -> Vec<Pod> {
    let ours = ListParams::default().labels("drover.dev/consumer=fleet");
    wait_for(what, async || {
        let pods = operator.api::<Pod>().list(&ours).await.unwrap().items;
        match is(&pods) {
            true => Ok(pods),
            false => Err(format!("{} pods", pods.len())),
        }
    })
    .await
}

/// Says of these pods alone what a kubelet would of pods that run.
async fn run(operator: &Operator, pods: &[Pod]) {
    let running = Patch::Merge(json!({ "status": {
        "phase": "Running",
        "conditions": [{ "type": "Ready", "status": "True" }],
    }}));
    for pod in pods {
        let (api, params) = (operator.api::<Pod>(), PatchParams::default());
        let patched = api.patch_status(&pod.name_any(), &params, &running).await;
        patched.unwrap();
    }
}

fn are_two(pods: &[Pod]) -> bool {
    pods.len() == 2
}

fn are_four(pods: &[Pod]) -> bool {
    pods.len() == 4
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_of_before_that_starts_again_while_a_roll_out_hangs_works_as_before() {
    let operator = Operator::start(&["events"]).await;
    operator.create("fleet", of_two_pods(&operator)).await;
    let old = pods(&operator, "two pods", are_two).await;
    run(&operator, &old).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;

    // Nobody runs the new ones.
    operator
        .change("fleet", json!({ "delivery": { "concurrency": 7 } }))
        .await;
    let all = pods(&operator, "two new pods beside them", are_four).await;
    for pod in &all {
        let is_old = old.iter().any(|known| known.uid() == pod.uid());
        let expected = if is_old { 16 } else { 7 };
        assert_eq!(concurrency(pod), expected, "{}", pod.name_any());
    }
    // A node is drained: the ReplicaSet of before makes its pod anew.
    let gone = old[0].name_any();
    operator
        .api::<Pod>()
        .delete(&gone, &DeleteParams::default())
        .await
        .unwrap();
    let all = pods(&operator, "a pod in its place", |pods| {
        are_four(pods) && pods.iter().all(|pod| pod.name_any() != gone)
    })
    .await;
    let as_before = all.iter().filter(|pod| concurrency(pod) == 16);
    assert_eq!(as_before.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebodys_config_map_of_a_fleets_name_is_nothing_to_the_fleet() {
    let operator = Operator::start(&["events"]).await;
    let theirs: ConfigMap = serde_json::from_value(json!({
        "metadata": { "name": "fleet", "labels": {
            "app.kubernetes.io/managed-by": "drover", "drover.dev/consumer": "fleet",
        } },
        "data": { "precious": "yes" },
    }))
    .unwrap();
    let maps = operator.api::<ConfigMap>();
    let theirs = maps.create(&PostParams::default(), &theirs).await.unwrap();
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator.rest(QUIET).await;
    assert_eq!(maps.get("fleet").await.unwrap(), theirs);
}
