//! `drover dlq purge`: what is deleted, and only if told to.

use std::path::Path;

use super::{Stage, failed, told};
use crate::cli_top::terminal::Terminal;

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
    let nothing = told(&mut stage.dlq("purge", &replayed));
    assert_eq!(nothing["deleted"], 0);
    assert_eq!(nothing["why"], "no replay has passed anything yet");
    assert_eq!(told(&mut stage.dlq("replay", &[]))["replayed"], 6);
    stage.write(10, 2, "Rejected");
    assert_eq!(told(&mut stage.dlq("purge", &replayed))["deleted"], 6);
    assert_eq!(stage.read(&stage.dlq)[0].value, "10");
    assert_eq!(told(&mut stage.dlq("replay", &[]))["replayed"], 2);
    assert_eq!(
        told(&mut stage.dlq("purge", &["--all", "--yes"]))["deleted"],
        2
    );
    let nothing = told(&mut stage.dlq("purge", &replayed));
    assert_eq!(nothing["why"], "it holds no dead letter");
    assert!(stage.read(&stage.dlq).is_empty());
}

#[tokio::test]
async fn after_replays_with_a_filter_it_is_said_why_nothing_is_deleted() {
    let stage = Stage::of("dlq-purge-filtered", 1).await;
    stage.write(0, 4, "Rejected");
    stage.write(4, 2, "Timeout");
    let some = ["--reason", "Rejected"];
    assert_eq!(told(&mut stage.dlq("replay", &some))["replayed"], 4);
    let replayed = ["--replayed", "--yes"];
    let nothing = told(&mut stage.dlq("purge", &replayed));
    assert_eq!(nothing["deleted"], 0);
    let why = nothing["why"].as_str().unwrap();
    assert!(why.starts_with("only replays with a filter"), "{why}");
    // As it says.
    assert_eq!(told(&mut stage.dlq("replay", &[]))["replayed"], 2);
    assert_eq!(told(&mut stage.dlq("purge", &replayed))["deleted"], 6);
    stage.write(6, 1, "Rejected");
    let nothing = told(&mut stage.dlq("purge", &replayed));
    assert_eq!(nothing["why"], "what replays have passed is gone already");
}

/// Ctrl-D ends the answer before its line.
#[tokio::test]
async fn in_a_terminal_purge_asks_and_only_the_topics_name_is_a_yes() {
    let stage = Stage::of("dlq-purge-asks", 1).await;
    stage.write(0, 3, "Rejected");
    let place = ["--topic", &stage.dlq, "--bootstrap", stage.servers];
    let arguments = [&["dlq", "purge", "--all"], &place[..]].concat();
    let asked = || {
        let mut terminal = Terminal::start(&arguments, Path::new("/nonexistent"), (120, 20));
        let screen = terminal.wait_for("its question", |screen| screen.contains("to go on:"));
        assert!(screen.contains("[0]: 3 offsets below 3"), "{screen}");
        terminal
    };
    let half = &stage.dlq[..stage.dlq.len() - 1];
    for answer in ["\n", "y\n", "yes\n", &format!("{half}\n"), "\u{4}"] {
        let mut terminal = asked();
        terminal.press(answer);
        terminal.wait_for("that it did not", |screen| {
            screen.contains("nothing was deleted")
        });
        assert_eq!(terminal.ended(), Some(2), "{answer:?}");
    }
    let mut ended = asked();
    ended.signal("TERM");
    assert_ne!(ended.ended(), Some(0));
    assert_eq!(stage.read(&stage.dlq).len(), 3);
    let mut yes = asked();
    yes.press(&format!("{}\n", stage.dlq));
    yes.wait_for("that it did", |screen| {
        screen.contains("3 offsets deleted from")
    });
    assert_eq!(yes.ended(), Some(0));
    assert!(stage.read(&stage.dlq).is_empty());
}
