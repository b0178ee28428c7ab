//! Makes the children look as they should, in the one right order.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::children::{Child, Correction, Place};
use super::context::Context;
use super::dereference::Observed;
use super::error::Error;
use super::fleets::FleetMemory;
use crate::api::names::{FIELD_MANAGER, SCALE_MANAGER};
use crate::fleet::Fleet;
use crate::k8s::apply::Memory;
use crate::resources::{self, Desired};

/// What applying came to.
#[derive(Debug)]
pub struct Applied {
    /// The Deployment as it is now.
    pub deployment: Deployment,
    /// What somebody else had changed and was put right.
    pub corrections: Vec<Correction>,
}

/// Applies every child; `first_size` is what a new Deployment starts with.
///
/// # Errors
/// If a child cannot be applied. The Deployment is applied only after all others.
pub async fn apply(
    context: &Context,
    fleet: &Fleet,
    memory: &mut FleetMemory,
    observed: &Observed,
    first_size: u32,
) -> Result<Applied, Error> {
    let Desired {
        service_account,
        pod_disruption_budget,
        deployment,
    } = resources::build(fleet, &context.settings);
    let children = &mut memory.children;
    let account_place = Place::new(&context.client, fleet, "ServiceAccount", fleet.name.clone());
    let budget_place = Place::new(
        &context.client,
        fleet,
        "PodDisruptionBudget",
        fleet.name.clone(),
    );
    // Both, whatever becomes of one: what was written is to be known.
    let (account, budget) = tokio::join!(
        async {
            let Some(account) = &service_account else {
                // One of ours that an earlier template had is left: pods of that may still run.
                children.service_account = None;
                return Ok(None);
            };
            let cached = observed.service_account.as_deref().cloned();
            ensure(
                &account_place,
                account,
                cached,
                &mut children.service_account,
            )
            .await
        },
        ensure(
            &budget_place,
            &pod_disruption_budget,
            observed.pod_disruption_budget.as_deref().cloned(),
            &mut children.pod_disruption_budget,
        ),
    );
    let mut corrections = Vec::new();
    corrections.extend(account?);
    corrections.extend(budget?);

    // The workload last: no pod is made before its account.
    let place = Place::new(&context.client, fleet, "Deployment", fleet.name.clone());
    let sized = match memory.size_set {
        // The size must be read: to write the one before would undo it.
        _ if memory.size_unsure => u64::MAX,
        set => set.map_or(0, |set| set.version),
    };
    let floor = written_version(&children.deployment).max(sized);
    let live = place
        .live(observed.deployment.as_deref().cloned(), floor)
        .await?;
    let is_new = live.is_none();
    let desired = with_size(&place, &deployment, live.as_ref(), first_size)?;
    let (deployment, correction) = place
        .ensure(desired, live, &mut children.deployment)
        .await?;
    corrections.extend(correction);
    if is_new {
        // What was set was the size of one that is gone.
        memory.size_set = None;
    }
    Ok(Applied {
        deployment,
        corrections,
    })
}

/// What somebody else had changed, if anything.
async fn ensure<K: Child>(
    place: &Place<'_, K>,
    desired: &K,
    cached: Option<K>,
    memory: &mut Option<Memory>,
) -> Result<Option<Correction>, Error> {
    let live = place.live(cached, written_version(memory)).await?;
    let desired = to_value(place, desired)?;
    let (_, correction) = place.ensure(desired, live, memory).await?;
    Ok(correction)
}

/// The version of our last write; whatever is older in a cache lags behind.
fn written_version(memory: &Option<Memory>) -> u64 {
    memory.as_ref().map_or(0, |memory| memory.version)
}

fn to_value<K: Child>(place: &Place<'_, K>, object: &K) -> Result<Value, Error> {
    serde_json::to_value(object)
        .map_err(|source| place.error("write", kube::Error::SerdeError(source)))
}

/// The Deployment with the size that it must be applied with, if any.
///
/// Size is not shape: it belongs to the scale subresource and is left out here. But an apply that
/// leaves out a field which nobody else holds *removes* it, and the API server would then start
/// the default of one pod. So the size stays in for as long as only we hold it: from the creation
/// until `scale` has taken it over.
fn with_size(
    place: &Place<'_, Deployment>,
    deployment: &Deployment,
    live: Option<&Deployment>,
    first_size: u32,
) -> Result<Value, Error> {
    let mut desired = to_value(place, deployment)?;
    if let Some(spec) = desired["spec"].as_object_mut() {
        spec.remove("replicas");
        match live {
            None => {
                spec.insert("replicas".to_owned(), json!(first_size));
            }
            Some(live) if size_is_placeholder(live) => {
                spec.insert(
                    "replicas".to_owned(),
                    json!(live.spec.replicas.unwrap_or_default()),
                );
            }
            Some(_) => {}
        }
    }
    Ok(desired)
}

/// Nobody but the apply that created the Deployment holds its size.
pub fn size_is_placeholder(deployment: &Deployment) -> bool {
    let holders = size_holders(deployment);
    !holders.is_empty() && holders.iter().all(|holder| *holder == FIELD_MANAGER)
}

/// Our scale writes hold the size.
pub fn size_is_ours(deployment: &Deployment) -> bool {
    size_holders(deployment).contains(&SCALE_MANAGER)
}

/// Who else holds the size.
pub fn size_set_by(deployment: &Deployment) -> Vec<&str> {
    let mut holders = size_holders(deployment);
    holders.retain(|holder| ![FIELD_MANAGER, SCALE_MANAGER].contains(holder));
    holders
}

fn size_holders(deployment: &Deployment) -> Vec<&str> {
    let entries = deployment.managed_fields().iter();
    entries
        .filter(|entry| holds_size(entry))
        .filter_map(|entry| entry.manager.as_deref())
        .collect()
}

/// Whether an entry of managed fields holds the size. In the cache it stands without its fields if it does, and
/// not at all if it does not; the API server always names them.
pub fn holds_size(entry: &ManagedFieldsEntry) -> bool {
    let fields = entry.fields_v1.as_ref();
    fields.is_none_or(|fields| fields.0["f:spec"].get("f:replicas").is_some())
}
