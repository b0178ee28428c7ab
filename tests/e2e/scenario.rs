//! A namespace of its own with a topic, a handler and a KafkaConsumer; gone when the test ends well.

use std::time::Duration;

use drover::api::KafkaConsumer;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::witness::{Stats, Witness};
use crate::{kafka, wait, world};

/// How long something may take that takes a moment on a quiet machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

pub struct Scenario {
    pub client: Client,
    pub namespace: String,
    pub topic: String,
    pub witness: Witness,
}

impl Scenario {
    /// A namespace and a topic; `name` must be unique among the tests.
    pub async fn begin(name: &str, partitions: i32) -> Self {
        let client = world::client().await;
        let run = drover::clock::now().as_millisecond() % 100_000_000;
        let namespace = format!("e2e-{name}-{run}");
        let object = json!({"metadata": {"name": namespace, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted"}}});
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &from(object))
            .await
            .expect("create the namespace");
        let topic = format!("{name}-{run}");
        kafka::create_topic(&topic, partitions)
            .await
            .expect("create the topic");
        let witness = Witness {
            client: client.clone(),
            namespace: namespace.clone(),
        };
        Self {
            client,
            namespace,
            topic,
            witness,
        }
    }

    /// Starts the handler with this delay for each record, and waits for it.
    pub async fn handler(&self, delay: &str) {
        let deployment = json!({
            "metadata": {"name": "handler"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "handler"}},
                "template": {
                    "metadata": {"labels": {"app": "handler"}},
                    "spec": {"containers": [{
                        "name": "handler",
                        "image": image("handler"),
                        "imagePullPolicy": "IfNotPresent",
                        "env": [{"name": "HANDLER_DELAY", "value": delay}],
                        "ports": [{"containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
                        "securityContext": restricted(),
                    }]}
                }
            }
        });
        let service = json!({
            "metadata": {"name": "handler"},
            "spec": {"selector": {"app": "handler"}, "ports": [{"port": 8080}]}
        });
        self.api::<Deployment>()
            .create(&PostParams::default(), &from(deployment))
            .await
            .expect("create the handler");
        self.api::<Service>()
            .create(&PostParams::default(), &from(service))
            .await
            .expect("create the handler's service");
        wait::until("the handler", PATIENCE, || self.witness.stats(), |_| true).await;
    }

    pub fn handler_url(&self) -> String {
        format!(
            "http://handler.{}.svc.cluster.local:8080/records",
            self.namespace
        )
    }

    pub fn group(&self) -> String {
        format!("{}.fleet", self.namespace)
    }

    /// The spec of a fleet that delivers to the handler; change it at will.
    pub fn spec(&self) -> Value {
        json!({
            "kafka": {"bootstrapServers": world::pod_bootstrap()},
            "topics": [self.topic],
            "handler": {"http": {"url": self.handler_url()}, "timeout": "10s"},
            "delivery": {"concurrency": 4},
            "scaling": {"minReplicas": 1, "maxReplicas": 1, "maxDelay": "30s"},
        })
    }

    /// Applies the KafkaConsumer `fleet`.
    pub async fn apply(&self, spec: Value) -> KafkaConsumer {
        self.try_apply("fleet", spec)
            .await
            .expect("apply the KafkaConsumer")
    }

    pub async fn try_apply(&self, name: &str, spec: Value) -> kube::Result<KafkaConsumer> {
        let object = json!({
            "apiVersion": "drover.dev/v1alpha1",
            "kind": "KafkaConsumer",
            "metadata": {"name": name},
            "spec": spec,
        });
        self.api::<KafkaConsumer>()
            .patch(
                name,
                &PatchParams::apply("e2e").force(),
                &Patch::Apply(&object),
            )
            .await
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn consumer(&self) -> anyhow::Result<KafkaConsumer> {
        Ok(self.api().get("fleet").await?)
    }

    /// Waits until this condition has this status, and returns it.
    pub async fn condition(&self, type_: &str, status: &str, deadline: Duration) -> Condition {
        self.said(type_, status, None, deadline).await
    }

    /// The same, for this reason: others may come before it.
    pub async fn condition_because(
        &self,
        type_: &str,
        status: &str,
        reason: &str,
        deadline: Duration,
    ) -> Condition {
        self.said(type_, status, Some(reason), deadline).await
    }

    /// What is said of an earlier generation does not count: the controller may not have seen the
    /// last change yet.
    async fn said(
        &self,
        type_: &str,
        status: &str,
        reason: Option<&str>,
        deadline: Duration,
    ) -> Condition {
        let find = |consumer: &KafkaConsumer| {
            let said = consumer.status.iter().flat_map(|status| &status.conditions);
            said.into_iter()
                .find(|condition| {
                    condition.type_ == type_
                        && condition.status == status
                        && reason.is_none_or(|reason| condition.reason == reason)
                        && condition.observed_generation == consumer.metadata.generation
                })
                .cloned()
        };
        let seen = wait::until(
            &format!("condition {type_}={status} {}", reason.unwrap_or_default()),
            deadline,
            || self.consumer(),
            |consumer| find(consumer).is_some(),
        )
        .await;
        find(&seen).expect("just seen")
    }

    /// The fleet's pods that are not on their way out.
    pub async fn pods(&self) -> anyhow::Result<Vec<Pod>> {
        let labelled = ListParams::default().labels("drover.dev/consumer=fleet");
        let mut pods = self.api::<Pod>().list(&labelled).await?.items;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(pods)
    }

    /// Waits until exactly `count` pods are ready and none is leaving or coming.
    pub async fn ready_pods(&self, count: usize, deadline: Duration) -> Vec<Pod> {
        wait::until(
            &format!("{count} ready pods"),
            deadline,
            || self.pods(),
            |pods| pods.len() == count && pods.iter().all(is_ready),
        )
        .await
    }

    /// Waits until the witness has seen this many records, and returns what it saw.
    pub async fn handled(&self, count: u64, deadline: Duration) -> Stats {
        wait::until(
            &format!("{count} handled records"),
            deadline,
            || self.witness.stats(),
            |stats| stats.handled >= count,
        )
        .await
    }

    /// Waits until everything of the topic is committed.
    pub async fn committed(&self, deadline: Duration) {
        let group = self.group();
        wait::until(
            "everything to be committed",
            deadline,
            || kafka::lag(&group, &self.topic),
            |lag| *lag == 0,
        )
        .await;
    }

    /// Removes the namespace; what is in it goes by itself.
    pub async fn end(self) {
        let _ = Api::<Namespace>::all(self.client.clone())
            .delete(&self.namespace, &DeleteParams::background())
            .await;
    }
}

pub fn is_ready(pod: &Pod) -> bool {
    pod.status
        .as_ref()
        .and_then(|status| status.conditions.as_ref())
        .is_some_and(|conditions| {
            conditions
                .iter()
                .any(|c| c.type_ == "Ready" && c.status == "True")
        })
}

/// An image of the build under test.
pub fn image(name: &str) -> String {
    let prefix = std::env::var("DROVER_IMAGES");
    format!("{}/{name}:dev", prefix.as_deref().unwrap_or("drover.local"))
}

/// A container's security context that Pod Security `restricted` accepts.
pub fn restricted() -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": 65532,
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// A typed object of JSON that the test itself wrote.
pub fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the test's own object")
}
