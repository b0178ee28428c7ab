//! The chart's life on a cluster of its own: an older version, an upgrade, an uninstall, and again.
//! KafkaConsumers are there from the first to the last.

use std::path::Path;
use std::process::Command;

use drover::yaml;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::chart;
use crate::support::control_plane::{ControlPlane, empty_control_plane};
use crate::support::operator::wait_for;

const CRD: &str = "kafkaconsumers.drover.dev";
/// What the older version does not have yet.
const NEW_FIELD: &str = "idleTimeToZero";

/// Removes the field, and every rule that speaks of it.
fn without_new_field(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove(NEW_FIELD);
            fields.values_mut().for_each(without_new_field);
        }
        Value::Array(elements) => {
            let speaks = |rule: &Value| {
                let rule = rule["rule"].as_str();
                rule.is_some_and(|text| text.contains(NEW_FIELD))
            };
            elements.retain(|element| !speaks(element));
            elements.iter_mut().for_each(without_new_field);
        }
        _ => {}
    }
}

/// A copy of the chart as it was before the field.
fn write_older_chart(into: &Path) {
    let copied = Command::new("cp")
        .arg("-r")
        .arg(chart::folder().join("."))
        .arg(into)
        .status();
    assert!(copied.unwrap().success());
    let crd = into.join("files/kafkaconsumers.drover.dev.yaml");
    let text = std::fs::read_to_string(&crd).unwrap();
    let mut value = yaml::documents(&text).remove(0).value.unwrap();
    without_new_field(&mut value);
    let older = value.to_string();
    assert!(!older.contains(NEW_FIELD));
    std::fs::write(&crd, older).unwrap();
    let about = into.join("Chart.yaml");
    let text = std::fs::read_to_string(&about).unwrap();
    std::fs::write(&about, text.replace("version: 0.1.0", "version: 0.0.9")).unwrap();
}

struct Helm<'a>(&'a ControlPlane);

impl Helm<'_> {
    fn run(&self, arguments: &[&str]) {
        let output = Command::new(chart::helm())
            .env("KUBECONFIG", self.0.kubeconfig())
            .args(["--namespace", "drover-system"])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {arguments:?}: {said}");
    }
}

fn consumers(client: &Client) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<drover::api::KafkaConsumer>(&());
    Api::namespaced_with(client.clone(), "default", &resource)
}

fn field(consumer: &DynamicObject) -> Option<&str> {
    consumer.data["spec"]["scaling"][NEW_FIELD].as_str()
}

/// Sets the field until it stays: the API server takes up a changed CRD in its own time.
async fn set_field(client: &Client, value: &str) {
    let patch = Patch::Merge(json!({"spec": {"scaling": {NEW_FIELD: value}}}));
    wait_for("the new field to be kept", async || {
        let consumers = consumers(client);
        let params = PatchParams::default();
        let patched = consumers.patch("fleet", &params, &patch).await;
        let patched = patched.map_err(|error| error.to_string())?;
        if field(&patched) == Some(value) {
            Ok(())
        } else {
            Err(patched.data["spec"]["scaling"].to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_and_fields_outlive_an_upgrade_an_uninstall_and_another_install() {
    let cluster = empty_control_plane("drover-it-chart");
    let client = cluster.client().await;
    let helm = Helm(&cluster);
    let older = tempfile::tempdir().unwrap();
    write_older_chart(older.path());
    let older = older.path().to_str().unwrap();
    let newer = chart::folder();
    let newer = newer.to_str().unwrap();

    helm.run(&["install", "drover", older, "--create-namespace"]);
    let consumer: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": "fleet" },
        "spec": {
            "kafka": { "bootstrapServers": "kafka:9092" },
            "topics": ["events"],
            "handler": { "http": { "url": "http://users/kafka" } },
            "scaling": { "minReplicas": 0, NEW_FIELD: "7m" },
        },
    }))
    .unwrap();
    let created = wait_for("KafkaConsumers to be served", async || {
        let created = consumers(&client)
            .create(&PostParams::default(), &consumer)
            .await;
        created.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(
        field(&created),
        None,
        "the older version has the field already"
    );

    helm.run(&["upgrade", "drover", newer]);
    set_field(&client, "8m").await;
    let upgraded = consumers(&client).get("fleet").await.unwrap();
    assert_eq!(upgraded.uid(), created.uid());
    let topics = |consumer: &DynamicObject| consumer.data["spec"]["topics"].clone();
    assert_eq!(topics(&upgraded), topics(&created));

    helm.run(&["uninstall", "drover"]);
    let deployments = Api::<Deployment>::namespaced(client.clone(), "drover-system");
    let controller = deployments.get_opt("drover-controller").await.unwrap();
    assert!(controller.is_none_or(|left| left.metadata.deletion_timestamp.is_some()));
    let left = consumers(&client).get("fleet").await.unwrap();
    assert_eq!((left.uid(), field(&left)), (created.uid(), Some("8m")));

    helm.run(&["install", "drover", newer]);
    let again = consumers(&client).get("fleet").await.unwrap();
    assert_eq!((again.uid(), field(&again)), (created.uid(), Some("8m")));

    // Who wants it gone says so.
    helm.run(&["upgrade", "drover", newer, "--set", "crds.keep=false"]);
    helm.run(&["uninstall", "drover"]);
    let crds = Api::<CustomResourceDefinition>::all(client.clone());
    wait_for("the CRD to be gone", async || {
        match crds.get_opt(CRD).await.map_err(|error| error.to_string())? {
            None => Ok(()),
            Some(crd) => Err(format!("{:?}", crd.metadata.deletion_timestamp)),
        }
    })
    .await;
}
