//! The API server, the CRD, our rights, and the controller that leads.

use std::collections::BTreeSet;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use serde_json::Value;

use super::chain::Chain;
use crate::api;
use crate::cli::cluster::Cluster;
use crate::cli::leadership::{Leadership, leadership, leases, looked_after};
use crate::clock;

const CRD: &str = "kafkaconsumers.drover.dev";
const REPLAYS_CRD: &str = "deadletterreplays.drover.dev";

/// False where nothing further can be found out. Our rights are looked at in one namespace, or in all.
pub(super) async fn look(
    cluster: &Cluster,
    rights_in: Option<&str>,
    controller_namespace: Option<&str>,
    chain: &mut Chain,
) -> bool {
    match cluster.client.apiserver_version().await {
        Ok(version) => chain.well(
            "API server",
            &format!("{} at {}", version.git_version, cluster.server),
        ),
        Err(error) => {
            chain.wrong(
                "API server",
                &format!("{:#}", cluster.unanswered_of("/version", error)),
            );
            return false;
        }
    }
    let installed = crd(cluster, chain).await;
    rights(cluster, rights_in, chain).await;
    controller(cluster, controller_namespace, chain).await;
    installed
}

async fn crd(cluster: &Cluster, chain: &mut Chain) -> bool {
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let found = match crds.get_opt(CRD).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            chain.wrong("CRD", "KafkaConsumers are not installed; install Drover: helm install drover charts/drover, or these alone: drover crd | kubectl apply --server-side -f -");
            return false;
        }
        Err(kube::Error::Api(answer)) if answer.code == 403 => {
            chain.unknown("CRD", "this user may not read CustomResourceDefinitions");
            return true;
        }
        Err(error) => {
            chain.unknown(
                "CRD",
                &format!(
                    "{:#}",
                    cluster.unanswered_of("customresourcedefinitions.apiextensions.k8s.io", error)
                ),
            );
            return true;
        }
    };
    let conditions = found
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let is = |kind: &str| {
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|found| found.type_ == kind && found.status == "True")
    };
    if !is("Established") {
        chain.wrong("CRD", "the API server does not serve it yet; see kubectl describe crd kafkaconsumers.drover.dev");
        return false;
    }
    match missing(&found, &api::crd()) {
        None if !has_replays(&crds).await => chain.wrong("CRD", "DeadLetterReplays are not installed; install them: drover crd deadletterreplays | kubectl apply --server-side -f -"),
        None => chain.well("CRD", "installed, of this version"),
        Some(field) => chain.wrong(
            "CRD",
            &format!("it is of another version than this program, {field} differs; bring both to one version: {}", of_this_version(&found)),
        ),
    }
    true
}

/// The command that brings the CRD to this program's version, for who owns it: Helm's fields are Helm's to change.
fn of_this_version(found: &CustomResourceDefinition) -> String {
    let owner = found.labels().get("app.kubernetes.io/managed-by");
    if owner.is_none_or(|owner| owner != "Helm") {
        return "drover crd | kubectl apply --server-side -f -".to_owned();
    }
    let said = |name: &str| found.annotations().get(name);
    let release = said("meta.helm.sh/release-name").map_or("drover", String::as_str);
    let namespace = said("meta.helm.sh/release-namespace");
    let namespace = namespace.map_or_else(String::new, |name| format!(" --namespace {name}"));
    format!(
        "helm upgrade {release} charts/drover{namespace} --reset-then-reuse-values, with the chart of this version"
    )
}

/// False only if it is known that there are none: what cannot be read may be there.
async fn has_replays(crds: &Api<CustomResourceDefinition>) -> bool {
    !matches!(crds.get_opt(REPLAYS_CRD).await, Ok(None))
}

/// The first field that only one of the two schemas has. Names only: the API server writes the rest
/// in its own way.
fn missing(theirs: &CustomResourceDefinition, ours: &CustomResourceDefinition) -> Option<String> {
    let names = |crd: &CustomResourceDefinition| {
        let versions = serde_json::to_value(&crd.spec.versions).unwrap_or_default();
        let mut names = BTreeSet::new();
        collect(&versions[0]["schema"]["openAPIV3Schema"], "", &mut names);
        names
    };
    let (theirs, ours) = (names(theirs), names(ours));
    theirs.symmetric_difference(&ours).next().cloned()
}

fn collect(schema: &Value, path: &str, names: &mut BTreeSet<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        collect(inner, &path, names);
        names.insert(path);
    }
    if schema["items"].is_object() {
        collect(&schema["items"], &format!("{path}[]"), names);
    }
}

/// What people do with KafkaConsumers.
async fn rights(cluster: &Cluster, namespace: Option<&str>, chain: &mut Chain) {
    let mut lacking = Vec::new();
    for verb in ["get", "list", "patch"] {
        match may(cluster, namespace, verb).await {
            Ok(true) => {}
            Ok(false) => lacking.push(verb),
            Err(error) => {
                let why = format!(
                    "{:#}",
                    cluster.unanswered_of("selfsubjectaccessreviews.authorization.k8s.io", error)
                );
                return chain.unknown("your rights", &why);
            }
        }
    }
    let namespace = namespace.unwrap_or("all namespaces");
    match lacking.as_slice() {
        [] => chain.well(
            "your rights",
            &format!("get, list and patch KafkaConsumers in {namespace}"),
        ),
        // Who only looks is not ill.
        ["patch"] => chain.well(
            "your rights",
            &format!(
                "get and list KafkaConsumers in {namespace}; drover pause, resume and skip would need the ClusterRole that ends with drover-controller-edit"
            ),
        ),
        lacking => {
            let lacking = lacking.join(", ");
            let says = format!(
                "you may not {lacking} kafkaconsumers.drover.dev in {namespace}; ask for the ClusterRole that ends with drover-controller-edit"
            );
            chain.wrong("your rights", &says);
        }
    }
}

async fn may(cluster: &Cluster, namespace: Option<&str>, verb: &str) -> Result<bool, kube::Error> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                // None means all.
                namespace: namespace.map(str::to_owned),
                verb: Some(verb.to_owned()),
                group: Some("drover.dev".to_owned()),
                resource: Some("kafkaconsumers".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Somebody holds the Lease and renews it.
async fn controller(cluster: &Cluster, namespace: Option<&str>, chain: &mut Chain) {
    let what = "controller";
    let ours = match leases(cluster, namespace).await {
        Ok(ours) => ours,
        Err(kube::Error::Api(answer)) if answer.code == 403 => {
            return chain.unknown(what, "this user may not list Leases; name its namespace with --controller-namespace, or ask somebody who may");
        }
        Err(error) => {
            return chain.unknown(
                what,
                &format!(
                    "{:#}",
                    cluster.unanswered_of("leases.coordination.k8s.io", error)
                ),
            );
        }
    };
    if ours.is_empty() {
        return chain.wrong(what, "no controller has ever led here (there is no Lease drover-controller); install it: helm install drover charts/drover");
    }
    let now = clock::now();
    let leads = |lease: &&Lease| leadership(lease, now).leads;
    let leaders = ours.iter().filter(leads).count();
    let some = leaders > 0;
    for lease in &ours {
        let what = format!("controller in {}", lease.namespace().unwrap_or_default());
        let Leadership { leads, mut says } = leadership(lease, now);
        if let Some(named) = looked_after(lease).filter(|_| leads) {
            says = format!("{says}; it looks after {}", named.join(", "));
        }
        match leads {
            true if leaders > 1 => chain.unknown(&what, &format!("{says}; {leaders} installations lead, which is well only if no namespace is looked after by two of them (the chart's value namespaces)")),
            true => chain.well(&what, &says),
            // One that has gone leaves its Lease behind.
            false if some => {
                let name = lease.name_any();
                let namespace = lease.namespace().unwrap_or_default();
                chain.unknown(&what, &format!("{says}; another one leads, so if this one was removed: kubectl -n {namespace} delete lease {name}"));
            }
            false => chain.wrong(&what, &says),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_made_the_definition_brings_it_to_this_version() {
        let mut found = api::crd();
        let plain = "drover crd | kubectl apply --server-side -f -";
        assert_eq!(of_this_version(&found), plain);
        let labels = found.metadata.labels.get_or_insert_default();
        labels.insert("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned());
        let annotations = found.metadata.annotations.get_or_insert_default();
        for (name, value) in [("name", "events"), ("namespace", "platform")] {
            annotations.insert(format!("meta.helm.sh/release-{name}"), value.to_owned());
        }
        let said = of_this_version(&found);
        let upgrade = "helm upgrade events charts/drover --namespace platform";
        assert!(said.starts_with(upgrade), "{said}");
    }
}
