//! A pod template without what an API server has written into it.

use serde_json::{Value, json};

/// The template as somebody would have written it: what is default anyway is left out, everything else stays.
pub(super) fn tidy(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
        if let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.remove("kubectl.kubernetes.io/restartedAt");
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    if let Some(fields) = template.as_object_mut()
        && fields
            .get("metadata")
            .is_none_or(|metadata| metadata.is_null() || *metadata == json!({}))
    {
        fields.remove("metadata");
    }
    let Some(pod) = template.get_mut("spec") else {
        return template;
    };
    without(
        pod,
        &[
            ("dnsPolicy", json!("ClusterFirst")),
            ("restartPolicy", json!("Always")),
            ("schedulerName", json!("default-scheduler")),
            ("securityContext", json!({})),
        ],
    );
    for list in ["containers", "initContainers"] {
        let containers = pod.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            without(
                container,
                &[
                    ("resources", json!({})),
                    ("terminationMessagePath", json!("/dev/termination-log")),
                    ("terminationMessagePolicy", json!("File")),
                ],
            );
        }
    }
    template
}

fn without(value: &mut Value, defaults: &[(&str, Value)]) {
    let Some(fields) = value.as_object_mut() else {
        return;
    };
    for (name, default) in defaults {
        if fields.get(*name) == Some(default) {
            fields.remove(*name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_wrote_is_left_out_and_all_else_stays() {
        let written = json!({
            "metadata": { "creationTimestamp": null, "annotations": { "kubectl.kubernetes.io/restartedAt": "x" } },
            "spec": {
                "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "mine", "securityContext": {},
                "containers": [{
                    "name": "app", "image": "x", "resources": {}, "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                }],
            },
        });
        let tidied = json!({ "spec": {
            "schedulerName": "mine",
            "containers": [{ "name": "app", "image": "x", "terminationMessagePolicy": "FallbackToLogsOnError" }],
        } });
        assert_eq!(tidy(&written), tidied);
        let labelled =
            json!({ "metadata": { "labels": { "app": "a" } }, "spec": { "containers": [] } });
        assert_eq!(tidy(&labelled), labelled);
    }
}
