//! The CRD of DeadLetterReplay as a real API server sees it.

use drover::api::DeadLetterReplay;
use drover::fleet::{Problem, check_replay};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::support::control_plane::control_plane;

async fn replays() -> (Api<DynamicObject>, Client) {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let resource = ApiResource::erase::<DeadLetterReplay>(&());
    let api = Api::namespaced_with(client.clone(), &namespace, &resource);
    (api, client)
}

fn document(name: &str, spec: &Value) -> DynamicObject {
    let mut whole = json!({ "consumerRef": { "name": "orders" } });
    let fields = whole.as_object_mut().unwrap();
    fields.extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "DeadLetterReplay",
        "metadata": { "name": name }, "spec": whole,
    }))
    .unwrap()
}

fn said(error: Error) -> String {
    match error {
        Error::Api(status) => status.message,
        other => panic!("the API server should have answered: {other}"),
    }
}

#[tokio::test]
async fn wrong_replays_are_refused_at_apply_with_field_and_remedy() {
    let (replays, _) = replays().await;
    let long = "a".repeat(58);
    let mut failed = Vec::new();
    for (name, spec, field, remedy) in [
        (
            "a",
            json!({ "to": "x", "toSource": true }),
            "spec.toSource",
            "remove one",
        ),
        (
            "a",
            json!({ "to": "no topic" }),
            "spec.to",
            "correct the name",
        ),
        ("a", json!({ "rate": 0 }), "spec.rate", "0.001"),
        ("a", json!({ "maxReplays": 0 }), "spec.maxReplays", "1"),
        ("a", json!({ "stopAt": 101 }), "spec.stopAt", "100"),
        (
            "a",
            json!({ "settle": "soon" }),
            "spec.settle",
            "write a duration",
        ),
        (
            "a",
            json!({ "filter": { "since": "yesterday" } }),
            "spec.filter.since",
            "such as 2h",
        ),
        (
            "a",
            json!({ "filter": { "since": "1h", "until": "2h" } }),
            "spec.filter",
            "correct one of them",
        ),
        (
            "a",
            json!({ "filter": { "since": "2026-11-02T06:00:00Z", "until": "2026-11-01T06:00:00Z" } }),
            "spec.filter",
            "correct one of them",
        ),
        (
            "a",
            json!({ "filter": { "offsets": "5-7" } }),
            "spec.filter.offsets",
            "100..200",
        ),
        (
            "a",
            json!({ "filter": { "reasons": [""] } }),
            "spec.filter.reasons",
            "1",
        ),
        (
            "a",
            json!({ "consumerRef": { "name": "No" } }),
            "spec.consumerRef.name",
            "correct the name",
        ),
        (
            "a",
            json!({ "consumerRef": {} }),
            "spec.consumerRef.name",
            "Required",
        ),
        (
            long.as_str(),
            json!({}),
            "metadata.name",
            "choose a shorter name",
        ),
    ] {
        let mut whole = serde_json::to_value(document(name, &spec)).unwrap();
        whole["metadata"] = json!({ "name": name });
        let offline = check_replay(&whole);
        // Of a list the item is named.
        let names = |problem: &Problem| problem.field.starts_with(field);
        if !offline.iter().any(names) {
            failed.push(format!("offline, wanted {field}, got {offline:?}"));
        }
        match replays
            .create(&PostParams::default(), &document(name, &spec))
            .await
        {
            Ok(_) => failed.push(format!("accepted: {spec}")),
            Err(error) => {
                let message = said(error);
                if !message.contains(field) || !message.contains(remedy) {
                    failed.push(format!("wanted {field} … {remedy}, got {message}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test]
async fn a_replay_is_taken_with_its_defaults_and_cannot_change() {
    let (replays, client) = replays().await;
    let spec = json!({
        "filter": { "reasons": ["Rejected"], "since": "2h", "until": "2026-11-01T06:00:00Z",
            "key": "k", "partition": 0, "offsets": "100..", "headers": ["tenant=a"],
            "originTopics": ["orders"] },
        "rate": 0.5, "settle": "1m",
    });
    let made = replays
        .create(&PostParams::default(), &document("again", &spec))
        .await;
    let made = made.unwrap_or_else(|error| panic!("{}", said(error)));
    let spec = &made.data["spec"];
    assert_eq!(
        (&spec["maxReplays"], &spec["stopAt"]),
        (&json!(3), &json!(50))
    );
    assert_eq!(
        (&spec["dryRun"], &spec["toSource"]),
        (&json!(false), &json!(false))
    );
    let typed: DeadLetterReplay =
        serde_json::from_value(serde_json::to_value(&made).unwrap()).unwrap();
    assert_eq!(typed.spec.rate, Some(0.5));
    assert_eq!(typed.spec.settle.to_string(), "1m");
    for change in [
        json!({ "spec": { "dryRun": true } }),
        json!({ "spec": { "rate": null } }),
        json!({ "spec": { "filter": { "key": "l" } } }),
    ] {
        let params = PatchParams::default();
        let changed = replays
            .patch("again", &params, &Patch::Merge(&change))
            .await;
        let message = said(changed.unwrap_err());
        assert!(
            message.contains("create another DeadLetterReplay"),
            "{message}"
        );
    }
    // Labels may, and status.
    let label = json!({ "metadata": { "labels": { "a": "b" } } });
    let params = PatchParams::default();
    replays
        .patch("again", &params, &Patch::Merge(&label))
        .await
        .unwrap();
    let typed: Api<DeadLetterReplay> =
        Api::namespaced(client, made.metadata.namespace.as_deref().unwrap());
    let status = json!({ "status": { "phase": "Running", "replayed": 5,
        "leftOut": { "replayedBefore": 1 } } });
    let told = typed
        .patch_status("again", &params, &Patch::Merge(&status))
        .await
        .unwrap();
    assert_eq!(told.status.unwrap().replayed, Some(5));
}

#[test]
fn every_reason_is_documented_and_every_field_is_named() {
    let page = include_str!("../../docs/dlq.md");
    for reason in drover::api::names::replay_reason::ALL {
        assert!(page.contains(&format!("| `{reason}` |")), "{reason}");
    }
    let crd = serde_json::to_value(drover::api::replay_crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let spec = &schema["properties"]["spec"]["properties"];
    let filter = &spec["filter"]["properties"];
    let fields = spec.as_object().unwrap().keys();
    for field in fields.chain(filter.as_object().unwrap().keys()) {
        assert!(
            page.contains(&format!("`{field}")) || page.contains(&format!(".{field}`")),
            "{field}"
        );
    }
}
