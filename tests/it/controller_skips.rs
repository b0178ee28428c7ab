//! What `drover skip` writes, and what the controller makes of it, on a real API server.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use drover::api::KafkaConsumer;
use drover::worker_config::WorkerConfig;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use rdkafka::producer::{BaseRecord, Producer};
use serde_json::{Value, json};

use crate::controller_rollouts::configuration;
use crate::lag_admin::commit;
use crate::support::operator::{Operator, wait_for};

const SKIP: &str = "drover.dev/skip";
const WRITTEN: i64 = 1_700_000_000_000;

struct Stage {
    operator: Operator,
    servers: String,
}

impl Stage {
    /// A fleet on a topic of which partition 1 has five records, and two are committed.
    async fn new() -> Self {
        let operator = Operator::start(&["events"]).await;
        let servers = operator.kafka.bootstrap_servers();
        let producer: rdkafka::producer::BaseProducer = rdkafka::ClientConfig::new()
            .set("bootstrap.servers", &servers)
            .create()
            .unwrap();
        for number in 0..5 {
            let record = BaseRecord::<(), str>::to("events").partition(1);
            let record = record.payload("hush").timestamp(WRITTEN + number);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(60)).unwrap();
        operator.create("fleet", operator.spec("events")).await;
        let stage = Self { operator, servers };
        commit(&stage.servers, &stage.group(), "events", &[(1, 2, "")]);
        stage.skips("[]", |config| config.skips.is_empty()).await;
        stage
    }

    fn group(&self) -> String {
        format!("{}.fleet", self.operator.namespace)
    }

    fn drover(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
        command
            .args(arguments)
            .args(["-n", &self.operator.namespace, "--timeout", "90s"])
            .env("KUBECONFIG", self.operator.cluster().kubeconfig())
            .env_remove("DROVER_BOOTSTRAP")
            .stdin(Stdio::null());
        command.output().unwrap()
    }

    /// `drover skip` of an offset of partition 1.
    fn skip(&self, offset: &str) -> Output {
        let place = [
            "--partition",
            "1",
            "--offset",
            offset,
            "--reason",
            "no such user",
            "-y",
        ];
        self.drover(&[&["skip", "fleet"][..], &place].concat())
    }

    async fn annotation(&self) -> Value {
        let consumers: Api<KafkaConsumer> = self.operator.api();
        let consumer = consumers.get("fleet").await.unwrap();
        let text = consumer.annotations().get(SKIP).cloned();
        serde_json::from_str(&text.unwrap_or("[]".to_owned())).unwrap()
    }

    async fn annotate(&self, text: Option<&str>) {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { SKIP: text } } }));
        let consumers: Api<KafkaConsumer> = self.operator.api();
        let params = PatchParams::default();
        consumers.patch("fleet", &params, &patch).await.unwrap();
    }

    /// Waits until the workers' configuration is as it should be.
    async fn skips(&self, what: &str, is: impl Fn(&WorkerConfig) -> bool) -> WorkerConfig {
        let config = |deployment: &Deployment| {
            configuration(deployment.spec.template.spec.as_ref().unwrap())
        };
        let what = format!("the configuration with {what}");
        let found = self.operator.object("fleet", &what, |it| is(&config(it)));
        config(&found.await)
    }
}

fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn failed(output: &Output) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!error.contains("hush"), "{error}");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_skipped_is_noted_told_and_handed_to_the_workers() {
    let stage = Stage::new().await;
    let text = said(&stage.skip("3"));
    assert!(text.contains("fleet skips events[1] offset 3"), "{text}");
    let config = stage
        .skips("offset 3", |config| config.skips.len() == 1)
        .await;
    let skip = &config.skips[0];
    assert_eq!((skip.partition, skip.offset), (1, 3));
    assert_eq!(skip.timestamp, WRITTEN + 3);
    assert_eq!(skip.reason, "no such user");
    let noted = stage.annotation().await;
    assert!(
        noted[0]["by"].is_string() && noted[0]["at"].is_string(),
        "{noted}"
    );
    let events: Api<Event> = stage.operator.api();
    let note = wait_for("the event", async || {
        let all = events.list(&ListParams::default()).await.unwrap();
        let mut found = all
            .into_iter()
            .filter(|event| event.reason.as_deref() == Some("RecordSkipped"));
        found
            .next()
            .and_then(|event| event.note)
            .ok_or("none".to_owned())
    });
    let note = note.await;
    assert!(
        note.contains("skips events[1] offset 3: no such user"),
        "{note}"
    );

    // The same once more is no news; another one is, and what is committed past is forgotten then.
    let again = said(&stage.skip("3"));
    assert!(again.contains("is skipped already, by "), "{again}");
    commit(&stage.servers, &stage.group(), "events", &[(1, 4, "")]);
    said(&stage.skip("4"));
    let offsets = |config: &WorkerConfig| config.skips.iter().map(|s| s.offset).collect::<Vec<_>>();
    stage
        .skips("offset 4", |config| offsets(config) == [4])
        .await;

    // Without the annotation all is as it was.
    stage.annotate(None).await;
    stage
        .skips("no offset", |config| config.skips.is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_told_and_changes_nothing() {
    let stage = Stage::new().await;
    said(&stage.skip("3"));
    let skips = |config: &WorkerConfig| config.skips.len() == 1;
    stage.skips("offset 3", skips).await;
    stage.annotate(Some("orders/1/4")).await;
    let told = stage
        .operator
        .condition("fleet", "Ready", "False", "InvalidValue")
        .await;
    for words in [
        SKIP,
        "is no JSON list",
        "kubectl annotate kc fleet drover.dev/skip-",
    ] {
        assert!(told.message.contains(words), "{words}: {}", told.message);
    }
    stage.skips("offset 3 still", skips).await;
    // It is somebody's, so it is not thrown away.
    let refused = failed(&stage.skip("4"));
    assert!(refused.contains("take it away and skip again"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_skipped_is_refused_in_words() {
    let stage = Stage::new().await;
    let own = json!({
        "kafka": { "bootstrapServers": stage.servers },
        "topics": ["events"],
        "handler": { "consumer": {} },
        "template": { "spec": { "containers": [{ "name": "app", "image": "shop/app:1" }] } },
    });
    stage.operator.create("own", own).await;
    let mut several = stage.operator.spec("events");
    several["topics"] = json!(["events", "refunds"]);
    stage.operator.create("several", several).await;

    let at = |offset: &'static str| {
        [
            "--partition",
            "1",
            "--offset",
            offset,
            "--reason",
            "r",
            "-y",
        ]
    };
    for (name, more, says) in [
        (
            "fleet",
            at("1").to_vec(),
            "is committed past already: group",
        ),
        (
            "fleet",
            at("5").to_vec(),
            "is not there yet: the partition ends before 5",
        ),
        (
            "fleet",
            [&at("3")[..], &["--topic", "refunds"]].concat(),
            "does not consume topic refunds; its topics are: events",
        ),
        (
            "fleet",
            ["--partition", "9", "--offset", "3", "--reason", "r", "-y"].to_vec(),
            "topic events has 4 partitions",
        ),
        (
            "fleet",
            at("3")[..6].to_vec(),
            "no terminal to ask on; add --yes",
        ),
        (
            "fleet",
            [&at("3")[..], &["-f", "x.yaml"]].concat(),
            "-f names a file",
        ),
        (
            "fleet",
            [
                &at("3")[..],
                &["--bootstrap", "127.0.0.1:1", "--timeout", "1s"],
            ]
            .concat(),
            "check --bootstrap 127.0.0.1:1",
        ),
        (
            "own",
            at("3").to_vec(),
            "commits by itself (spec.handler.consumer)",
        ),
        (
            "several",
            at("3").to_vec(),
            "has several topics: events, refunds; say which",
        ),
        (
            "nowhere",
            at("3").to_vec(),
            "no KafkaConsumer nowhere in namespace",
        ),
    ] {
        // The last one that says it counts.
        let patient = ["skip", name];
        let output = if more.contains(&"--timeout") {
            let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
            command
                .args(patient)
                .args(&more)
                .args(["-n", &stage.operator.namespace]);
            command.env("KUBECONFIG", stage.operator.cluster().kubeconfig());
            command.stdin(Stdio::null()).output().unwrap()
        } else {
            stage.drover(&[&patient[..], &more].concat())
        };
        let error = failed(&output);
        assert!(error.contains(says), "{says}: {error}");
    }
    assert_eq!(stage.annotation().await, json!([]), "nothing was changed");
    let nobody = stage.drover(&[&["skip"][..], &at("3")].concat());
    assert!(failed(&nobody).contains("no KafkaConsumer is named"));
    // Wrong usage, by clap's words.
    for (arguments, says) in [
        (
            ["--partition", "1", "--offset", "3"].to_vec(),
            "--reason <TEXT>",
        ),
        (
            ["--partition", "1", "--offset", "3", "--reason", " "].to_vec(),
            "reason is empty",
        ),
        (
            ["--partition", "1", "--offset", "3", "--reason", "a\nb"].to_vec(),
            "a line break",
        ),
        (
            ["--partition=-1", "--offset", "3", "--reason", "r"].to_vec(),
            "-1 is not in",
        ),
    ] {
        let output = stage.drover(&[&["skip", "fleet"][..], &arguments].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(says), "{says}: {error}");
    }
}
