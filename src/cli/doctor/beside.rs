//! Autoscalers and budgets of others that act on a fleet's Deployment or its pods: what a move to Drover left, say.

use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, ResourceExt};
use serde_json::Value;

use super::chain::Chain;
use crate::api::KafkaConsumer;
use crate::cli::cluster::Cluster;
use crate::cli::interference::{
    LEAVE_OUT, TWO_BUDGETS, pod_labels, scaled_object_of, selects, sizes,
};

const WHAT: &str = "autoscalers and budgets";

/// A kind that is looked for: its group, version, name and name in the plural.
type Kind = (&'static str, &'static str, &'static str, &'static str);

const AUTOSCALERS: Kind = (
    "autoscaling",
    "v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
);
const SCALED_OBJECTS: Kind = ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects");
const BUDGETS: Kind = (
    "policy",
    "v1",
    "PodDisruptionBudget",
    "poddisruptionbudgets",
);

/// All of one kind, where that is known.
struct Found {
    kind: &'static str,
    objects: Vec<Value>,
}

/// What stands beside the fleets.
pub(super) struct Beside {
    /// ScaledObjects before the autoscalers that KEDA makes for them.
    sizers: Vec<Found>,
    budgets: Vec<Found>,
}

/// Those of a namespace, or of all.
pub(super) async fn look(cluster: &Cluster, everywhere: bool, chain: &mut Chain) -> Beside {
    let mut found = Vec::new();
    for kind in [SCALED_OBJECTS, AUTOSCALERS, BUDGETS] {
        match list(cluster, everywhere, kind).await {
            Ok(objects) => found.push(Found {
                kind: kind.2,
                objects,
            }),
            // KEDA is not installed.
            Err(kube::Error::Api(answer)) if answer.code == 404 && kind == SCALED_OBJECTS => {}
            Err(error) => {
                let (group, _, _, plural) = kind;
                let why = cluster.unanswered_of(&format!("{plural}.{group}"), error);
                chain.unknown(WHAT, &format!("{why:#}"));
            }
        }
    }
    let (budgets, sizers) = found.into_iter().partition(|it| it.kind == BUDGETS.2);
    Beside { sizers, budgets }
}

async fn list(cluster: &Cluster, everywhere: bool, kind: Kind) -> Result<Vec<Value>, kube::Error> {
    let (group, version, name, plural) = kind;
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, name), plural);
    let client = cluster.client.clone();
    let api: Api<DynamicObject> = match everywhere {
        true => Api::all_with(client, &resource),
        false => Api::namespaced_with(client, &cluster.namespace, &resource),
    };
    let listed = api.list(&ListParams::default()).await?.items;
    let values = listed.into_iter().map(serde_json::to_value);
    values
        .collect::<Result<_, _>>()
        .map_err(kube::Error::SerdeError)
}

impl Beside {
    /// Who sizes a fleet's Deployment, too: of that may come what its conditions say.
    pub fn sizers(&self, consumer: &KafkaConsumer, chain: &mut Chain) {
        let (fleet, namespace) = (
            consumer.name_any(),
            consumer.namespace().unwrap_or_default(),
        );
        let mut told = Vec::new();
        for (kind, object) in of(&self.sizers, &namespace) {
            let made_for = scaled_object_of(object);
            if !sizes(object, &fleet) || made_for.is_some_and(|name| told.contains(&name)) {
                continue;
            }
            let name = name(object);
            told.push(name);
            // KEDA makes it anew.
            let (kind, name) = match made_for {
                Some(scaled) => (SCALED_OBJECTS.2, scaled),
                None => (kind, name),
            };
            let says = format!(
                "it sizes Deployment {fleet}, as Drover does, and the two work against each other; {}, or, where it is to decide, have it size the KafkaConsumer with spec.scaling.mode External",
                delete(kind, name, &namespace)
            );
            chain.wrong(&format!("{} {kind} {name}", chain.name(consumer)), &says);
        }
    }

    /// Which budgets other than Drover's a fleet's pods have.
    pub fn budgets(&self, consumer: &KafkaConsumer, chain: &mut Chain) {
        let namespace = consumer.namespace().unwrap_or_default();
        let mut others = of(&self.budgets, &namespace)
            .filter(|(_, budget)| !is_drovers(budget))
            .peekable();
        if others.peek().is_none() {
            return;
        }
        let labels = pod_labels(consumer);
        for (kind, budget) in others.filter(|(_, budget)| selects(budget, &labels)) {
            let name = name(budget);
            let says = format!(
                "it selects this fleet's pods, {TWO_BUDGETS}; {}, or, {LEAVE_OUT}",
                delete(kind, name, &namespace)
            );
            chain.wrong(&format!("{} {kind} {name}", chain.name(consumer)), &says);
        }
    }
}

fn of<'a>(
    found: &'a [Found],
    namespace: &'a str,
) -> impl Iterator<Item = (&'static str, &'a Value)> {
    found.iter().flat_map(move |Found { kind, objects }| {
        let here = objects
            .iter()
            .filter(move |object| object["metadata"]["namespace"] == namespace);
        here.map(|object| (*kind, object))
    })
}

fn is_drovers(object: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let mut owners = owners.into_iter().flatten();
    owners.any(|owner| owner["kind"] == "KafkaConsumer")
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn delete(kind: &str, name: &str, namespace: &str) -> String {
    let kind = kind.to_lowercase();
    format!("delete it: kubectl -n {namespace} delete {kind} {name}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn consumer() -> KafkaConsumer {
        serde_json::from_value(json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
            "metadata": { "name": "orders", "namespace": "shop" },
            "spec": { "kafka": { "bootstrapServers": "kafka:9092" }, "topics": ["orders"],
                "handler": { "http": { "url": "http://orders/kafka" } } },
        }))
        .unwrap()
    }

    fn object(name: &str, namespace: &str, spec: Value) -> Value {
        json!({ "metadata": { "name": name, "namespace": namespace }, "spec": spec })
    }

    fn whats(beside: &Beside, namespaces: bool) -> Vec<String> {
        let mut chain = Chain::new(namespaces);
        beside.sizers(&consumer(), &mut chain);
        beside.budgets(&consumer(), &mut chain);
        let findings = chain.findings.into_iter();
        findings.map(|finding| finding.what).collect()
    }

    #[test]
    fn what_keda_made_is_told_as_its_scaled_object_and_once() {
        let target = json!({ "scaleTargetRef": { "kind": "Deployment", "name": "orders" } });
        let mut made = object("keda-hpa-orders", "shop", target.clone());
        made["metadata"]["ownerReferences"] = json!([{ "kind": "ScaledObject", "name": "by-lag" }]);
        let scaled = Found {
            kind: "ScaledObject",
            objects: vec![object("by-lag", "shop", target.clone())],
        };
        let autoscalers = |objects| Found {
            kind: "HorizontalPodAutoscaler",
            objects,
        };
        let beside = |sizers| Beside {
            sizers,
            budgets: Vec::new(),
        };
        let both = beside(vec![scaled, autoscalers(vec![made.clone()])]);
        assert_eq!(whats(&both, false), ["orders ScaledObject by-lag"]);
        // Who may not list ScaledObjects is told of them all the same.
        let one = beside(vec![autoscalers(vec![made])]);
        assert_eq!(whats(&one, true), ["shop/orders ScaledObject by-lag"]);
        let elsewhere = object("by-cpu", "other", target);
        assert!(whats(&beside(vec![autoscalers(vec![elsewhere])]), false).is_empty());
    }

    #[test]
    fn drovers_own_budget_is_none_of_others() {
        let ours = json!({ "selector": { "matchLabels": { "drover.dev/consumer": "orders" } } });
        let mut own = object("orders", "shop", ours.clone());
        own["metadata"]["ownerReferences"] = json!([{ "kind": "KafkaConsumer", "name": "orders" }]);
        let all_workers =
            json!({ "selector": { "matchLabels": { "app.kubernetes.io/name": "drover-worker" } } });
        let beside = Beside {
            sizers: Vec::new(),
            budgets: vec![Found {
                kind: "PodDisruptionBudget",
                objects: vec![
                    own,
                    object("by-hand", "shop", ours),
                    object("workers", "shop", all_workers),
                    object("everything", "other", json!({ "selector": {} })),
                ],
            }],
        };
        assert_eq!(
            whats(&beside, false),
            [
                "orders PodDisruptionBudget by-hand",
                "orders PodDisruptionBudget workers"
            ]
        );
    }
}
