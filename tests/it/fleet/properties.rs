//! librdkafka's properties: which may be set, and to what.

use super::*;

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
