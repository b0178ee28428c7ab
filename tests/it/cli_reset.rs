//! `drover reset` as a program, against a real broker and a real API server.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use drover::api::KafkaConsumer;
use drover::clock::Monotonic;
use drover::kafka::admin::Admin;
use drover::report::Report;
use drover::topic::{Offset, TopicPartition};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::{Value, json};

use crate::lag_admin::{commit, produce};
use crate::lag_broker::broker;
use crate::support::acls::{self, DESCRIBE, Of};
use crate::support::consumers::http_url;
use crate::support::control_plane::control_plane;

const DEADLINE: Duration = Duration::from_secs(90);

/// A paused KafkaConsumer on a topic with five records in each of two partitions.
struct Stage {
    client: Client,
    namespace: String,
    servers: &'static str,
    topic: String,
    document: Value,
}

impl Stage {
    async fn of(name: &str) -> Self {
        let servers = broker().servers.as_str();
        let topic = broker().create_topic(name, 2).await;
        produce(servers, &topic, &[0, 1], 5);
        Self::on(servers, &[&topic]).await
    }

    /// On these topics, the first of which names the group.
    async fn on(servers: &'static str, topics: &[&str]) -> Self {
        let client = control_plane().client().await;
        let namespace = control_plane().namespace(&client).await;
        let topic = topics[0].to_owned();
        let mut document = http_url();
        document["metadata"] = json!({ "name": "orders" });
        document["spec"]["kafka"]["bootstrapServers"] = json!(servers);
        document["spec"]["topics"] = json!(topics);
        document["spec"]["groupId"] = json!(topic);
        document["spec"]["paused"] = json!(true);
        let stage = Self {
            client,
            namespace,
            servers,
            topic,
            document,
        };
        let typed = serde_json::from_value(stage.document.clone()).unwrap();
        let (api, params) = (stage.api(), PostParams::default());
        api.create(&params, &typed).await.unwrap();
        stage
    }

    fn api(&self) -> Api<KafkaConsumer> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn pause(&self, paused: bool) {
        let patch = Patch::Merge(json!({ "spec": { "paused": paused } }));
        let api = self.api();
        let params = PatchParams::default();
        api.patch("orders", &params, &patch).await.unwrap();
    }

    fn drover(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
        command
            .args(["reset", "--timeout", "90s"])
            .args(arguments)
            .env("KUBECONFIG", control_plane().kubeconfig())
            .env_remove("DROVER_BOOTSTRAP")
            .stdin(Stdio::null());
        command
    }

    /// `drover reset` of the KafkaConsumer of the cluster.
    fn reset(&self, arguments: &[&str]) -> Output {
        let mut command = self.drover(arguments);
        let command = command.args(["orders", "-n", &self.namespace]);
        command.output().unwrap()
    }

    fn told(&self, arguments: &[&str]) -> Value {
        let output = self.reset(&[arguments, &["-y", "-o", "json"]].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        assert_eq!(error, "");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Offset and text of both partitions, as committed.
    async fn committed(&self) -> Vec<(Option<i64>, String)> {
        let admin = Admin::open(self.servers, &BTreeMap::new()).unwrap();
        let asked = [0, 1].map(|number| TopicPartition::new(self.topic.as_str(), number));
        let answers = admin.committed(&self.topic, &asked, DEADLINE).await;
        let answers = answers.unwrap().into_values().map(Result::unwrap);
        answers
            .map(|committed| {
                let text = String::from_utf8(committed.metadata).unwrap();
                (committed.offset.map(|offset| offset.0), text)
            })
            .collect()
    }

    fn commit(&self, commits: &[(i32, i64, &str)]) {
        commit(self.servers, &self.topic, &self.topic, commits);
    }

    async fn until_nobody_is_in_the_group(&self) {
        let admin = Admin::open(self.servers, &BTreeMap::new()).unwrap();
        let began = Monotonic::start();
        while !admin
            .group(&self.topic, DEADLINE)
            .await
            .unwrap()
            .members
            .is_empty()
        {
            assert!(began.elapsed() < DEADLINE, "somebody is left");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Somebody who is in the group.
    fn member(&self) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.servers)
            .set("group.id", &self.topic)
            .set("client.id", "a-laptop")
            .set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[&self.topic]).unwrap();
        let began = Monotonic::start();
        while consumer.assignment().unwrap().count() == 0 {
            assert!(began.elapsed() < DEADLINE, "no assignment");
            consumer.poll(Duration::from_millis(50));
        }
        consumer
    }
}

fn failed(output: &Output) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(output.stdout.is_empty());
    error
}

fn at(offsets: [i64; 2]) -> Vec<(Option<i64>, String)> {
    let at = |offset| (Some(offset), String::new());
    offsets.map(at).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_group_goes_on_where_it_is_told() {
    let stage = Stage::of("reset-told").await;
    // What a worker said of its offset does not go on to another.
    let report = Report {
        pod: "orders-a".to_owned(),
        #[allow(
            clippy::single_range_in_vec_init,
            reason = "a list of ranges may have one"
        )]
        ahead: vec![4..5],
        ..Report::default()
    };
    stage.commit(&[(0, 2, &report.encode(Offset(2))), (1, 5, "")]);
    let before = stage.committed().await;

    let dry = stage.reset(&["--to", "earliest", "--dry-run"]);
    let text = String::from_utf8(dry.stdout).unwrap();
    assert!(dry.status.success(), "{text}");
    assert!(text.contains("PASSED OVER  AGAIN"), "{text}");
    assert!(text.contains("Nothing was written."), "{text}");
    assert_eq!(stage.committed().await, before);

    let report = stage.told(&["--to", "earliest"]);
    let partitions = report["partitions"].as_array().unwrap();
    let numbers = ["from", "to", "passedOver", "again"];
    let numbers = |of: &Value| numbers.map(|name| of[name].as_i64().unwrap());
    assert_eq!(numbers(&partitions[0]), [2, 0, 0, 3]);
    assert_eq!(numbers(&partitions[1]), [5, 0, 0, 5]);
    assert_eq!(report["written"], true);
    assert_eq!(stage.committed().await, at([0, 0]));

    // One of them, at an offset.
    let report = stage.told(&["--to", "3", "--partition", "1"]);
    assert_eq!(numbers(&report["partitions"][0]), [0, 3, 3, 0]);
    assert_eq!(stage.committed().await, at([0, 3]));
    // Both at their ends, and by the records' own times.
    stage.told(&["--to", "latest", "--topic", &stage.topic]);
    assert_eq!(stage.committed().await, at([5, 5]));
    stage.told(&["--to", "2h"]);
    assert_eq!(stage.committed().await, at([0, 0]));
    stage.told(&["--to", "2999-01-01T00:00:00Z"]);
    assert_eq!(stage.committed().await, at([5, 5]));

    // For people, with what comes next.
    let output = stage.reset(&["--to", "earliest", "-y"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let resume = format!(
        "2 of 2 partitions are set in group {}; let it go on: drover resume orders -n {}",
        stage.topic, stage.namespace
    );
    assert!(text.contains(&resume), "{text}");
    let events: Api<Event> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let events = events.list(&ListParams::default()).await.unwrap();
    let mut events = events.items.iter();
    let first = events.find(|event| {
        let note = event.note.as_deref().unwrap_or_default();
        event.reason.as_deref() == Some("OffsetsReset") && note.contains("[0] 2 → 0")
    });
    assert!(first.is_some(), "no event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_under_a_fleet_that_may_commit() {
    let stage = Stage::of("reset-refused").await;
    stage.commit(&[(0, 2, ""), (1, 2, "")]);
    let to = ["--to", "earliest", "-y"];
    let namespace = &stage.namespace;

    stage.pause(false).await;
    let error = failed(&stage.reset(&to));
    for part in [
        "KafkaConsumer orders is not paused",
        &format!("drover pause orders -n {namespace};"),
        &format!("drover status orders -n {namespace} says Paused"),
    ] {
        assert!(error.contains(part), "{error}");
    }
    // To look takes no pause.
    let dry = stage.reset(&["--to", "earliest", "--dry-run"]);
    let text = String::from_utf8(dry.stdout).unwrap();
    assert!(text.contains("Before it can be done: "), "{text}");
    stage.pause(true).await;

    let member = stage.member();
    let error = failed(&stage.reset(&to));
    for part in ["has 1 member (a-laptop)", "no pod is left"] {
        assert!(error.contains(part), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.yaml");
    std::fs::write(&file, stage.document.to_string()).unwrap();
    let of_file = |arguments: &[&str]| {
        let mut command = stage.drover(arguments);
        command.arg("-f").arg(&file).output().unwrap()
    };
    assert!(failed(&of_file(&to)).contains("stop them; if they are pods"));
    drop(member);
    stage.until_nobody_is_in_the_group().await;

    let begins = "begins at 0 and ends before 5; give an offset from 0 to 5";
    for (arguments, says) in [
        (vec!["--to", "6", "--partition", "1", "-y"], begins),
        (vec!["--to", "3", "-y"], "say which with --partition"),
        (
            vec!["--to", "latest", "--partition", "2", "-y"],
            "has 2 partitions, from 0",
        ),
        (
            vec!["--to", "latest", "--topic", "refunds", "-y"],
            "does not consume topic refunds",
        ),
        (vec!["--to", "latest"], "no terminal to ask on; add --yes"),
    ] {
        let error = failed(&stage.reset(&arguments));
        assert!(error.contains(says), "{says}: {error}");
    }
    let mut elsewhere = stage.drover(&to);
    elsewhere.args(["orders", "-n", namespace]);
    let elsewhere = elsewhere.env("DROVER_BOOTSTRAP", "127.0.0.1:2").output();
    let error = failed(&elsewhere.unwrap());
    assert!(error.contains("nothing was done"), "{error}");
    let nobody = stage.drover(&to).output().unwrap();
    assert!(failed(&nobody).contains("no KafkaConsumer is named"));
    assert_eq!(stage.committed().await, at([2, 2]));

    // A file is enough where nobody is in the group.
    let output = of_file(&to);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert_eq!(stage.committed().await, at([0, 0]));
}

/// Of any program, or of `drover dev`, whose group no KafkaConsumer names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_no_kafka_consumer_is_set_by_its_name() {
    let mut stage = Stage::of("reset-group").await;
    stage.commit(&[(0, 2, ""), (1, 2, "")]);
    stage.document["spec"]["groupId"] = json!("another");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.yaml");
    std::fs::write(&file, stage.document.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let topic = stage.topic.as_str();
    let by_name = ["--bootstrap", stage.servers, "--group", topic, "-y"];
    let of_file = ["-f", file, "--group", topic, "-y"];
    let reset =
        |of: &[&str], arguments: &[&str]| stage.drover(&[of, arguments].concat()).output().unwrap();

    let member = stage.member();
    for of in [&by_name, &of_file] {
        let error = failed(&reset(of, &["--topic", topic, "--to", "earliest"]));
        for part in ["has 1 member (a-laptop)", "stop them first"] {
            assert!(error.contains(part), "{error}");
        }
    }
    drop(member);
    stage.until_nobody_is_in_the_group().await;
    let error = failed(&reset(&by_name, &["--to", "earliest"]));
    assert!(error.contains("add --topic"), "{error}");
    let error = failed(&stage.reset(&["--group", topic, "--to", "earliest", "-y"]));
    assert!(error.contains("leave --group away"), "{error}");
    assert_eq!(stage.committed().await, at([2, 2]));

    let output = reset(&by_name, &["--topic", topic, "--to", "latest"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let done = format!("set in group {topic}; start again what reads in it");
    assert!(text.contains(&done), "{text}");
    assert_eq!(stage.committed().await, at([5, 5]));
    let output = reset(&of_file, &["--to", "earliest"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&done), "{text}");
    assert_eq!(stage.committed().await, at([0, 0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_does_not_exist_gets_its_offsets() {
    let stage = Stage::of("reset-new").await;
    let report = stage.told(&["--to", "latest"]);
    for partition in report["partitions"].as_array().unwrap() {
        // Unknown is not zero.
        for name in ["from", "passedOver", "again"] {
            assert_eq!(partition[name], Value::Null, "{partition}");
        }
    }
    assert_eq!(stage.committed().await, at([5, 5]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_topic_that_was_made_anew_no_count_is_told() {
    let stage = Stage::of("reset-anew").await;
    let report = Report {
        topic_id: Some("of-the-one-before-this".to_owned()),
        ..Report::default()
    };
    stage.commit(&[(0, 3, &report.encode(Offset(3))), (1, 3, "")]);
    let told = stage.told(&["--to", "earliest"]);
    let first = &told["partitions"][0];
    assert_eq!(first["recreated"], true, "{first}");
    assert_eq!(first["again"], Value::Null, "{first}");
    assert_eq!(told["partitions"][1]["again"], 3);
    assert_eq!(stage.committed().await, at([0, 0]));
}

/// Kafka refuses by the partition: those of a topic that this user may see and not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_partitions_that_kafka_refuses_it_is_said_and_the_others_are_set() {
    let servers = acls::broker().servers.as_str();
    let mut topics = Vec::new();
    for name in ["reset-allowed", "reset-refused"] {
        let topic = acls::broker().create_topic(name, 1).await;
        produce(servers, &topic, &[0], 5);
        topics.push(topic);
    }
    let [allowed, refused] = [&topics[0], &topics[1]];
    for topic in [allowed, refused] {
        commit(servers, allowed, topic, &[(0, 3, "")]);
    }
    acls::allow(Of::Topic(refused), DESCRIBE);
    let stage = Stage::on(servers, &[allowed, refused]).await;

    let output = stage.reset(&["--to", "earliest", "-y", "-o", "json"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    let named = format!("set the offset of {refused}[0]: ");
    assert!(
        error.contains(&named) && error.contains("give this user the right"),
        "{error}"
    );
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["partitions"][0]["error"], Value::Null, "{told}");
    assert!(told["partitions"][1]["error"].is_string(), "{told}");
    let admin = Admin::open(servers, &BTreeMap::new()).unwrap();
    let asked = [allowed, refused].map(|topic| TopicPartition::new(topic.as_str(), 0));
    let found = admin.committed(allowed, &asked, DEADLINE).await.unwrap();
    let found = found.into_values().map(|answer| answer.unwrap().offset);
    assert_eq!(
        found.collect::<Vec<_>>(),
        [Some(Offset(0)), Some(Offset(3))]
    );

    // For people; and the event tells of what was done only.
    let output = stage.reset(&["--to", "latest", "-y"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let set =
        format!("1 of 2 partitions is set in group {allowed}, and the rest stay where they were");
    assert!(text.contains(&set), "{text}");
    let events: Api<Event> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let events = events.list(&ListParams::default()).await.unwrap();
    let notes = events
        .items
        .iter()
        .filter_map(|event| event.note.as_deref());
    let notes: Vec<_> = notes
        .filter(|note| note.contains(allowed.as_str()))
        .collect();
    assert!(!notes.is_empty());
    assert!(
        !notes.iter().any(|note| note.contains(refused.as_str())),
        "{notes:?}"
    );
}
