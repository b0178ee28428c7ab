//! The CustomResourceDefinition, as `crds/` and `drover crd` have it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use super::{DeadLetterReplay, KafkaConsumer};

/// The CustomResourceDefinition of [`KafkaConsumer`], without what the derived one has too much:
///
/// * `nullable`: a null then means "not written", and rules need not tell the two apart;
/// * formats that Kubernetes does not know (`uint32`) and warns of at every apply;
/// * line breaks inside of sentences.
pub fn crd() -> CustomResourceDefinition {
    tidied(KafkaConsumer::crd())
}

/// The same of [`DeadLetterReplay`].
pub fn replay_crd() -> CustomResourceDefinition {
    tidied(DeadLetterReplay::crd())
}

fn tidied(derived: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut tree = serde_json::to_value(derived).expect("a generated definition is plain data");
    tidy(&mut tree);
    serde_json::from_value(tree).expect("leaving optional parts out leaves a definition")
}

fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // A property of ours may have such a name too, but then its value is a schema.
            map.retain(|key, value| !(key == "nullable" && value.is_boolean()));
            if matches!(map.get("format"), Some(Value::String(format)) if format.starts_with("uint"))
            {
                map.remove("format");
            }
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = unwrap_lines(text);
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Joins lines; blank lines stay as paragraphs.
fn unwrap_lines(text: &str) -> String {
    text.split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n\n")
}
