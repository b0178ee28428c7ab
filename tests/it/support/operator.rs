//! The controller itself, in this process, against the real API server and librdkafka's mock of
//! Kafka, looking after one namespace of the test's own.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use drover::api::{KafkaConsumer, KafkaConsumerStatus};
use drover::controller::{self, Settings};
use drover::k8s::lease::Terms;
use drover::resources;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::{Client, Config, Resource};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::control_plane::{ControlPlane, control_plane};

/// How long anything may take to come about on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A namespace with a controller and a Kafka of its own.
pub struct Operator {
    pub client: Client,
    pub namespace: String,
    pub kafka: MockCluster<'static, DefaultProducerContext>,
    pub admin_address: SocketAddr,
    cluster: &'static ControlPlane,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Operator {
    /// On the control plane without controllers, with these topics of four partitions each.
    pub async fn start(topics: &[&str]) -> Self {
        Self::start_on(control_plane(), topics).await
    }

    pub async fn start_on(cluster: &'static ControlPlane, topics: &[&str]) -> Self {
        let mut operator = Self::prepare(cluster, topics).await;
        operator.run().await;
        operator
    }

    /// Everything but the controller.
    pub async fn prepare(cluster: &'static ControlPlane, topics: &[&str]) -> Self {
        let client = cluster.client().await;
        let namespace = cluster.namespace(&client).await;
        let kafka = MockCluster::new(1).unwrap();
        for topic in topics {
            kafka.create_topic(topic, 4, 1).unwrap();
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            client,
            namespace,
            kafka,
            admin_address: free.local_addr().unwrap(),
            cluster,
            running: None,
        }
    }

    /// Starts the controller.
    pub async fn run(&mut self) {
        let config = config(self.cluster).await;
        let settings = Settings {
            namespace: Some(self.namespace.clone()),
            lease_namespace: self.namespace.clone(),
            lease_name: "drover-controller".to_owned(),
            terms: Terms {
                duration: Duration::from_secs(3),
                renew_deadline: Duration::from_secs(2),
                retry: Duration::from_millis(200),
            },
            identity: format!("{}-controller", self.namespace),
            admin_address: self.admin_address,
            children: resources::Settings {
                worker_image: "drover.local/worker:1".to_owned(),
                image_pull_policy: None,
            },
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            controller::run(config, settings, stopped).await.unwrap();
        });
        self.running = Some((stop, task));
    }

    /// Stops the controller as SIGTERM would.
    pub async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            stop.cancel();
            task.await.unwrap();
        }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// KafkaConsumers, whatever is in them.
    pub fn raw(&self) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<KafkaConsumer>(&());
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// A spec that this Kafka can serve.
    pub fn spec(&self, topic: &str) -> Value {
        json!({
            "kafka": { "bootstrapServers": self.kafka.bootstrap_servers() },
            "topics": [topic],
            "handler": { "http": { "url": "http://users/kafka" } },
            "scaling": { "minReplicas": 0 },
        })
    }

    pub async fn create(&self, name: &str, spec: Value) -> KafkaConsumer {
        let consumer: KafkaConsumer = serde_json::from_value(json!({
            "apiVersion": "drover.dev/v1alpha1",
            "kind": "KafkaConsumer",
            "metadata": { "name": name },
            "spec": spec,
        }))
        .unwrap();
        let consumers = self.api::<KafkaConsumer>();
        consumers.create(&PostParams::default(), &consumer).await.unwrap()
    }

    /// Merges `patch` into the resource's spec.
    pub async fn change(&self, name: &str, patch: Value) {
        let patch = Patch::Merge(json!({ "spec": patch }));
        let consumers = self.api::<KafkaConsumer>();
        consumers.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    pub async fn status(&self, name: &str) -> KafkaConsumerStatus {
        let consumer = self.api::<KafkaConsumer>().get(name).await.unwrap();
        consumer.status.unwrap_or_default()
    }

    /// Waits until the condition has this status and reason.
    pub async fn condition(&self, name: &str, type_: &str, status: &str, reason: &str) -> Condition {
        let what = format!("{name} to be {type_}={status} {reason}");
        wait_for(&what, async || {
            let found = self.status(name).await;
            let condition = found.conditions.into_iter().find(|known| known.type_ == type_);
            match condition {
                Some(known) if known.status == status && known.reason == reason => Ok(known),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// Waits until an object satisfies `is`.
    pub async fn object<K>(&self, name: &str, what: &str, is: impl Fn(&K) -> bool) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let api = self.api::<K>();
        wait_for(what, async || match api.get_opt(name).await.unwrap() {
            Some(object) if is(&object) => Ok(object),
            other => Err(format!("{other:?}")),
        })
        .await
    }

    /// Says what the Deployment controller would say once all pods run.
    pub async fn settle(&self, name: &str) {
        let api = self.api::<Deployment>();
        let deployment = api.get(name).await.unwrap();
        let replicas = deployment.spec.replicas;
        let status = DeploymentStatus {
            observed_generation: deployment.metadata.generation,
            replicas,
            ready_replicas: replicas,
            updated_replicas: replicas,
            available_replicas: replicas,
            ..Default::default()
        };
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Every write to this namespace that the controller made, as `verb resource/subresource name`, from the
    /// API server's audit log; the Lease's are not among them.
    pub fn writes(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.cluster.folder().join("audit.log")).unwrap();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| {
                let object = &event["objectRef"];
                let resource = object["resource"].as_str().unwrap_or_default();
                object["namespace"] == self.namespace.as_str()
                    && event["userAgent"] == CONTROLLER_AGENT
                    && resource != "leases"
            })
            .map(|event| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let object = &event["objectRef"];
                format!(
                    "{} {}/{} {}",
                    text(&event["verb"]),
                    text(&object["resource"]),
                    text(&object["subresource"]),
                    text(&object["name"]),
                )
            })
            .collect()
    }
}

/// Tells the controller's writes from the test's own.
const CONTROLLER_AGENT: &str = "drover-controller-under-test";

async fn config(cluster: &ControlPlane) -> Config {
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    let agent = http::HeaderValue::from_static(CONTROLLER_AGENT);
    config.headers.push((http::header::USER_AGENT, agent));
    config
}

/// Asks until the answer is good; says what was waited for and the last bad answer otherwise.
pub async fn wait_for<T>(what: &str, ask: impl AsyncFn() -> Result<T, String>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(last) if tokio::time::Instant::now() > deadline => {
                panic!("waited for {what}; last: {last}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
