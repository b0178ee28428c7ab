//! `spec.handler`, and the container in `spec.template` that goes with it.

use serde_json::{Value, json};

use super::{Wrong, wrong};
use crate::support::consumers::{exec, http_port, http_url, own_consumer, with};

/// Handlers of all kinds.
pub(super) fn wrong_handlers() -> Vec<Wrong> {
    let url = |pointer: &str, value: Value| with(http_url(), pointer, value);
    vec![
        // A field that is missing, of the wrong type, out of bounds, or not one of the known words.
        wrong(
            url("/spec/handler/http/url", json!("http://users:65536/x")),
            "spec.handler.http.url",
            "a port is 1 to 65535",
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
            with(
                url("/spec/delivery/batch/maxRecords", json!(2)),
                "/spec/handler/http/format",
                json!("CloudEvents"),
            ),
            "spec.handler.http.format",
            "use CloudEventsStructured for batches",
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
            with(own_consumer(), "/spec/template", Value::Null),
            "spec.template",
            "name one with its image",
        ),
    ]
}
