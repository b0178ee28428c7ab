//! Offsets behind which no record lies. A transaction ends with a marker that takes an offset of its own, and an aborted
//! one leaves records that nobody is given; a consumer that commits the offset after the last record that it was given
//! stays before them, with everything done. Workers commit past them and say so; of a consumer of the user's own only
//! a look at the topic can tell.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;

use super::Source;
use super::uncommitted::OpenEnds;
use crate::kafka::admin::Error;
use crate::kafka::client_config::Connection;
use crate::kafka::scan::{Scan, Step};
use crate::scaling::PartitionSample;
use crate::topic::{ByPartition, Offset, TopicPartition};

/// Looked at once neither end nor commit has moved for so long: what is on its way is no gap.
const STANDS: Duration = Duration::from_secs(5);
/// After a look that failed the next one waits for twice as long, and so on up to 32 times.
const LONGER_UP_TO: u32 = 5;
/// How long a look may take, and one wait within it.
const PATIENCE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(100);

/// What lies between commit and end, partition by partition, of a fleet whose consumer is the user's own.
#[derive(Debug, Default)]
pub(super) struct Gaps(BTreeMap<TopicPartition, Gap>);

#[derive(Debug)]
struct Gap {
    range: Range<i64>,
    /// Since when it stands, or the last look failed.
    since: Timestamp,
    /// Looks that failed, one after the other.
    failures: u32,
    found: Found,
    /// No record lies before this offset, as was found before more came.
    nothing_to: i64,
}

#[derive(Debug, PartialEq)]
enum Found {
    /// Nobody has looked yet, or the look failed: it counts as a record.
    Unknown,
    Looking,
    /// Somebody waits.
    Record,
}

impl Gap {
    fn new(range: Range<i64>, since: Timestamp, nothing_to: i64) -> Self {
        Self {
            range,
            since,
            failures: 0,
            found: Found::Unknown,
            nothing_to,
        }
    }

    /// It is to be looked at.
    fn is_due(&self, now: Timestamp) -> bool {
        let open = self.found == Found::Unknown && self.nothing_to < self.range.end;
        let stood = Duration::try_from(now.duration_since(self.since));
        let wait = STANDS * 2_u32.pow(self.failures.min(LONGER_UP_TO));
        open && stood.is_ok_and(|stood| stood >= wait)
    }
}

/// What there is to look at, in one topic.
pub(super) type Doubts = BTreeMap<i32, Range<i64>>;

impl Gaps {
    /// Takes in what was read at `at`; where there is no record before the end, all is done. Where a transaction is
    /// `open` nobody looks: we read what is committed.
    pub(super) fn pass(
        &mut self,
        partitions: &mut ByPartition<Option<PartitionSample>>,
        open: &OpenEnds,
        at: Timestamp,
    ) {
        self.0
            .retain(|partition, _| partitions.contains_key(partition));
        for (partition, sample) in partitions {
            let committed = sample.as_ref().and_then(|sample| sample.committed);
            let (Some(sample), Some(committed)) = (sample, committed) else {
                continue;
            };
            if open.contains_key(partition) {
                self.0.remove(partition);
                continue;
            }
            let range = committed.0.max(sample.start.0)..sample.end.0;
            if range.is_empty() {
                self.0.remove(partition);
                continue;
            }
            let new = || Gap::new(range.clone(), at, range.start);
            let gap = self.0.entry(partition.clone()).or_insert_with(new);
            if gap.range != range {
                // What was nothing is nothing, whatever comes behind it; but a log that was cut is another.
                let kept = (range.start..=range.end).contains(&gap.nothing_to)
                    && gap.range.start <= range.start;
                let nothing_to = if kept { gap.nothing_to } else { range.start };
                *gap = Gap::new(range, at, nothing_to);
            }
            sample.committed = Some(committed.max(Offset(gap.nothing_to)));
        }
    }

    /// What has stood for long enough to be looked at, of one topic. It is not told again.
    pub(super) fn doubts(&mut self, now: Timestamp) -> Option<(String, Doubts)> {
        let mut due = self.0.iter().filter(|(_, gap)| gap.is_due(now));
        let topic = due.next()?.0.topic.clone();
        let mut doubts = Doubts::new();
        for (partition, gap) in &mut self.0 {
            if partition.topic == topic && gap.is_due(now) {
                gap.found = Found::Looking;
                doubts.insert(partition.partition, gap.nothing_to..gap.range.end);
            }
        }
        Some((topic.to_string(), doubts))
    }

    /// In these partitions of `topic` there is a record to be read, of all that were looked at; none where the look failed,
    /// of which more is to be known before long: a consumer that is to sleep must not be kept awake by it.
    pub(super) fn looked(
        &mut self,
        topic: &str,
        doubts: &Doubts,
        records: Option<&[i32]>,
        now: Timestamp,
    ) {
        for (number, range) in doubts {
            let partition = TopicPartition::new(topic, *number);
            let gap = self.0.get_mut(&partition);
            let asked = |gap: &&mut Gap| (gap.nothing_to..gap.range.end) == *range;
            let Some(gap) = gap.filter(asked) else {
                continue;
            };
            match records {
                Some(records) if records.contains(number) => gap.found = Found::Record,
                Some(_) => {
                    gap.found = Found::Unknown;
                    gap.nothing_to = range.end;
                }
                None => {
                    gap.found = Found::Unknown;
                    gap.failures += 1;
                    gap.since = now;
                }
            }
        }
    }
}

/// The partitions of `topic` in which there is a record within the range. It **blocks**.
///
/// # Errors
/// If the brokers do not let us read the topic, or do not answer.
pub(super) fn with_records(
    source: &Source,
    topic: &str,
    doubts: &Doubts,
) -> Result<Vec<i32>, Error> {
    let connection = Connection {
        bootstrap_servers: &source.bootstrap_servers,
        client_id: "drover-controller-gaps",
        properties: &source.properties,
        security: &source.security,
    };
    let mut scan = Scan::open(&connection, topic, doubts, Some(PATIENCE))?;
    let mut found = Vec::new();
    loop {
        let mut seen = None;
        let step = scan.step(STEP, |message| seen = Some(message.partition()))?;
        if let Some(partition) = seen {
            found.push(partition);
            scan.leave(partition);
        }
        if step == Step::End {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn read(gaps: &mut Gaps, committed: i64, end: i64, seconds: i64) -> Option<Offset> {
        let sample = PartitionSample {
            end: Offset(end),
            start: Offset(0),
            committed: Some(Offset(committed)),
            beyond: None,
            stuck: None,
            pod: None,
        };
        let partition = TopicPartition::new("t", 0);
        let mut partitions = ByPartition::from([(partition.clone(), Some(sample))]);
        gaps.pass(&mut partitions, &OpenEnds::new(), at(seconds));
        partitions[&partition].as_ref()?.committed
    }

    #[test]
    fn what_no_record_is_behind_is_done_until_something_comes() {
        let mut gaps = Gaps::default();
        assert_eq!(read(&mut gaps, 29, 30, 0), Some(Offset(29)));
        assert_eq!(gaps.doubts(at(1)), None, "it may be on its way");
        assert_eq!(read(&mut gaps, 29, 30, 6), Some(Offset(29)));
        let (topic, doubts) = gaps.doubts(at(6)).unwrap();
        assert_eq!(doubts, Doubts::from([(0, 29..30)]));
        assert_eq!(gaps.doubts(at(7)), None, "somebody looks");
        gaps.looked(&topic, &doubts, Some(&[]), at(7));
        assert_eq!(read(&mut gaps, 29, 30, 8), Some(Offset(30)));
        assert_eq!(gaps.doubts(at(60)), None);
        // Another transaction: only what is new waits.
        assert_eq!(read(&mut gaps, 29, 32, 61), Some(Offset(30)));
        gaps.looked(&topic, &doubts, Some(&[0]), at(62));
        assert_eq!(
            read(&mut gaps, 29, 32, 62),
            Some(Offset(30)),
            "an old answer"
        );
        let (topic, doubts) = gaps.doubts(at(70)).unwrap();
        assert_eq!(doubts, Doubts::from([(0, 30..32)]));
        gaps.looked(&topic, &doubts, Some(&[0]), at(70));
        assert_eq!(read(&mut gaps, 29, 32, 71), Some(Offset(30)), "it waits");
        assert_eq!(gaps.doubts(at(90)), None);
        assert_eq!(
            read(&mut gaps, 31, 32, 91),
            Some(Offset(31)),
            "but for its marker"
        );
        // A log that was made anew.
        assert_eq!(read(&mut gaps, 0, 40, 92), Some(Offset(0)));
    }

    #[test]
    fn a_look_that_failed_is_made_again_less_and_less_often() {
        let mut gaps = Gaps::default();
        let mut now = 0;
        let mut waits = Vec::new();
        read(&mut gaps, 29, 30, now);
        for _ in 0..8 {
            let began = now;
            let (topic, doubts) = loop {
                now += 1;
                if let Some(doubts) = gaps.doubts(at(now)) {
                    break doubts;
                }
            };
            waits.push(now - began);
            gaps.looked(&topic, &doubts, None, at(now));
            // It may be a record.
            assert_eq!(read(&mut gaps, 29, 30, now), Some(Offset(29)));
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 160, 160]);
        let (topic, doubts) = gaps.doubts(at(now + 160)).expect("again");
        gaps.looked(&topic, &doubts, Some(&[]), at(now + 160));
        assert_eq!(read(&mut gaps, 29, 30, now + 161), Some(Offset(30)));
    }
}
