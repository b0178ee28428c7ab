//! The roles for people, at a real API server: what who has `view`, `edit` or `admin` may do with fleets.

use std::fmt::Debug;

use drover::api::{DeadLetterReplay, KafkaConsumer};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRole, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::{objects, one, release};
use crate::support::consumers::{http_url, typed, with};
use crate::support::control_plane::{ControlPlane, control_plane_with_controllers};
use crate::support::operator::wait_for;

/// Not `drover`: other tests install a release of that name.
const RELEASE: &str = "people";

/// A namespace with a fleet and a Secret, in a cluster that has the chart's roles.
struct Stage {
    cluster: &'static ControlPlane,
    client: Client,
    namespace: String,
}

impl Stage {
    async fn new() -> Self {
        let cluster = control_plane_with_controllers();
        let client = cluster.client().await;
        let namespace = cluster.namespace(&client).await;
        let stage = Self {
            cluster,
            client,
            namespace,
        };
        let output = release(RELEASE, "people-system", &[]);
        let chart = objects(std::str::from_utf8(&output.stdout).unwrap());
        let roles = Api::<ClusterRole>::all(stage.client.clone());
        for role in ["view", "edit"].map(ours) {
            let written = Patch::Apply(one(&chart, "ClusterRole", &role));
            let params = PatchParams::apply("helm").force();
            roles.patch(&role, &params, &written).await.unwrap();
        }
        let secret = json!({ "metadata": { "name": "keys" }, "stringData": { "k": "v" } });
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let secrets = stage.api::<Secret>(&stage.client);
        let params = PostParams::default();
        secrets.create(&params, &secret).await.unwrap();
        let fleets = stage.api::<KafkaConsumer>(&stage.client);
        fleets.create(&params, &fleet("there")).await.unwrap();
        stage
    }

    fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(client.clone(), &self.namespace)
    }

    /// Somebody who has this ClusterRole in the namespace, and nothing else.
    async fn somebody_with(&self, role: &str) -> Client {
        let user = format!("somebody-with-{role}-in-{}", self.namespace);
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": { "name": role },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
        }))
        .unwrap();
        let bindings = self.api::<RoleBinding>(&self.client);
        let bound = bindings.create(&PostParams::default(), &binding).await;
        bound.unwrap();

        let kubeconfig = Kubeconfig::read_from(self.cluster.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        config.auth_info.impersonate = Some(user);
        let client = Client::try_from(config).unwrap();
        // The controller manager puts `view`, `edit` and `admin` together, and the API server hears of it and of the
        // binding, in a moment.
        let fleets = self.api::<KafkaConsumer>(&client);
        wait_for(&format!("the rights of {role}"), async || {
            match may(fleets.list(&ListParams::default()).await) {
                true => Ok(()),
                false => Err("not yet".to_owned()),
            }
        })
        .await;
        client
    }
}

/// What a role of the chart is called.
fn ours(role: &str) -> String {
    format!("{RELEASE}-drover-controller-{role}")
}

fn fleet(name: &str) -> KafkaConsumer {
    let document = with(http_url(), "/metadata", json!({ "name": name }));
    // The scale of one without a size cannot be got.
    let document = with(document, "/spec/scaling/mode", json!("Manual"));
    typed(&with(document, "/spec/replicas", json!(1)))
}

fn replay(name: &str) -> DeadLetterReplay {
    serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "DeadLetterReplay",
        "metadata": { "name": name }, "spec": { "consumerRef": { "name": "there" } },
    }))
    .unwrap()
}

/// Whether the API server let somebody do it.
fn may<T: Debug>(outcome: kube::Result<T>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(kube::Error::Api(status)) if status.code == 403 => false,
        Err(error) => panic!("{error}"),
    }
}

fn paused() -> Patch<Value> {
    Patch::Merge(json!({ "spec": { "paused": true } }))
}

#[tokio::test]
async fn who_has_view_sees_fleets_and_changes_nothing() {
    let stage = Stage::new().await;
    let (create, patch) = (PostParams::default(), PatchParams::default());
    for role in ["view".to_owned(), ours("view")] {
        let client = stage.somebody_with(&role).await;
        let fleets = stage.api::<KafkaConsumer>(&client);
        let replays = stage.api::<DeadLetterReplay>(&client);
        assert!(may(fleets.get("there").await), "{role}");
        assert!(may(fleets.get_status("there").await), "{role}");
        assert!(may(fleets.get_scale("there").await), "{role}");
        assert!(may(replays.list(&ListParams::default()).await), "{role}");

        assert!(!may(fleets.create(&create, &fleet("new")).await), "{role}");
        assert!(!may(fleets.patch("there", &patch, &paused()).await));
        let scale = Patch::Merge(json!({ "spec": { "replicas": 2 } }));
        assert!(!may(fleets.patch_scale("there", &patch, &scale).await));
        let gone = fleets.delete("there", &DeleteParams::default()).await;
        assert!(!may(gone), "{role}");
        assert!(!may(replays.create(&create, &replay("new")).await));
        let secrets = stage.api::<Secret>(&client);
        assert!(!may(secrets.get("keys").await), "{role}");
    }
}

#[tokio::test]
async fn who_has_edit_or_admin_makes_pauses_scales_and_deletes_fleets_and_replays() {
    let stage = Stage::new().await;
    let elsewhere = stage.cluster.namespace(&stage.client).await;
    let (create, patch) = (PostParams::default(), PatchParams::default());
    for role in ["edit".to_owned(), "admin".to_owned(), ours("edit")] {
        let client = stage.somebody_with(&role).await;
        let fleets = stage.api::<KafkaConsumer>(&client);
        let replays = stage.api::<DeadLetterReplay>(&client);
        let name = format!("by-{role}");
        // The role that only sees may have flowed in before the one that changes.
        wait_for(&format!("{role} to create"), async || {
            match may(fleets.create(&create, &fleet(&name)).await) {
                true => Ok(()),
                false => Err("not yet".to_owned()),
            }
        })
        .await;
        assert!(may(fleets.patch(&name, &patch, &paused()).await), "{role}");
        assert!(fleets.get(&name).await.unwrap().spec.paused, "{role}");
        let scale = Patch::Merge(json!({ "spec": { "replicas": 2 } }));
        let scaled = fleets.patch_scale(&name, &patch, &scale).await;
        assert!(may(scaled), "{role}");
        assert!(may(replays.create(&create, &replay(&name)).await));
        let delete = DeleteParams::default();
        assert!(may(replays.delete(&name, &delete).await), "{role}");
        assert!(may(fleets.delete(&name, &delete).await), "{role}");

        // Who writes a status tells people untruths.
        let status = Patch::Merge(json!({ "status": { "replicas": 7 } }));
        let told = fleets.patch_status("there", &patch, &status).await;
        assert!(!may(told), "{role}");
        let theirs = Api::<KafkaConsumer>::namespaced(client, &elsewhere);
        assert!(!may(theirs.list(&ListParams::default()).await), "{role}");
    }
}

/// Kubernetes' own `edit` has them; of ours nobody has what it does not bring.
#[tokio::test]
async fn our_roles_bring_neither_secrets_nor_pods() {
    let stage = Stage::new().await;
    for role in ["view", "edit"].map(ours) {
        let client = stage.somebody_with(&role).await;
        let (secrets, pods) = (stage.api::<Secret>(&client), stage.api::<Pod>(&client));
        let deployments = stage.api::<Deployment>(&client);
        let all = ListParams::default();
        assert!(!may(secrets.get("keys").await), "{role}");
        assert!(!may(secrets.list(&all).await), "{role}");
        assert!(!may(pods.list(&all).await), "{role}");
        assert!(!may(deployments.list(&all).await), "{role}");
    }
}
