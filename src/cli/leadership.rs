//! Who leads, and of which namespaces: the Leases by which controllers say so, as far as they may be read.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::cluster::Cluster;
use super::columns::ago;
use super::fit::wrapped_lines;
use super::output;
use crate::api::KafkaConsumer;
use crate::api::names::{ALL_NAMESPACES, ANNOTATION_NAMESPACES};
use crate::plural::noun;

/// What the name of the controller's Lease ends with, in every way of installing it.
const LEASE: &str = "drover-controller";
/// Where each node has one.
const NOT_OF_NODES: &str = "metadata.namespace!=kube-node-lease";

/// What a Lease says.
pub(super) struct Leadership {
    /// Somebody holds it and renews it.
    pub leads: bool,
    /// Who, or what became of it.
    pub says: String,
}

/// The controllers' Leases, of a namespace or of all.
pub(super) async fn leases(
    cluster: &Cluster,
    namespace: Option<&str>,
) -> Result<Vec<Lease>, kube::Error> {
    let api: Api<Lease> = match namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    let listed = api
        .list(&ListParams::default().fields(NOT_OF_NODES))
        .await?;
    let is_ours = |lease: &Lease| lease.name_any().ends_with(LEASE);
    Ok(listed.items.into_iter().filter(is_ours).collect())
}

/// Whether somebody leads by this Lease.
pub(super) fn leadership(lease: &Lease, now: Timestamp) -> Leadership {
    let nobody = |says: String| Leadership { leads: false, says };
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    let Some(holder) = holder else {
        return nobody("nobody leads; see that its pods run and are ready".to_owned());
    };
    let Some(renewed) = spec.renew_time.map(|time| time.0) else {
        return nobody(format!(
            "{holder} holds the Lease and never renewed it; see its log"
        ));
    };
    let lasts = i64::from(spec.lease_duration_seconds.unwrap_or(15));
    let silent = now.duration_since(renewed).as_secs();
    let since = ago(renewed, now);
    // Clocks differ; twice the Lease is more than that.
    if silent > lasts * 2 {
        return nobody(format!(
            "{holder} led, and is silent since {since}; see that its pods run and reach the API server"
        ));
    }
    Leadership {
        leads: true,
        says: format!("{holder} leads, last heard of {since} ago"),
    }
}

/// The namespaces that the holder of this Lease looks after; none where it looks after all, or does not say.
pub(super) fn looked_after(lease: &Lease) -> Option<Vec<&str>> {
    let named = lease.annotations().get(ANNOTATION_NAMESPACES)?;
    (named != ALL_NAMESPACES).then(|| named.split(',').collect())
}

/// What comes of it where no controller leads, or none that looks after a namespace.
#[derive(Clone, Copy, Debug)]
pub(super) enum Consequence {
    /// Of what a controller wrote before.
    MayBeOld,
    /// Of what was asked for.
    NothingActs,
}

impl Consequence {
    fn says(self) -> &'static str {
        match self {
            Self::MayBeOld => "what is shown may be old",
            Self::NothingActs => "nothing acts on it yet",
        }
    }
}

/// That no controller that leads looks after these fleets, with what to do; none where one does, and where this user
/// may not know.
pub(super) async fn vacancy(
    cluster: &Cluster,
    consequence: Consequence,
    fleets: &[KafkaConsumer],
    now: Timestamp,
) -> Option<String> {
    let leases = leases(cluster, None).await.ok()?;
    vacant(&leases, consequence, fleets, now)
}

/// Says it beside what is shown, which may go to a program.
pub(super) fn say(vacancy: &str) {
    let line = format!("drover: {vacancy}");
    eprintln!("{}", wrapped_lines(&line, output::width()));
}

/// As [`vacancy`], by these Leases.
pub(super) fn vacant(
    leases: &[Lease],
    consequence: Consequence,
    fleets: &[KafkaConsumer],
    now: Timestamp,
) -> Option<String> {
    let what = consequence.says();
    let leads = |lease: &&Lease| leadership(lease, now).leads;
    let leading: Vec<&Lease> = leases.iter().filter(leads).collect();
    if !leading.is_empty() {
        return unattended(&leading, fleets).map(|why| format!("{what}, since {why}"));
    }
    let renewed = |lease: &&Lease| Some(lease.spec.as_ref()?.renew_time.as_ref()?.0);
    let Some(last) = leases.iter().max_by_key(renewed) else {
        return Some(format!(
            "{what}, since no controller leads, and none ever did (there is no Lease {LEASE}); install it: helm install drover charts/drover"
        ));
    };
    let namespace = last.namespace().unwrap_or_default();
    Some(format!(
        "{what}, since no controller leads: {}: kubectl -n {namespace} get pods -l app.kubernetes.io/name={LEASE}, and drover doctor",
        leadership(last, now).says
    ))
}

/// That some of these fleets are in namespaces that no controller looks after, of those whose Lease is in this namespace,
/// or in any; none where that is not known.
pub(super) async fn neglect(
    cluster: &Cluster,
    controllers_in: Option<&str>,
    fleets: &[KafkaConsumer],
    now: Timestamp,
) -> Option<String> {
    let leases = leases(cluster, controllers_in).await.ok()?;
    let leads = |lease: &&Lease| leadership(lease, now).leads;
    unattended(&leases.iter().filter(leads).collect::<Vec<_>>(), fleets)
}

/// That some of these fleets are in namespaces that none of those who lead looks after; none where one does not say.
fn unattended(leading: &[&Lease], fleets: &[KafkaConsumer]) -> Option<String> {
    let named: Option<Vec<_>> = leading.iter().map(|lease| looked_after(lease)).collect();
    let named: BTreeSet<&str> = named?.into_iter().flatten().collect();
    if leading.is_empty() {
        return None;
    }
    let namespaces = fleets.iter().filter_map(|fleet| fleet.namespace());
    let left: BTreeSet<String> = namespaces
        .filter(|namespace| !named.contains(namespace.as_str()))
        .collect();
    if left.is_empty() {
        return None;
    }
    let listed = |names: Vec<&str>| names.join(", ");
    let homes = leading.iter().filter_map(|lease| lease.namespace());
    let homes: BTreeSet<String> = homes.collect();
    Some(format!(
        "no controller looks after {} {} (the one in {} looks after {}); add it there to the chart's value namespaces",
        noun("namespace", left.len()),
        listed(left.iter().map(String::as_str).collect()),
        listed(homes.iter().map(String::as_str).collect()),
        listed(named.into_iter().collect()),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lease(namespace: &str, spec: Value) -> Lease {
        serde_json::from_value(json!({
            "metadata": { "name": "drover-controller", "namespace": namespace }, "spec": spec,
        }))
        .unwrap()
    }

    fn held(namespace: &str, renewed: &str) -> Lease {
        let spec = json!({ "holderIdentity": "controller-0", "leaseDurationSeconds": 15, "renewTime": renewed });
        lease(namespace, spec)
    }

    fn now() -> Timestamp {
        "2026-11-22T12:10:00Z".parse().unwrap()
    }

    const FRESH: &str = "2026-11-22T12:09:55.000000Z";
    const OLD: &str = "2026-11-22T12:05:00.000000Z";
    const OLDER: &str = "2026-11-22T11:05:00.000000Z";

    #[test]
    fn one_that_leads_is_enough_wherever_it_runs() {
        let vacant = |leases: &[Lease]| vacant(leases, Consequence::MayBeOld, &[], now());
        assert_eq!(vacant(&[held("a", OLD), held("b", FRESH)]), None);
        // Clocks differ.
        assert_eq!(vacant(&[held("a", "2026-11-22T12:09:31.000000Z")]), None);
    }

    #[test]
    fn the_last_one_that_led_is_named_with_where_its_pods_are() {
        let vacant = |leases: &[Lease]| vacant(leases, Consequence::MayBeOld, &[], now()).unwrap();
        let says = vacant(&[held("a", OLDER), held("drover-system", OLD)]);
        for words in [
            "what is shown may be old, since no controller leads: controller-0 led, and is silent since 5m",
            "kubectl -n drover-system get pods -l app.kubernetes.io/name=drover-controller",
            "drover doctor",
        ] {
            assert!(says.contains(words), "{words}: {says}");
        }
        // A controller that ended in order has given it back.
        let given_back = json!({ "holderIdentity": "", "renewTime": FRESH });
        let says = vacant(&[lease("drover-system", given_back)]);
        assert!(says.contains("leads: nobody leads; see that"), "{says}");
    }

    #[test]
    fn where_none_ever_led_it_is_said_how_to_install_one() {
        let says = vacant(&[], Consequence::NothingActs, &[], now()).unwrap();
        assert!(
            says.starts_with(
                "nothing acts on it yet, since no controller leads, and none ever did"
            ),
            "{says}"
        );
        assert!(says.contains("helm install drover charts/drover"), "{says}");
    }

    fn looks_after(mut lease: Lease, namespaces: &str) -> Lease {
        let named = (ANNOTATION_NAMESPACES.to_owned(), namespaces.to_owned());
        lease.metadata.annotations = Some([named].into());
        lease
    }

    #[test]
    fn a_namespace_that_none_of_those_who_lead_looks_after_is_named_with_what_they_do() {
        let fleet = |namespace: &str| -> KafkaConsumer {
            serde_json::from_value(json!({
                "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
                "metadata": { "name": "orders", "namespace": namespace },
                "spec": { "kafka": { "bootstrapServers": "kafka:9092" }, "topics": ["orders"],
                    "handler": { "http": { "url": "http://orders/kafka" } } },
            }))
            .unwrap()
        };
        let fleets = [fleet("shop"), fleet("mail")];
        let vacant = |leases: &[Lease]| vacant(leases, Consequence::MayBeOld, &fleets, now());
        let here = || looks_after(held("drover-system", FRESH), "mail,books");
        assert_eq!(
            vacant(&[here()]).unwrap(),
            "what is shown may be old, since no controller looks after namespace shop (the one in drover-system looks after books, mail); add it there to the chart's value namespaces"
        );
        // Another one does, or may do; one that is gone does not.
        for other in [
            looks_after(held("b", FRESH), "shop"),
            looks_after(held("b", FRESH), ALL_NAMESPACES),
            held("b", FRESH),
        ] {
            assert_eq!(vacant(&[here(), other]), None);
        }
        let gone = looks_after(held("b", OLD), "shop");
        assert!(vacant(&[here(), gone]).is_some());
    }
}
