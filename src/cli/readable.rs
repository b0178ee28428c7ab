//! A KafkaConsumer as the API server has it, as far as it can be read: one that is malformed hides no other.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Value, json};

use crate::api::KafkaConsumer;
use crate::api::names::{condition, reason};
use crate::clock;
use crate::fleet::{why_unreadable, with_readable_template};

/// One that was read, whole or in part.
pub(super) struct Readable {
    /// What is not known of it has a stand-in, and `Ready` says then that it is unreadable.
    pub consumer: KafkaConsumer,
    /// What is wrong, in one line with what to do, where `spec` is a stand-in.
    pub wrong: Option<String>,
    /// It cannot be read as a whole, be it for its template alone: the controller starts nothing of it.
    pub malformed: bool,
}

/// Reads what it can of an object that the API server gave for a KafkaConsumer. None where even its name and its
/// like cannot be read.
pub(super) fn read(object: Value) -> Option<Readable> {
    let error = match serde_json::from_value::<KafkaConsumer>(object.clone()) {
        Ok(consumer) => {
            return Some(Readable {
                consumer,
                wrong: None,
                malformed: false,
            });
        }
        Err(error) => error.to_string(),
    };
    let why = why_unreadable(&object, &error);
    // Nothing here needs more of the template.
    let (mut consumer, wrong) = match with_readable_template(&object) {
        Some(consumer) => (consumer, None),
        None => (stand_in(object)?, Some(why.clone())),
    };
    say(&mut consumer, &why);
    Some(Readable {
        consumer,
        wrong,
        malformed: true,
    })
}

/// With a spec that promises nothing in place of one that cannot be read.
fn stand_in(mut object: Value) -> Option<KafkaConsumer> {
    object["spec"] = json!({
        "kafka": { "bootstrapServers": "unreadable.invalid:1" },
        "topics": ["unreadable"],
        "handler": { "http": { "url": "http://unreadable.invalid" } },
        "scaling": { "mode": "Manual" },
        "paused": object["spec"]["paused"] == true,
    });
    serde_json::from_value(object.clone()).ok().or_else(|| {
        object["status"].take();
        serde_json::from_value(object).ok()
    })
}

/// What the controller says of it too, once it has seen it.
fn say(consumer: &mut KafkaConsumer, why: &str) {
    let status = consumer.status.get_or_insert_default();
    let ready = |found: &&mut Condition| found.type_ == condition::READY;
    let known = status.conditions.iter_mut().find(ready);
    if known
        .as_ref()
        .is_some_and(|known| known.reason == reason::UNREADABLE)
    {
        return;
    }
    let unreadable = Condition {
        type_: condition::READY.to_owned(),
        status: "False".to_owned(),
        reason: reason::UNREADABLE.to_owned(),
        message: format!("the resource cannot be read: {why}"),
        observed_generation: consumer.metadata.generation,
        last_transition_time: Time(clock::now()),
    };
    match known {
        Some(known) => *known = unreadable,
        None => status.conditions.push(unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(spec: Value) -> Value {
        let mut object = json!({
            "apiVersion": "drover.dev/v1alpha1",
            "kind": "KafkaConsumer",
            "metadata": { "name": "orders", "namespace": "shop", "generation": 3 },
            "spec": {
                "kafka": { "bootstrapServers": "kafka:9092" },
                "topics": ["orders"],
                "handler": { "http": { "url": "http://orders/kafka" } },
            },
            "status": { "replicas": 2, "conditions": [] },
        });
        for (name, value) in spec.as_object().unwrap() {
            object["spec"][name] = value.clone();
        }
        object
    }

    fn said(readable: &Readable) -> String {
        let status = readable.consumer.status.clone().unwrap();
        assert_eq!(status.replicas, Some(2));
        let condition = &status.conditions[0];
        format!(
            "{} {}: {}",
            condition.type_, condition.reason, condition.message
        )
    }

    #[test]
    fn of_a_malformed_template_the_rest_is_known() {
        let annotations = json!({ "metadata": { "annotations": { "prometheus.io/port": 9090 } } });
        let readable = read(object(json!({ "template": annotations }))).unwrap();
        assert_eq!(readable.wrong, None);
        assert_eq!(readable.consumer.spec.topics, ["orders"]);
        let said = said(&readable);
        assert!(
            said.starts_with("Ready Unreadable: the resource cannot be read: spec.template.metadata.annotations[prometheus.io/port] must be a text (in quotes)"),
            "{said}"
        );
    }

    #[test]
    fn of_another_spec_that_cannot_be_read_it_is_known_whether_it_is_paused() {
        let readable = read(object(json!({ "topics": 3, "paused": true }))).unwrap();
        assert!(readable.consumer.spec.paused);
        assert!(
            readable
                .wrong
                .as_deref()
                .unwrap()
                .contains("spec.topics must be a list")
        );
        assert!(said(&readable).contains("spec.topics must be a list"));
    }

    #[test]
    fn what_the_controller_says_of_it_stays() {
        let mut object = object(json!({ "template": { "metadata": 3 } }));
        object["status"]["conditions"] = json!([{
            "type": "Ready", "status": "False", "reason": "Unreadable", "message": "as it was told",
            "lastTransitionTime": "2026-11-01T00:00:00Z",
        }]);
        assert_eq!(
            said(&read(object).unwrap()),
            "Ready Unreadable: as it was told"
        );
    }
}
