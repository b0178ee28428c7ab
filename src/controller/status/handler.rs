//! A handler that workers do not reach: in their words, and what to look at.
//!
//! That a Service is not there is not looked up, which would take a right to read Services: a worker that asks for its
//! address is told so, and says it in its report.

use crate::fleet::service::{Service, host};
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
