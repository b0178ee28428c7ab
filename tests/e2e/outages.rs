//! Kafka, the API server or etcd go away for a while. These hold the cluster alone.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario};
use crate::{kafka, wait, world};

const OUTAGE: Duration = Duration::from_secs(120);

/// How many pods are ordered.
async fn size(scenario: &Scenario) -> anyhow::Result<Option<i32>> {
    let deployment = scenario.api::<Deployment>().get("fleet").await?;
    Ok(deployment.spec.replicas)
}

async fn restarts(scenario: &Scenario) -> anyhow::Result<i32> {
    let labelled = ListParams::default().labels("drover.dev/consumer=fleet");
    let mut pods = scenario.api::<Pod>().list(&labelled).await?.items;
    let controllers = Api::<Pod>::namespaced(scenario.client.clone(), "drover-system");
    pods.extend(controllers.list(&ListParams::default()).await?.items);
    Ok(pods
        .iter()
        .filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref())
        .flatten()
        .map(|status| status.restart_count)
        .sum())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn kafka_away_for_two_minutes_scales_nothing_and_heals_without_a_restart() {
    let _cluster = world::alone().await;
    let scenario = Scenario::begin("kafka-away", 6).await;
    scenario.handler("5ms").await;
    let mut spec = scenario.spec();
    spec["scaling"] = json!({"minReplicas": 2, "maxReplicas": 6, "maxDelay": "120s"});
    scenario.apply(spec).await;
    scenario.ready_pods(2, PATIENCE).await;
    kafka::produce(&scenario.topic, 20, 1, 20).expect("produce");
    scenario.handled(400, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    let before = restarts(&scenario).await.expect("restarts");

    let before_outage = MicroTime(drover::clock::now());
    let outage = world::Outage::begin("kafka");
    let reachable = scenario
        .condition("KafkaReachable", "False", PATIENCE)
        .await;
    assert!(!reachable.message.is_empty());
    // What had come before may have ordered more than the least.
    let ordered = size(&scenario).await.expect("size");
    wait::throughout(
        "the size stays while Kafka is away",
        OUTAGE,
        || size(&scenario),
        |now| *now == ordered,
    )
    .await;
    assert_eq!(
        restarts(&scenario).await.expect("restarts"),
        before,
        "no crash loop"
    );
    let events = Api::<k8s_openapi::api::events::v1::Event>::namespaced(
        scenario.client.clone(),
        &scenario.namespace,
    );
    let events = events.list(&ListParams::default()).await.expect("events");
    let told: Vec<_> = events
        .iter()
        .filter(|event| event.reason.as_deref() == Some("KafkaUnreachable"))
        .filter(|event| event.event_time > Some(before_outage.clone()))
        .map(|event| (&event.event_time, &event.series, &event.note))
        .collect();
    assert_eq!(told.len(), 1, "one event for the transition: {told:#?}");
    drop(outage);

    scenario.condition("KafkaReachable", "True", PATIENCE).await;
    kafka::produce(&scenario.topic, 20, 21, 40).expect("produce");
    scenario.handled(800, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    assert_eq!(
        restarts(&scenario).await.expect("restarts"),
        before,
        "no restart was needed"
    );
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!((stats.handled, stats.out_of_order), (800, 0), "{stats:#?}");
    scenario.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn the_api_server_away_for_two_minutes_does_not_stop_the_workers() {
    workers_go_on_without("apiserver", OUTAGE).await;
}

/// The API server answers, but keeps nothing and knows nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn etcd_away_for_longer_than_a_lease_does_not_stop_the_workers() {
    workers_go_on_without("etcd", Duration::from_secs(30)).await;
}

async fn workers_go_on_without(part: &'static str, span: Duration) {
    let _cluster = world::alone().await;
    let scenario = Scenario::begin(&format!("{part}-away"), 6).await;
    scenario.handler("5ms").await;
    let mut spec = scenario.spec();
    spec["scaling"] = json!({"minReplicas": 2, "maxReplicas": 2, "maxDelay": "60s"});
    scenario.apply(spec).await;
    scenario.ready_pods(2, PATIENCE).await;
    let before = restarts(&scenario).await.expect("restarts");
    let group = scenario.group();

    let outage = world::Outage::begin(part);
    let produced = kafka::produce(&scenario.topic, 20, 1, 50).expect("produce");
    wait::until(
        "the workers to go on without it",
        PATIENCE,
        || kafka::lag(&group, &scenario.topic),
        |lag| *lag == 0,
    )
    .await;
    tokio::time::sleep(span).await; // the outage's length is what is tested
    drop(outage);

    let leases = Api::<Lease>::namespaced(scenario.client.clone(), "drover-system");
    let renewed = || async {
        let lease = leases.get("drover-controller").await?;
        let spec = lease.spec.unwrap_or_default();
        Ok(spec.renew_time.map(|time| time.0))
    };
    let after = wait::until("the API server", PATIENCE, renewed, Option::is_some).await;
    wait::until("the controller to lead again", PATIENCE, renewed, |time| {
        *time > after
    })
    .await;
    assert_eq!(
        restarts(&scenario).await.expect("restarts"),
        before,
        "nothing restarted"
    );
    let stats = scenario.handled(produced, PATIENCE).await;
    assert_eq!(
        (stats.handled, stats.handled_twice),
        (produced, 0),
        "{stats:#?}"
    );

    // And it acts again.
    let mut spec = scenario.spec();
    spec["scaling"] = json!({"minReplicas": 3, "maxReplicas": 3, "maxDelay": "60s"});
    scenario.apply(spec).await;
    scenario.ready_pods(3, PATIENCE).await;
    scenario.end().await;
}

/// Freezes a process, and kills it at the end.
struct Frozen(u32);

impl Frozen {
    fn freeze(pid: u32) -> Self {
        assert!(signalled(pid, "-STOP"), "freeze process {pid}");
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        signalled(self.0, "-KILL");
    }
}

fn signalled(pid: u32, signal: &str) -> bool {
    let sent = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    sent.is_ok_and(|status| status.success())
}

/// As the chart has it by default: two controllers, one of which leads.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn the_leader_of_two_controllers_dies_and_workers_notice_nothing() {
    let _cluster = world::alone().await;
    let scenario = Scenario::begin("leader", 6).await;
    let deployments = Api::<Deployment>::namespaced(scenario.client.clone(), "drover-system");
    let controllers = async |count: i32| {
        let patch = Patch::Merge(json!({ "spec": { "replicas": count } }));
        let name = "drover-controller";
        let params = PatchParams::default();
        deployments
            .patch_scale(name, &params, &patch)
            .await
            .expect("scale");
        let ready = || async { Ok(deployments.get(name).await?.status.unwrap_or_default()) };
        wait::until("controllers", PATIENCE, ready, |status| {
            (status.replicas, status.ready_replicas) == (Some(count), Some(count))
        })
        .await;
    };
    controllers(2).await;
    scenario.handler("5ms").await;
    let mut spec = scenario.spec();
    spec["scaling"] = json!({"minReplicas": 2, "maxReplicas": 2, "maxDelay": "60s"});
    scenario.apply(spec).await;
    scenario.ready_pods(2, PATIENCE).await;
    let before = restarts(&scenario).await.expect("restarts");

    let leases = Api::<Lease>::namespaced(scenario.client.clone(), "drover-system");
    let holder = || async {
        let lease = leases.get("drover-controller").await?;
        let spec = lease.spec.unwrap_or_default();
        spec.holder_identity.context("nobody leads")
    };
    let leader = holder().await.expect("a leader");
    let frozen = Frozen::freeze(world::process_of_pod(&leader).expect("its process"));
    let mut produced = 0;
    let mut round = 0;
    let other = wait::until(
        "another to lead, while the workers work",
        PATIENCE,
        || {
            round += 1;
            let made = kafka::produce(&scenario.topic, 20, 10 * round - 9, 10 * round);
            produced += made.expect("produce");
            holder()
        },
        |now| *now != leader,
    )
    .await;
    assert_ne!(other, leader);
    let stats = scenario.handled(produced, PATIENCE).await;
    assert_eq!(
        (stats.handled, stats.handled_twice, stats.out_of_order),
        (produced, 0, 0),
        "{stats:#?}"
    );
    assert_eq!(restarts(&scenario).await.expect("restarts"), before);

    // And the other acts.
    let mut spec = scenario.spec();
    spec["scaling"] = json!({"minReplicas": 3, "maxReplicas": 3, "maxDelay": "60s"});
    scenario.apply(spec).await;
    scenario.ready_pods(3, PATIENCE).await;
    drop(frozen);
    controllers(1).await;
    scenario.end().await;
}
