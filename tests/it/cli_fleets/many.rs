//! Many fleets are asked about at once: each is told in its place, and none hides another.

use super::*;
use crate::lag_admin::{commit, produce};
use crate::lag_broker::broker;

/// Brokers may be busy, and one that is away is waited for so long.
const PATIENT: [&str; 2] = ["--timeout", "10s"];

/// Ends with 2 and one line on standard error; what was told nevertheless.
fn told_in_part(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = failed(&output, 2);
    assert!(
        error.contains("1 of 3 KafkaConsumers could not be told of"),
        "{error}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What was found, by name.
fn items(text: &str) -> Vec<(String, Value)> {
    let list: Value = serde_json::from_str(text).unwrap();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| (item["name"].as_str().unwrap().to_owned(), item.clone()))
        .collect()
}

#[tokio::test]
async fn lag_and_dead_letters_of_many_are_told_though_the_brokers_of_one_are_away() {
    let broker = broker();
    let topic = broker.create_topic("cli-many", 1).await;
    let dead = broker.create_topic("cli-many-dlq", 1).await;
    produce(&broker.servers, &topic, &[0], 10);
    produce(&broker.servers, &dead, &[0], 3);
    commit(&broker.servers, &topic, &topic, &[(0, 4, "")]);
    let stage = Stage::new().await;
    for (name, servers, dead) in [
        ("away", "127.0.0.1:1", Some(&dead)),
        ("orders", broker.servers.as_str(), Some(&dead)),
        ("plain", broker.servers.as_str(), None),
    ] {
        stage
            .create(name, |document| {
                document["metadata"]["labels"]["run"] = json!(stage.namespace);
                document["spec"]["kafka"]["bootstrapServers"] = json!(servers);
                document["spec"]["topics"] = json!([topic]);
                document["spec"]["groupId"] = json!(topic);
                if let Some(dead) = dead {
                    document["spec"]["delivery"] = json!({ "deadLetter": { "topic": dead } });
                }
            })
            .await;
    }
    let namespace = &stage.namespace;
    let run = format!("run={namespace}");
    // Of the namespace, those with labels, and of all namespaces those with labels.
    let everywhere = ["lag", "-A", "-l", &run];
    for mut command in [
        stage.drover(&["lag"]),
        stage.drover(&["lag", "-l", "team=shop"]),
        drover(&stage.kubeconfig, &everywhere),
    ] {
        let text = told_in_part(command.args(PATIENT));
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with(&format!("{namespace}/away: "))
                && lines[0].contains("spec.kafka.bootstrapServers 127.0.0.1:1"),
            "{text}"
        );
        for name in ["orders", "plain"] {
            let head = format!("{namespace}/{name}: group {topic}: 6 records wait (");
            assert!(lines.iter().any(|line| line.starts_with(&head)), "{text}");
        }
    }
    // Brokers of the environment are one Kafka, and may be nobody's here.
    let mut elsewhere = stage.drover(&["lag", "-l", "team=shop"]);
    elsewhere
        .args(PATIENT)
        .env("DROVER_BOOTSTRAP", "127.0.0.1:2");
    let output = elsewhere.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("DROVER_BOOTSTRAP is left aside"), "{error}");
    let text = String::from_utf8_lossy(&output.stdout);
    let head = format!("{namespace}/orders: group {topic}: 6 records wait (");
    assert!(text.contains(&head), "{text}");

    let json = told_in_part(stage.drover(&["lag", "-o", "json"]).args(PATIENT));
    let [(_, away), (name, orders), _] = &items(&json)[..] else {
        panic!("{json}");
    };
    assert!(
        away["error"].as_str().unwrap().contains("127.0.0.1:1"),
        "{json}"
    );
    assert_eq!((name.as_str(), &orders["lag"]), ("orders", &json!(6)));
    assert_eq!(orders["namespace"], json!(namespace));
    // Of one by its name the form is as it always was.
    let one = stage
        .drover(&["lag", "orders", "-o", "json"])
        .args(PATIENT)
        .output();
    let one: Value = serde_json::from_slice(&one.unwrap().stdout).unwrap();
    assert_eq!((&one["lag"], one.get("items")), (&json!(6), None), "{one}");

    let letters = told_in_part(stage.drover(&["dlq", "list"]).args(PATIENT));
    for words in [
        format!("{namespace}/away: "),
        format!("{namespace}/orders: 3 dead letters in {dead}, 0 of them replayed before\n"),
        format!("{namespace}/plain: it has no dead-letter topic"),
    ] {
        assert!(letters.contains(&words), "{words}: {letters}");
    }
    let letters = ["dlq", "list", "-l", "team=shop", "-o", "json"];
    let letters = items(&told_in_part(stage.drover(&letters).args(PATIENT)));
    assert_eq!(letters[1].1["total"], 3, "{letters:?}");
    assert_eq!(letters[2].1["topic"], Value::Null, "{letters:?}");
}

#[tokio::test]
async fn sizes_of_many_are_explained_and_one_that_is_malformed_is_named() {
    let stage = Stage::new().await;
    stage.create("orders", |_| {}).await;
    stage.create("refunds", |_| {}).await;
    let status = json!({ "lag": 5, "scaling": { "wanted": 6, "reasons": ["5 records wait"] } });
    stage.tell("refunds", status).await;
    let namespace = &stage.namespace;
    let text = said(&mut stage.drover(&["explain"]));
    for words in [
        format!("{namespace}/orders: no status yet"),
        format!("\n\n{namespace}/refunds: 6 pods wanted\n"),
        "none within the time that events are kept".to_owned(),
    ] {
        assert!(text.contains(&words), "{words}: {text}");
    }
    let json = said(&mut stage.drover(&["explain", "-l", "team=shop", "-o", "json"]));
    let items = items(&json);
    assert_eq!(items.len(), 2, "{json}");
    assert_eq!(items[1].1["scaling"]["wanted"], 6, "{json}");
    // Others' are there too, whatever is wrong with them.
    let all = drover(&stage.kubeconfig, &["explain", "-A"])
        .output()
        .unwrap();
    let all = String::from_utf8(all.stdout).unwrap();
    assert!(
        all.contains(&format!("{namespace}/refunds: 6 pods")),
        "{all}"
    );

    let odd =
        crate::support::consumers::with(http_url(), "/spec/startAt", json!("2026-02-31T00:00:00Z"));
    stage.create_raw("dates", odd).await;
    let output = stage.drover(&["explain"]).output().unwrap();
    // Whether a controller leads is said before.
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    let last = error.lines().last().unwrap_or_default();
    assert!(last.contains("1 of 3 KafkaConsumers"), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&format!("{namespace}/dates: it cannot be read: ")),
        "{text}"
    );
}

#[tokio::test]
async fn the_doctor_looks_at_those_with_labels_in_all_namespaces() {
    let stage = Stage::new().await;
    for name in ["orders", "refunds"] {
        stage
            .create(name, |document| {
                document["metadata"]["labels"]["run"] = json!(stage.namespace);
            })
            .await;
    }
    let run = format!("run={}", stage.namespace);
    let doctor = ["doctor", "-A", "-l", &run, "-o", "json"];
    let output = drover(&stage.kubeconfig, &doctor).output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = json["findings"].as_array().unwrap();
    let find = |what: &str| findings.iter().find(|finding| finding["what"] == what);
    for name in ["orders", "refunds"] {
        let found = find(&format!("{}/{name}", stage.namespace));
        let says = found.unwrap()["says"].as_str().unwrap();
        assert!(says.contains("no status yet"), "{json}");
    }
    let rights = find("your rights").unwrap();
    assert!(
        rights["says"]
            .as_str()
            .unwrap()
            .contains("in all namespaces"),
        "{json}"
    );
    let versions = findings.iter().filter(|it| it["what"] == "API server");
    assert_eq!(versions.count(), 1, "{json}");
}

#[tokio::test]
async fn a_name_and_many_are_not_asked_for_together_and_none_are_said() {
    let stage = Stage::new().await;
    for arguments in [
        &["lag", "orders", "-l", "team=shop"][..],
        &["lag", "-l", "team=shop", "--group", "g", "--topic", "t"],
        &["explain", "orders", "-l", "team=shop"],
        &["doctor", "orders", "-l", "team=shop"],
        &["dlq", "list", "orders", "-l", "team=shop"],
        &["dlq", "list", "--topic", "t", "-l", "team=shop"],
        &["lag", "-A"],
    ] {
        let output = stage.drover(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains("cannot be used with"), "{error}");
    }
    for arguments in [&["lag"][..], &["explain"], &["dlq", "list"]] {
        let none = said(&mut stage.drover(arguments));
        assert!(none.contains("No KafkaConsumers in namespace"), "{none}");
    }
}
