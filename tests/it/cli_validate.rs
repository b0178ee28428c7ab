//! `drover validate` and `drover crd` as processes.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::consumers::{http_url, own_consumer, with};

fn drover(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A process that reads no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn right_documents_end_with_0() {
    let folder = TempDir::new().unwrap();
    let text = format!("{}\n---\n{}\n", http_url(), own_consumer());
    let output = drover(&["validate", &file(&folder, "both.yaml", &text)], "");
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    assert_eq!(out(&output).matches(": valid").count(), 2);
}

#[test]
fn a_secret_of_the_same_files_is_looked_into() {
    let folder = TempDir::new().unwrap();
    let encryption = json!({ "activeRecord": {
        "primaryKeySecret": { "name": "rails", "key": "primary_key" },
        "keyDerivationSaltSecret": { "name": "rails", "key": "salt" },
    } });
    let consumer = with(http_url(), "/spec/encryption", encryption);
    let secret = |namespace: &Value, key: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "rails", "namespace": namespace },
            "stringData": { (key): "hush" }, "data": { "primary_key": "aHVzaA==" },
        })
    };
    let here = &consumer["metadata"]["namespace"];
    let consumer_file = file(&folder, "consumer.yaml", &consumer.to_string());
    let check = |secret: Value| {
        let secret = file(&folder, "secret.yaml", &secret.to_string());
        let output = drover(&["validate", &consumer_file, &secret], "");
        assert!(!out(&output).contains("hush"), "{}", out(&output));
        output
    };
    assert_eq!(check(secret(here, "salt")).status.code(), Some(0));
    let elsewhere = check(secret(&json!("elsewhere"), "slat"));
    assert_eq!(elsewhere.status.code(), Some(0), "{}", out(&elsewhere));
    let wrong = check(secret(here, "slat"));
    assert_eq!(wrong.status.code(), Some(1), "{}", out(&wrong));
    let words = "\"rails\" has no key \"salt\", which spec.encryption.activeRecord";
    assert!(out(&wrong).contains(words), "{}", out(&wrong));
}

#[test]
fn of_an_address_with_a_user_only_the_rest_is_repeated() {
    let consumer = with(
        http_url(),
        "/spec/handler/http/url",
        json!("http://ann:hush@shop/kafka"),
    );
    let output = drover(&["validate", "-"], &consumer.to_string());
    assert_eq!(output.status.code(), Some(1));
    let words = "spec.handler.http.url cannot be \"http://…@shop/kafka\"";
    assert!(out(&output).contains(words), "{}", out(&output));
    assert!(!out(&output).contains("hush"), "{}", out(&output));
}

#[test]
fn all_problems_of_all_documents_are_told_at_once() {
    let folder = TempDir::new().unwrap();
    let first = with(
        http_url(),
        "/spec/scaling",
        json!({ "minReplicas": 3, "maxReplicas": 2, "maxReplica": 4 }),
    );
    let first = with(first, "/spec/kafka/properties", json!({ "group.id": "x" }));
    let second = with(own_consumer(), "/spec/delivery/ordering", json!("Keys"));
    let text = format!("{first}\n---\na: [\n---\n{second}\n");
    let output = drover(
        &["validate", &file(&folder, "wrong.yaml", &text), "-"],
        "{}",
    );
    assert_eq!(output.status.code(), Some(1));
    let out = out(&output);
    for told in [
        " shop/user-events: Contradiction: spec.scaling.minReplicas is greater",
        " shop/user-events: UnknownField: spec.scaling.maxReplica is not a field; did you mean maxReplicas?",
        " shop/user-events: OwnedProperty: spec.kafka.properties[group.id]",
        ":2: Unreadable: ",
        " shop/rails-consumer: InvalidValue: spec.delivery.ordering cannot be \"Keys\"; did you mean Key?",
        "-:1: UnknownKind: ",
    ] {
        assert!(out.contains(told), "{told}\n{out}");
    }
}

#[test]
fn each_problem_is_told_with_the_line_and_the_column_of_its_field() {
    let folder = TempDir::new().unwrap();
    let text = "\
apiVersion: v1
kind: ConfigMap
metadata: { name: beside }
---
apiVersion: drover.dev/v1alpha1
kind: KafkaConsumer
metadata:
  name: orders
  namespace: shop
spec:
  kafka:
    bootstrapServers: kafka:9092
    properties:
      group.id: x
  topics: [orders, \"b d\"]
  handler:
    http: { url: http://users/kafka }
  scaling:
    maxDelay: 30
    minReplicaz: 1
";
    let path = file(&folder, "orders.yaml", text);
    let output = drover(&["validate", &path], "");
    let out = out(&output);
    for (place, told) in [
        ("14:7", "OwnedProperty: spec.kafka.properties[group.id]"),
        ("15:20", "spec.topics[1]"),
        ("19:5", "spec.scaling.maxDelay cannot be 30"),
        ("20:5", "UnknownField: spec.scaling.minReplicaz"),
    ] {
        let head = format!("{path}:{place} shop/orders: ");
        let mut lines = out.lines();
        let found = lines.any(|line| line.starts_with(&head) && line.contains(told));
        assert!(found, "{place} {told}\n{out}");
    }
    let places: Vec<(usize, usize)> = out
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("{path}:"))?.split_once(' '))
        .filter_map(|(place, _)| place.split_once(':'))
        .filter_map(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)))
        .collect();
    assert!(places.len() >= 4 && places.is_sorted(), "{out}");
    let output = drover(&["validate", "-o", "json", &path], "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = report["documents"][1]["problems"].as_array().unwrap();
    let of = |field: &str| problems.iter().find(|problem| problem["field"] == field);
    let unknown = of("spec.scaling.minReplicaz").unwrap();
    assert_eq!(
        (&unknown["line"], &unknown["column"]),
        (&json!(20), &json!(5))
    );
}

#[test]
fn a_key_in_place_of_its_secret_is_not_repeated_and_a_bare_number_is_told_how_times_are_written() {
    let keys = json!({ "activeRecord": {
        "primaryKeySecret": "hush", "primaryKeySecrets": "hush",
        "keyDerivationSaltSecret": { "name": "rails", "key": "salt" },
    } });
    let wrong = with(http_url(), "/spec/encryption", keys);
    let wrong = with(wrong, "/spec/scaling", json!({ "maxDelay": 30 }));
    let output = drover(&["validate", "-"], &wrong.to_string());
    let out = out(&output);
    for told in [
        "primaryKeySecret must be a mapping, not a text; its fields are key, name",
        "primaryKeySecrets must be a list, not a text; the fields of an entry are key, name",
        "spec.scaling.maxDelay cannot be 30: write a duration",
    ] {
        assert!(out.contains(told), "{told}\n{out}");
    }
    assert!(!out.contains("hush"), "{out}");
}

#[test]
fn what_a_file_holds_does_not_move_the_terminal_and_its_reader_speaks_to_people() {
    let mut wrong = http_url();
    wrong["metadata"]["name"] = json!("a\u{1b}[31mred\nb");
    let said = out(&drover(&["validate", "-"], &wrong.to_string()));
    assert!(!said.contains('\u{1b}'), "{said:?}");
    let twice = out(&drover(&["validate", "-"], "topics: [a]\ntopics: [b]\n"));
    assert!(twice.contains("duplicate mapping key: topics"), "{twice}");
    assert!(!twice.contains("DuplicateKeyPolicy"), "{twice}");
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, of) in ["ba", "cb", "dc", "ed", "fe", "gf"].map(|pair| pair.split_at(1)) {
        let items = vec![format!("*{of}"); 10].join(",");
        bomb += &format!("{name}: &{name} [{items}]\n");
    }
    let bomb = out(&drover(&["validate", "-"], &bomb));
    assert!(!bomb.contains("budget"), "{bomb}");
}

#[test]
fn json_output_is_for_programs() {
    let wrong = with(
        http_url(),
        "/spec/template",
        json!({ "spec": { "containerz": [] } }),
    );
    let output = drover(&["validate", "-o", "json", "-"], &wrong.to_string());
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["valid"], false);
    let document = &report["documents"][0];
    assert_eq!(
        (&document["file"], &document["line"]),
        (&json!("-"), &json!(1))
    );
    assert_eq!(
        document["problems"][0]["field"],
        "spec.template.spec.containerz"
    );
    assert_eq!(document["problems"][0]["reason"], "UnknownField");
}

#[test]
fn other_kinds_in_the_same_file_are_skipped_and_lists_are_opened() {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "Service", "metadata": { "name": "users" } },
        http_url(),
    ] });
    let output = drover(&["validate", "-"], &list.to_string());
    assert_eq!(output.status.code(), Some(0));
    let out = out(&output);
    assert!(
        out.contains("users: not a resource of Drover, skipped")
            && out.contains("user-events: valid"),
        "{out}"
    );
}

#[test]
fn wrong_usage_and_missing_files_end_with_2_and_one_line() {
    for arguments in [
        &["validate"][..],
        &["validat", "x"],
        &["validate", "-o", "xml", "x"],
    ] {
        assert_eq!(
            drover(arguments, "").status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
    let output = drover(&["validate", "/does/not/exist.yaml"], "");
    assert_eq!(output.status.code(), Some(2));
    let err = err(&output);
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(
        err.contains("/does/not/exist.yaml") && err.contains("give a file"),
        "{err}"
    );
}

#[test]
fn a_file_that_cannot_be_read_hides_no_problem_of_another() {
    let folder = TempDir::new().unwrap();
    let wrong = with(own_consumer(), "/spec/delivery/ordering", json!("Keys"));
    let wrong = file(&folder, "wrong.yaml", &wrong.to_string());
    let latin = folder.path().join("latin.yaml");
    std::fs::write(&latin, b"name: caf\xe9").unwrap();
    let latin = latin.display().to_string();
    let files = ["/does/not/exist.yaml", &wrong, &latin];
    let output = drover(&[&["validate"], &files[..]].concat(), "");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        out(&output).contains("cannot be \"Keys\""),
        "{}",
        out(&output)
    );
    let err = err(&output);
    let unread: Vec<&str> = err.lines().collect();
    assert_eq!(unread.len(), 2, "{err}");
    assert!(unread[0].contains("read /does/not/exist.yaml"), "{err}");
    assert!(unread[1].contains(&latin), "{err}");
    let output = drover(&[&["validate", "-o", "json"], &files[..]].concat(), "");
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["valid"], false);
    assert_eq!(report["documents"][0]["file"], json!(wrong));
    assert_eq!(report["unread"][1]["file"], json!(latin));
}

#[test]
fn a_secret_in_a_property_is_not_repeated() {
    let wrong = with(
        http_url(),
        "/spec/kafka/properties",
        json!({ "sasl.password": "hunter2" }),
    );
    let output = drover(&["validate", "-"], &wrong.to_string());
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).contains("SecretInProperty"));
    assert!(!out(&output).contains("hunter2") && !err(&output).contains("hunter2"));
}

#[test]
fn the_definition_is_printed_as_yaml_with_its_head_line() {
    let output = drover(&["crd"], "");
    assert_eq!(output.status.code(), Some(0));
    assert!(out(&output).starts_with("# Generated by `drover crd`; do not edit.\napiVersion: "));
}

#[test]
fn the_version_is_told() {
    let output = drover(&["--version"], "");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        out(&output),
        format!("drover {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn what_the_mode_does_not_use_is_noted_and_no_problem() {
    let text = "\
apiVersion: drover.dev/v1alpha1
kind: KafkaConsumer
metadata: { name: orders, namespace: shop }
spec:
  kafka: { bootstrapServers: kafka:9092 }
  topics: [orders]
  handler: { http: { url: http://orders/ } }
  scaling:
    mode: Manual
    minReplicas: 0
    idleTimeToZero: 30s
    schedule:
      - { from: \"08:00\", to: \"18:00\", timeZone: UTC, minReplicas: 6 }
";
    let output = drover(&["validate", "-"], text);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(
        out(&output).lines().collect::<Vec<_>>(),
        [
            "-:1 shop/orders: valid",
            "-:11:5 shop/orders: note: spec.scaling.idleTimeToZero is not used in mode Manual: spec.replicas alone sets the size; remove idleTimeToZero, or set spec.scaling.mode to Auto",
            "-:12:5 shop/orders: note: spec.scaling.schedule is not used in mode Manual: spec.replicas alone sets the size; remove schedule, or set spec.scaling.mode to Auto or External",
        ]
    );
    let json = drover(&["validate", "-o", "json", "-"], text);
    let told: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(told["valid"], true);
    let notes = &told["documents"][0]["notes"];
    assert_eq!(notes[0]["field"], "spec.scaling.idleTimeToZero");
    assert_eq!(notes[1]["line"], 12);
}
