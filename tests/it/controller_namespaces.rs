//! A controller that looks after a list of namespaces, with the rights that the chart gives it there
//! and nowhere else.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use drover::api::KafkaConsumer;
use drover::api::names::ANNOTATION_NAMESPACES;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::chart;
use crate::support::control_plane::control_plane_with_controllers;
use crate::support::operator::{Operator, wait_for};

/// Applies the Roles and RoleBindings that the chart makes for `namespaces`, released in `home`.
async fn grant(operator: &Operator, home: &str, namespaces: &[&str]) {
    let list = format!("namespaces={{{}}}", namespaces.join(","));
    let params = PatchParams::apply("drover-tests").force();
    for object in chart::rendered_in(home, &["--set", &list]) {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let name = object["metadata"]["name"].as_str().unwrap();
        let patch = Patch::Apply(&object);
        if object["kind"] == "Role" {
            let roles = Api::<Role>::namespaced(operator.client.clone(), namespace);
            roles.patch(name, &params, &patch).await.unwrap();
        } else if object["kind"] == "RoleBinding" {
            let bindings = Api::<RoleBinding>::namespaced(operator.client.clone(), namespace);
            bindings.patch(name, &params, &patch).await.unwrap();
        }
    }
}

async fn create(operator: &Operator, namespace: &str, name: &str) {
    let consumer: KafkaConsumer = serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": name },
        "spec": operator.spec("events"),
    }))
    .unwrap();
    let consumers = Api::<KafkaConsumer>::namespaced(operator.client.clone(), namespace);
    consumers
        .create(&PostParams::default(), &consumer)
        .await
        .unwrap();
}

async fn is_ready(operator: &Operator, namespace: &str, name: &str, generation: i64) {
    let consumers = Api::<KafkaConsumer>::namespaced(operator.client.clone(), namespace);
    wait_for(&format!("{namespace}/{name} to be Ready"), async || {
        let status = consumers
            .get(name)
            .await
            .unwrap()
            .status
            .unwrap_or_default();
        let ready = status.conditions.iter().any(|condition| {
            condition.type_ == "Ready"
                && condition.status == "True"
                && condition.observed_generation == Some(generation)
        });
        if ready {
            Ok(())
        } else {
            Err(format!("{:?}", status.conditions))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_named_namespace_is_looked_after_and_none_else_and_one_without_rights_stops_no_other()
{
    let mut operator = Operator::prepare(&["events"]).await;
    let cluster = control_plane_with_controllers();
    let home = operator.namespace.clone();
    let other = cluster.namespace(&operator.client).await;
    let without_rights = cluster.namespace(&operator.client).await;
    let not_named = cluster.namespace(&operator.client).await;
    grant(&operator, &home, &[&home, &other]).await;
    operator.who = format!("system:serviceaccount:{home}:drover-controller");
    operator.namespaces = vec![home.clone(), other.clone(), without_rights.clone()];
    for namespace in [&home, &other, &without_rights, &not_named] {
        create(&operator, namespace, "fleet").await;
    }
    operator.run().await;

    is_ready(&operator, &home, "fleet", 1).await;
    is_ready(&operator, &other, "fleet", 1).await;
    // Offsets, too, wake the fleet of the namespace that they are of, and changes are seen.
    let others = Api::<KafkaConsumer>::namespaced(operator.client.clone(), &other);
    let patch = Patch::Merge(json!({"spec": {"scaling": {"minReplicas": 2}}}));
    let params = PatchParams::default();
    others.patch("fleet", &params, &patch).await.unwrap();
    let deployments = Api::<Deployment>::namespaced(operator.client.clone(), &other);
    wait_for("two pods", async || {
        let found = deployments.get("fleet").await.unwrap();
        match found.spec.replicas {
            Some(2) => Ok(()),
            size => Err(format!("{size:?}")),
        }
    })
    .await;

    // Whoever asks what is looked after finds it at the Lease.
    let leases = Api::<Lease>::namespaced(operator.client.clone(), &home);
    let lease = leases.get("drover-controller").await.unwrap();
    let named = lease.annotations().get(ANNOTATION_NAMESPACES);
    assert_eq!(named, Some(&operator.namespaces.join(",")));

    // It says what it waits for.
    let (status, body) = operator.get("/readyz").await;
    assert_eq!(status, 503, "{body}");
    assert!(
        body.contains(&format!("namespace {without_rights}")),
        "{body}"
    );
    assert!(!body.contains(&format!("namespace {other}")), "{body}");
    for namespace in [&without_rights, &not_named] {
        let consumers = Api::<KafkaConsumer>::namespaced(operator.client.clone(), namespace);
        let untouched = consumers.get("fleet").await.unwrap();
        assert!(untouched.status.is_none(), "{:?}", untouched.status);
        let deployments = Api::<Deployment>::namespaced(operator.client.clone(), namespace);
        assert!(deployments.get_opt("fleet").await.unwrap().is_none());
    }

    // And takes it up when the rights are there.
    grant(&operator, &home, &[&home, &other, &without_rights]).await;
    is_ready(&operator, &without_rights, "fleet", 1).await;
    wait_for("/readyz to answer 200", async || {
        match operator.get("/readyz").await {
            (200, _) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    operator.stop().await;
}
