//! Specs that the schema and its rules refuse, each with what the refusal must name.

use serde_json::{Value, json};

use super::consumers::{exec, http_port, http_url, own_consumer, with};

/// One wrong spec.
pub struct Wrong {
    /// The document.
    pub document: Value,
    /// The field that the API server's message must name.
    pub field: &'static str,
    /// What to do, as the API server's message must say it.
    pub remedy: &'static str,
}

fn wrong(document: Value, field: &'static str, remedy: &'static str) -> Wrong {
    Wrong {
        document,
        field,
        remedy,
    }
}

/// Encryption with one key and the salt, and more.
fn encryption(more: Value) -> Value {
    let mut written = json!({
        "primaryKeySecret": { "name": "rails", "key": "primary_key" },
        "keyDerivationSaltSecret": { "name": "rails", "key": "salt" },
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        written[name] = value.clone();
    }
    json!({ "activeRecord": written })
}

/// All that a schema can see.
pub fn wrong_specs() -> Vec<Wrong> {
    let url = |pointer: &str, value: Value| with(http_url(), pointer, value);
    let name = "a".repeat(47);
    let mut all = vec![
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
            url("/spec/handler/http/url", json!("http://users:65536/x")),
            "spec.handler.http.url",
            "a port is 1 to 65535",
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
        wrong(
            url("/spec/handler/timeout", json!("30")),
            "spec.handler.timeout",
            "write a duration",
        ),
        wrong(
            url("/spec/handler/timeout", json!(30)),
            "spec.handler.timeout",
            "must be of type string",
        ),
        wrong(
            url("/spec/handler/timeout", json!("1ms")),
            "spec.handler.timeout",
            "between 10ms and 30m",
        ),
        wrong(
            url("/spec/handler/timeout", json!("31m")),
            "spec.handler.timeout",
            "between 10ms and 30m",
        ),
        wrong(
            url("/spec/handler/http/url", json!("ftp://users")),
            "spec.handler.http.url",
            "or with https://",
        ),
        wrong(
            url("/spec/delivery/ordering", json!("Keys")),
            "spec.delivery.ordering",
            "supported values: \"Key\", \"Partition\", \"None\"",
        ),
        wrong(
            url("/spec/handler/http/format", json!("Cloudevents")),
            "spec.handler.http.format",
            "supported values: \"Plain\", \"CloudEvents\", \"CloudEventsStructured\"",
        ),
        wrong(
            url("/spec/handler/http/protocol", json!("H2")),
            "spec.handler.http.protocol",
            "supported values: \"Http1\", \"H2c\"",
        ),
        wrong(
            url("/spec/delivery/batch/maxRecords", json!(0)),
            "spec.delivery.batch.maxRecords",
            "greater than or equal to 1",
        ),
        wrong(
            url("/spec/delivery/batch/maxBytes", json!("1Gi")),
            "spec.delivery.batch.maxBytes",
            "such as 500000, 512Ki or 4Mi",
        ),
        wrong(
            url("/spec/delivery/batch/maxWait", json!("11s")),
            "spec.delivery.batch.maxWait",
            "at most 10s",
        ),
        wrong(
            url(
                "/spec/delivery",
                json!({ "batch": { "maxRecords": 2 }, "retry": { "attempts": 1 } }),
            ),
            "spec.delivery.retry.attempts",
            "set batch.maxRecords to 1",
        ),
        wrong(
            with(
                url("/spec/delivery/batch/maxRecords", json!(2)),
                "/spec/handler/http/format",
                json!("CloudEvents"),
            ),
            "spec.handler.http.format",
            "use CloudEventsStructured for batches",
        ),
        wrong(
            url("/spec/delivery/concurrency", json!(0)),
            "spec.delivery.concurrency",
            "greater than or equal to 1",
        ),
        wrong(
            url("/spec/delivery/retry/attempts", json!(0)),
            "spec.delivery.retry.attempts",
            "greater than or equal to 1",
        ),
        wrong(
            url(
                "/spec/delivery/deadLetter",
                json!({ "topic": "dlq", "headerStyle": "spring" }),
            ),
            "spec.delivery.deadLetter.headerStyle",
            "supported values: \"Drover\", \"Spring\", \"KafkaConnect\"",
        ),
        wrong(
            url(
                "/spec/delivery/deadLetter",
                json!({ "topic": "dlq", "breaker": { "percent": 0 } }),
            ),
            "spec.delivery.deadLetter.breaker.percent",
            "greater than or equal to 1",
        ),
        wrong(
            url(
                "/spec/delivery/deadLetter",
                json!({ "topic": "dlq", "breaker": { "window": "2h" } }),
            ),
            "spec.delivery.deadLetter.breaker",
            "between 1s and 1h",
        ),
        wrong(
            url(
                "/spec/delivery/rateLimit",
                json!({ "records": 100, "per": "100ms" }),
            ),
            "spec.delivery.rateLimit",
            "between 1s and 24h",
        ),
        wrong(
            url("/spec/delivery/rateLimit", json!({ "records": 0 })),
            "spec.delivery.rateLimit.records",
            "greater than or equal to 1",
        ),
        wrong(
            url("/spec/delivery/deadLetter", json!({})),
            "spec.delivery.deadLetter.topic",
            "Required value",
        ),
        wrong(
            url("/spec/scaling/maxReplicas", json!(0)),
            "spec.scaling.maxReplicas",
            "greater than or equal to 1",
        ),
        wrong(
            url("/spec/scaling/maxDelay", json!("1d")),
            "spec.scaling.maxDelay",
            "write a duration",
        ),
        wrong(
            url("/spec/scaling/maxDelay", json!("500ms")),
            "spec.scaling.maxDelay",
            "between 1s and 24h",
        ),
        wrong(
            url(
                "/spec/scaling",
                json!({ "minReplicas": 0, "idleTimeToZero": "500ms" }),
            ),
            "spec.scaling.idleTimeToZero",
            "must be between 1s and 24h",
        ),
        wrong(
            url(
                "/spec/scaling",
                json!({ "minReplicas": 1, "idleTimeToZero": "30s" }),
            ),
            "spec.scaling.idleTimeToZero",
            "set that to 0, or remove idleTimeToZero",
        ),
        wrong(
            url("/spec/scaling/mode", json!("Off")),
            "spec.scaling.mode",
            "supported values: \"Auto\", \"Recommend\", \"Manual\"",
        ),
        wrong(
            url("/metadata/name", json!(name)),
            "metadata.name",
            "choose a shorter name",
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
        // Fields that contradict each other.
        wrong(
            with(
                own_consumer(),
                "/spec/handler/http/url",
                json!("http://users"),
            ),
            "spec.handler",
            "exactly one of http, exec and consumer",
        ),
        wrong(
            url("/spec/handler", json!({})),
            "spec.handler",
            "exactly one of http, exec and consumer",
        ),
        wrong(
            with(exec(), "/spec/handler/http/url", json!("http://users")),
            "spec.handler",
            "exactly one of http, exec and consumer",
        ),
        wrong(
            with(exec(), "/spec/handler/exec/command", json!([])),
            "spec.handler.exec.command",
            "at least 1 items",
        ),
        wrong(
            with(exec(), "/spec/handler/exec/processes", json!(17)),
            "spec.handler.exec.processes",
            "lower the first or raise the second",
        ),
        wrong(
            with(exec(), "/spec/template", Value::Null),
            "spec.template",
            "add that container with its image",
        ),
        wrong(
            with(http_port(), "/spec/handler/http/url", json!("http://users")),
            "spec.handler.http",
            "exactly one of url",
        ),
        wrong(
            with(
                http_port(),
                "/spec/handler/http/socket",
                json!("/run/handler/http.sock"),
            ),
            "spec.handler.http",
            "port and socket",
        ),
        wrong(
            url("/spec/handler/http", json!({ "socket": "/http.sock" })),
            "spec.handler.http.socket",
            "a file in a folder of its own",
        ),
        wrong(
            url(
                "/spec/handler/http",
                json!({ "socket": "/run/handler/http.sock" }),
            ),
            "spec.template",
            "add that container",
        ),
        wrong(
            url("/spec/handler/http", json!({})),
            "spec.handler.http",
            "exactly one of url",
        ),
        wrong(
            url("/spec/handler/http/path", json!("/kafka")),
            "spec.handler.http.path",
            "write the path into the url",
        ),
        wrong(
            url("/spec/handler/http/tls", json!({})),
            "spec.handler.http.tls",
            "goes with a url that begins with https://",
        ),
        wrong(
            with(
                http_port(),
                "/spec/handler/http/tls",
                json!({ "caSecret": { "name": "ca", "key": "ca.crt" } }),
            ),
            "spec.handler.http.tls",
            "goes with a url that begins with https://",
        ),
        wrong(
            url(
                "/spec/handler/http",
                json!({ "url": "https://users", "protocol": "H2c" }),
            ),
            "spec.handler.http.protocol",
            "H2c is HTTP/2 without TLS",
        ),
        wrong(
            url("/spec/handler/http", json!({ "port": 3000 })),
            "spec.template",
            "add that container",
        ),
        wrong(
            with(
                url("/spec/handler/http", json!({ "port": 9090 })),
                "/spec/template/spec/containers",
                json!([{ "name": "a", "image": "a" }]),
            ),
            "spec.handler.http.port",
            "let the handler listen on another",
        ),
        wrong(
            url("/spec/delivery/onExhausted", json!("DeadLetter")),
            "spec.delivery.onExhausted",
            "name a topic",
        ),
        wrong(
            url(
                "/spec/delivery/deadLetter",
                json!({ "topic": "dlq", "retryTopic": "user_events" }),
            ),
            "spec.delivery.deadLetter.retryTopic",
            "name a topic of its own",
        ),
        wrong(
            url(
                "/spec/delivery/deadLetter",
                json!({ "topic": "dlq", "retryTopic": "dlq" }),
            ),
            "spec.delivery.deadLetter.retryTopic",
            "is the dead-letter topic itself",
        ),
        wrong(
            url("/spec/delivery/deadLetter/topic", json!("user_events")),
            "spec.delivery.deadLetter.topic",
            "name another topic",
        ),
        wrong(
            url("/spec/delivery/retry/initialBackoff", json!("1m")),
            "spec.delivery.retry.initialBackoff",
            "lower the first or raise the second",
        ),
        wrong(
            url("/spec/delivery/retry/initialBackoff", json!("1ms")),
            "spec.delivery.retry",
            "at least 10ms",
        ),
        wrong(
            url("/spec/delivery/retry/maxBackoff", json!("2h")),
            "spec.delivery.retry",
            "at most 1h",
        ),
        wrong(
            url(
                "/spec/scaling",
                json!({ "minReplicas": 3, "maxReplicas": 2 }),
            ),
            "spec.scaling.minReplicas",
            "lower the first or raise the second",
        ),
        wrong(
            with(own_consumer(), "/spec/encryption", encryption(json!({}))),
            "spec.encryption",
            "remove spec.encryption",
        ),
        wrong(
            url("/spec/encryption", json!({ "activeRecord": {} })),
            "spec.encryption.activeRecord.keyDerivationSaltSecret",
            "Required value",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "primaryKeySecret": { "name": "a" } })),
            ),
            "spec.encryption.activeRecord.primaryKeySecret.key",
            "Required value",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "primaryKeySecret": { "name": "A_b", "key": "k" } })),
            ),
            "spec.encryption.activeRecord.primaryKeySecret.name",
            "correct the name",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "primaryKeySecret": { "name": "a", "key": "a/b" } })),
            ),
            "spec.encryption.activeRecord.primaryKeySecret.key",
            "correct the key",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "primaryKeySecrets": [{ "name": "a", "key": "k" }] })),
            ),
            "spec.encryption.activeRecord",
            "exactly one of primaryKeySecret (one key) and primaryKeySecrets",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "hashDigest": "SHA256" })),
            ),
            "spec.encryption.activeRecord.hashDigest",
            "supported values: \"Sha256\", \"Sha1\"",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "pointer": "payload" })),
            ),
            "spec.encryption.activeRecord.pointer",
            "write a JSON pointer",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "maxInflatedBytes": 10 })),
            ),
            "spec.encryption.activeRecord.maxInflatedBytes",
            "greater than or equal to 1024",
        ),
        wrong(
            url(
                "/spec/encryption",
                encryption(json!({ "onUnknownKey": "DeadLetter" })),
            ),
            "spec.encryption.activeRecord.onUnknownKey",
            "name spec.delivery.deadLetter.topic",
        ),
        wrong(
            with(own_consumer(), "/spec/delivery", json!({})),
            "spec.delivery",
            "remove spec.delivery",
        ),
        wrong(
            with(own_consumer(), "/spec/template", Value::Null),
            "spec.template",
            "name one with its image",
        ),
    ];
    all.extend(wrong_idempotency());
    all.extend(wrong_schedules());
    all.extend(wrong_oauth());
    all
}

/// `spec.idempotency` as it must not be.
fn wrong_idempotency() -> Vec<Wrong> {
    let redis = json!({ "redis": { "address": "redis:6379" } });
    let with_store = |store: Value| json!({ "key": { "offset": {} }, "store": store });
    let of = |idempotency: Value| with(http_url(), "/spec/idempotency", idempotency);
    let at = |pointer: &str, value: Value| {
        let good = of(with_store(redis.clone()));
        with(good, &format!("/spec/idempotency/{pointer}"), value)
    };
    vec![
        wrong(
            of(json!({ "store": redis })),
            "spec.idempotency.key",
            "Required value",
        ),
        wrong(
            at("key", json!({})),
            "spec.idempotency.key",
            "exactly one of header, pointer, recordKey and offset",
        ),
        wrong(
            at("key/header", json!("message-id")),
            "spec.idempotency.key",
            "keep the one that tells records apart",
        ),
        wrong(
            at("key", json!({ "header": "message id" })),
            "spec.idempotency.key.header",
            "visible ASCII without blanks",
        ),
        wrong(
            at("key", json!({ "pointer": "id" })),
            "spec.idempotency.key.pointer",
            "write a JSON pointer",
        ),
        wrong(
            at("store", json!({})),
            "spec.idempotency.store",
            "exactly one of memory, redis and postgres",
        ),
        wrong(
            at("store/memory", json!({})),
            "spec.idempotency.store",
            "keep one, remove the others",
        ),
        wrong(
            at("store", json!({ "memory": { "maxEntries": 0 } })),
            "spec.idempotency.store.memory.maxEntries",
            "greater than or equal to 1",
        ),
        wrong(
            at("store/redis/address", json!("redis://user:secret@redis")),
            "spec.idempotency.store.redis.address",
            "write an address as host:port",
        ),
        wrong(
            at("store/redis/username", json!("drover")),
            "spec.idempotency.store.redis.username",
            "goes with passwordSecret",
        ),
        wrong(
            at("store/redis/tls", json!({})),
            "spec.idempotency.store.redis.tls.caSecret",
            "Required value",
        ),
        wrong(
            at(
                "store/redis/passwordSecret",
                json!({ "name": "Redis", "key": "password" }),
            ),
            "spec.idempotency.store.redis.passwordSecret.name",
            "correct the name",
        ),
        wrong(
            at(
                "store",
                json!({ "postgres": {
                    "address": "postgres:5432", "database": "shop", "username": "drover",
                    "table": "keys; DROP TABLE users",
                } }),
            ),
            "spec.idempotency.store.postgres.table",
            "a table is lower-case letters",
        ),
        wrong(
            at("retention", json!("30s")),
            "spec.idempotency.retention",
            "between 1m and 8760h",
        ),
        wrong(
            at("scope", json!("a:b")),
            "spec.idempotency.scope",
            "correct it",
        ),
        wrong(
            at("onStoreError", json!("Drop")),
            "spec.idempotency.onStoreError",
            "supported values: \"Stall\", \"Deliver\"",
        ),
        wrong(
            with(
                of(with_store(json!({ "memory": {} }))),
                "/spec/idempotency/onStoreError",
                json!("Stall"),
            ),
            "spec.idempotency.onStoreError",
            "not for store.memory",
        ),
        wrong(
            with(
                own_consumer(),
                "/spec/idempotency",
                with_store(json!({ "memory": {} })),
            ),
            "spec.idempotency",
            "remove spec.idempotency",
        ),
    ]
}

/// A peak, and what is wrong with it.
fn wrong_schedules() -> Vec<Wrong> {
    let peak = |change: Value| {
        let mut peak = json!({ "timeZone": "Europe/Berlin", "minReplicas": 6 });
        for (name, value) in change.as_object().into_iter().flatten() {
            peak[name] = value.clone();
        }
        with(http_url(), "/spec/scaling/schedule", json!([peak]))
    };
    let of = |change, field, remedy| wrong(peak(change), field, remedy);
    vec![
        of(
            json!({ "from": "8:00" }),
            "spec.scaling.schedule[0].from",
            "such as 08:00",
        ),
        of(
            json!({ "to": "24:30" }),
            "spec.scaling.schedule[0].to",
            "24:00 for the end of the day",
        ),
        of(
            json!({ "from": "08:00", "to": "08:00" }),
            "spec.scaling.schedule",
            "choose another to",
        ),
        of(
            json!({ "days": ["Monday"] }),
            "spec.scaling.schedule[0].days[0]",
            "supported values: \"Mon\", \"Tue\"",
        ),
        of(
            json!({ "daysOfMonth": [32] }),
            "spec.scaling.schedule[0].daysOfMonth[0]",
            "less than or equal to 31",
        ),
        of(
            json!({ "dates": ["27.11.2026"] }),
            "spec.scaling.schedule[0].dates[0]",
            "such as 2026-11-27",
        ),
        of(
            json!({ "days": ["Fri"], "dates": ["2026-11-27"] }),
            "spec.scaling.schedule",
            "keep one, and write another entry for the other",
        ),
        of(
            json!({ "timeZone": "Europe Berlin" }),
            "spec.scaling.schedule[0].timeZone",
            "such as Europe/Berlin or UTC",
        ),
        of(
            json!({ "minReplicas": 0 }),
            "spec.scaling.schedule[0].minReplicas",
            "greater than or equal to 1",
        ),
        wrong(
            with(
                http_url(),
                "/spec/scaling",
                json!({ "maxReplicas": 5, "schedule": [{ "timeZone": "UTC", "minReplicas": 6 }] }),
            ),
            "spec.scaling.schedule",
            "lower the first or raise the second",
        ),
    ]
}

/// OAuth, and what is wrong with it.
fn wrong_oauth() -> Vec<Wrong> {
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
