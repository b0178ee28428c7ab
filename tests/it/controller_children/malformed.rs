//! A fleet that runs, and whose resource cannot be read any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::lag_admin::produce;
use crate::support::consumers::with;
use crate::support::operator::{Operator, wait_for};

/// Records go on arriving, pods go on running: none of that is a change of what is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_fleet_that_becomes_malformed_is_told_so_once_and_keeps_its_selector() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let spec = with(operator.spec("events"), "/scaling/minReplicas", json!(1));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let servers = operator.kafka.bootstrap_servers();
    let done = Arc::new(AtomicBool::new(false));
    let (arrive, over) = (servers, Arc::clone(&done));
    let arriving = std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            produce(&arrive, "events", &[0], 1);
            std::thread::park_timeout(Duration::from_millis(100));
        }
    });
    let before = operator.status("fleet").await;
    let worker = json!({ "name": "worker", "ports": [{ "containerPort": "8080" }] });
    let template = json!({ "spec": { "containers": [worker] } });
    let change = json!({ "spec": { "template": template } });
    operator
        .raw()
        .patch("fleet", &PatchParams::default(), &Patch::Merge(change))
        .await
        .unwrap();
    wait_for("it to say so", async || {
        let told = operator.raw().get_status("fleet").await.unwrap();
        match told.data["status"]["conditions"][0]["reason"].as_str() {
            Some("Unreadable") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    operator.rest(Duration::from_secs(5)).await;
    done.store(true, Ordering::Relaxed);
    arriving.join().unwrap();
    let told = operator.raw().get_status("fleet").await.unwrap();
    let status = &told.data["status"];
    assert_eq!(status["selector"].as_str(), before.selector.as_deref());
    assert_eq!(
        (&status["partitions"], &status["replicas"]),
        (&json!(4), &json!(1))
    );
    assert!(status.get("lag").is_none(), "{status}");
}
