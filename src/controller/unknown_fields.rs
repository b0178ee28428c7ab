//! Fields of `spec.template` that do not exist, such as `tolerationz`: the API server takes them without a word, and
//! reading drops them, so that nobody would say why pods are not as they were written.
//!
//! What a watch gives is read already, so the document is asked for once more: once for each new spec, and not again for
//! one of which status says that it was looked at.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tracing::debug;

use super::context::Context;
use super::fleets::FleetKey;
use super::malformed;
use crate::api::names::{NOT_IN_PODS, condition};
use crate::api::{KafkaConsumer, KafkaConsumerStatus};
use crate::fleet::unknown_in_template;
use crate::k8s::chain;

/// What was found in the newest spec that was looked at.
#[derive(Clone, Debug, Default)]
pub struct UnknownFields {
    generation: Option<i64>,
    said: Vec<String>,
}

impl UnknownFields {
    /// Each in a sentence, with the nearest that does exist.
    pub fn said(&self) -> &[String] {
        &self.said
    }

    /// Looks at the template, unless this spec's was looked at. One that could not be is looked at by the next run.
    pub async fn look(&mut self, context: &Context, key: &FleetKey, consumer: &KafkaConsumer) {
        let generation = consumer.metadata.generation;
        if self.generation == generation {
            return;
        }
        let is_known = consumer
            .status
            .as_ref()
            .is_some_and(|it| is_without(it, generation));
        self.said = match consumer.spec.template {
            None => Vec::new(),
            Some(_) if is_known => Vec::new(),
            Some(_) => match malformed::document(context, key).await {
                Ok(document) => document
                    .as_ref()
                    .map(unknown_in_template)
                    .unwrap_or_default(),
                Err(error) => {
                    debug!(error = %chain(&error), "template not looked at for fields that do not exist");
                    return;
                }
            },
        };
        self.generation = generation;
    }
}

/// Whether a status is of this spec and tells of no such field.
fn is_without(status: &KafkaConsumerStatus, generation: Option<i64>) -> bool {
    let says_none = |ready: &Condition| {
        ready.observed_generation == generation && !ready.message.contains(NOT_IN_PODS)
    };
    let mut conditions = status.conditions.iter();
    let ready = conditions.find(|it| it.type_ == condition::READY);
    ready.is_some_and(says_none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_spec_is_looked_at_again_only_where_status_does_not_say_that_all_is_known() {
        let status = |message: &str| {
            let ready = json!({ "type": "Ready", "status": "True", "reason": "AllReady", "message": message,
                "observedGeneration": 3, "lastTransitionTime": "1970-01-01T00:00:01Z" });
            KafkaConsumerStatus {
                conditions: vec![serde_json::from_value(ready).unwrap()],
                ..KafkaConsumerStatus::default()
            }
        };
        assert!(is_without(&status("2 of 2"), Some(3)));
        assert!(!is_without(&status("2 of 2"), Some(4)));
        let told = format!("2 of 2{NOT_IN_PODS}spec.template.spek is not a field");
        assert!(!is_without(&status(&told), Some(3)));
        assert!(!is_without(&KafkaConsumerStatus::default(), Some(3)));
    }
}
