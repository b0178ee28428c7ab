//! The controller itself, in this process, against the real API server and librdkafka's mock of
//! Kafka, looking after one namespace of the test's own.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use drover::api::{KafkaConsumer, KafkaConsumerStatus};
use drover::controller::{self, Settings};
use drover::k8s::lease::Terms;
use drover::kafka::admin::Admin;
use drover::resources;
use drover::topic::TopicPartition;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind, NamespaceResourceScope};
use kube::{Client, Config, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::lag_admin::Mock;

use super::audit::AuditLog;
use super::control_plane::{ControlPlane, control_plane_with_controllers};

/// How long anything may take to come about on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A namespace with a controller and a Kafka of its own.
pub struct Operator {
    pub client: Client,
    pub namespace: String,
    pub kafka: Mock,
    pub admin_address: SocketAddr,
    /// Which namespaces the controller looks after.
    pub namespaces: Vec<String>,
    /// Which hosts it may fetch OAuth tokens from; none for any but this machine.
    pub token_hosts: Vec<String>,
    /// As whom it asks the API server.
    pub who: String,
    /// What the API server noted of the namespace.
    pub audit: AuditLog,
    cluster: &'static ControlPlane,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Operator {
    /// With these topics of four partitions each.
    pub async fn start(topics: &[&str]) -> Self {
        let mut operator = Self::prepare(topics).await;
        operator.run().await;
        operator
    }

    /// Everything but the controller, which will have the rights that the manifests give it.
    pub async fn prepare(topics: &[&str]) -> Self {
        let cluster = control_plane_with_controllers();
        let client = cluster.client().await;
        let namespace = cluster.namespace(&client).await;
        grant(&client, &namespace).await;
        let kafka = rdkafka::mocking::MockCluster::new(1).unwrap();
        for topic in topics {
            kafka.create_topic(topic, 4, 1).unwrap();
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            client,
            audit: AuditLog::new(cluster, &namespace),
            namespaces: vec![namespace.clone()],
            namespace,
            kafka,
            admin_address: free.local_addr().unwrap(),
            token_hosts: Vec::new(),
            who: CONTROLLER.to_owned(),
            cluster,
            running: None,
        }
    }

    /// Starts the controller.
    pub async fn run(&mut self) {
        let config = self.config().await;
        self.run_with(config);
    }

    /// How the controller reaches the API server, and with which rights.
    pub async fn config(&self) -> Config {
        config(self.cluster, &self.who).await
    }

    /// The control plane that the namespace is in.
    pub fn cluster(&self) -> &'static ControlPlane {
        self.cluster
    }

    /// Starts the controller with a configuration of the test's.
    pub fn run_with(&mut self, config: Config) {
        super::show_logs();
        let settings = Settings {
            namespaces: self.namespaces.clone(),
            lease_namespace: self.namespace.clone(),
            lease_name: "drover-controller".to_owned(),
            // On a busy machine an API server may take seconds: what a test says of a controller must not
            // come to depend on whether it still leads.
            terms: Terms {
                retry: Duration::from_millis(200),
                ..Terms::default()
            },
            identity: format!("{}-controller", self.namespace),
            admin_address: self.admin_address,
            token_hosts: self.token_hosts.clone(),
            state_dir: None,
            children: resources::Settings {
                worker_image: "drover.local/worker:1".to_owned(),
                image_pull_policy: None,
                user_by_platform: false,
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
        consumers
            .create(&PostParams::default(), &consumer)
            .await
            .unwrap()
    }

    /// Merges `patch` into the resource's spec.
    pub async fn change(&self, name: &str, patch: Value) {
        let patch = Patch::Merge(json!({ "spec": patch }));
        let consumers = self.api::<KafkaConsumer>();
        consumers
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub async fn status(&self, name: &str) -> KafkaConsumerStatus {
        let consumer = self.api::<KafkaConsumer>().get(name).await.unwrap();
        consumer.status.unwrap_or_default()
    }

    /// Waits until the condition has this status and reason.
    pub async fn condition(
        &self,
        name: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> Condition {
        let what = format!("{name} to be {type_}={status} {reason}");
        wait_for(&what, async || {
            let found = self.status(name).await;
            let condition = found
                .conditions
                .into_iter()
                .find(|known| known.type_ == type_);
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

    /// From now on says what a kubelet would of pods that run. Ends with the test's runtime.
    pub fn play_kubelet(&self) {
        let pods = self.api::<Pod>();
        tokio::spawn(async move {
            loop {
                let running = json!({ "status": {
                    "phase": "Running",
                    "conditions": [{ "type": "Ready", "status": "True" }],
                }});
                for pod in pods.list(&ListParams::default()).await.unwrap() {
                    let phase = pod
                        .status
                        .as_ref()
                        .and_then(|status| status.phase.as_deref());
                    if phase != Some("Running") {
                        let patch = Patch::Merge(&running);
                        // It may be gone already.
                        let _ = pods
                            .patch_status(&pod.name_any(), &PatchParams::default(), &patch)
                            .await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }

    /// Events about a resource, as `reason: note`.
    pub async fn events(&self, name: &str) -> Vec<String> {
        let events = self
            .api::<Event>()
            .list(&ListParams::default())
            .await
            .unwrap();
        let about = events.into_iter().filter(|event| {
            event
                .regarding
                .as_ref()
                .and_then(|regarding| regarding.name.as_deref())
                == Some(name)
                && event.reporting_controller.as_deref() == Some("drover-controller")
        });
        about
            .map(|event| {
                let series = event.series.map_or(1, |series| series.count);
                let text = format!(
                    "{}: {}",
                    event.reason.unwrap_or_default(),
                    event.note.unwrap_or_default()
                );
                if series == 1 {
                    text
                } else {
                    format!("{text} (x{series})")
                }
            })
            .collect()
    }

    /// Waits for an event with this reason; returns all of that reason.
    pub async fn event(&self, name: &str, reason: &str) -> Vec<String> {
        let prefix = format!("{reason}: ");
        wait_for(&format!("the event {reason}"), async || {
            let all = self.events(name).await;
            let found: Vec<String> = all
                .iter()
                .filter(|text| text.starts_with(&prefix))
                .cloned()
                .collect();
            if found.is_empty() {
                Err(format!("{all:#?}"))
            } else {
                Ok(found)
            }
        })
        .await
    }

    /// What the group has committed, by partition.
    pub async fn committed(&self, group: &str, topic: &str) -> Vec<Option<i64>> {
        committed(&self.kafka.bootstrap_servers(), group, topic).await
    }

    /// A metric's values by their labels, as `/metrics` shows them.
    pub async fn metric(&self, name: &str) -> BTreeMap<String, f64> {
        let text = self.get("/metrics").await.1;
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines
            .filter_map(|rest| {
                let (labels, value) = rest.rsplit_once(' ')?;
                let labels = labels
                    .strip_prefix('{')
                    .map_or(Some(labels), |rest| rest.strip_suffix('}'))?;
                Some((labels.to_owned(), value.parse().ok()?))
            })
            .collect()
    }

    /// Status and body of a page of the admin port.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin_address).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }

    /// Waits until the controller has written nothing for `quiet`.
    pub async fn rest(&self, quiet: Duration) {
        let mut writes = self.writes().len();
        let mut since = tokio::time::Instant::now();
        let deadline = since + PATIENCE + quiet;
        while since.elapsed() < quiet {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = self.writes().len();
            if now != writes {
                (writes, since) = (now, tokio::time::Instant::now());
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "it goes on writing: {:#?}",
                self.writes()
            );
        }
    }

    /// Every write to this namespace that the controller made, as `verb resource/subresource name`, from the
    /// API server's audit log; the Lease's are not among them.
    pub fn writes(&self) -> Vec<String> {
        let entries = self.audit.entries().into_iter();
        let ours = entries.filter(|entry| {
            entry["userAgent"] == CONTROLLER_AGENT && entry["objectRef"]["resource"] != "leases"
        });
        ours.map(|entry| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let object = &entry["objectRef"];
            format!(
                "{} {}/{} {}",
                text(&entry["verb"]),
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

/// Who the controller is, as the manifests name it.
pub const CONTROLLER: &str = "system:serviceaccount:drover-system:drover-controller";

/// Applies the roles of `deploy/controller.yaml`; those of its own namespace to `namespace`.
async fn grant(client: &Client, namespace: &str) {
    let params = PatchParams::apply("drover-tests").force();
    for document in include_str!("../../../deploy/controller.yaml").split("\n---\n") {
        let mut object: DynamicObject = serde_saphyr::from_str(document).unwrap();
        let kind = object.types.as_ref().unwrap().kind.clone();
        let gvk = GroupVersionKind::gvk("rbac.authorization.k8s.io", "v1", &kind);
        let resource = ApiResource::from_gvk(&gvk);
        let api: Api<DynamicObject> = match kind.as_str() {
            "ClusterRole" | "ClusterRoleBinding" => Api::all_with(client.clone(), &resource),
            "Role" | "RoleBinding" => {
                object.metadata.namespace = Some(namespace.to_owned());
                Api::namespaced_with(client.clone(), namespace, &resource)
            }
            _ => continue,
        };
        let name = object.name_any();
        api.patch(&name, &params, &Patch::Apply(&object))
            .await
            .unwrap();
    }
}

async fn config(cluster: &ControlPlane, who: &str) -> Config {
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    let agent = http::HeaderValue::from_static(CONTROLLER_AGENT);
    config.headers.push((http::header::USER_AGENT, agent));
    config.auth_info.impersonate = Some(who.to_owned());
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

/// What the group has committed at these brokers, by partition.
pub async fn committed(servers: &str, group: &str, topic: &str) -> Vec<Option<i64>> {
    let admin = Admin::open(servers, &BTreeMap::new()).unwrap();
    let partitions: Vec<_> = (0..4)
        .map(|number| TopicPartition::new(topic, number))
        .collect();
    let answers = admin
        .committed(group, &partitions, Duration::from_secs(5))
        .await
        .unwrap();
    let committed = answers.into_values().map(|answer| answer.unwrap().offset);
    committed
        .map(|offset| offset.map(|offset| offset.0))
        .collect()
}
