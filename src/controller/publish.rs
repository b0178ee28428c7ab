//! Writes status, and only when it is worth it.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::context::Context;
use super::error::Error;
use super::fleets::FleetMemory;
use super::status::Due;
use crate::api::names::STATUS_MANAGER;
use crate::api::{KafkaConsumer, KafkaConsumerStatus};

/// Writes `next`, whose reasons are of the kinds `labels`, if it is due. Returns when it will be, where it is not yet.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn publish(
    context: &Context,
    consumer: &KafkaConsumer,
    memory: &mut FleetMemory,
    next: &KafkaConsumerStatus,
    labels: Vec<&'static str>,
) -> Result<Option<Duration>, Error> {
    let now = context.clock.elapsed();
    match memory.told.due(consumer.status.as_ref(), next, now) {
        Due::Never => return Ok(None),
        Due::In(rest) => return Ok(Some(rest)),
        Due::Numbers => {
            if let Some(rest) = memory.told.waits(&context.pace, now) {
                return Ok(Some(rest));
            }
        }
        Due::Now => {}
    }
    let namespace = consumer.namespace().unwrap_or_default();
    let name = consumer.name_any();
    let api: Api<KafkaConsumer> = Api::namespaced(context.client.clone(), &namespace);
    let status = json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        // With the UID, so that a resource that was deleted and made again is not written to.
        "metadata": { "name": name, "uid": consumer.uid() },
        "status": next,
    });
    let params = PatchParams::apply(STATUS_MANAGER).force();
    match api
        .patch_status(&name, &params, &Patch::Apply(&status))
        .await
    {
        Ok(_) => {
            memory.told.wrote(next.clone(), labels, now);
            Ok(None)
        }
        // It was deleted in between.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(source) => Err(Error::Api {
            verb: "write the status of",
            kind: "KafkaConsumer",
            name,
            source,
        }),
    }
}
