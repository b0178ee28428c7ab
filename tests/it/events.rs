//! Events on a real API server: one for each transition, and none that could fail anything.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use drover::k8s::events::{Announcement, Announcer};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;

use crate::support::control_plane::control_plane;

fn about(namespace: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("drover.dev/v1alpha1".to_owned()),
        kind: Some("KafkaConsumer".to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some("fleet".to_owned()),
        ..ObjectReference::default()
    }
}

fn scaled(from: u32, to: u32, why: &str) -> Announcement {
    Announcement {
        warning: false,
        reason: "Scaled".to_owned(),
        action: format!("Scale{from}To{to}"),
        note: format!("from {from} to {to}: {why}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_of_size_is_an_event_of_its_own_and_a_repeat_is_counted() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let announcer = Announcer::new(client.clone(), "drover-controller", "pod".to_owned());
    let about = about(&namespace);
    announcer.tell(&about, scaled(0, 3, "a burst")).await;
    announcer.tell(&about, scaled(3, 6, "more of it")).await;
    let changed = ObjectReference {
        resource_version: Some("2".to_owned()),
        ..about.clone()
    };
    announcer
        .tell(&changed, scaled(0, 3, "another burst"))
        .await;

    announcer.tell(&changed, scaled(0, 3, "a burst")).await;

    let events = Api::<Event>::namespaced(client, &namespace);
    let events = events.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(events.len(), 3, "what is said otherwise is another event");
    let counts = events
        .iter()
        .filter_map(|event| Some(event.series.as_ref()?.count));
    assert_eq!(counts.collect::<Vec<_>>(), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_written_fails_nothing_and_a_long_note_is_cut() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let announcer = Announcer::new(client.clone(), "drover-controller", "pod".to_owned());
    announcer
        .tell(&about("no-such-namespace"), scaled(0, 1, ""))
        .await;
    announcer
        .tell(&about(&namespace), scaled(0, 1, &"ä".repeat(2_000)))
        .await;
    let events = Api::<Event>::namespaced(client, &namespace);
    let events = events.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(events.len(), 1);
    assert!(events[0].note.as_ref().unwrap().ends_with('…'));
}
