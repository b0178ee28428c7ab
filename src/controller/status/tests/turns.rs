//! When news is written: numbers wait their turn, conditions do not, and what was written is remembered.

use std::time::Duration;

use super::{Day, decision, order};
use crate::api::KafkaConsumerStatus;
use crate::controller::pace::Pace;
use crate::controller::status::due::due;
use crate::controller::status::{Due, Told};
use crate::scaling::Why;

#[test]
fn numbers_wait_their_turn_and_conditions_do_not() {
    let mut day = Day::good();
    let before = day.status();
    day.previous = before.clone();
    assert_eq!(
        due(&before, &day.status(), Some(Duration::ZERO)),
        Due::Never
    );

    day.decision = Some(decision(Why::Settling, 7));
    let age = |millis| Some(Duration::from_millis(millis));
    assert_eq!(
        due(&before, &day.status(), age(500)),
        Due::In(Duration::from_millis(1_500))
    );
    assert_eq!(due(&before, &day.status(), age(2_000)), Due::Numbers);
    assert_eq!(due(&before, &day.status(), None), Due::Numbers);

    day.away = Some("no broker answered");
    assert_eq!(due(&before, &day.status(), age(0)), Due::Now);
}

#[test]
fn numbers_keep_the_turn_that_they_took_and_take_another_after_a_write() {
    let (ms, pace) = (Duration::from_millis, Pace::default());
    let now = ms(10_000);
    while pace.turn(now) == now {}
    let mut told = Told::default();
    let rest = told.waits(&pace, now).expect("others were first");
    assert_eq!(told.waits(&pace, now + rest - ms(1)), Some(ms(1)));
    assert_eq!(told.waits(&pace, now + rest), None);
    told.wrote(Day::good().status(), Vec::new(), now + rest);
    assert!(told.waits(&pace, now + rest).is_some());
}

#[test]
fn numbers_that_came_back_to_what_was_told_give_their_turn_away() {
    let (ms, pace) = (Duration::from_millis, Pace::default());
    let now = ms(10_000);
    while pace.turn(now) == now {}
    let mut told = Told::default();
    let status = Day::good().status();
    told.wrote(status.clone(), Vec::new(), now);
    let first = told.waits(&pace, now).expect("others were first");
    assert_eq!(told.due(None, &status, now + first), Due::Never);
    // What differs later takes a turn of its own.
    assert!(told.waits(&pace, now + first).is_some());
}

#[test]
fn reasons_of_another_kind_are_written_even_if_they_had_to_wait() {
    let secs = Duration::from_secs;
    let mut told = Told::default();
    let mut day = Day::good();
    day.order = Some(order(1, "settling"));
    let first = day.status();
    told.wrote(first, vec!["Settling"], secs(10));

    // Too soon after the last write: it waits, and is looked at again when it is due.
    day.order = Some(order(1, "idle for 1 s"));
    let mut look = |now| {
        day.previous = told.status(None);
        day.same_reasons = told.reasons_are_of(&["Idle"]);
        let next = day.status();
        (told.due(None, &next, secs(now)), next)
    };
    assert_eq!(look(11).0, Due::In(secs(1)));
    let (due, next) = look(12);
    assert_eq!(due, Due::Numbers);
    assert_eq!(next.scaling.unwrap().reasons, ["idle for 1 s"]);
}

#[test]
fn a_status_that_the_cache_shows_is_kept_once_and_another_hand_is_seen() {
    let now = Duration::from_secs(10);
    let mut told = Told::default();
    let status = Day::good().status();
    told.wrote(status.clone(), vec!["Settling"], now);

    // The cache lags behind: what we wrote counts.
    told.shown(Some(&KafkaConsumerStatus::default()));
    assert_eq!(told.status(None), status);

    // As the API server gives it back.
    let text = serde_json::to_string(&status).unwrap();
    let cached: KafkaConsumerStatus = serde_json::from_str(&text).unwrap();
    told.shown(Some(&cached));
    assert_eq!(
        told.status(None),
        KafkaConsumerStatus::default(),
        "it is kept twice"
    );
    assert_eq!(told.status(Some(&cached)), status);
    assert_eq!(told.due(Some(&cached), &status, now), Due::Never);
    assert!(!told.is_silent());
    assert!(told.reasons_are_of(&["Settling"]));

    let theirs = KafkaConsumerStatus {
        ready_replicas: Some(77),
        ..cached
    };
    assert_eq!(told.due(Some(&theirs), &status, now), Due::Now);
}
