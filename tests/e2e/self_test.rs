//! `helm test`: the installed release shows that it works, and leaves nothing behind.

use std::process::Command;

use drover::api::KafkaConsumer;
use kube::Api;
use kube::api::ListParams;

use crate::world;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn helm_test_wakes_a_fleet_for_a_record_and_takes_it_away() {
    let _cluster = world::shared().await;
    let output = Command::new(world::program("helm").expect("helm"))
        .args(["--namespace", "drover-system", "test", "drover", "--logs"])
        .args(["--timeout", "5m"])
        .output()
        .expect("run helm");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    for step in [
        "ok: the controller made a fleet, which waits at zero pods",
        "ok: a pod started for one record, and handed it over",
        "ok: its offset is committed",
        "ok: the fleet, and what was made for it, is gone",
    ] {
        assert!(said.contains(step), "{said}\n{errors}");
    }
    let fleets: Api<KafkaConsumer> = Api::namespaced(world::client().await, "drover-system");
    let left = fleets.list(&ListParams::default()).await.expect("list");
    assert!(left.items.is_empty(), "{left:?}");
}
