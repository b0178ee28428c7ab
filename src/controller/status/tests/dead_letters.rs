//! `DeadLetterWritable`: what the controller finds wrong with the dead-letter topic, and what pods find.

use serde_json::json;

use super::{Day, condition, fleet, reason, running};
use crate::lag::dead_letter_topic;

#[test]
fn a_dead_letter_topic_that_will_not_do_is_told_before_it_is_needed() {
    let mut day = Day::good();
    let word = |day: &Day| reason(&day.status(), "DeadLetterWritable");
    assert_eq!(word(&day), "True NotUsed");
    day.fleet = fleet(json!({ "delivery": { "deadLetter": { "topic": "dlq" } } }));
    assert_eq!(word(&day), "Unknown NotAskedYet");
    let facts = |state| dead_letter_topic::Facts {
        topic: "dlq".to_owned(),
        state,
        cleanup: None,
        max_bytes: None,
        source: None,
    };
    day.dead_letter = Some(facts(dead_letter_topic::State::There));
    assert_eq!(word(&day), "True Writable");
    assert_eq!(reason(&day.status(), "Ready"), "True AllReady");
    day.dead_letter = Some(facts(dead_letter_topic::State::Unknown(
        "no answer".to_owned(),
    )));
    assert_eq!(word(&day), "Unknown NotRead");
    day.dead_letter = Some(facts(dead_letter_topic::State::Missing));
    assert_eq!(word(&day), "False DeadLetterTopicNotFound");
    let status = day.status();
    assert_eq!(reason(&status, "Ready"), "False DeadLetterTopicNotFound");
    let (_, _, message) = condition(&status, "DeadLetterWritable");
    for part in ["dlq does not exist", "create it", "no pod begins"] {
        assert!(message.contains(part), "{message}");
    }
    day.workload = Some(running(0));
    let (_, _, message) = condition(&day.status(), "DeadLetterWritable");
    assert!(message.contains("no record is taken"), "{message}");
    // With another policy nothing is written there.
    day.dead_letter = None;
    day.fleet = fleet(json!({
        "delivery": { "deadLetter": { "topic": "dlq" }, "onExhausted": "Stall" }
    }));
    assert_eq!(word(&day), "True NotUsed");
}

#[test]
fn what_pods_that_run_find_wrong_with_the_dead_letter_topic_is_told() {
    let mut day = Day::good();
    day.fleet = fleet(json!({ "delivery": { "deadLetter": { "topic": "dlq" } } }));
    let word = |day: &Day| reason(&day.status(), "DeadLetterWritable");
    day.dead_letter = Some(dead_letter_topic::Facts {
        topic: "dlq".to_owned(),
        state: dead_letter_topic::State::There,
        cleanup: None,
        max_bytes: None,
        source: None,
    });
    for flaw in dead_letter_topic::reason::ALL {
        day.dead_letter_told = Some(flaw);
        let status = day.status();
        assert_eq!(
            reason(&status, "DeadLetterWritable"),
            format!("False {flaw}")
        );
        assert_eq!(reason(&status, "Ready"), format!("False {flaw}"));
        let (_, _, message) = condition(&status, "DeadLetterWritable");
        assert!(message.contains("topic dlq "), "{message}");
    }
    // What the controller finds itself is said more exactly.
    day.dead_letter_told = Some(dead_letter_topic::reason::TOO_SMALL);
    let well = day.dead_letter.take().unwrap();
    day.dead_letter = Some(dead_letter_topic::Facts {
        state: dead_letter_topic::State::Missing,
        ..well.clone()
    });
    assert_eq!(word(&day), "False DeadLetterTopicNotFound");
    // A word of a later version, or of pods that are gone.
    day.dead_letter = Some(well);
    day.dead_letter_told = Some("Cursed");
    assert_eq!(word(&day), "True Writable");
    day.dead_letter_told = Some(dead_letter_topic::reason::TOO_SMALL);
    day.workload = Some(running(0));
    assert_eq!(word(&day), "True Writable");
}
