//! The task of one Kafka cluster: rounds of questions, each for the fleets that are due.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::assemble::{Ends, Memory};
use super::dead_letters::DeadLetters;
use super::reader::not_registered;
use super::round::{self, Counters};
use super::sleepers::{self, Sleepers};
use super::start::{self, Start};
use super::{Failure, Latest, Need, Offsets, Pace, Source, TopicState, Wakes};
use crate::api::StartAt;
use crate::clock;
use crate::kafka::admin::{Admin, Answers, Committed, Error, Hosts};
use crate::topic::{Offset, TopicPartition};

/// Fleets that are due within this are read together with those that are due now.
const TOGETHER: Duration = Duration::from_millis(200);
/// Partitions of a topic and starts of partitions change rarely.
const TOPICS_KEPT: Duration = Duration::from_secs(15);
const STARTS_KEPT: Duration = Duration::from_secs(30);
/// A topic that is not there is looked for again after this.
const MISSING_KEPT: Duration = Duration::from_secs(2);
/// Commits of a fleet at rest, in whose topics nothing arrives, are read again after this.
const COMMITS_KEPT: Duration = Duration::from_secs(10);
/// Groups whose first offsets are written at the same time.
const BEGINNINGS: usize = 8;
/// So many groups at rest are asked a second at most; where there are more, their commits are kept
/// for longer. A group that somebody rewinds while its fleet rests is seen that much later.
const GROUPS_A_SECOND: u32 = 50;
/// And so many in one round: those that work do not wait for those that rest.
const AT_REST_IN_A_ROUND: usize = 100;
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A fleet at this cluster.
struct Fleet {
    need: Need,
    pace: Pace,
    due: Instant,
    memory: Memory,
    latest: Latest,
    /// When it was read last.
    read: Instant,
    /// Since when it sleeps: it is at zero, nothing waits, and what arrives wakes it.
    sleeps_since: Option<Instant>,
    /// Something has arrived where it sleeps; it is watched again once it was read.
    told: bool,
    /// When its commits were read, and what they were.
    commits: Option<(Instant, Arc<Answers<Committed>>)>,
}

impl Fleet {
    /// Falls asleep or wakes up, as things are now; whether that is a change.
    fn settle(&mut self) -> bool {
        let slept = self.sleeps_since.is_some();
        let sleeps = self.pace == Pace::Asleep && self.at_rest();
        let since = self.sleeps_since.unwrap_or_else(Instant::now);
        self.sleeps_since = sleeps.then_some(since);
        sleeps != slept
    }

    /// Nothing waits, so nothing can be committed until something arrives.
    fn at_rest(&self) -> bool {
        let quiet = |offsets: &Arc<Offsets>| {
            offsets.partitions.values().all(|sample| {
                sample
                    .as_ref()
                    .is_some_and(|sample| sample.lag().is_ok_and(|lag| lag.0 == 0))
            })
        };
        self.latest.failure.is_none() && self.latest.offsets.as_ref().is_some_and(quiet)
    }
}

/// What the task and the reader share.
pub(super) struct Cluster<K> {
    fleets: Mutex<BTreeMap<K, Fleet>>,
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
            changed: Notify::new(),
            admin,
            beginnings: Semaphore::new(BEGINNINGS),
            wakes,
            counters,
            sleepers: Mutex::new(sleepers),
            arrivals: Mutex::new(Some(arrivals)),
            restless: AtomicBool::new(false),
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
        let fleet = Fleet {
            need,
            pace: Pace::Usual,
            due: Instant::now(),
            read: Instant::now(),
            sleeps_since: None,
            told: false,
            memory: Memory::default(),
            latest: Latest::default(),
            commits: None,
        };
        let before = fleets.insert(key, fleet);
        self.forget_sleep_of(before);
        drop(fleets);
        self.changed.notify_one();
        true
    }

    /// What this fleet's sleep was watched by need not be watched for it any more.
    fn forget_sleep_of(&self, gone: Option<Fleet>) {
        let slept = gone.is_some_and(|fleet| fleet.sleeps_since.is_some());
        self.restless.fetch_or(slept, Relaxed);
    }

    /// Reads no more for this fleet; whether others are left.
    pub(super) fn unregister(&self, key: &K) -> bool {
        let mut fleets = self.lock();
        self.forget_sleep_of(fleets.remove(key));
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
    async fn round(&self, task: &mut Task) {
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

    async fn ask(
        &self,
        admin: &Admin,
        task: &mut Task,
        due: &BTreeMap<K, Need>,
    ) -> Result<(), Error> {
        task.refresh_topics(admin, &self.counters, due).await?;

        // What each fleet should know, and what it need not be told again.
        let mut wanted: BTreeMap<K, Arc<BTreeSet<TopicPartition>>> = BTreeMap::new();
        let mut groups: BTreeMap<String, BTreeSet<TopicPartition>> = BTreeMap::new();
        {
            let mut fleets = self.lock();
            let commits_kept = commits_kept(fleets.len());
            let mut looked_after = 0;
            for (key, need) in due {
                let Some(fleet) = fleets.get_mut(key).filter(|fleet| fleet.need == *need) else {
                    continue;
                };
                fleet.latest.topics = need
                    .topics
                    .iter()
                    .filter_map(|topic| {
                        Some((topic.clone(), task.states.get(topic.as_str())?.clone()))
                    })
                    .collect();
                let partitions = fleet.memory.partitions(&need.topics, &task.states);
                let at_rest = fleet.at_rest();
                let kept = fleet.commits.as_ref().is_some_and(|(at, answers)| {
                    let believed =
                        at.elapsed() < commits_kept || looked_after == AT_REST_IN_A_ROUND;
                    believed && answers.len() == partitions.len()
                });
                if !(kept && at_rest) {
                    looked_after += usize::from(at_rest);
                    fleet.commits = None;
                    let group = groups.entry(need.group_id.clone()).or_default();
                    group.extend(partitions.iter().filter(|p| task.exists(p)).cloned());
                }
                wanted.insert(key.clone(), partitions);
            }
        }

        // Commits first: an end that is read before a commit would lie below it.
        let groups = groups
            .into_iter()
            .map(|(group, partitions)| (group, partitions.into_iter().collect()))
            .collect::<BTreeMap<String, Vec<_>>>();
        let silent = due.values().filter(|need| need.own_consumer);
        let silent = silent.map(|need| need.group_id.clone());
        let silent = silent.filter(|group| groups.contains_key(group)).collect();
        let commits = round::commits(admin, &self.counters, groups).await;
        let hosts = round::hosts(admin, &self.counters, silent).await;
        let commits: BTreeMap<String, Result<Arc<Answers<Committed>>, Error>> = commits
            .into_iter()
            .map(|(group, answer)| (group, answer.map(Arc::new)))
            .collect();
        let partitions: BTreeSet<&TopicPartition> = wanted
            .values()
            .flat_map(|partitions| partitions.iter())
            .filter(|p| task.exists(p))
            .collect();
        let partitions: Vec<TopicPartition> = partitions.into_iter().cloned().collect();
        let ends = task.read_ends(admin, &self.counters, &partitions).await?;

        let at = clock::now();
        let nobody = Hosts::new();
        for (key, partitions) in wanted {
            let need = &due[&key];
            let group = need.group_id.as_str();
            let commits = match commits.get(group) {
                Some(Err(error)) => {
                    self.fail(&key, error, None);
                    continue;
                }
                Some(Ok(answer)) => Some(Arc::clone(answer)),
                None => None,
            };
            let read = Read {
                at,
                partitions: &partitions,
                commits,
                hosts: hosts.get(group).unwrap_or(&nobody),
                ends: &ends,
            };
            self.publish(&key, need, read);
        }
        self.look_at_dead_letters(admin, task, due).await
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
        if let Some(commits) = read.commits {
            fleet.commits = Some((Instant::now(), commits));
        }
        let none = Answers::new();
        let commits = fleet
            .commits
            .as_ref()
            .map(|(_, commits)| Arc::clone(commits));
        let commits = commits.as_deref().unwrap_or(&none);
        let offsets =
            fleet
                .memory
                .assemble(read.at, read.partitions, commits, read.hosts, read.ends);
        let news = fleet.latest.failure.is_some()
            || fleet
                .latest
                .offsets
                .as_ref()
                .is_none_or(|before| before.differs(&offsets));
        fleet.latest.offsets = Some(Arc::new(offsets));
        fleet.latest.failure = None;
        let told = std::mem::take(&mut fleet.told);
        self.restless.fetch_or(fleet.settle() || told, Relaxed);
        let period = match fleet.sleeps_since {
            Some(since) => lock(&self.sleepers).period(since),
            None => fleet.pace.period(),
        };
        fleet.read = Instant::now();
        fleet.due = fleet.read + period;
        // Who takes a second look at a burst wants to know as well that nothing more has come.
        let news = news || fleet.pace == Pace::Quick;
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
        let before = fleet.latest.failure.take();
        let news = before
            .as_ref()
            .is_none_or(|failure| failure.error.label() != error.label());
        fleet.latest.failure = Some(Failure {
            since: before.map_or_else(clock::now, |failure| failure.since),
            error: error.clone(),
        });
        self.restless.fetch_or(fleet.settle(), Relaxed);
        fleet.commits = None;
        fleet.due = Instant::now() + pause.unwrap_or(4 * fleet.pace.period());
        drop(fleets);
        if news {
            self.wakes.add(key.clone());
        }
    }
}

/// What one round has found out about a fleet.
struct Read<'a> {
    at: jiff::Timestamp,
    partitions: &'a BTreeSet<TopicPartition>,
    /// None where they were not asked for.
    commits: Option<Arc<Answers<Committed>>>,
    hosts: &'a Hosts,
    ends: &'a Ends,
}

/// How long the commits of a fleet at rest are believed, where there are so many fleets.
fn commits_kept(fleets: usize) -> Duration {
    let fleets = u32::try_from(fleets).unwrap_or(u32::MAX);
    COMMITS_KEPT.max(Duration::from_secs(1) * fleets / GROUPS_A_SECOND)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the task keeps for itself.
#[derive(Default)]
struct Task {
    /// Rounds that failed one after the other.
    failures: u32,
    states: BTreeMap<Arc<str>, TopicState>,
    states_read: HashMap<String, Instant>,
    starts: BTreeMap<TopicPartition, (Instant, Offset)>,
    dead_letters: DeadLetters,
    random: RandomState,
}

impl Task {
    fn exists(&self, partition: &TopicPartition) -> bool {
        matches!(
            self.states.get(&*partition.topic),
            Some(TopicState::Exists(count)) if i64::from(partition.partition) < i64::from(*count)
        )
    }

    async fn refresh_topics<K>(
        &mut self,
        admin: &Admin,
        counters: &Counters,
        due: &BTreeMap<K, Need>,
    ) -> Result<(), Error> {
        let outdated: BTreeSet<String> = due
            .values()
            .flat_map(|need| &need.topics)
            .filter(|topic| {
                let kept = match self.states.get(topic.as_str()) {
                    Some(TopicState::Exists(_)) => TOPICS_KEPT,
                    _ => MISSING_KEPT,
                };
                self.states_read
                    .get(*topic)
                    .is_none_or(|at| at.elapsed() >= kept)
            })
            .cloned()
            .collect();
        let read = round::topics(admin, counters, &outdated).await?;
        for (topic, state) in read {
            self.states_read.insert(topic.clone(), Instant::now());
            // The name stays the one that fleets share already.
            match self.states.get_mut(topic.as_str()) {
                Some(known) => *known = state,
                None => {
                    self.states.insert(topic.into(), state);
                }
            }
        }
        Ok(())
    }

    async fn read_ends(
        &mut self,
        admin: &Admin,
        counters: &Counters,
        partitions: &[TopicPartition],
    ) -> Result<Ends, Error> {
        let outdated: Vec<TopicPartition> = partitions
            .iter()
            .filter(|partition| {
                let read = self.starts.get(*partition);
                read.is_none_or(|(at, _)| at.elapsed() >= STARTS_KEPT)
            })
            .cloned()
            .collect();
        let mut ends = round::ends(admin, counters, partitions, &outdated).await?;
        let now = Instant::now();
        for (partition, start) in std::mem::take(&mut ends.start) {
            self.starts.insert(partition, (now, start));
        }
        for (partition, end) in &ends.end {
            if end.is_err() {
                // Deleted, made anew, or without a leader: ask again what there is.
                self.states_read.remove(&*partition.topic);
                self.starts.remove(partition);
            }
        }
        ends.start = partitions
            .iter()
            .filter_map(|partition| Some((partition.clone(), self.starts.get(partition)?.1)))
            .collect();
        Ok(ends)
    }

    /// Doubles with each failure; the jitter keeps controllers and clusters from marching in step.
    fn pause(&self) -> Duration {
        let doubled = Duration::from_millis(500) * 2_u32.pow(self.failures.min(6) - 1);
        let mut hasher = self.random.build_hasher();
        hasher.write_u32(self.failures);
        let share = (hasher.finish() % 1000) as f64 / 1000.0;
        doubled.min(LONGEST_PAUSE).mul_f64(0.75 + 0.5 * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_fleets_at_rest_are_not_more_questions_a_second() {
        assert_eq!(commits_kept(1), COMMITS_KEPT);
        for fleets in [100, 1_000, 10_000, 100_000] {
            let asked = fleets as f64 / commits_kept(fleets).as_secs_f64();
            assert!(asked <= f64::from(GROUPS_A_SECOND), "{fleets}: {asked}");
        }
    }
}
