//! What the command line has done to a KafkaConsumer, as an event of it, and who had it done.

use anyhow::anyhow;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use kube::{Api, Resource};

use super::cluster::Cluster;
use crate::api::KafkaConsumer;
use crate::k8s::chain;
use crate::k8s::events::{Announcement, Announcer};

/// Who writes them.
const REPORTER: &str = "drover-cli";

/// Who we are to the API server; for people, so it may stay unknown.
pub(super) async fn whoami(cluster: &Cluster) -> Option<String> {
    let api: Api<SelfSubjectReview> = Api::all(cluster.client.clone());
    let review = api
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await;
    review.ok()?.status?.user_info?.username
}

/// Writes the event.
///
/// # Errors
/// If the API server does not take it.
pub(super) async fn tell(
    cluster: &Cluster,
    consumer: &KafkaConsumer,
    announcement: Announcement,
) -> anyhow::Result<()> {
    // Which run of the command it is.
    let instance = format!("{REPORTER}-{}", std::process::id());
    let announcer = Announcer::new(cluster.client.clone(), REPORTER, instance);
    let about = consumer.object_ref(&());
    let told = announcer.try_to_tell(&about, announcement);
    told.await
        .map_err(|error| anyhow!("write an event: {}", chain(&error)))
}
