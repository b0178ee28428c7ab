//! The task of one Kafka cluster: rounds of questions, each for the fleets that are due.

mod client;
mod looks;
mod question;
mod registry;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::fleet::Fleet;
use super::groups::Groups;
use super::journal::Place;
use super::round::Counters;
use super::sleepers::{self, Sleepers};
use super::task::Task;
use super::{Need, Source, Wakes};
use super::{ages, gaps};
use crate::clock;
use crate::kafka::admin::Error;
use crate::topic::TopicPartition;
use client::{Access, Client};
use looks::{Looks, Turn};

/// Fleets that are due within this are read together with those that are due now.
const TOGETHER: Duration = Duration::from_millis(200);
/// Groups whose first offsets are written at the same time.
const BEGINNINGS: usize = 8;

/// What the task and the reader share.
pub(super) struct Cluster<K> {
    fleets: Mutex<BTreeMap<K, Fleet>>,
    groups: Mutex<Groups<K>>,
    /// A fleet came, or one is due sooner.
    changed: Notify,
    client: Client,
    /// Groups whose first offsets are being written.
    beginnings: Semaphore,
    wakes: Arc<Wakes<K>>,
    counters: Arc<Counters>,
    sleepers: Mutex<Sleepers>,
    /// What has arrived in partitions that are watched; taken by the task.
    arrivals: Mutex<Option<UnboundedReceiver<TopicPartition>>>,
    /// Which fleets sleep, or where, has changed.
    restless: AtomicBool,
    looks: Looks,
}

impl<K: Ord + Clone + Send + Sync + 'static> Cluster<K> {
    pub(super) fn new(
        place: Arc<Place>,
        wakes: Arc<Wakes<K>>,
        counters: Arc<Counters>,
        source: Source,
    ) -> Self {
        let (sleepers, arrivals) = Sleepers::new(source.clone());
        Self {
            fleets: Mutex::default(),
            groups: Mutex::default(),
            changed: Notify::new(),
            client: Client::new(source, place),
            beginnings: Semaphore::new(BEGINNINGS),
            wakes,
            counters,
            sleepers: Mutex::new(sleepers),
            arrivals: Mutex::new(Some(arrivals)),
            restless: AtomicBool::new(false),
            looks: Looks::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Fleet>> {
        lock(&self.fleets)
    }

    /// The task. Ends never; whoever started it ends it.
    pub(super) async fn run(self: Arc<Self>) {
        let mut task = Task::default();
        let Some(mut arrivals) = lock(&self.arrivals).take() else {
            return;
        };
        loop {
            if self.restless.swap(false, Relaxed) {
                self.watch_sleepers();
            }
            let next_due = self.lock().values().map(|fleet| fleet.due).min();
            let now = Instant::now();
            match next_due {
                Some(due) if due <= now => {}
                Some(due) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(due) => {}
                        () = self.changed.notified() => continue,
                        Some(first) = arrivals.recv() => {
                            self.wake_sleepers(&sleepers::by_topic(first, &mut arrivals));
                            continue;
                        }
                    }
                }
                None => {
                    self.changed.notified().await;
                    continue;
                }
            }
            self.round(&mut task).await;
        }
    }

    fn watch_sleepers(&self) {
        let fleets = self.lock();
        let sleeping = fleets
            .values()
            .filter(|fleet| fleet.sleeps_since.is_some() && !fleet.told);
        let read = sleeping.filter_map(|fleet| fleet.latest.offsets.as_deref());
        lock(&self.sleepers).watch(read);
    }

    /// Something has arrived in these topics: their fleets are read at once.
    fn wake_sleepers(&self, topics: &BTreeMap<Arc<str>, usize>) {
        for fleet in self.lock().values_mut() {
            let concerns = |topic: &String| topics.contains_key(topic.as_str());
            if fleet.sleeps_since.is_some() && fleet.need.topics.iter().any(concerns) {
                // During a pause after a failure the pause holds.
                if fleet.latest.failure.is_none() {
                    let soon = Instant::now().max(fleet.read + sleepers::BREATH);
                    fleet.due = fleet.due.min(soon);
                }
                fleet.told = true;
            }
        }
    }

    /// One round for all fleets that are due.
    async fn round(self: &Arc<Self>, task: &mut Task) {
        let now = Instant::now();
        let soon = |fleet: &Fleet| match fleet.sleeps_since {
            Some(_) => now + sleepers::TOGETHER,
            None => now + TOGETHER,
        };
        let due: BTreeMap<K, Need> = self
            .lock()
            .iter()
            .filter(|(_, fleet)| fleet.due <= soon(fleet))
            .map(|(key, fleet)| (key.clone(), fleet.need.clone()))
            .collect();
        task.tidy(self.lock().values().map(|fleet| &fleet.need), now);
        let admin = match self.client.access() {
            Access::Granted(admin) => admin,
            Access::Soon(wait) => return self.put_off(due.keys(), wait),
            Access::Refused(error, wait) => {
                for key in due.keys() {
                    self.fail(key, &error, Some(wait));
                }
                return;
            }
        };
        let began = Instant::now();
        let outcome = match admin {
            Ok(admin) => self.ask(admin, task, &due).await,
            Err(error) => Err(error),
        };
        self.counters.round(began.elapsed());
        self.look_at_records(&due);
        match outcome {
            Ok(()) => task.failures = 0,
            Err(error) => {
                task.failures += 1;
                let pause = task.pause();
                for key in due.keys() {
                    self.fail(key, &error, Some(pause));
                }
            }
        }
    }

    /// These are read a moment later; what was known of them stays.
    fn put_off<'a>(&self, keys: impl Iterator<Item = &'a K>, wait: Duration)
    where
        K: 'a,
    {
        let mut fleets = self.lock();
        for key in keys {
            if let Some(fleet) = fleets.get_mut(key) {
                fleet.due = Instant::now() + wait;
                fleet.latest.waits = true;
            }
        }
    }

    /// Looks at what stands between commit and end of a consumer that does not say more, and at how old what nobody saw
    /// come is; one topic at a time, beside the rounds.
    fn look_at_records(self: &Arc<Self>, due: &BTreeMap<K, Need>) {
        let Some(turn) = self.looks.turn() else {
            return;
        };
        let now = clock::now();
        let doubts = |(key, need): (&K, &Need)| {
            let (topic, doubts) = self.lock().get_mut(key)?.gaps.doubts(now)?;
            Some((key.clone(), need.source.clone(), topic, doubts))
        };
        if let Some((key, source, topic, doubts)) = due
            .iter()
            .filter(|(_, need)| need.own_consumer)
            .find_map(doubts)
        {
            let (asked, of) = (doubts.clone(), topic.clone());
            let look = move || gaps::with_records(&source, &of, &asked);
            return self.look_beside(turn, key, look, move |fleet, records| {
                let records = records.as_deref();
                fleet.gaps.looked(&topic, &doubts, records, clock::now());
            });
        }
        let firsts = |(key, need): (&K, &Need)| {
            let (topic, firsts) = self.lock().get(key)?.ages.doubts(now)?;
            Some((key.clone(), need.source.clone(), topic, firsts))
        };
        if let Some((key, source, topic, firsts)) = due.iter().find_map(firsts) {
            let (asked, of) = (firsts.clone(), topic.clone());
            let look = move || ages::read(&source, &of, &asked);
            self.look_beside(turn, key, look, move |fleet, came| {
                let came = came.unwrap_or_default();
                fleet.ages.looked(&topic, &firsts, &came, clock::now());
            });
        }
    }

    /// Runs `look`, which blocks, in a thread of its own, and lets the fleet take in what it came to: nothing where it failed.
    fn look_beside<T: Send + 'static>(
        self: &Arc<Self>,
        turn: Turn,
        key: K,
        look: impl FnOnce() -> Result<T, Error> + Send + 'static,
        take: impl FnOnce(&mut Fleet, Option<T>) + Send + 'static,
    ) {
        let cluster = Arc::clone(self);
        tokio::spawn(async move {
            let take = |found| {
                if let Some(fleet) = cluster.lock().get_mut(&key) {
                    take(fleet, found);
                    fleet.due = Instant::now();
                }
            };
            turn.of(look, take).await;
            cluster.changed.notify_one();
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::security::Security;
    use crate::lag::{Journal, TopicState};

    #[tokio::test]
    async fn a_round_forgets_what_is_of_no_fleet() {
        let source = Source {
            bootstrap_servers: "kafka:9092".to_owned(),
            // No client can be made with it.
            properties: BTreeMap::from([("security.protocol".to_owned(), "none".to_owned())]),
            security: Security::default(),
        };
        let need = Need {
            source: source.clone(),
            topics: vec!["orders".to_owned()],
            group_id: "shop".to_owned(),
            dead_letter_topic: None,
            own_consumer: false,
        };
        let place = Arc::new(Arc::new(Journal::open(None)).enter(&source));
        let cluster = Cluster::new(place, Arc::default(), Arc::default(), source);
        let cluster = Arc::new(cluster);
        cluster.register("a", need);
        let mut task = Task::default();
        for topic in ["orders", "preview"] {
            task.states.insert(topic.into(), TopicState::Exists(1));
        }
        cluster.round(&mut task).await;
        let known: Vec<_> = task.states.keys().map(|topic| &**topic).collect();
        assert_eq!(known, ["orders"]);
    }
}
