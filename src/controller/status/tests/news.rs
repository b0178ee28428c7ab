//! What is news: times that move only with what they tell of, and numbers that are none by themselves.

use std::time::Duration;

use jiff::Timestamp;

use super::{Day, NOW, decision, order};
use crate::api::{KafkaConsumerStatus, ScalingStatus, SizeCost};
use crate::controller::size::{By, Order};
use crate::scaling::{Prospect, Why};

#[test]
fn transition_times_move_only_when_a_status_flips() {
    let mut day = Day::good();
    day.previous = day.status();
    day.now = NOW + jiff::SignedDuration::from_secs(60);
    assert_eq!(day.status(), day.previous);

    day.away = Some("no broker answered");
    let status = day.status();
    let time = |status: &KafkaConsumerStatus, type_: &str| {
        let mut conditions = status.conditions.iter();
        conditions
            .find(|condition| condition.type_ == type_)
            .unwrap()
            .last_transition_time
            .0
    };
    assert_eq!(time(&status, "KafkaReachable"), day.now);
    assert_eq!(time(&status, "Paused"), NOW);
}

#[test]
fn since_moves_only_with_wanted() {
    let mut day = Day::good();
    day.previous = day.status();
    day.now = NOW + jiff::SignedDuration::from_secs(60);
    day.order = Some(order(1, "another reason"));
    assert_eq!(day.status().scaling.unwrap().since, Some(NOW));
    day.order = Some(order(4, "more"));
    assert_eq!(day.status().scaling.unwrap().since, Some(day.now));
}

#[test]
fn sentences_whose_numbers_move_are_no_news_by_themselves() {
    let mut day = Day::good();
    day.order = Some(order(1, "idle for 3 s"));
    day.previous = day.status();
    day.order = Some(order(1, "idle for 4 s"));
    day.same_reasons = true;
    assert_eq!(day.status(), day.previous);
    // With other news they are fresh.
    day.decision = Some(decision(Why::Settling, 7));
    assert_eq!(day.status().scaling.unwrap().reasons, ["idle for 4 s"]);
    // And so they are if the reason is of another kind.
    day.decision = Some(decision(Why::Settling, 6));
    day.same_reasons = false;
    assert_eq!(day.status().scaling.unwrap().reasons, ["idle for 4 s"]);
}

#[test]
fn what_sizes_would_come_to_is_told_and_its_numbers_are_no_news_by_themselves() {
    let weighed = |cost| {
        let mut decision = decision(Why::Settling, 6);
        decision.outlook.prospects = vec![Prospect {
            replicas: 1,
            cost,
            delay: Duration::from_millis(3_900),
        }];
        decision
    };
    let mut day = Day::good();
    day.decision = Some(weighed(1_234.0));
    day.previous = day.status();
    let told = day.previous.scaling.as_ref().unwrap().sizes.clone();
    assert_eq!(
        told,
        [SizeCost {
            replicas: 1,
            cost: 1_200.0,
            delay: "3s".to_owned()
        }]
    );
    day.decision = Some(weighed(1_900.0));
    day.same_reasons = true;
    assert_eq!(day.status(), day.previous);
    // Not to know yet after a start is none either.
    day.decision = Some(decision(Why::Settling, 6));
    day.same_reasons = false;
    day.resumes = true;
    assert_eq!(day.status().scaling.unwrap().sizes, told);
    day.resumes = false;
    assert_eq!(day.status().scaling.unwrap().sizes, []);
}

#[test]
fn when_it_may_act_next_is_told_and_is_no_news_by_itself() {
    let waits = |millis: Option<i64>| {
        let mut decision = decision(Why::Settling, 6);
        decision.next_at = millis.map(|millis| Timestamp::from_millisecond(millis).unwrap());
        decision
    };
    let mut day = Day::good();
    day.decision = Some(waits(Some(59_400)));
    day.previous = day.status();
    let told = |status: &KafkaConsumerStatus| status.scaling.as_ref().unwrap().next_at;
    let minute = Timestamp::from_second(60).unwrap();
    assert_eq!(told(&day.previous), Some(minute));
    for moved in [Some(80_000), None] {
        day.decision = Some(waits(moved));
        day.same_reasons = true;
        assert_eq!(day.status(), day.previous);
    }
    // With other news it is fresh.
    day.same_reasons = false;
    assert_eq!(told(&day.status()), None);
    // Of a size that somebody else sets nothing of the kind is known.
    day.decision = Some(waits(Some(80_000)));
    day.order = Some(Order {
        by: By::User,
        ..order(1, "spec.replicas")
    });
    assert_eq!(told(&day.status()), None);
}

#[test]
fn a_controller_that_starts_again_does_not_take_its_ignorance_for_news() {
    let mut day = Day::good();
    let measured = |per_second| {
        let mut decision = decision(Why::Settling, 7);
        decision.outlook.arrival_per_second = per_second;
        decision
    };
    day.decision = Some(measured(Some(12.0)));
    day.previous = day.status();
    day.decision = Some(measured(None));
    day.resumes = true;
    assert_eq!(day.status(), day.previous);
    // What it knows counts, and so does that it knows no more.
    day.decision = Some(measured(Some(3.0)));
    assert_eq!(day.status().scaling.unwrap().arrival_per_second, Some(3.0));
    day.decision = Some(measured(None));
    day.resumes = false;
    assert_eq!(day.status().scaling.unwrap().arrival_per_second, None);
}

#[test]
fn that_nothing_arrives_is_news_only_where_something_did_or_waits() {
    for (before, lag, arrives, told) in [
        (None, 0, 0.0, None),
        (None, 0, 0.1, Some(0.1)),
        (Some(3.0), 0, 0.0, Some(0.0)),
        (None, 1, 0.0, Some(0.0)),
    ] {
        let mut day = Day::good();
        day.previous.scaling = Some(ScalingStatus {
            arrival_per_second: before,
            ..Default::default()
        });
        let mut decision = decision(Why::Settling, lag);
        decision.outlook.arrival_per_second = Some(arrives);
        day.decision = Some(decision);
        let scaling = day.status().scaling.unwrap_or_default();
        assert_eq!(scaling.arrival_per_second, told, "{before:?} {lag}");
    }
}
