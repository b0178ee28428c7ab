//! A fleet whose resource is being deleted and held by somebody.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::QUIET;
use crate::support::consumers::with;
use crate::support::operator::{Operator, wait_for};

async fn hold(operator: &Operator, finalizers: Value) {
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": finalizers } }));
    let raw = operator.raw();
    raw.patch("fleet", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_that_is_held_while_it_is_deleted_says_so_once() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec = with(operator.spec("events"), "/scaling/minReplicas", json!(1));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    hold(&operator, json!(["backup.example/keep", "x.y/z"])).await;
    operator.rest(QUIET).await;
    let before = operator.writes().len();

    let raw = operator.raw();
    raw.delete("fleet", &DeleteParams::default()).await.unwrap();
    let told = operator
        .condition("fleet", "Ready", "False", "Deleting")
        .await;
    assert!(
        told.message.contains("backup.example/keep, x.y/z"),
        "{told:?}"
    );
    operator.rest(QUIET).await;
    let held = raw.get("fleet").await.unwrap();
    let status = operator.status("fleet").await;
    assert_eq!(status.observed_generation, held.metadata.generation);
    assert_eq!((status.replicas, status.lag), (Some(1), None));
    let after = operator.writes();
    assert_eq!(after[before..], ["patch kafkaconsumers/status fleet"]);

    hold(&operator, json!(["x.y/z"])).await;
    wait_for("the one that is left to be named", async || {
        let status = operator.status("fleet").await;
        let said = status.conditions[0].message.clone();
        let is_alone = said.contains("x.y/z") && !said.contains("keep");
        if is_alone { Ok(()) } else { Err(said) }
    })
    .await;
    hold(&operator, json!(null)).await;
    wait_for("it to be gone", async || {
        match raw.get_opt("fleet").await.unwrap() {
            None => Ok(()),
            Some(still) => Err(format!("{:?}", still.metadata)),
        }
    })
    .await;
}
