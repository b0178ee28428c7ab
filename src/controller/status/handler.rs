//! A handler that workers do not reach: in their words, and what to look at.
//!
//! That a Service is not there is not looked up, which would take a right to read Services: a worker that asks for its
//! address is told so, and says it in its report.

use std::net::IpAddr;

use crate::fleet::{Fleet, Handler};

/// How resolvers begin when a name has no address (Rust's `std::net`).
const LOOK_UP_FAILED: &str = "failed to lookup address information";
/// How they go on where they could not find out.
const NO_ANSWER: [&str; 2] = ["Temporary failure", "Try again"];

/// Why, as a worker reported it, and the remedy.
pub(super) fn away_text(why: &str, fleet: &Fleet) -> String {
    let Handler::Url(url) = &fleet.handler else {
        return why.to_owned();
    };
    let host = host(url);
    let service = host.and_then(|host| Service::of(host, &fleet.namespace));
    match (service, host) {
        _ if NO_ANSWER.iter().any(|words| why.contains(words)) => format!(
            "{why}; the cluster's DNS gave no answer: look at its pods, and at network policies that keep workers from it"
        ),
        (Some(Service { name, namespace }), _) if why.contains(LOOK_UP_FAILED) => format!(
            "there is no Service {name} in namespace {namespace}, or it is headless and has no ready pod ({why}); create it, or correct spec.handler.http.url"
        ),
        (None, Some(host)) if why.contains(LOOK_UP_FAILED) => format!(
            "the name {host} is not known ({why}); correct spec.handler.http.url, or have the name known to the cluster's DNS"
        ),
        (Some(Service { name, namespace }), _) => format!(
            "{why}; see whether Service {name} in namespace {namespace} has ready pods and this port: kubectl get endpointslices -n {namespace} -l kubernetes.io/service-name={name}"
        ),
        _ => why.to_owned(),
    }
}

/// A Service that a URL names.
#[derive(Debug, PartialEq, Eq)]
struct Service<'a> {
    name: &'a str,
    namespace: &'a str,
}

impl<'a> Service<'a> {
    /// As the names of a cluster are made: NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc and the cluster's domain. A name of two
    /// parts may be one of elsewhere, such as example.com, and is taken for a Service all the same: that the DNS does not know
    /// it is said beside.
    fn of(host: &'a str, own: &'a str) -> Option<Self> {
        if host.parse::<IpAddr>().is_ok() || host == "localhost" {
            return None;
        }
        let mut parts = host.trim_end_matches('.').split('.');
        let name = parts.next().filter(|name| !name.is_empty())?;
        let namespace = parts.next();
        match parts.next() {
            None | Some("svc") => Some(Self {
                name,
                namespace: namespace.unwrap_or(own),
            }),
            Some(_) => None,
        }
    }
}

/// The host of a URL that was checked.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    if let Some(inside) = authority.strip_prefix('[') {
        return inside.split(']').next();
    }
    authority.split(':').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_of_a_url_is_named_as_the_cluster_names_it() {
        let service = |name, namespace| Some(Service { name, namespace });
        for (url, named) in [
            ("http://users", service("users", "shop")),
            ("http://users:8080/kafka", service("users", "shop")),
            ("http://users.crm/kafka?a=b", service("users", "crm")),
            ("https://users.crm.svc", service("users", "crm")),
            (
                "http://users.crm.svc.cluster.local.:80/",
                service("users", "crm"),
            ),
            ("http://hooks.example.com/kafka", None),
            ("http://10.0.0.7:3000/kafka", None),
            ("http://[fd00::7]:3000/kafka", None),
            ("http://localhost:3000", None),
        ] {
            let found = host(url).and_then(|host| Service::of(host, "shop"));
            assert_eq!(found, named, "{url}");
        }
    }
}
