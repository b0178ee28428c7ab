//! From readings to the lines of a trace.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::plural::noun;
use crate::topic::{Offset, TopicPartition};

type Ends = BTreeMap<TopicPartition, Offset>;

/// What stands above the lines.
pub(super) fn head(topics: &[String], bootstrap: &str, now: Timestamp) -> String {
    let topics = topics.join(", ");
    format!(
        "# end offsets of {topics} at {bootstrap}, recorded by drover from {now:.0} on\nt_seconds,messages_per_second\n"
    )
}

/// Turns readings into lines.
pub(super) struct Recorder {
    every: Duration,
    /// The number of the last good reading,
    last: u64,
    /// and what it read.
    ends: Ends,
    lines: u64,
    records: u64,
}

impl Recorder {
    /// `ends` is reading number 0.
    pub(super) fn new(every: Duration, ends: Ends) -> Self {
        Self {
            every,
            last: 0,
            ends,
            lines: 0,
            records: 0,
        }
    }

    /// The line for what arrived since the last good reading. Its time is that one's, because a
    /// value holds until the next line.
    pub(super) fn reading(&mut self, number: u64, ends: Ends) -> String {
        let arrived: u64 = ends
            .iter()
            .map(|(partition, end)| {
                // A partition that was not there began at 0; so did one that was made anew.
                let before = self.ends.get(partition).filter(|before| **before <= *end);
                (end.0 - before.map_or(0, |before| before.0))
                    .max(0)
                    .unsigned_abs()
            })
            .sum();
        let every = self.every.as_secs_f64();
        let at = self.last as f64 * every;
        let rate = arrived as f64 / ((number - self.last).max(1) as f64 * every);
        self.last = number;
        self.ends = ends;
        self.lines += 1;
        self.records += arrived;
        format!("{},{}\n", short(at), short(rate))
    }

    pub(super) fn summary(&self, file: Option<&Path>) -> String {
        let lines = format!(
            "{} {} with {} {}",
            self.lines,
            noun("line", self.lines),
            self.records,
            noun("record", self.records)
        );
        match file {
            Some(file) if self.lines >= 2 => {
                let file = file.display();
                format!("{lines}; replay them with drover simulate --trace {file}")
            }
            _ if self.lines >= 2 => lines,
            _ => format!("{lines}: too few for a replay; record for longer"),
        }
    }
}

/// Whole numbers as such, others with three decimals.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Trace;

    fn ends(of: &[i64]) -> Ends {
        let partition =
            |(number, &end): (usize, &i64)| (TopicPartition::new("t", number as i32), Offset(end));
        of.iter().enumerate().map(partition).collect()
    }

    #[test]
    fn readings_become_a_trace_that_can_be_read() {
        let mut recorder = Recorder::new(Duration::from_secs(1), ends(&[10, 20]));
        let mut text = head(&["t".to_owned()], "kafka:9092", Timestamp::UNIX_EPOCH);
        text += &recorder.reading(1, ends(&[13, 20]));
        text += &recorder.reading(2, ends(&[13, 20]));
        // The third failed, and a partition has come with the fourth.
        text += &recorder.reading(4, ends(&[14, 21, 5]));
        // One was made anew.
        text += &recorder.reading(5, ends(&[2, 21, 5]));
        assert_eq!(
            text,
            "# end offsets of t at kafka:9092, recorded by drover from 1970-01-01T00:00:00Z on\n\
             t_seconds,messages_per_second\n0,3\n1,0\n2,3.5\n4,2\n"
        );
        let trace = Trace::read(&text).unwrap();
        assert_eq!((trace.length(), trace.mean() * trace.length()), (5.0, 12.0));
        assert!(
            recorder
                .summary(None)
                .starts_with("4 lines with 12 records")
        );
    }

    #[test]
    fn what_is_too_short_for_a_replay_says_so() {
        let mut recorder = Recorder::new(Duration::from_secs(1), ends(&[0]));
        recorder.reading(1, ends(&[1]));
        assert!(recorder.summary(None).contains("record for longer"));
    }
}
