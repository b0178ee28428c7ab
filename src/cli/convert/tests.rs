//! Manifests in, KafkaConsumers and notes out.

mod beside;
mod deployments;
mod keda;
mod knative;
mod secrets;

use serde_json::Value;

use super::converter::{Outcome, convert};
use super::input::{Input, Object};
use super::{Output, Wishes, written};
use crate::yaml;

/// A Deployment of one container, with what else its pods and its container have.
fn deployment(pod: &str, container: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: orders, namespace: shop }}
spec:
  selector: {{ matchLabels: {{ app: orders }} }}
  template:
    metadata: {{ labels: {{ app: orders }} }}
    spec: {{ {pod} containers: [{{ name: consumer, image: 'shop/orders:7', {container} }}] }}
"
    )
}

/// A ScaledObject of it, with further fields of its spec and its triggers.
fn scaled(spec: &str, triggers: &str) -> String {
    format!(
        "
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{ name: orders-scaler, namespace: shop }}
spec: {{ scaleTargetRef: {{ name: orders }}, {spec} triggers: [{triggers}] }}
"
    )
}

/// A trigger that is complete, with further metadata.
fn kafka(metadata: &str) -> String {
    format!(
        "{{ type: kafka, metadata: {{ bootstrapServers: 'kafka:9092', consumerGroup: shop-orders, topic: orders, offsetResetPolicy: earliest, {metadata} }} }}"
    )
}

fn converted(texts: &[String], wishes: &Wishes) -> Outcome {
    let text = texts.join("\n---\n");
    let documents = yaml::documents(&text).into_iter();
    let objects = documents.map(|document| {
        let value = document
            .value
            .unwrap_or_else(|error| panic!("{error} in {text}"));
        Object::of(value).unwrap()
    });
    convert(&Input(objects.collect()), wishes)
}

/// What each note says: its word, its field, its text.
fn notes(outcome: &Outcome) -> Vec<String> {
    let told = outcome.notes.iter().map(|note| {
        let field = note.spot.as_ref().map_or("", |spot| spot.field.as_str());
        format!("{} {field}: {}", note.verdict.word(), note.text)
    });
    told.collect()
}

/// The spec of the only one, of which nothing that fails is told.
fn spec(outcome: &Outcome) -> &Value {
    let failures = outcome
        .notes
        .iter()
        .filter(|note| note.verdict.is_failure());
    assert_eq!(failures.count(), 0, "{:#?}", notes(outcome));
    assert_eq!(outcome.consumers.len(), 1);
    &outcome.consumers[0].document["spec"]
}

/// Nothing is written, and this is why.
fn refused(outcome: &Outcome, why: &str) {
    let told = notes(outcome);
    assert!(outcome.consumers.is_empty(), "{told:#?}");
    let found = told
        .iter()
        .any(|note| note.starts_with("NotConverted") && note.contains(why));
    assert!(found, "{why}: {told:#?}");
}

fn told(outcome: &Outcome, note: &str) {
    let told = notes(outcome);
    assert!(
        told.iter().any(|one| one.starts_with(note)),
        "{note}: {told:#?}"
    );
}
