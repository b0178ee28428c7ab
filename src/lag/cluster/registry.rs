//! The reader's side: which fleets are read for, how often, and what is known of each.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;

use super::{Cluster, lock};
use crate::api::StartAt;
use crate::kafka::admin::Error;
use crate::lag::fleet::Fleet;
use crate::lag::reader::not_registered;
use crate::lag::start::{self, Start};
use crate::lag::{Latest, Need, Pace};

impl<K: Ord + Clone + Send + Sync + 'static> Cluster<K> {
    /// Reads for this fleet from now on; at once if it wants something else than before. Whether it does.
    pub(in crate::lag) fn register(&self, key: K, need: Need) -> bool {
        let mut fleets = self.lock();
        if fleets.get(&key).is_some_and(|fleet| fleet.need == need) {
            return false;
        }
        let group = need.group_id.clone();
        let before = fleets.insert(key.clone(), Fleet::new(need));
        self.forget(&key, before);
        drop(fleets);
        let others = {
            let mut groups = lock(&self.groups);
            groups.add(&group, key.clone());
            groups.others(&group, &key)
        };
        for other in others {
            self.wakes.add(other);
        }
        self.changed.notify_one();
        true
    }

    /// What this fleet's sleep was watched by need not be watched for it any more, and others have its group alone.
    fn forget(&self, key: &K, gone: Option<Fleet>) {
        let Some(fleet) = gone else {
            return;
        };
        self.restless
            .fetch_or(fleet.sleeps_since.is_some(), Relaxed);
        let mut groups = lock(&self.groups);
        groups.remove(&fleet.need.group_id, key);
        for other in groups.others(&fleet.need.group_id, key) {
            self.wakes.add(other);
        }
    }

    /// Reads no more for this fleet; whether others are left.
    pub(in crate::lag) fn unregister(&self, key: &K) -> bool {
        let mut fleets = self.lock();
        self.forget(key, fleets.remove(key));
        self.changed.notify_one();
        !fleets.is_empty()
    }

    pub(in crate::lag) fn set_pace(&self, key: &K, pace: Pace) {
        let mut fleets = self.lock();
        let Some(fleet) = fleets.get_mut(key).filter(|fleet| fleet.pace != pace) else {
            return;
        };
        fleet.pace = pace;
        self.restless.fetch_or(fleet.settle(), Relaxed);
        // During a pause after a failure the pause holds.
        if fleet.latest.failure.is_none() {
            fleet.due = fleet.due.min(Instant::now() + pace.period());
        }
        drop(fleets);
        self.changed.notify_one();
    }

    /// Reads for this fleet at once: somebody wrote its offsets.
    fn refresh(&self, key: &K) {
        if let Some(fleet) = self.lock().get_mut(key) {
            fleet.due = Instant::now();
            fleet.commits = None;
        }
        self.changed.notify_one();
    }

    /// Writes the first offsets of this fleet's group, where it has none and no members.
    pub(in crate::lag) async fn begin(
        &self,
        key: &K,
        start_at: StartAt,
        added: &BTreeSet<String>,
        may_write: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Start, Error> {
        let _turn = self.beginnings.acquire().await;
        let known = |fleet: &Fleet| (fleet.need.clone(), fleet.memory.last_committed());
        let known = self.lock().get(key).map(known);
        let (need, last) = known.ok_or_else(not_registered)?;
        let admin = self.client.opened()?;
        let start =
            start::initial_offsets(admin, &need, (start_at, added), &last, may_write).await?;
        if let Start::Written(_) | Start::Restored(_) = start {
            self.refresh(key);
        }
        Ok(start)
    }

    pub(in crate::lag) fn latest(&self, key: &K) -> Option<Latest> {
        self.lock().get(key).map(|fleet| fleet.latest.clone())
    }

    /// Other fleets with the same group that read some of the same topics.
    pub(in crate::lag) fn rivals(&self, key: &K) -> Vec<K> {
        let fleets = self.lock();
        let Some(fleet) = fleets.get(key) else {
            return Vec::new();
        };
        let mut others = lock(&self.groups).others(&fleet.need.group_id, key);
        others.retain(|other| {
            let topics = fleets.get(other).map(|other| &other.need.topics);
            topics.is_some_and(|topics| topics.iter().any(|t| fleet.need.topics.contains(t)))
        });
        others
    }

    pub(in crate::lag) fn each_latest(&self, mut look: impl FnMut(&Latest)) {
        for fleet in self.lock().values() {
            look(&fleet.latest);
        }
    }
}
