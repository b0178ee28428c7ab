//! A fleet at one cluster: what it wants read, what was read, and when it is due again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ages::Ages;
use super::assemble::{Ends, Hosts, Memory, Said};
use super::gaps::Gaps;
use super::uncommitted::{OpenEnds, Uncommitted};
use super::{Failure, Latest, Need, Offsets, Pace};
use crate::clock;
use crate::kafka::admin::{Answers, Committed, Error, Member};
use crate::topic::TopicPartition;

/// What one round has found out about a fleet.
pub(super) struct Read<'a> {
    pub(super) at: jiff::Timestamp,
    pub(super) partitions: &'a [TopicPartition],
    /// None where they were not asked for.
    pub(super) commits: Option<Arc<Answers<Committed>>>,
    /// None where they were not asked for.
    pub(super) members: Option<Arc<[Member]>>,
    pub(super) ends: &'a Ends,
}

/// A fleet at this cluster.
pub(super) struct Fleet {
    pub(super) need: Need,
    pub(super) pace: Pace,
    pub(super) due: Instant,
    pub(super) memory: Memory,
    /// Of a consumer of the user's own: where no record lies between commit and end.
    pub(super) gaps: Gaps,
    /// And where it reads what is not committed.
    pub(super) uncommitted: Uncommitted,
    /// Since when what was there before it was read has waited.
    pub(super) ages: Ages,
    pub(super) latest: Latest,
    /// When it was read last.
    pub(super) read: Instant,
    /// Since when it sleeps: it is at zero, nothing waits, and what arrives wakes it.
    pub(super) sleeps_since: Option<Instant>,
    /// Something has arrived where it sleeps; it is watched again once it was read.
    pub(super) told: bool,
    /// When its commits were read, and what they were.
    pub(super) commits: Option<(Instant, Arc<Answers<Committed>>)>,
    /// From which address each partition was read then, of a consumer of the user's own.
    hosts: Hosts,
    /// The group's members when the broker last said them.
    members: Option<Arc<[Member]>>,
    /// When the broker was last asked for them.
    asked_for_members: Option<Instant>,
}

impl Fleet {
    /// Read at once, as nothing is known yet.
    pub(super) fn new(need: Need) -> Self {
        Self {
            need,
            pace: Pace::Usual,
            due: Instant::now(),
            read: Instant::now(),
            sleeps_since: None,
            told: false,
            memory: Memory::default(),
            gaps: Gaps::default(),
            uncommitted: Uncommitted::default(),
            ages: Ages::default(),
            latest: Latest::default(),
            commits: None,
            hosts: Hosts::new(),
            members: None,
            asked_for_members: None,
        }
    }

    /// Falls asleep or wakes up, as things are now; whether that is a change.
    pub(super) fn settle(&mut self) -> bool {
        let slept = self.sleeps_since.is_some();
        let sleeps = self.pace == Pace::Asleep && self.at_rest();
        let since = self.sleeps_since.unwrap_or_else(Instant::now);
        self.sleeps_since = sleeps.then_some(since);
        sleeps != slept
    }

    /// Nothing waits, so nothing can be committed until something arrives.
    pub(super) fn at_rest(&self) -> bool {
        let quiet = |offsets: &Arc<Offsets>| {
            offsets.partitions.values().all(|sample| {
                sample
                    .as_ref()
                    .is_some_and(|sample| sample.lag().is_ok_and(|lag| lag.0 == 0))
            })
        };
        self.latest.failure.is_none() && self.latest.offsets.as_ref().is_some_and(quiet)
    }

    /// Whether what was read of the group is still believed for these partitions: for `kept`, and for
    /// longer where `enough` others at rest are asked already.
    pub(super) fn commits_hold(&self, partitions: usize, kept: Duration, enough: bool) -> bool {
        let read = self.commits.as_ref();
        let holds = read.is_some_and(|(at, answers)| {
            (enough || at.elapsed() < kept) && answers.len() == partitions
        });
        holds && self.at_rest()
    }

    /// The partitions whose high watermark is to be known, with these commits or those that were read before.
    pub(super) fn reads_uncommitted<'a>(
        &self,
        partitions: &'a [TopicPartition],
        commits: Option<&Answers<Committed>>,
        ends: &Ends,
    ) -> Vec<&'a TopicPartition> {
        let kept = || self.commits.as_ref().map(|(_, commits)| commits.as_ref());
        match commits.or_else(kept) {
            Some(commits) if self.need.own_consumer => {
                let among = self.uncommitted.among(partitions, commits, ends);
                among.collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether the group's members are asked for: of a consumer that says nothing of itself each time, since only they
    /// say who has what, and where somebody moves offsets; else once in a while, whether the broker answers or not.
    pub(super) fn asks_for_members(&mut self, kept: Duration) -> bool {
        let holds = |at: Instant| at.elapsed() < kept;
        let each_time = self.need.own_consumer || self.memory.has_doubtful_moves();
        if !each_time && self.asked_for_members.is_some_and(holds) {
            return false;
        }
        self.asked_for_members = Some(Instant::now());
        true
    }

    /// Keeps what was read; whether it says anything new.
    pub(super) fn keep(&mut self, read: Read<'_>) -> bool {
        if let Some(commits) = read.commits {
            self.commits = Some((Instant::now(), commits));
            // Who had a partition when somebody last said it may not have it any more.
            let fresh = read.members.as_deref().filter(|_| self.need.own_consumer);
            self.hosts = hosts(fresh.unwrap_or_default());
        }
        let none = Answers::new();
        let commits = self.commits.as_ref();
        let commits = commits.map(|(_, commits)| Arc::clone(commits));
        let commits = commits.as_deref().unwrap_or(&none);
        let said = Said {
            committed: commits,
            hosts: &self.hosts,
            open_ends: match self.need.own_consumer {
                true => self.uncommitted.pass(read.partitions, commits, read.ends),
                false => OpenEnds::new(),
            },
            // Who was in it when somebody last said so may have left.
            has_members: read.members.as_ref().is_some_and(|them| !them.is_empty()),
        };
        if let Some(members) = read.members {
            self.members = Some(members);
        }
        let memory = &mut self.memory;
        let mut offsets = memory.assemble(read.at, read.partitions, &said, read.ends);
        if self.need.own_consumer {
            self.gaps
                .pass(&mut offsets.partitions, &said.open_ends, read.at);
        }
        offsets.oldest = self.ages.pass(&offsets.partitions, read.at);
        offsets.members.clone_from(&self.members);
        let known = self.latest.offsets.as_ref();
        let news = self.latest.failure.is_some()
            || known.is_none_or(|before| before.differs(&offsets))
            // Who takes a second look at a burst wants to know as well that nothing more has come.
            || self.pace == Pace::Quick;
        self.latest.offsets = Some(Arc::new(offsets));
        self.latest.failure = None;
        self.latest.waits = false;
        self.read = Instant::now();
        news
    }

    /// Keeps a failure, and asks again after `pause`; whether it is a new one.
    pub(super) fn fail(&mut self, error: &Error, pause: Option<Duration>) -> bool {
        let before = self.latest.failure.take();
        let news = before
            .as_ref()
            .is_none_or(|failure| failure.error.label() != error.label());
        self.latest.failure = Some(Failure {
            since: before.map_or_else(clock::now, |failure| failure.since),
            error: error.clone(),
        });
        self.latest.waits = false;
        self.commits = None;
        self.due = Instant::now() + pause.unwrap_or(4 * self.pace.period());
        news
    }
}

/// From which address each partition is read.
fn hosts(members: &[Member]) -> Hosts {
    let has = |member: &Member| {
        let host = Arc::clone(&member.host);
        let partitions = member.partitions.clone().into_iter();
        partitions.map(move |partition| (partition, Arc::clone(&host)))
    };
    members.iter().flat_map(has).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::security::Security;
    use crate::lag::Source;
    use crate::topic::Offset;
    use std::collections::BTreeMap;

    fn need() -> Need {
        Need {
            source: Source {
                bootstrap_servers: "kafka:9092".to_owned(),
                properties: BTreeMap::default(),
                security: Security::default(),
            },
            topics: Vec::new(),
            group_id: "shop".to_owned(),
            dead_letter_topic: None,
            own_consumer: false,
        }
    }

    #[test]
    fn who_has_a_partition_is_known_as_long_as_what_was_committed_with_it_is_believed() {
        let need = Need {
            own_consumer: true,
            ..need()
        };
        let mut fleet = Fleet::new(need);
        let partitions = [TopicPartition::new("t", 0)];
        let committed = Committed {
            offset: Some(Offset(5)),
            metadata: Vec::new(),
        };
        let commits = Arc::new(Answers::from([(partitions[0].clone(), Ok(committed))]));
        let ends = Ends {
            end: [(partitions[0].clone(), Ok(Some(Offset(5))))].into(),
            start: [(partitions[0].clone(), Offset(0))].into(),
            ..Ends::default()
        };
        let member = Member {
            id: "a".to_owned(),
            client_id: "a".to_owned(),
            host: "10.0.0.1".into(),
            partitions: partitions.to_vec(),
        };
        let mut pod = |commits: Option<&Arc<_>>, members: Option<&Member>| {
            fleet.keep(Read {
                at: clock::now(),
                partitions: &partitions,
                commits: commits.map(Arc::clone),
                members: members.map(|member| vec![member.clone()].into()),
                ends: &ends,
            });
            let offsets = fleet.latest.offsets.clone().unwrap();
            offsets.partitions[&partitions[0]].clone().unwrap().pod
        };
        let known = Some("10.0.0.1".to_owned());
        assert_eq!(pod(Some(&commits), Some(&member)), known);
        assert_eq!(pod(None, None), known, "it is at rest: nobody was asked");
        assert_eq!(pod(Some(&commits), None), None, "the broker does not say");
        assert_eq!(pod(None, None), None);
    }

    #[test]
    fn a_broker_that_says_of_no_members_is_not_asked_each_time() {
        let mut need = need();
        let hour = Duration::from_secs(3600);
        let asked = |need: &Need, kept| {
            let mut fleet = Fleet::new(need.clone());
            [(); 2].map(|()| fleet.asks_for_members(kept))
        };
        assert_eq!(asked(&need, hour), [true, false]);
        assert_eq!(asked(&need, Duration::ZERO), [true, true]);
        need.own_consumer = true;
        assert_eq!(asked(&need, hour), [true, true]);
    }
}
