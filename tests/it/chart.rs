//! The Helm chart, by real Helm: what it renders, what it refuses, and that an API server takes it. Here is Helm itself.

mod each_value;
mod install;
mod namespaces;
mod render;
mod user_roles;
mod values;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use drover::yaml;
use serde_json::Value;

use crate::support::control_plane::ControlPlane;

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
