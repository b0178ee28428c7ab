//! Idle and unchanged costs nothing: no write but the Lease, and little memory.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::scenario::{PATIENCE, Scenario};
use crate::{wait, world};

const FLEETS: usize = 20;
const REST: Duration = Duration::from_secs(60);

/// Writes of the controller so far, by verb and resource, from the API server's audit log.
fn controller_writes() -> anyhow::Result<BTreeMap<String, usize>> {
    let mut writes = BTreeMap::new();
    for line in std::fs::read_to_string(world::folder().join("audit.log"))?.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let user = event["user"]["username"].as_str().unwrap_or_default();
        if user.starts_with("system:serviceaccount:drover-system:") {
            let what = format!(
                "{} {}/{}",
                event["verb"].as_str().unwrap_or("?"),
                event["objectRef"]["resource"].as_str().unwrap_or("?"),
                event["objectRef"]["subresource"].as_str().unwrap_or(""),
            );
            *writes.entry(what).or_default() += 1;
        }
    }
    Ok(writes)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn twenty_fleets_at_rest_cause_no_write_but_the_lease() {
    let _cluster = world::alone().await;
    let scenario = Scenario::begin("rest", 3).await;
    scenario.handler("1ms").await;
    for number in 0..FLEETS {
        let mut spec = scenario.spec();
        // One of them has a pod, which the memory figure is taken of.
        spec["scaling"] = json!({"minReplicas": u32::from(number == 0), "maxDelay": "30s"});
        let name = if number == 0 {
            "fleet".to_owned()
        } else {
            format!("fleet-{number}")
        };
        scenario.try_apply(&name, spec).await.expect("apply");
    }
    let fleets = scenario.api::<drover::api::KafkaConsumer>();
    wait::until(
        "all fleets ready",
        PATIENCE,
        || async { Ok(fleets.list(&ListParams::default()).await?.items) },
        |fleets| {
            fleets.len() == FLEETS
                && fleets.iter().all(|fleet| {
                    let status = fleet.status.clone().unwrap_or_default();
                    let conditions = status.conditions;
                    conditions
                        .iter()
                        .any(|c| c.type_ == "Ready" && c.status == "True")
                        && !conditions
                            .iter()
                            .any(|c| c.type_ == "Progressing" && c.status == "True")
                })
        },
    )
    .await;
    let pods = scenario.ready_pods(1, PATIENCE).await;

    // The last word of a fleet that comes to rest may be as late as its resync, a minute after the
    // one before it: one of three minutes must be without a write.
    let mut before = controller_writes().expect("audit log");
    let mut quiet = false;
    for _ in 0..3 {
        tokio::time::sleep(REST).await; // the time without writes is what is tested
        let after = controller_writes().expect("audit log");
        quiet = without_lease(&after) == without_lease(&before);
        if quiet {
            assert!(
                of_leases(&after) > of_leases(&before),
                "the controller is alive: {after:#?}"
            );
            break;
        }
        println!("not at rest yet: {before:?} became {after:?}");
        before = after;
    }
    assert!(quiet, "the fleets do not come to rest: {before:#?}");

    let worker = pods[0].metadata.name.clone().expect("name");
    let worker = world::process_of_pod(&worker)
        .and_then(world::resident_kib)
        .expect("worker");
    let controllers = Api::<Pod>::namespaced(scenario.client.clone(), "drover-system");
    let controllers = controllers
        .list(&ListParams::default())
        .await
        .expect("pods")
        .items;
    let name = controllers[0].metadata.name.clone().expect("name");
    let controller = world::process_of_pod(&name)
        .and_then(world::resident_kib)
        .expect("controller");
    println!(
        "resident: controller with {FLEETS} fleets {controller} KiB, worker at rest {worker} KiB"
    );
    assert!(controller < 64 * 1024, "controller: {controller} KiB");
    assert!(worker < 32 * 1024, "worker at rest: {worker} KiB");
    scenario.end().await;
}

fn of_leases(writes: &BTreeMap<String, usize>) -> usize {
    writes
        .iter()
        .filter(|(what, _)| what.contains("leases"))
        .map(|(_, count)| count)
        .sum()
}

fn without_lease(writes: &BTreeMap<String, usize>) -> BTreeMap<&String, &usize> {
    writes
        .iter()
        .filter(|(what, _)| !what.contains("leases"))
        .collect()
}
