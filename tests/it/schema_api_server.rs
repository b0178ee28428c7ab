//! The CRD as a real API server sees it: what it refuses, and what it fills in.

use drover::api::{KafkaConsumer, KafkaConsumerSpec};
use drover::fleet::{References, validate};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::support::consumers::{all, http_url, with};
use crate::support::control_plane::control_plane;
use crate::support::wrong_specs::wrong_specs;

/// KafkaConsumers that may be wrong, in a namespace of their own.
struct Consumers {
    api: Api<DynamicObject>,
}

impl Consumers {
    async fn new() -> (Self, Client) {
        let client = control_plane().client().await;
        let namespace = control_plane().namespace(&client).await;
        let resource = ApiResource::erase::<KafkaConsumer>(&());
        let api = Api::namespaced_with(client.clone(), &namespace, &resource);
        (Self { api }, client)
    }

    /// What the API server makes of `document`, or what it says against it.
    async fn create(&self, document: &Value) -> Result<Value, String> {
        let mut document = document.clone();
        document["metadata"] = json!({ "name": document["metadata"]["name"] });
        let object = serde_json::from_value(document).unwrap();
        let created = self.api.create(&PostParams::default(), &object).await;
        created
            .map(|object| serde_json::to_value(object).unwrap())
            .map_err(said)
    }
}

fn said(error: Error) -> String {
    match error {
        Error::Api(status) => status.message,
        other => panic!("the API server should have answered: {other}"),
    }
}

#[tokio::test]
async fn every_wrong_spec_is_refused_at_apply_with_field_and_remedy() {
    let (consumers, _) = Consumers::new().await;
    let mut failed = Vec::new();
    for wrong in wrong_specs() {
        match consumers.create(&wrong.document).await {
            Ok(_) => failed.push(format!("accepted: {} {}", wrong.field, wrong.remedy)),
            Err(message) if !message.contains(wrong.field) || !message.contains(wrong.remedy) => {
                failed.push(format!(
                    "wanted {} … {}, got {message}",
                    wrong.field, wrong.remedy
                ));
            }
            Err(_) => {}
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test]
async fn right_specs_are_accepted_and_stay_right_once_defaults_are_filled_in() {
    let (consumers, _) = Consumers::new().await;
    for (name, document) in all() {
        let created = consumers
            .create(&document)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let created: KafkaConsumer = serde_json::from_value(created).unwrap();
        let fleet = validate(&created, &References::default());
        assert!(fleet.is_ok(), "{name}: {fleet:?}");
        // Nothing was dropped, and what is filled in is what reading would have filled in.
        let written: KafkaConsumerSpec = serde_json::from_value(document["spec"].clone()).unwrap();
        assert_eq!(created.spec, written, "{name}");
    }
}

#[tokio::test]
async fn everything_that_has_a_default_is_filled_in() {
    let (consumers, _) = Consumers::new().await;
    let document = with(http_url(), "/spec/delivery", json!({}));
    let created = consumers.create(&document).await.unwrap();
    assert_eq!(
        created["spec"],
        json!({
            "kafka": { "bootstrapServers": "kafka:9092", "groupProtocol": "Classic" },
            "topics": ["user_events"],
            "startAt": "Earliest",
            "handler": { "http": { "url": "http://users/kafka", "format": "Plain", "protocol": "Http1" }, "timeout": "30s" },
            "delivery": {
                "batch": { "maxRecords": 1, "maxBytes": "1Mi", "maxWait": "50ms" },
                "ordering": "Key",
                "concurrency": 16,
                "retry": { "attempts": 5, "initialBackoff": "500ms", "maxBackoff": "30s" },
            },
            "scaling": { "minReplicas": 1, "maxDelay": "1m", "mode": "Auto" },
            "paused": false,
        })
    );
}

#[tokio::test]
async fn a_null_is_as_good_as_not_written() {
    let (consumers, _) = Consumers::new().await;
    let document = with(
        http_url(),
        "/spec/handler/http",
        json!({ "url": "http://users", "port": null, "path": null }),
    );
    let created = consumers.create(&document).await.unwrap();
    assert_eq!(
        created["spec"]["handler"]["http"],
        json!({ "url": "http://users", "format": "Plain", "protocol": "Http1" })
    );
}

#[tokio::test]
async fn a_group_cannot_be_changed_added_or_taken_away() {
    let (consumers, _) = Consumers::new().await;
    let with_group = |name: &str, group: Value| {
        with(
            with(http_url(), "/metadata/name", json!(name)),
            "/spec/groupId",
            group,
        )
    };
    consumers
        .create(&with_group("with", json!("a")))
        .await
        .unwrap();
    consumers
        .create(&with_group("without", Value::Null))
        .await
        .unwrap();
    for (name, group) in [
        ("with", json!("b")),
        ("with", Value::Null),
        ("without", json!("b")),
    ] {
        let patch = Patch::Merge(json!({ "spec": { "groupId": group } }));
        let message = said(
            consumers
                .api
                .patch(name, &PatchParams::default(), &patch)
                .await
                .unwrap_err(),
        );
        assert!(
            message.contains("create another KafkaConsumer"),
            "{name} {group}: {message}"
        );
    }
    let patch = Patch::Merge(json!({ "spec": { "paused": true, "groupId": "a" } }));
    consumers
        .api
        .patch("with", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn scaling_by_the_subresource_sets_spec_replicas() {
    let (consumers, client) = Consumers::new().await;
    let created = consumers.create(&http_url()).await.unwrap();
    let namespace = created["metadata"]["namespace"].as_str().unwrap();
    let api = Api::<KafkaConsumer>::namespaced(client, namespace);
    let patch = Patch::Merge(json!({ "spec": { "replicas": 7 } }));
    api.patch_scale("user-events", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(api.get("user-events").await.unwrap().spec.replicas, Some(7));
}
