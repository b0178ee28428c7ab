//! What people ask the command line about fleets, as a program, against a real API server and a real
//! broker: lag, explain, pause, resume, doctor, render, version, logs, completion.

mod doctor;
mod lag;
mod malformed;
mod many;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use drover::api::KafkaConsumer;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::consumers::{exec, http_port, http_url};
use crate::support::control_plane::control_plane;

fn drover(kubeconfig: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
    command
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env_remove("DROVER_BOOTSTRAP")
        .env_remove("DROVER_WORKER_IMAGE")
        .stdin(Stdio::null());
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn failed(output: &Output, code: i32) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// A namespace of the test's own.
struct Stage {
    client: Client,
    namespace: String,
    kubeconfig: PathBuf,
}

impl Stage {
    async fn new() -> Self {
        let client = control_plane().client().await;
        let namespace = control_plane().namespace(&client).await;
        Self {
            client,
            namespace,
            kubeconfig: control_plane().kubeconfig(),
        }
    }

    fn api(&self) -> Api<KafkaConsumer> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn create(&self, name: &str, change: impl FnOnce(&mut Value)) -> KafkaConsumer {
        let mut document = http_url();
        document["metadata"] = json!({ "name": name, "labels": { "team": "shop" } });
        change(&mut document);
        let consumer = serde_json::from_value(document).unwrap();
        self.api()
            .create(&PostParams::default(), &consumer)
            .await
            .unwrap()
    }

    async fn tell(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        let (api, params) = (self.api(), PatchParams::default());
        let patched = api.patch_status(name, &params, &patch);
        patched.await.unwrap();
    }

    fn drover(&self, arguments: &[&str]) -> Command {
        let mut command = drover(&self.kubeconfig, arguments);
        command.args(["-n", &self.namespace]);
        command
    }

    async fn is_paused(&self, name: &str) -> bool {
        self.api().get(name).await.unwrap().spec.paused
    }
}

/// The administrator's kubeconfig, for somebody who may do nothing.
fn nobody(folder: &Path) -> PathBuf {
    somebody(folder, "nobody")
}

/// The same for a user of this name.
fn somebody(folder: &Path, user_name: &str) -> PathBuf {
    let mut kubeconfig = Kubeconfig::read_from(control_plane().kubeconfig()).unwrap();
    for user in &mut kubeconfig.auth_infos {
        user.auth_info.as_mut().unwrap().impersonate = Some(user_name.to_owned());
    }
    let file = folder.join(user_name);
    std::fs::write(&file, serde_json::to_string(&kubeconfig).unwrap()).unwrap();
    file
}

#[tokio::test]
async fn fleets_are_paused_and_resumed_by_name_and_by_labels() {
    let stage = Stage::new().await;
    stage.create("orders", |_| {}).await;
    stage.create("refunds", |_| {}).await;
    let said_so = said(&mut stage.drover(&["pause", "orders"]));
    assert!(said_so.starts_with("orders paused: "), "{said_so}");
    assert!(stage.is_paused("orders").await && !stage.is_paused("refunds").await);
    let both = said(&mut stage.drover(&["pause", "-l", "team=shop"]));
    assert!(
        both.contains("orders is paused already") && both.contains("refunds paused"),
        "{both}"
    );
    assert!(stage.is_paused("refunds").await);
    // As `-o name` and kubectl write it.
    let one = "kafkaconsumer.drover.dev/orders";
    said(&mut stage.drover(&["resume", one, "refunds"]));
    assert!(!stage.is_paused("orders").await && !stage.is_paused("refunds").await);

    // Nothing is changed unless all of them are there.
    let missing = stage
        .drover(&["pause", "orders", "missing"])
        .output()
        .unwrap();
    assert!(failed(&missing, 2).contains("no KafkaConsumer missing in namespace"));
    assert!(!stage.is_paused("orders").await);
    let nobodys = stage
        .drover(&["pause", "-l", "team=none"])
        .output()
        .unwrap();
    assert!(failed(&nobodys, 2).contains("has the labels team=none"));
}

#[tokio::test]
async fn a_decision_is_explained_with_numbers_bounds_and_changes() {
    let stage = Stage::new().await;
    let created = stage.create("orders", |_| {}).await;
    let nothing = said(&mut stage.drover(&["explain", "orders"]));
    assert!(nothing.contains("no status yet"), "{nothing}");
    stage
        .tell(
            "orders",
            json!({
                "lag": 12345, "scaling": { "wanted": 6, "reasons": ["12,345 records wait"], "capacityPerPod": 500.0 },
            }),
        )
        .await;
    let events: Api<k8s_openapi::api::events::v1::Event> =
        Api::namespaced(stage.client.clone(), &stage.namespace);
    let event = serde_json::from_value(json!({
        "metadata": { "generateName": "orders-" },
        "eventTime": "2026-11-01T00:00:00.000000Z",
        "reportingController": "drover.dev/controller", "reportingInstance": "test",
        "type": "Normal", "reason": "Scaled", "action": "Scale2To6", "note": "from 2 to 6: much waits",
        "regarding": {
            "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer", "name": "orders",
            "namespace": stage.namespace, "uid": created.metadata.uid,
        },
    }))
    .unwrap();
    events.create(&PostParams::default(), &event).await.unwrap();
    let text = said(&mut stage.drover(&["explain", "orders"]));
    for words in [
        "6 pods wanted",
        "12,345 records wait",
        "500/s",
        "ago: from 2 to 6: much waits",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let yaml = said(&mut stage.drover(&["explain", "orders", "-o", "yaml"]));
    let yaml = drover::yaml::documents(&yaml).remove(0).value.unwrap();
    assert_eq!(yaml["scaling"]["wanted"], 6, "{yaml}");
    assert_eq!(
        yaml["changes"][0]["note"], "from 2 to 6: much waits",
        "{yaml}"
    );
}

#[tokio::test]
async fn children_are_rendered_as_the_api_server_takes_them() {
    let stage = Stage::new().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("orders.yaml");
    let mut document = http_url();
    document["metadata"]["namespace"] = json!(stage.namespace);
    std::fs::write(&file, document.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let text = said(&mut drover(
        Path::new("/nonexistent"),
        &["render", file, "--worker-image", "worker:1"],
    ));
    let documents = drover::yaml::documents(&text);
    let kinds: Vec<String> = documents
        .iter()
        .map(|document| {
            document.value.as_ref().unwrap()["kind"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        kinds,
        ["ServiceAccount", "PodDisruptionBudget", "Deployment"]
    );
    let mut deployment = documents[2].value.clone().unwrap();
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        "worker:1"
    );
    // Its owner is only a file.
    deployment["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("ownerReferences");
    let api: Api<k8s_openapi::api::apps::v1::Deployment> =
        Api::namespaced(stage.client.clone(), &stage.namespace);
    let params = PatchParams::apply("test").dry_run();
    let applied = api
        .patch("user-events", &params, &Patch::Apply(deployment))
        .await;
    applied.unwrap();

    // As `kubectl get -o json` gives it.
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [document] });
    std::fs::write(file, list.to_string()).unwrap();
    let of_list = ["render", file, "--worker-image", "worker:1"];
    let of_list = said(&mut drover(Path::new("/nonexistent"), &of_list));
    assert_eq!(of_list, text);

    document["spec"]["topics"] = json!([]);
    std::fs::write(file, document.to_string()).unwrap();
    let wrong = drover(Path::new("/nonexistent"), &["render", file])
        .output()
        .unwrap();
    assert!(failed(&wrong, 2).contains("drover validate"));
}

/// With `handler.exec` the worker's container has the user's image.
#[tokio::test]
async fn the_image_of_workers_is_drovers_whatever_runs_beside_it() {
    let stage = Stage::new().await;
    let deployments: Api<k8s_openapi::api::apps::v1::Deployment> =
        Api::namespaced(stage.client.clone(), &stage.namespace);
    let image = format!("worker:{}", stage.namespace);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("fleet.yaml");
    for mut document in [http_url(), exec(), http_port()] {
        document["metadata"]["namespace"] = json!(stage.namespace);
        std::fs::write(&file, document.to_string()).unwrap();
        let render = ["render", file.to_str().unwrap(), "--worker-image", &image];
        let text = said(&mut drover(Path::new("/nonexistent"), &render));
        let mut documents = drover::yaml::documents(&text).into_iter();
        let mut rendered = documents
            .find_map(|document| {
                document
                    .value
                    .ok()
                    .filter(|value| value["kind"] == "Deployment")
            })
            .unwrap();
        // Its owner is only a file.
        let metadata = rendered["metadata"].as_object_mut().unwrap();
        metadata.remove("ownerReferences");
        let deployment = serde_json::from_value(rendered).unwrap();
        let params = PostParams::default();
        deployments.create(&params, &deployment).await.unwrap();
    }
    let json = said(&mut stage.drover(&["version", "-o", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["workers"][&image], 3, "{json}");
    assert_eq!(json["workers"]["shop/web:1"], Value::Null, "{json}");
}

#[tokio::test]
async fn versions_logs_and_completion_say_what_there_is() {
    let stage = Stage::new().await;
    let client = said(&mut drover(
        Path::new("/nonexistent"),
        &["version", "--client"],
    ));
    assert_eq!(client, format!("client  {}\n", env!("CARGO_PKG_VERSION")));
    let all = said(&mut stage.drover(&["version", "-o", "json"]));
    let all: Value = serde_json::from_str(&all).unwrap();
    assert!(
        all["workers"].is_object() && all["workers"].get("error").is_none(),
        "{all}"
    );
    stage.create("orders", |_| {}).await;
    let none = stage.drover(&["logs", "orders"]).output().unwrap();
    let none = failed(&none, 2);
    let hint = format!(
        "orders has no pods; see drover status orders -n {}",
        stage.namespace
    );
    assert!(none.contains(&hint), "{none}");
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&mut drover(
            Path::new("/nonexistent"),
            &["completion", shell],
        ));
        assert!(
            script.contains("drover") && script.contains("replay"),
            "{shell}"
        );
    }
}
