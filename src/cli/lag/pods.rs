//! Whether an owner's pod is still there: Kafka counts a worker that was killed as a member until its session is over.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::row::Row;
use crate::api::KafkaConsumer;
use crate::api::names::LABEL_CONSUMER;
use crate::cli::cluster::Cluster;
use crate::resources::selector_text;

/// Pods that have ended and are still kept are no owners.
const AT_WORK: &str = "status.phase!=Failed,status.phase!=Succeeded";

/// The pods of fleets that are there, by namespace and name.
pub(super) struct Pods(BTreeSet<(String, String)>);

impl Pods {
    /// Those of one KafkaConsumer. None where this user may not list them: then nothing is known of them.
    pub async fn of(cluster: &Cluster, consumer: &KafkaConsumer) -> Option<Self> {
        let namespace = consumer.namespace();
        let namespace = namespace.as_deref().unwrap_or(&cluster.namespace);
        let api = Api::namespaced(cluster.client.clone(), namespace);
        Self::list(&api, &selector_text(&consumer.name_any())).await
    }

    /// Those of all KafkaConsumers of the cluster, or of the namespace.
    pub async fn of_all(cluster: &Cluster, everywhere: bool) -> Option<Self> {
        let client = cluster.client.clone();
        let api = if everywhere {
            Api::all(client)
        } else {
            Api::namespaced(client, &cluster.namespace)
        };
        Self::list(&api, LABEL_CONSUMER).await
    }

    async fn list(api: &Api<Pod>, selector: &str) -> Option<Self> {
        let params = ListParams::default().labels(selector).fields(AT_WORK);
        let found = api.list_metadata(&params).await.ok()?;
        let name = |pod: &kube::core::PartialObjectMeta<Pod>| {
            (pod.namespace().unwrap_or_default(), pod.name_any())
        };
        Some(Self(found.items.iter().map(name).collect()))
    }

    /// Says of the owners whether they are there; true if one is not. Consumers of one's own call themselves what they like.
    pub fn look_for_owners(&self, consumer: &KafkaConsumer, rows: &mut [Row]) -> bool {
        if consumer.spec.handler.consumer.is_some() {
            return false;
        }
        let namespace = consumer.namespace().unwrap_or_default();
        let ours = format!("{}-", consumer.name_any());
        for row in &mut *rows {
            let Some(owner) = row.owner().filter(|owner| owner.starts_with(&ours)) else {
                continue;
            };
            let pod = (namespace.clone(), owner.to_owned());
            row.owner_is_gone = Some(!self.0.contains(&pod));
        }
        rows.iter().any(|row| row.owner_is_gone == Some(true))
    }
}
