//! The Helm chart, by real Helm: what it renders, what it refuses, and that an API server takes it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use drover::yaml;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::control_plane::{ControlPlane, control_plane_with_controllers};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where Helm is; built at the first call, minutes the first time.
fn helm() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let found = Command::new(ControlPlane::script())
            .args(["program", "helm"])
            .output()
            .unwrap();
        assert!(found.status.success(), "{}", said(&found));
        String::from_utf8(found.stdout).unwrap().trim().into()
    })
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn template(options: &[&str]) -> Output {
    Command::new(helm())
        .args(["template", "drover", "--namespace", "drover-system"])
        .arg(root().join("charts/drover"))
        .args(options)
        .output()
        .unwrap()
}

fn objects(text: &str) -> Vec<Value> {
    let documents = yaml::documents(text).into_iter();
    documents.map(|document| document.value.unwrap()).collect()
}

pub fn rendered(options: &[&str]) -> Vec<Value> {
    let output = template(options);
    assert!(output.status.success(), "{}", said(&output));
    objects(std::str::from_utf8(&output.stdout).unwrap())
}

/// What Helm says to options that it refuses.
pub fn refused(options: &[&str]) -> String {
    let output = template(options);
    assert!(!output.status.success(), "{options:?}");
    said(&output)
}

pub fn one<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects
        .iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

pub fn has(objects: &[Value], kind: &str) -> bool {
    objects.iter().any(|object| object["kind"] == kind)
}

fn plain() -> Vec<Value> {
    objects(&std::fs::read_to_string(root().join("deploy/controller.yaml")).unwrap())
}

#[test]
fn the_chart_installs_what_the_plain_manifests_install() {
    let (chart, plain) = (rendered(&[]), plain());
    let name = "drover-controller";
    let rules = |objects: &[Value], kind, name| one(objects, kind, name)["rules"].clone();
    assert_eq!(
        rules(&chart, "ClusterRole", name),
        rules(&plain, "ClusterRole", name)
    );
    assert_eq!(
        rules(&chart, "Role", "drover-controller-lease"),
        rules(&plain, "Role", name)
    );
    let pod =
        |objects: &[Value]| one(objects, "Deployment", name)["spec"]["template"]["spec"].clone();
    let (chart, plain) = (pod(&chart), pod(&plain));
    for field in [
        "securityContext",
        "serviceAccountName",
        "terminationGracePeriodSeconds",
    ] {
        assert_eq!(chart[field], plain[field], "{field}");
    }
    let (chart, plain) = (&chart["containers"][0], &plain["containers"][0]);
    for field in [
        "securityContext",
        "livenessProbe",
        "readinessProbe",
        "resources",
        "ports",
    ] {
        assert_eq!(chart[field], plain[field], "{field}");
    }
    for variable in plain["env"].as_array().unwrap() {
        let named = |other: &&Value| other["name"] == variable["name"];
        assert!(
            chart["env"].as_array().unwrap().iter().any(|v| named(&v)),
            "{variable}"
        );
    }
}

#[test]
fn a_value_that_the_chart_does_not_know_is_refused_by_name() {
    for (option, what) in [
        ("replica=3", "replica"),
        ("controller.image.repo=x", "repo"),
        ("crds.enable=false", "enable"),
        ("worker.image.pullPolicy=Sometimes", "pullPolicy"),
        ("controller.image.digest=sha256:1", "digest"),
        ("monitoring.podMonitors.interval=fast", "interval"),
    ] {
        let output = template(&["--set", option]);
        assert!(!output.status.success(), "{option}");
        assert!(said(&output).contains(what), "{option}: {}", said(&output));
    }
    // It is not in the schema: a name is missing.
    let output = template(&["--set", "serviceAccount.create=false"]);
    assert!(
        said(&output).contains("serviceAccount.name"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_crd_comes_with_the_chart_and_outlives_it_unless_told_otherwise() {
    let name = "kafkaconsumers.drover.dev";
    let kind = "CustomResourceDefinition";
    let crd = |options: &[&str]| one(&rendered(options), kind, name).clone();
    let kept = crd(&[]);
    // With its types: Helm writes 1 for 1.0.
    let written: CustomResourceDefinition = serde_json::from_value(kept.clone()).unwrap();
    assert!(
        written.spec == drover::api::crd().spec,
        "the CRD is another one"
    );
    assert_eq!(
        kept["metadata"]["annotations"]["helm.sh/resource-policy"],
        "keep"
    );
    assert_eq!(
        crd(&["--set", "crds.keep=false"])["metadata"]["annotations"],
        Value::Null
    );
    assert!(!has(&rendered(&["--set", "crds.enabled=false"]), kind));
}

#[test]
fn for_one_namespace_there_are_no_rights_beyond_it() {
    let chart = rendered(&["--set", "namespace=shop,rbac.userRoles=false"]);
    assert!(!has(&chart, "ClusterRole") && !has(&chart, "ClusterRoleBinding"));
    let role = one(&chart, "Role", "drover-controller");
    assert_eq!(role["metadata"]["namespace"], "shop");
    let deployment = one(&chart, "Deployment", "drover-controller");
    let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let wanted = json!({"name": "DROVER_NAMESPACE", "value": "shop"});
    assert!(env.as_array().unwrap().contains(&wanted), "{env}");
}

#[test]
fn what_is_asked_for_is_there_and_what_is_not_is_not() {
    let usual = rendered(&[]);
    assert!(has(&usual, "PodDisruptionBudget") && has(&usual, "ServiceAccount"));
    assert!(!has(&usual, "NetworkPolicy") && !has(&usual, "PodMonitor"));
    assert!(!has(
        &rendered(&["--set", "replicas=1"]),
        "PodDisruptionBudget"
    ));
    let digest = format!("sha256:{}", "a".repeat(64));
    let image = format!("worker.image.digest={digest},controller.image.tag=v9");
    let options = [
        "--set",
        &image,
        "--set",
        "networkPolicy.enabled=true,monitoring.podMonitors.enabled=true",
        "--set",
        "imagePullSecrets={a,b},controller.priorityClassName=high",
        "--set-json",
        r#"controller.extraEnv=[{"name":"HTTPS_PROXY","value":"http://proxy:1"}]"#,
        "--set-json",
        r#"controller.extraVolumes=[{"name":"ca","emptyDir":{}}]"#,
        "--set-json",
        r#"controller.extraVolumeMounts=[{"name":"ca","mountPath":"/ca"}]"#,
    ];
    let chart = rendered(&options);
    assert!(has(&chart, "NetworkPolicy") && has(&chart, "PodMonitor"));
    let pod = &one(&chart, "Deployment", "drover-controller")["spec"]["template"]["spec"];
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(
        pod["imagePullSecrets"],
        json!([{"name": "a"}, {"name": "b"}])
    );
    assert_eq!(pod["volumes"][0]["name"], "ca");
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "drover.local/drover-controller:v9");
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/ca");
    let env = container["env"].as_array().unwrap();
    let value = |name: &str| {
        env.iter()
            .find(|v| v["name"] == name)
            .map(|v| v["value"].clone())
    };
    assert_eq!(
        value("DROVER_WORKER_IMAGE"),
        Some(json!(format!("drover.local/drover-worker@{digest}")))
    );
    assert_eq!(value("HTTPS_PROXY"), Some(json!("http://proxy:1")));
}

#[test]
fn every_value_is_explained() {
    let text = std::fs::read_to_string(root().join("charts/drover/values.yaml")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let is_value = |line: &str| line.contains(": ") && !line.trim_start().starts_with('#');
    for (index, line) in lines.iter().enumerate() {
        // `resources` is explained by Kubernetes, line by line.
        let inside = ["requests:", "limits:"]
            .iter()
            .any(|name| line.contains(name));
        if is_value(line) && !inside {
            let before = index.checked_sub(1).map_or("", |before| lines[before]);
            assert!(before.trim_start().starts_with('#'), "{line}");
        }
    }
}

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
    let chart = root().join("charts/drover");
    let chart = chart.to_str().unwrap();
    // The CRD of this API server is the tests' own.
    let usual = ["--set", "crds.enabled=false"];
    let notes = run(&[&["install", "drover", chart], usual.as_slice()].concat());
    assert!(
        notes.contains("rollout status deployment/drover-controller"),
        "{notes}"
    );
    assert_eq!(pods(&client, namespace, 2).await, 2);

    run(&[
        &["upgrade", "drover", chart, "--set", "replicas=3"],
        usual.as_slice(),
    ]
    .concat());
    assert_eq!(pods(&client, namespace, 3).await, 3);

    run(&["uninstall", "drover"]);
    let left = Api::<Deployment>::namespaced(client.clone(), namespace);
    assert_eq!(
        left.list(&ListParams::default()).await.unwrap().items.len(),
        0
    );
}

/// The CRD as Helm writes it is one that the API server takes.
#[tokio::test]
async fn the_charts_crd_is_accepted() {
    let client = control_plane_with_controllers().client().await;
    let objects = rendered(&[]);
    let crd = one(
        &objects,
        "CustomResourceDefinition",
        "kafkaconsumers.drover.dev",
    );
    let crds = Api::<CustomResourceDefinition>::all(client);
    let params = PatchParams::apply("helm").force().dry_run();
    crds.patch("kafkaconsumers.drover.dev", &params, &Patch::Apply(crd))
        .await
        .unwrap();
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
