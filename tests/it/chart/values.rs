//! What values may be: known by name, written as texts, used and explained.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{folder, helm, objects, release, said, template};

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

/// As in a file whose entries are all commented out. Helm takes such a name for one that is to be forgotten.
#[test]
fn a_value_with_nothing_behind_it_is_refused_by_name_or_as_good_as_empty() {
    let all = "monitoring.podMonitors.enabled=true,monitoring.rules.enabled=true,monitoring.dashboards.enabled=true,networkPolicy.enabled=true,test.kafka.bootstrapServers=kafka:9092";
    let mut names: BTreeSet<String> = names_of_values().into_iter().collect();
    for name in names.clone() {
        let parents = name.match_indices('.').map(|(at, _)| name[..at].to_owned());
        names.extend(parents);
    }
    for name in names {
        let output = template(
            "drover-system",
            &["--set", all, "--set", &format!("{name}=null")],
        );
        let last = name.rsplit('.').next().unwrap();
        assert!(
            output.status.success()
                || said(&output).contains(&format!("missing property '{last}'")),
            "{name}: {}",
            said(&output)
        );
    }
    // It would be all there are.
    let said = said(&template("drover-system", &["--set", "namespaces=null"]));
    assert!(said.contains("missing property 'namespaces'"), "{said}");
}

#[test]
fn a_version_that_says_what_it_was_built_from_is_a_label_and_a_tag_without_the_plus() {
    let into = tempfile::tempdir().unwrap();
    let version = "0.1.1+git.abc";
    let packaged = Command::new(helm())
        .args(["package", "--version", version, "--app-version", version])
        .arg("--destination")
        .arg(into.path())
        .arg(folder())
        .output()
        .unwrap();
    assert!(packaged.status.success(), "{}", said(&packaged));
    let output = Command::new(helm())
        .args(["template", "drover"])
        .arg(into.path().join(format!("drover-{version}.tgz")))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    for object in objects(std::str::from_utf8(&output.stdout).unwrap()) {
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["helm.sh/chart"], "drover-0.1.1_git.abc");
        assert_eq!(labels["app.kubernetes.io/version"], "0.1.1_git.abc");
        if object["kind"] == "Deployment" {
            let pod = &object["spec"]["template"]["spec"];
            let image = &pod["containers"][0]["image"];
            assert_eq!(image, "drover.local/drover-controller:0.1.1_git.abc");
        }
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

/// The names of all values.
pub(super) fn names_of_values() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(folder().join(path)).unwrap();
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
    names
}

#[test]
fn every_value_is_in_the_schema_used_by_a_template_and_in_the_table() {
    let templates = texts_in(&folder().join("templates"));
    let table = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for name in names_of_values() {
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
