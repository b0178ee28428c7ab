//! What a template must not say.

use super::*;

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
            url(json!({ "activeDeadlineSeconds": 30 })),
            template,
            "spec.template.spec.activeDeadlineSeconds",
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
