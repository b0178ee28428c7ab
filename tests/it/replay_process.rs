//! What the Job of a DeadLetterReplay runs, as a process, against a real broker.

use std::path::Path;
use std::process::{Command, Stdio};

use drover::worker_config::Security;
use drover::worker_config::replay::{ENV_REPLAY, Ending, Filter, ReplayConfig, ReplayResult};

use crate::cli_dlq::Stage;
use crate::lag_broker::broker;

fn config(stage: &Stage) -> ReplayConfig {
    ReplayConfig {
        replay: "shop/again".to_owned(),
        id: format!("again-{}", stage.topic),
        bootstrap_servers: stage.servers.to_owned(),
        // Of the fleet: for its group, of which a replay is no member.
        properties: [("session.timeout.ms".to_owned(), "6000".to_owned())].into(),
        security: Security::default(),
        consumer: "orders".to_owned(),
        topics: vec![stage.topic.clone()],
        retry_topic: None,
        dead_letter_topic: stage.dlq.clone(),
        filter: Filter::default(),
        to: None,
        to_source: false,
        rate: None,
        dry_run: false,
        max_replays: 3,
        stop_at: 50,
        settle_millis: 0,
        bypass: None,
    }
}

fn program(config: &str, result: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drover-worker"));
    command
        .args(["--replay", "--replay-result"])
        .arg(result)
        .env(ENV_REPLAY, config)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Its exit code and what it leaves behind.
fn ran(config: &ReplayConfig) -> (Option<i32>, ReplayResult) {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("termination-log");
    let config = serde_json::to_string(config).unwrap();
    let output = program(&config, &result).output().unwrap();
    let left = std::fs::read_to_string(&result)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), serde_json::from_str(&left).unwrap())
}

#[tokio::test]
async fn a_replay_leaves_its_counts_behind_and_a_second_attempt_moves_nothing_twice() {
    let stage = Stage::of("replay-process", 3).await;
    stage.write(0, 30, "Rejected");
    stage.write(30, 20, "AttemptsExhausted");
    let mut config = config(&stage);
    config.filter.reasons = vec!["Rejected".to_owned()];

    let plan = ReplayConfig {
        dry_run: true,
        ..config.clone()
    };
    let (code, plan) = ran(&plan);
    assert_eq!((code, plan.ending), (Some(0), Ending::Complete), "{plan:?}");
    let would = plan.would_replay.unwrap();
    assert_eq!((would.total, would.reasons["Rejected"]), (30, 30));
    assert!(stage.read(&stage.topic).is_empty());

    let (code, first) = ran(&config);
    assert_eq!(
        (code, first.ending),
        (Some(0), Ending::Complete),
        "{first:?}"
    );
    assert_eq!((first.replayed, first.failed_again), (30, Some(0)));
    assert_eq!(first.left_out.unwrap().not_meant, 20);
    stage.assert_moved(&stage.topic, 0..30);
    for read in stage.read(&stage.topic) {
        assert_eq!(read.header("drover-redrive-id"), Some(config.id.as_str()));
    }

    let (code, again) = ran(&config);
    assert_eq!((code, again.replayed), (Some(0), 0), "{again:?}");
    stage.assert_moved(&stage.topic, 0..30);

    // The same marks as the command line's: another filter goes on from them.
    config.filter = Filter::default();
    let (code, rest) = ran(&config);
    assert_eq!((code, rest.replayed), (Some(0), 20), "{rest:?}");
    assert_eq!(rest.left_out.unwrap().replayed_before, 30);
    stage.assert_moved(&stage.topic, 0..50);
}

#[tokio::test]
async fn what_keeps_a_replay_from_its_end_is_left_behind_with_what_was_moved() {
    let stage = Stage::of("replay-refused", 1).await;
    stage.write(0, 5, "Rejected");
    let foreign = broker().create_topic("replay-refused-foreign", 1).await;
    let mut config = config(&stage);
    config.topics = vec![foreign];
    let (code, left) = ran(&config);
    assert_eq!(
        (code, left.ending, left.replayed),
        (Some(1), Ending::Error, 0)
    );
    let error = left.error.unwrap();
    for words in [
        stage.topic.as_str(),
        "KafkaConsumer orders",
        "spec.filter.originTopics",
    ] {
        assert!(error.contains(words), "{words}: {error}");
    }
    assert!(!error.contains("--"), "{error}");
    assert!(stage.read(&stage.topic).is_empty());
}

#[tokio::test]
async fn a_replay_that_another_one_ends_is_not_tried_again() {
    let stage = Stage::of("replay-fenced", 1).await;
    stage.write(0, 40, "Rejected");
    let slow = ReplayConfig {
        rate: Some(2.0),
        ..config(&stage)
    };
    let running = std::thread::spawn(move || ran(&slow));
    let clock = drover::clock::Monotonic::start();
    while stage.read(&stage.topic).is_empty() {
        assert!(clock.elapsed().as_secs() < 90, "nothing was replayed");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (code, other) = ran(&config(&stage));
    assert_eq!(
        (code, other.ending),
        (Some(0), Ending::Complete),
        "{other:?}"
    );
    let (code, ended) = running.join().unwrap();
    assert_eq!((code, ended.ending), (Some(5), Ending::Fenced), "{ended:?}");
    assert_eq!(ended.replayed + other.replayed, 40);
    stage.assert_moved(&stage.topic, 0..40);
}

#[test]
fn a_configuration_that_cannot_be_read_is_given_up_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("termination-log");
    let output = program("{\"unknown\": 1}", &result).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let left = std::fs::read_to_string(&result).unwrap();
    let left: ReplayResult = serde_json::from_str(&left).unwrap();
    assert!(left.error.unwrap().contains(ENV_REPLAY));
}
