//! What somebody else changes of the children: put right, once, and told.

use super::*;
use crate::lag_admin::{commit, produce};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_changes_is_put_right_once_and_told() {
    let operator = Operator::start(&["events"]).await;
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator.rest(QUIET).await;
    let writes = operator.writes().len();

    let foreign = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "worker", "image": "somebody/elses:1" },
    ]}}}});
    let deployments = operator.api::<Deployment>();
    let patch = Patch::Strategic(&foreign);
    deployments
        .patch("fleet", &PatchParams::default(), &patch)
        .await
        .unwrap();
    let events = operator.event("fleet", "DriftCorrected").await;
    assert_eq!(events.len(), 1);
    assert!(events[0].contains("Deployment"), "{events:?}");
    assert!(events[0].contains("image"), "{events:?}");
    operator
        .object("fleet", "the image", |deployment: &Deployment| {
            let pod = deployment.spec.template.spec.as_ref().unwrap();
            pod.containers[0].image.as_deref() == Some("drover.local/worker:1")
        })
        .await;
    operator.rest(QUIET).await;
    let since = operator.writes().split_off(writes);
    let applied = since
        .iter()
        .filter(|write| write.contains("deployments/ "))
        .count();
    assert_eq!(applied, 1, "{since:#?}");

    // What nobody but them speaks of is theirs.
    let theirs = json!({ "metadata": { "annotations": { "somebody/else": "1" } } });
    deployments
        .patch("fleet", &PatchParams::default(), &Patch::Merge(&theirs))
        .await
        .unwrap();
    let writes = operator.writes().len();
    operator.rest(QUIET).await;
    assert_eq!(operator.writes().len(), writes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_is_deleted_is_made_again() {
    let operator = Operator::start(&["events"]).await;
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    let accounts = operator.api::<ServiceAccount>();
    let first = accounts.get("fleet").await.unwrap();
    accounts
        .delete("fleet", &DeleteParams::default())
        .await
        .unwrap();
    operator
        .object("fleet", "another account", |account: &ServiceAccount| {
            account.uid() != first.uid()
        })
        .await;
    assert!(operator.event("fleet", "DriftCorrected").await[0].contains("made again"));
}

/// All that waited is done, and more is expected: it would begin at zero now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_is_deleted_is_made_again_with_the_size_that_it_had() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    let servers = operator.kafka.bootstrap_servers();
    produce(&servers, "events", &[0, 1, 2, 3], 500);
    let has_pods = |deployment: &Deployment| deployment.spec.replicas > Some(0);
    operator.object("fleet", "pods", has_pods).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let group = format!("{}.fleet", operator.namespace);
    let done = [0, 1, 2, 3].map(|partition| (partition, 500, ""));
    commit(&servers, &group, "events", &done);
    wait_for("nothing to wait", async || {
        let lag = operator.status("fleet").await.lag;
        (lag == Some(0)).then_some(()).ok_or(format!("{lag:?}"))
    })
    .await;

    let deployments = operator.api::<Deployment>();
    let first = deployments.get("fleet").await.unwrap();
    let params = DeleteParams::default();
    deployments.delete("fleet", &params).await.unwrap();
    let again = operator
        .object("fleet", "another Deployment", |other: &Deployment| {
            other.uid() != first.uid()
        })
        .await;
    assert!(has_pods(&again), "{:?}", again.spec.replicas);
    assert!(operator.event("fleet", "DriftCorrected").await[0].contains("made again"));
    operator.rest(QUIET).await;
    let events = operator.events("fleet").await;
    let blames = |event: &String| event.starts_with("ResizedByOther");
    assert!(!events.iter().any(blames), "{events:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_of_every_kind_of_child_is_put_right_once_and_told() {
    let operator = Operator::start(&["events"]).await;
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator.rest(QUIET).await;
    let before = operator.writes().len();

    let params = PatchParams::default();
    let configured = operator.api::<Deployment>().get("fleet").await.unwrap();
    let configured = configured.spec.template;
    let other = Patch::Strategic(json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "worker", "env": [{ "name": "DROVER_CONFIG", "value": "{}" }] },
    ]}}}}));
    operator
        .api::<Deployment>()
        .patch("fleet", &params, &other)
        .await
        .unwrap();
    let token = Patch::Merge(json!({ "automountServiceAccountToken": true }));
    operator
        .api::<ServiceAccount>()
        .patch("fleet", &params, &token)
        .await
        .unwrap();
    let budget = Patch::Merge(json!({ "spec": { "maxUnavailable": "50%" } }));
    operator
        .api::<PodDisruptionBudget>()
        .patch("fleet", &params, &budget)
        .await
        .unwrap();

    let told = wait_for("all three to be told", async || {
        let told = operator.events("fleet").await;
        let told: Vec<String> = told
            .into_iter()
            .filter(|event| event.starts_with("DriftCorrected"))
            .collect();
        if told.len() == 3 {
            Ok(told)
        } else {
            Err(format!("{told:#?}"))
        }
    })
    .await;
    for what in [
        "Deployment",
        "automountServiceAccountToken",
        "maxUnavailable",
    ] {
        assert!(
            told.iter().any(|event| event.contains(what)),
            "{what}: {told:#?}"
        );
    }
    operator.rest(QUIET).await;
    let since = operator.writes().split_off(before);
    for kind in ["deployments/ ", "serviceaccounts/", "poddisruptionbudgets/"] {
        let count = since.iter().filter(|write| write.contains(kind)).count();
        assert_eq!(count, 1, "{since:#?}");
    }
    let now = operator.api::<Deployment>().get("fleet").await.unwrap();
    assert_eq!(now.spec.template, configured);
    let account = operator.api::<ServiceAccount>().get("fleet").await.unwrap();
    assert_eq!(account.automount_service_account_token, Some(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changes_a_child_each_time_is_answered_ever_later_and_told() {
    let operator = Operator::start(&["events"]).await;
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    let deployments = operator.api::<Deployment>();
    let theirs = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "worker", "image": "somebody/elses:1" },
    ]}}}});
    let image = |deployment: &Deployment| {
        let pod = deployment.spec.template.spec.as_ref();
        pod.unwrap().containers[0].image.clone().unwrap()
    };
    let changes = std::cell::Cell::new(0);
    let told = wait_for("it to be told", async || {
        let deployment = deployments.get("fleet").await.unwrap();
        if image(&deployment) != "somebody/elses:1" {
            let patch = Patch::Strategic(&theirs);
            let params = PatchParams::default();
            deployments.patch("fleet", &params, &patch).await.unwrap();
            changes.set(changes.get() + 1);
        }
        let conditions = operator.status("fleet").await.conditions;
        match conditions
            .into_iter()
            .find(|known| known.reason == "Contested")
        {
            Some(ready) => Ok(ready.message),
            None => Err(format!("{} changes", changes.get())),
        }
    })
    .await;
    assert!(
        told.contains("Deployment") && told.contains("image"),
        "{told}"
    );
    let changes = changes.get();
    assert!((5..=8).contains(&changes), "{changes}");

    // When they stop, it is as it should be, and that is said.
    operator.condition("fleet", "Ready", "True", "Idle").await;
    let deployment = deployments.get("fleet").await.unwrap();
    assert_eq!(image(&deployment), "drover.local/worker:1");
}
