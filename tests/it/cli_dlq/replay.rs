//! `drover dlq replay`: what is moved, what is left out.

use rdkafka::producer::Producer;
use serde_json::json;

use super::{DEADLINE, Stage, told};
use crate::lag_broker::broker;

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

    // Their own topic is none other when it is named.
    let named = ["--to", &stage.topic];
    assert_eq!(told(&mut stage.dlq("replay", &named))["replayed"], 0);

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

#[tokio::test]
async fn a_dry_run_tells_what_would_end_the_replay() {
    let stage = Stage::of("dlq-foreseen", 1).await;
    stage.write(0, 3, "Rejected");
    let good = told(&mut stage.dlq("replay", &["--dry-run"]));
    assert_eq!(good["wouldFail"], json!([]));
    let producer = stage.producer();
    let gone = [("drover-dlq-topic", "gone-for-ever")];
    stage.put(&producer, "key-0", "3", &gone);
    producer.flush(DEADLINE).unwrap();
    for (arguments, count, topic) in [
        (&["--dry-run"][..], 4, "gone-for-ever"),
        (
            &["--dry-run", "--to", "nowhere-at-all"],
            4,
            "nowhere-at-all",
        ),
    ] {
        let mut plan = stage.dlq("replay", arguments);
        let output = plan.args(["-o", "json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(plan["wouldReplay"]["total"], count, "{plan}");
        let why = plan["wouldFail"][0].as_str().unwrap();
        assert!(why.contains(topic) && why.contains("--to"), "{why}");
    }
    assert!(stage.read(&stage.topic).is_empty());
}

#[tokio::test]
async fn where_too_many_filters_are_noted_it_is_said_before_and_a_purge_makes_room() {
    let stage = Stage::of("dlq-no-room", 1).await;
    stage.write(0, 10, "Rejected");
    let long = |number: usize| format!("{number}-{}", "k".repeat(600));
    let replay = |number: usize, more: &[&str]| {
        let mut command = stage.dlq("replay", &["--key", &long(number)]);
        command.args(more).output().unwrap()
    };
    let full = (0..10).find(|&number| !replay(number, &[]).status.success());
    let full = full.expect("there is always room");
    let dry = replay(full, &["--dry-run"]);
    assert_eq!(dry.status.code(), Some(1));
    let said = String::from_utf8(dry.stdout).unwrap();
    assert!(
        said.contains("purge --topic") && said.contains("--before OFFSET"),
        "{said}"
    );
    // As it says.
    let purge = ["--partition", "0", "--before", "10", "--yes"];
    assert_eq!(told(&mut stage.dlq("purge", &purge))["deleted"], 10);
    assert!(replay(full, &[]).status.success());
}
