use super::*;
use crate::kafka::admin::Member;
use crate::report::Stuck;

fn row(committed: Option<i64>, end: i64) -> Row {
    Row {
        partition: TopicPartition::new("orders", 0),
        start: Some(Offset(0)),
        end: Some(Offset(end)),
        is_open: false,
        committed: committed.map(Offset),
        report: None,
        owner: Owner::Unsaid,
        owner_is_gone: None,
        waits: None,
    }
}

#[test]
fn who_has_a_partition_is_whom_the_group_says_not_who_committed_last() {
    let partition = TopicPartition::new("orders", 0);
    let member = Member {
        id: "orders-2-abc".to_owned(),
        client_id: "orders-2".to_owned(),
        host: "10.0.0.2".into(),
        partitions: vec![partition.clone()],
    };
    let group = |state: &str, members: Vec<Member>| Group {
        members,
        state: state.to_owned(),
    };
    let mut row = row(Some(3), 10);
    row.report = Some(Report {
        pod: "orders-1".to_owned(),
        ..Report::default()
    });
    for (group, owner) in [
        (Some(group("Stable", vec![member])), Some("orders-2")),
        (Some(group("Stable", Vec::new())), None),
        (Some(group("Empty", Vec::new())), None),
        (
            Some(group("CompletingRebalance", Vec::new())),
            Some("orders-1"),
        ),
        (None, Some("orders-1")),
    ] {
        row.owner = Owner::of(group.as_ref(), &partition);
        assert_eq!(row.owner(), owner, "{group:?}");
    }
}

#[test]
fn unknown_is_not_zero_and_spoils_the_sum() {
    let rows = [row(Some(3), 10), row(None, 10)];
    assert_eq!(total(&rows[..1]), Some(7));
    assert_eq!(total(&rows), None);
    let table = table(&rows, None);
    assert!(
        table.contains("orders  0          -          10   -    -"),
        "{table}"
    );
}

#[test]
fn of_a_topic_that_was_made_anew_nothing_is_known_and_no_zero_is_told() {
    let row = row(Some(30), 3);
    assert_eq!(row.lag(), None);
    assert_eq!(row.value()["lag"], Value::Null);
    assert_eq!(row.value()["delaySeconds"], Value::Null);
    assert_eq!(row.unfinished(), None);
    let table = table(&[row], None);
    assert!(table.contains("lies beyond the end 3"), "{table}");
    assert!(table.contains("re-created"), "{table}");
}

#[test]
fn what_waits_in_an_open_transaction_is_counted_and_not_read() {
    let mut row = row(Some(3), 10);
    row.is_open = true;
    assert_eq!((row.lag(), row.unfinished()), (Some(7), None));
    assert_eq!(row.value()["delaySeconds"], Value::Null);
}

#[test]
fn where_nothing_waits_the_delay_is_known() {
    assert_eq!(row(Some(10), 10).value()["delaySeconds"], 0.0);
    assert_eq!(row(Some(3), 10).value()["delaySeconds"], Value::Null);
    assert_eq!(row(None, 10).value()["delaySeconds"], Value::Null);
    assert!(table(&[row(Some(10), 10)], None).contains("  0s  "));
}

#[test]
fn what_retention_took_is_not_waited_for() {
    let mut row = row(Some(3), 10);
    row.start = Some(Offset(8));
    assert_eq!(row.lag(), Some(2));
    assert_eq!(row.unfinished(), Some((0, 8..10)));
}

#[test]
fn a_report_says_who_and_what_holds_it_up() {
    let mut row = row(Some(3), 10);
    row.waits = Some(Duration::from_secs(90));
    row.report = Some(Report {
        pod: "orders-1".to_owned(),
        tried: 2,
        ahead: vec![5..7, 9..10],
        stuck: Some(Stuck {
            offset: 3,
            attempts: 2,
            error: "HttpStatus 500".to_owned(),
        }),
        ..Report::default()
    });
    let text = table(&[row.clone()], None);
    for words in ["1m30s", "orders-1", "3 (2): HttpStatus 500"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(row.value()["finishedAhead"], 3);
    assert_eq!(row.value()["delaySeconds"], 90.0);
}

#[test]
fn an_owner_whose_pod_is_gone_is_marked_and_one_of_which_that_is_not_known_is_not() {
    let mut row = row(Some(3), 10);
    row.owner = Owner::Member("orders-7f-x2".to_owned());
    for (gone, marked) in [(Some(true), true), (Some(false), false), (None, false)] {
        row.owner_is_gone = gone;
        let text = table(&[row.clone()], None);
        assert_eq!(text.contains("orders-7f-x2 (gone)"), marked, "{text}");
        assert_eq!(row.value()["ownerIsGone"], json!(gone));
    }
}

#[test]
fn what_waits_for_a_later_attempt_is_told_below_with_when_it_is_due() {
    let mut row = row(Some(3), 10);
    row.report = Some(Report {
        later: Some(Later {
            records: 2,
            behind: 1,
            next_at: 1_800_000_000,
            next: 8,
            more: 0,
        }),
        ..Report::default()
    });
    for width in [None, Some(200)] {
        let text = table(&[row.clone()], width);
        let told = "orders[0]: 2 records wait for a later attempt, the next at 2027-01-15";
        assert!(text.contains(told), "{text}");
    }
    assert_eq!(
        row.value()["later"],
        json!({ "records": 2, "behind": 1, "nextAt": "2027-01-15T08:00:00Z" })
    );
}

#[test]
fn numbers_that_no_worker_writes_are_added_up_to_the_most_there_is() {
    let mut row = row(Some(3), 10);
    row.report = Some(Report {
        ahead: vec![i64::MIN..-1, 0..i64::MAX],
        ..Report::default()
    });
    assert_eq!(row.value()["finishedAhead"], i64::MAX);
}

#[test]
fn in_a_narrow_terminal_rows_are_cut_and_what_is_stuck_is_told_below() {
    let mut stuck = row(Some(3), 10);
    stuck.report = Some(Report {
        pod: "orders-5d8f9c7b6-x2v4k".to_owned(),
        stuck: Some(Stuck {
            offset: 3,
            attempts: 2,
            error: "HttpStatus 500 of a handler that says much about it".to_owned(),
        }),
        ..Report::default()
    });
    let rows = [stuck, row(Some(10), 10)];
    let text = table(&rows, Some(80));
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines.iter().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert!(lines[0].starts_with("TOPIC "), "{text}");
    assert!(
        lines[1].starts_with("orders  0 ") && lines[1].ends_with('…'),
        "{text}"
    );
    assert!(lines[2].starts_with("orders  0 "), "{text}");
    assert!(
        lines[3].starts_with("orders[0] is stuck at 3 (2): HttpStatus 500"),
        "{text}"
    );
    // With room for it, the last column goes on below itself; programs get all of it.
    for width in [Some(120), None] {
        let text = table(&rows, width);
        assert!(!text.contains('…') && !text.contains("is stuck"), "{text}");
    }
    // What fits is not cut.
    let short = table(&[row(Some(10), 10)], Some(80));
    assert_eq!(short, table(&[row(Some(10), 10)], None));
}
