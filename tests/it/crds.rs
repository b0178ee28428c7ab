//! The generated CRD: committed as generated, described throughout, round trips.

use std::fs;
use std::path::Path;

use drover::api::names::MAX_NAME_LENGTH;
use drover::api::{KafkaConsumer, crd, replay_crd};
use drover::cli::crd::{Resource, text};
use serde_json::Value;

use crate::support::consumers::all;

fn schema() -> Value {
    of(serde_json::to_value(crd()).unwrap())
}

fn of(crd: Value) -> Value {
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Every property below `schema`, with its path.
fn properties(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        properties(property, &path, found);
        properties(&property["items"], &path, found);
        found.push((path, property.clone()));
    }
}

#[test]
fn the_committed_definition_is_the_generated_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (resource, plural) in [
        (Resource::Kafkaconsumers, "kafkaconsumers"),
        (Resource::Deadletterreplays, "deadletterreplays"),
    ] {
        for folder in ["crds", "charts/drover/files"] {
            let file = root.join(format!("{folder}/{plural}.drover.dev.yaml"));
            let committed = fs::read_to_string(&file).unwrap();
            assert!(
                committed == text(resource).unwrap(),
                "{} is not what `drover crd {plural}` prints; run make generate",
                file.display()
            );
        }
    }
}

#[test]
fn every_field_is_described() {
    let mut found = Vec::new();
    properties(&schema(), "", &mut found);
    let replay = of(serde_json::to_value(replay_crd()).unwrap());
    properties(&replay, "DeadLetterReplay", &mut found);
    assert!(found.len() > 50, "only {} fields were found", found.len());
    let bare: Vec<&String> = found
        .iter()
        .filter(|(path, property)| {
            // Kubernetes' own, described by Kubernetes.
            let path = path.trim_start_matches("DeadLetterReplay");
            let foreign = [".apiVersion", ".kind", ".metadata"].contains(&path);
            !foreign
                && property["description"]
                    .as_str()
                    .is_none_or(|text| text.len() < 8)
        })
        .map(|(path, _)| path)
        .collect();
    assert!(bare.is_empty(), "without description: {bare:?}");
}

#[test]
fn a_field_is_described_by_its_own_words_not_by_its_types() {
    let schema = schema();
    for (path, words) in [
        (
            "/properties/spec/properties/delivery",
            "Not for `handler.consumer`",
        ),
        ("/properties/spec/properties/handler", "exactly one of"),
        (
            "/properties/spec/properties/handler/properties/consumer",
            "Drover only runs and scales it",
        ),
        (
            "/properties/spec/properties/delivery/properties/onExhausted",
            "Default: `DeadLetter` if a topic is named",
        ),
        (
            "/properties/spec/properties/scaling/properties/mode",
            "Default `Auto`",
        ),
        (
            "/properties/spec/properties/template",
            "merged into the one that Drover makes",
        ),
    ] {
        let description = schema.pointer(path).unwrap()["description"]
            .as_str()
            .unwrap();
        assert!(description.contains(words), "{path}: {description}");
    }
}

#[test]
fn nothing_is_in_the_schema_that_the_api_server_warns_of() {
    for resource in [Resource::Kafkaconsumers, Resource::Deadletterreplays] {
        let text = text(resource).unwrap();
        for word in ["nullable", "uint32", "uint16", "uint64"] {
            assert!(!text.contains(word), "{word}");
        }
    }
}

#[test]
fn every_rule_says_what_to_do() {
    fn messages(value: &Value, found: &mut Vec<String>) {
        for rule in value["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            found.push(rule["message"].as_str().unwrap_or_default().to_owned());
        }
        match value {
            Value::Object(map) => map.values().for_each(|value| messages(value, found)),
            Value::Array(items) => items.iter().for_each(|value| messages(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    messages(&schema(), &mut found);
    let replay = of(serde_json::to_value(replay_crd()).unwrap());
    messages(&replay, &mut found);
    assert!(found.len() > 15);
    let remedies = [
        "write",
        "choose",
        "remove",
        "name",
        "lower",
        "raise",
        "set",
        "correct",
        "create",
        "let",
        "add",
        "must be",
        "begins with",
    ];
    for message in found {
        assert!(
            remedies.iter().any(|word| message.contains(word)),
            "{message:?}"
        );
    }
}

#[test]
fn the_rule_for_the_name_is_the_one_that_validate_has() {
    let rules = schema()["x-kubernetes-validations"].to_string();
    assert!(
        rules.contains(&format!("self.metadata.name.size() <= {MAX_NAME_LENGTH}")),
        "{rules}"
    );
}

#[test]
fn what_is_read_is_written_the_same() {
    for (name, document) in all() {
        let read: KafkaConsumer = serde_json::from_value(document).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        let again: KafkaConsumer = serde_json::from_value(written).unwrap();
        assert_eq!(read, again, "{name}");
    }
}
