//! The last word about a fleet that comes to rest is written, although nothing happens any more that
//! would bring it up again.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::time::Duration;

use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::lag_admin::{commit, produce};
use crate::support::consumers::with;
use crate::support::operator::{Operator, wait_for};

const FLEETS: usize = 8;

/// Reasons change their kind soon after other things did, too soon to be written: they wait for their
/// turn, and must not be taken for written meanwhile. When that happens is a matter of moments, so
/// several fleets go through it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_reasons_of_fleets_that_come_to_rest_are_told() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let name = |number: usize| format!("fleet-{number}");
    for number in 0..FLEETS {
        let spec = with(operator.spec("events"), "/scaling/minReplicas", json!(1));
        operator.create(&name(number), spec).await;
        tokio::time::sleep(Duration::from_millis(130)).await; // apart, so that moments differ
    }
    for number in 0..FLEETS {
        let name = name(number);
        operator.condition(&name, "Ready", "True", "AllReady").await;
        // Of a pod that has just started it is first said that it starts, and that the group settles.
        wait_for(&format!("the last word about {name}"), async || {
            let scaling = operator.status(&name).await.scaling.unwrap_or_default();
            let said = scaling.reasons.first().cloned().unwrap_or_default();
            let last = said.contains("enough: 0 records wait");
            if last { Ok(()) } else { Err(said) }
        })
        .await;
    }
}

/// As after the log was cut, or restored from an older state with the offsets of now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_beyond_the_end_is_told_of_a_fleet_at_zero_until_it_is_set_right() {
    let operator = Operator::start(&["events"]).await;
    let servers = operator.kafka.bootstrap_servers();
    let group = format!("{}.fleet", operator.namespace);
    produce(&servers, "events", &[0], 5);
    commit(&servers, &group, "events", &[(0, 10, "")]);
    operator.create("fleet", operator.spec("events")).await;
    let told = operator
        .condition("fleet", "Ready", "False", "OffsetBeyondEnd")
        .await;
    let so = "the committed offset 10 of events[0] lies beyond its end 5";
    assert!(told.message.contains(so), "{}", told.message);

    commit(&servers, &group, "events", &[(0, 5, "")]);
    operator.condition("fleet", "Ready", "True", "Idle").await;
}

/// The CRD has no schema of a pod template, so that nobody else says it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misspelt_field_of_the_template_is_told_once_by_an_event_and_by_ready_while_it_is_there()
{
    let operator = Operator::start(&["events"]).await;
    let worker = json!({ "name": "worker", "imagePullPolizy": "Always" });
    let template = json!({ "spec": { "tolerationz": [], "containers": [worker] } });
    let spec = with(operator.spec("events"), "/template", template);
    let document: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
        "metadata": { "name": "fleet" }, "spec": spec,
    }))
    .unwrap();
    let raw = operator.raw();
    raw.create(&PostParams::default(), &document).await.unwrap();
    let [event] = &operator.event("fleet", "UnknownField").await[..] else {
        panic!("one event");
    };
    let told = operator.condition("fleet", "Ready", "True", "Idle").await;
    for words in [
        "spec.template.spec.tolerationz is not a field; did you mean tolerations?",
        "spec.template.spec.containers[0].imagePullPolizy is not a field",
    ] {
        assert!(event.contains(words), "{event}");
        assert!(told.message.contains(words), "{}", told.message);
    }

    let mended = json!([
        { "op": "remove", "path": "/spec/template/spec/tolerationz" },
        { "op": "remove", "path": "/spec/template/spec/containers/0/imagePullPolizy" },
    ]);
    let patch = Patch::<()>::Json(serde_json::from_value(mended).unwrap());
    raw.patch("fleet", &PatchParams::default(), &patch)
        .await
        .unwrap();
    wait_for("nothing more to be told", async || {
        let told = operator.condition("fleet", "Ready", "True", "Idle").await;
        match told.message.contains("not used of") {
            false => Ok(()),
            true => Err(told.message),
        }
    })
    .await;
    assert_eq!(operator.event("fleet", "UnknownField").await.len(), 1);
}
