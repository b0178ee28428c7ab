//! `drover doctor`, and who may do nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::{Stage, drover, failed, nobody};
use crate::lag_broker::broker;

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
