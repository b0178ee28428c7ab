//! Replays that end before they are through: killed, stopped, overtaken by another, failing again.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use drover::clock::Monotonic;
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::producer::Producer;
use serde_json::Value;

use super::left::admin;
use super::{DEADLINE, Stage, told};

/// Ends with the test, however that ends.
pub(super) struct Replaying(pub(super) Child);

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
    pub(super) fn replaying(&self, arguments: &[&str]) -> Replaying {
        let mut command = self.dlq("replay", arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Replaying(command.spawn().unwrap())
    }

    /// Waits until more than `count` records are in the topic.
    pub(super) async fn wait_for_more_than(
        &self,
        count: usize,
        replaying: &mut Replaying,
    ) -> usize {
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
async fn ctrl_c_while_it_looks_for_what_comes_back_leaves_nothing_to_go_on_with() {
    let stage = Stage::of("dlq-settling", 1).await;
    stage.write(0, 30, "Rejected");
    let mut command = stage.dlq("replay", &["--settle", "10m"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut replaying = Replaying(command.spawn().unwrap());
    stage.wait_for_more_than(29, &mut replaying).await;
    let pid = replaying.0.id().to_string();
    let told = Command::new("kill").args(["-INT", &pid]).status();
    assert!(told.unwrap().success());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut replaying.0.stdout.take().unwrap(), &mut text).unwrap();
    assert_eq!(replaying.0.wait().unwrap().code(), Some(130));
    assert!(text.starts_with("Interrupted: 30 dead letters"), "{text}");
    assert!(
        text.contains("nothing is left for the same command"),
        "{text}"
    );
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
async fn what_is_moved_again_goes_on_where_it_was_killed() {
    let stage = Stage::of("dlq-again-killed", 2).await;
    stage.write(0, 2_000, "Rejected");
    assert_eq!(told(&mut stage.dlq("replay", &[]))["replayed"], 2_000);
    let mut found = 2_000;
    for _ in 0..2 {
        let mut replaying = stage.replaying(&["--again", "--rate", "50"]);
        found = stage.wait_for_more_than(found, &mut replaying).await;
        replaying.0.kill().unwrap();
        replaying.0.wait().unwrap();
        assert!(found < 4_000, "it was over before it was killed");
    }
    let report = told(&mut stage.dlq("replay", &["--again"]));
    assert_eq!(report["outcome"], "Complete");
    assert!(report["replayed"].as_u64().unwrap() < 2_000, "{report}");
    let mut counts = vec![0; 2_000];
    for read in stage.read(&stage.topic) {
        counts[read.value.parse::<usize>().unwrap()] += 1;
    }
    assert!(counts.iter().all(|&count| count == 2), "{counts:?}");
    // It is through: the next wish is a new one.
    let some = ["--again", "--key", "key-1"];
    assert_eq!(told(&mut stage.dlq("replay", &some))["replayed"], 200);
    assert_eq!(told(&mut stage.dlq("replay", &some))["replayed"], 200);
}

#[tokio::test]
async fn what_is_in_a_topic_that_was_made_anew_meanwhile_counts_as_new() {
    let stage = Stage::of("dlq-made-anew", 1).await;
    stage.write(0, 3_000, "Rejected");
    let mut replaying = stage.replaying(&["--rate", "50"]);
    stage.wait_for_more_than(0, &mut replaying).await;
    let kafka = admin(stage.servers);
    let options = AdminOptions::new();
    let deleted = kafka.delete_topics(&[&stage.dlq], &options).await;
    deleted.unwrap().pop().unwrap().unwrap();
    let clock = Monotonic::start();
    // It is not gone at once.
    let anew = NewTopic::new(&stage.dlq, 1, TopicReplication::Fixed(1));
    while kafka.create_topics([&anew], &options).await.unwrap()[0].is_err() {
        assert!(clock.elapsed() < DEADLINE, "it cannot be made anew");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stage.write(10_000, 4_000, "Rejected");
    assert_eq!(replaying.0.wait().unwrap().code(), Some(2));
    let said = replaying.told();
    assert!(
        said.contains("made anew") || said.contains("nothing of it counts"),
        "{said}"
    );
    assert_eq!(told(&mut stage.dlq("list", &[]))["replayed"], 0);
    assert_eq!(told(&mut stage.dlq("replay", &[]))["replayed"], 4_000);
    let found = stage.read(&stage.topic);
    let numbers = found
        .iter()
        .map(|read| read.value.parse::<usize>().unwrap());
    let mut new: Vec<usize> = numbers.filter(|number| *number >= 10_000).collect();
    new.sort_unstable();
    assert!(new.into_iter().eq(10_000..14_000));
}
