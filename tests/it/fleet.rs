//! `fleet::validate`: every problem, with its field, reason and remedy; and what a `Fleet` is then.

use std::collections::BTreeSet;
use std::time::Duration;

use drover::api::librdkafka::{OWNED_PROPERTIES, PASSED_ON_PROPERTIES, owned_property};
use drover::api::names::reason;
use drover::api::{KafkaConsumer, OnExhausted, ScalingMode};
use drover::fleet::{
    Contents, Handler, Known, Problem, References, check_document, references, validate,
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
fn properties_that_drover_owns_are_refused_by_name() {
    for owned in OWNED_PROPERTIES {
        let name = owned.name.replace('*', "x");
        let document = with(
            http_url(),
            "/spec/kafka/properties",
            json!({ &name: "hunter2" }),
        );
        let problems = problems(&document);
        assert_eq!(problems.len(), 1, "{name}: {problems:#?}");
        let wanted = if owned.secret {
            reason::SECRET_IN_PROPERTY
        } else {
            reason::OWNED_PROPERTY
        };
        assert_eq!(problems[0].reason, wanted);
        assert_eq!(problems[0].field, format!("spec.kafka.properties[{name}]"));
        assert!(problems[0].message.contains(owned.remedy));
        assert!(
            !problems[0].message.contains("hunter2"),
            "{}",
            problems[0].message
        );
    }
}

#[test]
fn properties_that_may_be_set_are_known_to_librdkafka() {
    let known = |name: &str| {
        let mut config = rdkafka::ClientConfig::new();
        let refused = config.set(name, "nonsense").create_native_config().err();
        !matches!(
            refused,
            Some(KafkaError::ClientConfig(
                RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN,
                ..
            ))
        )
    };
    for name in PASSED_ON_PROPERTIES {
        assert!(known(name), "librdkafka does not know {name}");
        assert!(owned_property(name).is_none(), "{name} is Drover's own");
    }
    assert!(!known("fetch.wait.max"));
}

#[test]
fn a_property_that_librdkafka_does_not_know_is_refused() {
    let properties = |name: &str| with(http_url(), "/spec/kafka/properties", json!({ name: "1" }));
    each_is_told_once(vec![
        (
            properties("fetch.wait.max"),
            reason::INVALID_VALUE,
            "spec.kafka.properties[fetch.wait.max]",
            "did you mean fetch.wait.max.ms?",
        ),
        (
            properties("max.poll.records"),
            reason::INVALID_VALUE,
            "spec.kafka.properties[max.poll.records]",
            "remove it or correct the name",
        ),
    ]);
}

#[test]
fn properties_are_checked_against_the_protocol_and_the_timing() {
    let properties = |pairs: Value| with(http_url(), "/spec/kafka/properties", pairs);
    let consumer = |pairs: Value| {
        with(
            properties(pairs),
            "/spec/kafka/groupProtocol",
            json!("Consumer"),
        )
    };
    for right in [
        properties(
            json!({ "session.timeout.ms": "10000", "fetch.wait.max.ms": "100", "client.rack": "a" }),
        ),
        consumer(json!({ "group.remote.assignor": "range" })),
        properties(json!({ "partition.assignment.strategy": "cooperative-sticky" })),
        properties(json!({ "partition.assignment.strategy": "range,roundrobin" })),
    ] {
        assert_eq!(problems(&right), []);
    }
    each_is_told_once(vec![
        (
            consumer(json!({ "session.timeout.ms": "10000" })),
            reason::CONTRADICTION,
            "spec.kafka.properties[session.timeout.ms]",
            "remove it",
        ),
        (
            properties(json!({ "session.timeout.ms": "80001" })),
            reason::CONTRADICTION,
            "spec.kafka.properties[session.timeout.ms]",
            "which is 80000",
        ),
        (
            properties(json!({ "heartbeat.interval.ms": "3s" })),
            reason::INVALID_VALUE,
            "spec.kafka.properties[heartbeat.interval.ms]",
            "whole number of milliseconds",
        ),
        (
            properties(json!({ "group.remote.assignor": "range" })),
            reason::CONTRADICTION,
            "spec.kafka.properties[group.remote.assignor]",
            "remove it or change the protocol",
        ),
        (
            properties(json!({ "partition.assignment.strategy": "range,cooperative-sticky" })),
            reason::INVALID_VALUE,
            "spec.kafka.properties[partition.assignment.strategy]",
            "write cooperative-sticky, range, roundrobin, or range,roundrobin",
        ),
        (
            consumer(json!({ "partition.assignment.strategy": "range" })),
            reason::CONTRADICTION,
            "spec.kafka.properties[partition.assignment.strategy]",
            "remove it, or name the broker's assignor in group.remote.assignor",
        ),
    ]);
}

#[test]
fn contradictions_of_the_template_are_told() {
    let url = |pod: Value| with(http_url(), "/spec/template/spec", pod);
    let port = |pointer: &str, value: Value| {
        with(http_port(), &format!("/spec/template/spec{pointer}"), value)
    };
    let own = |pointer: &str, value: Value| {
        with(
            own_consumer(),
            &format!("/spec/template/spec{pointer}"),
            value,
        )
    };
    let worker =
        |value: Value| url(json!({ "containers": [with(value, "/name", json!("worker"))] }));
    let command =
        |pointer: &str, value: Value| with(exec(), &format!("/spec/template/spec{pointer}"), value);
    let socket = |pointer: &str, value: Value| {
        with(
            http_socket(),
            &format!("/spec/template/spec{pointer}"),
            value,
        )
    };
    let template = reason::INVALID_TEMPLATE;
    each_is_told_once(vec![
        (
            command("/containers/0/image", Value::Null),
            template,
            "spec.template.spec.containers",
            "none named worker with an image",
        ),
        (
            command("/containers/0/name", json!("rails")),
            template,
            "spec.template.spec.containers",
            "give yours that name",
        ),
        (
            command("/containers/0/command", json!(["sh"])),
            template,
            "spec.template.spec.containers[0].command",
            "Drover's own",
        ),
        (
            command("/volumes", json!([{ "name": "drover-program" }])),
            template,
            "spec.template.spec.volumes",
            "rename yours",
        ),
        (
            command(
                "/initContainers",
                json!([{ "name": "drover-program", "image": "x" }]),
            ),
            template,
            "spec.template.spec.initContainers",
            "rename yours",
        ),
        (
            socket("/containers", json!([{ "name": "worker" }])),
            template,
            "spec.template.spec.containers",
            "add the handler's container",
        ),
        (
            socket("/volumes", json!([{ "name": "drover-socket" }])),
            template,
            "spec.template.spec.volumes",
            "rename yours",
        ),
        (
            socket(
                "/containers/0/volumeMounts",
                json!([{ "name": "x", "mountPath": "/run/handler/" }]),
            ),
            template,
            "spec.template.spec.containers[0].volumeMounts",
            "remove it",
        ),
        (
            with(
                http_socket(),
                "/spec/handler/http/socket",
                json!("/etc/drover-secrets/http.sock"),
            ),
            reason::CONTRADICTION,
            "spec.handler.http.socket",
            "choose another folder",
        ),
        (
            url(json!({ "restartPolicy": "OnFailure" })),
            template,
            "spec.template.spec.restartPolicy",
            "remove it",
        ),
        (
            url(json!({ "terminationGracePeriodSeconds": 44 })),
            reason::GRACE_PERIOD_TOO_SHORT,
            "spec.template.spec.terminationGracePeriodSeconds",
            "35s to drain (from spec.handler.timeout) + 5s to commit + 5s to leave the group = 45s",
        ),
        (
            url(json!({ "ephemeralContainers": [{ "name": "sh" }] })),
            template,
            "spec.template.spec.ephemeralContainers",
            "remove it",
        ),
        (
            worker(json!({ "image": "mine" })),
            template,
            "spec.template.spec.containers[0].image",
            "give your container another name",
        ),
        (
            worker(json!({ "command": ["sh"] })),
            template,
            "spec.template.spec.containers[0].command",
            "Drover's own",
        ),
        (
            worker(json!({ "args": ["-v"] })),
            template,
            "spec.template.spec.containers[0].args",
            "Drover's own",
        ),
        (
            worker(json!({ "livenessProbe": {} })),
            template,
            "spec.template.spec.containers[0].livenessProbe",
            "Drover's own",
        ),
        (
            worker(json!({ "lifecycle": {} })),
            template,
            "spec.template.spec.containers[0].lifecycle",
            "Drover's own",
        ),
        (
            worker(json!({ "env": [{ "name": "POD_NAME", "value": "x" }] })),
            template,
            "spec.template.spec.containers[0].env",
            "POD_NAME",
        ),
        (
            worker(json!({ "env": [{ "name": "DROVER_CONFIG", "value": "x" }] })),
            template,
            "spec.template.spec.containers[0].env",
            "DROVER_CONFIG",
        ),
        (
            worker(json!({ "resources": { "limits": { "memory": "63Mi" } } })),
            reason::INVALID_VALUE,
            "spec.template.spec.containers[0].resources.limits.memory",
            "64Mi",
        ),
        (
            worker(json!({ "resources": { "limits": { "memory": "1GB" } } })),
            reason::INVALID_VALUE,
            "spec.template.spec.containers[0].resources.limits.memory",
            "such as 128Mi",
        ),
        (
            url(json!({ "containers": [{ "image": "a" }] })),
            template,
            "spec.template.spec.containers[0].name",
            "name the container",
        ),
        (
            url(json!({ "containers": [{ "name": "a" }] })),
            template,
            "spec.template.spec.containers[0].image",
            "name its image",
        ),
        (
            url(
                json!({ "containers": [{ "name": "a", "image": "a" }, { "name": "a", "image": "b" }] }),
            ),
            template,
            "spec.template.spec.containers[1].name",
            "rename one",
        ),
        (
            url(json!({ "initContainers": [{ "name": "worker", "image": "a" }] })),
            template,
            "spec.template.spec.initContainers[0].name",
            "rename yours",
        ),
        (
            url(json!({ "containers": [{ "name": "a", "image": "a", "restartPolicy": "Never" }] })),
            template,
            "spec.template.spec.containers[0].restartPolicy",
            "remove it",
        ),
        (
            url(
                json!({ "containers": [{ "name": "a", "image": "a", "ports": [{ "containerPort": 9090 }] }] }),
            ),
            template,
            "spec.template.spec.containers[0].ports",
            "listen on another",
        ),
        (
            port("/containers/1/ports/0/containerPort", json!(8080)),
            reason::CONTRADICTION,
            "spec.handler.http.port",
            "listen on 8080; correct one of them",
        ),
        (
            port("/containers", json!([{ "name": "worker" }])),
            template,
            "spec.template.spec.containers",
            "add the handler's container",
        ),
        (
            with(http_port(), "/spec/template/spec", Value::Null),
            template,
            "spec.template.spec",
            "add spec.containers",
        ),
        (
            own("/containers", json!([])),
            template,
            "spec.template.spec.containers",
            "add your consumer's container",
        ),
        (
            own("/terminationGracePeriodSeconds", json!(60)),
            reason::GRACE_PERIOD_TOO_SHORT,
            "spec.template.spec.terminationGracePeriodSeconds",
            "= 70s",
        ),
        (
            with(
                own_consumer(),
                "/spec/handler/consumer/container",
                json!("kafka"),
            ),
            reason::CONTRADICTION,
            "spec.handler.consumer.container",
            "(statsd, karafka); correct the name",
        ),
        (
            own("/containers/1/env/0/value", json!("other")),
            reason::CONTRADICTION,
            "spec.template.spec.containers[1].env[0]",
            "which says \"rails-consumer-group\"",
        ),
        (
            own(
                "/containers/1/env/0",
                json!({ "name": "KAFKA_TOPICS", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }),
            ),
            reason::CONTRADICTION,
            "spec.template.spec.containers[1].env[0]",
            "remove it",
        ),
        (
            own("/containers/1/image", Value::Null),
            template,
            "spec.template.spec.containers[1].image",
            "name its image",
        ),
    ]);
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
fn everything_to_look_up_is_listed() {
    let pod = json!({
        "initContainers": [{ "name": "i", "image": "i", "envFrom": [{ "secretRef": { "name": "s1" } }, { "configMapRef": { "name": "c1" } }] }],
        "containers": [{ "name": "a", "image": "a", "env": [
            { "name": "A", "valueFrom": { "secretKeyRef": { "name": "s2", "key": "k" } } },
            { "name": "B", "valueFrom": { "configMapKeyRef": { "name": "c2", "key": "k", "optional": true } } },
        ] }],
        "volumes": [
            { "name": "s", "secret": { "secretName": "s3" } },
            { "name": "c", "configMap": { "name": "c3" } },
            { "name": "p", "projected": { "sources": [{ "secret": { "name": "s4" } }, { "configMap": { "name": "c4" } }] } },
        ],
    });
    let document = with(http_url(), "/spec/template/spec", pod);
    let document = with(
        document,
        "/spec/delivery/deadLetter/topic",
        json!("user_events.dlq"),
    );
    let wanted = references(&typed(&document));
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(list(&wanted.secrets), "s1 s2 s3 s4");
    assert_eq!(list(&wanted.config_maps), "c1 c2 c3 c4");
    assert_eq!(list(&wanted.topics), "user_events user_events.dlq");
    // What the worker itself needs is among them.
    assert_eq!(
        list(&references(&typed(&http_port())).secrets),
        "orders orders-store postgres-ca rails-encryption rails-lookups"
    );
}

fn looked_up(secret: Known<Contents>) -> References {
    References {
        secrets: [("orders".to_owned(), secret)].into(),
        ..References::default()
    }
}

#[test]
fn what_is_missing_in_the_cluster_may_heal() {
    let missing_key: Known<Contents> = Known::Found(Contents::of([("other", &b"x"[..])]));
    let mut topics = References::default();
    topics
        .topics
        .insert("orders.dlq".to_owned(), Known::Missing);
    topics.topics.insert("orders".to_owned(), Known::Unknown);
    let key = "spec.template.spec.containers[1].env[0].valueFrom.secretKeyRef";
    let password = "spec.idempotency.store.postgres.passwordSecret";
    let store = |found| References {
        secrets: [("orders-store".to_owned(), found)].into(),
        ..References::default()
    };
    for (found, reason, field) in [
        (store(Known::Missing), reason::SECRET_NOT_FOUND, password),
        (store(missing_key.clone()), reason::KEY_NOT_FOUND, password),
        (looked_up(Known::Missing), reason::SECRET_NOT_FOUND, key),
        (looked_up(missing_key), reason::KEY_NOT_FOUND, key),
        (
            topics,
            reason::TOPIC_NOT_FOUND,
            "spec.delivery.deadLetter.topic",
        ),
    ] {
        let problems = validate(&typed(&http_port()), &found).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert_eq!(
            (problems[0].reason, problems[0].field.as_str()),
            (reason, field)
        );
        assert!(problems[0].may_heal && problems[0].message.contains(field));
        // Only what the template names can be.
        assert_eq!(
            problems[0].message.contains("mark it optional"),
            field == key,
            "{}",
            problems[0].message
        );
    }
}

#[test]
fn what_is_optional_or_unknown_is_no_problem() {
    let optional = with(
        http_port(),
        "/spec/template/spec/containers/1/env/0/valueFrom/secretKeyRef/optional",
        json!(true),
    );
    assert!(validate(&typed(&optional), &looked_up(Known::Missing)).is_ok());
    assert!(validate(&typed(&http_port()), &looked_up(Known::Unknown)).is_ok());
}

#[test]
fn a_changed_secret_changes_the_pod_and_nothing_else_does() {
    let pod = |value: &[u8]| {
        let found = looked_up(Known::Found(Contents::of([("key", value)])));
        let fleet = validate(&typed(&http_port()), &found).unwrap();
        build(&fleet, &settings()).deployment.spec.template
    };
    assert_eq!(pod(b"one"), pod(b"one"));
    assert_ne!(pod(b"one"), pod(b"two"));
    let with_password = |value: &[u8]| {
        let contents = Contents::of([("password", value)]);
        let found = References {
            secrets: [("orders-store".to_owned(), Known::Found(contents))].into(),
            ..References::default()
        };
        let fleet = validate(&typed(&http_port()), &found).unwrap();
        build(&fleet, &settings()).deployment.spec.template
    };
    assert_ne!(with_password(b"one"), with_password(b"two"));
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

#[test]
fn records_to_skip_are_checked_and_handed_on() {
    let field = "metadata.annotations[drover.dev/skip]";
    let good = json!([
        { "topic": "user_events", "partition": 1, "offset": 42, "timestamp": 7, "reason": "no such user", "by": "ann" },
        { "topic": "gone", "partition": 0, "offset": 1, "timestamp": 7, "reason": "of a topic that was taken out" },
    ]);
    let annotated = |document: Value, text: String| {
        with(
            document,
            "/metadata/annotations",
            json!({ "drover.dev/skip": text }),
        )
    };
    each_is_told_once(vec![
        (
            annotated(http_url(), "orders/1/42".to_owned()),
            reason::INVALID_VALUE,
            field,
            "kubectl annotate kc",
        ),
        (
            annotated(own_consumer(), good.to_string()),
            reason::CONTRADICTION,
            field,
            "let that program pass the record over",
        ),
    ]);
    let document = annotated(
        with(http_url(), "/spec/topics", json!(["user_events"])),
        good.to_string(),
    );
    let fleet = validate(&typed(&document), &References::default()).unwrap();
    let [skip] = fleet.skips.as_slice() else {
        panic!("{:?}", fleet.skips);
    };
    assert_eq!((skip.offset, skip.timestamp), (42, 7));
    // A fleet without has the configuration, and so the pods, that it had before there was such a thing.
    let text = |document: &Value| {
        let fleet = validate(&typed(document), &References::default()).unwrap();
        let settings = Settings {
            worker_image: "w".to_owned(),
            image_pull_policy: None,
        };
        let config_map = build(&fleet, &settings).config_map.unwrap();
        config_map.data.unwrap().into_values().next().unwrap()
    };
    assert!(text(&document).contains("skips"));
    assert!(!text(&annotated(http_url(), "[]".to_owned())).contains("skips"));
}

#[test]
fn zones_and_days_that_do_not_exist_are_told_offline() {
    let peak = |name: &str, value: Value| {
        let mut peak = json!({ "timeZone": "UTC", "minReplicas": 2 });
        peak[name] = value;
        with(http_url(), "/spec/scaling/schedule", json!([peak]))
    };
    each_is_told_once(vec![
        (
            peak("timeZone", json!("Europe/Belin")),
            reason::INVALID_VALUE,
            "spec.scaling.schedule[0].timeZone",
            "did you mean Europe/Berlin?",
        ),
        (
            peak("timeZone", json!("Mars/Olympus")),
            reason::INVALID_VALUE,
            "spec.scaling.schedule[0].timeZone",
            "write one such as Europe/Berlin or UTC",
        ),
        (
            peak("dates", json!(["2027-02-28", "2027-02-29"])),
            reason::INVALID_VALUE,
            "spec.scaling.schedule[0].dates[1]",
            "there is no such day",
        ),
    ]);
}

#[test]
fn a_schedule_is_what_the_planner_is_told() {
    let peaks = json!([
        { "days": ["Sun"], "from": "22:00", "to": "24:00", "timeZone": "Europe/Berlin", "minReplicas": 2 },
        { "timeZone": "europe/berlin", "minReplicas": 3 },
    ]);
    let document = with(http_url(), "/spec/scaling/schedule", peaks);
    let fleet = validate(&typed(&document), &References::default()).unwrap();
    let [first, second] = &fleet.policy.schedule.0[..] else {
        panic!("{:?}", fleet.policy.schedule);
    };
    assert_eq!(
        first.days,
        drover::scaling::Days::Week(vec![jiff::civil::Weekday::Sunday])
    );
    assert_eq!((first.from.hour(), first.to.hour(), first.min), (22, 0, 2));
    assert_eq!(second.days, drover::scaling::Days::Every);
    assert_eq!(first.zone, second.zone);
}
