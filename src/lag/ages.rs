//! Since when records wait that were there before anybody looked: only they themselves say it. Of all others the past of
//! the partition's end tells when they came.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::Source;
use crate::kafka::admin::Error;
use crate::kafka::client_config::Connection;
use crate::kafka::scan::{Scan, Step};
use crate::scaling::PartitionSample;
use crate::topic::{ByPartition, TopicPartition};

/// What is worked off sooner is not looked at.
const STANDS: Duration = Duration::from_secs(5);
/// Once it has been looked at, a partition that moves on is looked at again after so long.
const AGAIN: Duration = Duration::from_secs(15);
/// Partitions that are looked at together: a fetch brings of each more than the one record that is wanted.
const TOGETHER: usize = 8;
/// How long a look may take, and one wait within it.
const PATIENCE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(100);

/// The partitions of a fleet in which records wait that were there before it was first read.
#[derive(Debug, Default)]
pub(super) struct Ages {
    /// The first reading has been taken in.
    begun: bool,
    old: BTreeMap<TopicPartition, Old>,
}

#[derive(Debug)]
struct Old {
    /// Where the partition ended when it was first read: what lies behind came later.
    end: i64,
    /// The first unfinished record.
    next: i64,
    since: Timestamp,
    looked: Option<Looked>,
}

#[derive(Debug)]
struct Looked {
    at: Timestamp,
    next: i64,
    /// What the record that was the first then says; none where it says nothing that can be, or could not be read.
    came: Option<Timestamp>,
}

/// What is to be looked at in one topic: the first record at these offsets or behind them, and before the second.
pub(super) type Firsts = BTreeMap<i32, std::ops::Range<i64>>;

impl Ages {
    /// Takes in what was read at `at`. Returns since when the oldest record of them has waited, as far as is known.
    pub(super) fn pass(
        &mut self,
        partitions: &ByPartition<Option<PartitionSample>>,
        at: Timestamp,
    ) -> Option<Timestamp> {
        if !self.begun && partitions.values().any(Option::is_some) {
            self.begun = true;
            let waiting = partitions.iter().filter_map(|(partition, sample)| {
                let sample = sample.as_ref()?;
                let old = Old {
                    end: sample.end.0,
                    next: sample.position().0,
                    since: at,
                    looked: None,
                };
                Some((partition.clone(), old))
            });
            self.old = waiting.collect();
        }
        self.old.retain(|partition, old| {
            let Some(sample) = partitions.get(partition) else {
                return false;
            };
            // What is unknown for a while is as it was.
            let Some(sample) = sample else {
                return true;
            };
            old.next = sample.position().0;
            old.next < old.end && sample.end.0 >= old.end
        });
        let came = |old: &Old| old.looked.as_ref().and_then(|looked| looked.came);
        self.old.values().filter_map(came).min()
    }

    /// What is worth a look, of one topic: what nobody has looked at, then what seems to be the oldest and has moved on.
    pub(super) fn doubts(&self, now: Timestamp) -> Option<(String, Firsts)> {
        let due = |old: &Old| match &old.looked {
            None => is_past(old.since, STANDS, now),
            Some(looked) => looked.next != old.next && is_past(looked.at, AGAIN, now),
        };
        let mut due: Vec<_> = self.old.iter().filter(|(_, old)| due(old)).collect();
        due.sort_by_key(|(_, old)| old.looked.as_ref().map(|looked| looked.came));
        let topic = due.first()?.0.topic.clone();
        let of_topic = due
            .into_iter()
            .filter(|(partition, _)| partition.topic == topic);
        let firsts = of_topic
            .take(TOGETHER)
            .map(|(partition, old)| (partition.partition, old.next..old.end));
        Some((topic.to_string(), firsts.collect()))
    }

    /// The first records of `firsts` in `topic` came then; those that could not be read are absent.
    pub(super) fn looked(
        &mut self,
        topic: &str,
        firsts: &Firsts,
        came: &BTreeMap<i32, Timestamp>,
        now: Timestamp,
    ) {
        for (number, range) in firsts {
            let Some(old) = self.old.get_mut(&TopicPartition::new(topic, *number)) else {
                continue;
            };
            // A clock that is wrong, or a producer that sets no time, says nothing.
            let came = came.get(number).copied().filter(|came| *came <= now);
            let before = old.looked.as_ref().and_then(|looked| looked.came);
            old.looked = Some(Looked {
                at: now,
                next: range.start,
                came: came.or(before),
            });
        }
    }
}

fn is_past(since: Timestamp, wait: Duration, now: Timestamp) -> bool {
    Duration::try_from(now.duration_since(since)).is_ok_and(|past| past >= wait)
}

/// When the first record within each range came, as it says itself. It **blocks**.
///
/// # Errors
/// If the brokers do not let us read the topic, or do not answer.
pub(super) fn read(
    source: &Source,
    topic: &str,
    firsts: &Firsts,
) -> Result<BTreeMap<i32, Timestamp>, Error> {
    let connection = Connection {
        bootstrap_servers: &source.bootstrap_servers,
        client_id: "drover-controller-ages",
        properties: &source.properties,
        security: &source.security,
    };
    let mut scan = Scan::open(&connection, topic, firsts, Some(PATIENCE))?;
    let mut came = BTreeMap::new();
    loop {
        let mut seen = None;
        let step = scan.step(STEP, |message| {
            seen = Some((message.partition(), message.timestamp()));
        })?;
        if let Some((partition, timestamp)) = seen {
            // Kafka's "none" is -1, and a producer's may be 0.
            let timestamp = timestamp.filter(|millis| *millis > 0);
            let timestamp = timestamp.and_then(|millis| Timestamp::from_millisecond(millis).ok());
            came.extend(timestamp.map(|timestamp| (partition, timestamp)));
            scan.leave(partition);
        }
        if step == Step::End {
            return Ok(came);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Offset;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// Of partitions 0, 1, …: committed and end, or unknown.
    fn read(ages: &mut Ages, seconds: i64, partitions: &[Option<(i64, i64)>]) -> Option<Timestamp> {
        let samples = partitions.iter().zip(0..).map(|(seen, number)| {
            let sample = seen.map(|(committed, end)| PartitionSample {
                end: Offset(end),
                start: Offset(0),
                committed: Some(Offset(committed)),
                beyond: None,
                stuck: None,
                pod: None,
            });
            (TopicPartition::new("t", number), sample)
        });
        ages.pass(&samples.collect(), at(seconds))
    }

    #[test]
    fn what_was_there_before_is_asked_when_it_came_until_it_is_done() {
        let mut ages = Ages::default();
        let found = [Some((10, 90)), Some((50, 50)), Some((20, 60))];
        assert_eq!(read(&mut ages, 0, &found), None);
        assert_eq!(ages.doubts(at(4)), None, "it may be gone in a moment");
        let (topic, firsts) = ages.doubts(at(5)).unwrap();
        assert_eq!(firsts, Firsts::from([(0, 10..90), (2, 20..60)]));
        let came = BTreeMap::from([(0, at(-86_400)), (2, at(-3_600))]);
        ages.looked(&topic, &firsts, &came, at(6));
        let found = [Some((30, 99)), Some((50, 70)), Some((20, 60))];
        assert_eq!(read(&mut ages, 7, &found), Some(at(-86_400)));
        assert_eq!(ages.doubts(at(20)), None, "just looked at");
        let (_, firsts) = ages.doubts(at(21)).unwrap();
        assert_eq!(firsts, Firsts::from([(0, 30..90)]), "only what has moved");
        ages.looked(&topic, &firsts, &BTreeMap::from([(0, at(-7_200))]), at(22));
        assert_eq!(read(&mut ages, 23, &found), Some(at(-7_200)));
        // What has come since is of no interest, nor is what is unknown for a while forgotten.
        let found = [Some((90, 99)), Some((50, 70)), None];
        assert_eq!(read(&mut ages, 24, &found), Some(at(-3_600)));
        assert_eq!(
            read(&mut ages, 25, &[Some((90, 99)), None, Some((60, 60))]),
            None
        );
        assert_eq!(ages.doubts(at(900)), None);
    }

    #[test]
    fn a_time_that_cannot_be_is_none_and_a_topic_made_anew_is_another() {
        let mut ages = Ages::default();
        read(&mut ages, 0, &[Some((10, 90))]);
        let (topic, firsts) = ages.doubts(at(9)).unwrap();
        ages.looked(&topic, &firsts, &BTreeMap::from([(0, at(60))]), at(9));
        assert_eq!(read(&mut ages, 10, &[Some((10, 90))]), None);
        assert_eq!(ages.doubts(at(60)), None, "it will say nothing else");
        read(&mut ages, 61, &[Some((0, 5))]);
        assert_eq!(read(&mut ages, 62, &[Some((0, 95))]), None);
        assert_eq!(ages.doubts(at(99)), None);
    }

    #[test]
    fn of_many_partitions_a_few_are_looked_at_together() {
        let mut ages = Ages::default();
        read(&mut ages, 0, &[Some((10, 90)); 20]);
        let mut seen = 0;
        for second in 10..13 {
            let (topic, firsts) = ages.doubts(at(second)).unwrap();
            assert!(firsts.len() <= TOGETHER);
            seen += firsts.len();
            ages.looked(&topic, &firsts, &BTreeMap::new(), at(second));
        }
        assert_eq!(seen, 20);
        assert_eq!(ages.doubts(at(13)), None);
    }
}
