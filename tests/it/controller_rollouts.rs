//! Roll-outs that come to no end, and pods of before that start again meanwhile, on a real API server.

use std::time::Duration;

use drover::api::KafkaConsumer;
use drover::api::names::FIELD_MANAGER;
use drover::fleet::{References, validate};
use drover::resources::{self, build};
use drover::worker_config::{ENV_CONFIG, WorkerConfig};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodSpec, ServiceAccount};
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

/// The children that an earlier version made of a fleet: its pods read the configuration in a ConfigMap.
async fn make_as_an_earlier_version(operator: &Operator, consumer: &KafkaConsumer) {
    let fleet = validate(consumer, &References::default()).unwrap();
    let settings = resources::Settings {
        worker_image: "drover.local/worker:0".to_owned(),
        image_pull_policy: None,
        user_by_platform: false,
    };
    let desired = build(&fleet, &settings);
    let map = ConfigMap {
        metadata: desired.deployment.metadata.clone(),
        data: Some([("worker.json".to_owned(), "{}".to_owned())].into()),
        ..ConfigMap::default()
    };
    let maps = operator.api::<ConfigMap>();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let accounts = operator.api::<ServiceAccount>();
    let account = desired.service_account.as_ref().unwrap();
    accounts
        .create(&PostParams::default(), account)
        .await
        .unwrap();
    let mut deployment = json!(desired.deployment_for_create(2));
    let env = &mut deployment["spec"]["template"]["spec"]["containers"][0]["env"][1];
    assert_eq!(env["name"], ENV_CONFIG);
    *env = json!({ "name": ENV_CONFIG, "valueFrom": {
        "configMapKeyRef": { "name": "fleet", "key": "worker.json" },
    }});
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let deployments = operator.api::<Deployment>();
    let patch = Patch::Apply(&deployment);
    deployments.patch("fleet", &params, &patch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_config_map_of_an_earlier_version_goes_with_the_last_pod_that_reads_it() {
    let mut operator = Operator::prepare(&["events"]).await;
    let consumer = operator.create("fleet", of_two_pods(&operator)).await;
    make_as_an_earlier_version(&operator, &consumer).await;
    let old = pods(&operator, "two pods", are_two).await;
    run(&operator, &old).await;

    operator.run().await;
    pods(&operator, "two new pods beside them", are_four).await;
    operator.rest(QUIET).await;
    let maps = operator.api::<ConfigMap>();
    maps.get("fleet").await.expect("the old pods read it");

    operator.play_kubelet();
    wait_for("the ConfigMap to go", async || {
        match maps.get_opt("fleet").await.unwrap() {
            None => Ok(()),
            Some(_) => Err(operator.writes().join("\n")),
        }
    })
    .await;
    let left = pods(&operator, "the old pods to go", are_two).await;
    for pod in &left {
        assert_eq!(concurrency(pod), 16);
    }
    operator.rest(QUIET).await;
    let ours = ListParams::default().labels("drover.dev/consumer=fleet");
    let sets = operator.api::<ReplicaSet>().list(&ours).await.unwrap();
    assert_eq!(sets.items.len(), 2, "one roll-out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebodys_config_map_of_a_fleets_name_is_nothing_to_the_fleet() {
    let operator = Operator::start(&["events"]).await;
    let theirs: ConfigMap = serde_json::from_value(json!({
        "metadata": { "name": "fleet" }, "data": { "precious": "yes" },
    }))
    .unwrap();
    let maps = operator.api::<ConfigMap>();
    let theirs = maps.create(&PostParams::default(), &theirs).await.unwrap();
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator.rest(QUIET).await;
    assert_eq!(maps.get("fleet").await.unwrap(), theirs);
}
