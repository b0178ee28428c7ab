//! What the controller's `/metrics` page says of fleets and of its own work.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use drover::api::KafkaConsumer;
use kube::api::DeleteParams;

use crate::support::operator::{Operator, wait_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_shows_its_promise_its_numbers_and_what_is_not_well_until_it_is_gone() {
    let operator = Operator::start(&["events"]).await;
    let mut spec = operator.spec("events");
    spec["scaling"]["maxDelay"] = "45s".into();
    spec["scaling"]["maxReplicas"] = 4.into();
    operator.create("good", spec).await;
    operator.create("bad", operator.spec("no-such-topic")).await;
    operator.condition("good", "Ready", "True", "Idle").await;
    operator
        .condition("bad", "Ready", "False", "TopicNotFound")
        .await;

    let good = format!("consumer=\"{}/good\"", operator.namespace);
    let bad = format!("consumer=\"{}/bad\"", operator.namespace);
    // The page is written after status.
    wait_for("the fleet's numbers", async || {
        let mut wrong = Vec::new();
        for (name, value) in [
            ("promised_delay_seconds", 45.0),
            ("max_replicas", 4.0),
            ("partitions", 4.0),
            ("lag_records", 0.0),
            ("wanted_replicas", 0.0),
            ("ready", 1.0),
        ] {
            let series = operator.metric(&format!("drover_fleet_{name}")).await;
            if series.get(&good) != Some(&value) {
                wrong.push(format!("{name}: {series:?}"));
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("; "))
        }
    })
    .await;
    // What did not happen yet is zero, so that the first time is seen as a rise.
    let changes = operator
        .metric("drover_controller_scale_changes_total")
        .await;
    for direction in ["up", "down"] {
        let label = format!("direction=\"{direction}\"");
        assert_eq!(changes.get(&label), Some(&0.0), "{changes:?}");
    }
    let ready = operator.metric("drover_fleet_ready").await;
    assert_eq!(ready.get(&bad), Some(&0.0), "{ready:?}");
    // What is not known has no series.
    let lag = operator.metric("drover_fleet_lag_records").await;
    assert_eq!(lag.get(&bad), None, "{lag:?}");
    let attention = operator.metric("drover_fleet_condition").await;
    let of_bad = format!("{bad},condition=\"Ready\",reason=\"TopicNotFound\"");
    assert_eq!(attention.get(&of_bad), Some(&1.0), "{attention:?}");
    assert!(
        !attention.keys().any(|labels| labels.contains(&good)),
        "{attention:?}"
    );
    let decisions = operator.metric("drover_fleet_decision").await;
    assert!(
        decisions.keys().any(|labels| labels.starts_with(&good)),
        "{decisions:?}"
    );

    let consumers = operator.api::<KafkaConsumer>();
    consumers
        .delete("bad", &DeleteParams::default())
        .await
        .unwrap();
    wait_for("its series to end", async || {
        let page = operator.get("/metrics").await.1;
        if page.contains(&bad) {
            Err(page)
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_the_api_server_are_counted_by_their_answers_and_readings_of_kafka_by_rounds() {
    let operator = Operator::start(&["events"]).await;
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    // Status is there before its answer has come back and been counted.
    wait_for("the numbers of the calls", async || {
        let requests = operator
            .metric("drover_controller_api_requests_total")
            .await;
        let counted = |labels: &&str| requests.get(*labels).is_some_and(|count| *count > 0.0);
        let wanted = ["verb=\"PATCH\",code=\"200\"", "verb=\"WATCH\",code=\"200\""];
        if wanted.iter().all(counted) {
            Ok(())
        } else {
            Err(format!("{requests:?}"))
        }
    })
    .await;
    // No watch has a duration: it ends when it ends.
    let took = operator
        .metric("drover_controller_api_request_duration_seconds_count")
        .await;
    assert!(
        took.contains_key("verb=\"PATCH\"") && !took.contains_key("verb=\"WATCH\""),
        "{took:?}"
    );
    wait_for("the numbers of the readings", async || {
        let one = async |name: &str| operator.metric(name).await.get("").copied();
        let fleets = one("drover_controller_kafka_fleets").await;
        let rounds = one("drover_controller_kafka_rounds_total").await;
        let took = one("drover_controller_kafka_rounds_seconds_total").await;
        let oldest = one("drover_controller_kafka_oldest_offsets_age_seconds").await;
        let good = fleets == Some(1.0)
            && rounds.is_some_and(|rounds| rounds > 0.0)
            && took.is_some_and(|took| took > 0.0)
            && oldest.is_some_and(|age| age >= 0.0);
        if good {
            Ok(())
        } else {
            Err(format!("{fleets:?} {rounds:?} {took:?} {oldest:?}"))
        }
    })
    .await;
}
