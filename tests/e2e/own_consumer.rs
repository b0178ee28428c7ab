//! A consumer program of the user's own, run and scaled unchanged.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario, image, restricted};
use crate::{kafka, world};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_consumer_of_ones_own_gets_its_environment_and_is_scaled_by_its_commits() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("own", 6).await;
    scenario.handler("10ms").await;
    let spec = json!({
        "kafka": {"bootstrapServers": world::pod_bootstrap()},
        "topics": [scenario.topic],
        "handler": {"consumer": {}, "timeout": "10s"},
        "scaling": {"minReplicas": 1, "maxReplicas": 6, "maxDelay": "10s"},
        "template": {"spec": {"containers": [{
            "name": "consumer",
            "image": image("own-consumer"),
            "imagePullPolicy": "IfNotPresent",
            "command": ["/own-consumer"],
            "env": [
                {"name": "HANDLER_DELAY", "value": "10ms"}, // the witness takes it instead
                {"name": "WITNESS_URL", "value": scenario.handler_url()},
            ],
            "resources": {"limits": {"memory": "128Mi"}},
            "securityContext": restricted(),
        }]}},
    });
    scenario.apply(spec).await;
    scenario.ready_pods(1, PATIENCE).await;
    let deployment = scenario
        .api::<Deployment>()
        .get("fleet")
        .await
        .expect("deployment");
    let pod = deployment.spec.template.spec.expect("pod");
    let environment: Vec<_> = pod.containers[0]
        .env
        .iter()
        .flatten()
        .map(|variable| {
            (
                variable.name.as_str(),
                variable.value.as_deref().unwrap_or_default(),
            )
        })
        .collect();
    for wanted in [
        ("KAFKA_BOOTSTRAP_SERVERS", world::pod_bootstrap().as_str()),
        ("KAFKA_GROUP_ID", scenario.group().as_str()),
        ("KAFKA_TOPICS", scenario.topic.as_str()),
        ("HANDLER_DELAY", "10ms"),
    ] {
        assert!(
            environment.contains(&wanted),
            "{wanted:?} in {environment:?}"
        );
    }

    // About 90 a second in one pod: 6,000 records are far beyond ten seconds' work for it.
    let produced = kafka::produce(&scenario.topic, 100, 1, 60).expect("produce");
    scenario.condition("Ready", "True", PATIENCE).await;
    crate::wait::until(
        "the fleet to grow",
        PATIENCE,
        || scenario.pods(),
        |pods| pods.len() > 1,
    )
    .await;
    let stats = scenario.handled(produced, PATIENCE).await;
    assert_eq!(stats.handled, produced, "{stats:#?}");
    scenario.committed(PATIENCE).await;
    scenario.end().await;
}
