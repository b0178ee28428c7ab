//! A DeadLetterReplay brings back what could not be handled, once its cause is mended.

use drover::api::{DeadLetterReplay, ReplayPhase};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::scenario::{PATIENCE, Scenario};
use crate::{kafka, wait, world};

fn replay(name: &str, dry_run: bool) -> DeadLetterReplay {
    let object: Value = json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "DeadLetterReplay",
        "metadata": {"name": name},
        "spec": {"consumerRef": {"name": "fleet"}, "filter": {"key": "key-3"}, "dryRun": dry_run},
    });
    serde_json::from_value(object).expect("a replay")
}

async fn completes(scenario: &Scenario, replay: &DeadLetterReplay) -> DeadLetterReplay {
    let replays = scenario.api::<DeadLetterReplay>();
    let made = replays.create(&PostParams::default(), replay).await;
    made.expect("create the replay");
    let name = replay.metadata.name.clone().unwrap_or_default();
    wait::until(
        &format!("{name} to be complete"),
        PATIENCE,
        || async { Ok(replays.get(&name).await?) },
        |replay| {
            let status = replay.status.as_ref();
            status.and_then(|status| status.phase) == Some(ReplayPhase::Complete)
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_replay_as_an_object_brings_a_dead_letter_back_and_says_so() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("replay", 1).await;
    scenario.handler("1ms").await;
    let dead = format!("{}.dlq", scenario.topic);
    kafka::create_topic(&dead, 1)
        .await
        .expect("create the dead-letter topic");
    scenario
        .witness
        .fault(json!({"key": "key-3", "seq": 1, "status": 500}))
        .await
        .expect("set the fault");
    let mut spec = scenario.spec();
    spec["delivery"] = json!({
        "deadLetter": {"topic": dead},
        "retry": {"attempts": 2, "initialBackoff": "50ms", "maxBackoff": "200ms"},
    });
    scenario.apply(spec).await;
    kafka::produce(&scenario.topic, 10, 1, 1).expect("produce");
    scenario.handled(9, PATIENCE).await;
    kafka::read(&dead, 1).await.expect("read the dead letter");
    scenario.witness.mend().await.expect("mend the cause");

    let counted = completes(&scenario, &replay("look", true)).await;
    let would = counted.status.and_then(|status| status.would_replay);
    assert_eq!(would.expect("counts").total, 1);
    let done = completes(&scenario, &replay("again", false)).await;
    let status = done.status.expect("status");
    assert_eq!(
        (status.replayed, status.attempts),
        (Some(1), Some(1)),
        "{status:#?}"
    );
    scenario.handled(10, PATIENCE).await;
    scenario.committed(PATIENCE).await;

    let replays = scenario.api::<DeadLetterReplay>();
    let gone = replays.delete("again", &DeleteParams::default()).await;
    gone.expect("delete the replay");
    wait::until(
        "its Job to go",
        PATIENCE,
        || async { Ok(scenario.api::<Job>().get_opt("again").await?) },
        Option::is_none,
    )
    .await;
    scenario.end().await;
}
