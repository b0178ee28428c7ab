//! KafkaConsumers that the API server took and nothing can read hide no other.

use kube::api::DynamicObject;
use kube::core::ApiResource;

use super::*;
use crate::support::consumers::with;

impl Stage {
    pub async fn create_raw(&self, name: &str, mut document: Value) {
        document["metadata"] = json!({ "name": name, "labels": { "team": "odd" } });
        let kind = ApiResource::erase::<KafkaConsumer>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &kind);
        let object = serde_json::from_value(document).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    async fn says_paused(&self, name: &str) -> bool {
        let kind = ApiResource::erase::<KafkaConsumer>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &kind);
        api.get(name).await.unwrap().data["spec"]["paused"] == true
    }
}

/// `ports` has a template that cannot be read; of `dates` nothing can, for no calendar has its day.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    stage.create("orders", |_| {}).await;
    let annotations = json!({ "metadata": { "annotations": { "prometheus.io/port": 9090 } } });
    let ports = with(http_url(), "/spec/template", annotations);
    stage.create_raw("ports", ports).await;
    let dates = with(http_url(), "/spec/startAt", json!("2026-02-31T00:00:00Z"));
    stage.create_raw("dates", dates).await;
    stage
}

const PORT: &str =
    "spec.template.metadata.annotations[prometheus.io/port] must be a text (in quotes)";

#[tokio::test]
async fn one_that_is_malformed_is_shown_as_such_beside_the_others() {
    let stage = stage().await;
    let table = said(&mut stage.drover(&["status"]));
    for words in ["orders", PORT, "2026-02-31"] {
        assert!(table.contains(words), "{words}: {table}");
    }
    let rows: Vec<&str> = table.lines().collect();
    for (row, name) in [(1, "dates"), (3, "ports")] {
        assert!(rows[row].starts_with(name), "{table}");
        assert!(rows[row].ends_with("Unreadable"), "{table}");
    }
    let one = said(&mut stage.drover(&["status", "dates"]));
    assert!(one.contains("not ready (Unreadable)"), "{one}");
    let json = said(&mut stage.drover(&["status", "-o", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["items"].as_array().unwrap().len(), 3);

    // What nothing needs of its template is known.
    said(&mut stage.drover(&["explain", "ports"]));
    let unknown = stage.drover(&["explain", "dates"]).output().unwrap();
    let unknown = failed(&unknown, 2);
    assert!(
        unknown.contains("KafkaConsumer dates cannot be read: "),
        "{unknown}"
    );
    let doctor = stage.drover(&["doctor"]).output().unwrap();
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.contains(PORT), "{doctor}");
}

#[tokio::test]
async fn one_that_is_malformed_can_be_paused() {
    let stage = stage().await;
    said(&mut stage.drover(&["pause", "-l", "team=odd"]));
    assert!(stage.says_paused("ports").await && stage.says_paused("dates").await);
    let again = said(&mut stage.drover(&["pause", "dates", "ports"]));
    assert_eq!(again.matches("is paused already").count(), 2, "{again}");
    let resumed = said(&mut stage.drover(&["resume", "dates", "ports"]));
    let words = "it cannot be read, and no pod of it starts before that is mended";
    assert_eq!(resumed.matches(words).count(), 2, "{resumed}");
    assert!(!stage.says_paused("ports").await && !stage.says_paused("dates").await);
}

#[tokio::test]
async fn no_labels_do_not_mean_all() {
    let stage = stage().await;
    for (command, labels) in [("pause", ""), ("resume", ""), ("pause", " ")] {
        let refused = stage.drover(&[command, "-l", labels]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(error.contains("it names no label"), "{error}");
    }
    assert!(!stage.is_paused("orders").await);
}

#[tokio::test]
async fn a_name_that_none_can_have_is_not_there() {
    let stage = Stage::new().await;
    for name in ["", "a b", "a/b"] {
        let missing = stage.drover(&["status", name]).output().unwrap();
        let error = failed(&missing, 2);
        let words = format!("no KafkaConsumer {name:?} in namespace");
        assert!(error.contains(&words), "{error}");
    }
}
