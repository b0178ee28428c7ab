//! KafkaConsumers to begin with, as JSON, so that tests can make them wrong.

use drover::api::KafkaConsumer;
use serde_json::{Value, json};

/// With `handler.http.url` and nothing else that has a default.
pub fn http_url() -> Value {
    json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": "user-events", "namespace": "shop", "uid": "5d1c8f0a" },
        "spec": {
            "kafka": { "bootstrapServers": "kafka:9092" },
            "topics": ["user_events"],
            "handler": { "http": { "url": "http://users/kafka" } },
        },
    })
}

/// With `handler.http.port`, a handler's container and everything else that can be said.
pub fn http_port() -> Value {
    json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": "orders", "namespace": "shop", "uid": "5d1c8f0a" },
        "spec": {
            "kafka": {
                "bootstrapServers": "kafka-0:9092,kafka-1:9092",
                "groupProtocol": "Consumer",
                "properties": { "fetch.wait.max.ms": "100" },
            },
            "topics": ["orders", "refunds"],
            "groupId": "rails-consumer-group",
            "startAt": "2026-11-01T06:00:00Z",
            "handler": { "http": { "port": 3000, "path": "/kafka" }, "timeout": "1m30s" },
            "delivery": {
                "ordering": "Partition",
                "concurrency": 4,
                "rateLimit": { "records": 600, "per": "1m" },
                "retry": { "attempts": 3, "initialBackoff": "1s", "maxBackoff": "1m", "then": ["1m", "10m"] },
                "deadLetter": { "topic": "orders.dlq" },
            },
            "idempotency": {
                "key": { "header": "message-id" },
                "store": {
                    "postgres": {
                        "address": "postgres.shop:5432",
                        "database": "shop",
                        "username": "drover",
                        "passwordSecret": { "name": "orders-store", "key": "password" },
                        "tls": { "caSecret": { "name": "postgres-ca", "key": "ca.crt" } },
                    },
                },
                "retention": "72h",
                "onStoreError": "Deliver",
                "onMissingKey": "Reject",
                "redriveHeader": "redrive",
                "scope": "shop-orders",
            },
            "scaling": { "minReplicas": 0, "maxReplicas": 12, "maxDelay": "30s", "idleTimeToZero": "1m", "mode": "Recommend", "schedule": [
                { "days": ["Mon", "Fri"], "from": "08:00", "to": "18:00", "timeZone": "Europe/Berlin", "minReplicas": 6 },
                { "daysOfMonth": [1, 31], "from": "22:00", "to": "06:00", "timeZone": "UTC", "minReplicas": 3 },
                { "dates": ["2026-11-27"], "timeZone": "America/New_York", "minReplicas": 12 },
            ] },
            "encryption": { "activeRecord": {
                "primaryKeySecrets": [
                    { "name": "rails-encryption", "key": "primary_key_2025" },
                    { "name": "rails-encryption", "key": "primary_key_2026" },
                ],
                "keyDerivationSaltSecret": { "name": "rails-encryption", "key": "key_derivation_salt" },
                "deterministicKeySecret": { "name": "rails-lookups", "key": "deterministic_key" },
                "hashDigest": "Sha1",
                "pointer": "/payload",
                "onUnknownKey": "DeadLetter",
                "onPlaintext": "Deliver",
            } },
            "template": {
                "metadata": {
                    "labels": { "team": "shop", "drover.dev/consumer": "mine", "app.kubernetes.io/name": "orders" },
                    "annotations": { "example.com/note": "kept" },
                },
                "spec": {
                    "serviceAccountName": "orders",
                    "terminationGracePeriodSeconds": 200,
                    "nodeSelector": { "pool": "consumers" },
                    "initContainers": [{ "name": "migrate", "image": "shop/orders:1", "command": ["bin/migrate"] }],
                    "containers": [
                        {
                            "name": "worker",
                            "env": [{ "name": "DROVER_LOG", "value": "debug" }],
                            "resources": { "requests": { "cpu": "200m" }, "limits": { "memory": "256Mi" } },
                        },
                        {
                            "name": "rails",
                            "image": "shop/orders:1",
                            "ports": [{ "containerPort": 3000 }],
                            "env": [{ "name": "KEY", "valueFrom": { "secretKeyRef": { "name": "orders", "key": "key" } } }],
                        },
                    ],
                },
            },
        },
    })
}

/// With `handler.consumer`: a Deployment that existed before, written as a KafkaConsumer.
pub fn own_consumer() -> Value {
    json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": "rails-consumer", "namespace": "shop", "uid": "5d1c8f0a" },
        "spec": {
            "kafka": { "bootstrapServers": "kafka:9092" },
            "topics": ["user_events", "orders"],
            "groupId": "rails-consumer-group",
            "handler": { "consumer": { "container": "karafka" }, "timeout": "60s" },
            "template": {
                "spec": {
                    "containers": [
                        { "name": "statsd", "image": "prom/statsd-exporter:v0.28.0" },
                        {
                            "name": "karafka",
                            "image": "shop/web:1",
                            "command": ["bundle", "exec", "karafka", "server"],
                            "env": [
                                { "name": "KAFKA_GROUP_ID", "value": "rails-consumer-group" },
                                { "name": "RAILS_ENV", "value": "production" },
                            ],
                            "resources": { "requests": { "cpu": "500m", "memory": "512Mi" } },
                        },
                    ],
                },
            },
        },
    })
}

/// With `handler.exec`: a command in an image of the user's own.
pub fn exec() -> Value {
    json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": "invoices", "namespace": "shop", "uid": "5d1c8f0a" },
        "spec": {
            "kafka": { "bootstrapServers": "kafka:9092" },
            "topics": ["invoices"],
            "handler": { "exec": { "command": ["bundle", "exec", "ruby", "handle.rb"], "processes": 2 } },
            "template": {
                "spec": {
                    "containers": [
                        { "name": "worker", "image": "shop/web:1", "securityContext": { "runAsUser": 1000 } },
                        { "name": "statsd", "image": "prom/statsd-exporter:v0.28.0" },
                    ],
                },
            },
        },
    })
}

/// With `handler.http.socket`: a container of the template that listens on a Unix socket.
pub fn http_socket() -> Value {
    json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": "mails", "namespace": "shop", "uid": "5d1c8f0a" },
        "spec": {
            "kafka": { "bootstrapServers": "kafka:9092" },
            "topics": ["mails"],
            "handler": { "http": { "socket": "/run/handler/http.sock", "path": "/kafka" } },
            "template": {
                "spec": {
                    "containers": [{
                        "name": "rails",
                        "image": "shop/mails:1",
                        "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
                    }],
                    "volumes": [{ "name": "tmp", "emptyDir": {} }],
                },
            },
        },
    })
}

/// A handler behind `https://` that asks who we are, twice.
pub fn https_url() -> Value {
    let http = json!({
        "url": "https://users.example.com/kafka",
        "tls": {
            "caSecret": { "name": "users-ca", "key": "ca.crt" },
            "certSecret": { "name": "user-events-tls" },
        },
        "authorizationSecret": { "name": "users-token", "key": "header" },
    });
    let named = with(http_url(), "/metadata/name", json!("signups"));
    with(named, "/spec/handler/http", http)
}

/// All of them.
pub fn all() -> [(&'static str, Value); 6] {
    [
        ("https_url", https_url()),
        ("http_socket", http_socket()),
        ("exec", exec()),
        ("http_url", http_url()),
        ("http_port", http_port()),
        ("own_consumer", own_consumer()),
    ]
}

/// `value` with `change` at the JSON pointer `pointer`; null takes the field away. Outer objects
/// that are missing are made.
pub fn with(mut value: Value, pointer: &str, change: Value) -> Value {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    let (last, outer) = steps.split_last().expect("a pointer begins with /");
    let mut place = &mut value;
    for step in outer {
        place = match place {
            Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
            other => &mut other[*step],
        };
    }
    match place {
        Value::Array(items) => items[last.parse::<usize>().unwrap()] = change,
        Value::Object(map) if change.is_null() => {
            map.remove(*last);
        }
        other => other[*last] = change,
    }
    value
}

/// As the controller gets it.
pub fn typed(value: &Value) -> KafkaConsumer {
    serde_json::from_value(value.clone()).unwrap()
}
