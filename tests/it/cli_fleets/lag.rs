//! `drover lag` of one fleet.

use std::path::Path;
use std::time::Duration;

use drover::report::{Report, Stuck};
use drover::topic::Offset;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseRecord, Producer as _};
use serde_json::{Value, json};

use super::{Stage, drover, failed, said};
use crate::lag_admin::{commit, produce};
use crate::lag_broker::broker;

#[tokio::test]
async fn lag_says_of_each_partition_what_waits_and_what_holds_it_up() {
    let broker = broker();
    let topic = broker.create_topic("cli-lag", 3).await;
    produce(&broker.servers, &topic, &[0, 1], 10);
    let report = Report {
        pod: "orders-1".to_owned(),
        tried: 2,
        ahead: vec![6..7, 8..9],
        stuck: Some(Stuck {
            offset: 4,
            attempts: 2,
            error: "HttpStatus 500".to_owned(),
        }),
        ..Report::default()
    };
    let text = report.encode(Offset(4));
    commit(
        &broker.servers,
        &topic,
        &topic,
        &[(0, 4, &text), (1, 10, "")],
    );
    let group = [
        "lag",
        "--bootstrap",
        &broker.servers,
        "--group",
        &topic,
        "--topic",
        &topic,
    ];
    let nowhere = Path::new("/nonexistent/kubeconfig");
    let json = said(drover(nowhere, &group).args(["-o", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    let [stuck, done, fresh] = [0, 1, 2].map(|number| &json["partitions"][number]);
    // Nobody is in the group: who committed last has it no more.
    assert_eq!(
        (&stuck["lag"], &stuck["owner"], &stuck["attempts"]),
        (&json!(6), &Value::Null, &json!(2))
    );
    assert_eq!(
        (&stuck["finishedAhead"], &stuck["stuck"]["error"]),
        (&json!(2), &json!("HttpStatus 500"))
    );
    assert!(
        stuck["delaySeconds"]
            .as_f64()
            .is_some_and(|delay| delay >= 0.0),
        "{stuck}"
    );
    assert_eq!(
        (&done["lag"], &done["delaySeconds"]),
        (&json!(0), &json!(0.0))
    );
    // Nothing is committed: that is not known to be zero.
    assert_eq!((&fresh["lag"], &json["lag"]), (&Value::Null, &Value::Null));
    let table = said(&mut drover(nowhere, &group));
    assert!(table.contains("4 (2): HttpStatus 500"), "{table}");

    // The same by the KafkaConsumer's name.
    let stage = Stage::new().await;
    stage
        .create("orders", |document| {
            document["spec"]["kafka"]["bootstrapServers"] = json!(broker.servers);
            document["spec"]["topics"] = json!([topic]);
            document["spec"]["groupId"] = json!(topic);
        })
        .await;
    let named = said(&mut stage.drover(&["lag", "orders", "--offsets-only"]));
    assert!(named.contains("4 (2): HttpStatus 500"), "{named}");
    let away = [
        "lag",
        "orders",
        "--bootstrap",
        "127.0.0.1:1",
        "--timeout",
        "1s",
    ];
    let away = stage.drover(&away).output().unwrap();
    assert!(failed(&away, 2).contains("check --bootstrap 127.0.0.1:1"));
    let missing = [
        "lag",
        "--bootstrap",
        &broker.servers,
        "--group",
        "g",
        "--topic",
        "nowhere-at-all",
    ];
    let missing = drover(nowhere, &missing).output().unwrap();
    assert!(failed(&missing, 2).contains("topic nowhere-at-all does not exist"));
}

/// A member of the group, as a worker is one: it calls itself by its pod.
fn member(servers: &str, topic: &str, pod: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("group.id", topic)
        .set("client.id", pod)
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    while consumer.assignment().unwrap().count() == 0 {
        consumer.poll(Duration::from_millis(50));
    }
    consumer
}

/// Kafka counts a worker that was killed as a member until its session is over.
#[tokio::test]
async fn lag_of_a_group_that_does_not_wait_for_transactions_counts_what_is_there_for_it() {
    let broker = broker();
    let topic = broker.create_topic("cli-lag-open", 1).await;
    let producer = broker.transactions(&topic);
    producer.begin_transaction().unwrap();
    for _ in 0..5 {
        let record = BaseRecord::<(), str>::to(&topic).partition(0).payload("x");
        producer.send(record).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
    for (committed, lag, delay) in [(5, 0, json!(0.0)), (3, 2, Value::Null)] {
        commit(&broker.servers, &topic, &topic, &[(0, committed, "")]);
        let group = [
            "lag",
            "--bootstrap",
            &broker.servers,
            "--group",
            &topic,
            "--topic",
            &topic,
        ];
        let nowhere = Path::new("/nonexistent/kubeconfig");
        let json = said(drover(nowhere, &group).args(["-o", "json"]));
        let json: Value = serde_json::from_str(&json).unwrap();
        let only = &json["partitions"][0];
        let known = (&only["end"], &only["lag"], &only["delaySeconds"]);
        // How old a record is that is not committed only who reads those can see.
        assert_eq!(known, (&json!(5), &json!(lag), &delay), "{json}");
    }
    producer.abort_transaction(Duration::from_secs(10)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_marks_an_owner_whose_pod_is_gone() {
    let broker = broker();
    let topic = broker.create_topic("cli-lag-gone", 1).await;
    produce(&broker.servers, &topic, &[0], 3);
    let _member = member(&broker.servers, &topic, "orders-7f-x2");
    let stage = Stage::new().await;
    stage
        .create("orders", |document| {
            document["spec"]["kafka"]["bootstrapServers"] = json!(broker.servers);
            document["spec"]["topics"] = json!([topic]);
            document["spec"]["groupId"] = json!(topic);
        })
        .await;
    let owner = |arguments: &[&str]| {
        let json = said(
            stage
                .drover(arguments)
                .args(["--offsets-only", "-o", "json"]),
        );
        let json: Value = serde_json::from_str(&json).unwrap();
        let lag = if json["items"].is_array() {
            &json["items"][0]
        } else {
            &json
        };
        let partition = &lag["partitions"][0];
        assert_eq!(partition["owner"], "orders-7f-x2", "{json}");
        partition["ownerIsGone"].clone()
    };
    for one_or_many in [&["lag", "orders"][..], &["lag", "-l", "team=shop"]] {
        assert_eq!(owner(one_or_many), true, "{one_or_many:?}");
    }
    let table = said(&mut stage.drover(&["lag", "orders", "--offsets-only"]));
    assert!(table.contains("orders-7f-x2 (gone)"), "{table}");

    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "orders-7f-x2", "labels": { "drover.dev/consumer": "orders" } },
        "spec": { "containers": [{ "name": "worker", "image": "worker:1" }] },
    });
    let pods: Api<Pod> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    for one_or_many in [&["lag", "orders"][..], &["lag", "-l", "team=shop"]] {
        assert_eq!(owner(one_or_many), false, "{one_or_many:?}");
    }
}
