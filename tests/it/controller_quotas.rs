//! Namespaces with a ResourceQuota, on a real API server: what it counts has to be named by every container of a
//! pod, also by those that only Drover writes.

use drover::api::KafkaConsumer;
use drover::fleet::{References, validate};
use drover::resources::{build, replay_job};
use k8s_openapi::api::core::v1::{Pod, PodSpec, ResourceQuota};
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::replay_job::{config, owner, settings};
use crate::support::consumers::{all, typed, with};
use crate::support::control_plane::control_plane;
use crate::support::operator::{Operator, wait_for};

/// On all that a quota can want named.
fn on_everything() -> Value {
    json!({ "requests.cpu": "100", "requests.memory": "100Gi", "limits.cpu": "100", "limits.memory": "100Gi" })
}

/// Tries a pod, without making it.
async fn tried(pods: &Api<Pod>, name: &str, spec: PodSpec) -> Result<(), String> {
    let pod = Pod {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        ..Pod::default()
    };
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let made = pods.create(&dry, &pod).await;
    made.map(|_| ()).map_err(|error| error.to_string())
}

/// Makes a quota, and waits until it holds.
async fn limit(client: &kube::Client, namespace: &str, hard: Value) {
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": { "name": "full" }, "spec": { "hard": hard },
    }))
    .unwrap();
    let quotas = Api::<ResourceQuota>::namespaced(client.clone(), namespace);
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    // Where no controller counts, nothing is used.
    let none = hard.as_object().unwrap().iter();
    let none: serde_json::Map<String, Value> =
        none.map(|(name, _)| (name.clone(), json!("0"))).collect();
    let status = Patch::Merge(json!({ "status": { "hard": hard, "used": none } }));
    let params = PatchParams::default();
    quotas.patch_status("full", &params, &status).await.unwrap();
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    wait_for("the quota to hold", async || {
        let loose = json!({ "containers": [{ "name": "loose", "image": "i" }] });
        let loose = serde_json::from_value(loose).unwrap();
        match tried(&pods, "loose", loose).await {
            Err(error) if error.contains("failed quota") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// What a user writes in such a namespace: resources of every container of the template.
fn with_resources(mut document: Value) -> Value {
    let resources = json!({
        "requests": { "cpu": "20m", "memory": "32Mi" },
        "limits": { "cpu": "1", "memory": "128Mi" },
    });
    let pod = &mut document["spec"]["template"]["spec"];
    if pod["containers"].is_null() {
        pod["containers"] = json!([]);
    }
    let consumes = document.pointer("/spec/handler/consumer").is_some();
    let pod = &mut document["spec"]["template"]["spec"];
    let containers = pod["containers"].as_array_mut().unwrap();
    if !consumes && containers.iter().all(|it| it["name"] != "worker") {
        containers.push(json!({ "name": "worker" }));
    }
    for list in ["containers", "initContainers"] {
        for container in pod[list].as_array_mut().into_iter().flatten() {
            container["resources"] = resources.clone();
        }
    }
    document
}

#[tokio::test]
async fn pods_of_fleets_and_replays_are_admitted_where_a_quota_counts_all() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    limit(&client, &namespace, on_everything()).await;
    let pods = Api::<Pod>::namespaced(client, &namespace);
    let settings = settings();
    for (name, document) in all() {
        let consumer: KafkaConsumer = typed(&with_resources(document));
        let fleet = validate(&consumer, &References::default()).unwrap();
        let template = build(&fleet, &settings).deployment.spec.template;
        let pod = name.replace('_', "-");
        let admitted = tried(&pods, &pod, template.spec.unwrap()).await;
        assert_eq!(admitted, Ok(()), "{name}");

        let job = replay_job(&fleet, &owner("again"), &config(), &settings);
        let spec = job.spec.unwrap().template.spec.unwrap();
        let admitted = tried(&pods, &pod, spec).await;
        assert_eq!(admitted, Ok(()), "a replay of {name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_that_wants_resources_named_is_told_with_the_remedy() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    limit(&operator.client, &operator.namespace, on_everything()).await;
    let command = json!({ "exec": { "command": ["bin/handle"] } });
    let spec = with(operator.spec("events"), "/handler", command);
    let spec = with(spec, "/scaling/minReplicas", json!(1));
    let template = |resources: Value| {
        json!({ "spec": { "containers": [
            { "name": "worker", "image": "shop/web:1", "resources": resources },
        ] } })
    };
    let bare = with(spec, "/template", template(json!({})));
    operator.create("fleet", bare).await;
    let ready = operator
        .condition("fleet", "Ready", "False", "ResourcesMissing")
        .await;
    for words in ["must specify limits.cpu for:", "worker", "spec.template"] {
        assert!(ready.message.contains(words), "{}", ready.message);
    }

    let limits = json!({ "limits": { "cpu": "1", "memory": "256Mi" } });
    let named = json!({ "template": template(limits) });
    operator.change("fleet", named).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_that_is_used_up_is_told() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let hard = json!({ "pods": "1", "requests.memory": "100Gi" });
    limit(&operator.client, &operator.namespace, hard).await;
    let spec = with(operator.spec("events"), "/scaling/minReplicas", json!(2));
    operator.create("fleet", spec).await;
    let ready = operator
        .condition("fleet", "Ready", "False", "QuotaExceeded")
        .await;
    assert!(
        ready.message.contains("exceeded quota: full"),
        "{}",
        ready.message
    );
}
