//! The one that fleets register with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::beginnings::Beginnings;
use super::cluster::Cluster;
use super::journal::{Journal, Place};
use super::round::Counters;
use super::start::Start;
use super::{Latest, Need, Pace, Source, Wakes};
use crate::api::StartAt;
use crate::clock;
use crate::kafka::admin::Error;

/// Reads offsets for fleets, which are told apart by `K`.
///
/// Needs a tokio runtime from [`LagReader::register`] on. Dropping it ends all its tasks and clients.
pub struct LagReader<K> {
    state: Mutex<State<K>>,
    wakes: Arc<Wakes<K>>,
    beginnings: Beginnings<K>,
    counters: Arc<Counters>,
    journal: Arc<Journal>,
}

struct State<K> {
    clusters: HashMap<Source, Running<K>>,
    fleets: BTreeMap<K, Source>,
}

/// A cluster and its task, which ends with it.
struct Running<K> {
    cluster: Arc<Cluster<K>>,
    place: Arc<Place>,
    task: JoinHandle<()>,
}

impl<K> Drop for Running<K> {
    fn drop(&mut self) {
        self.task.abort();
        self.place.leave();
    }
}

/// Numbers about the reader's own work, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Clients of Kafka clusters.
    pub clusters: usize,
    /// Fleets that are read.
    pub fleets: usize,
    /// Questions that were asked.
    pub requests: u64,
    /// Questions without an answer.
    pub failures: u64,
    /// Rounds of questions that ended, each for all fleets of a cluster that were due.
    pub rounds: u64,
    /// How long they took, added up.
    pub rounds_took: Duration,
    /// The age of the oldest fleet's newest offsets; none if no fleet was read yet.
    pub oldest: Option<Duration>,
}

impl<K: Ord + Hash + Clone + Send + Sync + 'static> Default for LagReader<K> {
    fn default() -> Self {
        Self::with(Arc::new(Journal::open(None)))
    }
}

impl<K: Ord + Hash + Clone + Send + Sync + 'static> LagReader<K> {
    /// A reader without fleets.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that does not ask at once by whom the process before it died, as this journal knows.
    pub fn with(journal: Arc<Journal>) -> Self {
        Self {
            state: Mutex::new(State {
                clusters: HashMap::new(),
                fleets: BTreeMap::new(),
            }),
            wakes: Arc::default(),
            beginnings: Beginnings::default(),
            counters: Arc::default(),
            journal,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fleets that have something new: offsets or reports that changed, a failure, its end.
    pub fn wakes(&self) -> Arc<Wakes<K>> {
        Arc::clone(&self.wakes)
    }

    /// Reads for `key` from now on. To say the same again costs and changes nothing; to say
    /// something else begins anew.
    pub fn register(&self, key: &K, need: &Need) {
        let mut state = self.lock();
        if state
            .fleets
            .get(key)
            .is_some_and(|source| *source != need.source)
        {
            state.remove(key);
        }
        state.fleets.insert(key.clone(), need.source.clone());
        let running = state
            .clusters
            .entry(need.source.clone())
            .or_insert_with(|| self.start(&need.source));
        if running.cluster.register(key.clone(), need.clone()) {
            self.beginnings.forget(key);
        }
    }

    fn start(&self, source: &Source) -> Running<K> {
        let place = Arc::new(self.journal.enter(source));
        let wakes = Arc::clone(&self.wakes);
        let counters = Arc::clone(&self.counters);
        let asked = Arc::clone(&place);
        let cluster = Arc::new(Cluster::new(asked, wakes, counters, source.clone()));
        Running {
            task: tokio::spawn(Arc::clone(&cluster).run()),
            cluster,
            place,
        }
    }

    /// Reads no more for `key`. The client of a cluster without fleets is closed.
    pub fn unregister(&self, key: &K) {
        self.beginnings.forget(key);
        self.lock().remove(key);
    }

    /// The fleets that are registered.
    pub fn registered(&self) -> Vec<K> {
        self.lock().fleets.keys().cloned().collect()
    }

    /// What is known of `key` at present; none if it is not registered.
    pub fn latest(&self, key: &K) -> Option<Latest> {
        self.cluster(key)?.latest(key)
    }

    /// Other registered fleets that have the group of `key` and read some of its topics, by the same brokers and
    /// credentials.
    pub fn rivals(&self, key: &K) -> Vec<K> {
        self.cluster(key)
            .map_or_else(Vec::new, |cluster| cluster.rivals(key))
    }

    /// How often `key` is read from now on.
    pub fn set_pace(&self, key: &K, pace: Pace) {
        if let Some(cluster) = self.cluster(key) {
            cluster.set_pace(key, pace);
        }
    }

    /// Has the first offsets of a registered fleet's group written, where it has none and no members, or those of
    /// topics that were `added` and of which it has none, if it still `may_write` when it comes to that. None while that
    /// is under way; when it is over the fleet is woken, and who asks again gets the outcome, once.
    ///
    /// The outcome is an error if Kafka does not answer or refuses; nothing was written then, or it may
    /// be done again.
    pub fn begin(
        &self,
        key: &K,
        start_at: StartAt,
        added: &BTreeSet<String>,
        may_write: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Option<Result<Start, Error>> {
        let cluster = self.cluster(key);
        let (of, added) = (key.clone(), added.clone());
        let work = async move {
            let cluster = cluster.ok_or_else(not_registered)?;
            cluster.begin(&of, start_at, &added, &may_write).await
        };
        let (wakes, woken) = (Arc::clone(&self.wakes), key.clone());
        self.beginnings.outcome(key, work, move || wakes.add(woken))
    }

    /// The group has begun, whoever saw to it.
    pub fn has_begun(&self, key: &K) {
        self.beginnings.forget(key);
    }

    /// Numbers about the reader's own work.
    pub fn numbers(&self) -> Numbers {
        let state = self.lock();
        let now = clock::now();
        let mut oldest = None;
        for running in state.clusters.values() {
            running.cluster.each_latest(|latest| {
                let age = latest
                    .offsets
                    .as_ref()
                    .and_then(|offsets| Duration::try_from(now.duration_since(offsets.at)).ok());
                oldest = oldest.max(age);
            });
        }
        Numbers {
            clusters: state.clusters.len(),
            fleets: state.fleets.len(),
            requests: self.counters.requests.load(Ordering::Relaxed),
            failures: self.counters.failures.load(Ordering::Relaxed),
            rounds: self.counters.rounds.load(Ordering::Relaxed),
            rounds_took: Duration::from_micros(
                self.counters.rounds_took_us.load(Ordering::Relaxed),
            ),
            oldest,
        }
    }

    fn cluster(&self, key: &K) -> Option<Arc<Cluster<K>>> {
        let state = self.lock();
        let source = state.fleets.get(key)?;
        Some(Arc::clone(&state.clusters.get(source)?.cluster))
    }
}

impl<K: Ord + Clone + Send + Sync + 'static> State<K> {
    fn remove(&mut self, key: &K) {
        let Some(source) = self.fleets.remove(key) else {
            return;
        };
        let others = self
            .clusters
            .get(&source)
            .is_some_and(|running| running.cluster.unregister(key));
        if !others {
            self.clusters.remove(&source);
        }
    }
}

pub(super) fn not_registered() -> Error {
    Error::Config("the fleet is not registered".to_owned())
}
