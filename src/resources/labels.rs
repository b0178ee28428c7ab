//! Names, labels and owner of every child.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::names::{APP_NAME, LABEL_CONSUMER, MANAGED_BY};
use crate::fleet::{Fleet, Handler};

const NAME: &str = "app.kubernetes.io/name";
const INSTANCE: &str = "app.kubernetes.io/instance";

/// The labels that select a fleet's pods. They can never change: a Deployment's selector cannot.
pub fn selector(consumer: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(LABEL_CONSUMER.to_owned(), consumer.to_owned())])
}

/// [`selector`] as `status.selector` and list calls take it.
pub fn selector_text(consumer: &str) -> String {
    format!("{LABEL_CONSUMER}={consumer}")
}

/// All labels of every child. All but the selector's may change from version to version.
pub(super) fn labels(fleet: &Fleet) -> BTreeMap<String, String> {
    let mut labels = selector(&fleet.name);
    let app = match fleet.handler {
        Handler::Url(_) | Handler::Port { .. } | Handler::Socket { .. } | Handler::Exec { .. } => {
            APP_NAME
        }
        Handler::Consumer { .. } => "kafka-consumer",
    };
    for (name, value) in [
        (NAME, app),
        (INSTANCE, fleet.name.as_str()),
        ("app.kubernetes.io/managed-by", MANAGED_BY),
    ] {
        labels.insert(name.to_owned(), value.to_owned());
    }
    labels
}

/// Those of [`labels`] by which the controller and what the chart installs find pods. A template cannot
/// change them; that of a consumer of the user's own may name its app.
pub(super) fn found_by(fleet: &Fleet) -> BTreeMap<String, String> {
    let own_consumer = matches!(fleet.handler, Handler::Consumer { .. });
    let mut labels = labels(fleet);
    labels.remove(INSTANCE);
    if own_consumer {
        labels.remove(NAME);
    }
    labels
}

/// The metadata of every child: the KafkaConsumer's own name, its labels and its ownership.
pub(super) fn child_meta(fleet: &Fleet) -> ObjectMeta {
    ObjectMeta {
        name: Some(fleet.name.clone()),
        namespace: Some(fleet.namespace.clone()),
        labels: Some(labels(fleet)),
        owner_references: Some(vec![OwnerReference {
            api_version: "drover.dev/v1alpha1".to_owned(),
            kind: "KafkaConsumer".to_owned(),
            name: fleet.name.clone(),
            uid: fleet.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..ObjectMeta::default()
    }
}
