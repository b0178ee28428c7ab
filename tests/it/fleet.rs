//! `fleet::validate`: every problem, with its field, reason and remedy; and what a `Fleet` is then.

mod handed_on;
mod lookups;
mod properties;
mod template;

use std::collections::BTreeSet;
use std::time::Duration;

use drover::api::librdkafka::{OWNED_PROPERTIES, PASSED_ON_PROPERTIES, owned_property};
use drover::api::names::reason;
use drover::api::{KafkaConsumer, OnExhausted, ScalingMode};
use drover::fleet::{
    Contents, Handler, Known, Problem, References, check_document, references, validate,
    worker_config, worker_config_text,
};
use drover::resources::{Settings, build};
use proptest::prelude::*;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;
use serde_json::{Value, json};

use crate::support::consumers::{
    all, exec, http_port, http_socket, http_url, own_consumer, typed, with,
};
use crate::support::wrong_specs::wrong_specs;

fn problems(document: &Value) -> Vec<Problem> {
    validate(&typed(document), &References::default())
        .err()
        .unwrap_or_default()
}

#[test]
fn a_configuration_with_which_no_pod_can_start_is_refused() {
    let command = |words: usize| {
        let words = vec!["x".repeat(4000); words];
        with(exec(), "/spec/handler/exec/command", json!(words))
    };
    let config = |document: &Value| {
        let fleet = validate(&typed(document), &References::default()).unwrap();
        let config = worker_config(&fleet).unwrap();
        worker_config_text(&config)
    };
    // As much as Linux takes in one variable, and a byte more.
    let most = 131_072 - "DROVER_CONFIG=".len() - 1;
    let starts = |size: usize| {
        let mut program = std::process::Command::new("/bin/true");
        program
            .env("DROVER_CONFIG", "x".repeat(size))
            .status()
            .is_ok()
    };
    assert!(starts(most) && !starts(most + 1));
    assert!(config(&command(32)).len() <= most);

    let problems = problems(&command(33));
    let [problem] = problems.as_slice() else {
        panic!("{problems:#?}");
    };
    assert_eq!(problem.field, "spec.handler.exec.command");
    for words in ["131057", "bytes", "write a file of the image"] {
        assert!(problem.message.contains(words), "{}", problem.message);
    }
}

#[test]
fn metadata_is_checked_like_any_other_field() {
    for (field, value, words) in [
        (
            "namespace",
            json!(false),
            "metadata.namespace must be a text (in quotes), not false",
        ),
        (
            "lables",
            json!({}),
            "metadata.lables is not a field; did you mean labels?",
        ),
        (
            "anotations",
            json!({}),
            "metadata.anotations is not a field; did you mean annotations?",
        ),
        (
            "labels",
            json!({ "canary": true }),
            "metadata.labels[canary] must be a text (in quotes), not true",
        ),
    ] {
        let mut document = http_url();
        document["metadata"][field] = value;
        let problems = check_document(&document);
        assert!(
            problems
                .iter()
                .any(|problem| problem.message.starts_with(words)),
            "{words}: {problems:#?}"
        );
    }
    // As `kubectl get -o yaml` gives it.
    let mut document = http_url();
    document["metadata"]["creationTimestamp"] = json!(null);
    document["metadata"]["resourceVersion"] = json!("17");
    document["metadata"]["generation"] = json!(3);
    document["metadata"]["managedFields"] = json!([{ "manager": "kubectl", "operation": "Apply",
        "apiVersion": "drover.dev/v1alpha1", "fieldsType": "FieldsV1", "time": "2026-11-01T00:00:00Z",
        "fieldsV1": { "f:spec": { "f:topics": {} } } }]);
    document["spec"]["replicas"] = json!(3.0);
    assert_eq!(check_document(&document), []);
}

/// A document with one thing wrong, and what must be said of it: reason, field, words.
type Case = (Value, &'static str, &'static str, &'static str);

#[track_caller]
fn each_is_told_once(cases: Vec<Case>) {
    for (document, reason, field, words) in cases {
        let problems = problems(&document);
        let [problem] = problems.as_slice() else {
            panic!("wanted only {reason} {field}, got {problems:#?}");
        };
        assert_eq!(
            (problem.reason, problem.field.as_str()),
            (reason, field),
            "{}",
            problem.message
        );
        assert!(
            problem.message.contains(words),
            "{words}: {}",
            problem.message
        );
        assert!(
            problem.message.contains(field),
            "{field}: {}",
            problem.message
        );
        assert!(!problem.may_heal);
    }
}

#[test]
fn what_the_api_server_refuses_is_refused_offline_too() {
    for wrong in wrong_specs() {
        let problems = check_document(&wrong.document);
        let found = problems.iter().find(|problem| {
            // Of a map the API server names the whole.
            let rest = problem.field.strip_prefix(wrong.field);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        });
        let found = found.unwrap_or_else(|| panic!("{}: {problems:#?}", wrong.field));
        assert!(found.message.contains(wrong.field), "{found:?}");
        assert_eq!(problems.len(), 1, "{}: {problems:#?}", wrong.field);
    }
}

#[test]
fn fields_that_do_not_exist_are_found_wherever_they_are() {
    for (pointer, value, field, meant) in [
        ("/spec/handlers", json!({}), "spec.handlers", "handler"),
        (
            "/spec/scaling/maxdelay",
            json!("1s"),
            "spec.scaling.maxdelay",
            "maxDelay",
        ),
        (
            "/spec/delivery/retry/attempt",
            json!(3),
            "spec.delivery.retry.attempt",
            "attempts",
        ),
        (
            "/spec/template/metadata/label",
            json!({}),
            "spec.template.metadata.label",
            "labels",
        ),
        (
            "/spec/template/spec/nodeSelectors",
            json!({}),
            "spec.template.spec.nodeSelectors",
            "nodeSelector",
        ),
        (
            "/spec/template/spec/securityContext",
            json!({ "runAsNonRoo": true }),
            "spec.template.spec.securityContext.runAsNonRoo",
            "runAsNonRoot",
        ),
        (
            "/spec/template/spec/affinity",
            json!({ "podAntiAffinity": { "x": 1 } }),
            "spec.template.spec.affinity.podAntiAffinity.x",
            "",
        ),
    ] {
        let found = check_document(&with(http_url(), pointer, value));
        assert_eq!(found.len(), 1, "{field}: {found:#?}");
        assert_eq!(
            (found[0].reason, found[0].field.as_str()),
            (reason::UNKNOWN_FIELD, field)
        );
        assert!(found[0].message.contains(meant), "{}", found[0].message);
    }
}

#[test]
fn a_wrong_value_does_not_hide_what_else_is_wrong() {
    let document = with(
        http_url(),
        "/spec/kafka",
        json!({ "properties": { "acks": "0" } }),
    );
    let document = with(document, "/spec/topics", json!(["a b", "x", "x"]));
    let document = with(
        document,
        "/spec/delivery",
        json!({ "ordering": 5, "onExhausted": "DeadLetter" }),
    );
    let document = with(
        document,
        "/spec/template/spec",
        json!({ "restartPolicy": "Never", "containers": 5 }),
    );
    let fields: BTreeSet<String> = check_document(&document)
        .into_iter()
        .map(|problem| problem.field)
        .collect();
    assert_eq!(
        fields.into_iter().collect::<Vec<_>>(),
        [
            "spec.delivery.onExhausted",
            "spec.delivery.ordering",
            "spec.kafka.bootstrapServers",
            "spec.kafka.properties[acks]",
            "spec.template.spec.containers",
            "spec.template.spec.restartPolicy",
            "spec.topics[0]",
            "spec.topics[2]",
        ]
    );
}

#[test]
fn a_fleet_has_everything_that_nobody_wrote() {
    let fleet = validate(&typed(&http_url()), &References::default()).unwrap();
    assert_eq!(fleet.group_id, "shop.user-events");
    assert_eq!(fleet.handler, Handler::Url("http://users/kafka".to_owned()));
    assert_eq!(fleet.delivery.attempts.get(), 5);
    assert_eq!(fleet.delivery.on_exhausted, OnExhausted::Stall);
    assert_eq!(
        (fleet.policy.min, fleet.policy.max, fleet.policy.concurrency),
        (1, None, 16)
    );
    assert_eq!(fleet.mode, ScalingMode::Auto);
    assert_eq!(fleet.timing.drain_deadline, Duration::from_secs(35));
    assert_eq!(fleet.timing.grace_period, Duration::from_secs(45));
    assert_eq!(fleet.timing.max_poll_interval, Duration::from_secs(80));

    let fleet = validate(&typed(&http_port()), &References::default()).unwrap();
    assert_eq!(fleet.delivery.on_exhausted, OnExhausted::DeadLetter);
    assert_eq!(fleet.timing.grace_period, Duration::from_secs(200));
    assert_eq!(fleet.worker_memory_bytes, 256 << 20);
    let told = fleet.idempotency.unwrap();
    assert_eq!(told.scope, "shop-orders");
    // A claim may have begun that long before its answer; after the attempt it is confirmed.
    let question = drover::store::LONGEST_QUESTION;
    assert!(told.lease > fleet.timing.handler_timeout + 2 * question);
    let default = with(
        http_url(),
        "/spec/idempotency",
        json!({ "key": { "offset": {} }, "store": { "memory": {} } }),
    );
    let fleet = validate(&typed(&default), &References::default()).unwrap();
    let told = fleet.idempotency.unwrap();
    assert_eq!(told.scope, "shop.user-events");
    assert_eq!(told.retention, Duration::from_secs(24 * 3600));
    assert_eq!(told.lease, Duration::from_secs(40));

    let first = with(own_consumer(), "/spec/handler/consumer", json!({}));
    let fleet = validate(&typed(&first), &References::default()).unwrap();
    assert_eq!(
        fleet.handler,
        Handler::Consumer {
            container: "statsd".to_owned()
        }
    );
}

fn settings() -> Settings {
    Settings {
        worker_image: "drover.local/worker:dev".to_owned(),
        image_pull_policy: None,
        user_by_platform: false,
    }
}

/// Every pointer into `value`, the deepest first.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(name, value)| pointers(value, &format!("{at}/{name}"), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| pointers(value, &format!("{at}/{index}"), found)),
        _ => {}
    }
    found.push(at.to_owned());
}

fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!([])),
        Just(json!("")),
        any::<i64>().prop_map(|number| json!(number)),
        (0u32..4).prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        any::<bool>().prop_map(|value| json!(value)),
        "[a-z0-9./:ä -]{0,20}".prop_map(|text| json!(text)),
        "[0-9]{1,4}(ms|s|m|h)".prop_map(|text| json!(text)),
        Just(json!([{ "name": "worker" }])),
        Just(json!({ "http": { "port": 80 } })),
        Just(json!({ "consumer": {} })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_document_makes_validation_panic_and_whatever_it_accepts_can_be_built(
        which in 0usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), junk()), 1..4),
    ) {
        let mut document = all()[which].1.clone();
        for (place, value) in changes {
            let mut found = Vec::new();
            pointers(&document, "", &mut found);
            if let Some(at) = document.pointer_mut(place.get(&found[..]).as_str()) {
                *at = value;
            }
        }
        let problems = check_document(&document);
        let Ok(consumer) = serde_json::from_value::<KafkaConsumer>(document.clone()) else {
            // A null is dropped before reading, here as at the API server.
            let nulls = document.to_string().contains("null");
            prop_assert!(nulls || !problems.is_empty(), "unreadable but accepted: {document}");
            return Ok(());
        };
        match validate(&consumer, &References::default()) {
            Ok(fleet) => {
                let desired = build(&fleet, &settings());
                prop_assert!(!desired.deployment.spec.template.spec.unwrap().containers.is_empty());
            }
            Err(found) => {
                prop_assert!(!found.is_empty());
                prop_assert!(!problems.is_empty(), "accepted as a document, refused as an object: {found:?}");
            }
        }
    }
}
