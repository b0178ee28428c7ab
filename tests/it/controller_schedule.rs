//! Known peaks on a real API server: a fleet at zero is woken for its peak by the controller itself,
//! and goes back after it.

use std::time::Duration;

use drover::api::KafkaConsumer;
use jiff::{ToSpan, Unit, tz::TimeZone};
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use crate::support::consumers::with;
use crate::support::operator::{Operator, wait_for};

fn sized(size: i32) -> impl Fn(&Deployment) -> bool {
    move |deployment| deployment.spec.replicas == Some(size)
}

async fn reasons(operator: &Operator, wanted: i32, words: &str) {
    let what = format!("{wanted} pods because of {words:?}");
    wait_for(&what, async || {
        let scaling = operator.status("fleet").await.scaling.unwrap_or_default();
        let said = scaling.reasons.iter().any(|reason| reason.contains(words));
        if scaling.wanted == Some(wanted) && said {
            Ok(())
        } else {
            Err(format!("{scaling:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peak_that_lasts_already_holds_from_the_first_pod_on() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    let peaks = json!([
        { "timeZone": "Asia/Kathmandu", "minReplicas": 2 },
        { "timeZone": "America/New_York", "minReplicas": 3 },
        { "dates": ["2020-02-29"], "timeZone": "UTC", "minReplicas": 4 },
    ]);
    let spec = with(operator.spec("events"), "/scaling/schedule", peaks);
    operator.create("fleet", spec).await;
    operator.object("fleet", "three pods", sized(3)).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    reasons(&operator, 3, "scaling.schedule[1] keeps 3 until").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_at_zero_is_woken_for_its_peak_and_goes_back_after_it() {
    let operator = Operator::start(&["events"]).await;
    operator.play_kubelet();
    // The next full minute but what this test needs to be at rest before.
    let begins = drover::clock::now() + 45.seconds();
    let begins = begins.to_zoned(TimeZone::UTC);
    let begins = begins
        .round(
            jiff::ZonedRound::new()
                .smallest(Unit::Minute)
                .mode(jiff::RoundMode::Ceil),
        )
        .unwrap();
    let ends = &begins + 30.minutes();
    let peak = json!([{
        "from": begins.strftime("%H:%M").to_string(),
        "to": ends.strftime("%H:%M").to_string(),
        "timeZone": "UTC",
        "minReplicas": 3,
    }]);
    let spec = with(operator.spec("events"), "/scaling/schedule", peak);
    let spec = with(spec, "/scaling/idleTimeToZero", json!("1s"));
    operator
        .create("fleet", with(spec, "/scaling/maxDelay", json!("8s")))
        .await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator.object("fleet", "no pod", sized(0)).await;
    assert!(
        drover::clock::now() < begins.timestamp(),
        "the machine is too slow to say"
    );

    operator.object("fleet", "three pods", sized(3)).await;
    // Before it begins by no more than pods are guessed to take.
    let raised = drover::clock::now();
    assert!(raised > begins.timestamp() - 10.seconds(), "{raised}");
    let words = "scaling.schedule[0] keeps 3";
    let events = operator.event("fleet", "Scaled").await;
    assert!(
        events.iter().any(|event| event.contains(words)),
        "{events:?}"
    );
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    operator.rest(Duration::from_secs(3)).await;
    operator.object("fleet", "three pods still", sized(3)).await;

    // As if it were over.
    let over = json!({ "scaling": { "schedule": [{
        "from": ends.strftime("%H:%M").to_string(),
        "to": (&ends + 1.minute()).strftime("%H:%M").to_string(),
        "timeZone": "UTC",
        "minReplicas": 3,
    }] } });
    operator.change("fleet", over).await;
    operator.object("fleet", "no pod again", sized(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_api_server_cannot_know_is_told_in_status() {
    let operator = Operator::start(&["events"]).await;
    let peaks = json!([{ "timeZone": "Europe/Belin", "minReplicas": 2 }]);
    let spec = with(operator.spec("events"), "/scaling/schedule", peaks);
    let _: KafkaConsumer = operator.create("fleet", spec).await;
    let told = operator
        .condition("fleet", "Ready", "False", "InvalidValue")
        .await;
    assert!(
        told.message.contains("spec.scaling.schedule[0].timeZone")
            && told.message.contains("did you mean Europe/Berlin?"),
        "{}",
        told.message
    );
}
