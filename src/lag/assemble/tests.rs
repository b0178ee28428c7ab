//! What becomes of Kafka's answers, one claim a test.

use std::time::Duration;

use super::*;
use crate::report::{Later, Tries};

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

fn ends(count: i32, start: i64, end: i64) -> Ends {
    Ends {
        end: (0..count)
            .map(|p| (partition(p), Ok(Some(Offset(end)))))
            .collect(),
        start: (0..count).map(|p| (partition(p), Offset(start))).collect(),
        ..Ends::default()
    }
}

static NOBODY: Hosts = Hosts::new();

fn said(committed: &Answers<Committed>) -> Said<'_> {
    Said {
        committed,
        hosts: &NOBODY,
        open_ends: OpenEnds::new(),
        has_members: false,
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
    assert_eq!((found.more, found.retried, found.tried), (5, 3, 2));
    assert_eq!(beyond(&Report::default(), Offset(3)), None);

    // The same through the text of a commit.
    let committed = Committed {
        offset: Some(Offset(3)),
        metadata: report.encode(Offset(3)).into_bytes(),
    };
    let read = Memory::default().assemble(
        Timestamp::UNIX_EPOCH,
        &all(1),
        &said(&[(partition(0), Ok(committed))].into()),
        &ends(1, 0, 21),
    );
    let sample = read.partitions[&partition(0)].as_ref().unwrap();
    assert_eq!(sample.beyond, Some(found));
    assert_eq!((sample.lag().unwrap().0, sample.waits()), (18, 4));
}

fn all(count: i32) -> Vec<TopicPartition> {
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
        &said(&first.into()),
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
        &said(&again.into()),
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
        &said(&answers.into()),
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
            &said(&answers),
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
        let at = Timestamp::UNIX_EPOCH;
        memory.assemble(at, &all(1), &said(&answers), &ends(1, 0, end));
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

/// One that waits for no transaction is beyond the last stable offset, which is no end of another topic.
#[test]
fn what_a_consumer_that_reads_uncommitted_has_done_is_remembered() {
    let mut memory = Memory::default();
    let mut read = |committed: Option<i64>, high| {
        let committed = Committed {
            offset: committed.map(Offset),
            metadata: Vec::new(),
        };
        let answers = [(partition(0), Ok(committed))].into();
        let said = Said {
            open_ends: [(partition(0), high)].into(),
            ..said(&answers)
        };
        let at = Timestamp::UNIX_EPOCH;
        let read = memory.assemble(at, &all(1), &said, &ends(1, 0, 10));
        let sample = read.partitions[&partition(0)].clone();
        let lag = sample.map(|sample| sample.lag().map(|lag| lag.0));
        (lag, memory.last_committed()[&partition(0)].offset)
    };
    let done = Some(Offset(15));
    assert_eq!(read(Some(15), Some(Offset(17))), (Some(Ok(2)), done));
    assert_eq!(read(Some(15), None), (None, done), "it was not told");
    assert_eq!(read(None, Some(Offset(17))).1, done);
}

/// Looks at a partition in which something was committed, with or without members in the group; whether others move it.
fn foreign(memory: &mut Memory, offset: i64, text: &str, has_members: bool) -> usize {
    let committed = Committed {
        offset: Some(Offset(offset)),
        metadata: text.into(),
    };
    let answers = [(partition(0), Ok(committed))].into();
    let said = Said {
        has_members,
        ..said(&answers)
    };
    let at = Timestamp::UNIX_EPOCH;
    let read = memory.assemble(at, &all(1), &said, &ends(1, 0, 100));
    read.foreign
}

fn ours(offset: i64) -> String {
    let report = Report {
        pod: "pod-1".to_owned(),
        ..Default::default()
    };
    report.encode(Offset(offset))
}

#[test]
fn an_offset_that_moves_without_reports_is_moved_by_others() {
    let mut memory = Memory::default();
    let mut read = |offset, text: &str| foreign(&mut memory, offset, text, true);
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
fn offsets_that_are_set_twice_while_nobody_is_in_the_group_are_moved_by_no_program() {
    let mut memory = Memory::default();
    let mut read = |offset, text: &str| foreign(&mut memory, offset, text, false);
    assert_eq!(read(10, &ours(10)), 0);
    assert_eq!([20, 30].map(|offset| read(offset, "")), [0, 0]);
    // Somebody looks for the right place.
    let places = [5, 6, 7, 8, 3, 4, 50, 60, 70];
    assert_eq!(places.map(|offset| read(offset, "")), [0; 9]);
    // One that commits without being in the group goes on and on, and is one whoever comes into the group.
    assert_eq!([71, 72].map(|offset| read(offset, "")), [1, 1]);
    assert!(!memory.has_doubtful_moves());
    assert_eq!(foreign(&mut memory, 72, "", true), 1);
}

#[test]
fn who_is_in_the_group_is_to_be_known_once_an_offset_was_set() {
    let mut memory = Memory::default();
    for (offset, text, in_doubt) in [
        (10, ours(10), false),
        (20, String::new(), true),
        (20, String::new(), true),
        (21, ours(21), false),
        (15, String::new(), false),
    ] {
        foreign(&mut memory, offset, &text, false);
        assert_eq!(memory.has_doubtful_moves(), in_doubt, "{offset} {text}");
    }
}

/// What `startAt` says is written where nothing was.
#[test]
fn a_group_that_begins_is_moved_by_nobody() {
    let mut memory = Memory::default();
    let nothing = Committed {
        offset: None,
        metadata: Vec::new(),
    };
    let answers = [(partition(0), Ok(nothing))].into();
    let at = Timestamp::UNIX_EPOCH;
    memory.assemble(at, &all(1), &said(&answers), &ends(1, 0, 100));
    assert_eq!(foreign(&mut memory, 10, "", true), 0);
    assert_eq!(foreign(&mut memory, 20, "", true), 0, "somebody sets it");
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
        &said(&answers.into()),
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
    let name = |all: &[TopicPartition]| Arc::clone(&all.first().unwrap().topic);
    assert!(Arc::ptr_eq(&name(&first), &name(&others)));
}

#[test]
fn what_waits_for_a_later_attempt_and_what_waits_behind_it_wait_for_no_pod() {
    let later = Later {
        records: 200,
        behind: 3,
        next_at: 1_800_000_000,
        next: 30,
        more: 4,
    };
    let report = Report {
        later: Some(later),
        tries: vec![Tries {
            offset: 10,
            attempts: 6,
            next_at: Some(1_800_000_000),
        }],
        ..Default::default()
    };
    let beyond = beyond(&report, Offset(10)).unwrap();
    assert_eq!((beyond.next, beyond.more), (Offset(30), 4));
    assert_eq!((beyond.retried, beyond.later), (200, Some(later)));
}
