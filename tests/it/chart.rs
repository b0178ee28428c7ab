//! The Helm chart, by real Helm: what it renders, what it refuses, and that an API server takes it.

mod install;

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

/// Where the chart is.
pub fn folder() -> PathBuf {
    root().join("charts/drover")
}

/// Where Helm is; built at the first call, minutes the first time.
pub fn helm() -> &'static Path {
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

fn template(namespace: &str, options: &[&str]) -> Output {
    release("drover", namespace, options)
}

fn release(name: &str, namespace: &str, options: &[&str]) -> Output {
    Command::new(helm())
        .args(["template", name, "--namespace", namespace])
        .arg(folder())
        .args(options)
        .output()
        .unwrap()
}

fn objects(text: &str) -> Vec<Value> {
    let documents = yaml::documents(text).into_iter();
    documents.map(|document| document.value.unwrap()).collect()
}

pub fn rendered(options: &[&str]) -> Vec<Value> {
    rendered_in("drover-system", options)
}

/// What the chart makes of a release in `namespace`.
pub fn rendered_in(namespace: &str, options: &[&str]) -> Vec<Value> {
    let output = template(namespace, options);
    assert!(output.status.success(), "{}", said(&output));
    objects(std::str::from_utf8(&output.stdout).unwrap())
}

/// What Helm says to options that it refuses.
pub fn refused(options: &[&str]) -> String {
    let output = template("drover-system", options);
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
fn the_hosts_that_tokens_may_come_from_reach_the_controller() {
    let hosts = |options: &[&str]| {
        let objects = rendered(options);
        let pod = &one(&objects, "Deployment", "drover-controller")["spec"]["template"]["spec"];
        let variables = pod["containers"][0]["env"].as_array().unwrap().iter();
        let mut hosts = variables.filter(|variable| variable["name"] == "DROVER_TOKEN_HOSTS");
        hosts.next().map(|variable| variable["value"].clone())
    };
    assert_eq!(hosts(&[]), None);
    let two = "controller.tokenHosts={idp.example.com,10.0.0.7}";
    assert_eq!(
        hosts(&["--set", two]),
        Some("idp.example.com,10.0.0.7".into())
    );
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
        ("namespaces={Shop}", "namespaces"),
        ("namespace=shop", "namespace"),
        ("controller.resources.limit.memory=1Gi", "limit"),
        ("controller.resources.limits.memroy=1Gi", "memroy"),
        ("controller.tolerations[0].efect=NoSchedule", "efect"),
        (
            "controller.extraEnv[0].name=A,controller.extraEnv[0].vale=b",
            "vale",
        ),
        (
            "controller.extraVolumes[0].name=ca,controller.extraVolumes[0].secrets.secretName=x",
            "secrets",
        ),
        (
            "controller.extraVolumeMounts[0].name=ca,controller.extraVolumeMounts[0].path=/ca",
            "path",
        ),
        ("controller.affinity.nodeAfinity.x=y", "nodeAfinity"),
        ("controller.leaseSeconds=1", "leaseSeconds"),
        (
            "controller.tokenHosts={https://idp.example.com}",
            "tokenHosts",
        ),
        (
            "networkPolicy.metricsFrom[0].podSelecter.matchLabels.a=b",
            "podSelecter",
        ),
    ] {
        let output = template("drover-system", &["--set", option]);
        assert!(!output.status.success(), "{option}");
        assert!(said(&output).contains(what), "{option}: {}", said(&output));
    }
    // It is not in the schema: a name is missing.
    let output = template("drover-system", &["--set", "serviceAccount.create=false"]);
    assert!(
        said(&output).contains("serviceAccount.name"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_crd_comes_with_the_chart_and_outlives_it_unless_told_otherwise() {
    let kind = "CustomResourceDefinition";
    for ours in [drover::api::crd(), drover::api::replay_crd()] {
        let name = ours.metadata.name.clone().unwrap();
        let crd = |options: &[&str]| one(&rendered(options), kind, &name).clone();
        let kept = crd(&[]);
        // With its types: Helm writes 1 for 1.0.
        let written: CustomResourceDefinition = serde_json::from_value(kept.clone()).unwrap();
        assert!(written.spec == ours.spec, "the CRD {name} is another one");
        assert_eq!(
            kept["metadata"]["annotations"]["helm.sh/resource-policy"],
            "keep"
        );
        assert_eq!(
            crd(&["--set", "crds.keep=false"])["metadata"]["annotations"],
            Value::Null
        );
    }
    assert!(!has(&rendered(&["--set", "crds.enabled=false"]), kind));
}

#[test]
fn for_a_list_of_namespaces_there_are_no_rights_beyond_them() {
    let chart = rendered(&["--set", "namespaces={shop,billing}"]);
    assert!(!has(&chart, "ClusterRole") && !has(&chart, "ClusterRoleBinding"));
    let everywhere = rendered(&[]);
    let rules = &one(&everywhere, "ClusterRole", "drover-controller")["rules"];
    for kind in ["Role", "RoleBinding"] {
        let name = "drover-controller";
        let mut of_all = chart.iter().filter(|object| object["kind"] == kind);
        for namespace in ["shop", "billing"] {
            let here = of_all.find(|object| {
                object["metadata"]["namespace"] == namespace && object["metadata"]["name"] == name
            });
            let here = here.unwrap_or_else(|| panic!("no {kind} in {namespace}"));
            if kind == "Role" {
                assert_eq!(&here["rules"], rules, "{namespace}");
            } else {
                assert_eq!(here["subjects"][0]["namespace"], "drover-system");
            }
        }
    }
    let users: Vec<_> = chart
        .iter()
        .filter(|object| object["metadata"]["name"] == "drover-controller-edit")
        .map(|object| (&object["kind"], &object["metadata"]["namespace"]))
        .collect();
    assert_eq!(
        users,
        [
            (&json!("Role"), &json!("shop")),
            (&json!("Role"), &json!("billing"))
        ]
    );
    let deployment = one(&chart, "Deployment", "drover-controller");
    let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let wanted = json!({"name": "DROVER_NAMESPACES", "value": "shop,billing"});
    assert!(env.as_array().unwrap().contains(&wanted), "{env}");
}

#[test]
fn network_policies_are_for_the_controller_and_for_workers_where_they_are() {
    let on = "networkPolicy.enabled=true,networkPolicy.workerNamespaces={shop,users}";
    let peers = r#"networkPolicy.metricsFrom=[{"namespaceSelector":{"matchLabels":{"name":"monitoring"}}}]"#;
    let both = [
        "--set",
        on,
        "--set",
        "namespaces={shop}",
        "--set-json",
        peers,
    ];
    let chart = rendered(&both);
    let policies: Vec<_> = chart
        .iter()
        .filter(|object| object["kind"] == "NetworkPolicy")
        .collect();
    let mut found: Vec<_> = policies
        .iter()
        .map(|policy| {
            let meta = &policy["metadata"];
            (
                meta["namespace"].as_str().unwrap(),
                meta["name"].as_str().unwrap(),
            )
        })
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("drover-system", "drover-controller"),
            ("shop", "drover-controller-workers"),
            ("users", "drover-controller-workers"),
        ]
    );
    for policy in policies {
        let ingress = &policy["spec"]["ingress"][0];
        assert_eq!(
            ingress["ports"],
            json!([{"port": "admin", "protocol": "TCP"}])
        );
        assert_eq!(
            ingress["from"][0]["namespaceSelector"]["matchLabels"]["name"],
            "monitoring"
        );
    }
}

#[test]
fn nothing_of_the_self_test_has_a_name_of_the_controllers() {
    for length in [1, 35, 36, 44, 45, 46, 53] {
        let options = [
            "--set-string",
            "test.kafka.bootstrapServers=kafka:9092,namespaces={shop}",
        ];
        let output = release(&"r".repeat(length), "drover-system", &options);
        assert!(output.status.success(), "{}", said(&output));
        let chart = objects(std::str::from_utf8(&output.stdout).unwrap());
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        let (tests, rest): (Vec<_>, Vec<_>) = chart
            .iter()
            .partition(|object| object["metadata"]["annotations"]["helm.sh/hook"] == "test");
        assert!(!tests.is_empty());
        for test in tests {
            assert!(name(test).ends_with("-self-test") && name(test).len() <= 63);
            assert!(!rest.iter().any(|object| name(object) == name(test)));
        }
        let deployment = rest.iter().find(|object| object["kind"] == "Deployment");
        let pod = &deployment.unwrap()["spec"]["template"]["spec"];
        let env = pod["containers"][0]["env"].as_array().unwrap();
        let lease = env
            .iter()
            .find(|env| env["name"] == "DROVER_LEASE")
            .unwrap();
        // By this end `drover doctor` knows it.
        let lease = lease["value"].as_str().unwrap();
        assert!(lease.ends_with("drover-controller") && lease.len() <= 63);
    }
}

#[test]
fn values_that_look_like_numbers_are_texts() {
    let options = [
        "--set-string",
        "test.topic=123,test.kafka.bootstrapServers=kafka:9092",
        "--set-string",
        "namespaces={123,on},imagePullSecrets={1}",
        "--set-string",
        "serviceAccount.name=7,controller.priorityClassName=8",
        "--set-string",
        "networkPolicy.workerNamespaces={no}",
        "--set",
        "networkPolicy.enabled=true",
    ];
    let output = release("123", "456", &options);
    assert!(output.status.success(), "{}", said(&output));
    for object in objects(std::str::from_utf8(&output.stdout).unwrap()) {
        let meta = &object["metadata"];
        assert!(meta["name"].is_string(), "{object}");
        assert!(
            meta["namespace"].is_string() || meta["namespace"].is_null(),
            "{object}"
        );
        let pod = match object["kind"].as_str() {
            Some("Pod") => &object["spec"],
            Some("Deployment") => &object["spec"]["template"]["spec"],
            _ => &Value::Null,
        };
        let values = pod["containers"][0]["env"].as_array().into_iter().flatten();
        for env in values {
            assert!(env["value"].is_string() || env["value"].is_null(), "{env}");
        }
        let secrets = pod["imagePullSecrets"].as_array().into_iter().flatten();
        secrets.for_each(|secret| assert_eq!(secret["name"], "1"));
        for text in [&pod["serviceAccountName"], &pod["priorityClassName"]] {
            assert!(text.is_string() || text.is_null(), "{text}");
        }
        for label in meta["labels"].as_object().into_iter().flatten() {
            assert!(label.1.is_string(), "{label:?}");
        }
        let subjects = object["subjects"].as_array().into_iter().flatten();
        subjects.for_each(|subject| assert!(subject["name"].is_string(), "{subject}"));
    }
}

#[test]
fn labels_may_be_taken_away_or_replaced() {
    let bare = rendered(&[
        "--set-json",
        r#"monitoring.dashboards={"enabled":true,"labels":null}"#,
    ]);
    assert!(has(&bare, "ConfigMap"));
    let replaced = rendered(&[
        "--set-json",
        r#"controller.podLabels={"app.kubernetes.io/instance":"mine","team":"platform"}"#,
        "--set-json",
        r#"monitoring.rules={"enabled":true,"labels":{"app.kubernetes.io/instance":"prometheus"}}"#,
    ]);
    let deployment = one(&replaced, "Deployment", "drover-controller");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let selector = &deployment["spec"]["selector"]["matchLabels"];
    for (name, value) in selector.as_object().unwrap() {
        assert_eq!(&labels[name], value);
    }
    assert_eq!(labels["team"], "platform");
    let rule = one(&replaced, "PrometheusRule", "drover-controller");
    let labels = &rule["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/instance"], "prometheus");
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

/// The names of values and what they are by default, down to what is one value to the schema.
fn leaves(values: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
    let empty = serde_json::Map::new();
    let known = schema["properties"].as_object().unwrap_or(&empty);
    for (name, value) in values.as_object().unwrap_or(&empty) {
        let path = format!("{path}{name}");
        let inner = &known
            .get(name)
            .unwrap_or_else(|| panic!("the schema has no {path}"));
        if inner["properties"].is_object() {
            leaves(value, inner, &format!("{path}."), found);
        } else {
            found.push(path);
        }
    }
    for name in known.keys().filter(|name| *name != "global") {
        assert!(!values[name].is_null(), "values.yaml has no {path}{name}");
    }
}

/// All files of a folder and those in it, one after the other.
fn texts_in(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap();
    let texts = entries.map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts_in(&path)
        } else {
            std::fs::read_to_string(path).unwrap()
        }
    });
    texts.collect()
}

#[test]
fn every_value_is_in_the_schema_used_by_a_template_and_in_the_table() {
    let chart = folder();
    let read = |path: &str| std::fs::read_to_string(chart.join(path)).unwrap();
    let values = objects(&read("values.yaml")).remove(0);
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    // References to what is one value end here; images and monitors have values of their own.
    let mut text = schema.to_string();
    for name in ["image", "monitor"] {
        let reference = json!({"$ref": format!("#/definitions/{name}")}).to_string();
        text = text.replace(&reference, &schema["definitions"][name].to_string());
    }
    let schema = serde_json::from_str(&text);
    let mut names = Vec::new();
    leaves(&values, &schema.unwrap(), "", &mut names);
    assert!(
        names.contains(&"worker.image.digest".to_owned()),
        "{names:?}"
    );

    let templates = texts_in(&chart.join("templates"));
    let table = read("README.md");
    for name in names {
        assert!(
            table.contains(&format!("| `{name}` |")),
            "the table has no {name}"
        );
        let (parent, last) = name.rsplit_once('.').unwrap_or(("", &name));
        let used = match name.split_once(".image.") {
            // `drover.image` looks into it.
            Some((_, inner)) if inner != "pullPolicy" => {
                templates.contains(&format!("$image.{inner}"))
            }
            _ if templates.contains(&format!("with .Values.{parent} }}}}")) => {
                templates.contains(&format!(".{last}"))
            }
            _ => templates.contains(&format!(".Values.{name}")),
        };
        assert!(used, "no template uses {name}");
    }
}
