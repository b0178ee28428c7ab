//! Where there is nothing: it is said, in the form that was asked for, and is an error only where something was to be changed.

use std::process::Stdio;

use serde_json::{Value, json};

use super::{api_server, drover, fails, kubeconfig, said};
use crate::lag_admin::mock;

#[test]
fn nothing_is_said_to_be_nothing() {
    let mock = mock(&[("dead", 3)]);
    let servers = mock.bootstrap_servers();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, says) in [
        (
            &["dlq", "show", "--topic", "dead"][..],
            "No dead letters in dead.",
        ),
        (
            &["dlq", "show", "--topic", "dead", "--reason", "Rejected"],
            "No such dead letters in dead.",
        ),
        (
            &["produce", "--topic", "dead", "--file", file],
            "0 records produced to dead",
        ),
        // From standard input, which is empty, too.
        (
            &["produce", "--topic", "dead"],
            "0 records produced to dead",
        ),
        (
            &["produce", "--topic", "dead", "--json-lines", "--file", file],
            "0 records produced to dead",
        ),
    ] {
        let mut command = drover(arguments);
        command.args(["--bootstrap", &servers, "--timeout", "90s"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let (out, error) = said(&output);
        let what = format!("{arguments:?}: {out}{error}");
        assert_eq!(
            (output.status.code(), error.as_str()),
            (Some(0), ""),
            "{what}"
        );
        assert!(out.starts_with(says) && out.lines().count() == 1, "{what}");
        let output = command.args(["-o", "json"]).output().unwrap();
        let (out, error) = said(&output);
        assert_eq!(
            (output.status.code(), error.as_str()),
            (Some(0), ""),
            "{out}"
        );
        let value: Value = serde_json::from_str(&out).unwrap();
        let nothing = value["letters"] == json!([]) || value["produced"] == 0;
        assert!(nothing, "{arguments:?}: {out}");
    }
}

#[test]
fn labels_that_nobody_has_change_nothing_and_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let empty = json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumerList", "metadata": {}, "items": [],
    });
    let kubeconfig = kubeconfig(folder.path(), api_server(200, empty));
    for verb in ["pause", "resume"] {
        let mut command = drover(&[verb, "-l", "team=none"]);
        let words = "no KafkaConsumer in namespace shop has the labels team=none";
        fails(command.env("KUBECONFIG", &kubeconfig), &[words]);
    }
}
