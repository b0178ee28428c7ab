//! A record that cannot be handled goes to the dead-letter topic, and the commit moves on.

use serde_json::json;

use crate::scenario::{PATIENCE, Scenario};
use crate::{kafka, world};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn five_failed_attempts_end_in_a_dead_letter() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("dlq", 3).await;
    scenario.handler("1ms").await;
    let dead = format!("{}.dlq", scenario.topic);
    kafka::create_topic(&dead, 1)
        .await
        .expect("create the dead-letter topic");
    scenario
        .witness
        .fault(json!({"key": "key-3", "seq": 2, "status": 500}))
        .await
        .expect("set the fault");
    let mut spec = scenario.spec();
    spec["delivery"] = json!({
        "deadLetter": {"topic": dead},
        "retry": {"initialBackoff": "50ms", "maxBackoff": "200ms"},
    });
    scenario.apply(spec).await;
    kafka::produce(&scenario.topic, 10, 1, 10).expect("produce");

    scenario.handled(99, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!((stats.handled, stats.failed), (99, 5), "{stats:#?}");
    assert_eq!(stats.out_of_order, 0, "{stats:#?}");
    let letters = kafka::read(&dead, 1).await.expect("read the dead letter");
    let letter = &letters[0];
    assert_eq!(letter.key.as_deref(), Some("key-3"));
    assert_eq!(letter.value.as_deref(), Some(r#"{"key":"key-3","seq":2}"#));
    let header = |name: &str| {
        letter
            .headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(header("drover-dlq-attempts"), Some("5"), "{letter:#?}");
    assert_eq!(header("drover-dlq-status"), Some("500"), "{letter:#?}");
    assert_eq!(
        header("drover-dlq-topic"),
        Some(scenario.topic.as_str()),
        "{letter:#?}"
    );
    assert!(header("drover-dlq-reason").is_some(), "{letter:#?}");
    assert!(header("drover-dlq-offset").is_some(), "{letter:#?}");
    scenario.end().await;
}
