//! `drover status` as a program, against a real API server.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use drover::api::KafkaConsumer;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::cli_top::terminal::Terminal;
use crate::support::consumers::http_url;
use crate::support::control_plane::control_plane;

/// A namespace with one KafkaConsumer that has this status.
async fn consumer_with(status: Value) -> String {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let api: Api<KafkaConsumer> = Api::namespaced(client, &namespace);
    let mut document = http_url();
    document["metadata"] = json!({"name": "orders"});
    let consumer = serde_json::from_value(document).unwrap();
    api.create(&PostParams::default(), &consumer).await.unwrap();
    let patch = Patch::Merge(json!({"status": status}));
    api.patch_status("orders", &PatchParams::default(), &patch)
        .await
        .unwrap();
    namespace
}

fn status(kubeconfig: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_drover"))
        .arg("status")
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn failed(output: &Output) -> String {
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[tokio::test]
async fn a_status_is_shown_as_table_and_as_json() {
    let kubeconfig = control_plane().kubeconfig();
    let namespace = consumer_with(json!({
        "replicas": 2, "readyReplicas": 1, "lag": 12345, "scaling": {"wanted": 6, "reasons": ["12,345 records wait"]},
    }))
    .await;

    let table = said(&status(&kubeconfig, &["-n", &namespace]));
    assert!(
        table
            .lines()
            .nth(1)
            .unwrap()
            .starts_with("orders  -      1/2   6       12,345"),
        "{table}"
    );
    let one = said(&status(&kubeconfig, &["-n", &namespace, "orders"]));
    assert!(one.contains("12,345 records wait"), "{one}");
    let all = said(&status(&kubeconfig, &["-A"]));
    assert!(all.contains(&namespace), "{all}");

    let json = said(&status(
        &kubeconfig,
        &["-n", &namespace, "orders", "-o", "json"],
    ));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["status"]["lag"], 12345);
    let list = said(&status(&kubeconfig, &["-n", &namespace, "-o", "json"]));
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["items"][0], json);
}

#[tokio::test]
async fn names_and_a_wide_table_are_listed_as_kubectl_does() {
    let kubeconfig = control_plane().kubeconfig();
    let namespace = consumer_with(json!({"replicas": 2, "readyReplicas": 2, "lag": 3})).await;
    let names = said(&status(&kubeconfig, &["-n", &namespace, "-o", "name"]));
    assert_eq!(names, "kafkaconsumer.drover.dev/orders\n");
    let one = said(&status(
        &kubeconfig,
        &["-n", &namespace, "orders", "-o", "name"],
    ));
    assert_eq!(one, names);
    let wide = said(&status(&kubeconfig, &["-n", &namespace, "-o", "wide"]));
    let of_each = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let lines: Vec<_> = wide.lines().map(of_each).collect();
    assert_eq!(lines[0][9..], ["HANDLER", "GROUP", "TOPICS"], "{wide}");
    assert_eq!(lines[1][10], format!("{namespace}.orders"), "{wide}");
}

#[tokio::test]
async fn in_a_terminal_lines_follow_its_width_and_programs_get_them_whole() {
    let kubeconfig = control_plane().kubeconfig();
    let message = "topic orders.dlq does not exist; create it, or correct delivery.deadLetter";
    let namespace = consumer_with(json!({ "observedGeneration": 1, "conditions": [{
        "type": "Ready", "status": "False", "reason": "DeadLetterTopicNotFound", "message": message,
        "lastTransitionTime": "2026-11-22T12:00:00Z",
    }] }))
    .await;
    for arguments in [
        &["status", "-n", &namespace][..],
        &["status", "-n", &namespace, "orders"],
    ] {
        let piped = said(&status(&kubeconfig, &arguments[1..]));
        assert!(piped.lines().any(|line| line.ends_with(message)), "{piped}");
        let mut terminal = Terminal::start(arguments, &kubeconfig, (50, 30));
        let screen = terminal.wait_for("its last words", |screen| {
            screen.contains("delivery.deadLetter")
        });
        for line in screen.lines() {
            assert!(line.chars().count() <= 50, "{line}: {screen}");
        }
        let words = screen.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(message), "{screen}");
        assert_eq!(terminal.ended(), Some(0));
    }
    let wide = ["status", "-n", &namespace, "-o", "wide"];
    let mut terminal = Terminal::start(&wide, &kubeconfig, (50, 30));
    let heading = "NAME    READY  PODS  WANTED  LAG  DELAY  REASON                   PROMISE";
    terminal.wait_for("a heading in whole", |screen| screen.contains(heading));
}

#[tokio::test]
async fn a_watch_writes_a_line_for_whatever_changes() {
    let kubeconfig = control_plane().kubeconfig();
    let namespace = consumer_with(json!({"replicas": 2, "readyReplicas": 1, "lag": 30})).await;
    let mut watching = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(["status", "-n", &namespace, "--watch"])
        .env("KUBECONFIG", &kubeconfig)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    let figures = |line: String| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(next().starts_with("NAME "));
    assert_eq!(figures(next())[..5], ["orders", "-", "1/2", "-", "30"]);

    let client = control_plane().client().await;
    let api: Api<KafkaConsumer> = Api::namespaced(client, &namespace);
    let patch = async |patch: Value| {
        let patch = Patch::Merge(patch);
        let params = PatchParams::default();
        api.patch_status("orders", &params, &patch).await.unwrap();
    };
    patch(json!({"status": {"observedGeneration": 1}})).await;
    patch(json!({"status": {"readyReplicas": 2, "lag": 7}})).await;
    // What changes nothing that is shown is no line.
    assert_eq!(figures(next())[..5], ["orders", "-", "2/2", "-", "7"]);
    api.delete("orders", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(figures(next()), ["orders", "deleted"]);
    watching.kill().unwrap();
    watching.wait().unwrap();
}

/// A minute is too long to wait for: the API server keeps who wrote when, and does not let it be written otherwise.
#[tokio::test]
async fn one_that_was_just_written_is_not_complained_of() {
    let kubeconfig = control_plane().kubeconfig();
    let namespace = consumer_with(json!({ "observedGeneration": 1, "lag": 5 })).await;
    let client = control_plane().client().await;
    let api: Api<KafkaConsumer> = Api::namespaced(client, &namespace);
    let patch = Patch::Merge(json!({ "spec": { "paused": true } }));
    api.patch("orders", &PatchParams::default(), &patch)
        .await
        .unwrap();
    let one = said(&status(&kubeconfig, &["-n", &namespace, "orders"]));
    assert!(
        one.contains("the controller has not seen generation 2 yet"),
        "{one}"
    );
    assert!(!one.contains("no controller has looked"), "{one}");
}

#[tokio::test]
async fn what_does_not_exist_is_named_with_what_to_do() {
    let kubeconfig = control_plane().kubeconfig();
    let error = failed(&status(&kubeconfig, &["-n", "default", "nothing"]));
    assert!(
        error.contains("no KafkaConsumer nothing in namespace default"),
        "{error}"
    );
    let error = failed(&status(&kubeconfig, &["--context", "elsewhere"]));
    assert!(
        error.contains("elsewhere") && error.contains("it has: "),
        "{error}"
    );
    let error = failed(&status(Path::new("/nonexistent/kubeconfig"), &[]));
    assert!(error.contains("KUBECONFIG"), "{error}");
}

/// What `kubectl get kc` shows, which the API server makes of the resource's columns.
#[tokio::test]
async fn kubectls_own_table_reads_like_a_sentence_and_fits_a_terminal() {
    let namespace = consumer_with(json!({
        "replicas": 12, "readyReplicas": 11, "lag": 1_234_567, "delay": "12m5s", "scaling": {"wanted": 12},
        "conditions": [{
            "type": "Ready", "status": "False", "reason": "DeadLetterTopicNotFound", "message": "",
            "lastTransitionTime": "2026-11-22T12:00:00Z",
        }],
    }))
    .await;
    let path = format!("/apis/drover.dev/v1alpha1/namespaces/{namespace}/kafkaconsumers");
    let request = http::Request::get(path)
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .unwrap();
    let client = control_plane().client().await;
    let table: Value = client.request(request).await.unwrap();
    let texts = |values: &Value, of: &dyn Fn(&Value) -> String| {
        values
            .as_array()
            .unwrap()
            .iter()
            .map(of)
            .collect::<Vec<_>>()
    };
    let heads = texts(&table["columnDefinitions"], &|column| {
        column["name"].as_str().unwrap().to_uppercase()
    });
    let cells = texts(&table["rows"][0]["cells"], &|cell| match cell {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let shown = [
        "orders",
        "False",
        "12",
        "12",
        "1234567",
        "12m5s",
        "DeadLetterTopicNotFound",
    ];
    let names = [
        "NAME", "READY", "REPLICAS", "WANTED", "LAG", "DELAY", "REASON", "AGE",
    ];
    assert_eq!(heads, names);
    assert_eq!(cells[..7], shown);
    let widths = heads
        .iter()
        .zip(&cells)
        .map(|(head, cell)| head.len().max(cell.len()) + 3);
    let width: usize = widths.sum();
    // A name of ten more letters has room on a terminal of 100 columns.
    assert!(width <= 90, "{width}");
}
