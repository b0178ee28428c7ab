//! One run over one replay: look at its Job, make it if there is none, say how far it is.
//!
//! Level-based: what woke it does not matter. A replay that has ended is never begun again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use tracing::warn;

use super::plan::{id, plan};
use super::progress;
use super::status::{Said, announcement, result_of, status};
use super::{Context, Replay, within};
use crate::api::names::{
    LABEL_DEAD_LETTERS, LABEL_REPLAY, LABEL_REPLAYED, STATUS_MANAGER, replay_reason as reason,
};
use crate::api::{DeadLetterReplay, DeadLetterReplayStatus, ReplayPhase};
use crate::clock;
use crate::controller::fleets::FleetKey;
use crate::controller::watches;
use crate::fleet::Fleet;
use crate::k8s::chain;
use crate::resources::{Owner, dead_letters, replay_job};
use crate::worker_config::replay::ReplayConfig;

/// A replay that waits, or runs, is looked at this often: not all that is in its way wakes it.
const AGAIN: Duration = Duration::from_secs(10);
/// Characters of why an object cannot be read.
const LONGEST_ERROR: usize = 2000;

/// The entry point.
pub async fn reconcile(object: Arc<Replay>, context: Arc<Context>) -> Result<Action, Infallible> {
    let looked = match &object.0 {
        Ok(replay) => one(replay, &context).await,
        Err(invalid) => unreadable(invalid, &context).await,
    };
    Ok(looked.unwrap_or_else(|error| {
        let name = object.meta().name.as_deref();
        warn!(replay = name, error = %chain(&error), "replay not looked after; it is tried again");
        Action::requeue(AGAIN)
    }))
}

async fn one(replay: &DeadLetterReplay, context: &Context) -> Result<Action, kube::Error> {
    let before = replay.status.clone().unwrap_or_default();
    let ended = before.phase.is_some_and(ReplayPhase::is_final);
    if ended || replay.metadata.deletion_timestamp.is_some() {
        // Its Job follows by its owner reference.
        return Ok(Action::await_change());
    }
    let said = look(replay, context).await?;
    tell(replay, &before, &said, context).await?;
    Ok(match said.phase.is_final() {
        true => Action::await_change(),
        false => Action::requeue(AGAIN),
    })
}

/// How it stands, after what could be done for it was done.
async fn look(replay: &DeadLetterReplay, context: &Context) -> Result<Said, kube::Error> {
    let (name, namespace) = (replay.name_any(), replay.namespace().unwrap_or_default());
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &namespace);
    if let Some(job) = jobs.get_opt(&name).await? {
        return if is_of(&job, replay) {
            let pods: Api<Pod> = Api::namespaced(context.client.clone(), &namespace);
            let of_it = ListParams::default().labels(&format!("{LABEL_REPLAY}={name}"));
            let pods = pods.list(&of_it).await?.items;
            let pods: Vec<Pod> = pods
                .into_iter()
                .filter(|pod| owned_by(pod, job.uid().as_deref()))
                .collect();
            Ok(progress::read(&job, &pods, replay.spec.dry_run))
        } else {
            Ok(taken(&name))
        };
    }
    let key = FleetKey {
        namespace,
        name: replay.spec.consumer_ref.name.clone(),
    };
    let consumer = context.consumers.get(&watches::reference(key));
    let consumer = consumer.as_ref().and_then(|found| found.0.as_ref().ok());
    let consumer = consumer.map(watches::whole);
    let (fleet, config) = match plan(replay, consumer.as_deref()) {
        Ok(planned) => planned,
        Err(said) => return Ok(*said),
    };
    if let Some((other, of)) = another(context, &jobs, &fleet, &config).await? {
        return Ok(Said::new(
            ReplayPhase::Pending,
            reason::ANOTHER_RUNS,
            format!(
                "DeadLetterReplay {other} of the same {of} is at it; this one begins when that has ended"
            ),
        ));
    }
    let owner = Owner {
        name: name.clone(),
        uid: replay.uid().unwrap_or_default(),
    };
    let job = replay_job(&fleet, &owner, &config, &context.settings);
    match jobs.create(&PostParams::default(), &job).await {
        Ok(job) => Ok(progress::read(&job, &[], replay.spec.dry_run)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(taken(&name)),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => Ok(Said::new(
            ReplayPhase::Pending,
            reason::JOB_REFUSED,
            format!(
                "the API server refuses the Job: {}; it is tried again",
                status.message
            ),
        )),
        Err(error) => Err(error),
    }
}

fn taken(name: &str) -> Said {
    Said::new(
        ReplayPhase::Pending,
        reason::NAME_TAKEN,
        format!(
            "Job {name} is somebody else's, or of a deleted DeadLetterReplay and still going; it is left alone: wait, delete it, or choose another name for this one"
        ),
    )
}

/// The replay whose Job has not ended of the KafkaConsumer, or in all namespaces that are looked after of its dead-letter
/// topic: two of one topic would end each other.
async fn another(
    context: &Context,
    jobs: &Api<Job>,
    fleet: &Fleet,
    config: &ReplayConfig,
) -> Result<Option<(String, &'static str)>, kube::Error> {
    let of_consumer = format!("{LABEL_REPLAYED}={}", fleet.name);
    if let Some(job) = running(jobs, &of_consumer).await? {
        return Ok(Some((job.name_any(), "KafkaConsumer")));
    }
    let all = within::<Job>(&context.client, context.namespace.as_deref());
    let of_topic = format!("{LABEL_DEAD_LETTERS}={}", dead_letters(config));
    let job = running(&all, &of_topic).await?;
    Ok(job.map(|job| {
        let namespace = job.namespace().filter(|it| *it != fleet.namespace);
        let namespace = namespace.map(|it| format!("{it}/")).unwrap_or_default();
        (
            format!("{namespace}{}", job.name_any()),
            "dead-letter topic",
        )
    }))
}

/// A Job of these labels that has not ended.
async fn running(jobs: &Api<Job>, labels: &str) -> Result<Option<Job>, kube::Error> {
    let of_it = ListParams::default().labels(labels);
    let running = jobs.list(&of_it).await?.items.into_iter().find(|job| {
        let conditions = job
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        let mut ends = conditions.filter(|found| found.status == "True");
        !ends.any(|found| ["Complete", "Failed"].contains(&found.type_.as_str()))
    });
    Ok(running)
}

fn is_of(job: &Job, replay: &DeadLetterReplay) -> bool {
    owned_by(job, replay.metadata.uid.as_deref())
}

fn owned_by(object: &impl ResourceExt, uid: Option<&str>) -> bool {
    let mut owners = object.owner_references().iter();
    owners.any(|owner| owner.controller == Some(true) && Some(owner.uid.as_str()) == uid)
}

/// Writes status if it says something new, and then the event that it is worth.
async fn tell(
    replay: &DeadLetterReplay,
    before: &DeadLetterReplayStatus,
    said: &Said,
    context: &Context,
) -> Result<(), kube::Error> {
    let generation = replay.metadata.generation;
    let next = status(said, before, generation, &id(replay), clock::now());
    if next == *before {
        return Ok(());
    }
    let name = replay.name_any();
    let namespace = replay.namespace().unwrap_or_default();
    let api = untyped(context, &namespace);
    if !write(&api, &name, replay.metadata.uid.as_deref(), &next).await? {
        return Ok(());
    }
    if let Some(result) = result_of(said.phase) {
        let consumer = format!("{namespace}/{}", replay.spec.consumer_ref.name);
        context.metrics.replay_ended(&consumer, result);
    }
    if let Some(event) = announcement(said, before) {
        let about = replay.object_ref(&());
        context.announcer.tell(&about, event).await;
    }
    Ok(())
}

/// It passes the schema and cannot be read all the same, such as a time with a thirteenth month.
async fn unreadable(invalid: &InvalidObject, context: &Context) -> Result<Action, kube::Error> {
    let error: String = invalid.error.chars().take(LONGEST_ERROR).collect();
    let said = Said::new(
        ReplayPhase::Failed,
        reason::UNREADABLE,
        format!("it cannot be read: {error}; create another DeadLetterReplay with that corrected"),
    );
    let meta = &invalid.metadata;
    let before = DeadLetterReplayStatus::default();
    let next = status(&said, &before, meta.generation, "", clock::now());
    let (name, namespace) = (
        meta.name.clone().unwrap_or_default(),
        meta.namespace.clone().unwrap_or_default(),
    );
    let api = untyped(context, &namespace);
    // What was told is not told again: the status itself can be read. A list, as there is no right
    // to get.
    let of_name = ListParams::default().fields(&format!("metadata.name={name}"));
    let known = api.list(&of_name).await?.items;
    let told = known
        .iter()
        .any(|known| known.data["status"]["phase"] == "Failed");
    if !told {
        write(&api, &name, meta.uid.as_deref(), &next).await?;
    }
    Ok(Action::await_change())
}

/// For those too that cannot be read.
fn untyped(context: &Context, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<DeadLetterReplay>(&());
    Api::namespaced_with(context.client.clone(), namespace, &resource)
}

/// Writes status; false if the object was deleted in between.
async fn write(
    api: &Api<DynamicObject>,
    name: &str,
    uid: Option<&str>,
    next: &DeadLetterReplayStatus,
) -> Result<bool, kube::Error> {
    let patch = json!({
        "apiVersion": DeadLetterReplay::api_version(&()),
        "kind": DeadLetterReplay::kind(&()),
        // With the UID, so that one that was deleted and made again is not written to.
        "metadata": { "name": name, "uid": uid },
        "status": next,
    });
    let params = PatchParams::apply(STATUS_MANAGER).force();
    match api.patch_status(name, &params, &Patch::Apply(&patch)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}
