//! Many objects: a controller begins where they are all there already.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use serde_json::json;

use crate::support::operator::Operator;

/// A controller that begins finds all their children at once, and nobody to wake before it has listed them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_begins_where_there_are_thousands_of_children() {
    const CHILDREN: usize = 1_500;
    let mut operator = Operator::prepare(&["events"]).await;
    let accounts = operator.api::<ServiceAccount>();
    let params = PostParams::default();
    let child = |number: usize| -> ServiceAccount {
        serde_json::from_value(json!({ "metadata": {
            "name": format!("child-{number}"),
            "labels": {
                "app.kubernetes.io/managed-by": "drover",
                "drover.dev/consumer": format!("fleet-{number}"),
            },
        } }))
        .unwrap()
    };
    futures::stream::iter((0..CHILDREN).map(child))
        .for_each_concurrent(32, async |child| {
            accounts.create(&params, &child).await.unwrap();
        })
        .await;
    operator.run().await;
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
}
