//! A fleet's handler, where it is a Service of the cluster: whether it is there, has the port, and a pod that is ready.
//!
//! What is elsewhere is not asked from here: workers try it, and their conditions say what came of it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service as KubernetesService, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::chain::Chain;
use crate::api::KafkaConsumer;
use crate::cli::cluster::Cluster;
use crate::fleet::service::{Service, host, port};
use crate::plural::{are, noun};

/// The label of a Service's endpoints.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// What says which URL it is.
const URL: &str = "spec.handler.http.url";

pub(super) async fn look(cluster: &Cluster, consumer: &KafkaConsumer, chain: &mut Chain) {
    let http = consumer.spec.handler.http.as_ref();
    // What runs in the fleet's own pods has no address of its own: `Ready` tells of it.
    let Some(url) = http.and_then(|http| http.url.as_deref()) else {
        return;
    };
    let own = consumer.namespace().unwrap_or_default();
    let Some(address) = host(url) else { return };
    let Some(service) = Service::of(address, &own) else {
        return chain.unknown(
            &format!("handler {address}"),
            "not checked: it is no Service of the cluster; Ready says whether workers reach it",
        );
    };
    let Service { name, namespace } = service;
    let what = format!("handler Service {namespace}/{name}");
    let services: Api<KubernetesService> = Api::namespaced(cluster.client.clone(), namespace);
    let found = match services.get_opt(name).await {
        Ok(Some(found)) => found,
        // As example.com is.
        Ok(None) if address.trim_end_matches('.').matches('.').count() == 1 && namespace != own => {
            return chain.unknown(
                &what,
                &format!(
                    "not checked: there is no Service {name} in namespace {namespace}; if {address} is a name of elsewhere, Ready says whether workers reach it, else create the Service, or correct {URL}"
                ),
            );
        }
        Ok(None) => {
            return chain.wrong(
                &what,
                &format!("it does not exist; create it, or correct {URL}"),
            );
        }
        Err(error) => return not_checked(cluster, &what, "services", error, chain),
    };
    let spec = found.spec.unwrap_or_default();
    if spec.type_.as_deref() == Some("ExternalName") {
        let elsewhere = spec.external_name.unwrap_or_default();
        return chain.unknown(
            &what,
            &format!("not checked: it leads to {elsewhere}; Ready says whether workers reach that"),
        );
    }
    let slices: Api<EndpointSlice> = Api::namespaced(cluster.client.clone(), namespace);
    let params = ListParams::default().labels(&format!("{SERVICE_NAME}={name}"));
    let slices = match slices.list(&params).await {
        Ok(slices) => slices.items,
        Err(error) => {
            return not_checked(
                cluster,
                &what,
                "endpointslices.discovery.k8s.io",
                error,
                chain,
            );
        }
    };
    match wrong(&service, &spec, &slices, port(url)) {
        Some(says) => chain.wrong(&what, &says),
        None => {
            let ready = Endpoints::of(&slices).ready;
            chain.well(&what, &format!("{ready} {} ready", pods_are(ready)));
        }
    }
}

fn not_checked(cluster: &Cluster, what: &str, kind: &str, error: kube::Error, chain: &mut Chain) {
    let why = cluster.unanswered_of(kind, error);
    chain.unknown(what, &format!("not checked: {why:#}"));
}

fn pods_are(count: usize) -> String {
    format!("{} {}", noun("pod", count), are(count))
}

/// What stands behind a Service.
#[derive(Default)]
struct Endpoints {
    ready: usize,
    others: usize,
    ports: BTreeSet<u16>,
}

impl Endpoints {
    fn of(slices: &[EndpointSlice]) -> Self {
        let mut found = Self::default();
        for slice in slices {
            for endpoint in slice.endpoints.iter().flatten() {
                let conditions = endpoint.conditions.as_ref();
                // Unknown counts as ready, as Kubernetes has it.
                let is_ready = conditions.and_then(|it| it.ready).unwrap_or(true);
                match is_ready {
                    true => found.ready += endpoint.addresses.len(),
                    false => found.others += endpoint.addresses.len(),
                }
            }
            let ports = slice.ports.iter().flatten();
            found
                .ports
                .extend(ports.filter_map(|port| number(port.port?)));
        }
        found
    }
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok()
}

/// What keeps the handler from being reached, and what to do.
fn wrong(
    service: &Service<'_>,
    spec: &ServiceSpec,
    slices: &[EndpointSlice],
    port: Option<u16>,
) -> Option<String> {
    let Service { name, namespace } = service;
    let endpoints = Endpoints::of(slices);
    // A headless one's name leads to the pods, and so to their ports.
    let is_headless = spec.cluster_ip.as_deref() == Some("None");
    let theirs = spec.ports.iter().flatten();
    let theirs: BTreeSet<u16> = theirs.filter_map(|port| number(port.port)).collect();
    let ports = if is_headless {
        &endpoints.ports
    } else {
        &theirs
    };
    if let Some(port) = port
        && !ports.is_empty()
        && !ports.contains(&port)
    {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let ports = ports.join(", ");
        return Some(format!(
            "it has no port {port}, but {ports}; name that in {URL}, or add the port to the Service"
        ));
    }
    if endpoints.ready > 0 {
        return None;
    }
    let selector = spec.selector.iter().flatten();
    let selector: Vec<String> = selector
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Some(match (endpoints.others, selector.join(",")) {
        (0, none) if none.is_empty() => format!(
            "it has no selector and no endpoints: give it a selector of the handler's pods, or correct {URL}"
        ),
        (0, selector) => format!(
            "no pod is behind it: see whether its selector, {selector}, is that of the handler's pods, and whether these are there: kubectl get pods -n {namespace} -l {selector}"
        ),
        (others, selector) => format!(
            "no pod behind it is ready, {others} {not}: see why: kubectl get pods -n {namespace} -l {selector}, kubectl describe endpointslices -n {namespace} -l {SERVICE_NAME}={name}",
            not = match others {
                1 => "is not",
                _ => "are not",
            }
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(spec: Value, slices: Value, port: u16) -> Option<String> {
        let service = Service {
            name: "users",
            namespace: "shop",
        };
        let spec = serde_json::from_value(spec).unwrap();
        let slices: Vec<EndpointSlice> = serde_json::from_value(slices).unwrap();
        wrong(&service, &spec, &slices, Some(port))
    }

    fn slice(ready: &[Value]) -> Value {
        let endpoints: Vec<Value> = ready
            .iter()
            .map(|ready| json!({ "addresses": ["10.0.0.7"], "conditions": { "ready": ready } }))
            .collect();
        json!({
            "metadata": { "name": "users-1" }, "addressType": "IPv4",
            "endpoints": endpoints, "ports": [{ "port": 3000 }],
        })
    }

    #[test]
    fn what_keeps_workers_from_the_handler_is_told_with_what_to_do() {
        let spec = json!({
            "clusterIP": "10.96.0.9", "selector": { "app": "users" },
            "ports": [{ "port": 80, "targetPort": 3000 }, { "port": 9090 }],
        });
        let well = json!([slice(&[json!(false)]), slice(&[json!(true)])]);
        assert_eq!(said(spec.clone(), well.clone(), 80), None);
        // What does not say that it is not ready is.
        assert_eq!(said(spec.clone(), json!([slice(&[Value::Null])]), 80), None);
        for (slices, port, words) in [
            (well, 3000, "it has no port 3000, but 80, 9090"),
            (json!([]), 80, "kubectl get pods -n shop -l app=users"),
            (json!([slice(&[])]), 80, "no pod is behind it"),
            (
                json!([slice(&[json!(false)])]),
                80,
                "no pod behind it is ready, 1 is not",
            ),
        ] {
            let says = said(spec.clone(), slices, port).unwrap();
            assert!(says.contains(words), "{words}: {says}");
        }
        let none = said(json!({ "ports": [{ "port": 80 }] }), json!([]), 80);
        assert!(none.unwrap().contains("no selector and no endpoints"));
    }

    #[test]
    fn the_name_of_a_headless_service_leads_to_the_ports_of_its_pods() {
        let spec = json!({ "clusterIP": "None", "selector": { "app": "users" }, "ports": [{ "port": 80 }] });
        let slices = json!([slice(&[json!(true)])]);
        assert_eq!(said(spec.clone(), slices.clone(), 3000), None);
        assert!(
            said(spec, slices, 80)
                .unwrap()
                .contains("no port 80, but 3000")
        );
    }
}
