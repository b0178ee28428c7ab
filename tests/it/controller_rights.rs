//! The controller has the rights that it uses and no others. That it has all that it uses every other test of
//! the controller shows: there it acts as its ServiceAccount, with the roles of the manifests.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::collections::BTreeSet;

use drover::api::{DeadLetterReplay, KafkaConsumer};
use http::Method;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::lag_admin::{commit, produce};
use crate::support::consumers::with;
use crate::support::faulty_api::{Call, FaultyApi};
use crate::support::operator::{Operator, wait_for};

/// What may be done to what: `get deployments.apps`, say.
type Rights = BTreeSet<String>;

/// Rights that no call shows.
const NOT_SEEN: [&str; 2] = [
    // Asked for where OwnerReferencesPermissionEnforcement is on, as on OpenShift.
    "update deadletterreplays/finalizers.drover.dev",
    "update kafkaconsumers/finalizers.drover.dev",
];

fn right(verb: &str, group: &str, resource: &str) -> String {
    match group {
        "" => format!("{verb} {resource}"),
        group => format!("{verb} {resource}.{group}"),
    }
}

/// What the manifests grant.
fn granted() -> Rights {
    let mut rights = Rights::new();
    for document in include_str!("../../deploy/controller.yaml").split("\n---\n") {
        let object: Value = serde_saphyr::from_str(document).unwrap();
        for rule in object["rules"].as_array().into_iter().flatten() {
            let words =
                |key: &str| -> Vec<String> { serde_json::from_value(rule[key].clone()).unwrap() };
            for group in words("apiGroups") {
                for resource in words("resources") {
                    let verbs = words("verbs");
                    rights.extend(verbs.iter().map(|verb| right(verb, &group, &resource)));
                }
            }
        }
    }
    rights
}

/// What a call needs; nothing if it is about no resource.
fn needs(call: &Call) -> Vec<String> {
    let path: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    let (group, rest) = match path.as_slice() {
        ["api", "v1", rest @ ..] => ("", rest),
        ["apis", group, _version, rest @ ..] => (*group, rest),
        _ => return Vec::new(),
    };
    let rest = match rest {
        ["namespaces", _namespace, rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    let (resource, named) = match rest {
        [] => return Vec::new(),
        [resource] => ((*resource).to_owned(), false),
        [resource, _name] => ((*resource).to_owned(), true),
        [resource, _name, sub @ ..] => (format!("{resource}/{}", sub.join("/")), true),
    };
    // An apply makes what is not there yet, which is a right of its own.
    let applies = call.query.contains("force=true") && !resource.contains('/');
    let verbs: &[&str] = match (&call.method, named) {
        (&Method::GET, true) => &["get"],
        (&Method::GET, false) if call.watches() => &["watch"],
        (&Method::GET, false) => &["list"],
        (&Method::POST, _) => &["create"],
        (&Method::PUT, _) => &["update"],
        (&Method::PATCH, _) if applies => &["patch", "create"],
        (&Method::PATCH, _) => &["patch"],
        (&Method::DELETE, true) => &["delete"],
        (&Method::DELETE, false) => &["deletecollection"],
        other => panic!("{other:?}"),
    };
    verbs
        .iter()
        .map(|verb| right(verb, group, &resource))
        .collect()
}

/// A fleet that grows, whose pods are told who leaves, and whose dead letters are replayed.
async fn a_life(operator: &Operator) {
    operator.play_kubelet();
    let reference = json!([{ "name": "worker", "env": [
        { "name": "A", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k", "optional": true } } },
        { "name": "B", "valueFrom": { "configMapKeyRef": { "name": "c", "key": "k", "optional": true } } },
    ] }]);
    let spec = with(operator.spec("events"), "/scaling/mode", json!("Manual"));
    let dead_letter = json!({ "deadLetter": { "topic": "events.dlq" } });
    let spec = with(spec, "/delivery", dead_letter);
    let spec = with(
        spec,
        "/template",
        json!({ "spec": { "containers": reference } }),
    );
    operator
        .create("fleet", with(spec, "/replicas", json!(3)))
        .await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let ours = ListParams::default().labels("drover.dev/consumer=fleet");
    let pods = operator.api::<Pod>().list(&ours).await.unwrap();
    let report = drover::report::Report {
        pod: pods.items[0].name_any(),
        slots: 1,
        ..Default::default()
    };
    let text = report.encode(drover::topic::Offset(5));
    let servers = operator.kafka.bootstrap_servers();
    produce(&servers, "events", &[0, 1, 2, 3], 10);
    let commits: Vec<_> = (0..4)
        .map(|partition| (partition, 5, text.as_str()))
        .collect();
    let group = format!("{}.fleet", operator.namespace);
    commit(&servers, &group, "events", &commits);
    wait_for("the commits to be read", async || {
        match operator.status("fleet").await.lag {
            Some(20) => Ok(()),
            lag => Err(format!("{lag:?}")),
        }
    })
    .await;
    operator.change("fleet", json!({ "replicas": 1 })).await;
    wait_for("two pods to go", async || {
        match operator.api::<Pod>().list(&ours).await.unwrap().items.len() {
            1 => Ok(()),
            some => Err(format!("{some} pods")),
        }
    })
    .await;

    let external = with(operator.spec("events"), "/scaling/mode", json!("External"));
    operator.create("external", external).await;
    operator
        .object("external", "a size", |consumer: &KafkaConsumer| {
            consumer.spec.replicas.is_some()
        })
        .await;

    // What somebody changes a second time is told by counting on.
    for seconds in [1, 1] {
        let drift = json!({ "spec": { "template": { "spec": { "terminationGracePeriodSeconds": seconds } } } });
        let deployments = operator.api::<Deployment>();
        let params = PatchParams::default();
        deployments
            .patch("fleet", &params, &Patch::Merge(drift))
            .await
            .unwrap();
        let grace = |deployment: &Deployment| {
            let spec = deployment.spec.template.spec.as_ref();
            spec.and_then(|spec| spec.termination_grace_period_seconds)
        };
        let right = |deployment: &Deployment| grace(deployment) != Some(seconds);
        operator.object("fleet", "its correction", right).await;
    }
    wait_for("the count", async || {
        let events = operator.events("fleet").await;
        match events.iter().any(|event| event.contains("(x2)")) {
            true => Ok(()),
            false => Err(format!("{events:?}")),
        }
    })
    .await;

    let replay: DeadLetterReplay = serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "DeadLetterReplay",
        "metadata": { "name": "again" }, "spec": { "consumerRef": { "name": "fleet" } },
    }))
    .unwrap();
    let replays = operator.api::<DeadLetterReplay>();
    replays
        .create(&PostParams::default(), &replay)
        .await
        .unwrap();
    // Looked at once more when its Job is there.
    let runs = |replay: &DeadLetterReplay| {
        let status = replay.status.as_ref();
        status.is_some_and(|status| status.attempts.is_some())
    };
    operator
        .object("again", "its pod to be counted", runs)
        .await;

    let gone = operator
        .api::<KafkaConsumer>()
        .delete("fleet", &DeleteParams::default())
        .await;
    gone.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_right_is_used() {
    let mut operator = Operator::prepare(&["events", "events.dlq"]).await;
    let api = FaultyApi::start(operator.cluster()).await;
    let config = api.before(operator.config().await);
    operator.run_with(config);
    a_life(&operator).await;
    operator.stop().await;

    let used: Rights = api.calls().iter().flat_map(needs).collect();
    let granted = granted();
    assert!(granted.len() > 25, "{granted:?}");
    let beyond: Vec<_> = used.difference(&granted).collect();
    assert!(beyond.is_empty(), "used and not granted: {beyond:?}");
    let not_seen = NOT_SEEN.map(str::to_owned).into();
    let unused: Rights = granted.difference(&used).cloned().collect();
    assert_eq!(unused, not_seen, "granted and not used");
}
