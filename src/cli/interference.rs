//! What stands beside a fleet and acts on its Deployment or its pods as Drover does, so that the two work against each
//! other. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;
use kube::core::{Selector, SelectorExt as _};
use serde_json::Value;

use crate::api::KafkaConsumer;
use crate::fleet::{References, validate};
use crate::resources;

/// Why a second PodDisruptionBudget must not be, and what to do, behind whose pods it selects.
pub(super) const TWO_BUDGETS: &str = "which have a budget of Drover's (a quarter of them at a time), and Kubernetes evicts no pod that has two: a node that runs one cannot be drained";

/// What to do with one that is for other pods, too.
pub(super) const LEAVE_OUT: &str = "if it is for other pods as well, have its selector leave these out (matchExpressions: key drover.dev/consumer, operator DoesNotExist)";

/// Whether a HorizontalPodAutoscaler or a ScaledObject sizes the Deployment of this name.
pub(super) fn sizes(object: &Value, deployment: &str) -> bool {
    let target = &object["spec"]["scaleTargetRef"];
    // A ScaledObject need not name the kind.
    let kind = target["kind"].as_str().unwrap_or("Deployment");
    kind == "Deployment" && target["name"] == deployment
}

/// The ScaledObject that KEDA made a HorizontalPodAutoscaler for, and takes it away with.
pub(super) fn scaled_object_of(autoscaler: &Value) -> Option<&str> {
    let mut owners = autoscaler["metadata"]["ownerReferences"].as_array()?.iter();
    owners.find(|owner| owner["kind"] == "ScaledObject")?["name"].as_str()
}

/// Whether a PodDisruptionBudget selects pods with these labels. An empty selector selects all.
pub(super) fn selects(budget: &Value, labels: &BTreeMap<String, String>) -> bool {
    let written = serde_json::from_value::<LabelSelector>(budget["spec"]["selector"].clone());
    let selector = written.ok().map(Selector::try_from);
    selector.is_some_and(|selector| selector.is_ok_and(|selector| selector.matches(labels)))
}

/// The labels of a fleet's pods; of a spec that is wrong those that are known all the same.
pub(super) fn pod_labels(consumer: &KafkaConsumer) -> BTreeMap<String, String> {
    if let Ok(fleet) = validate(consumer, &References::default()) {
        return resources::pod_labels(&fleet);
    }
    let template = consumer.spec.template.clone().unwrap_or_default();
    let metadata = template.metadata.unwrap_or_default();
    let mut labels = metadata.labels.unwrap_or_default();
    labels.extend(resources::selector(&consumer.name_any()));
    labels
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_sizes_a_deployment_names_it() {
        for (target, is_so) in [
            (
                json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "orders" }),
                true,
            ),
            (json!({ "name": "orders" }), true),
            (json!({ "kind": "Deployment", "name": "refunds" }), false),
            (json!({ "kind": "KafkaConsumer", "name": "orders" }), false),
        ] {
            let object = json!({ "spec": { "scaleTargetRef": target } });
            assert_eq!(sizes(&object, "orders"), is_so, "{target}");
        }
    }

    #[test]
    fn a_budget_is_of_the_pods_that_its_selector_means() {
        let consumer: KafkaConsumer = serde_json::from_value(json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
            "metadata": { "name": "orders", "namespace": "shop" },
            "spec": {
                "kafka": { "bootstrapServers": "kafka:9092" }, "topics": ["orders"], "handler": { "consumer": {} },
                "template": {
                    "metadata": { "labels": { "app": "orders", "app.kubernetes.io/managed-by": "Helm" } },
                    "spec": { "containers": [{ "name": "consumer", "image": "shop/orders:7" }] },
                },
            },
        }))
        .unwrap();
        let mut wrong = consumer.clone();
        wrong.spec.topics.clear();
        for labels in [pod_labels(&consumer), pod_labels(&wrong)] {
            for (selector, is_so) in [
                (json!({ "matchLabels": { "app": "orders" } }), true),
                (
                    json!({ "matchLabels": { "app": "orders", "tier": "web" } }),
                    false,
                ),
                (
                    json!({ "matchExpressions": [{ "key": "app", "operator": "In", "values": ["orders", "refunds"] }] }),
                    true,
                ),
                (
                    json!({ "matchExpressions": [{ "key": "drover.dev/consumer", "operator": "DoesNotExist" }] }),
                    false,
                ),
                (json!({}), true),
                (
                    json!({ "matchExpressions": [{ "key": "app", "operator": "Odd" }] }),
                    false,
                ),
                // Without a selector it is of no pod.
                (Value::Null, false),
            ] {
                let budget = json!({ "spec": { "selector": selector } });
                assert_eq!(selects(&budget, &labels), is_so, "{selector}");
            }
        }
        // Drover's labels are Drover's.
        let helms = json!({ "matchLabels": { "app.kubernetes.io/managed-by": "Helm" } });
        let budget = json!({ "spec": { "selector": helms } });
        assert!(!selects(&budget, &pod_labels(&consumer)));
    }
}
