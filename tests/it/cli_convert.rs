//! `drover convert` as a process, and as the documents show it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use drover::api::KafkaConsumer;
use drover::fleet::{References, validate};
use drover::yaml;
use serde_json::Value;
use tempfile::TempDir;

const SCALED: &str = "\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: { name: orders, namespace: shop }
spec:
  scaleTargetRef: { name: orders }
  pollingInterval: 15
  triggers:
    - type: kafka
      metadata:
        bootstrapServers: kafka:9092
        consumerGroup: shop-orders
        topic: orders
        offsetResetPolicy: earliest
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: orders, namespace: shop }
spec:
  selector: { matchLabels: { app: orders } }
  template:
    metadata: { labels: { app: orders } }
    spec:
      containers:
        - name: consumer
          image: shop/orders:7
";

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: { name: orders, namespace: shop }
";

fn drover(arguments: &[&str], folder: &Path, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(arguments)
        .current_dir(folder)
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

/// Standard input through the command.
fn convert(input: &str, flags: &[&str]) -> Output {
    let arguments = [&["convert", "-f", "-"], flags].concat();
    drover(&arguments, Path::new("."), input)
}

/// What `drover validate` and the controller say of what was written.
fn accepted(text: &str) -> Vec<KafkaConsumer> {
    let output = drover(&["validate", "-"], Path::new("."), text);
    assert_eq!(output.status.code(), Some(0), "{}\n{text}", out(&output));
    let read = yaml::documents(text).into_iter().map(|document| {
        let consumer: KafkaConsumer = serde_json::from_value(document.value.unwrap()).unwrap();
        let fleet = validate(&consumer, &References::default());
        assert!(fleet.is_ok(), "{fleet:?}");
        consumer
    });
    read.collect()
}

#[test]
fn what_is_written_is_accepted_and_what_is_not_carried_is_told_with_its_place() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("a.yaml"),
        format!("{SERVICE}---\n{SCALED}"),
    )
    .unwrap();
    fs::write(folder.path().join("b.yml"), DEPLOYMENT).unwrap();
    fs::write(folder.path().join("README"), "no manifest").unwrap();
    for arguments in [
        &["convert", "-f", "a.yaml", "b.yml"][..],
        &["convert", "-f", "a.yaml", "-f", "b.yml"],
        &["convert", "-f", "./"],
    ] {
        let output = drover(arguments, folder.path(), "");
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let consumers = accepted(&out(&output));
        assert_eq!(consumers[0].spec.group_id.as_deref(), Some("shop-orders"));
        let told = err(&output);
        let place = "a.yaml:10:3 ScaledObject shop/orders: NotCarried: spec.pollingInterval: ";
        assert!(told.contains(place), "{told}");
        let count = "1 KafkaConsumer written; 1 object of other kinds passed over (Service)";
        assert!(told.contains(count), "{told}");
    }
}

/// `helm create` gives account and Deployment the same name: the account is the user's, and no child of that name may
/// stand in its way.
#[test]
fn an_account_of_the_deployments_name_stays_the_users() {
    let named = "spec:\n      serviceAccountName: orders\n      containers";
    let deployment = DEPLOYMENT.replace("spec:\n      containers", named);
    let output = convert(&format!("{SCALED}---\n{deployment}"), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let converted = out(&output);
    assert!(
        converted.contains("serviceAccountName: orders"),
        "{converted}"
    );
    let rendered = drover(&["render", "-"], Path::new("."), &converted);
    let children = out(&rendered);
    assert!(children.contains("kind: Deployment"), "{children}");
    assert!(!children.contains("kind: ServiceAccount"), "{children}");
}

#[test]
fn lists_are_read_and_programs_get_one() {
    let items: Vec<Value> = [SCALED, DEPLOYMENT]
        .map(|text| yaml::documents(text).remove(0).value.unwrap())
        .to_vec();
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items });
    let output = convert(&list.to_string(), &["-o", "json", "--max-delay", "30s"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let written: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(written["kind"], "List");
    assert_eq!(written["items"][0]["spec"]["scaling"]["maxDelay"], "30s");
    let validated = drover(&["validate", "-"], Path::new("."), &out(&output));
    assert_eq!(validated.status.code(), Some(0), "{}", out(&validated));
}

#[test]
fn a_deployment_and_flags_are_enough() {
    let flags = [
        "--bootstrap",
        "kafka:9092",
        "--topic",
        "orders,refunds",
        "--group",
        "shop-orders",
    ];
    let output = convert(DEPLOYMENT, &flags);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(
        accepted(&out(&output))[0].spec.topics,
        ["orders", "refunds"]
    );
}

#[test]
fn input_that_cannot_be_converted_ends_with_1_and_says_what_to_do() {
    let deployment_and = |scaled: &str| format!("{scaled}---\n{DEPLOYMENT}");
    for (input, told) in [
        (
            "a: [".to_owned(),
            "-:1: Unreadable: the document cannot be read: ",
        ),
        (
            "some words".to_owned(),
            "-:1: Unreadable: the document cannot be read: it has no apiVersion and kind",
        ),
        (
            SERVICE.to_owned(),
            "nothing is written; 1 object of other kinds passed over (Service): there is no ScaledObject, no KafkaSource",
        ),
        (
            String::new(),
            "nothing is written: there is no ScaledObject",
        ),
        (
            DEPLOYMENT.to_owned(),
            "-:1 Deployment shop/orders: NotConverted: what it consumes is not known; give --bootstrap",
        ),
        (
            SCALED.to_owned(),
            "-:5:3 ScaledObject shop/orders: NotConverted: spec.scaleTargetRef: Deployment orders, which it scales, is not in the input",
        ),
        (
            deployment_and(&SCALED.replace("        topic: orders\n", "")),
            "ScaledObject shop/orders: NotConverted: spec.triggers[0].metadata: topic is missing",
        ),
        (
            deployment_and(&SCALED.replace("topic: orders", "topic: \"or ders\"")),
            "-:12:9 ScaledObject shop/orders: InvalidValue: spec.triggers[0].metadata.topic: ",
        ),
        (
            format!(
                "{SCALED}---\n{}",
                DEPLOYMENT.replace("image: shop", "imagine: shop")
            ),
            "-:25:11 Deployment shop/orders: UnknownField: spec.template.spec.containers[0].imagine is not a field",
        ),
    ] {
        let output = convert(&input, &[]);
        assert_eq!(output.status.code(), Some(1), "{input}\n{}", err(&output));
        assert!(err(&output).contains(told), "{told}\n{}", err(&output));
    }
}

#[test]
fn what_cannot_be_read_hides_nothing() {
    let output = convert(&format!("a: [\n---\n{SCALED}---\n{DEPLOYMENT}"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(accepted(&out(&output)).len(), 1);
}

#[test]
fn wrong_usage_ends_with_2() {
    let empty = TempDir::new().unwrap();
    let folder = empty.path().display().to_string();
    for (arguments, told) in [
        (&["convert"][..], "--file"),
        (
            &["convert", "-f", "/no/such/file"],
            "give a file of YAML or JSON",
        ),
        (&["convert", "-f", &folder], "there is no file in"),
        (
            &["convert", "-f", "-", "--max-delay", "2d"],
            "not a duration",
        ),
        (
            &["convert", "-f", "-", "--max-delay", "25h"],
            "between 1s and 24h",
        ),
    ] {
        let output = drover(arguments, Path::new("."), "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(err(&output).contains(told), "{told}\n{}", err(&output));
    }
}

/// A page shows a file, a command on it with what it says, and what it writes, in this order.
fn as_the_page_shows(page: &str, file: &str) {
    let path = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let blocks: Vec<&str> = text.split("```").skip(1).step_by(2).collect();
    let at = blocks
        .iter()
        .position(|block| block.contains("$ drover convert"));
    let at = at.unwrap();
    let block = |index: usize| blocks[index].split_once('\n').unwrap().1;
    let (command, told) = block(at).split_once('\n').unwrap();
    let words: Vec<&str> = command.split_whitespace().collect();
    let end = words.iter().position(|word| *word == ">").unwrap();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(file), block(at - 1)).unwrap();
    let output = drover(&words[2..end], folder.path(), "");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(err(&output), told, "{page}: what the command says");
    assert_eq!(
        out(&output),
        block(at + 1),
        "{page}: what the command writes"
    );
    accepted(&out(&output));
}

#[test]
fn the_pages_for_those_who_come_show_what_happens() {
    as_the_page_shows("from-keda.md", "orders.yaml");
    as_the_page_shows("from-knative.md", "source.yaml");
}
