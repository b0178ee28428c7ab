//! A resource that passes the schema and still cannot be read, such as one that an older version
//! stored. It is told so in its own status and otherwise left alone; but if it says that it is paused, which is the
//! first thing to do about a fleet that does harm, its pods are stopped.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Api, Resource};
use serde_json::json;
use tracing::warn;

use super::context::Context;
use super::dereference;
use super::error::Error;
use super::fleets::{FleetKey, FleetMemory};
use super::gauges;
use super::reconcile::is_owned;
use super::scale::scale;
use super::size;
use super::status::unattended;
use crate::api::names::{STATUS_MANAGER, condition};
use crate::api::{KafkaConsumer, KafkaConsumerStatus};
use crate::clock;
use crate::fleet::why_unreadable;
use crate::k8s::chain;
use crate::k8s::events::Announcement;
use crate::telemetry::controller_metrics::FleetGauges;

/// The reason of the condition and the event.
const REASON: &str = "Unreadable";
/// Characters of what is wrong; a condition has room for 32 KiB in all.
const LONGEST_ERROR: usize = 2000;

/// What was told of a resource that cannot be read: as long as nothing of it changes, it is not told again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    generation: Option<i64>,
    error: String,
    /// Pods that its Deployment is to have, and has; none without one.
    pods: Option<(Option<i32>, Option<i32>)>,
}

impl Told {
    fn of(context: &Context, key: &FleetKey, invalid: &InvalidObject) -> Self {
        let uid = invalid.metadata.uid.as_deref().unwrap_or_default();
        Self {
            generation: invalid.metadata.generation,
            error: invalid.error.clone(),
            pods: deployment(context, key, uid).map(|it| (it.spec.replicas, replicas(&it))),
        }
    }
}

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.status.as_ref()?.replicas
}

/// Tells in log, status and event that the resource cannot be read, once for each change of it. Returns
/// when to try again where that did not succeed: nothing else wakes a resource that has no fleet.
pub async fn tell(context: &Context, key: &FleetKey, invalid: &InvalidObject) -> Action {
    let uid = invalid.metadata.uid.clone().unwrap_or_default();
    let mut memory = context.fleets.take(key, &uid);
    // Nothing is decided of it, so what arrives for it need not wake it.
    context.lag.unregister(key);
    let now = Told::of(context, key, invalid);
    if memory.unreadable.as_ref() == Some(&now) {
        context.fleets.put(key.clone(), memory);
        return Action::await_change();
    }
    let done = try_to_tell(context, key, invalid, &mut memory).await;
    let action = match done {
        Ok(()) => {
            memory.failures.none();
            memory.unreadable = Some(now);
            Action::await_change()
        }
        Err(error) => {
            warn!(consumer = %key, error = %chain(&error), "status not written, or pods not stopped; it is tried again");
            Action::requeue(memory.failures.another(&uid))
        }
    };
    context.fleets.put(key.clone(), memory);
    action
}

/// The object itself, asked for once more: what a watch gives of one that cannot be read is its metadata and where its
/// reader stopped, which names no field, and of others what could be read. None where it is gone.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn document(
    context: &Context,
    key: &FleetKey,
) -> Result<Option<serde_json::Value>, kube::Error> {
    // A list, as there is no right to get.
    let this = ListParams::default().fields(&format!("metadata.name={}", key.name));
    let found = untyped(context, key).list(&this).await?.items.pop();
    Ok(found.and_then(|found| serde_json::to_value(found).ok()))
}

/// As raw JSON: it may not be readable as a KafkaConsumer.
fn untyped(context: &Context, key: &FleetKey) -> Api<DynamicObject> {
    let resource = kube::core::ApiResource::erase::<KafkaConsumer>(&());
    Api::namespaced_with(context.client.clone(), &key.namespace, &resource)
}

/// Its Deployment, if it has one.
fn deployment(context: &Context, key: &FleetKey, uid: &str) -> Option<Deployment> {
    let deployment = dereference::observe(context, key).deployment?;
    is_owned(&deployment, uid).then(|| deployment.as_ref().clone())
}

/// Takes its pods away.
async fn stop(
    context: &Context,
    key: &FleetKey,
    uid: &str,
    memory: &mut FleetMemory,
) -> Result<(), Error> {
    let Some(mut deployment) = deployment(context, key, uid) else {
        return Ok(());
    };
    let observed = dereference::observe(context, key);
    let order = size::stop();
    scale(context, &mut deployment, memory, &observed, &order, None).await?;
    Ok(())
}

/// Since when it has been so: the time of a condition that says the same, else now.
fn since(document: Option<&serde_json::Value>) -> Time {
    let conditions = document.and_then(|document| document["status"]["conditions"].as_array());
    let mut conditions = conditions.into_iter().flatten();
    let same = conditions.find(|it| it["type"] == condition::READY && it["status"] == "False");
    let time = same.and_then(|it| serde_json::from_value(it["lastTransitionTime"].clone()).ok());
    time.unwrap_or_else(|| Time(clock::now()))
}

/// What its status says, as far as that can be read.
fn previous(document: Option<&serde_json::Value>) -> KafkaConsumerStatus {
    let status = document.map(|document| document["status"].clone());
    let status = status.and_then(|it| serde_json::from_value::<KafkaConsumerStatus>(it).ok());
    status.unwrap_or_default()
}

async fn try_to_tell(
    context: &Context,
    key: &FleetKey,
    invalid: &InvalidObject,
    memory: &mut FleetMemory,
) -> Result<(), Error> {
    let api = untyped(context, key);
    let failed = |verb: &'static str| {
        move |source| Error::Api {
            verb,
            kind: "KafkaConsumer",
            name: key.name.clone(),
            source,
        }
    };
    let document = document(context, key).await.map_err(failed("list"))?;
    let document = document.as_ref();
    let why = match document {
        Some(document) => why_unreadable(document, &invalid.error),
        None => format!("{}; correct it", invalid.error),
    };
    // It may repeat what was written, which may be a megabyte.
    let error: String = why.chars().take(LONGEST_ERROR).collect();
    let is_paused = document.is_some_and(|document| document["spec"]["paused"] == true);
    let mut stopped = Ok(());
    let uid = invalid.metadata.uid.as_deref().unwrap_or_default();
    let children = if is_paused {
        // It is told whether or not that succeeds.
        stopped = stop(context, key, uid, memory).await;
        "it is paused, so its pods are stopped, and its other children are left as they were"
    } else if deployment(context, key, uid).is_some_and(|it| it.spec.replicas == Some(0)) {
        // How many it should have nobody knows, since its limits cannot be read either.
        "its children are left as they were, so that no pod starts before it can be read"
    } else {
        "its children are left as they were"
    };
    let message = format!("the resource cannot be read: {error}; {children}");
    warn!(consumer = %key, error, "resource cannot be read; {children}");
    context.metrics.reconcile_failed();
    let ready = Condition {
        type_: condition::READY.to_owned(),
        status: "False".to_owned(),
        reason: REASON.to_owned(),
        message: message.clone(),
        observed_generation: invalid.metadata.generation,
        last_transition_time: since(document),
    };
    let known = FleetGauges {
        ready: Some(false),
        attention: gauges::attention(std::slice::from_ref(&ready)),
        ..FleetGauges::default()
    };
    context.metrics.fleet(&key.to_string(), known);
    let next = KafkaConsumerStatus {
        replicas: deployment(context, key, uid).and_then(|it| replicas(&it)),
        ..unattended(previous(document), ready)
    };
    let status = json!({
        "apiVersion": KafkaConsumer::api_version(&()),
        "kind": KafkaConsumer::kind(&()),
        "metadata": { "name": key.name, "uid": invalid.metadata.uid },
        "status": next,
    });
    let params = PatchParams::apply(STATUS_MANAGER).force();
    match api
        .patch_status(&key.name, &params, &Patch::Apply(&status))
        .await
    {
        Ok(_) => {}
        // It was deleted in between.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(failed("patch the status of")(error)),
    }
    let about = k8s_openapi::api::core::v1::ObjectReference {
        api_version: Some(KafkaConsumer::api_version(&()).into_owned()),
        kind: Some(KafkaConsumer::kind(&()).into_owned()),
        namespace: Some(key.namespace.clone()),
        name: Some(key.name.clone()),
        uid: invalid.metadata.uid.clone(),
        ..Default::default()
    };
    let announcement = Announcement {
        warning: true,
        reason: REASON.to_owned(),
        action: "Read".to_owned(),
        note: message,
    };
    context.announcer.tell(&about, announcement).await;
    stopped
}
