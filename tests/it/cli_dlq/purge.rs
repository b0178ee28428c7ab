//! `drover dlq purge`: what is deleted, and only if told to.

use super::{Stage, failed, told};

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
