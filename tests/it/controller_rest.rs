//! At rest nothing is written. The end-to-end suite looks for a minute; here a few seconds.

use std::time::Duration;

use crate::support::operator::Operator;

const FLEETS: usize = 20;

/// How long to look, in seconds: `DROVER_TEST_REST_SECONDS`, or enough for several readings of the
/// offsets.
fn rest() -> Duration {
    let seconds = std::env::var("DROVER_TEST_REST_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(8))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_fleets_at_rest_cause_no_write_but_the_lease() {
    let operator = Operator::start(&["events"]).await;
    for number in 0..FLEETS {
        operator
            .create(&format!("fleet-{number}"), operator.spec("events"))
            .await;
    }
    for number in 0..FLEETS {
        operator
            .condition(&format!("fleet-{number}"), "Ready", "True", "Idle")
            .await;
    }
    operator.rest(Duration::from_secs(3)).await;
    let before = operator.writes().len();
    let counted = operator.metric("drover_controller_api_writes_total").await;
    tokio::time::sleep(rest()).await; // the length of the rest is what is tested
    let writes = operator.writes().split_off(before);
    assert!(writes.is_empty(), "{writes:#?}");

    // Our own count agrees that there was the Lease and nothing else, by PUT.
    let since = operator.metric("drover_controller_api_writes_total").await;
    assert!(since["verb=\"PUT\""] > counted["verb=\"PUT\""]);
    assert_eq!(since["verb=\"PATCH\""], counted["verb=\"PATCH\""]);
    assert_eq!(operator.metric("drover_controller_leader").await[""], 1.0);
    assert_eq!(
        operator.metric("drover_fleet_lag_records").await.len(),
        FLEETS
    );
}
