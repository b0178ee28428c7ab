//! From a KafkaSource.

use serde_json::{Value, json};

use super::*;

fn source(spec: &str) -> String {
    format!(
        "
apiVersion: sources.knative.dev/v1
kind: KafkaSource
metadata: {{ name: orders, namespace: shop }}
spec: {{ bootstrapServers: ['kafka-0:9092', 'kafka-1:9092'], topics: [orders], consumerGroup: knative-orders, {spec} }}
"
    )
}

const SINK: &str =
    "sink: { ref: { apiVersion: serving.knative.dev/v1, kind: Service, name: orders } },";

fn of(spec: &str) -> Outcome {
    converted(&[source(&format!("{SINK} {spec}"))], &Wishes::default())
}

#[test]
fn it_is_written_as_people_write_it() {
    let outcome = of(
        "ordering: ordered, initialOffset: earliest, delivery: { retry: 4, backoffPolicy: exponential, backoffDelay: PT0.5S, deadLetterSink: { uri: 'http://dead' } }",
    );
    spec(&outcome);
    insta::assert_snapshot!(
        "knative",
        written(&outcome.consumers, Output::Yaml).unwrap()
    );
    insta::assert_snapshot!("knative_notes", notes(&outcome).join("\n"));
}

#[test]
fn what_a_source_says_stands_where_drover_has_it() {
    for (fields, pointer, value) in [
        (
            "",
            "/kafka/bootstrapServers",
            json!("kafka-0:9092,kafka-1:9092"),
        ),
        ("", "/groupId", json!("knative-orders")),
        ("", "/startAt", json!("Latest")),
        (
            "",
            "/handler/http",
            json!({ "url": "http://orders.shop.svc.cluster.local/", "format": "CloudEvents" }),
        ),
        ("", "/delivery", json!({ "ordering": "Partition" })),
        (
            "",
            "/scaling",
            json!({ "minReplicas": 0, "maxDelay": "60s" }),
        ),
        ("ordering: unordered", "/delivery/ordering", json!("None")),
        ("consumers: 1", "/scaling/maxReplicas", Value::Null),
        ("consumers: 4", "/scaling/maxReplicas", json!(4)),
        ("consumers: 0", "/paused", json!(true)),
        (
            "delivery: { retry: 0 }",
            "/delivery/retry/attempts",
            json!(1),
        ),
        (
            "delivery: { backoffDelay: PT1M }",
            "/delivery/retry",
            json!({ "initialBackoff": "1m", "maxBackoff": "1m" }),
        ),
        (
            "delivery: { timeout: PT1M30S }",
            "/handler/timeout",
            json!("1m30s"),
        ),
        (
            "delivery: { timeout: PT10H }",
            "/handler/timeout",
            json!("30m"),
        ),
        (
            "delivery: { format: json }",
            "/handler/http/format",
            json!("CloudEventsStructured"),
        ),
    ] {
        let outcome = of(fields);
        let found = spec(&outcome).pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(*found, value, "{fields} {pointer}");
    }
}

#[test]
fn a_sink_is_an_address() {
    for (sink, url) in [
        (
            "{ ref: { kind: Service, name: a, namespace: b } }",
            Ok("http://a.b.svc.cluster.local/"),
        ),
        (
            "{ ref: { kind: Service, name: a }, uri: /events }",
            Ok("http://a.shop.svc.cluster.local/events"),
        ),
        (
            "{ uri: 'http://a.example.com/x' }",
            Ok("http://a.example.com/x"),
        ),
        (
            "{ ref: { kind: Broker, name: default } }",
            Err("kubectl get broker default"),
        ),
        ("{}", Err("neither a service nor an address")),
    ] {
        let outcome = converted(&[source(&format!("sink: {sink}"))], &Wishes::default());
        match url {
            Ok(url) => assert_eq!(spec(&outcome)["handler"]["http"]["url"], url),
            Err(why) => refused(&outcome, why),
        }
    }
}

#[test]
fn whatever_cannot_be_carried_is_told_with_what_to_do() {
    let outcome = of(
        "delivery: { backoffPolicy: linear, backoffDelay: soon, retryAfterMax: PT1S }, ceOverrides: { extensions: { a: b } }, novelty: 1",
    );
    spec(&outcome);
    for field in [
        "spec.delivery.backoffPolicy",
        "spec.delivery.backoffDelay",
        "spec.delivery.retryAfterMax",
        "spec.ceOverrides",
        "spec.novelty",
    ] {
        told(&outcome, &format!("NotCarried {field}: "));
    }
    told(
        &outcome,
        "Assumed spec.delivery.retry: after its last attempt Knative gives a record up",
    );
}

#[test]
fn sasl_and_tls_are_references_to_the_same_secrets() {
    let key = |key: &str| format!("{{ secretKeyRef: {{ name: kafka, key: {key} }} }}");
    let net = format!(
        "net: {{ sasl: {{ enable: true, user: {}, password: {}, type: {} }}, tls: {{ enable: true, caCert: {} }} }}",
        key("user"),
        key("password"),
        key("type"),
        key("ca.crt"),
    );
    let secret = "
apiVersion: v1
kind: Secret
metadata: { name: kafka, namespace: shop }
data: { type: U0NSQU0tU0hBLTUxMg==, user: aHVzaA== }
";
    let wishes = Wishes {
        sasl_username: Some("orders".to_owned()),
        ..Wishes::default()
    };
    let outcome = converted(
        &[source(&format!("{SINK} {net}")), secret.to_owned()],
        &wishes,
    );
    let kafka = &spec(&outcome)["kafka"];
    assert_eq!(
        kafka["tls"],
        json!({ "caSecret": { "name": "kafka", "key": "ca.crt" } })
    );
    assert_eq!(
        kafka["sasl"],
        json!({ "mechanism": "ScramSha512", "username": "orders", "passwordSecret": { "name": "kafka", "key": "password" } })
    );
}

#[test]
fn without_the_group_that_it_has_nothing_is_written() {
    let text = source(SINK).replace("consumerGroup: knative-orders,", "");
    refused(
        &converted(std::slice::from_ref(&text), &Wishes::default()),
        "kubectl get kafkasource orders -n shop -o yaml",
    );
    let wishes = Wishes {
        group: Some("mine".to_owned()),
        ..Wishes::default()
    };
    assert_eq!(spec(&converted(&[text], &wishes))["groupId"], "mine");
}

#[test]
fn of_a_trigger_it_is_said_by_which_topic_and_group_to_write_it_by_hand() {
    let texts = [
        "
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: { name: users, namespace: shop }
spec: { broker: events, subscriber: { uri: 'http://users' } }
",
        "
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: { name: events, namespace: shop }
",
    ];
    let outcome = converted(&texts.map(str::to_owned), &Wishes::default());
    refused(
        &outcome,
        "topics [knative-broker-shop-events] and groupId knative-trigger-shop-users",
    );
    told(&outcome, "NotCarried : nothing consumes by it");
    assert!(outcome.passed_over.is_empty());
}
