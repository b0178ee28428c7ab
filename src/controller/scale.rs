//! Sets a fleet's size through the scale subresource, and chooses who leaves.

use futures::StreamExt;
use futures::stream;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tracing::{debug, info};

use super::apply::{size_is_ours, size_is_placeholder};
use super::context::Context;
use super::deletion_cost;
use super::dereference::Observed;
use super::error::Error;
use super::fleets::{FleetMemory, SizeSet};
use super::size::{By, Order};
use crate::api::KafkaConsumer;
use crate::api::names::{ANNOTATION_DELETION_COST, SCALE_MANAGER};
use crate::k8s::apply::version_of;
use crate::k8s::chain;
use crate::scaling::{Decision, Sample, Why};

/// Costs are written for this many pods at a time.
const COSTS_AT_ONCE: usize = 8;

/// A change of size that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// Before.
    pub from: u32,
    /// After.
    pub to: u32,
}

/// Carries out an order. Writes nothing where the size is already so.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn scale(
    context: &Context,
    deployment: &mut Deployment,
    memory: &mut FleetMemory,
    observed: &Observed,
    order: &Order,
    sample: Option<&Sample>,
) -> Result<Option<Scaled>, Error> {
    let Some(to) = order.set else {
        return Ok(None);
    };
    let from = u32::try_from(deployment.spec.replicas.unwrap_or(1)).unwrap_or_default();
    // A new Deployment that stays at zero is left as it was made: to hold its size as well can wait
    // for the first pod.
    let begins_at_zero = to == 0 && size_is_placeholder(deployment);
    if from == to && (begins_at_zero || size_is_ours(deployment)) {
        return Ok(None);
    }
    let namespace = deployment.namespace().unwrap_or_default();
    let name = deployment.name_any();
    if to < from {
        write_costs(context, &namespace, observed, sample, from - to).await;
    }
    let api: Api<Deployment> = Api::namespaced(context.client.clone(), &namespace);
    // Applied, not merged: only an apply makes us a holder of a size that is already right.
    let scale = json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "replicas": to },
    });
    let params = PatchParams::apply(SCALE_MANAGER).force();
    memory.size_unsure = true;
    let answer = api.patch_scale(&name, &params, &Patch::Apply(&scale)).await;
    let answer = answer.map_err(|source| Error::Api {
        verb: "scale",
        kind: "Deployment",
        name: name.clone(),
        source,
    })?;
    memory.size_unsure = false;
    memory.size_set = Some(SizeSet {
        version: version_of(&answer.metadata),
        size: to,
    });
    deployment.spec.replicas = i32::try_from(to).ok();
    if from == to {
        return Ok(None);
    }
    info!(namespace, name, from, to, "scaled");
    Ok(Some(Scaled { from, to }))
}

/// Why a size was changed, in words. What keeps a raise from being larger is told as that: by itself it speaks against
/// any.
pub fn why(scaled: &Scaled, order: &Order, decision: Option<&Decision>) -> Option<String> {
    let first = order.reasons.first()?;
    let decisive = decision.and_then(|decision| decision.reasons.first());
    let is_held = matches!(
        decisive,
        Some(Why::MorePodsDoNotHelp {
            shown: Some(_),
            probes: false,
            ..
        })
    );
    let raised = scaled.to > scaled.from && order.by == By::Policy;
    Some(match raised && is_held {
        true => format!(
            "more pods are needed, but more than {} have not helped: {first}",
            scaled.to
        ),
        false => first.clone(),
    })
}

/// Gives a fleet that an autoscaler is to size a size to begin with: the scale subresource has none otherwise,
/// and autoscalers can neither read nor change it.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn offer(context: &Context, consumer: &KafkaConsumer, size: u32) -> Result<(), Error> {
    let namespace = consumer.namespace().unwrap_or_default();
    let name = consumer.name_any();
    let api: Api<KafkaConsumer> = Api::namespaced(context.client.clone(), &namespace);
    // Of the version that was seen: whoever has set a size meanwhile keeps it.
    let scale = json!({
        "metadata": { "resourceVersion": consumer.resource_version() },
        "spec": { "replicas": size },
    });
    let params = PatchParams {
        field_manager: Some(SCALE_MANAGER.to_owned()),
        ..Default::default()
    };
    match api.patch_scale(&name, &params, &Patch::Merge(&scale)).await {
        Ok(_) => {
            info!(
                namespace,
                name, size, "spec.replicas set for an autoscaler to begin with"
            );
            Ok(())
        }
        // A newer one is on its way to us.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(source) => Err(Error::Api {
            verb: "scale",
            kind: "KafkaConsumer",
            name,
            source,
        }),
    }
}

/// Tells Kubernetes who should leave. A pod that cannot be told leaves or stays by chance; that is
/// no reason not to scale.
async fn write_costs(
    context: &Context,
    namespace: &str,
    observed: &Observed,
    sample: Option<&Sample>,
    leaving: u32,
) {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let pods = observed.pods.iter().map(AsRef::as_ref);
    let changes = deletion_cost::changes(pods, sample, leaving as usize);
    let params = PatchParams {
        field_manager: Some(SCALE_MANAGER.to_owned()),
        ..Default::default()
    };
    let (api, params) = (&api, &params);
    stream::iter(changes)
        .for_each_concurrent(COSTS_AT_ONCE, |change| async move {
            let patch =
                json!({ "metadata": { "annotations": { ANNOTATION_DELETION_COST: change.cost } } });
            if let Err(error) = api
                .patch_metadata(&change.pod, params, &Patch::Merge(&patch))
                .await
            {
                debug!(pod = change.pod, error = %chain(&error), "deletion cost not written");
            }
        })
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::{Outlook, Shown, Watch};
    use jiff::Timestamp;

    #[test]
    fn a_raise_is_not_told_by_what_speaks_against_one() {
        let limit = Why::MorePodsDoNotHelp {
            most: 6,
            shown: Some(Shown {
                pods: 6,
                rate: 30.0,
                per_pod: 15.0,
            }),
            probes: false,
        };
        let order = Order {
            wanted: 6,
            set: Some(6),
            by: By::Policy,
            reasons: vec![limit.to_string()],
            limit: None,
        };
        let decision = Decision {
            replicas: 6,
            reasons: vec![limit.clone()],
            look_again_at: Timestamp::UNIX_EPOCH,
            next_at: None,
            watch: Watch::Usual,
            outlook: Outlook::default(),
        };
        let told = |from| why(&Scaled { from, to: 6 }, &order, Some(&decision)).unwrap();
        let raised = told(2);
        assert!(
            raised.starts_with("more pods are needed, but more than 6 have not helped: "),
            "{raised}"
        );
        assert_eq!(told(8), limit.to_string());
    }
}
