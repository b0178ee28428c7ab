//! Events, as `kubectl describe` shows them. An event that cannot be written fails nothing.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::debug;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Somebody should look.
    pub warning: bool,
    /// Stable CamelCase word.
    pub reason: String,
    /// What was done.
    pub action: String,
    /// For people.
    pub note: String,
}

/// Writes events.
#[derive(Clone)]
pub struct Announcer {
    recorder: Recorder,
}

impl Announcer {
    /// An announcer that signs as `controller` on `instance`.
    pub fn new(client: Client, controller: &str, instance: String) -> Self {
        let reporter = Reporter {
            controller: controller.to_owned(),
            instance: Some(instance),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Tells. Fails quietly: an event is a courtesy.
    pub async fn tell(&self, about: &ObjectReference, announcement: Announcement) {
        let reason = announcement.reason.clone();
        if let Err(error) = self.try_to_tell(about, announcement).await {
            debug!(%error, reason, "event not written");
        }
    }

    /// Tells.
    ///
    /// # Errors
    /// If the API server does not take it.
    pub async fn try_to_tell(
        &self,
        about: &ObjectReference,
        announcement: Announcement,
    ) -> Result<(), kube::Error> {
        let event = Event {
            type_: if announcement.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: announcement.reason,
            action: with_mark(announcement.action, &announcement.note),
            note: Some(shortened(announcement.note)),
            secondary: None,
        };
        // The recorder takes an object of another version for another object, and would never find
        // the series.
        let about = ObjectReference {
            resource_version: None,
            ..about.clone()
        };
        self.recorder.publish(&event, &about).await
    }
}

/// Repeats of one reason and action within six minutes become one series under the first note: what is said
/// otherwise is another action, or nobody would ever read it.
fn with_mark(action: String, note: &str) -> String {
    let mut hasher = DefaultHasher::new();
    note.hash(&mut hasher);
    format!("{action}{:04X}", hasher.finish() & 0xffff)
}

/// The API refuses notes of 1 KiB and more.
fn shortened(mut note: String) -> String {
    const LIMIT: usize = 1000;
    if note.len() > LIMIT {
        let mut end = LIMIT;
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        note.truncate(end);
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_the_same_is_the_same_action() {
        let stalled = |note| with_mark("RecordStuck".to_owned(), note);
        assert_eq!(stalled("orders[0] offset 1"), stalled("orders[0] offset 1"));
        assert_ne!(
            stalled("orders[0] offset 1"),
            stalled("orders[0] offset 121")
        );
        assert!(stalled("").starts_with("RecordStuck"));
    }
}
