//! What the controller remembers of each fleet between two reconciles. Lost on a restart, on
//! purpose: everything in here can be seen again or is kept in status.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use super::announce::Happenings;
use super::backoff::Failures;
use super::children::ChildMemories;
use super::contest::Contest;
use super::dereference::Lookups;
use super::malformed;
use super::offsets::Group;
use super::place::Place;
use super::status::{Told, Trouble};
use super::strangers::Strangers;
use super::unknown_fields::UnknownFields;
use crate::scaling;

/// Identifies a resource by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FleetKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for FleetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What is remembered of one fleet.
#[derive(Debug, Default)]
pub struct FleetMemory {
    /// The resource; another one of the same name begins anew.
    pub uid: String,
    /// The policy's state; none until the first decision.
    pub scaling: Option<scaling::State>,
    /// What was applied.
    pub children: ChildMemories,
    /// As what the children were last found to be as they should.
    pub settled: Option<Seen>,
    /// As how large its Deployment was last known: one that somebody deletes is made again like that.
    pub size: Option<u32>,
    /// Our last change of the Deployment's size.
    pub size_set: Option<SizeSet>,
    /// A change of its size came to no answer: it may have been made, and no cache shows it yet.
    pub size_unsure: bool,
    /// When it was last told that somebody else set the size, on the monotonic clock.
    pub resized_told: Option<Duration>,
    /// What the references came to, and when they are looked up again.
    pub lookups: Lookups,
    /// The status as we wrote it last; the cache may lag behind.
    pub told: Told,
    /// What was done and is still to be told of.
    pub untold: Option<Box<Happenings>>,
    /// What was told of it while it cannot be read.
    pub unreadable: Option<malformed::Told>,
    /// What its template has and does not exist.
    pub unknown_fields: UnknownFields,
    /// Failures in a row.
    pub failures: Failures,
    /// Children that could not be applied, and until when that is believed.
    pub refusal: Option<Refusal>,
    /// Children that somebody else changes all the time.
    pub contest: Contest,
    /// Members of the group that are none of its pods.
    pub strangers: Strangers,
    /// Where the fleet read when it was last looked at, and since when, on the monotonic clock.
    pub place: Option<(Place, Duration)>,
    /// Whether the group has offsets to begin at there.
    pub group: Group,
    /// Why the last try to give it some failed; the next may be under way.
    pub not_begun: Option<Trouble>,
    /// When the resource was first looked at, on the monotonic clock.
    pub first_seen: Option<Duration>,
}

/// What children are made of and how they stand, as far as it can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Of the resource's spec.
    pub generation: Option<i64>,
    /// Of its annotations, which have no generation, as a hash: they name skipped records.
    pub annotations: u64,
    /// When its references were looked up, on the monotonic clock.
    pub looked_up_at: Duration,
    /// The children's resource versions, the Deployment's last; 0 for one that is not there.
    pub versions: [u64; 3],
}

impl Seen {
    /// Whether it shows all that we wrote.
    pub fn shows(&self, memory: &FleetMemory) -> bool {
        let children = &memory.children;
        let written = [
            &children.service_account,
            &children.pod_disruption_budget,
            &children.deployment,
        ]
        .map(|child| child.as_ref().map_or(0, |child| child.version));
        let sized = memory.size_set.map_or(0, |set| set.version);
        let [.., deployment] = self.versions;
        let mut pairs = written.iter().zip(&self.versions);
        deployment >= sized && pairs.all(|(written, seen)| seen >= written)
    }
}

/// A change of a Deployment's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeSet {
    /// The Deployment's resource version after it: an older one in the cache lags behind.
    pub version: u64,
    /// The size.
    pub size: u32,
}

/// Children that could not be applied.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Of which generation of the resource.
    pub generation: Option<i64>,
    /// When to try again, on the monotonic clock.
    pub until: Duration,
    /// Why not.
    pub trouble: Trouble,
}

/// All memories. A reconcile takes its fleet's out and puts it back: the runtime never runs two for
/// one object.
#[derive(Debug, Default)]
pub struct Fleets {
    memories: Mutex<HashMap<FleetKey, Box<FleetMemory>>>,
}

impl Fleets {
    /// The memory of the resource `uid`, new where there is none.
    pub fn take(&self, key: &FleetKey, uid: &str) -> Box<FleetMemory> {
        let remembered = self.lock().remove(key);
        match remembered {
            Some(memory) if memory.uid == uid => memory,
            _ => Box::new(FleetMemory {
                uid: uid.to_owned(),
                ..Default::default()
            }),
        }
    }

    /// Keeps a memory.
    pub fn put(&self, key: FleetKey, memory: Box<FleetMemory>) {
        self.lock().insert(key, memory);
    }

    /// Forgets one fleet.
    pub fn forget(&self, key: &FleetKey) {
        self.lock().remove(key);
    }

    /// Forgets every fleet for which `exists` is false; returns their keys.
    pub fn retain(&self, exists: impl Fn(&FleetKey) -> bool) -> Vec<FleetKey> {
        let mut memories = self.lock();
        let gone: Vec<FleetKey> = memories
            .keys()
            .filter(|key| !exists(key))
            .cloned()
            .collect();
        for key in &gone {
            memories.remove(key);
        }
        gone
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<FleetKey, Box<FleetMemory>>> {
        // A panic in between leaves a whole map: nothing in here is half-written.
        self.memories
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
