//! What people ask the command line about fleets, as a program, against a real API server and a real
//! broker: lag, explain, pause, resume, doctor, render, version, logs, completion.

mod malformed;
mod many;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use drover::api::KafkaConsumer;
use drover::report::{Report, Stuck};
use drover::topic::Offset;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::lag_admin::{commit, produce};
use crate::lag_broker::broker;
use crate::support::consumers::http_url;
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
    let mut kubeconfig = Kubeconfig::read_from(control_plane().kubeconfig()).unwrap();
    for user in &mut kubeconfig.auth_infos {
        user.auth_info.as_mut().unwrap().impersonate = Some("nobody".to_owned());
    }
    let file = folder.join("nobody");
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
async fn lag_says_of_each_partition_what_waits_and_what_holds_it_up() {
    let broker = broker();
    let topic = broker.create_topic("cli-lag", 3).await;
    produce(&broker.servers, &topic, &[0, 1], 10);
    let report = Report {
        pod: "orders-1".to_owned(),
        tried: 2,
        ahead: vec![6..7, 8..9],
        stuck: Some(Stuck {
            offset: 4,
            attempts: 2,
            error: "HttpStatus 500".to_owned(),
        }),
        ..Report::default()
    };
    let text = report.encode(Offset(4));
    commit(
        &broker.servers,
        &topic,
        &topic,
        &[(0, 4, &text), (1, 10, "")],
    );
    let group = [
        "lag",
        "--bootstrap",
        &broker.servers,
        "--group",
        &topic,
        "--topic",
        &topic,
    ];
    let nowhere = Path::new("/nonexistent/kubeconfig");
    let json = said(drover(nowhere, &group).args(["-o", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    let [stuck, done, fresh] = [0, 1, 2].map(|number| &json["partitions"][number]);
    // Nobody is in the group: who committed last has it no more.
    assert_eq!(
        (&stuck["lag"], &stuck["owner"], &stuck["attempts"]),
        (&json!(6), &Value::Null, &json!(2))
    );
    assert_eq!(
        (&stuck["finishedAhead"], &stuck["stuck"]["error"]),
        (&json!(2), &json!("HttpStatus 500"))
    );
    assert!(
        stuck["delaySeconds"]
            .as_f64()
            .is_some_and(|delay| delay >= 0.0),
        "{stuck}"
    );
    assert_eq!(
        (&done["lag"], &done["delaySeconds"]),
        (&json!(0), &json!(0.0))
    );
    // Nothing is committed: that is not known to be zero.
    assert_eq!((&fresh["lag"], &json["lag"]), (&Value::Null, &Value::Null));
    let table = said(&mut drover(nowhere, &group));
    assert!(table.contains("4 (2): HttpStatus 500"), "{table}");

    // The same by the KafkaConsumer's name.
    let stage = Stage::new().await;
    stage
        .create("orders", |document| {
            document["spec"]["kafka"]["bootstrapServers"] = json!(broker.servers);
            document["spec"]["topics"] = json!([topic]);
            document["spec"]["groupId"] = json!(topic);
        })
        .await;
    let named = said(&mut stage.drover(&["lag", "orders", "--offsets-only"]));
    assert!(named.contains("4 (2): HttpStatus 500"), "{named}");
    let away = [
        "lag",
        "orders",
        "--bootstrap",
        "127.0.0.1:1",
        "--timeout",
        "1s",
    ];
    let away = stage.drover(&away).output().unwrap();
    assert!(failed(&away, 2).contains("check --bootstrap 127.0.0.1:1"));
    let missing = [
        "lag",
        "--bootstrap",
        &broker.servers,
        "--group",
        "g",
        "--topic",
        "nowhere-at-all",
    ];
    let missing = drover(nowhere, &missing).output().unwrap();
    assert!(failed(&missing, 2).contains("topic nowhere-at-all does not exist"));
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong_first() {
    let broker = broker();
    let topic = broker.create_topic("cli-doctor", 1).await;
    let stage = Stage::new().await;
    let here = ["--controller-namespace", &stage.namespace, "-o", "json"];
    let look = |arguments: &[&str]| {
        let output = stage
            .drover(&[&["doctor"], arguments, &here].concat())
            .output()
            .unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(json["well"] != true)));
        json
    };
    let none = look(&[]);
    assert!(
        none["first"]["says"]
            .as_str()
            .unwrap()
            .contains("no controller has ever led"),
        "{none}"
    );

    // Somebody leads.
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let lease = |renewed: String| {
        serde_json::from_value::<Lease>(json!({
            "metadata": { "name": "drover-controller" },
            "spec": { "holderIdentity": "controller-0", "leaseDurationSeconds": 300, "renewTime": renewed },
        }))
        .unwrap()
    };
    let now = format!("{:.6}", drover::clock::now());
    leases
        .create(&PostParams::default(), &lease(now))
        .await
        .unwrap();
    assert_eq!(look(&[])["well"], true, "{}", look(&[]));

    stage
        .create("orders", |document| {
            document["spec"]["kafka"]["bootstrapServers"] = json!(broker.servers);
            document["spec"]["topics"] = json!([topic]);
            document["spec"]["delivery"] = json!({ "deadLetter": { "topic": "nowhere-at-all" } });
        })
        .await;
    let silent = look(&[]);
    assert!(
        silent["first"]["says"]
            .as_str()
            .unwrap()
            .contains("no status yet"),
        "{silent}"
    );
    stage
        .tell(
            "orders",
            json!({ "observedGeneration": 1, "conditions": [] }),
        )
        .await;
    let dead = look(&["orders"]);
    assert_eq!(
        dead["first"]["what"], "dead-letter topic nowhere-at-all",
        "{dead}"
    );
    let findings = dead["findings"].as_array().unwrap();
    let group = format!("group {}.orders", stage.namespace);
    for well in [
        "API server",
        "CRD",
        "your rights",
        "Kafka from here",
        &format!("topic {topic}"),
        &group,
    ] {
        let found = findings.iter().find(|finding| finding["what"] == *well);
        assert_eq!(found.unwrap()["state"], "Well", "{well}: {dead}");
    }
    let away = look(&["orders", "--bootstrap", "127.0.0.1:1", "--timeout", "1s"]);
    assert_eq!(away["first"]["what"], "Kafka from here", "{away}");
}

#[tokio::test]
async fn who_may_nothing_and_where_nothing_is_installed_is_said() {
    let folder = tempfile::TempDir::new().unwrap();
    let nobody = nobody(folder.path());
    for arguments in [
        &["status"][..],
        &["explain", "orders"],
        &["pause", "orders"],
        &["logs", "orders"],
        &["lag", "orders"],
    ] {
        let error = failed(&drover(&nobody, arguments).output().unwrap(), 2);
        assert!(
            error.contains("refuses: ") && error.contains("nobody"),
            "{error}"
        );
    }
    let doctor = drover(&nobody, &["doctor", "-o", "json"]).output().unwrap();
    let doctor: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    assert_eq!(doctor["first"]["what"], "your rights", "{doctor}");
    let crd = doctor["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["what"] == "CRD");
    assert_eq!(crd.unwrap()["state"], "Unknown", "{doctor}");

    // A server that knows no KafkaConsumers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"404 page not found","reason":"NotFound","code":404}"#;
            let head = format!(
                "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    let bare = folder.path().join("bare");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bare",
        "clusters": [{ "name": "bare", "cluster": { "server": format!("http://{address}") } }],
        "contexts": [{ "name": "bare", "context": { "cluster": "bare", "user": "bare" } }],
        "users": [{ "name": "bare", "user": {} }],
    });
    std::fs::write(&bare, config.to_string()).unwrap();
    let error = failed(&drover(&bare, &["status"]).output().unwrap(), 2);
    assert!(error.contains("drover crd | kubectl apply"), "{error}");
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
        [
            "ConfigMap",
            "ServiceAccount",
            "PodDisruptionBudget",
            "Deployment"
        ]
    );
    let mut deployment = documents[3].value.clone().unwrap();
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
