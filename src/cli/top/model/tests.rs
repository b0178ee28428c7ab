use serde_json::{Value, json};

use super::*;
use crate::cli::top::trouble::Level;

/// A fleet with this status.
pub(in crate::cli::top) fn fleet(name: &str, status: Value) -> KafkaConsumer {
    serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": {
            "kafka": { "bootstrapServers": "kafka:9092" },
            "topics": [name],
            "handler": { "http": { "url": "http://users/kafka" } },
            "scaling": { "maxDelay": "60s" },
        },
        "status": status,
    }))
    .unwrap()
}

pub(in crate::cli::top) fn condition(
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "1970-01-01T00:00:00Z" })
}

fn paused(name: &str) -> KafkaConsumer {
    let mut consumer = fleet(name, json!({}));
    consumer.spec.paused = true;
    consumer
}

fn well(name: &str, lag: i64) -> KafkaConsumer {
    let ready = condition("Ready", "True", "Ready", "");
    fleet(
        name,
        json!({ "lag": lag, "delay": "3s", "readyReplicas": 1, "replicas": 1, "conditions": [ready] }),
    )
}

fn now(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn model(consumers: Vec<KafkaConsumer>) -> Model {
    Model::new("namespace shop".to_owned(), false, consumers, now(0))
}

fn names(model: &Model) -> Vec<&str> {
    model.rows.iter().map(|row| row.name.1.as_str()).collect()
}

#[test]
fn the_worst_come_first() {
    let ready = condition("Ready", "True", "Ready", "");
    let stalled = condition("Stalled", "True", "RecordStuck", "orders[3] at 42");
    let unknown = condition("Ready", "Unknown", "LagUnknown", "not asked yet");
    let unready = condition("Ready", "False", "PodsStarting", "1 of 2");
    let changing = condition("Progressing", "True", "Rolling", "1 of 2");
    let model = model(vec![
        paused("asleep"),
        well("calm", 5),
        well("busy", 9_000),
        fleet("new", json!({})),
        fleet("unseen", json!({ "lag": 1, "conditions": [unknown] })),
        fleet("rolled", json!({ "conditions": [unready, changing] })),
        fleet("late", json!({ "delay": "2m", "conditions": [ready] })),
        fleet("stuck", json!({ "conditions": [ready, stalled] })),
    ]);
    assert_eq!(
        names(&model),
        [
            "stuck", "late", "rolled", "unseen", "new", "busy", "calm", "asleep"
        ]
    );
    let levels: Vec<_> = model.rows.iter().map(|row| row.trouble.level).collect();
    use Level::{Broken, Changing, Late, Paused, Unknown, Well};
    assert_eq!(
        levels,
        [Broken, Late, Changing, Unknown, Unknown, Well, Well, Paused]
    );
    let why = model.rows[0].trouble.why.clone().unwrap();
    assert_eq!(why, "Stalled (RecordStuck): orders[3] at 42");
}

#[test]
fn the_cursor_stays_with_its_fleet_and_leaves_one_that_is_gone() {
    let mut model = model(vec![well("a", 1), well("b", 2), well("c", 3)]);
    assert_eq!(names(&model), ["c", "b", "a"]);
    model.press(Key::Down);
    model.press(Key::Open);
    model.heard(vec![well("a", 9), well("b", 1), well("c", 3)], now(2));
    assert_eq!(names(&model), ["a", "c", "b"]);
    assert_eq!(model.row().unwrap().name.1, "b");
    assert!(model.opened);
    model.heard(vec![well("a", 9)], now(4));
    assert_eq!(model.row().unwrap().name.1, "a");
    assert!(!model.opened, "another fleet is not taken for it");
    model.heard(vec![], now(6));
    assert!(model.row().is_none());
    for key in [Key::Down, Key::Open, Key::Pause, Key::Resume] {
        assert_eq!(model.press(key), None);
    }
}

#[test]
fn the_cursor_stops_at_both_ends() {
    let mut model = model(vec![well("a", 3), well("b", 2), well("c", 1)]);
    for (key, at) in [
        (Key::Up, "a"),
        (Key::Down, "b"),
        (Key::Down, "c"),
        (Key::Down, "c"),
        (Key::First, "a"),
        (Key::Last, "c"),
    ] {
        model.press(key);
        assert_eq!(model.row().unwrap().name.1, at, "{key:?}");
    }
}

#[test]
fn a_pause_is_asked_for_and_only_yes_means_yes() {
    let set = |name: &str, paused| {
        let name = ("shop".to_owned(), name.to_owned());
        Some(Wish::Set { name, paused })
    };
    let mut model = model(vec![well("a", 1), paused("b")]);
    for no in [Key::Other, Key::Back, Key::Down, Key::Pause] {
        assert_eq!(model.press(Key::Pause), None);
        assert!(model.asked.is_some());
        assert_eq!(model.press(no), None);
        assert!(model.asked.is_none());
        assert_eq!(model.press(Key::Yes), None, "nothing is asked any more");
    }
    model.press(Key::Pause);
    assert_eq!(model.press(Key::Yes), set("a", true));
    assert_eq!(model.press(Key::Resume), None);
    assert_eq!(model.notice.as_deref(), Some("a is not paused"));
    model.press(Key::Last);
    assert_eq!(model.press(Key::Pause), None);
    assert!(model.asked.is_none());
    assert_eq!(model.press(Key::Resume), set("b", false));
}

#[test]
fn whatever_is_on_the_page_who_wants_to_go_may() {
    let keys = [
        (Key::Quit, Wish::Quit),
        (Key::Interrupt, Wish::Interrupt),
        (Key::Suspend, Wish::Suspend),
    ];
    for before in [Key::Other, Key::Open, Key::Help, Key::Pause] {
        for (key, wish) in &keys {
            let mut model = model(vec![well("a", 1)]);
            model.press(before);
            assert_eq!(model.press(*key).as_ref(), Some(wish), "{before:?}");
        }
    }
}

#[test]
fn help_is_closed_by_any_key_which_does_nothing_else() {
    let mut model = model(vec![well("a", 2), well("b", 1)]);
    for key in [Key::Help, Key::Down, Key::Pause, Key::Open, Key::Back] {
        model.press(Key::Help);
        assert!(model.help);
        model.press(key);
        assert!(!model.help && !model.opened && model.asked.is_none());
        assert_eq!(model.row().unwrap().name.1, "a");
    }
}

#[test]
fn in_one_that_is_opened_keys_move_its_page() {
    let mut model = model(vec![well("a", 2), well("b", 1)]);
    model.press(Key::Open);
    for (key, scroll) in [
        (Key::Up, 0),
        (Key::Down, 1),
        (Key::PageDown, 11),
        (Key::Up, 10),
        (Key::First, 0),
        (Key::PageDown, 10),
    ] {
        model.press(key);
        assert_eq!(model.scroll, scroll, "{key:?}");
        assert_eq!(model.row().unwrap().name.1, "a");
    }
    model.press(Key::Back);
    model.press(Key::Open);
    assert_eq!(model.scroll, 0);
}

#[test]
fn the_question_goes_with_its_fleet() {
    let mut model = model(vec![well("a", 1), well("b", 0)]);
    model.press(Key::Pause);
    model.heard(vec![well("b", 0)], now(2));
    assert_eq!(model.press(Key::Yes), None, "b was not meant");
}

#[test]
fn history_is_bounded_and_begins_anew_for_a_fleet_that_was_away() {
    let mut model = model(vec![well("a", 1)]);
    for seconds in 0..200 {
        model.heard(vec![well("a", seconds)], now(seconds));
    }
    assert_eq!(model.rows[0].past.lag.len(), HISTORY);
    assert_eq!(model.rows[0].past.lag.back(), Some(&Some(199)));
    model.heard(vec![], now(201));
    model.heard(vec![well("a", 7)], now(202));
    assert_eq!(model.rows[0].past.lag, [Some(7)]);
}
