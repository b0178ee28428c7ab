//! Wrong specs get a message that names field and remedy, and do no harm to what runs.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario, from};
use crate::world;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_missing_secret_is_named_leaves_the_pods_alone_and_heals() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("secret", 3).await;
    scenario.handler("1ms").await;
    let spec = scenario.spec();
    scenario.apply(spec.clone()).await;
    scenario.ready_pods(1, PATIENCE).await;
    let before = scenario
        .api::<Deployment>()
        .get("fleet")
        .await
        .expect("deployment");

    let mut wrong = spec;
    wrong["template"] = json!({"spec": {"containers": [{
        "name": "worker",
        "envFrom": [{"secretRef": {"name": "not-there"}}],
    }]}});
    scenario.apply(wrong).await;
    let ready = scenario
        .condition_because("Ready", "False", "SecretNotFound", PATIENCE)
        .await;
    assert!(ready.message.contains("not-there"), "{}", ready.message);
    assert!(ready.message.contains("spec.template"), "{}", ready.message);
    let during = scenario
        .api::<Deployment>()
        .get("fleet")
        .await
        .expect("deployment");
    assert_eq!(
        before.spec, during.spec,
        "children of the good spec stay as they were"
    );

    let secret = json!({"metadata": {"name": "not-there"}, "stringData": {"A": "b"}});
    scenario
        .api::<Secret>()
        .create(&PostParams::default(), &from(secret))
        .await
        .expect("create the Secret");
    scenario.condition("Ready", "True", PATIENCE).await;
    scenario.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_missing_topic_is_named_and_heals_when_it_is_created() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("topic", 1).await;
    scenario.handler("1ms").await;
    let missing = format!("{}-later", scenario.topic);
    let mut spec = scenario.spec();
    spec["topics"] = json!([missing]);
    scenario.apply(spec).await;
    let ready = scenario
        .condition_because("Ready", "False", "TopicNotFound", PATIENCE)
        .await;
    assert!(ready.message.contains(&missing), "{}", ready.message);

    crate::kafka::create_topic(&missing, 3)
        .await
        .expect("create the topic");
    scenario.condition("Ready", "True", PATIENCE).await;
    scenario.end().await;
}
