//! From a Deployment, with a ScaledObject or alone.

use serde_json::{Value, json};

use super::*;

fn with_trigger(pod: &str, container: &str) -> Outcome {
    converted(
        &[scaled("", &kafka("")), deployment(pod, container)],
        &Wishes::default(),
    )
}

const SOURCE: &str = "env: [{ name: KAFKA_BROKERS, value: 'kafka:9092' }, { name: KAFKA_TOPIC, value: orders }, { name: KAFKA_CONSUMER_GROUP, value: shop-orders }]";

#[test]
fn the_program_has_as_long_to_stop_as_it_had() {
    for (seconds, timeout, kept) in [
        ("30", "30s", Value::Null),
        ("1", "1s", Value::Null),
        ("0", "1s", Value::Null),
        ("1800", "1800s", Value::Null),
        ("1805", "1800s", Value::Null),
        ("3600", "1800s", json!(3600)),
    ] {
        let outcome = with_trigger(&format!("terminationGracePeriodSeconds: {seconds},"), "");
        let spec = spec(&outcome);
        assert_eq!(spec["handler"]["timeout"], timeout);
        assert_eq!(
            spec["template"]["spec"]["terminationGracePeriodSeconds"], kept,
            "{seconds}"
        );
    }
    assert_eq!(
        spec(&with_trigger("", ""))["handler"]["timeout"],
        Value::Null
    );
}

#[test]
fn what_drover_sets_in_the_environment_is_what_the_spec_says() {
    let env = "env: [{ name: KAFKA_GROUP_ID, valueFrom: { secretKeyRef: { name: a, key: b } } }, { name: KAFKA_BOOTSTRAP_SERVERS, value: 'broker:9092' }, { name: A, value: $(KAFKA_GROUP_ID) }]";
    let outcome = with_trigger("", env);
    let found = &spec(&outcome)["template"]["spec"]["containers"][0]["env"];
    assert_eq!(
        *found,
        json!([
            { "name": "KAFKA_GROUP_ID", "value": "shop-orders" },
            { "name": "KAFKA_BOOTSTRAP_SERVERS", "value": "kafka:9092" },
            { "name": "A", "value": "$(KAFKA_GROUP_ID)" },
        ])
    );
    told(
        &outcome,
        "Assumed spec.template.spec.containers[0].env[0]: Drover sets KAFKA_GROUP_ID",
    );
    told(
        &outcome,
        "Assumed spec.template.spec.containers[0].env[1]: Drover sets KAFKA_BOOTSTRAP_SERVERS",
    );
}

#[test]
fn a_group_that_is_not_the_triggers_is_told_where_it_stands() {
    let env = "env: [{ name: KAFKA_GROUP_ID, value: others }]";
    let outcome = with_trigger("", env);
    told(
        &outcome,
        "Contradiction spec.template.spec.containers[0].env[0]: ",
    );
}

#[test]
fn the_container_that_consumes_is_named_where_it_is_not_the_first() {
    let two = deployment("", "").replace(
        "containers: [",
        "containers: [{ name: proxy, image: 'p:1' }, ",
    );
    let chosen = scaled("", &kafka("")).replace(
        "{ name: orders }",
        "{ name: orders, envSourceContainerName: consumer }",
    );
    let outcome = converted(&[chosen, two.clone()], &Wishes::default());
    assert_eq!(
        spec(&outcome)["handler"],
        json!({ "consumer": { "container": "consumer" } })
    );
    let outcome = converted(&[scaled("", &kafka("")), two], &Wishes::default());
    assert_eq!(spec(&outcome)["handler"], json!({ "consumer": {} }));
    told(
        &outcome,
        "Assumed spec.template.spec.containers[0]: the first container, \"proxy\", is taken",
    );
}

#[test]
fn one_alone_is_converted_by_its_environment_or_by_flags() {
    let outcome = converted(&[deployment("", SOURCE)], &Wishes::default());
    let found = spec(&outcome);
    assert_eq!(found["groupId"], "shop-orders");
    assert_eq!(found["scaling"]["minReplicas"], 1);
    told(
        &outcome,
        "Assumed : partitions without a committed offset begin at the oldest record",
    );
    let wishes = Wishes {
        bootstrap: Some("kafka-2:9092".to_owned()),
        topics: vec!["refunds".to_owned()],
        ..Wishes::default()
    };
    let outcome = converted(&[deployment("", SOURCE)], &wishes);
    let found = spec(&outcome);
    assert_eq!(found["kafka"]["bootstrapServers"], "kafka-2:9092");
    assert_eq!(found["topics"], json!(["refunds"]));
    assert_eq!(found["groupId"], "shop-orders");
}

#[test]
fn the_size_that_it_has_is_the_least() {
    for (replicas, least, paused) in [("3", 3, Value::Null), ("0", 1, json!(true))] {
        let text = deployment("", SOURCE).replace(
            "spec:\n  selector",
            &format!("spec:\n  replicas: {replicas}\n  selector"),
        );
        let outcome = converted(&[text], &Wishes::default());
        assert_eq!(spec(&outcome)["scaling"]["minReplicas"], least);
        assert_eq!(spec(&outcome)["paused"], paused);
    }
}

#[test]
fn one_of_which_too_little_is_known_is_refused_alone_and_left_beside_others() {
    let half = deployment("", "env: [{ name: KAFKA_BROKERS, value: 'kafka:9092' }]");
    refused(
        &converted(std::slice::from_ref(&half), &Wishes::default()),
        "give --group (or KAFKA_GROUP_ID or KAFKA_CONSUMER_GROUP in its environment), --topic",
    );
    let web = half.replace("name: orders", "name: web");
    let outcome = converted(
        &[scaled("", &kafka("")), deployment("", ""), web],
        &Wishes::default(),
    );
    assert_eq!(outcome.consumers.len(), 1);
    told(&outcome, "Assumed : it is taken for no consumer");
    let nothing = deployment("", "").replace("name: orders", "name: web");
    let outcome = converted(
        &[scaled("", &kafka("")), deployment("", ""), nothing],
        &Wishes::default(),
    );
    assert!(!notes(&outcome).join("\n").contains("taken for no consumer"));
}

#[test]
fn flags_for_a_scaled_object_make_no_consumer_of_a_deployment_beside_it() {
    let web = deployment("", "").replace("name: orders", "name: web");
    let wishes = Wishes {
        bootstrap: Some("kafka:9092".to_owned()),
        topics: vec!["orders".to_owned()],
        group: Some("shop-orders".to_owned()),
        ..Wishes::default()
    };
    let outcome = converted(&[scaled("", &kafka("")), deployment("", ""), web], &wishes);
    spec(&outcome);
}

#[test]
fn two_masters_of_one_group_are_told() {
    let other = deployment("", SOURCE).replace("name: orders", "name: others");
    let outcome = converted(&[deployment("", SOURCE), other], &Wishes::default());
    told(
        &outcome,
        "Incomplete : its group shop-orders is that of KafkaConsumer \"orders\", too",
    );
}

#[test]
fn objects_of_other_kinds_are_counted() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: { name: a }".to_owned();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: a }".to_owned();
    let outcome = converted(&[service.clone(), service, secret], &Wishes::default());
    assert_eq!(outcome.passed_over, [("Service".to_owned(), 2)].into());
}
