//! `drover dlq` as a program, against a real broker, and a real API server where one is named.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use drover::api::KafkaConsumer;
use drover::clock::Monotonic;
use kube::Api;
use kube::api::PostParams;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::{Value, json};

mod left;

use crate::lag_broker::broker;
use crate::support::consumers::http_url;
use crate::support::control_plane::control_plane;

const DEADLINE: Duration = Duration::from_secs(90);

fn drover(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
    command
        .arg("dlq")
        .args(arguments)
        .env_remove("DROVER_BOOTSTRAP")
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null());
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn told(command: &mut Command) -> Value {
    serde_json::from_str(&said(command.args(["-o", "json"]))).unwrap()
}

fn failed(output: &Output, code: i32) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// A topic, its dead-letter topic, and what is in both.
pub struct Stage {
    pub servers: &'static str,
    pub topic: String,
    pub dlq: String,
}

impl Stage {
    pub async fn of(name: &str, partitions: i32) -> Self {
        let broker = broker();
        Self {
            servers: &broker.servers,
            topic: broker.create_topic(name, partitions).await,
            dlq: broker
                .create_topic(&format!("{name}-dlq"), partitions)
                .await,
        }
    }

    fn dlq(&self, verb: &str, arguments: &[&str]) -> Command {
        // The machine may be very busy.
        let patient = ["--timeout", "90s"];
        let servers = ["--bootstrap", self.servers, "--topic", &self.dlq];
        drover(&[&[verb], &servers[..], &patient, arguments].concat())
    }

    pub fn producer(&self) -> BaseProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.servers);
        config.set("partitioner", "murmur2_random");
        config.set("linger.ms", "5").create().unwrap()
    }

    /// Dead letters as Drover writes them, numbered from `first`: the key is the number modulo 10.
    pub fn write(&self, first: usize, count: usize, reason: &str) {
        let producer = self.producer();
        for number in first..first + count {
            let headers = [
                ("tenant", "a"),
                ("drover-dlq-topic", &self.topic),
                ("drover-dlq-partition", "0"),
                ("drover-dlq-offset", &number.to_string()),
                ("drover-dlq-reason", reason),
                ("drover-dlq-attempts", "5"),
                ("drover-dlq-status", "500"),
                ("drover-dlq-error", "boom"),
            ];
            self.put(
                &producer,
                &format!("key-{}", number % 10),
                &number.to_string(),
                &headers,
            );
        }
        producer.flush(DEADLINE).unwrap();
    }

    pub fn put(&self, producer: &BaseProducer, key: &str, value: &str, headers: &[(&str, &str)]) {
        let mut owned = OwnedHeaders::new();
        for (key, value) in headers {
            let value = Some(*value);
            owned = owned.insert(Header { key, value });
        }
        let record = BaseRecord::to(&self.dlq)
            .key(key)
            .payload(value)
            .headers(owned);
        producer.send(record).unwrap();
        producer.poll(Duration::ZERO);
    }

    /// All that a reader of committed records gets of `topic`, in its order.
    pub fn read(&self, topic: &str) -> Vec<Read> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.servers)
            .set("group.id", "reads")
            .set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).unwrap();
        let mut list = TopicPartitionList::new();
        let count = metadata.topics()[0].partitions().len();
        for partition in 0..count {
            let partition = i32::try_from(partition).unwrap();
            list.add_partition_offset(topic, partition, Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&list).unwrap();
        let (mut ends, mut found) = (0, Vec::new());
        let clock = Monotonic::start();
        while ends < count {
            assert!(clock.elapsed() < DEADLINE, "{topic} is not read");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => found.push(Read::of(&message)),
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ends += 1,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
        found
    }

    /// Each number once, those of a key in their order.
    #[track_caller]
    pub fn assert_moved(&self, topic: &str, numbers: impl Iterator<Item = usize>) {
        let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for read in self.read(topic) {
            by_key
                .entry(read.key)
                .or_default()
                .push(read.value.parse().unwrap());
        }
        let mut expected: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for number in numbers {
            expected
                .entry(format!("key-{}", number % 10))
                .or_default()
                .push(number);
        }
        assert!(by_key == expected, "{by_key:?}");
    }
}

pub struct Read {
    pub key: String,
    pub value: String,
    headers: Vec<(String, String)>,
}

impl Read {
    fn of(message: &impl Message) -> Self {
        let text =
            |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let headers = message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter());
        Self {
            key: text(message.key()),
            value: text(message.payload()),
            headers: headers.map(|h| (h.key.to_owned(), text(h.value))).collect(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n == name);
        let found = named.next().map(|(_, value)| value.as_str());
        assert!(named.next().is_none(), "{name} is there twice");
        found
    }
}

#[tokio::test]
async fn dead_letters_of_all_styles_are_counted_and_chosen() {
    let stage = Stage::of("dlq-styles", 2).await;
    let empty = said(&mut stage.dlq("list", &[]));
    assert_eq!(empty, format!("No dead letters in {}.\n", stage.dlq));

    stage.write(0, 3, "Rejected");
    let producer = stage.producer();
    let sentence = "AttemptsExhausted after 4 attempts: boom";
    for headers in [
        [
            ("kafka_dlt-original-topic", "orders"),
            ("kafka_dlt-exception-message", sentence),
        ],
        [
            ("__connect.errors.topic", "orders"),
            ("__connect.errors.exception.message", sentence),
        ],
        [("a", "1"), ("b", "2")],
    ] {
        stage.put(&producer, "k", "v", &headers);
    }
    producer.flush(DEADLINE).unwrap();

    let list = told(&mut stage.dlq("list", &[]));
    assert_eq!((&list["total"], &list["replayed"]), (&json!(6), &json!(0)));
    let reasons = json!({ "Rejected": 3, "AttemptsExhausted": 2, "unknown": 1 });
    assert_eq!(list["reasons"], reasons);
    assert_eq!(list["statuses"], json!({ "500": 3, "-": 3 }));
    assert_eq!(list["origins"][format!("{}[0]", stage.topic)], 3);
    for (filter, count) in [
        (&["--reason", "Rejected"][..], 3),
        (&["--reason", "Rejected", "--reason", "unknown"], 4),
        (&["--origin-topic", "orders"], 2),
        (&["--key", "key-1"], 1),
        (&["--header", "tenant=a", "--since", "1h"], 3),
        (&["--header", "a"], 1),
        (&["--until", "1h"], 0),
    ] {
        let list = told(&mut stage.dlq("list", filter));
        assert_eq!(list["total"], count, "{filter:?}");
    }
    // Nobody looks: no colours, no progress.
    let output = stage.dlq("list", &[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("Rejected           3") && !text.contains('\u{1b}'),
        "{text}"
    );
    assert_eq!(output.stderr, b"");
}

#[tokio::test]
async fn a_payload_is_shown_and_opened_only_if_asked_for() {
    let stage = Stage::of("dlq-show", 1).await;
    let keys = [
        ("ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY", "one"),
        ("ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT", "salt"),
    ];
    let mut encrypt = Command::new(env!("CARGO_BIN_EXE_drover"));
    let message = said(encrypt.args(["encrypt", "hush"]).envs(keys));
    let headers = [("drover-dlq-reason", "DecryptionFailed")];
    let producer = stage.producer();
    stage.put(&producer, "a-key", message.trim(), &headers);
    producer.flush(DEADLINE).unwrap();

    let text = said(&mut stage.dlq("show", &[]));
    assert!(
        text.contains("DecryptionFailed") && text.contains("--payload shows it"),
        "{text}"
    );
    assert!(!text.contains("a-key"), "{text}");
    let shown = told(&mut stage.dlq("show", &["--payload"]));
    assert_eq!(shown["letters"][0]["payload"], message.trim());
    assert_eq!(shown["letters"][0]["key"], "a-key");
    assert_eq!(shown["letters"][0].get("decrypted"), None);
    let opened = told(stage.dlq("show", &["--payload", "--decrypt"]).envs(keys));
    assert_eq!(opened["letters"][0]["decrypted"], "hush");
    let wrong = [keys[1], (keys[0].0, "two")];
    let not = told(stage.dlq("show", &["--payload", "--decrypt"]).envs(wrong));
    assert_eq!(not["letters"][0].get("decrypted"), None);
    assert!(not["letters"][0]["notDecrypted"].is_string(), "{not}");
}

#[tokio::test]
async fn replays_with_different_filters_move_each_dead_letter_once() {
    let stage = Stage::of("dlq-once", 3).await;
    stage.write(0, 50, "Rejected");
    stage.write(50, 40, "AttemptsExhausted");

    let plan = told(&mut stage.dlq("replay", &["--reason", "Rejected", "--dry-run"]));
    assert_eq!(plan["wouldReplay"]["total"], 50);
    assert!(stage.read(&stage.topic).is_empty());

    let some = told(&mut stage.dlq("replay", &["--reason", "Rejected"]));
    assert_eq!(
        (&some["replayed"], &some["outcome"]),
        (&json!(50), &json!("Complete"))
    );
    stage.assert_moved(&stage.topic, 0..50);
    let list = told(&mut stage.dlq("list", &[]));
    assert_eq!(
        (&list["total"], &list["replayed"]),
        (&json!(90), &json!(50))
    );

    let rest = told(&mut stage.dlq("replay", &[]));
    assert_eq!(rest["replayed"], 40);
    assert_eq!(rest["leftOut"]["replayedBefore"], 50);
    for filter in [&[][..], &["--reason", "Rejected"], &["--key", "key-1"]] {
        assert_eq!(
            told(&mut stage.dlq("replay", filter))["replayed"],
            0,
            "{filter:?}"
        );
    }
    stage.assert_moved(&stage.topic, 0..90);

    let replayed = stage.read(&stage.topic);
    assert_eq!(replayed[0].header("tenant"), Some("a"));
    assert_eq!(replayed[0].header("drover-redrive-count"), Some("1"));
    assert_eq!(replayed[0].header("drover-dlq-reason"), None);

    // Another topic is another matter.
    let copy = broker().create_topic("dlq-once-copy", 3).await;
    let more = [
        "--to",
        &copy,
        "--bypass-idempotency",
        "--bypass-header",
        "redrive",
    ];
    let copied = told(&mut stage.dlq("replay", &more));
    assert_eq!(copied["replayed"], 90);
    stage.assert_moved(&copy, 0..90);
    let id = copied["id"].as_str();
    assert_eq!(stage.read(&copy)[0].header("redrive"), id);
    assert_eq!(told(&mut stage.dlq("replay", &["--again"]))["replayed"], 90);
    assert_eq!(stage.read(&stage.topic).len(), 180);
    // Some of them again: the others stay noted.
    let some = ["--again", "--key", "key-1"];
    assert_eq!(told(&mut stage.dlq("replay", &some))["replayed"], 9);
    assert_eq!(told(&mut stage.dlq("replay", &[]))["replayed"], 0);
    assert_eq!(stage.read(&stage.topic).len(), 189);
}

#[tokio::test]
async fn what_was_replayed_too_often_or_has_no_origin_is_left_out_and_said() {
    let stage = Stage::of("dlq-guard", 1).await;
    let producer = stage.producer();
    let origin = ("drover-dlq-topic", stage.topic.as_str());
    let reason = ("drover-dlq-reason", "Rejected");
    stage.put(
        &producer,
        "key-0",
        "0",
        &[origin, reason, ("drover-redrive-count", "3")],
    );
    stage.put(&producer, "key-1", "1", &[reason]);
    stage.put(
        &producer,
        "key-2",
        "2",
        &[origin, reason, ("drover-redrive-count", "2")],
    );
    producer.flush(DEADLINE).unwrap();
    let report = told(&mut stage.dlq("replay", &[]));
    assert_eq!(report["replayed"], 1);
    assert_eq!(report["leftOut"]["replayedTooOften"], 1);
    assert_eq!(report["leftOut"]["withoutOrigin"], 1);
    assert_eq!(
        stage.read(&stage.topic)[0].header("drover-redrive-count"),
        Some("3")
    );
    // What was left out was not replayed, and can be.
    let more = told(&mut stage.dlq("replay", &["--max-replays", "9"]));
    assert_eq!(
        (&more["replayed"], &more["leftOut"]["replayedBefore"]),
        (&json!(1), &json!(1))
    );
    stage.assert_moved(&stage.topic, [2, 0].into_iter());
}

/// Ends with the test, however that ends.
struct Replaying(Child);

impl Replaying {
    /// What it has said on standard error, when it is over.
    fn told(&mut self) -> String {
        let _ = self.0.kill();
        let mut said = String::new();
        let mut error = self.0.stderr.take().unwrap();
        let _ = std::io::Read::read_to_string(&mut error, &mut said);
        said
    }
}

impl Drop for Replaying {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    fn replaying(&self, arguments: &[&str]) -> Replaying {
        let mut command = self.dlq("replay", arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Replaying(command.spawn().unwrap())
    }

    /// Waits until more than `count` records are in the topic.
    async fn wait_for_more_than(&self, count: usize, replaying: &mut Replaying) -> usize {
        let clock = Monotonic::start();
        loop {
            let found = self.read(&self.topic).len();
            if found > count {
                return found;
            }
            if clock.elapsed() > DEADLINE {
                let ended = replaying.0.try_wait();
                let said = replaying.told();
                panic!("only {found} records came, and the replay ({ended:?}) said {said}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_replay_that_is_killed_goes_on_without_loss_or_repetition() {
    let stage = Stage::of("dlq-killed", 2).await;
    // At that rate it would take minutes: it is in the middle however long a look takes.
    stage.write(0, 6_000, "Rejected");
    let mut found = 0;
    for _ in 0..2 {
        let mut replaying = stage.replaying(&["--rate", "50"]);
        found = stage.wait_for_more_than(found, &mut replaying).await;
        replaying.0.kill().unwrap();
        replaying.0.wait().unwrap();
        assert!(found < 6_000, "it was over before it was killed");
    }
    let report = told(&mut stage.dlq("replay", &[]));
    assert_eq!(report["outcome"], "Complete");
    stage.assert_moved(&stage.topic, 0..6_000);
    assert_eq!(told(&mut stage.dlq("replay", &[]))["replayed"], 0);
}

#[tokio::test]
async fn a_second_replay_ends_the_first_and_nothing_is_moved_twice() {
    let stage = Stage::of("dlq-fenced", 2).await;
    stage.write(0, 3_000, "Rejected");
    let mut first = stage.replaying(&["--rate", "25"]);
    stage.wait_for_more_than(0, &mut first).await;
    let report = told(&mut stage.dlq("replay", &[]));
    assert_eq!(report["outcome"], "Complete");
    let moved = report["replayed"].as_u64().unwrap();
    assert!((1..3_000).contains(&moved), "{report}");
    assert_eq!(first.0.wait().unwrap().code(), Some(2));
    let mut error = String::new();
    std::io::Read::read_to_string(&mut first.0.stderr.take().unwrap(), &mut error).unwrap();
    assert!(error.contains("another replay of this topic"), "{error}");
    stage.assert_moved(&stage.topic, 0..3_000);
}

#[tokio::test]
async fn ctrl_c_ends_a_replay_with_a_report_and_the_same_command_goes_on() {
    let stage = Stage::of("dlq-stopped", 2).await;
    stage.write(0, 3_000, "Rejected");
    let mut replaying = stage.replaying(&["--rate", "25", "-o", "json"]);
    stage.wait_for_more_than(0, &mut replaying).await;
    let pid = replaying.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let mut text = String::new();
    std::io::Read::read_to_string(&mut replaying.0.stdout.take().unwrap(), &mut text).unwrap();
    assert_eq!(replaying.0.wait().unwrap().code(), Some(130));
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["outcome"], "Interrupted");
    let moved = report["replayed"].as_u64().unwrap();
    assert_eq!(stage.read(&stage.topic).len() as u64, moved);
    let rest = told(&mut stage.dlq("replay", &[]));
    assert_eq!(rest["replayed"].as_u64().unwrap() + moved, 3_000);
    stage.assert_moved(&stage.topic, 0..3_000);
}

#[tokio::test]
async fn a_replay_stops_when_most_of_it_fails_again() {
    let stage = Stage::of("dlq-fails", 1).await;
    stage.write(0, 2_000, "Rejected");
    let mut replaying = stage.replaying(&["--rate", "20", "--stop-at", "30", "-o", "json"]);
    // A handler that refuses everything: each replayed record is a dead letter again.
    let producer = stage.producer();
    let clock = Monotonic::start();
    let mut back = 0;
    while replaying.0.try_wait().unwrap().is_none() {
        assert!(clock.elapsed() < DEADLINE, "it does not stop");
        for read in &stage.read(&stage.topic)[back..] {
            let id = read.header("drover-redrive-id").unwrap();
            stage.put(
                &producer,
                &read.key,
                &read.value,
                &[("drover-redrive-id", id)],
            );
            back += 1;
        }
        producer.flush(DEADLINE).unwrap();
    }
    assert_eq!(replaying.0.wait().unwrap().code(), Some(1));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut replaying.0.stdout.take().unwrap(), &mut text).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["outcome"], "Failing");
    assert!(report["failedAgain"].as_u64().unwrap() >= 20, "{report}");
    let moved = report["replayed"].as_u64().unwrap();
    assert!(moved < 2_000, "{report}");
    assert_eq!(stage.read(&stage.topic).len() as u64, moved);
}

#[tokio::test]
async fn purge_deletes_up_to_an_offset_and_never_without_being_told_to() {
    let stage = Stage::of("dlq-purge", 1).await;
    stage.write(0, 10, "Rejected");
    let asks = stage.dlq("purge", &["--all"]).output().unwrap();
    assert!(failed(&asks, 2).contains("add --yes"));
    let beyond = ["--partition", "0", "--before", "11", "--yes"];
    let beyond = stage.dlq("purge", &beyond).output().unwrap();
    assert!(failed(&beyond, 2).contains("lies behind the end"));
    assert_eq!(stage.read(&stage.dlq).len(), 10);
    let some = ["--partition", "0", "--before", "4", "--yes"];
    assert_eq!(told(&mut stage.dlq("purge", &some))["deleted"], 4);
    assert_eq!(stage.read(&stage.dlq)[0].value, "4");
    // Nothing was replayed yet.
    let replayed = ["--replayed", "--yes"];
    assert_eq!(told(&mut stage.dlq("purge", &replayed))["deleted"], 0);
    assert_eq!(told(&mut stage.dlq("replay", &[]))["replayed"], 6);
    stage.write(10, 2, "Rejected");
    assert_eq!(told(&mut stage.dlq("purge", &replayed))["deleted"], 6);
    assert_eq!(stage.read(&stage.dlq)[0].value, "10");
    assert_eq!(told(&mut stage.dlq("replay", &[]))["replayed"], 2);
    assert_eq!(
        told(&mut stage.dlq("purge", &["--all", "--yes"]))["deleted"],
        2
    );
    assert!(stage.read(&stage.dlq).is_empty());
}

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
