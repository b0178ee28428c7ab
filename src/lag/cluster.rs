//! The task of one Kafka cluster: rounds of questions, each for the fleets that are due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::debug;

use super::fleet::{Fleet, Read};
use super::gaps;
use super::groups::Groups;
use super::reader::not_registered;
use super::round::{self, Counters};
use super::sleepers::{self, Sleepers};
use super::start::{self, Start};
use super::task::{Task, refusal};
use super::{Latest, Need, Pace, Source, Wakes};
use crate::api::StartAt;
use crate::clock;
use crate::kafka::admin::{Admin, Answers, Committed, Error, Member};
use crate::topic::TopicPartition;

/// Fleets that are due within this are read together with those that are due now.
const TOGETHER: Duration = Duration::from_millis(200);
/// Commits of a fleet at rest, in whose topics nothing arrives, are read again after this.
const COMMITS_KEPT: Duration = Duration::from_secs(10);
/// Groups whose first offsets are written at the same time.
const BEGINNINGS: usize = 8;
/// So many groups at rest are asked a second at most; where there are more, their commits are kept
/// for longer. A group that somebody rewinds while its fleet rests is seen that much later.
const GROUPS_A_SECOND: u32 = 50;
/// Members of a group are asked for again after this, where reports say who has what.
const MEMBERS_KEPT: Duration = Duration::from_secs(60);
/// And of so many groups a second at most.
const MEMBERS_A_SECOND: u32 = 10;
/// And so many in one round: those that work do not wait for those that rest.
const AT_REST_IN_A_ROUND: usize = 100;

/// What one round asks.
struct Question<K> {
    /// The partitions that each fleet should know.
    wanted: BTreeMap<K, Arc<BTreeSet<TopicPartition>>>,
    /// The partitions of which each group's commits are read.
    groups: BTreeMap<String, Vec<TopicPartition>>,
    /// Groups whose members are read.
    members: BTreeSet<String>,
}

/// What the task and the reader share.
pub(super) struct Cluster<K> {
    fleets: Mutex<BTreeMap<K, Fleet>>,
    groups: Mutex<Groups<K>>,
    /// A fleet came, or one is due sooner.
    changed: Notify,
    /// None where the client could not be made, and why.
    admin: Result<Arc<Admin>, Error>,
    /// Groups whose first offsets are being written.
    beginnings: Semaphore,
    wakes: Arc<Wakes<K>>,
    counters: Arc<Counters>,
    sleepers: Mutex<Sleepers>,
    /// What has arrived in partitions that are watched; taken by the task.
    arrivals: Mutex<Option<UnboundedReceiver<TopicPartition>>>,
    /// Which fleets sleep, or where, has changed.
    restless: AtomicBool,
    /// Somebody looks whether there is a record where a commit stands before the end.
    looks: AtomicBool,
}

impl<K: Ord + Clone + Send + Sync + 'static> Cluster<K> {
    pub(super) fn new(
        admin: Result<Arc<Admin>, Error>,
        wakes: Arc<Wakes<K>>,
        counters: Arc<Counters>,
        source: Source,
    ) -> Self {
        let (sleepers, arrivals) = Sleepers::new(source);
        Self {
            fleets: Mutex::default(),
            groups: Mutex::default(),
            changed: Notify::new(),
            admin,
            beginnings: Semaphore::new(BEGINNINGS),
            wakes,
            counters,
            sleepers: Mutex::new(sleepers),
            arrivals: Mutex::new(Some(arrivals)),
            restless: AtomicBool::new(false),
            looks: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Fleet>> {
        lock(&self.fleets)
    }

    /// Reads for this fleet from now on; at once if it wants something else than before. Whether it does.
    pub(super) fn register(&self, key: K, need: Need) -> bool {
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
    pub(super) fn unregister(&self, key: &K) -> bool {
        let mut fleets = self.lock();
        self.forget(key, fleets.remove(key));
        self.changed.notify_one();
        !fleets.is_empty()
    }

    pub(super) fn set_pace(&self, key: &K, pace: Pace) {
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
    pub(super) async fn begin(
        &self,
        key: &K,
        start_at: StartAt,
        may_write: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Start, Error> {
        let _turn = self.beginnings.acquire().await;
        let known = |fleet: &Fleet| (fleet.need.clone(), fleet.memory.last_committed());
        let known = self.lock().get(key).map(known);
        let (need, last) = known.ok_or_else(not_registered)?;
        let admin = self.admin.as_ref().map_err(Clone::clone)?;
        let start = start::initial_offsets(admin, &need, start_at, &last, may_write).await?;
        if let Start::Written(_) | Start::Restored(_) = start {
            self.refresh(key);
        }
        Ok(start)
    }

    pub(super) fn latest(&self, key: &K) -> Option<Latest> {
        self.lock().get(key).map(|fleet| fleet.latest.clone())
    }

    /// Other fleets with the same group that read some of the same topics.
    pub(super) fn rivals(&self, key: &K) -> Vec<K> {
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

    pub(super) fn each_latest(&self, mut look: impl FnMut(&Latest)) {
        for fleet in self.lock().values() {
            look(&fleet.latest);
        }
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
        let began = Instant::now();
        let outcome = match &self.admin {
            Ok(admin) => self.ask(admin, task, &due).await,
            Err(error) => Err(error.clone()),
        };
        self.counters.round(began.elapsed());
        self.look_for_records(&due);
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

    /// Looks at what stands between commit and end of a consumer that does not say more, one topic at a time, beside
    /// the rounds.
    fn look_for_records(self: &Arc<Self>, due: &BTreeMap<K, Need>) {
        if self.looks.load(Relaxed) {
            return;
        }
        let now = clock::now();
        let found = {
            let mut fleets = self.lock();
            let mut of_own = due.iter().filter(|(_, need)| need.own_consumer);
            of_own.find_map(|(key, need)| {
                let (topic, doubts) = fleets.get_mut(key)?.gaps.doubts(now)?;
                Some((key.clone(), need.source.clone(), topic, doubts))
            })
        };
        let Some((key, source, topic, doubts)) = found else {
            return;
        };
        self.looks.store(true, Relaxed);
        let cluster = Arc::clone(self);
        tokio::spawn(async move {
            let (asked, of) = (doubts.clone(), topic.clone());
            let look = move || gaps::with_records(&source, &of, &asked);
            let records = match spawn_blocking(look).await {
                Ok(Ok(records)) => records,
                // What cannot be looked at may be a record.
                failed => {
                    debug!(?failed, topic, "look for records before the end");
                    doubts.keys().copied().collect()
                }
            };
            if let Some(fleet) = cluster.lock().get_mut(&key) {
                fleet.gaps.looked(&topic, &doubts, &records);
                fleet.due = Instant::now();
            }
            cluster.looks.store(false, Relaxed);
            cluster.changed.notify_one();
        });
    }

    async fn ask(
        &self,
        admin: &Admin,
        task: &mut Task,
        due: &BTreeMap<K, Need>,
    ) -> Result<(), Error> {
        task.refresh_topics(admin, &self.counters, due).await?;

        let Question {
            wanted,
            groups,
            members,
        } = self.question(task, due);

        // Commits first: an end that is read before a commit would lie below it.
        let commits = round::commits(admin, &self.counters, groups).await;
        let members = round::members(admin, &self.counters, members).await;
        let members: BTreeMap<String, Arc<[Member]>> = members
            .into_iter()
            .map(|(group, members)| (group, members.into()))
            .collect();
        let commits: BTreeMap<String, Result<Arc<Answers<Committed>>, Error>> = commits
            .into_iter()
            .map(|(group, answer)| (group, answer.map(Arc::new)))
            .collect();
        let partitions = wanted.values().flat_map(|partitions| partitions.iter());
        let partitions: BTreeSet<&TopicPartition> = partitions.filter(|p| task.exists(p)).collect();
        let partitions: Vec<TopicPartition> = partitions.into_iter().cloned().collect();
        let ends = task.read_ends(admin, &self.counters, &partitions).await?;

        let at = clock::now();
        for (key, partitions) in wanted {
            let need = &due[&key];
            if let Some(error) = task.refusal(&need.topics) {
                self.fail(&key, &error, None);
                continue;
            }
            let group = need.group_id.as_str();
            let commits = match commits.get(group) {
                Some(Err(error)) => {
                    let refusal = refusal(error, &format!("consumer group {group}"));
                    self.fail(&key, refusal.as_ref().unwrap_or(error), None);
                    continue;
                }
                Some(Ok(answer)) => Some(Arc::clone(answer)),
                None => None,
            };
            let read = Read {
                at,
                partitions: &partitions,
                commits,
                members: members.get(group).cloned(),
                ends: &ends,
            };
            self.publish(&key, need, read);
        }
        self.look_at_dead_letters(admin, task, due).await
    }

    /// What each of these fleets should know, and which groups are asked for it.
    fn question(&self, task: &Task, due: &BTreeMap<K, Need>) -> Question<K> {
        let mut wanted = BTreeMap::new();
        let mut groups: BTreeMap<String, BTreeSet<TopicPartition>> = BTreeMap::new();
        let mut members = BTreeSet::new();
        let mut fleets = self.lock();
        let commits_kept = kept(COMMITS_KEPT, fleets.len(), GROUPS_A_SECOND);
        let members_kept = kept(MEMBERS_KEPT, fleets.len(), MEMBERS_A_SECOND);
        let mut looked_after = 0;
        for (key, need) in due {
            let Some(fleet) = fleets.get_mut(key).filter(|fleet| fleet.need == *need) else {
                continue;
            };
            let state =
                |topic: &String| Some((topic.clone(), task.states.get(topic.as_str())?.clone()));
            fleet.latest.topics = need.topics.iter().filter_map(state).collect();
            let partitions = fleet.memory.partitions(&need.topics, &task.states);
            // What need not be told again is not asked for.
            let enough = looked_after == AT_REST_IN_A_ROUND;
            if !fleet.commits_hold(partitions.len(), commits_kept, enough) {
                looked_after += usize::from(fleet.at_rest());
                fleet.commits = None;
                if fleet.asks_for_members(members_kept) {
                    members.insert(need.group_id.clone());
                }
                let group = groups.entry(need.group_id.clone()).or_default();
                group.extend(partitions.iter().filter(|p| task.exists(p)).cloned());
            }
            wanted.insert(key.clone(), partitions);
        }
        let groups = groups.into_iter();
        let groups = groups.map(|(group, partitions)| (group, partitions.into_iter().collect()));
        Question {
            wanted,
            groups: groups.collect(),
            members,
        }
    }

    /// Looks at the dead-letter topics of the fleets that are due, and wakes whoever waits for news
    /// of them.
    async fn look_at_dead_letters(
        &self,
        admin: &Admin,
        task: &mut Task,
        due: &BTreeMap<K, Need>,
    ) -> Result<(), Error> {
        let doubted: BTreeSet<K> = {
            let fleets = self.lock();
            let doubts = |key: &&K| {
                let offsets = fleets.get(*key).and_then(|f| f.latest.offsets.as_ref());
                offsets.is_some_and(|offsets| offsets.dead_letter.is_some())
            };
            due.keys().filter(doubts).cloned().collect()
        };
        let needs = due.iter().map(|(key, need)| (need, doubted.contains(key)));
        task.dead_letters.look(admin, needs).await?;
        let mut fleets = self.lock();
        for (key, need) in due {
            let Some(fleet) = fleets.get_mut(key).filter(|fleet| fleet.need == *need) else {
                continue;
            };
            let known = task.dead_letters.of(need);
            if fleet.latest.dead_letter != known {
                fleet.latest.dead_letter = known;
                self.wakes.add(key.clone());
            }
        }
        Ok(())
    }

    /// Keeps what was read, and wakes whoever waits for it if it says anything new.
    fn publish(&self, key: &K, need: &Need, read: Read<'_>) {
        let mut fleets = self.lock();
        // It may have gone, or want something else, since the question.
        let Some(fleet) = fleets.get_mut(key).filter(|fleet| fleet.need == *need) else {
            return;
        };
        let news = fleet.keep(read);
        let told = std::mem::take(&mut fleet.told);
        self.restless.fetch_or(fleet.settle() || told, Relaxed);
        let period = match fleet.sleeps_since {
            Some(since) => lock(&self.sleepers).period(since),
            None => fleet.pace.period(),
        };
        fleet.due = fleet.read + period;
        drop(fleets);
        if news {
            self.wakes.add(key.clone());
        }
    }

    /// Keeps a failure, and wakes whoever waits if it is a new one.
    fn fail(&self, key: &K, error: &Error, pause: Option<Duration>) {
        let mut fleets = self.lock();
        let Some(fleet) = fleets.get_mut(key) else {
            return;
        };
        let news = fleet.fail(error, pause);
        self.restless.fetch_or(fleet.settle(), Relaxed);
        drop(fleets);
        if news {
            self.wakes.add(key.clone());
        }
    }
}

/// How long what is asked of each fleet's group is believed: `usually`, and longer where so many fleets would make it
/// more than `a_second`.
fn kept(usually: Duration, fleets: usize, a_second: u32) -> Duration {
    let fleets = u32::try_from(fleets).unwrap_or(u32::MAX);
    usually.max(Duration::from_secs(1) * fleets / a_second)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_fleets_at_rest_are_not_more_questions_a_second() {
        let commits_kept = |fleets| kept(COMMITS_KEPT, fleets, GROUPS_A_SECOND);
        assert_eq!(commits_kept(1), COMMITS_KEPT);
        for fleets in [100, 1_000, 10_000, 100_000] {
            let asked = fleets as f64 / commits_kept(fleets).as_secs_f64();
            assert!(asked <= f64::from(GROUPS_A_SECOND), "{fleets}: {asked}");
        }
    }
}
