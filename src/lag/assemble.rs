//! From Kafka's answers to what a planner is told. No input or output here.

mod moves;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::uncommitted::OpenEnds;
use super::{Offsets, TopicState};
use crate::kafka::admin::{Answers, Committed, Error};
use crate::report::Report;
use crate::scaling::{Beyond, PartitionSample, PodSample};
use crate::topic::{ByPartition, Offset, TopicPartition};
use moves::Moves;

/// From which address a partition is read, as far as anybody reads it.
pub(super) type Hosts = BTreeMap<TopicPartition, Arc<str>>;

/// Kafka's answers for any number of fleets.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// The next offset of each partition.
    pub(super) end: Answers<Option<Offset>>,
    /// The oldest offset of each partition.
    pub(super) start: ByPartition<Offset>,
    /// The high watermark of those of which it was asked for.
    pub(super) high: ByPartition<Offset>,
}

/// What is known of a fleet's group.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) committed: &'a Answers<Committed>,
    pub(super) hosts: &'a Hosts,
    pub(super) open_ends: OpenEnds,
    /// Somebody was in it when this was committed.
    pub(super) has_members: bool,
}

/// What a fleet's earlier readings leave for the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// What was last committed of every partition.
    texts: ByPartition<Last>,
    /// Every pod's newest report.
    pods: BTreeMap<String, PodSample>,
    /// Partitions that a topic was last known to have.
    partitions: BTreeMap<String, u32>,
    /// All of them, as long as nothing changes.
    all: Arc<[TopicPartition]>,
}

/// What was last committed of a partition.
#[derive(Clone, Debug)]
struct Last {
    committed: Committed,
    /// What its text says. Boxed: a tree has places that nothing is in, and most groups are at rest without any.
    report: Option<Box<Report>>,
    /// The partition's end, at its lowest since that was committed.
    lowest_end: Option<Offset>,
    /// How it moves without a report.
    moves: Moves,
}

impl Last {
    /// Where the group goes on if Kafka forgets it. A partition that ended before that is another topic's: all that it
    /// has is new.
    fn place(&self) -> Option<Committed> {
        let at = self.committed.offset?;
        Some(match self.lowest_end {
            Some(end) if end < at => Committed {
                offset: Some(Offset(0)),
                metadata: Vec::new(),
            },
            _ => self.committed.clone(),
        })
    }
}

impl Memory {
    /// Every partition that the fleet should know, known to Kafka at present or not.
    pub(super) fn partitions(
        &mut self,
        topics: &[String],
        states: &BTreeMap<Arc<str>, TopicState>,
    ) -> Arc<[TopicPartition]> {
        let mut news = self.all.is_empty();
        for topic in topics {
            if let Some(TopicState::Exists(count)) = states.get(topic.as_str())
                && self.partitions.get(topic) != Some(count)
            {
                self.partitions.insert(topic.clone(), *count);
                news = true;
            }
        }
        if news {
            self.all = self.every(topics, states).into_iter().collect();
        }
        Arc::clone(&self.all)
    }

    fn every(
        &self,
        topics: &[String],
        states: &BTreeMap<Arc<str>, TopicState>,
    ) -> BTreeSet<TopicPartition> {
        let mut all = BTreeSet::new();
        for topic in topics {
            // A topic that was never seen still has at least one partition that is unknown.
            let count = self.partitions.get(topic).copied().unwrap_or(1).max(1);
            // All fleets share a topic's name, so that to compare it is to compare pointers.
            let known = states.get_key_value(topic.as_str());
            let name = known.map_or_else(|| topic.as_str().into(), |(name, _)| Arc::clone(name));
            for number in 0..i32::try_from(count).unwrap_or(i32::MAX) {
                all.insert(TopicPartition {
                    topic: name.clone(),
                    partition: number,
                });
            }
        }
        all
    }

    /// Joins the answers for one fleet.
    pub(super) fn assemble(
        &mut self,
        at: Timestamp,
        partitions: &[TopicPartition],
        said: &Said<'_>,
        ends: &Ends,
    ) -> Offsets {
        let committed = said.committed;
        let first = self.texts.is_empty();
        let forgotten = self.forgotten(committed);
        // Whether that was all must be known before anything counts as forgotten.
        let unsure = forgotten || committed.values().any(Result::is_err);
        let mut fresh: BTreeMap<String, PodSample> = BTreeMap::new();
        let mut foreign = 0;
        let mut samples = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let sample = match committed.get(partition) {
                Some(Ok(committed)) => {
                    let keep = unsure && committed.offset.is_none();
                    let changed = !keep && self.read(partition, committed, said.has_members);
                    let text = self.texts.get(partition).filter(|_| !keep);
                    let report = text.and_then(|last| last.report.as_deref());
                    foreign += usize::from(text.is_some_and(|last| last.moves.are_by_others()));
                    if let Some(report) = report.filter(|_| changed || first) {
                        newest(&mut fresh, report);
                    }
                    let end = end(partition, said, ends);
                    let mut sample = sample(partition, committed, report, end, ends);
                    if let (Some(sample), Some(host)) = (&mut sample, said.hosts.get(partition)) {
                        sample.pod.get_or_insert_with(|| host.to_string());
                    }
                    if let Some(last) = self.texts.get_mut(partition) {
                        let ends = sample.as_ref().map(|sample| sample.end);
                        last.lowest_end = last.lowest_end.into_iter().chain(ends).min();
                    }
                    sample
                }
                // Not asked, not answered, or refused: unknown.
                Some(Err(_)) | None => None,
            };
            samples.push((partition.clone(), sample));
        }
        self.texts
            .retain(|partition, _| partitions.binary_search(partition).is_ok());
        self.texts.shrink_to_fit();

        // A pod that started again counts from zero: what it says now holds, although an older
        // report of it, on a partition without records, says more.
        self.pods.extend(fresh);
        let reports = || {
            self.texts
                .values()
                .filter_map(|last| last.report.as_deref())
        };
        let named: BTreeSet<&str> = reports().map(|report| report.pod.as_str()).collect();
        self.pods.retain(|pod, _| named.contains(pod.as_str()));
        let dead_letter = reports().find_map(|report| report.dead_letter.clone());
        let handler = reports().find_map(|report| report.handler.clone());
        Offsets {
            at,
            partitions: samples.into_iter().collect(),
            pods: self.pods.clone(),
            dead_letter,
            handler,
            oldest: None,
            foreign,
            members: None,
            forgotten,
        }
    }

    /// The group had offsets, and Kafka knows of none any more: it forgets those of a group that has been without
    /// members for `offsets.retention.minutes`, a week by default.
    fn forgotten(&self, committed: &Answers<Committed>) -> bool {
        let none = |answer: &Result<Committed, Error>| {
            answer
                .as_ref()
                .is_ok_and(|committed| committed.offset.is_none())
        };
        let had = |last: &Last| last.committed.offset.is_some();
        !committed.is_empty() && committed.values().all(none) && self.texts.values().any(had)
    }

    /// Somebody has moved an offset, and it is not known who.
    pub(super) fn has_doubtful_moves(&self) -> bool {
        self.texts.values().any(|last| last.moves.are_in_doubt())
    }

    /// What the group had committed when it last had anything.
    pub(super) fn last_committed(&self) -> BTreeMap<TopicPartition, Committed> {
        let last = self.texts.iter();
        last.filter_map(|(partition, last)| Some((partition.clone(), last.place()?)))
            .collect()
    }

    /// Keeps what was committed, and reads its text, if that is not the one that was read before.
    fn read(
        &mut self,
        partition: &TopicPartition,
        committed: &Committed,
        has_members: bool,
    ) -> bool {
        let moves = |last: &Last| {
            let (from, to) = (last.committed.offset, committed.offset);
            last.moves.and(from, to, has_members)
        };
        if let Some(last) = self.texts.get_mut(partition)
            && last.committed.metadata == committed.metadata
        {
            if last.committed.offset != committed.offset {
                if last.report.is_none() {
                    last.moves = moves(last);
                }
                last.committed.offset = committed.offset;
                last.lowest_end = None;
            }
            return false;
        }
        let report = committed.offset.and_then(|offset| {
            let text = std::str::from_utf8(&committed.metadata).ok()?;
            Report::decode(text, offset).ok().map(Box::new)
        });
        let before = self.texts.get(partition).filter(|_| report.is_none());
        let last = Last {
            committed: committed.clone(),
            moves: before.map(moves).unwrap_or_default(),
            report,
            lowest_end: None,
        };
        self.texts.insert(partition.clone(), last);
        true
    }
}

/// Of several reports of one pod the one that counts most is the newest.
fn newest(pods: &mut BTreeMap<String, PodSample>, report: &Report) {
    let sample = PodSample {
        done: report.done,
        busy: report.busy,
        slots: report.slots,
        failures: report.failures,
        slow_downs: report.slow_downs,
    };
    let newer = pods
        .get(&report.pod)
        .is_none_or(|known| (sample.done, sample.busy) >= (known.done, known.busy));
    if newer {
        pods.insert(report.pod.clone(), sample);
    }
}

/// Where the partition ends for who reads it.
fn end(partition: &TopicPartition, said: &Said<'_>, ends: &Ends) -> Option<Offset> {
    match (said.open_ends.get(partition), ends.end.get(partition)) {
        (Some(end), _) => *end,
        (None, Some(Ok(end))) => *end,
        (None, _) => None,
    }
}

fn sample(
    partition: &TopicPartition,
    committed: &Committed,
    report: Option<&Report>,
    end: Option<Offset>,
    ends: &Ends,
) -> Option<PartitionSample> {
    let end = end?;
    let start = *ends.start.get(partition)?;
    Some(PartitionSample {
        end,
        // The start is read less often than the end; a topic that was made anew has both lower.
        start: start.min(end),
        committed: committed.offset,
        beyond: report
            .zip(committed.offset)
            .and_then(|(report, at)| beyond(report, at)),
        stuck: report.and_then(|report| report.stuck.clone()),
        pod: report.map(|report| report.pod.clone()),
    })
}

/// What the report says of records beyond the committed one, `at`.
fn beyond(report: &Report, at: Offset) -> Option<Beyond> {
    let finished = report.ahead.iter().cloned();
    let failed = report
        .tries
        .iter()
        .map(|tries| tries.offset..tries.offset.saturating_add(1));
    let mut known: Vec<_> = finished
        .chain(failed)
        .filter(|run| run.start >= at.0)
        .collect();
    known.sort_unstable_by_key(|run| run.start);
    let (mut next, mut more) = (at.0, 0_u64);
    for run in known {
        if run.start <= next {
            next = next.max(run.end);
        } else {
            more = more.saturating_add(run.end.abs_diff(run.start));
        }
    }
    let retried = report.tries.len() as u64;
    if let Some(later) = report.later.filter(|later| later.next >= at.0) {
        // The worker has counted what its text has no room for, too.
        return Some(Beyond {
            next: Offset(later.next),
            more: later.more,
            retried: retried.max(later.records),
            tried: report.tried,
            later: Some(later),
        });
    }
    let beyond = Beyond {
        next: Offset(next),
        more,
        retried,
        tried: report.tried,
        later: None,
    };
    (beyond.next > at || beyond.more > 0).then_some(beyond)
}

/// Why no partition could be read, where it is the cluster that does not answer.
pub(super) fn silence<T>(answers: &Answers<T>) -> Option<Error> {
    let mut silent = None;
    for answer in answers.values() {
        match answer {
            Err(error @ Error::Unreachable(_)) => silent = Some(error.clone()),
            _ => return None,
        }
    }
    silent
}

#[cfg(test)]
mod strange;
#[cfg(test)]
mod tests;
