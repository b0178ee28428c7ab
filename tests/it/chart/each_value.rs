//! Every value of the chart ends where it is meant to: set to something else, it is rendered there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::rendered;
use super::values::names_of_values;

/// Switched on in every rendering, so that all that a value may be seen in is there.
const ALL: [&str; 6] = [
    "monitoring.podMonitors.enabled=true",
    "monitoring.serviceMonitor.enabled=true",
    "monitoring.rules.enabled=true",
    "monitoring.dashboards.enabled=true",
    "networkPolicy.enabled=true",
    "test.kafka={\"bootstrapServers\":\"kafka:9092\"}",
];

const DIGEST: &str = "\"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"";

/// A value, another one for it in JSON, and how a line begins that then comes (`+`) or goes (`-`): kind and name of
/// an object, and the way in it, on which what has a name goes by it and `POD` is where a Deployment has its pod.
const TABLE: &[(&str, &str, &str)] = &[
    (
        "replicas",
        "7",
        "+Deployment drover-controller /spec/replicas 7",
    ),
    (
        "namespaces",
        r#"["shop"]"#,
        "+Role drover-controller /metadata/namespace \"shop\"",
    ),
    (
        "userByPlatform",
        "true",
        "+Deployment drover-controller ENV/DROVER_WORKER_USER_BY_PLATFORM/value \"true\"",
    ),
    (
        "controller.image.repository",
        r#""example.com/c""#,
        "+Deployment drover-controller POD/spec/containers/controller/image \"example.com/c:",
    ),
    (
        "controller.image.tag",
        r#""v9""#,
        "+Deployment drover-controller POD/spec/containers/controller/image \"drover.local/drover-controller:v9\"",
    ),
    (
        "controller.image.digest",
        DIGEST,
        "+Deployment drover-controller POD/spec/containers/controller/image \"drover.local/drover-controller@sha256:aa",
    ),
    (
        "controller.image.pullPolicy",
        r#""Always""#,
        "+Deployment drover-controller POD/spec/containers/controller/imagePullPolicy \"Always\"",
    ),
    (
        "controller.log",
        r#""debug""#,
        "+Deployment drover-controller ENV/DROVER_LOG/value \"debug\"",
    ),
    (
        "controller.logFormat",
        r#""text""#,
        "+Deployment drover-controller ENV/DROVER_LOG_FORMAT/value \"text\"",
    ),
    (
        "controller.leaseSeconds",
        "30",
        "+Deployment drover-controller ENV/DROVER_LEASE_SECONDS/value \"30\"",
    ),
    (
        "controller.tokenHosts",
        r#"["idp"]"#,
        "+Deployment drover-controller ENV/DROVER_TOKEN_HOSTS/value \"idp\"",
    ),
    (
        "controller.resources",
        r#"{"limits":{"memory":"1Gi"}}"#,
        "+Deployment drover-controller POD/spec/containers/controller/resources/limits/memory \"1Gi\"",
    ),
    (
        "controller.extraEnv",
        r#"[{"name":"A","value":"b"}]"#,
        "+Deployment drover-controller ENV/A/value \"b\"",
    ),
    (
        "controller.extraVolumes",
        r#"[{"name":"ca","secret":{"secretName":"authorities"}}]"#,
        "+Deployment drover-controller POD/spec/volumes/ca/secret/secretName \"authorities\"",
    ),
    (
        "controller.extraVolumeMounts",
        r#"[{"name":"ca","mountPath":"/ca"}]"#,
        "+Deployment drover-controller POD/spec/containers/controller/volumeMounts/ca/mountPath \"/ca\"",
    ),
    (
        "controller.podAnnotations",
        r#"{"note":"x"}"#,
        "+Deployment drover-controller POD/metadata/annotations/note \"x\"",
    ),
    (
        "controller.podLabels",
        r#"{"team":"x"}"#,
        "+Deployment drover-controller POD/metadata/labels/team \"x\"",
    ),
    (
        "controller.nodeSelector",
        r#"{"pool":"infra"}"#,
        "+Deployment drover-controller POD/spec/nodeSelector/pool \"infra\"",
    ),
    (
        "controller.tolerations",
        r#"[{"key":"infra","operator":"Exists"}]"#,
        "+Deployment drover-controller POD/spec/tolerations/0/key \"infra\"",
    ),
    (
        "controller.affinity",
        r#"{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"Exists"}]}]}}}"#,
        "+Deployment drover-controller POD/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchExpressions/0/key \"disk\"",
    ),
    (
        "controller.spreadOver",
        r#"["rack"]"#,
        "+Deployment drover-controller POD/spec/topologySpreadConstraints/0/topologyKey \"rack\"",
    ),
    (
        "controller.priorityClassName",
        r#""high""#,
        "+Deployment drover-controller POD/spec/priorityClassName \"high\"",
    ),
    (
        "worker.image.repository",
        r#""example.com/w""#,
        "+Deployment drover-controller ENV/DROVER_WORKER_IMAGE/value \"example.com/w:",
    ),
    (
        "worker.image.tag",
        r#""v9""#,
        "+Deployment drover-controller ENV/DROVER_WORKER_IMAGE/value \"drover.local/drover-worker:v9\"",
    ),
    (
        "worker.image.digest",
        DIGEST,
        "+Deployment drover-controller ENV/DROVER_WORKER_IMAGE/value \"drover.local/drover-worker@sha256:aa",
    ),
    (
        "worker.image.pullPolicy",
        r#""Never""#,
        "+Deployment drover-controller ENV/DROVER_WORKER_IMAGE_PULL_POLICY/value \"Never\"",
    ),
    (
        "imagePullSecrets",
        r#"["registry"]"#,
        "+Deployment drover-controller POD/spec/imagePullSecrets/registry/name \"registry\"",
    ),
    (
        "crds.enabled",
        "false",
        "-CustomResourceDefinition kafkaconsumers.drover.dev /spec/",
    ),
    (
        "crds.keep",
        "false",
        "-CustomResourceDefinition kafkaconsumers.drover.dev /metadata/annotations/helm.sh/resource-policy \"keep\"",
    ),
    // One that is not made has to be named.
    (
        "serviceAccount.create",
        "false,serviceAccount.name=\"mine\"",
        "-ServiceAccount drover-controller /",
    ),
    (
        "serviceAccount.name",
        r#""mine""#,
        "+Deployment drover-controller POD/spec/serviceAccountName \"mine\"",
    ),
    (
        "serviceAccount.annotations",
        r#"{"role":"x"}"#,
        "+ServiceAccount drover-controller /metadata/annotations/role \"x\"",
    ),
    (
        "rbac.create",
        "false",
        "-ClusterRole drover-controller /rules/",
    ),
    (
        "rbac.userRoles",
        "false",
        "-ClusterRole drover-controller-view /rules/",
    ),
    (
        "podDisruptionBudget.enabled",
        "false",
        "-PodDisruptionBudget drover-controller /spec/",
    ),
    (
        "networkPolicy.enabled",
        "false",
        "-NetworkPolicy drover-controller /spec/",
    ),
    (
        "networkPolicy.metricsFrom",
        r#"[{"podSelector":{"matchLabels":{"app":"prometheus"}}}]"#,
        "+NetworkPolicy drover-controller /spec/ingress/0/from/0/podSelector/matchLabels/app \"prometheus\"",
    ),
    (
        "networkPolicy.workerNamespaces",
        r#"["users"]"#,
        "+NetworkPolicy drover-controller-workers /metadata/namespace \"users\"",
    ),
    (
        "test.kafka",
        r#"{"bootstrapServers":"other:9092"}"#,
        r#"+Pod drover-controller-self-test /spec/containers/self-test/env/DROVER_SELF_TEST_KAFKA/value "{\"bootstrapServers\":\"other:9092\"}""#,
    ),
    (
        "test.topic",
        r#""theirs""#,
        "+Pod drover-controller-self-test /spec/containers/self-test/env/DROVER_SELF_TEST_TOPIC/value \"theirs\"",
    ),
    (
        "test.secrets",
        r#"["keys"]"#,
        "+Role drover-controller-self-test /rules/1/resourceNames/0 \"keys\"",
    ),
    (
        "monitoring.podMonitors.enabled",
        "false",
        "-PodMonitor drover-controller-workers /spec/",
    ),
    (
        "monitoring.podMonitors.interval",
        r#""7s""#,
        "+PodMonitor drover-controller-workers /spec/podMetricsEndpoints/0/interval \"7s\"",
    ),
    (
        "monitoring.podMonitors.labels",
        r#"{"release":"p"}"#,
        "+PodMonitor drover-controller-workers /metadata/labels/release \"p\"",
    ),
    (
        "monitoring.serviceMonitor.enabled",
        "false",
        "-ServiceMonitor drover-controller /spec/",
    ),
    (
        "monitoring.serviceMonitor.interval",
        r#""7s""#,
        "+ServiceMonitor drover-controller /spec/endpoints/0/interval \"7s\"",
    ),
    (
        "monitoring.serviceMonitor.labels",
        r#"{"release":"p"}"#,
        "+ServiceMonitor drover-controller /metadata/labels/release \"p\"",
    ),
    (
        "monitoring.rules.enabled",
        "false",
        "-PrometheusRule drover-controller /spec/",
    ),
    (
        "monitoring.rules.labels",
        r#"{"release":"p"}"#,
        "+PrometheusRule drover-controller /metadata/labels/release \"p\"",
    ),
    (
        "monitoring.rules.alertLabels",
        r#"{"team":"x"}"#,
        "+PrometheusRule drover-controller /spec/groups/drover-fleets/rules/0/labels/team \"x\"",
    ),
    (
        "monitoring.rules.disabled",
        r#"["DroverPromiseBroken"]"#,
        "-PrometheusRule drover-controller /spec/groups/drover-fleets/rules/0/alert \"DroverPromiseBroken\"",
    ),
    (
        "monitoring.rules.runbookUrl",
        r#""https://runbooks.example""#,
        "+PrometheusRule drover-controller /spec/groups/drover-fleets/rules/0/annotations/runbook_url \"https://runbooks.example/",
    ),
    (
        "monitoring.dashboards.enabled",
        "false",
        "-ConfigMap drover-controller-dashboard-fleet /data/",
    ),
    (
        "monitoring.dashboards.namespace",
        r#""grafana""#,
        "+ConfigMap drover-controller-dashboard-fleet /metadata/namespace \"grafana\"",
    ),
    (
        "monitoring.dashboards.labels",
        r#"{"find":"me"}"#,
        "+ConfigMap drover-controller-dashboard-fleet /metadata/labels/find \"me\"",
    ),
    (
        "monitoring.dashboards.annotations",
        r#"{"grafana_folder":"Drover"}"#,
        "+ConfigMap drover-controller-dashboard-fleet /metadata/annotations/grafana_folder \"Drover\"",
    ),
];

/// What the chart makes of all values at once, each set to something else, but those that only leave something out.
pub(super) fn rendered_with_all_set(namespaces: &str) -> Vec<Value> {
    let set = TABLE
        .iter()
        .filter(|(name, other, _)| !other.starts_with("false") && *name != "namespaces")
        .map(|(name, other, _)| format!("{name}={other}"));
    let all = ALL.iter().map(|value| (*value).to_owned()).chain(set);
    let all: Vec<_> = all.chain([format!("namespaces={namespaces}")]).collect();
    let options = all.iter().flat_map(|value| ["--set-json", value]);
    rendered(&options.collect::<Vec<_>>())
}

/// A line for all that is in the objects of a rendering with these values beside [`ALL`].
fn lines(values: &[String]) -> BTreeSet<String> {
    let all = ALL.iter().map(|value| (*value).to_owned());
    let all: Vec<_> = all.chain(values.iter().cloned()).collect();
    let options = all.iter().flat_map(|value| ["--set-json", value]);
    let mut lines = BTreeSet::new();
    for object in rendered(&options.collect::<Vec<_>>()) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
        add(&object, &format!("{kind} {name} "), &mut lines);
    }
    lines
}

fn add(value: &Value, way: &str, lines: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                add(value, &format!("{way}/{name}"), lines);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for (number, element) in elements.iter().enumerate() {
                let number = number.to_string();
                let name = element["name"].as_str().unwrap_or(&number);
                add(element, &format!("{way}/{name}"), lines);
            }
        }
        value => {
            lines.insert(format!("{way} {value}"));
        }
    }
}

#[test]
fn every_value_that_is_set_to_something_else_is_rendered_where_it_belongs() {
    let usual = lines(&[]);
    for (name, other, expected) in TABLE {
        let set = lines(&[format!("{name}={other}")]);
        let expected = expected
            .replace("ENV/", "POD/spec/containers/controller/env/")
            .replace("POD/", "/spec/template/");
        let (sign, begins) = expected.split_at(1);
        let mut changed: Vec<_> = match sign {
            "+" => set.difference(&usual).collect(),
            _ => usual.difference(&set).collect(),
        };
        let is_there = changed.iter().any(|line| line.starts_with(begins));
        changed.retain(|line| line.len() < 400);
        assert!(is_there, "{name}={other}: no {expected} among {changed:#?}");
    }
}

#[test]
fn every_value_is_in_the_table_of_those_that_are_set_to_something_else() {
    let mut times: BTreeMap<_, i32> = names_of_values().into_iter().map(|n| (n, 0)).collect();
    for (name, ..) in TABLE {
        let known = times.get_mut(*name);
        *known.unwrap_or_else(|| panic!("there is no value {name}")) += 1;
    }
    let others: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
    assert!(others.is_empty(), "not once in the table: {others:?}");
}
