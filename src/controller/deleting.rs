//! A resource that is being deleted and held by finalizers, which may take for ever: nobody looks after it any more, and
//! its status, which would stand as it was on its last good day, says so once. Its pods are left as they are.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use kube::runtime::controller::Action;
use tracing::{info, warn};

use super::context::Context;
use super::dereference;
use super::fleets::FleetKey;
use super::gauges;
use super::publish::publish;
use super::reconcile::is_owned;
use super::status::unattended;
use crate::api::names::condition;
use crate::api::{KafkaConsumer, KafkaConsumerStatus};
use crate::clock;
use crate::k8s::chain;
use crate::telemetry::controller_metrics::FleetGauges;

/// The reason of the condition.
const REASON: &str = "Deleting";
/// What Kubernetes itself holds an object with until its dependents are gone, or have lost their owner.
const OF_KUBERNETES: [&str; 2] = ["foregroundDeletion", "orphan"];

/// Tells that the resource is being deleted, and who holds it.
pub async fn tell(context: &Context, key: &FleetKey, consumer: &KafkaConsumer) -> Action {
    let finalizers = consumer.finalizers();
    if finalizers.is_empty() {
        return Action::await_change();
    }
    // Nothing is decided of it, so what arrives for it need not wake it.
    context.lag.unregister(key);
    let uid = consumer.uid().unwrap_or_default();
    let mut memory = context.fleets.take(key, &uid);
    memory.told.shown(consumer.status.as_ref());
    let previous = memory.told.status(consumer.status.as_ref());
    let deployment = dereference::observe(context, key).deployment;
    let deployment = deployment.filter(|it| is_owned(it, &uid));
    let before = previous.conditions.clone();
    let next = status(
        previous,
        consumer.metadata.generation,
        finalizers,
        deployment.as_deref(),
        clock::now(),
    );
    let known = FleetGauges {
        ready: Some(false),
        attention: gauges::attention(&next.conditions),
        ..FleetGauges::default()
    };
    context.metrics.fleet(&key.to_string(), known);
    let action = match publish(context, consumer, &mut memory, &next, Vec::new()).await {
        Ok(due_in) => {
            memory.failures.none();
            if before != next.conditions {
                info!(consumer = %key, ?finalizers, "it is being deleted, and nobody looks after it any more");
            }
            due_in.map_or_else(Action::await_change, Action::requeue)
        }
        Err(error) => {
            warn!(consumer = %key, error = %chain(&error), "status not written; it is tried again");
            Action::requeue(memory.failures.another(&uid))
        }
    };
    context.fleets.put(key.clone(), memory);
    action
}

fn status(
    previous: KafkaConsumerStatus,
    generation: Option<i64>,
    finalizers: &[String],
    deployment: Option<&Deployment>,
    now: Timestamp,
) -> KafkaConsumerStatus {
    let mut before = previous.conditions.iter();
    let same = before.find(|it| it.type_ == condition::READY && it.status == "False");
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let ready = Condition {
        type_: condition::READY.to_owned(),
        status: "False".to_owned(),
        reason: REASON.to_owned(),
        message: text(finalizers),
        observed_generation: generation,
        last_transition_time: same.map_or(Time(now), |same| same.last_transition_time.clone()),
    };
    let pods = deployment.and_then(|deployment| deployment.status.as_ref());
    KafkaConsumerStatus {
        replicas: pods.map(|pods| pods.replicas.unwrap_or_default()),
        ready_replicas: pods.map(|pods| pods.ready_replicas.unwrap_or_default()),
        ..unattended(previous, ready)
    }
}

fn text(finalizers: &[String]) -> String {
    let named = finalizers.join(", ");
    let is_theirs = |finalizer: &String| !OF_KUBERNETES.contains(&finalizer.as_str());
    match finalizers.iter().any(is_theirs) {
        true => format!(
            "it is being deleted, and nobody looks after it any more; pods that it still has work on. It is held by {named} in metadata.finalizers, which whoever put it there has to take away"
        ),
        false => format!(
            "it is being deleted, and nobody looks after it any more; Kubernetes sees to its children first ({named})"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ScalingStatus;
    use serde_json::json;

    fn well() -> KafkaConsumerStatus {
        let ready = json!({ "type": "Ready", "status": "True", "reason": "AllReady", "message": "2 of 2",
            "observedGeneration": 3, "lastTransitionTime": "1970-01-01T00:00:01Z" });
        KafkaConsumerStatus {
            observed_generation: Some(3),
            selector: Some("drover.dev/consumer=fleet".to_owned()),
            lag: Some(7),
            scaling: Some(ScalingStatus {
                wanted: Some(2),
                capacity_per_pod: Some(20.0),
                ..ScalingStatus::default()
            }),
            conditions: vec![serde_json::from_value(ready).unwrap()],
            ..KafkaConsumerStatus::default()
        }
    }

    #[test]
    fn what_is_no_longer_looked_after_is_not_ready_and_names_who_holds_it() {
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {}, "status": { "replicas": 2, "readyReplicas": 1 },
        }))
        .unwrap();
        let held = ["x.y/z".to_owned(), "foregroundDeletion".to_owned()];
        let at = |second| Timestamp::from_second(second).unwrap();
        let told = status(well(), Some(4), &held, Some(&deployment), at(9));
        let [ready] = &told.conditions[..] else {
            panic!("{:?}", told.conditions);
        };
        assert_eq!(
            (ready.status.as_str(), &*ready.reason),
            ("False", "Deleting")
        );
        assert!(ready.message.contains("x.y/z"), "{}", ready.message);
        assert_eq!(
            (told.observed_generation, ready.observed_generation),
            (Some(4), Some(4))
        );
        assert_eq!(ready.last_transition_time, Time(at(9)));
        assert_eq!((told.replicas, told.ready_replicas), (Some(2), Some(1)));
        // What nobody reads any more is not known.
        let scaling = told.scaling.clone().unwrap();
        assert_eq!((told.lag, scaling.wanted), (None, None));
        assert_eq!(scaling.capacity_per_pod, Some(20.0));
        // And then nothing of it is new.
        let again = status(told.clone(), Some(4), &held, Some(&deployment), at(99));
        assert_eq!(again, told);
    }

    #[test]
    fn kubernetes_own_finalizers_are_left_to_kubernetes() {
        let said = text(&["foregroundDeletion".to_owned()]);
        assert!(!said.contains("take away"), "{said}");
    }
}
