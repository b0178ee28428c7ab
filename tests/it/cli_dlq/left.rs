//! What a replay cannot move: letters that their topic does not take, and letters that were deleted before their turn.

use std::process::Command;
use std::time::Duration;

use drover::clock::Monotonic;
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::Producer;
use serde_json::Value;

use super::{DEADLINE, Stage, failed, told};

/// More than a topic takes that a test makes for it.
const TOO_LARGE: usize = 9_000;

pub(super) fn admin(servers: &str) -> AdminClient<DefaultClientContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).create().unwrap()
}

/// A topic with this setting, beside those of `stage`.
async fn topic_with(stage: &Stage, name: &str, setting: (&str, &str)) -> String {
    let name = format!("{}-{name}", stage.topic);
    let topic = NewTopic::new(&name, 2, TopicReplication::Fixed(1)).set(setting.0, setting.1);
    let made = admin(stage.servers)
        .create_topics([&topic], &AdminOptions::new())
        .await;
    made.unwrap().pop().unwrap().unwrap();
    // The broker answers before all of it knows the topic.
    let clock = Monotonic::start();
    let known = |metadata: rdkafka::metadata::Metadata| {
        let partitions = metadata.topics()[0].partitions();
        !partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0)
    };
    let asked = stage.producer();
    while !asked
        .client()
        .fetch_metadata(Some(&name), DEADLINE)
        .is_ok_and(known)
    {
        assert!(clock.elapsed() < DEADLINE, "{name} does not appear");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    name
}

impl Stage {
    /// With a topic whose records may be this large.
    async fn narrow(name: &str) -> Self {
        let mut stage = Self::of(name, 2).await;
        stage.topic = topic_with(&stage, "narrow", ("max.message.bytes", "4000")).await;
        stage
    }

    async fn widen(&self) {
        let wide = AlterConfig::new(ResourceSpecifier::Topic(&self.topic))
            .set("max.message.bytes", "1000000");
        let altered = admin(self.servers)
            .alter_configs([&wide], &AdminOptions::new())
            .await;
        altered.unwrap().pop().unwrap().unwrap();
    }

    /// Dead letters numbered from `first`; some are too large for the narrow topic.
    fn write_some_large(&self, first: usize, count: usize, large: &[usize]) {
        let producer = self.producer();
        for number in first..first + count {
            let mut padding = String::new();
            if large.contains(&number) {
                padding = incompressible(TOO_LARGE, number);
            }
            let headers = [
                ("drover-dlq-topic", self.topic.as_str()),
                ("drover-dlq-reason", "Rejected"),
                ("padding", &padding),
            ];
            let key = format!("key-{}", number % 10);
            self.put(&producer, &key, &number.to_string(), &headers);
        }
        producer.flush(DEADLINE).unwrap();
    }
}

/// What a topic takes is measured after compression.
fn incompressible(length: usize, seed: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut letter = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'!' + (state >> 33) as u8 % 90)
    };
    (0..length).map(|_| letter()).collect()
}

/// The report of a replay that ends with this code.
fn ended(command: &mut Command, code: i32) -> Value {
    let output = command.args(["-o", "json"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn what_its_topic_does_not_take_stays_and_the_others_go_on() {
    let stage = Stage::narrow("dlq-refused").await;
    let large = [13, 40, 41];
    stage.write_some_large(0, 60, &large);
    let report = ended(&mut stage.dlq("replay", &[]), 1);
    assert_eq!(report["outcome"], "Incomplete", "{report}");
    assert_eq!(report["replayed"], 57, "{report}");
    assert_eq!(report["refused"].as_array().unwrap().len(), 3, "{report}");
    let small = |numbers: std::ops::Range<usize>| numbers.filter(|number| !large.contains(number));
    stage.assert_moved(&stage.topic, small(0..60));
    assert_eq!(told(&mut stage.dlq("list", &[]))["replayed"], 57);

    // The next one moves what is new, and nothing twice.
    stage.write_some_large(60, 5, &[]);
    let report = ended(&mut stage.dlq("replay", &[]), 1);
    assert_eq!(report["replayed"], 5, "{report}");
    stage.assert_moved(&stage.topic, small(0..65));
    // What was refused is not what replays have passed.
    told(&mut stage.dlq("purge", &["--replayed", "--yes"]));
    let letters = stage.read(&stage.dlq);
    let kept = letters
        .iter()
        .filter(|read| large.contains(&read.value.parse().unwrap()));
    assert_eq!(kept.count(), 3);

    stage.widen().await;
    let report = told(&mut stage.dlq("replay", &[]));
    assert_eq!(report["replayed"], 3, "{report}");
    let mut found = stage.read(&stage.topic);
    found.sort_by_key(|read| read.value.parse::<usize>().unwrap());
    let numbers = found
        .iter()
        .map(|read| read.value.parse::<usize>().unwrap());
    assert!(numbers.eq(0..65));
    let report = told(&mut stage.dlq("replay", &[]));
    assert_eq!(report["replayed"], 0, "{report}");
}

#[tokio::test]
async fn a_replay_that_is_killed_among_refused_letters_goes_on_without_loss_or_repetition() {
    let stage = Stage::narrow("dlq-refused-killed").await;
    let large = [3, 60, 61, 200, 399];
    stage.write_some_large(0, 400, &large);
    let mut found = 0;
    for _ in 0..4 {
        let mut replaying = stage.replaying(&["--rate", "60"]);
        found = stage.wait_for_more_than(found, &mut replaying).await;
        replaying.0.kill().unwrap();
        replaying.0.wait().unwrap();
    }
    let report = ended(&mut stage.dlq("replay", &[]), 1);
    assert_eq!(report["refused"].as_array().unwrap().len(), 5, "{report}");
    stage.assert_moved(
        &stage.topic,
        (0..400).filter(|number| !large.contains(number)),
    );
}

/// Each transaction leaves an offset of its own in each partition that it wrote to.
#[tokio::test]
async fn a_topic_that_takes_less_than_a_batch_gets_smaller_batches() {
    let mut stage = Stage::of("dlq-batches", 1).await;
    stage.topic = topic_with(&stage, "small", ("max.message.bytes", "40000")).await;
    let producer = stage.producer();
    for number in 0..3_000 {
        let padding = incompressible(500, number);
        let headers = [
            ("drover-dlq-topic", stage.topic.as_str()),
            ("drover-dlq-reason", "Rejected"),
            ("padding", &padding),
        ];
        let key = format!("key-{}", number % 10);
        stage.put(&producer, &key, &number.to_string(), &headers);
    }
    producer.flush(DEADLINE).unwrap();
    let report = told(&mut stage.dlq("replay", &[]));
    assert_eq!(report["replayed"], 3_000, "{report}");
    stage.assert_moved(&stage.topic, 0..3_000);
    let ends = (0..2).map(|partition| {
        let client = producer.client();
        let marks = client.fetch_watermarks(&stage.topic, partition, DEADLINE);
        marks.unwrap().1
    });
    let transactions = ends.sum::<i64>() - 3_000;
    assert!(transactions < 300, "{transactions}");
}

#[tokio::test]
async fn more_letters_than_are_tried_at_once_do_not_keep_those_behind_them() {
    let stage = Stage::narrow("dlq-refused-many").await;
    let large: Vec<usize> = (10..35).collect();
    stage.write_some_large(0, 60, &large);
    let error = failed(&stage.dlq("replay", &[]).output().unwrap(), 2);
    assert!(error.contains("--partition and --offsets"), "{error}");
    let report = ended(&mut stage.dlq("replay", &[]), 1);
    assert_eq!(report["refused"].as_array().unwrap().len(), 25, "{report}");
    let small = (0..60).filter(|number| !large.contains(number));
    stage.assert_moved(&stage.topic, small);
}

#[tokio::test]
async fn a_topic_that_takes_nothing_ends_a_replay_soon() {
    let stage = Stage::narrow("dlq-refuses-all").await;
    stage.write_some_large(0, 100, &Vec::from_iter(0..100));
    let error = failed(&stage.dlq("replay", &[]).output().unwrap(), 2);
    for words in [
        "so many were refused",
        "max.message.bytes",
        "0 were replayed",
    ] {
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[tokio::test]
async fn letters_that_are_deleted_before_their_turn_are_told() {
    let stage = Stage::of("dlq-deleted", 1).await;
    // More than is read ahead.
    let producer = stage.producer();
    for number in 0..2_000 {
        let padding = incompressible(25_000, number);
        let headers = [("drover-dlq-topic", stage.topic.as_str())];
        while producer.in_flight_count() > 500 {
            producer.poll(Duration::from_millis(10));
        }
        stage.put(&producer, "key", &padding, &headers);
    }
    producer.flush(DEADLINE).unwrap();
    let mut replaying = stage.replaying(&["--rate", "150", "-o", "json"]);
    stage.wait_for_more_than(0, &mut replaying).await;
    told(&mut stage.dlq("purge", &["--all", "--yes"]));
    let (mut text, mut error) = (String::new(), String::new());
    std::io::Read::read_to_string(&mut replaying.0.stdout.take().unwrap(), &mut text).unwrap();
    std::io::Read::read_to_string(&mut replaying.0.stderr.take().unwrap(), &mut error).unwrap();
    assert_eq!(replaying.0.wait().unwrap().code(), Some(1), "{error}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["outcome"], "Incomplete");
    let deleted = report["leftOut"]["deleted"].as_u64().unwrap();
    let moved = report["replayed"].as_u64().unwrap();
    assert!(deleted > 0 && moved > 0, "{report}");
    assert_eq!(moved + deleted, 2_000, "{report}");
}

#[tokio::test]
async fn a_topic_that_is_only_compacted_cannot_be_purged_and_it_is_said_why() {
    let mut stage = Stage::of("purge-compacted", 1).await;
    stage.dlq = topic_with(&stage, "compacted", ("cleanup.policy", "compact")).await;
    stage.write(0, 3, "Rejected");
    let purge = stage.dlq("purge", &["--all", "--yes"]).output().unwrap();
    assert!(failed(&purge, 2).contains("cleanup.policy"));
}
