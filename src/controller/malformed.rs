//! A resource that passes the schema and still cannot be read, such as one that an older version
//! stored. It is told so in its own status and otherwise left alone.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Api, Resource};
use serde_json::json;
use tracing::warn;

use super::context::Context;
use super::fleets::FleetKey;
use super::gauges;
use crate::api::KafkaConsumer;
use crate::api::names::{STATUS_MANAGER, condition};
use crate::clock;
use crate::fleet::why_unreadable;
use crate::k8s::chain;
use crate::k8s::events::Announcement;
use crate::telemetry::controller_metrics::FleetGauges;

/// The reason of the condition and the event.
const REASON: &str = "Unreadable";
/// Characters of what is wrong; a condition has room for 32 KiB in all.
const LONGEST_ERROR: usize = 2000;

/// Tells in log, status and event that the resource cannot be read, once for each change of it. Returns
/// when to try again where that did not succeed: nothing else wakes a resource that has no fleet.
pub async fn tell(context: &Context, key: &FleetKey, invalid: &InvalidObject) -> Action {
    let uid = invalid.metadata.uid.clone().unwrap_or_default();
    let mut memory = context.fleets.take(key, &uid);
    let told = try_to_tell(context, key, invalid).await;
    let action = match told {
        Ok(()) => {
            memory.failures.none();
            Action::await_change()
        }
        Err(error) => {
            warn!(consumer = %key, error = %chain(&error), "status not written; it is tried again");
            Action::requeue(memory.failures.another(&uid))
        }
    };
    context.fleets.put(key.clone(), memory);
    action
}

/// The fields that are wrong, and what to do. The object itself is asked for once more: what a watch gives of it is
/// its metadata and where its reader stopped, which names no field.
async fn why(
    api: &Api<DynamicObject>,
    key: &FleetKey,
    invalid: &InvalidObject,
) -> Result<String, kube::Error> {
    let this = ListParams::default().fields(&format!("metadata.name={}", key.name));
    let found = api.list(&this).await?.items.pop();
    let document = found.and_then(|found| serde_json::to_value(found).ok());
    Ok(match document {
        Some(document) => why_unreadable(&document, &invalid.error),
        None => format!("{}; correct it", invalid.error),
    })
}

async fn try_to_tell(
    context: &Context,
    key: &FleetKey,
    invalid: &InvalidObject,
) -> Result<(), kube::Error> {
    // As raw JSON: it cannot be read as a KafkaConsumer.
    let api: Api<DynamicObject> = Api::namespaced_with(
        context.client.clone(),
        &key.namespace,
        &kube::core::ApiResource::erase::<KafkaConsumer>(&()),
    );
    let why = why(&api, key, invalid).await?;
    // It may repeat what was written, which may be a megabyte.
    let error: String = why.chars().take(LONGEST_ERROR).collect();
    let message =
        format!("the resource cannot be read: {error}; its children are left as they were");
    warn!(consumer = %key, error, "resource cannot be read; it is left alone");
    context.metrics.reconcile_failed();
    let ready = Condition {
        type_: condition::READY.to_owned(),
        status: "False".to_owned(),
        reason: REASON.to_owned(),
        message: message.clone(),
        observed_generation: invalid.metadata.generation,
        last_transition_time: Time(clock::now()),
    };
    let known = FleetGauges {
        ready: Some(false),
        attention: gauges::attention(std::slice::from_ref(&ready)),
        ..FleetGauges::default()
    };
    context.metrics.fleet(&key.to_string(), known);
    let status = json!({
        "apiVersion": KafkaConsumer::api_version(&()),
        "kind": KafkaConsumer::kind(&()),
        "metadata": { "name": key.name, "uid": invalid.metadata.uid },
        "status": { "observedGeneration": invalid.metadata.generation, "conditions": [ready] },
    });
    let params = PatchParams::apply(STATUS_MANAGER).force();
    match api
        .patch_status(&key.name, &params, &Patch::Apply(&status))
        .await
    {
        Ok(_) => {}
        // It was deleted in between.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(error),
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
    Ok(())
}
