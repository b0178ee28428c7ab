//! Where records come from: `spec.kafka`, topics, group and start.

use serde_json::{Value, json};

use super::{Wrong, wrong};
use crate::support::consumers::{http_url, with};

/// Brokers, properties, topics, group and start.
pub(super) fn wrong_kafka() -> Vec<Wrong> {
    let url = |pointer: &str, value: Value| with(http_url(), pointer, value);
    vec![
        // A field that is missing, of the wrong type, out of bounds, or not one of the known words.
        wrong(
            url("/spec/kafka", json!({})),
            "spec.kafka.bootstrapServers",
            "Required value",
        ),
        wrong(
            url(
                "/spec/kafka/sasl",
                json!({ "mechanism": "Gssapi", "username": "u", "passwordSecret": { "name": "s", "key": "p" } }),
            ),
            "spec.kafka.sasl.mechanism",
            "supported values",
        ),
        wrong(
            url(
                "/spec/kafka/sasl",
                json!({ "mechanism": "Plain", "username": "u" }),
            ),
            "spec.kafka.sasl",
            "needs username and passwordSecret with this mechanism",
        ),
        wrong(
            url(
                "/spec/kafka/tls",
                json!({ "caSecret": { "name": "Upper", "key": "ca.crt" } }),
            ),
            "spec.kafka.tls.caSecret.name",
            "correct the name",
        ),
        // Properties of the other protocol.
        wrong(
            url(
                "/spec/kafka",
                json!({ "bootstrapServers": "k:9092", "groupProtocol": "Consumer", "properties": { "session.timeout.ms": "10000" } }),
            ),
            "spec.kafka.properties",
            "remove them",
        ),
        wrong(
            url(
                "/spec/kafka",
                json!({ "bootstrapServers": "k:9092", "groupProtocol": "Consumer", "properties": { "partition.assignment.strategy": "range" } }),
            ),
            "spec.kafka.properties",
            "remove them",
        ),
        wrong(
            url(
                "/spec/kafka/properties",
                json!({ "group.remote.assignor": "uniform" }),
            ),
            "spec.kafka.properties",
            "remove it or change the protocol",
        ),
        wrong(
            url(
                "/spec/kafka/properties",
                json!({ "partition.assignment.strategy": "range,cooperative-sticky" }),
            ),
            "spec.kafka.properties",
            "write cooperative-sticky",
        ),
        wrong(
            url("/spec/topics", json!([])),
            "spec.topics",
            "at least 1 items",
        ),
        wrong(
            url("/spec/topics", json!(["a", "a"])),
            "spec.topics[1]",
            "Duplicate value",
        ),
        wrong(
            url("/spec/topics", json!(["a b"])),
            "spec.topics[0]",
            "correct the name",
        ),
        wrong(
            url("/spec/groupId", json!("a/b")),
            "spec.groupId",
            "correct the name",
        ),
        wrong(
            url("/spec/topics", json!([".."])),
            "spec.topics[0]",
            "not . or ..; correct the name",
        ),
        wrong(
            url(
                "/spec/kafka/bootstrapServers",
                json!("kafka:9092,kafka:99999"),
            ),
            "spec.kafka.bootstrapServers",
            "with a port of 1 to 65535",
        ),
        wrong(
            url("/spec/kafka/bootstrapServers", json!("kafka:0")),
            "spec.kafka.bootstrapServers",
            "with a port of 1 to 65535",
        ),
        wrong(
            url("/spec/kafka/bootstrapServers", json!("kafka")),
            "spec.kafka.bootstrapServers",
            "write brokers as host:port",
        ),
        wrong(
            url("/spec/kafka/groupProtocol", json!("consumer")),
            "spec.kafka.groupProtocol",
            "supported values: \"Classic\", \"Consumer\"",
        ),
        wrong(
            url("/spec/startAt", json!("yesterday")),
            "spec.startAt",
            "write Earliest, Latest or a time",
        ),
        // Properties that Drover owns, that hold secrets, that do not exist.
        wrong(
            url("/spec/kafka/properties", json!({ "group.id": "x" })),
            "spec.kafka.properties",
            "group.id cannot be set: Drover sets it",
        ),
        wrong(
            url(
                "/spec/kafka/properties",
                json!({ "acks": "1", "client.rack": "x" }),
            ),
            "spec.kafka.properties",
            ": acks cannot be set",
        ),
        wrong(
            url("/spec/kafka/properties", json!({ "sasl.password": "x" })),
            "spec.kafka.properties",
            "sasl.password cannot be set",
        ),
        wrong(
            url("/spec/kafka/properties", json!({ "fetch.wait.max": "x" })),
            "spec.kafka.properties",
            "fetch.wait.max cannot be set",
        ),
    ]
}

/// OAuth, and what is wrong with it.
pub(super) fn wrong_oauth() -> Vec<Wrong> {
    let sasl = |sasl: Value| with(http_url(), "/spec/kafka/sasl", sasl);
    let oauth = || {
        json!({
            "tokenEndpoint": "https://login.example.com/token",
            "clientId": "orders",
            "clientSecret": { "name": "kafka", "key": "secret" },
        })
    };
    let with_oauth = |name: &str, value: Value| {
        let mut oauth = oauth();
        oauth[name] = value;
        sasl(json!({ "mechanism": "OAuthBearer", "oauth": oauth }))
    };
    vec![
        wrong(
            sasl(json!({ "mechanism": "OAuthBearer" })),
            "spec.kafka.sasl",
            "add tokenEndpoint, clientId and clientSecret",
        ),
        wrong(
            sasl(json!({ "mechanism": "OAuthBearer", "oauth": oauth(), "username": "u" })),
            "spec.kafka.sasl",
            "which has oauth.clientId and oauth.clientSecret; remove them",
        ),
        wrong(
            sasl(json!({
                "mechanism": "Plain",
                "username": "u",
                "passwordSecret": { "name": "s", "key": "p" },
                "oauth": oauth(),
            })),
            "spec.kafka.sasl",
            "remove it, or choose that",
        ),
        wrong(
            with_oauth("tokenEndpoint", json!("login.example.com/token")),
            "spec.kafka.sasl.oauth.tokenEndpoint",
            "such as https://login.example.com/oauth2/token",
        ),
        wrong(
            with_oauth("tokenEndpoint", json!("http://login.example.com/token")),
            "spec.kafka.sasl.oauth",
            "or set allowHttp: true where the network is trusted",
        ),
        wrong(
            with_oauth("tokenEndpoint", json!("http://localhost.example.com/token")),
            "spec.kafka.sasl.oauth",
            "or set allowHttp: true where the network is trusted",
        ),
        wrong(
            with_oauth("extensions", json!({ "logical-cluster": "lkc-1" })),
            "spec.kafka.sasl.oauth.extensions",
            "that is not only letters",
        ),
        wrong(
            with_oauth("extensions", json!({ "logicalCluster": "a,b" })),
            "spec.kafka.sasl.oauth.extensions",
            "without commas",
        ),
    ]
}
