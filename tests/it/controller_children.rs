//! The children of a resource on a real API server: made, owned, put right, never stolen.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;

use crate::support::operator::Operator;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_child_is_made_and_owned() {
    let operator = Operator::start(&["events"]).await;
    let consumer = operator.create("fleet", operator.spec("events")).await;
    let uid = consumer.uid().unwrap();

    let deployment: Deployment = operator.object("fleet", "the Deployment", |_| true).await;
    assert_eq!(deployment.spec.replicas, Some(0));
    let config_map: ConfigMap = operator.object("fleet", "the ConfigMap", |_| true).await;
    let account: ServiceAccount = operator.object("fleet", "the account", |_| true).await;
    let budget: PodDisruptionBudget = operator.object("fleet", "the budget", |_| true).await;
    for owners in [
        deployment.owner_references(),
        config_map.owner_references(),
        account.owner_references(),
        budget.owner_references(),
    ] {
        assert_eq!(owners.len(), 1);
        assert_eq!((owners[0].uid.as_str(), owners[0].controller), (uid.as_str(), Some(true)));
    }
    operator.condition("fleet", "Ready", "True", "Idle").await;
}
