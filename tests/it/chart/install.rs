//! The chart on a real API server: installed, upgraded, removed.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::ResourceExt;
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use super::each_value::rendered_with_all_set;
use super::{folder, helm, one, rendered, said};
use crate::support::control_plane::control_plane_with_controllers;

/// Real Helm, a real API server, and the namespace's own policy as strict as it can be.
#[tokio::test]
async fn helm_installs_upgrades_and_uninstalls() {
    let cluster = control_plane_with_controllers();
    let client = cluster.client().await;
    let namespace = "drover-by-helm";
    let run = |arguments: &[&str]| {
        let output = Command::new(helm())
            .env("KUBECONFIG", cluster.kubeconfig())
            .args(arguments)
            .args(["--namespace", namespace])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "helm {arguments:?}: {}",
            said(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    make_restricted(&client, namespace).await;
    let chart = folder();
    let chart = chart.to_str().unwrap();
    // The CRD of this API server is the tests' own, and so are roles with the names of a release `drover`.
    let usual = ["--set", "crds.enabled=false"];
    let notes = run(&[&["install", "by-helm", chart], usual.as_slice()].concat());
    assert!(
        notes.contains("rollout status deployment/by-helm-drover-controller"),
        "{notes}"
    );
    assert_eq!(pods(&client, namespace, 2).await, 2);

    run(&[
        &["upgrade", "by-helm", chart, "--set", "replicas=3"],
        usual.as_slice(),
    ]
    .concat());
    assert_eq!(pods(&client, namespace, 3).await, 3);

    run(&["uninstall", "by-helm"]);
    let left = Api::<Deployment>::namespaced(client.clone(), namespace);
    assert_eq!(
        left.list(&ListParams::default()).await.unwrap().items.len(),
        0
    );
}

/// The CRDs as Helm writes them are such that the API server takes.
#[tokio::test]
async fn the_charts_crds_are_accepted() {
    let client = control_plane_with_controllers().client().await;
    let objects = rendered(&[]);
    let crds = Api::<CustomResourceDefinition>::all(client);
    let params = PatchParams::apply("helm").force().dry_run();
    for name in ["kafkaconsumers.drover.dev", "deadletterreplays.drover.dev"] {
        let crd = one(&objects, "CustomResourceDefinition", name);
        crds.patch(name, &params, &Patch::Apply(crd)).await.unwrap();
    }
}

/// With all values set, not only the usual ones: a field that no object has, or a value that none takes, is found here.
/// What the Prometheus operator reads is left out, since this API server knows it not.
#[tokio::test]
async fn all_that_values_can_ask_for_is_accepted() {
    let client = control_plane_with_controllers().client().await;
    let params = PatchParams::apply("helm")
        .force()
        .dry_run()
        .validation_strict();
    let mut kinds = BTreeSet::new();
    for namespaces in ["[]", r#"["all-values-shop"]"#] {
        for mut object in rendered_with_all_set(namespaces) {
            if object["apiVersion"] == "monitoring.coreos.com/v1" {
                continue;
            }
            if object["kind"] == "Pod" {
                // A pod is refused while its account is not there; a template of one is not.
                let spec = object["spec"].take();
                object.as_object_mut().unwrap().remove("spec");
                object["kind"] = "PodTemplate".into();
                object["template"] =
                    json!({ "metadata": { "labels": { "a": "b" } }, "spec": spec });
            }
            let object: DynamicObject = serde_json::from_value(object).unwrap();
            let types = object.types.clone().unwrap();
            let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
            let api: Api<DynamicObject> = match &object.metadata.namespace {
                Some(namespace) => {
                    make(&client, namespace).await;
                    Api::namespaced_with(client.clone(), namespace, &kind)
                }
                None => Api::all_with(client.clone(), &kind),
            };
            let name = object.name_any();
            let answer = api.patch(&name, &params, &Patch::Apply(&object)).await;
            answer.unwrap_or_else(|error| panic!("{} {name}: {error}", types.kind));
            kinds.insert(types.kind);
        }
    }
    for kind in [
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Deployment",
        "Role",
        "ClusterRole",
    ] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
}

/// The namespace, if it is not there yet.
async fn make(client: &Client, name: &str) {
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    let namespaces = Api::<Namespace>::all(client.clone());
    let params = PatchParams::apply("all-values").force();
    let made = namespaces
        .patch(name, &params, &Patch::Apply(&namespace))
        .await;
    made.unwrap();
}

async fn make_restricted(client: &Client, name: &str) {
    let label = (
        "pod-security.kubernetes.io/enforce".to_owned(),
        "restricted".to_owned(),
    );
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some([label].into()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
}

/// Waits for so many pods; how many there are then.
async fn pods(client: &Client, namespace: &str, wanted: usize) -> usize {
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    for _ in 0..600 {
        let found = pods.list(&ListParams::default()).await.unwrap().items.len();
        if found == wanted {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    pods.list(&ListParams::default()).await.unwrap().items.len()
}
