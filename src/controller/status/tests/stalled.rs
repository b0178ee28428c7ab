//! `Stalled`: which record or partition holds up the rest, why, and what helps.

use serde_json::json;

use super::{Day, condition, fleet, sample};
use crate::controller::workload::{Trouble, Workload};
use crate::report::{self, Later};
use crate::scaling::{Beyond, Why};
use crate::topic::{Offset, TopicPartition};

#[test]
fn a_stuck_record_is_named_with_place_attempts_and_error() {
    let mut day = Day::good();
    let stuck = report::Stuck {
        offset: 4,
        attempts: 5,
        error: "HttpStatus 500".to_owned(),
    };
    day.sample = Some(sample(Some(stuck)));
    let status = day.status();
    let (is, reason, message) = condition(&status, "Stalled");
    assert_eq!((is.as_str(), reason.as_str()), ("True", "RecordStuck"));
    for part in [
        "orders[0]",
        "offset 4",
        "5 attempts",
        "HttpStatus 500",
        "mend the handler",
        "--topic orders --partition 0 --offset 4 --reason WHY",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(super::reason(&status, "Ready"), "False Stalled");
    assert_eq!(status.stuck[0].offset, 4);

    // While Kafka is away nobody can say that it is mended.
    day.previous = status;
    day.away = Some("no broker answered");
    assert_eq!(super::reason(&day.status(), "Stalled"), "True RecordStuck");
}

#[test]
fn dead_letters_are_named_as_a_remedy_only_where_there_are_none() {
    let topic = json!({ "topic": "dlq" });
    for (delivery, named) in [
        (json!({}), "or name a dead-letter topic"),
        (
            json!({ "deadLetter": topic, "onExhausted": "Stall" }),
            "or let spec.delivery.onExhausted be DeadLetter",
        ),
        (json!({ "deadLetter": topic }), ""),
    ] {
        let mut day = Day::good();
        day.fleet = fleet(json!({ "delivery": delivery }));
        day.sample = Some(sample(Some(report::Stuck {
            offset: 4,
            attempts: 2,
            error: "HttpStatus 500".to_owned(),
        })));
        let (.., message) = condition(&day.status(), "Stalled");
        assert!(message.contains(named), "{message}");
        let names_some = message.contains("spec.delivery.");
        assert_eq!(names_some, !named.is_empty(), "{message}");
    }
}

#[test]
fn a_record_that_waits_for_the_idempotency_store_names_the_store_not_the_handler() {
    let mut day = Day::good();
    day.sample = Some(sample(Some(report::Stuck {
        offset: 4,
        attempts: 1,
        error: report::IDEMPOTENCY_STORE.to_owned(),
    })));
    let (is, _, message) = condition(&day.status(), "Stalled");
    assert_eq!(is, "True");
    for part in ["orders[0]", "offset 4", "idempotency store", "onStoreError"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("handler"), "{message}");
}

#[test]
fn a_record_that_has_its_container_killed_is_told_with_what_helps() {
    let mut day = Day::good();
    day.sample = Some(sample(Some(report::Stuck {
        offset: 4,
        attempts: 1,
        error: report::WORKER_KILLED.to_owned(),
    })));
    let (is, _, message) = condition(&day.status(), "Stalled");
    assert_eq!(is, "True");
    for part in [
        "orders[0]",
        "offset 4",
        "memory limit",
        "rollout restart",
        "drover skip",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("goes on by itself"), "{message}");
}

#[test]
fn a_handler_that_speaks_another_protocol_is_told_with_the_field_that_says_which() {
    let mut day = Day::good();
    day.sample = Some(sample(Some(report::Stuck {
        offset: 4,
        attempts: 1,
        error: "Protocol".to_owned(),
    })));
    let (is, _, message) = condition(&day.status(), "Stalled");
    assert_eq!(is, "True");
    for part in ["orders[0]", "spec.handler.http.protocol", "Http1", "h2c"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_key_that_is_missing_is_no_fault_of_the_handler() {
    let mut day = Day::good();
    for (error, skip) in [("UnknownKeyId", false), ("AuthFailed", true)] {
        day.sample = Some(sample(Some(report::Stuck {
            offset: 4,
            attempts: 0,
            error: error.to_owned(),
        })));
        let (status, _, message) = condition(&day.status(), "Stalled");
        assert_eq!(status, "True");
        for part in ["primaryKeySecrets", "hashDigest", "the salt", "rolled"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("mend the handler"), "{message}");
        assert_eq!(message.contains("drover skip"), skip, "{message}");
    }
}

#[test]
fn a_misconfigured_handler_is_not_answered_with_a_dead_letter_topic() {
    let mut day = Day::good();
    day.fleet = fleet(json!({ "delivery": { "deadLetter": { "topic": "dlq" } } }));
    for (error, remedy) in [
        ("Redirect 302", "set spec.handler.http.url"),
        ("Redirect 304", "such as a cache, answers"),
        ("UnknownResult 200", "the handler's answer is none"),
    ] {
        day.sample = Some(sample(Some(report::Stuck {
            offset: 4,
            attempts: 1,
            error: error.to_owned(),
        })));
        let (status, _, message) = condition(&day.status(), "Stalled");
        assert_eq!(status, "True");
        assert!(message.contains(remedy), "{message}");
        assert!(!message.contains("name a dead-letter topic"), "{message}");
    }
}

#[test]
fn a_copy_that_nobody_takes_is_told_with_where_to_look() {
    let mut day = Day::good();
    day.sample = Some(sample(Some(report::Stuck {
        offset: 4,
        attempts: 5,
        error: "DeadLetter write to dead-letter topic dlq: MessageTimedOut: the topic may be gone"
            .to_owned(),
    })));
    let (.., message) = condition(&day.status(), "Stalled");
    for part in ["still there", "DeadLetterWritable", "goes on by itself"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn an_open_breaker_is_told_by_its_name_and_that_all_others_wait() {
    let mut day = Day::good();
    day.sample = Some(sample(Some(report::Stuck {
        offset: 4,
        attempts: 0,
        error: "BreakerOpen 50 of 60 records would be dead-lettered: HttpStatus 400".to_owned(),
    })));
    let (_, reason, message) = condition(&day.status(), "Stalled");
    assert_eq!(reason, "BreakerOpen");
    for part in [
        "HttpStatus 400; the breaker is open: ",
        "those not tried yet wait as well",
        "breaker.percent",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_partition_that_cannot_be_read_on_is_told_with_what_it_takes() {
    for (error, reason, remedies) in [
        (
            "RecordUnreadable its checksum is wrong",
            "RecordUnreadable",
            [
                "disks of the brokers",
                "drover reset fleet -n shop --topic orders --partition 0 --to 5 (or ",
                "--topic orders:0 --reset-offsets --to-offset 5 --execute",
            ],
        ),
        (
            "OffsetsExpired the log begins at 90",
            "OffsetsExpired",
            [
                "retention",
                "drover reset fleet -n shop --topic orders --partition 0 --to earliest (or ",
                "--group shop.fleet --topic orders:0 --reset-offsets --to-earliest --execute",
            ],
        ),
        (
            "TopicRecreated the topic was deleted and made anew",
            "TopicRecreated",
            // All of its partitions are others now.
            [
                "set spec.paused to true (drover pause fleet -n shop)",
                "drover reset fleet -n shop --topic orders --to earliest (or ",
                "--group shop.fleet --topic orders --reset-offsets --to-earliest --execute), and drover resume fleet -n shop",
            ],
        ),
    ] {
        let mut day = Day::good();
        day.sample = Some(sample(Some(report::Stuck {
            offset: 4,
            attempts: 0,
            error: error.to_owned(),
        })));
        let status = day.status();
        let (is, said, message) = condition(&status, "Stalled");
        assert_eq!((is.as_str(), said.as_str()), ("True", reason));
        for part in remedies.iter().chain(&["orders[0]", "offset 4", error]) {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn offsets_that_retention_has_overtaken_are_told_even_without_pods() {
    let mut day = Day::good();
    let mut sample = sample(None);
    let slot = sample.partitions.get_mut(&TopicPartition::new("orders", 0));
    slot.unwrap().as_mut().unwrap().start = Offset(7);
    day.sample = Some(sample);
    let status = day.status();
    assert_eq!(super::reason(&status, "Stalled"), "True OffsetsExpired");
    assert_eq!(status.stuck[0].offset, 4);

    // A consumer of the user's own has its own way.
    let consumer = json!({
        "handler": { "consumer": {} },
        "template": { "spec": { "containers": [{ "name": "c", "image": "c" }] } },
    });
    day.fleet = fleet(consumer);
    assert_eq!(
        super::reason(&day.status(), "Stalled"),
        "False NothingStuck"
    );
}

#[test]
fn a_partition_that_does_not_move_is_told_even_if_nobody_reports() {
    let mut day = Day::good();
    let decision = day.decision.as_mut().unwrap();
    decision.outlook.stuck = vec![TopicPartition::new("orders", 0)];
    let status = day.status();
    assert_eq!((status.stuck[0].offset, status.stuck[0].attempts), (4, 0));
    let message = condition(&status, "Stalled").2;
    assert!(message.contains("does not move"), "{message}");
    // No record is to blame that nobody has failed on.
    assert!(message.contains("no worker says"), "{message}");
    assert!(!message.contains("drover skip"), "{message}");

    // A report that knows of failures is not silence.
    let sample = day.sample.as_mut().unwrap();
    let seen = sample.partitions.values_mut().next().unwrap();
    seen.as_mut().unwrap().beyond = Some(Beyond {
        next: Offset(4),
        more: 0,
        retried: 2,
        tried: 4,
        later: None,
    });
    let status = day.status();
    assert_eq!((status.stuck[0].offset, status.stuck[0].attempts), (4, 4));
    let message = condition(&status, "Stalled").2;
    assert!(message.contains("offset 4 after 4 attempts"), "{message}");
    assert!(message.contains("failed, 2 in all"), "{message}");
    assert!(message.contains("mend the handler"), "{message}");
    assert!(!message.contains("no worker says"), "{message}");

    // Dead letters and skipping are Drover's; this program is not.
    day.fleet = fleet(json!({
        "handler": { "consumer": {} },
        "template": { "spec": { "containers": [{ "name": "app", "image": "app:1" }] } },
    }));
    let message = condition(&day.status(), "Stalled").2;
    assert!(message.contains("your consumer logs"), "{message}");
    assert!(!message.contains("drover skip"), "{message}");
}

/// An ingress with nobody behind it answers 503.
#[test]
fn a_handler_that_takes_nothing_stalls_the_fleet() {
    let mut day = Day::good();
    let turned_away = |seconds| Why::TurnedAway { seconds };
    day.decision
        .as_mut()
        .unwrap()
        .reasons
        .push(turned_away(61.0));
    let status = day.status();
    for type_ in ["Stalled", "Ready"] {
        let (is, reason, message) = condition(&status, type_);
        assert_eq!(is, if type_ == "Ready" { "False" } else { "True" });
        assert_eq!(reason, "HandlerTurnsAway");
        for part in [
            "503",
            "more than a minute",
            "ingress",
            "drover logs fleet -n ",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
    // A status that says the seconds would be written each second.
    *day.decision.as_mut().unwrap().reasons.last_mut().unwrap() = turned_away(62.0);
    assert_eq!(
        condition(&day.status(), "Stalled"),
        condition(&status, "Stalled")
    );
}

/// The handlers of all pods crash: their workers have left the group, and nobody reports.
#[test]
fn records_that_wait_while_no_pod_has_been_ready_for_long_are_stalled() {
    let missing = |missing, ordered| Why::PodsMissing { missing, ordered };
    let mut day = Day::good();
    day.workload = Some(Workload {
        size: 1,
        replicas: 1,
        troubles: vec![Trouble {
            reason: "CrashLoopBackOff".to_owned(),
            message: "pod fleet-a, container app: it ends again and again".to_owned(),
            container: Some("app".to_owned()),
        }],
        ..Default::default()
    });
    // So it is at every start.
    let started = day.status();
    assert_eq!(super::reason(&started, "Stalled"), "False NothingStuck");

    day.decision.as_mut().unwrap().reasons.push(missing(1, 1));
    let stalled = day.status();
    let (is, reason, message) = condition(&stalled, "Stalled");
    assert_eq!((is.as_str(), reason.as_str()), ("True", "NoPodReady"));
    for part in ["records wait", "container app", "drover logs fleet"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(
        super::reason(&stalled, "Ready"),
        "False CrashLoopBackOff",
        "what keeps pods from being ready is said there"
    );

    // More pods are ordered, and awaited: that mends nothing.
    day.previous = stalled;
    day.workload.as_mut().unwrap().size = 2;
    day.decision.as_mut().unwrap().reasons = vec![missing(1, 2)];
    assert_eq!(super::reason(&day.status(), "Stalled"), "True NoPodReady");
    day.workload.as_mut().unwrap().ready = 1;
    let mended = day.status();
    assert_eq!(super::reason(&mended, "Stalled"), "False NothingStuck");

    // Where some pods work, or nothing waits, nothing is stalled.
    day.previous = started;
    assert_eq!(
        super::reason(&day.status(), "Stalled"),
        "False NothingStuck"
    );
    day.workload.as_mut().unwrap().ready = 0;
    let decision = day.decision.as_mut().unwrap();
    decision.reasons = vec![missing(2, 2)];
    decision.outlook.lag = Some(0);
    assert_eq!(
        super::reason(&day.status(), "Stalled"),
        "False NothingStuck"
    );
}

#[test]
fn what_waits_for_a_later_attempt_is_not_stuck_and_told_without_a_number() {
    let mut day = Day::good();
    let sample = day.sample.as_mut().unwrap();
    let seen = sample.partitions.values_mut().next().unwrap();
    seen.as_mut().unwrap().beyond = Some(Beyond {
        next: Offset(9),
        more: 0,
        retried: 3,
        tried: 0,
        later: Some(Later {
            records: 3,
            behind: 0,
            next_at: 1_800_000_000,
            next: 9,
            more: 0,
        }),
    });
    let status = day.status();
    let (value, reason, message) = condition(&status, "Stalled");
    assert_eq!((&*value, &*reason), ("False", "NothingStuck"));
    assert!(message.contains("wait for a later attempt"), "{message}");
    assert!(!message.contains(|c: char| c.is_ascii_digit()), "{message}");
    assert_eq!(status.stuck, []);
}
