//! Dead letters of a KafkaConsumer, named by a file or in a cluster, and what is said where they are none.

use drover::api::KafkaConsumer;
use kube::Api;
use kube::api::PostParams;
use rdkafka::producer::Producer;
use serde_json::{Value, json};

use super::{DEADLINE, Stage, drover, failed, told};
use crate::lag_broker::broker;
use crate::support::consumers::http_url;
use crate::support::control_plane::control_plane;

/// As a file has it, with this dead-letter topic if there is one.
fn consumer(stage: &Stage, dead_letter: bool) -> Value {
    let mut document = http_url();
    document["metadata"] = json!({ "name": "orders" });
    document["spec"]["kafka"]["bootstrapServers"] = json!(stage.servers);
    document["spec"]["topics"] = json!([stage.topic]);
    if dead_letter {
        document["spec"]["delivery"] = json!({ "deadLetter": { "topic": stage.dlq } });
    }
    document
}

#[tokio::test]
async fn a_kafka_consumer_says_where_its_dead_letters_are() {
    let stage = Stage::of("dlq-named", 1).await;
    stage.write(0, 2, "Rejected");
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("orders.yaml");
    std::fs::write(&file, consumer(&stage, true).to_string()).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(told(&mut drover(&["list", "-f", file]))["total"], 2);
    let other = drover(&["list", "-f", file, "refunds"]).output().unwrap();
    assert!(failed(&other, 2).contains("no KafkaConsumer refunds in"));
    let bypass = drover(&["replay", "-f", file, "--bypass-idempotency"])
        .output()
        .unwrap();
    assert!(failed(&bypass, 2).contains("no spec.idempotency.redriveHeader"));

    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let api: Api<KafkaConsumer> = Api::namespaced(client, &namespace);
    let in_cluster = |arguments: &[&str]| {
        let mut command = drover(arguments);
        command
            .env("KUBECONFIG", control_plane().kubeconfig())
            .args(["-n", &namespace]);
        command
    };
    let missing = in_cluster(&["list", "orders"]).output().unwrap();
    assert!(failed(&missing, 2).contains("no KafkaConsumer orders in namespace"));
    let document = serde_json::from_value(consumer(&stage, true)).unwrap();
    api.create(&PostParams::default(), &document).await.unwrap();
    assert_eq!(told(&mut in_cluster(&["list", "orders"]))["total"], 2);
    // Where only the environment says at which Kafka nothing is moved and nothing deleted.
    for arguments in [
        &["replay", "orders"][..],
        &["purge", "orders", "--all", "-y"],
    ] {
        let mut command = in_cluster(arguments);
        let elsewhere = command.env("DROVER_BOOTSTRAP", "127.0.0.1:2").output();
        let error = failed(&elsewhere.unwrap(), 2);
        for part in [
            "nothing was done",
            stage.servers,
            "DROVER_BOOTSTRAP names 127.0.0.1:2",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
    let mut looked = in_cluster(&["list", "orders", "--timeout", "1s"]);
    let output = looked.env("DROVER_BOOTSTRAP", "127.0.0.1:2").output();
    let error = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(error.contains("orders is looked at there"), "{error}");
    assert!(error.contains("check DROVER_BOOTSTRAP"), "{error}");
    assert_eq!(told(&mut in_cluster(&["replay", "orders"]))["replayed"], 2);

    // A record that says to be from a topic of somebody else's stays.
    let producer = stage.producer();
    let headers = [
        ("drover-dlq-topic", "elsewhere"),
        ("drover-dlq-reason", "Rejected"),
    ];
    stage.put(&producer, "k", "v", &headers);
    producer.flush(DEADLINE).unwrap();
    let refused = in_cluster(&["replay", "orders"]).output().unwrap();
    let error = failed(&refused, 2);
    assert!(
        error.contains("elsewhere, which KafkaConsumer orders does not read"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_replayed_goes_to_the_consumers_retry_topic_if_it_has_one() {
    let stage = Stage::of("dlq-retry", 2).await;
    let retry = broker().create_topic("dlq-retry-again", 2).await;
    stage.write(0, 40, "Rejected");
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("orders.yaml");
    let mut document = consumer(&stage, true);
    document["spec"]["delivery"]["deadLetter"]["retryTopic"] = json!(retry);
    std::fs::write(&file, document.to_string()).unwrap();
    let replay = |more: &[&str]| {
        let file = file.to_str().unwrap();
        let patient = ["replay", "-f", file, "--timeout", "90s"];
        told(&mut drover(&[&patient[..], more].concat()))
    };
    let report = replay(&[]);
    assert_eq!(
        (&report["replayed"], &report["to"]),
        (&json!(40), &json!(retry))
    );
    stage.assert_moved(&retry, 0..40);
    assert!(stage.read(&stage.topic).is_empty());
    for read in stage.read(&retry) {
        let from = |name: &str| read.header(&format!("drover-dlq-origin-{name}"));
        assert_eq!(from("topic"), Some(stage.topic.as_str()));
        assert_eq!(from("offset"), Some(read.value.as_str()));
    }
    // Both are where its consumer gets it: nothing is replayed to one after the other.
    assert_eq!(replay(&["--to-source"])["replayed"], 0);
    // By their names they are no others, whoever names them.
    for to in [&retry, &stage.topic] {
        assert_eq!(replay(&["--to", to])["replayed"], 0, "{to}");
        let without_fleet = told(&mut stage.dlq("replay", &["--to", to]));
        assert_eq!(without_fleet["replayed"], 0, "{to}");
    }

    // What failed there has its source where it was first.
    let producer = stage.producer();
    let headers = [
        ("drover-dlq-origin-topic", stage.topic.as_str()),
        ("drover-dlq-topic", &retry),
        ("drover-dlq-reason", "Rejected"),
        ("drover-redrive-count", "1"),
    ];
    stage.put(&producer, "key-0", "40", &headers);
    producer.flush(DEADLINE).unwrap();
    assert_eq!(replay(&["--to-source"])["replayed"], 1);
    stage.assert_moved(&stage.topic, 40..41);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_one_line() {
    let stage = Stage::of("dlq-errors", 1).await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("orders.yaml");
    std::fs::write(&file, consumer(&stage, false).to_string()).unwrap();
    let file = file.to_str().unwrap();
    let nobody = [
        "--bootstrap",
        "127.0.0.1:1",
        "--topic",
        "t",
        "--timeout",
        "1s",
    ];
    for (arguments, says) in [
        (
            [&["list"], &nobody[..]].concat(),
            "check --bootstrap 127.0.0.1:1",
        ),
        (
            [&["replay"], &nobody[..]].concat(),
            "check --bootstrap 127.0.0.1:1",
        ),
        (
            vec![
                "list",
                "--bootstrap",
                stage.servers,
                "--topic",
                "nowhere-at-all",
            ],
            "does not exist",
        ),
        (vec!["list", "--topic", "t"], "no Kafka is named"),
        (vec!["list", "--bootstrap", stage.servers], "add --topic"),
        (vec!["list", "-f", file], "spec.delivery.deadLetter.topic"),
        (
            vec![
                "replay", "-f", file, "--topic", &stage.dlq, "--to", &stage.dlq,
            ],
            "the dead-letter topic itself",
        ),
        (
            vec![
                "replay",
                "-f",
                file,
                "--topic",
                &stage.dlq,
                "--to",
                "nowhere-at-all",
            ],
            "name another one with --to",
        ),
    ] {
        let error = failed(&drover(&arguments).output().unwrap(), 2);
        assert!(error.contains(says), "{says}: {error}");
    }
}
