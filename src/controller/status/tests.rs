use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::api::{KafkaConsumer, SizeCost};
use crate::controller::fleets::FleetKey;
use crate::controller::pace::Pace;
use crate::controller::size::By;
use crate::controller::status::due::due;
use crate::controller::workload;
use crate::fleet::{References, validate};
use crate::kafka::admin::Member;
use crate::lag::dead_letter_topic;
use crate::report;
use crate::scaling::{Beyond, Outlook, PartitionSample, Prospect, Watch, Why};
use crate::topic::{Offset, TopicPartition};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn fleet(change: Value) -> Fleet {
    let mut document = json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": "fleet", "namespace": "shop", "uid": "u" },
        "spec": {
            "kafka": { "bootstrapServers": "kafka:9092" },
            "topics": ["orders"],
            "handler": { "http": { "url": "http://users/kafka" } },
        },
    });
    for (key, value) in change.as_object().into_iter().flatten() {
        document["spec"][key] = value.clone();
    }
    let consumer: KafkaConsumer = serde_json::from_value(document).unwrap();
    validate(&consumer, &References::default()).unwrap()
}

fn running(pods: u32) -> Workload {
    Workload {
        size: pods,
        replicas: pods,
        ready: pods,
        ..Default::default()
    }
}

fn sample(stuck: Option<report::Stuck>) -> Sample {
    let seen = PartitionSample {
        end: Offset(10),
        start: Offset(0),
        committed: Some(Offset(4)),
        beyond: None,
        stuck,
        pod: None,
    };
    Sample {
        at: NOW,
        partitions: BTreeMap::from([(TopicPartition::new("orders", 0), Some(seen))]),
        pods: BTreeMap::new(),
        current: 1,
        ready: 1,
        rolling: false,
        held_up: false,
    }
}

fn decision(why: Why, lag: u64) -> Decision {
    Decision {
        replicas: 1,
        reasons: vec![why],
        look_again_at: NOW,
        watch: Watch::Usual,
        outlook: Outlook {
            partitions: 1,
            lag: Some(lag),
            delay: Some(Duration::from_millis(2_900)),
            arrival_per_second: Some(1.04),
            ..Default::default()
        },
    }
}

fn order(wanted: u32, reason: &str) -> Order {
    Order {
        wanted,
        set: Some(wanted),
        by: By::Policy,
        limit: None,
        reasons: vec![reason.to_owned()],
    }
}

/// A good day; tests spoil it.
struct Day {
    fleet: Fleet,
    previous: KafkaConsumerStatus,
    problems: Vec<Problem>,
    trouble: Option<Trouble>,
    workload: Option<Workload>,
    sample: Option<Sample>,
    dead_letter: Option<dead_letter_topic::Facts>,
    dead_letter_told: Option<&'static str>,
    sharing: Sharing<'static>,
    away: Option<&'static str>,
    decision: Option<Decision>,
    order: Option<Order>,
    now: Timestamp,
    resumes: bool,
    same_reasons: bool,
}

impl Day {
    fn good() -> Self {
        Self {
            fleet: fleet(json!({})),
            previous: KafkaConsumerStatus::default(),
            problems: Vec::new(),
            trouble: None,
            workload: Some(running(1)),
            sample: Some(sample(None)),
            dead_letter: None,
            dead_letter_told: None,
            sharing: Sharing {
                is_known: true,
                ..Sharing::default()
            },
            away: None,
            decision: Some(decision(Why::Settling, 6)),
            order: Some(order(1, "enough")),
            now: NOW,
            resumes: false,
            same_reasons: false,
        }
    }

    fn status(&self) -> KafkaConsumerStatus {
        status(&Facts {
            now: self.now,
            generation: Some(3),
            previous: &self.previous,
            spec: if self.problems.is_empty() {
                Spec::Good(&self.fleet)
            } else {
                Spec::Bad(&self.problems)
            },
            selector: "drover.dev/consumer=fleet".to_owned(),
            trouble: self.trouble.as_ref(),
            workload: self.workload.as_ref(),
            kafka: match (&self.sample, self.away) {
                (_, Some(error)) => Kafka::Unreachable {
                    reason: "Unreachable",
                    error: error.to_owned(),
                },
                (Some(sample), None) => Kafka::Read(sample),
                (None, None) => Kafka::Unasked,
            },
            dead_letter: self.dead_letter.as_ref(),
            dead_letter_told: self.dead_letter_told,
            sharing: self.sharing.clone(),
            decision: self.decision.as_ref(),
            order: self.order.as_ref(),
            resumes: self.resumes,
            same_reasons: self.same_reasons,
        })
    }
}

/// Status, reason and message of a condition.
fn condition(status: &KafkaConsumerStatus, type_: &str) -> (String, String, String) {
    let mut conditions = status.conditions.iter();
    let found = conditions
        .find(|condition| condition.type_ == type_)
        .unwrap();
    assert_eq!(found.observed_generation, Some(3));
    (
        found.status.clone(),
        found.reason.clone(),
        found.message.clone(),
    )
}

fn reason(status: &KafkaConsumerStatus, type_: &str) -> String {
    let (status, reason, _) = condition(status, type_);
    format!("{status} {reason}")
}

#[test]
fn a_good_day_is_told_with_rounded_numbers() {
    let status = Day::good().status();
    assert_eq!(reason(&status, "Ready"), "True AllReady");
    assert_eq!(reason(&status, "Progressing"), "False Settled");
    assert_eq!(reason(&status, "KafkaReachable"), "True OffsetsRead");
    assert_eq!(reason(&status, "ScalingActive"), "True Auto");
    assert_eq!(reason(&status, "ScalingLimited"), "False NotLimited");
    assert_eq!(reason(&status, "Stalled"), "False NothingStuck");
    assert_eq!(reason(&status, "Paused"), "False NotPaused");
    assert_eq!((status.replicas, status.ready_replicas), (Some(1), Some(1)));
    assert_eq!((status.lag, status.delay.as_deref()), (Some(6), Some("2s")));
    assert_eq!(
        (status.observed_generation, status.partitions),
        (Some(3), Some(1))
    );
    let scaling = status.scaling.unwrap();
    assert_eq!((scaling.wanted, scaling.since), (Some(1), Some(NOW)));
    assert_eq!(
        (scaling.arrival_per_second, scaling.capacity_per_pod),
        (Some(1.0), None)
    );
}

#[test]
fn numbers_are_absent_while_kafka_is_away_and_what_is_learned_stays() {
    let mut day = Day::good();
    day.previous = day.status();
    day.previous.scaling.as_mut().unwrap().capacity_per_pod = Some(200.0);
    day.away = Some("no broker answered");
    day.decision = None;
    day.order = None;
    let status = day.status();
    assert_eq!((status.lag, status.delay.clone()), (None, None));
    let scaling = status.scaling.clone().unwrap();
    assert_eq!(
        (scaling.wanted, scaling.capacity_per_pod),
        (Some(1), Some(200.0))
    );
    let (is, reason, message) = condition(&status, "KafkaReachable");
    assert_eq!((is.as_str(), reason.as_str()), ("False", "Unreachable"));
    for part in ["kafka:9092", "no broker answered", "check that Kafka runs"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(
        super::tests::reason(&status, "ScalingActive"),
        "False KafkaUnreachable"
    );
    assert_eq!(
        super::tests::reason(&status, "Ready"),
        "False KafkaUnreachable"
    );
}

#[test]
fn a_bad_spec_names_every_problem_and_leaves_the_rest_as_it_was() {
    let problem = |field: &str, reason: &'static str| Problem {
        field: field.to_owned(),
        reason,
        message: format!("{field} is wrong; mend it"),
        may_heal: false,
    };
    let mut day = Day::good();
    day.problems = vec![
        problem("spec.a", "InvalidValue"),
        problem("spec.b", "Contradiction"),
    ];
    let status = day.status();
    let (is, reason, message) = condition(&status, "Ready");
    assert_eq!((is.as_str(), reason.as_str()), ("False", "InvalidValue"));
    for part in [
        "spec.a is wrong; mend it",
        "spec.b is wrong",
        "left as they were",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(
        super::tests::reason(&status, "Paused"),
        "Unknown InvalidValue"
    );
    day.workload = None;
    assert!(
        condition(&day.status(), "Ready")
            .2
            .contains("nothing was created")
    );
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
    assert_eq!(super::tests::reason(&status, "Ready"), "False Stalled");
    assert_eq!(status.stuck[0].offset, 4);

    // While Kafka is away nobody can say that it is mended.
    day.previous = status;
    day.away = Some("no broker answered");
    assert_eq!(
        super::tests::reason(&day.status(), "Stalled"),
        "True RecordStuck"
    );
}

#[test]
fn a_partition_that_cannot_be_read_on_is_told_with_what_it_takes() {
    for (error, reason, remedies) in [
        (
            "RecordUnreadable its checksum is wrong",
            "RecordUnreadable",
            ["disks of the brokers", "--to-offset"],
        ),
        (
            "OffsetsExpired the log begins at 90",
            "OffsetsExpired",
            ["--to-earliest", "retention"],
        ),
        (
            "TopicRecreated the topic was deleted and made anew",
            "TopicRecreated",
            ["--group shop.fleet", "spec.paused to true"],
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
    assert_eq!(
        super::tests::reason(&status, "Stalled"),
        "True OffsetsExpired"
    );
    assert_eq!(status.stuck[0].offset, 4);

    // A consumer of the user's own has its own way.
    let consumer = json!({
        "handler": { "consumer": {} },
        "template": { "spec": { "containers": [{ "name": "c", "image": "c" }] } },
    });
    day.fleet = fleet(consumer);
    assert_eq!(
        super::tests::reason(&day.status(), "Stalled"),
        "False NothingStuck"
    );
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

#[test]
fn a_fleet_that_is_held_at_zero_while_records_wait_is_not_called_idle() {
    let mut day = Day::good();
    day.workload = Some(running(0));
    let word = |day: &Day| reason(&day.status(), "Ready");
    for mode in ["Recommend", "Manual", "External"] {
        day.fleet = fleet(json!({ "scaling": { "mode": mode } }));
        day.decision = Some(decision(Why::AtRest, 5_000));
        assert_eq!(word(&day), "True HeldAtZero", "{mode}");
        day.decision = Some(decision(Why::AtRest, 0));
        assert_eq!(word(&day), "True Idle", "{mode}");
    }
}

#[test]
fn a_misconfigured_handler_is_not_answered_with_a_dead_letter_topic() {
    let mut day = Day::good();
    day.fleet = fleet(json!({ "delivery": { "deadLetter": { "topic": "dlq" } } }));
    for (error, remedy) in [
        ("Redirect 302", "set spec.handler.http.url"),
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
fn whoever_else_has_the_group_is_named() {
    let mut day = Day::good();
    let word = |day: &Day| reason(&day.status(), "GroupShared");
    assert_eq!(word(&day), "False NotShared");
    let member = Box::leak(Box::new(Member {
        id: "rdkafka-1".to_owned(),
        client_id: "rdkafka".to_owned(),
        host: "10.0.0.9".into(),
        partitions: vec![TopicPartition::new("orders", 0)],
    }));
    let rival = |name: &str| FleetKey {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    };
    day.sharing.foreign = 2;
    assert_eq!(word(&day), "True OtherCommits");
    day.sharing.rivals = ["a", "b", "c", "d", "e"].map(rival).into();
    assert_eq!(word(&day), "True OtherFleet");
    let (_, _, message) = condition(&day.status(), "GroupShared");
    assert!(
        message.contains("shop/a, shop/b, shop/c and 2 more; "),
        "{message}"
    );
    day.sharing.strangers = vec![member];
    let (status, word_now, message) = condition(&day.status(), "GroupShared");
    assert_eq!((&*status, &*word_now), ("True", "OtherMembers"));
    assert!(
        message.contains("rdkafka from 10.0.0.9 with 1 partitions; "),
        "{message}"
    );
    // The fleet does what it is there for.
    assert_eq!(reason(&day.status(), "Ready"), "True AllReady");
    // Programs of the user's own never report.
    day.fleet = fleet(
        json!({ "handler": { "consumer": {} }, "template": { "spec": {
        "containers": [{ "name": "mine", "image": "mine" }] } } }),
    );
    day.sharing = Sharing {
        is_known: true,
        foreign: 2,
        ..Default::default()
    };
    assert_eq!(word(&day), "False NotShared");
    day.sharing.is_known = false;
    assert_eq!(word(&day), "Unknown NotRead");
    day.sample = None;
    assert_eq!(word(&day), "Unknown NotAskedYet");
}

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
    });
    let message = condition(&day.status(), "Stalled").2;
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

#[test]
fn trouble_with_pods_and_children_comes_before_everything_else() {
    let mut day = Day::good();
    let mut workload = running(1);
    workload.ready = 0;
    workload.troubles.push(workload::Trouble {
        reason: "ImagePullBackOff".to_owned(),
        message: "pod p, container worker: no such image".to_owned(),
    });
    day.workload = Some(workload);
    assert_eq!(reason(&day.status(), "Ready"), "False ImagePullBackOff");
    let (.., message) = condition(&day.status(), "Ready");
    assert!(
        message.contains("no such image; check the image's name"),
        "{message}"
    );
    assert_eq!(
        reason(&day.status(), "Progressing"),
        "False ImagePullBackOff"
    );
    day.trouble = Some(Trouble {
        reason: "NameTaken",
        message: "taken".to_owned(),
    });
    assert_eq!(reason(&day.status(), "Ready"), "False NameTaken");
}

#[test]
fn a_command_whose_container_is_killed_again_and_again_is_told_that_a_record_may_be_why() {
    let mut day = Day::good();
    let mut workload = running(1);
    workload.ready = 0;
    workload.troubles.push(workload::Trouble {
        reason: "CrashLoopBackOff".to_owned(),
        message: "pod p, container worker: OOMKilled, exit code 137".to_owned(),
    });
    day.workload = Some(workload);
    let (.., message) = condition(&day.status(), "Ready");
    assert!(!message.contains("guilty record"), "{message}");
    day.fleet = fleet(json!({
        "handler": { "exec": { "command": ["handle"] } },
        "template": { "spec": { "containers": [{ "name": "worker", "image": "app:1" }] } },
    }));
    let (.., message) = condition(&day.status(), "Ready");
    assert!(message.contains("guilty record"), "{message}");
}

#[test]
fn a_pod_that_waits_for_its_handler_is_not_told_to_be_starting() {
    let mut day = Day::good();
    day.workload = Some(Workload {
        ready: 0,
        waiting: 2,
        ..running(2)
    });
    let (.., message) = condition(&day.status(), "Ready");
    assert!(!message.contains("starting"), "{message}");
    for words in ["0 of 2 pods", "handler", "drover logs fleet -n shop"] {
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[test]
fn each_stage_of_a_fleet_has_its_own_word() {
    let with = |change: fn(&mut Workload)| {
        let mut day = Day::good();
        let mut workload = running(2);
        change(&mut workload);
        day.workload = Some(workload);
        let status = day.status();
        (reason(&status, "Ready"), reason(&status, "Progressing"))
    };
    let words = |ready: &str, progressing: &str| (ready.to_owned(), progressing.to_owned());
    assert_eq!(
        with(|w| w.rolling = true),
        words("False RollingOut", "True RollingOut")
    );
    assert_eq!(
        with(|w| w.ready = 1),
        words("False PodsNotReady", "True ScalingUp")
    );
    assert_eq!(
        with(|w| w.leaving = 1),
        words("True AllReady", "True Draining")
    );
    assert_eq!(
        with(|w| *w = running(0)),
        words("True Idle", "False Settled")
    );
}

#[test]
fn modes_other_than_auto_say_who_sets_the_size() {
    for (spec, word) in [
        (
            json!({ "scaling": { "mode": "Manual" }, "replicas": 2 }),
            "False Manual",
        ),
        (
            json!({ "scaling": { "mode": "Recommend" } }),
            "False RecommendOnly",
        ),
        (json!({ "paused": true }), "False Paused"),
    ] {
        let mut day = Day::good();
        day.fleet = fleet(spec);
        assert_eq!(reason(&day.status(), "ScalingActive"), word);
    }
}

#[test]
fn a_limit_is_told_in_the_policys_words() {
    let mut day = Day::good();
    let why = Why::CappedByMax {
        wanted: 9,
        max: 2,
        useful: 2,
    };
    day.decision = Some(decision(why, 6));
    let status = day.status();
    assert_eq!(
        reason(&status, "ScalingLimited"),
        "True CappedByMaxReplicas"
    );
    assert!(condition(&status, "ScalingLimited").2.contains("raise it"));
}

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
