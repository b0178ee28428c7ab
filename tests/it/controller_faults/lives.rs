//! Lives of fleets that go the same way whatever fails meanwhile, and what becomes of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use drover::api::KafkaConsumer;
use futures::StreamExt;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{ListParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::{Value, json};

use crate::support::consumers::with;
use crate::support::operator::{Operator, wait_for};

pub fn template(name: &str, round: &str, container: Value) -> Value {
    let mut container = container;
    container["env"] = json!([{ "name": "KEY", "valueFrom": {
        "secretKeyRef": { "name": format!("{name}-keys"), "key": "k" } } }]);
    json!({
        "metadata": { "annotations": { "round": round } },
        "spec": { "containers": [container] },
    })
}

/// The first part of a fleet's life: made, with a Secret of its own.
pub async fn begin(operator: &Operator, name: &str) {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": format!("{name}-keys") }, "stringData": { "k": "v" },
    }))
    .unwrap();
    let secrets = operator.api::<Secret>();
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    let template = template(name, "1", json!({ "name": "worker" }));
    let spec = with(operator.spec("events"), "/template", template);
    operator.create(name, spec).await;
}

pub fn has_begun(consumer: &KafkaConsumer, deployment: &Deployment) -> bool {
    is_told(consumer, "Idle") && round(deployment) == Some("1")
}

/// The second: changed, and of another size.
pub async fn grow(operator: &Operator, name: &str) {
    let template = template(name, "2", json!({ "name": "worker" }));
    let grown = json!({ "scaling": { "mode": "Manual" }, "replicas": 1, "template": template });
    operator.change(name, grown).await;
}

/// No pod is ever ready here. Where the template was refused at first, a pod of the old one is there as well,
/// and stays until one of the new is ready.
pub fn has_grown(consumer: &KafkaConsumer, deployment: &Deployment) -> bool {
    let told = is_told(consumer, "PodsNotReady") || is_told(consumer, "RollingOut");
    told && round(deployment) == Some("2") && size(deployment) == 1
}

/// The last: nothing runs, and one child less is needed.
pub async fn end(operator: &Operator, name: &str) {
    let template = template(
        name,
        "3",
        json!({ "name": "karafka", "image": "shop/web:1" }),
    );
    let own = json!({ "handler": { "http": Value::Null, "consumer": {} }, "replicas": 0, "template": template });
    operator.change(name, own).await;
}

pub fn has_ended(consumer: &KafkaConsumer, deployment: &Deployment) -> bool {
    is_told(consumer, "Idle") && round(deployment) == Some("3") && size(deployment) == 0
}

fn is_told(consumer: &KafkaConsumer, reason: &str) -> bool {
    let Some(status) = &consumer.status else {
        return false;
    };
    let mut conditions = status.conditions.iter();
    let ready = conditions.find(|condition| condition.type_ == "Ready");
    status.observed_generation == consumer.metadata.generation
        && ready.is_some_and(|ready| ready.reason == reason)
}

fn round(deployment: &Deployment) -> Option<&str> {
    let template = deployment.spec.template.metadata.as_ref()?;
    Some(template.annotations.as_ref()?.get("round")?.as_str())
}

fn size(deployment: &Deployment) -> i32 {
    size_of(&deployment.spec)
}

pub fn size_of(shape: &DeploymentSpec) -> i32 {
    shape.replicas.unwrap_or(1)
}

/// Waits until all these fleets have come so far.
pub async fn all(
    operator: &Operator,
    names: &[String],
    what: &str,
    is: fn(&KafkaConsumer, &Deployment) -> bool,
) {
    wait_for(what, async || {
        let everything = ListParams::default();
        let consumers = operator.api::<KafkaConsumer>().list(&everything).await;
        let deployments = operator.api::<Deployment>().list(&everything).await;
        let deployments: BTreeMap<String, Deployment> = deployments
            .unwrap()
            .into_iter()
            .map(|deployment| (deployment.name_any(), deployment))
            .collect();
        let late = consumers.unwrap().into_iter().find(|consumer| {
            let name = consumer.name_any();
            let deployment = deployments.get(&name);
            names.contains(&name) && !deployment.is_some_and(|deployment| is(consumer, deployment))
        });
        match late {
            None => Ok(()),
            Some(late) => {
                let deployment = deployments.get(&late.name_any());
                let shape = deployment.map(|deployment| (round(deployment), size(deployment)));
                Err(format!(
                    "{} has {:#?} and of round and size {shape:?}",
                    late.name_any(),
                    late.status
                ))
            }
        }
    })
    .await;
}

/// A whole life of each.
pub async fn live(operator: &Operator, names: &[String]) {
    for name in names {
        begin(operator, name).await;
    }
    all(operator, names, "all to have begun", has_begun).await;
    for name in names {
        grow(operator, name).await;
    }
    all(operator, names, "all to have grown", has_grown).await;
    for name in names {
        end(operator, name).await;
    }
    all(operator, names, "all to have ended", has_ended).await;
}

/// What has become of a fleet: all of its children and what is said of it, with its name and all that
/// is different each time left out.
pub async fn outcome(operator: &Operator, name: &str) -> Value {
    let deployment = operator.api::<Deployment>().get(name).await.unwrap();
    let account = operator.api::<ServiceAccount>().get(name).await.unwrap();
    let budget = operator
        .api::<PodDisruptionBudget>()
        .get(name)
        .await
        .unwrap();
    let conditions = operator.status(name).await.conditions;
    let told: Vec<Value> = conditions
        .into_iter()
        .map(|told| json!([told.type_, told.status, told.reason]))
        .collect();
    let written = json!({
        "deployment": [deployment.labels(), deployment.spec],
        "account": [account.labels(), account.automount_service_account_token],
        "budget": [budget.labels(), budget.spec],
        "conditions": told,
    });
    let mut text = written.to_string().replace(name, "NAME");
    // Of the configuration with the name in it.
    let hash = "\"drover.dev/config-hash\":\"";
    if let Some(at) = text.find(hash) {
        let from = at + hash.len();
        let to = from + text[from..].find('"').unwrap();
        text.replace_range(from..to, "HASH");
    }
    serde_json::from_str(&text).unwrap()
}

/// What each fleet's pods were to be, one after the other: their template and how many. A Deployment's
/// generation counts its annotations as well, and those say more of us than of pods.
#[derive(Clone, Default)]
pub struct Shapes(Arc<Mutex<BTreeMap<String, Vec<DeploymentSpec>>>>);

impl Shapes {
    /// Notes them from now on.
    pub fn watch(operator: &Operator) -> Self {
        let shapes = Self::default();
        let noted = shapes.clone();
        let watch = watcher(operator.api::<Deployment>(), watcher::Config::default());
        tokio::spawn(watch.default_backoff().for_each(move |event| {
            if let Ok(Event::Apply(deployment) | Event::InitApply(deployment)) = event {
                let mut noted = noted.0.lock().unwrap();
                let noted = noted.entry(deployment.name_any()).or_default();
                noted.push(deployment.spec);
                noted.dedup();
            }
            std::future::ready(())
        }));
        shapes
    }

    pub fn of(&self, name: &str) -> Vec<DeploymentSpec> {
        let noted = self.0.lock().unwrap();
        noted.get(name).cloned().unwrap_or_default()
    }
}
