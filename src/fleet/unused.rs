//! Fields that a spec has and its mode does not use.
//!
//! No mistake: modes are changed for an hour and back, and what is written for the other one stays. But whoever wrote
//! it is told.

use serde_json::Value;

use super::document::{strip_nulls, write_whole_numbers};
use crate::api::{KafkaConsumer, KafkaConsumerSpec, Scaling, ScalingMode};

/// A field that has no effect as long as the mode is what it is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unused {
    /// The field, such as `spec.scaling.schedule`.
    pub field: &'static str,
    /// What, why and what to do; names the field.
    pub message: String,
}

const REPLICAS: &str = "spec.replicas";
const MIN: &str = "spec.scaling.minReplicas";
const MAX: &str = "spec.scaling.maxReplicas";
const SCHEDULE: &str = "spec.scaling.schedule";
const IDLE: &str = "spec.scaling.idleTimeToZero";

/// What of `spec` its mode does not use, in the order of the reference.
pub fn unused(spec: &KafkaConsumerSpec) -> Vec<Unused> {
    let scaling = &spec.scaling;
    let mode = scaling.mode;
    let fields: Vec<&str> = match mode {
        ScalingMode::Auto | ScalingMode::Recommend => {
            spec.replicas.iter().map(|_| REPLICAS).collect()
        }
        ScalingMode::Manual => [
            // 1 is there whether somebody wrote it or not. And a fleet begins with it while nobody has chosen a size.
            (MIN, scaling.min_replicas > 1 && spec.replicas.is_some()),
            (MAX, scaling.max_replicas.is_some()),
            (IDLE, scaling.idle_time_to_zero.is_some()),
            (SCHEDULE, !scaling.schedule.is_empty()),
        ]
        .into_iter()
        .filter_map(|(field, is_written)| is_written.then_some(field))
        .collect(),
        ScalingMode::External => scaling.idle_time_to_zero.iter().map(|_| IDLE).collect(),
    };
    let told = |field| Unused {
        field,
        message: format!(
            "{field} is not used in mode {mode:?}: {}",
            why(field, scaling)
        ),
    };
    fields.into_iter().map(told).collect()
}

/// Why not, and what to do.
fn why(field: &str, scaling: &Scaling) -> String {
    let (why, modes) = match (scaling.mode, field) {
        (ScalingMode::Auto, _) => (
            "Drover sets the size",
            "spec.scaling.mode to Manual or External",
        ),
        (ScalingMode::Recommend, _) => (
            "the size stays as it is",
            "spec.scaling.mode to Manual or External",
        ),
        (ScalingMode::External, _) => (
            "an autoscaler says when the fleet goes to zero, and after how long",
            "spec.scaling.mode to Auto",
        ),
        (ScalingMode::Manual, IDLE) => (
            "spec.replicas alone sets the size",
            "spec.scaling.mode to Auto",
        ),
        (ScalingMode::Manual, _) => (
            "spec.replicas alone sets the size",
            "spec.scaling.mode to Auto or External",
        ),
    };
    let name = field.rsplit('.').next().unwrap_or(field);
    format!("{why}; remove {name}, or set {modes}")
}

/// The same of a document as it was written, if it can be read.
pub fn unused_of_document(document: &Value) -> Vec<Unused> {
    let mut readable = document.clone();
    strip_nulls(&mut readable);
    write_whole_numbers(&mut readable);
    let read = serde_json::from_value::<KafkaConsumer>(readable);
    read.map_or_else(|_| Vec::new(), |consumer| unused(&consumer.spec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(scaling: Value, replicas: Value) -> Vec<&'static str> {
        let document = json!({
            "apiVersion": "drover.dev/v1alpha1",
            "kind": "KafkaConsumer",
            "metadata": { "name": "fleet" },
            "spec": {
                "kafka": { "bootstrapServers": "kafka:9092" },
                "topics": ["orders"],
                "handler": { "http": { "url": "http://users/kafka" } },
                "scaling": scaling,
                "replicas": replicas,
            },
        });
        let unused = unused_of_document(&document);
        for Unused { field, message } in &unused {
            assert!(message.starts_with(field), "{message}");
            let name = field.rsplit('.').next().unwrap();
            assert!(message.contains(&format!("remove {name}, or set spec.scaling.mode to")));
        }
        unused.into_iter().map(|unused| unused.field).collect()
    }

    #[test]
    fn each_mode_names_what_it_does_not_use() {
        let mut all = json!({
            "minReplicas": 0, "maxReplicas": 6, "idleTimeToZero": "30s", "maxDelay": "5s",
            "schedule": [{ "timeZone": "UTC", "minReplicas": 2 }],
        });
        for (mode, replicas, unused) in [
            ("Auto", Value::Null, vec![]),
            ("Auto", json!(2), vec![REPLICAS]),
            ("Recommend", json!(2), vec![REPLICAS]),
            ("Manual", json!(2), vec![MAX, IDLE, SCHEDULE]),
            // It bounds what the autoscaler says.
            ("External", json!(2), vec![IDLE]),
        ] {
            all["mode"] = json!(mode);
            assert_eq!(fields(all.clone(), replicas), unused, "{mode}");
        }
    }

    #[test]
    fn nobody_is_told_of_a_minimum_that_nobody_wrote_or_that_is_used() {
        let manual = |min: u32| json!({ "mode": "Manual", "minReplicas": min });
        assert_eq!(fields(manual(3), json!(2)), [MIN]);
        assert_eq!(fields(manual(1), json!(0)), [""; 0]);
        // The fleet begins with it.
        assert_eq!(fields(manual(3), Value::Null), [""; 0]);
    }
}
