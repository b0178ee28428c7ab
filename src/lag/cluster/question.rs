//! What one round asks Kafka for the fleets that are due, and what becomes of the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Cluster, lock};
use crate::clock;
use crate::kafka::admin::{Admin, Answers, Committed, Error, Member};
use crate::lag::Need;
use crate::lag::assemble::Ends;
use crate::lag::fleet::Read;
use crate::lag::round;
use crate::lag::task::{Task, refusal};
use crate::topic::TopicPartition;

/// Commits of a fleet at rest, in whose topics nothing arrives, are read again after this.
const COMMITS_KEPT: Duration = Duration::from_secs(10);
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
    wanted: BTreeMap<K, Arc<[TopicPartition]>>,
    /// The partitions of which each group's commits are read.
    groups: BTreeMap<String, Vec<TopicPartition>>,
    /// Groups whose members are read.
    members: BTreeSet<String>,
}

impl<K: Ord + Clone + Send + Sync + 'static> Cluster<K> {
    pub(super) async fn ask(
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
        let mut ends = task.read_ends(admin, &self.counters, &partitions).await?;
        let open = self.read_uncommitted(&wanted, due, &commits, &ends);
        ends.high = round::high_watermarks(admin, &self.counters, &open).await;

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
        self.look_at_dead_letters(admin, task, due).await;
        Ok(())
    }

    /// The partitions of these fleets that are read beyond their last stable offset.
    fn read_uncommitted(
        &self,
        wanted: &BTreeMap<K, Arc<[TopicPartition]>>,
        due: &BTreeMap<K, Need>,
        commits: &BTreeMap<String, Result<Arc<Answers<Committed>>, Error>>,
        ends: &Ends,
    ) -> Vec<TopicPartition> {
        let fleets = self.lock();
        let mut all = BTreeSet::new();
        for (key, partitions) in wanted {
            let need = &due[key];
            if let Some(fleet) = fleets.get(key).filter(|fleet| fleet.need == *need) {
                let commits = commits.get(&need.group_id);
                let commits = commits.and_then(|answer| answer.as_deref().ok());
                all.extend(fleet.reads_uncommitted(partitions, commits, ends));
            }
        }
        all.into_iter().cloned().collect()
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
    async fn look_at_dead_letters(&self, admin: &Admin, task: &mut Task, due: &BTreeMap<K, Need>) {
        let doubted: BTreeSet<K> = {
            let fleets = self.lock();
            let doubts = |key: &&K| {
                let offsets = fleets.get(*key).and_then(|f| f.latest.offsets.as_ref());
                offsets.is_some_and(|offsets| offsets.dead_letter.is_some())
            };
            due.keys().filter(doubts).cloned().collect()
        };
        let needs = due.iter().map(|(key, need)| (need, doubted.contains(key)));
        task.dead_letters.look(admin, needs).await;
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
    pub(super) fn fail(&self, key: &K, error: &Error, pause: Option<Duration>) {
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
