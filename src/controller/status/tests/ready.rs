//! How a fleet stands as a whole, by `Ready` and `Progressing`: good days, bad specs, trouble, and the stages between.

use serde_json::json;

use super::{Day, NOW, condition, decision, fleet, reason, running};
use crate::controller::status::Trouble;
use crate::controller::workload::{self, Workload};
use crate::fleet::Problem;
use crate::scaling::Why;
use crate::topic::Offset;

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
    for part in [
        "kafka:9092",
        "no broker answered",
        "check that Kafka runs",
        "whether its port wants TLS or a login (spec.kafka.tls, spec.kafka.sasl)",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(
        super::reason(&status, "ScalingActive"),
        "False KafkaUnreachable"
    );
    assert_eq!(super::reason(&status, "Ready"), "False KafkaUnreachable");
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
    assert_eq!(super::reason(&status, "Paused"), "Unknown InvalidValue");
    assert_eq!(message.matches("spec.a").count(), 1, "{message}");
    day.workload = None;
    assert!(
        condition(&day.status(), "Ready")
            .2
            .contains("nothing was created")
    );
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
fn a_fleet_at_zero_whose_commit_lies_beyond_the_end_is_not_called_idle() {
    let mut day = Day::good();
    day.workload = Some(running(0));
    let ends_at = |day: &mut Day, end| {
        let sample = day.sample.as_mut().unwrap();
        for seen in sample.partitions.values_mut().flatten() {
            seen.end = Offset(end);
        }
    };
    ends_at(&mut day, 3);
    for mode in ["Auto", "Manual"] {
        day.fleet = fleet(json!({ "scaling": { "mode": mode } }));
        let (is, reason, message) = condition(&day.status(), "Ready");
        assert_eq!((is.as_str(), reason.as_str()), ("False", "OffsetBeyondEnd"));
        for part in [
            "the committed offset 4 of orders[0] lies beyond its end 3",
            "drover reset fleet -n shop --topic orders --partition 0 --to earliest",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
    ends_at(&mut day, 4);
    day.decision = Some(decision(Why::AtRest, 0));
    assert_eq!(reason(&day.status(), "Ready"), "True Idle");
}

#[test]
fn trouble_with_pods_and_children_comes_before_everything_else() {
    let mut day = Day::good();
    let mut workload = running(1);
    workload.ready = 0;
    workload.troubles.push(workload::Trouble {
        reason: "ImagePullBackOff".to_owned(),
        message: "pod p, container worker: no such image".to_owned(),
        container: Some("worker".to_owned()),
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
        container: Some("worker".to_owned()),
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

/// With `handler.http.port` it is the handler's, not the worker's, that has the last words.
#[test]
fn of_a_container_that_ends_again_and_again_its_own_log_is_named() {
    let mut day = Day::good();
    let mut workload = running(1);
    workload.ready = 0;
    workload.troubles.push(workload::Trouble {
        reason: "CrashLoopBackOff".to_owned(),
        message: "pod p, container app: back-off 40s".to_owned(),
        container: Some("app".to_owned()),
    });
    day.workload = Some(workload);
    let (.., message) = condition(&day.status(), "Ready");
    let command = "back-off 40s; drover logs fleet -n shop -p -c app has the last words";
    assert!(message.contains(command), "{message}");
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

/// The API server takes them without a word, and pods do not have them.
#[test]
fn fields_of_the_template_that_do_not_exist_are_told_whatever_else_is() {
    let mut day = Day::good();
    let ready = |day: &Day| condition(&day.status(), "Ready").2;
    day.unknown_fields = vec!["spec.template.spec.tolerationz is not a field".to_owned()];
    let told = "; not used of spec.template: spec.template.spec.tolerationz is not a field";
    assert_eq!(ready(&day), format!("1 of 1 pod is ready{told}"));
    assert_eq!(reason(&day.status(), "Ready"), "True AllReady");
    day.workload.as_mut().unwrap().ready = 0;
    assert!(ready(&day).ends_with(told), "{}", ready(&day));
    day.unknown_fields = vec!["x is not a field".to_owned(); 5];
    assert!(ready(&day).ends_with("; and 2 more: drover validate names all"));
}

#[test]
fn a_roll_out_says_what_the_new_pods_wait_for() {
    let mut day = Day::good();
    day.workload = Some(Workload {
        replicas: 3,
        ready: 2,
        waiting: 1,
        rolling: true,
        ..running(2)
    });
    let text = |day: &Day| {
        let (is, reason, message) = condition(&day.status(), "Ready");
        assert_eq!((is.as_str(), reason.as_str()), ("False", "RollingOut"));
        message
    };
    let said = text(&day);
    for words in [
        "(3 exist); 1 runs",
        "waits for its handler (users) or for Kafka",
        "drover logs fleet -n shop",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // It may be one of those before that says it.
    day.handler_told = Some("connect to users:80: Connection refused");
    let said = text(&day);
    assert!(
        said.contains("a pod reports that it does not reach the handler: connect to users:80"),
        "{said}"
    );
    // As long as all that run are ready nothing is to be told.
    day.workload.as_mut().unwrap().waiting = 0;
    assert!(text(&day).ends_with("(3 exist)"), "{}", text(&day));
}

#[test]
fn a_handler_that_a_worker_does_not_reach_is_told_with_the_service_that_is_missing() {
    let mut day = Day::good();
    day.workload = Some(Workload {
        ready: 0,
        waiting: 1,
        ..running(1)
    });
    let text = |day: &Day| condition(&day.status(), "Ready").2;
    for (url, why, words) in [
        (
            "http://users/kafka",
            "connect to users:80: failed to lookup address information: Name or service not known",
            "0 of 1 pod is ready; 1 runs, and does not reach the handler: there is no Service users in namespace shop, or",
        ),
        (
            "http://hooks.example.com",
            "connect to hooks.example.com:80: failed to lookup address information: Name does not resolve",
            "the name hooks.example.com is not known (connect",
        ),
        (
            "http://users.crm.svc:8080",
            "connect to users.crm.svc:8080: Connection refused (os error 111)",
            "(os error 111); see whether Service users in namespace crm has ready pods",
        ),
        (
            "http://users",
            "connect to users:80: failed to lookup address information: Temporary failure in name resolution",
            "DNS gave no answer",
        ),
    ] {
        day.fleet = fleet(json!({ "handler": { "http": { "url": url } } }));
        day.handler_told = Some(why);
        assert!(text(&day).contains(words), "{words}: {}", text(&day));
    }
    // What workers said before is not told of those that are ready.
    day.workload = Some(running(1));
    assert!(!text(&day).contains("handler"), "{}", text(&day));
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
