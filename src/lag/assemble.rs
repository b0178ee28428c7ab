//! From Kafka's answers to what a planner is told. No input or output here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Offsets, TopicState};
use crate::kafka::admin::{Answers, Committed, Error};
use crate::report::Report;
use crate::scaling::{Beyond, PartitionSample, PodSample};
use crate::topic::{Offset, TopicPartition};

/// From which address a partition is read, as far as anybody reads it.
pub(super) type Hosts = BTreeMap<TopicPartition, Arc<str>>;

/// Kafka's answers for any number of fleets.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// The next offset of each partition.
    pub(super) end: Answers<Option<Offset>>,
    /// The oldest offset of each partition.
    pub(super) start: BTreeMap<TopicPartition, Offset>,
}

/// What a fleet's earlier readings leave for the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// What was last committed of every partition.
    texts: BTreeMap<TopicPartition, Last>,
    /// Every pod's newest report.
    pods: BTreeMap<String, PodSample>,
    /// Partitions that a topic was last known to have.
    partitions: BTreeMap<String, u32>,
    /// All of them, as long as nothing changes.
    all: Arc<BTreeSet<TopicPartition>>,
}

/// What was last committed of a partition.
#[derive(Clone, Debug)]
struct Last {
    committed: Committed,
    /// What its text says. Boxed: a tree has places that nothing is in, and most groups are at rest without any.
    report: Option<Box<Report>>,
    /// The partition's end, at its lowest since that was committed.
    lowest_end: Option<Offset>,
    /// How often the offset was seen to move without a report, since there was one or it was first read.
    silent_moves: u32,
}

impl Last {
    /// Others read this partition: its offset moves without reports. Once may be somebody who sets it by hand.
    fn is_moved_by_others(&self) -> bool {
        self.silent_moves >= 2
    }

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
    ) -> Arc<BTreeSet<TopicPartition>> {
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
            self.all = Arc::new(self.every(topics, states));
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
        partitions: &BTreeSet<TopicPartition>,
        committed: &Answers<Committed>,
        hosts: &Hosts,
        ends: &Ends,
    ) -> Offsets {
        let first = self.texts.is_empty();
        let forgotten = self.forgotten(committed);
        // Whether that was all must be known before anything counts as forgotten.
        let unsure = forgotten || committed.values().any(Result::is_err);
        let mut fresh: BTreeMap<String, PodSample> = BTreeMap::new();
        let mut foreign = 0;
        let mut samples = BTreeMap::new();
        for partition in partitions {
            let sample = match committed.get(partition) {
                Some(Ok(committed)) => {
                    let keep = unsure && committed.offset.is_none();
                    let changed = !keep && self.read(partition, committed);
                    let text = self.texts.get(partition).filter(|_| !keep);
                    let report = text.and_then(|last| last.report.as_deref());
                    foreign += usize::from(text.is_some_and(Last::is_moved_by_others));
                    if let Some(report) = report.filter(|_| changed || first) {
                        newest(&mut fresh, report);
                    }
                    let mut sample = sample(partition, committed, report, ends);
                    if let (Some(sample), Some(host)) = (&mut sample, hosts.get(partition)) {
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
            samples.insert(partition.clone(), sample);
        }
        self.texts
            .retain(|partition, _| partitions.contains(partition));

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
        Offsets {
            at,
            partitions: samples,
            pods: self.pods.clone(),
            dead_letter,
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

    /// What the group had committed when it last had anything.
    pub(super) fn last_committed(&self) -> BTreeMap<TopicPartition, Committed> {
        let last = self.texts.iter();
        last.filter_map(|(partition, last)| Some((partition.clone(), last.place()?)))
            .collect()
    }

    /// Keeps what was committed, and reads its text, if that is not the one that was read before.
    fn read(&mut self, partition: &TopicPartition, committed: &Committed) -> bool {
        if let Some(last) = self.texts.get_mut(partition)
            && last.committed.metadata == committed.metadata
        {
            if last.committed.offset != committed.offset {
                last.committed.offset = committed.offset;
                last.lowest_end = None;
                last.silent_moves += u32::from(last.report.is_none());
            }
            return false;
        }
        let report = committed.offset.and_then(|offset| {
            let text = std::str::from_utf8(&committed.metadata).ok()?;
            Report::decode(text, offset).ok().map(Box::new)
        });
        let before = self.texts.get(partition).filter(|_| report.is_none());
        let moves = |before: &Last| {
            before.silent_moves + u32::from(before.committed.offset != committed.offset)
        };
        let last = Last {
            committed: committed.clone(),
            silent_moves: before.map_or(0, moves),
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

fn sample(
    partition: &TopicPartition,
    committed: &Committed,
    report: Option<&Report>,
    ends: &Ends,
) -> Option<PartitionSample> {
    let end = match ends.end.get(partition) {
        Some(Ok(Some(end))) => *end,
        _ => return None,
    };
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
    let (mut next, mut more) = (at.0, 0);
    for run in known {
        if run.start <= next {
            next = next.max(run.end);
        } else {
            more += run.end.saturating_sub(run.start).unsigned_abs();
        }
    }
    let beyond = Beyond {
        next: Offset(next),
        more,
        retried: report.tries.len() as u64,
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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::Tries;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    fn ends(count: i32, start: i64, end: i64) -> Ends {
        Ends {
            end: (0..count)
                .map(|p| (partition(p), Ok(Some(Offset(end)))))
                .collect(),
            start: (0..count).map(|p| (partition(p), Offset(start))).collect(),
        }
    }

    fn commit(offset: i64, pod: &str, done: u64) -> Committed {
        let report = Report {
            pod: pod.to_owned(),
            done,
            busy: Duration::from_secs(done),
            slots: 1,
            ..Report::default()
        };
        Committed {
            offset: Some(Offset(offset)),
            metadata: report.encode(Offset(offset)).into_bytes(),
        }
    }

    #[test]
    fn what_is_finished_or_failed_beyond_the_committed_offset_waits_for_no_pod() {
        let tries = |offset| Tries {
            offset,
            attempts: 2,
            next_at: None,
        };
        let report = Report {
            pod: "a".to_owned(),
            tried: 2,
            tries: vec![tries(3), tries(8), tries(20)],
            ahead: vec![4..8, 9..12, 14..18],
            ..Report::default()
        };
        let found = beyond(&report, Offset(3)).unwrap();
        // 12 and 13 wait, and so does 19.
        assert_eq!(found.next, Offset(12));
        assert_eq!((found.more, found.retried), (5, 3));
        assert_eq!(beyond(&Report::default(), Offset(3)), None);

        // The same through the text of a commit.
        let committed = Committed {
            offset: Some(Offset(3)),
            metadata: report.encode(Offset(3)).into_bytes(),
        };
        let read = Memory::default().assemble(
            Timestamp::UNIX_EPOCH,
            &all(1),
            &[(partition(0), Ok(committed))].into(),
            &Hosts::new(),
            &ends(1, 0, 21),
        );
        let sample = read.partitions[&partition(0)].as_ref().unwrap();
        assert_eq!(sample.beyond, Some(found));
        assert_eq!((sample.lag().unwrap().0, sample.waits()), (18, 4));
    }

    fn all(count: i32) -> BTreeSet<TopicPartition> {
        (0..count).map(partition).collect()
    }

    #[test]
    fn a_pod_that_started_again_counts_from_zero() {
        let mut memory = Memory::default();
        let first = [
            (partition(0), Ok(commit(5, "a", 900))),
            (partition(1), Ok(commit(5, "a", 800))),
        ];
        let read = memory.assemble(
            Timestamp::UNIX_EPOCH,
            &all(2),
            &first.into(),
            &Hosts::new(),
            &ends(2, 0, 10),
        );
        assert_eq!(read.pods["a"].done, 900);
        let again = [
            (partition(0), Ok(commit(5, "a", 900))),
            (partition(1), Ok(commit(6, "a", 3))),
        ];
        let read = memory.assemble(
            Timestamp::UNIX_EPOCH,
            &all(2),
            &again.into(),
            &Hosts::new(),
            &ends(2, 0, 10),
        );
        assert_eq!(read.pods["a"].done, 3);
    }

    #[test]
    fn a_partition_without_answer_is_unknown_and_one_without_commit_is_not() {
        let mut memory = Memory::default();
        let nothing = Committed {
            offset: None,
            metadata: Vec::new(),
        };
        let answers = [
            (partition(0), Ok(nothing)),
            (partition(1), Err(Error::Missing)),
        ];
        let read = memory.assemble(
            Timestamp::UNIX_EPOCH,
            &all(3),
            &answers.into(),
            &Hosts::new(),
            &ends(3, 4, 10),
        );
        let first = read.partitions[&partition(0)].as_ref().unwrap();
        assert_eq!((first.committed, first.lag().unwrap().0), (None, 6));
        assert_eq!(read.partitions[&partition(1)], None);
        assert_eq!(read.partitions[&partition(2)], None);
        assert_eq!(read.foreign, 0);
    }

    #[test]
    fn what_kafka_forgets_of_a_group_without_members_is_remembered() {
        let mut memory = Memory::default();
        let mut read = |committed: [Result<Committed, Error>; 2]| {
            let answers = (0..).map(partition).zip(committed).collect();
            let read = memory.assemble(
                Timestamp::UNIX_EPOCH,
                &all(2),
                &answers,
                &Hosts::new(),
                &ends(2, 0, 10),
            );
            (read.forgotten, memory.last_committed())
        };
        let none = || {
            Ok(Committed {
                offset: None,
                metadata: Vec::new(),
            })
        };
        assert_eq!(read([none(), none()]), (false, BTreeMap::new()));
        let (_, last) = read([Ok(commit(5, "a", 900)), none()]);
        assert_eq!(last, [(partition(0), commit(5, "a", 900))].into());
        // The same text beside another offset counts.
        let on = Committed {
            offset: Some(Offset(7)),
            ..commit(5, "a", 900)
        };
        let (forgotten, last) = read([Ok(on.clone()), none()]);
        assert_eq!((forgotten, &last[&partition(0)]), (false, &on));
        // One answer alone is not all.
        assert!(!read([none(), Err(Error::Missing)]).0);
        assert_eq!(read([none(), none()]), (true, last.clone()));
        assert_eq!(read([none(), none()]), (true, last.clone()));
        assert_eq!(read([Ok(on), none()]), (false, last));
    }

    /// Kafka forgets the offsets of a topic that is deleted, too.
    #[test]
    fn of_a_topic_that_was_made_anew_nothing_is_remembered() {
        let mut memory = Memory::default();
        let mut read = |committed: Option<i64>, end| {
            let committed = Committed {
                offset: committed.map(Offset),
                metadata: Vec::new(),
            };
            let answers = [(partition(0), Ok(committed))].into();
            let (at, hosts) = (Timestamp::UNIX_EPOCH, Hosts::new());
            memory.assemble(at, &all(1), &answers, &hosts, &ends(1, 0, end));
            memory.last_committed()[&partition(0)].offset
        };
        assert_eq!(read(Some(50), 60), Some(Offset(50)));
        // Both are still there for a moment, and then it has as many records as before.
        assert_eq!(read(Some(50), 3), Some(Offset(0)));
        assert_eq!(read(None, 3), Some(Offset(0)));
        assert_eq!(read(None, 70), Some(Offset(0)));
        assert_eq!(read(Some(20), 70), Some(Offset(20)));
        assert_eq!(read(None, 70), Some(Offset(20)));
    }

    #[test]
    fn an_offset_that_moves_without_reports_is_moved_by_others() {
        let mut memory = Memory::default();
        let mut read = |offset: i64, text: &str| {
            let committed = Committed {
                offset: Some(Offset(offset)),
                metadata: text.into(),
            };
            let answers = [(partition(0), Ok(committed))].into();
            let (at, hosts) = (Timestamp::UNIX_EPOCH, Hosts::new());
            memory
                .assemble(at, &all(1), &answers, &hosts, &ends(1, 0, 100))
                .foreign
        };
        let ours = |offset| {
            let report = Report {
                pod: "pod-1".to_owned(),
                ..Default::default()
            };
            report.encode(Offset(offset))
        };
        assert_eq!(read(10, &ours(10)), 0);
        assert_eq!(read(20, ""), 0, "somebody sets it");
        assert_eq!(read(20, ""), 0, "and leaves it");
        assert_eq!(read(25, ""), 1, "somebody reads on");
        assert_eq!(read(25, ""), 1);
        assert_eq!(read(30, "another tool's"), 1);
        assert_eq!(read(31, &ours(31)), 0, "a worker has it again");
        assert_eq!(read(32, "another tool's"), 0);
    }

    #[test]
    fn foreign_and_damaged_texts_are_passed_over() {
        let mut memory = Memory::default();
        let foreign = |metadata: &[u8]| Committed {
            offset: Some(Offset(1)),
            metadata: metadata.to_vec(),
        };
        let answers = [
            (partition(0), Ok(foreign(b"written by another tool"))),
            (partition(1), Ok(foreign(&[0xff, 0, 1]))),
            (partition(2), Ok(foreign(b""))),
        ];
        let read = memory.assemble(
            Timestamp::UNIX_EPOCH,
            &all(3),
            &answers.into(),
            &Hosts::new(),
            &ends(3, 0, 10),
        );
        // They may have been there before the fleet was.
        assert_eq!(read.foreign, 0);
        assert!(read.pods.is_empty());
        assert!(
            read.partitions
                .values()
                .all(|sample| sample.as_ref().unwrap().lag().unwrap().0 == 9)
        );
    }

    #[test]
    fn a_topic_never_seen_has_an_unknown_partition_and_one_gone_keeps_its_own() {
        let mut memory = Memory::default();
        let topics = ["t".to_owned()];
        assert_eq!(memory.partitions(&topics, &BTreeMap::new()).len(), 1);
        let known = BTreeMap::from([("t".into(), TopicState::Exists(12))]);
        assert_eq!(memory.partitions(&topics, &known).len(), 12);
        let missing = BTreeMap::from([("t".into(), TopicState::Missing)]);
        assert_eq!(memory.partitions(&topics, &missing).len(), 12);
    }

    #[test]
    fn partitions_are_made_once_and_fleets_share_the_name_of_their_topic() {
        let topics = ["t".to_owned()];
        let states = BTreeMap::from([("t".into(), TopicState::Exists(12))]);
        let (mut one, mut other) = (Memory::default(), Memory::default());
        let first = one.partitions(&topics, &states);
        assert!(Arc::ptr_eq(&first, &one.partitions(&topics, &states)));
        let others = other.partitions(&topics, &states);
        let name = |all: &BTreeSet<TopicPartition>| Arc::clone(&all.first().unwrap().topic);
        assert!(Arc::ptr_eq(&name(&first), &name(&others)));
    }
}
