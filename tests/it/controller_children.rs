//! The children of a resource on a real API server: made, owned, put right, never stolen, and left
//! alone where the spec is bad.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

mod deleting;
mod drift;
mod malformed;
mod strangers;

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};
use rdkafka::types::RDKafkaRespErr;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::support::operator::{Operator, wait_for};

/// Nothing is written for this long: whatever was under way has come to its end.
const QUIET: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_child_is_made_and_owned_and_then_left_alone() {
    let operator = Operator::start(&["events"]).await;
    let consumer = operator.create("fleet", operator.spec("events")).await;
    let uid = consumer.uid().unwrap();

    operator.condition("fleet", "Ready", "True", "Idle").await;
    let deployment: Deployment = operator.object("fleet", "the Deployment", |_| true).await;
    assert_eq!(deployment.spec.replicas, Some(0));
    let account: ServiceAccount = operator.object("fleet", "the account", |_| true).await;
    let budget: PodDisruptionBudget = operator.object("fleet", "the budget", |_| true).await;
    for owners in [
        deployment.owner_references(),
        account.owner_references(),
        budget.owner_references(),
    ] {
        assert_eq!(owners.len(), 1);
        assert_eq!(
            (owners[0].uid.as_str(), owners[0].controller),
            (uid.as_str(), Some(true))
        );
    }
    let status = operator.status("fleet").await;
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(
        status.selector.as_deref(),
        Some("drover.dev/consumer=fleet")
    );
    assert_eq!((status.lag, status.partitions), (Some(0), Some(4)));

    operator.rest(QUIET).await;
    let writes = operator.writes();
    let of = |part: &str| writes.iter().filter(|write| write.contains(part)).count();
    assert_eq!(of("configmaps/"), 0, "{writes:#?}");
    assert_eq!(of("serviceaccounts/"), 1, "{writes:#?}");
    assert_eq!(of("poddisruptionbudgets/"), 1, "{writes:#?}");
    // Made at zero, where it stays.
    assert_eq!(of("deployments/ "), 1, "{writes:#?}");
    assert_eq!(of("deployments/scale"), 0, "{writes:#?}");
    // What it comes to, and how much arrives once that is known; a busy machine may see a step between.
    assert!(of("kafkaconsumers/status") <= 4, "{writes:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_starts_again_writes_nothing() {
    let mut operator = Operator::start(&["events"]).await;
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator.rest(QUIET).await;
    let before: Deployment = operator.object("fleet", "the Deployment", |_| true).await;
    let status = operator.status("fleet").await;
    operator.stop().await;

    let writes = operator.writes().len();
    operator.run().await;
    wait_for("the fleet to be decided on again", async || {
        TcpStream::connect(operator.admin_address)
            .await
            .map_err(|error| error.to_string())?;
        let lag = operator.metric("drover_fleet_lag_records").await;
        lag.first_key_value()
            .map(|_| ())
            .ok_or("no lag yet".to_owned())
    })
    .await;
    operator.rest(QUIET).await;
    let written = operator.writes().split_off(writes);
    assert!(written.is_empty(), "{written:#?}");
    let after: Deployment = operator.object("fleet", "the Deployment", |_| true).await;
    assert_eq!(after.resource_version(), before.resource_version());
    let conditions = operator.status("fleet").await.conditions;
    assert_eq!(conditions, status.conditions);
    let events = operator.events("fleet").await;
    assert!(
        !events.iter().any(|event| event.starts_with("Drift")),
        "{events:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_template_no_longer_says_is_gone_from_the_pods() {
    let operator = Operator::start(&["events"]).await;
    let template = json!({
        "metadata": { "labels": { "team": "shop" }, "annotations": { "note": "kept" } },
        "spec": {
            "nodeSelector": { "pool": "consumers" },
            "containers": [
                { "name": "worker", "env": [{ "name": "TZ", "value": "UTC" }] },
                { "name": "statsd", "image": "statsd:1" },
            ],
            "volumes": [{ "name": "scratch", "emptyDir": {} }],
        },
    });
    let spec = crate::support::consumers::with(operator.spec("events"), "/template", template);
    operator.create("fleet", spec).await;
    let text = |deployment: &Deployment| serde_json::to_string(&deployment.spec.template).unwrap();
    let parts = [
        "\"team\"",
        "\"note\"",
        "consumers",
        "\"TZ\"",
        "statsd",
        "scratch",
    ];
    operator
        .object("fleet", "all of it", |deployment: &Deployment| {
            parts.iter().all(|part| text(deployment).contains(part))
        })
        .await;
    operator
        .change("fleet", json!({ "template": Value::Null }))
        .await;
    operator
        .object("fleet", "none of it", |deployment: &Deployment| {
            !parts.iter().any(|part| text(deployment).contains(part))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_whose_spec_is_not_good_can_be_stopped_all_the_same() {
    let operator = Operator::start(&["events"]).await;
    let mut spec = operator.spec("events");
    spec["replicas"] = json!(2);
    spec["scaling"]["mode"] = json!("Manual");
    operator.create("fleet", spec).await;
    let of_size = |size: i32| move |deployment: &Deployment| deployment.spec.replicas == Some(size);
    operator.object("fleet", "two pods", of_size(2)).await;
    let from = json!([{ "secretRef": { "name": "gone" } }]);
    let template = json!({ "spec": { "containers": [{ "name": "worker", "envFrom": from }] } });
    operator
        .change("fleet", json!({ "template": template }))
        .await;
    operator
        .condition("fleet", "Ready", "False", "SecretNotFound")
        .await;

    operator.change("fleet", json!({ "paused": true })).await;
    operator.object("fleet", "no pods", of_size(0)).await;
    operator
        .condition("fleet", "Paused", "True", "Paused")
        .await;
    let none = json!({ "paused": false, "template": Value::Null });
    operator.change("fleet", none).await;
    operator.object("fleet", "two pods again", of_size(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_secret_is_named_leaves_the_children_and_heals_by_itself() {
    let operator = Operator::start(&["events"]).await;
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator.rest(QUIET).await;
    let before: Deployment = operator.object("fleet", "the Deployment", |_| true).await;

    let env =
        json!([{ "name": "KEY", "valueFrom": { "secretKeyRef": { "name": "keys", "key": "k" } } }]);
    let template = json!({ "spec": { "containers": [{ "name": "worker", "env": env }] } });
    operator
        .change("fleet", json!({ "template": template }))
        .await;
    let ready = operator
        .condition("fleet", "Ready", "False", "SecretNotFound")
        .await;
    for part in [
        "\"keys\"",
        "spec.template",
        "create it",
        "left as they were",
    ] {
        assert!(ready.message.contains(part), "{}", ready.message);
    }
    assert_eq!(ready.observed_generation, Some(2));
    assert_eq!(operator.event("fleet", "InvalidSpec").await.len(), 1);
    operator.rest(QUIET).await;
    let after: Deployment = operator.object("fleet", "the Deployment", |_| true).await;
    assert_eq!(after.resource_version(), before.resource_version());

    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": "keys" }, "stringData": { "k": "v" },
    }))
    .unwrap();
    operator
        .api::<Secret>()
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator
        .object("fleet", "the new template", |deployment: &Deployment| {
            let pod = deployment.spec.template.spec.as_ref().unwrap();
            pod.containers.iter().any(|container| {
                container
                    .env
                    .iter()
                    .flatten()
                    .any(|variable| variable.name == "KEY")
            })
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_can_become_a_consumer_of_the_users_own() {
    let operator = Operator::start(&["events"]).await;
    operator.create("fleet", operator.spec("events")).await;
    operator
        .object("fleet", "the worker", |_: &Deployment| true)
        .await;

    let template =
        json!({ "spec": { "containers": [{ "name": "karafka", "image": "shop/web:1" }] } });
    let own = json!({ "handler": { "http": Value::Null, "consumer": {} }, "template": template });
    operator.change("fleet", own).await;
    operator
        .object(
            "fleet",
            "the user's container",
            |deployment: &Deployment| {
                let pod = deployment.spec.template.spec.as_ref().unwrap();
                pod.containers.len() == 1 && pod.containers[0].name == "karafka"
            },
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_resource_is_told_so_and_stops_nobody() {
    let operator = Operator::start(&["events"]).await;
    // The schema lets it pass; no calendar does.
    let malformed = json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": "malformed" },
        "spec": crate::support::consumers::with(
            operator.spec("events"), "/startAt", json!("2026-02-31T00:00:00Z")),
    });
    let malformed = serde_json::from_value(malformed).unwrap();
    operator
        .raw()
        .create(&PostParams::default(), &malformed)
        .await
        .unwrap();
    // Nor does it look into the template.
    let annotated = json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": "annotated" },
        "spec": crate::support::consumers::with(
            operator.spec("events"),
            "/template/metadata/annotations",
            json!({ "prometheus.io/port": 9090 }),
        ),
    });
    let annotated = serde_json::from_value(annotated).unwrap();
    let raw = operator.raw();
    raw.create(&PostParams::default(), &annotated)
        .await
        .unwrap();
    operator.create("fleet", operator.spec("events")).await;

    operator.condition("fleet", "Ready", "True", "Idle").await;
    wait_for("the field to be named", async || {
        let told = raw.get_status("annotated").await.unwrap();
        let ready = told.data["status"]["conditions"][0].clone();
        let field = "spec.template.metadata.annotations[prometheus.io/port] must be a text";
        match ready["message"].as_str() {
            Some(message) if message.contains(field) => Ok(()),
            _ => Err(ready.to_string()),
        }
    })
    .await;
    wait_for("the malformed one to say so", async || {
        let told = operator.raw().get_status("malformed").await.unwrap();
        let ready = told.data["status"]["conditions"][0].clone();
        if ready["reason"] == "Unreadable"
            && ready["message"].as_str().unwrap().contains("2026-02-31")
        {
            Ok(())
        } else {
            Err(ready.to_string())
        }
    })
    .await;
    assert!(
        operator
            .api::<Deployment>()
            .get_opt("malformed")
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_with_the_resource_but_offsets_stay() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec =
        crate::support::consumers::with(operator.spec("events"), "/scaling/minReplicas", json!(2));
    let consumer = operator.create("fleet", spec).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let group = format!("{}.fleet", operator.namespace);
    assert_eq!(operator.committed(&group, "events").await, vec![Some(0); 4]);

    let consumers = operator.api::<drover::api::KafkaConsumer>();
    consumers
        .delete("fleet", &DeleteParams::default())
        .await
        .unwrap();
    let ours = ListParams::default().labels("drover.dev/consumer=fleet");
    wait_for("all children to go", async || {
        let left = [
            operator
                .api::<Deployment>()
                .list(&ours)
                .await
                .unwrap()
                .items
                .len(),
            operator
                .api::<ServiceAccount>()
                .list(&ours)
                .await
                .unwrap()
                .items
                .len(),
            operator
                .api::<PodDisruptionBudget>()
                .list(&ours)
                .await
                .unwrap()
                .items
                .len(),
            operator.api::<Pod>().list(&ours).await.unwrap().items.len(),
        ];
        if left == [0; 4] {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    assert_eq!(operator.committed(&group, "events").await, vec![Some(0); 4]);

    // One of the same name is another one.
    let again = operator.create("fleet", operator.spec("events")).await;
    assert_ne!(again.uid(), consumer.uid());
    operator.condition("fleet", "Ready", "True", "Idle").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_is_named_and_nothing_is_made_until_it_is_there() {
    let operator = Operator::start(&["events"]).await;
    let missing = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    operator.kafka.topic_error("events", missing).unwrap();
    operator.create("fleet", operator.spec("events")).await;
    let ready = operator
        .condition("fleet", "Ready", "False", "TopicNotFound")
        .await;
    for part in [
        "\"events\"",
        "spec.topics[0]",
        "create it",
        "nothing was created",
    ] {
        assert!(ready.message.contains(part), "{}", ready.message);
    }
    assert!(
        operator
            .api::<Deployment>()
            .get_opt("fleet")
            .await
            .unwrap()
            .is_none()
    );

    let there = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    operator.kafka.topic_error("events", there).unwrap();
    operator.condition("fleet", "Ready", "True", "Idle").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probes_say_what_is_missing_and_a_stop_gives_the_lease_back() {
    let mut operator = Operator::start(&["events"]).await;
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    assert_eq!(operator.get("/readyz").await.0, 200);
    assert_eq!(operator.get("/livez").await.0, 200);
    operator.stop().await;
    let leases = operator.api::<Lease>();
    let lease = leases.get("drover-controller").await.unwrap();
    assert_eq!(lease.spec.unwrap().holder_identity.as_deref(), Some(""));
}
