//! `drover dlq list` and `show`: what is there, and what of it is shown.

use std::process::Command;

use std::path::Path;
use std::time::Duration;

use rdkafka::producer::Producer;
use serde_json::json;

use super::{DEADLINE, Stage, said, told};
use crate::cli_top::terminal::Terminal;
use crate::lag_admin::{mock, produce};

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

/// Of brokers that are slow; none is shown where nobody looks, see above.
#[test]
fn on_a_terminal_it_is_shown_how_far_the_reading_of_a_long_topic_has_come() {
    let mock = mock(&[("dead", 1), ("there", 1)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "dead", &[0], 5);
    mock.broker_round_trip_time(1, Duration::from_secs(1))
        .unwrap();
    for (verb, end) in [
        ("list", "5 dead letters in dead"),
        ("show", "dead[0] offset 4"),
        (
            "replay --dry-run --to there",
            "5 dead letters of dead would be replayed",
        ),
    ] {
        let verb: Vec<&str> = verb.split(' ').collect();
        let place = ["--topic", "dead", "--bootstrap", &servers];
        let arguments = [&["dlq"], &verb[..], &place].concat();
        let mut terminal = Terminal::start(&arguments, Path::new("/nonexistent"), (80, 60));
        terminal.wait_for("how far it is", |screen| screen.contains(" of 5 records, "));
        let screen = terminal.wait_for("what was found", |screen| screen.contains(end));
        assert!(!screen.contains("of 5 records"), "{screen}");
        assert_eq!(terminal.ended(), Some(0));
    }
}

#[test]
fn who_is_shown_some_is_told_that_there_are_more() {
    let mock = mock(&[("dead", 1)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "dead", &[0], 20);
    for (limit, shown, more) in [("10", 10, true), ("19", 19, true), ("20", 20, false)] {
        let show = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
            let place = ["--topic", "dead", "--bootstrap", &servers];
            command.args(["dlq", "show", "--limit", limit]).args(place);
            command
        };
        let json = told(&mut show());
        assert_eq!(json["letters"].as_array().unwrap().len(), shown, "{json}");
        assert_eq!(json["more"], more, "{json}");
        let text = said(&mut show());
        let words = format!("more dead letters in dead than these {shown}: --limit shows more");
        assert_eq!(text.contains(&words), more, "{text}");
    }
}
