//! Records that come twice, in real pods with a Redis on this machine: each is handled once.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario, from};
use crate::{kafka, wait, world};

const PASSWORD: &str = "a-password-of-this-test";

/// A Redis that pods can reach; ends with the test.
struct Redis {
    address: String,
    process: Child,
}

impl Redis {
    fn start() -> Self {
        let host = world::host_address();
        let free = TcpListener::bind((host.as_str(), 0)).expect("a free port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let process = Command::new("redis-server")
            .args(["--bind", &host, "--port", &port.to_string()])
            .args([
                "--requirepass",
                PASSWORD,
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server, which tests/demo/setup installs");
        Self {
            address: format!("{host}:{port}"),
            process,
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn records_that_come_twice_are_handled_once_also_by_another_pod() {
    let _cluster = world::shared().await;
    let redis = Redis::start();
    let scenario = Scenario::begin("idem", 3).await;
    scenario.handler("1ms").await;
    let secret = json!({"metadata": {"name": "redis"}, "stringData": {"password": PASSWORD}});
    scenario
        .api::<Secret>()
        .create(&PostParams::default(), &from(secret))
        .await
        .expect("create the Secret");
    let mut spec = scenario.spec();
    spec["idempotency"] = json!({
        "key": {"pointer": "/seq"},
        "store": {"redis": {
            "address": redis.address,
            "passwordSecret": {"name": "redis", "key": "password"},
        }},
    });
    scenario.apply(spec).await;
    // With one key a number tells records apart.
    kafka::produce(&scenario.topic, 1, 1, 100).expect("produce");
    scenario.handled(100, PATIENCE).await;
    scenario.committed(PATIENCE).await;

    // What was handled is known to the next pod.
    let pods = scenario.api::<Pod>();
    let workers = ListParams::default().labels("drover.dev/consumer=fleet");
    let first = pods.list(&workers).await.expect("pods").items.remove(0);
    let first = first.metadata.name.expect("a name");
    pods.delete(&first, &DeleteParams::default())
        .await
        .expect("delete the pod");
    kafka::produce(&scenario.topic, 1, 1, 120).expect("produce again");
    scenario.handled(120, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    wait::until(
        "another pod",
        PATIENCE,
        || async { Ok(pods.list(&workers).await?.items) },
        |pods| {
            pods.iter()
                .all(|pod| pod.metadata.name.as_ref() != Some(&first))
        },
    )
    .await;
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!(
        (stats.handled, stats.handled_twice, stats.out_of_order),
        (120, 0, 0),
        "{stats:#?}"
    );
    scenario.end().await;
}
