//! One partition of a group. Pure.

use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::Span;
use crate::cli::columns::{UNKNOWN, aligned, aligned_within, count, last_has_room};
use crate::cli::fit::{cut_lines, wrapped_lines};
use crate::kafka::admin::Group;
use crate::plural::noun;
use crate::report::{Later, Report};
use crate::topic::{Offset, TopicPartition};

/// What is known of a partition; what is not known is none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub partition: TopicPartition,
    /// The oldest offset.
    pub start: Option<Offset>,
    pub end: Option<Offset>,
    /// The group is within a transaction that is open: what waits there only who does not wait for that can read.
    pub is_open: bool,
    pub committed: Option<Offset>,
    /// What the worker said with its last commit.
    pub report: Option<Report>,
    /// The member that has it, by its own name, as the group says; none where nobody has it.
    pub owner: Owner,
    /// Its pod is not there any more; none where that is not known.
    pub owner_is_gone: Option<bool>,
    /// How long the first record that is not finished has been there.
    pub waits: Option<Duration>,
}

/// What the group says of who has a partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Owner {
    /// It says nothing: its partitions are being shared out, or it was not asked.
    #[default]
    Unsaid,
    /// Nobody has it.
    Nobody,
    /// This member has, by its `client.id`; a worker's is its pod.
    Member(String),
}

impl Owner {
    /// Who has each partition, of a group that has shared all out, or that nobody is in.
    pub fn of(group: Option<&Group>, partition: &TopicPartition) -> Self {
        let group = match group {
            Some(group) if group.state == "Stable" => group,
            Some(group) if group.state == "Empty" => return Self::Nobody,
            _ => return Self::Unsaid,
        };
        let mut members = group.members.iter();
        match members.find(|member| member.partitions.contains(partition)) {
            Some(member) => Self::Member(member.client_id.clone()),
            None => Self::Nobody,
        }
    }
}

impl Row {
    fn lag(&self) -> Option<i64> {
        let (committed, end) = (self.committed?, self.end?);
        // It is the offset of another log: what waits in this one nobody knows.
        if committed > end {
            return None;
        }
        // Retention may have been faster than the group.
        let first = committed.0.max(self.start.map_or(0, |start| start.0));
        Some((end.0 - first).max(0))
    }

    /// The offsets that the group has not committed, if there are some that we can read.
    pub fn unfinished(&self) -> Option<(i32, Range<i64>)> {
        if self.is_open {
            return None;
        }
        let end = self.end?.0;
        let lag = self.lag().filter(|lag| *lag > 0)?;
        Some((self.partition.partition, end - lag..end))
    }

    /// How long its first record that is not finished has been there; no time where there is none.
    pub fn delay(&self) -> Option<Duration> {
        match self.lag() {
            Some(0) => Some(Duration::ZERO),
            _ => self.waits,
        }
    }

    /// Finished beyond the committed offset.
    fn ahead(&self) -> Option<i64> {
        // Anybody who may commit can write what they like there.
        let ranges = self.report.as_ref()?.ahead.iter();
        let lengths = ranges.map(|range| range.end.saturating_sub(range.start));
        Some(lengths.fold(0, i64::saturating_add))
    }

    /// Failed attempts on the first record that is not finished.
    fn attempts(&self) -> Option<u32> {
        Some(self.report.as_ref()?.tried)
    }

    /// Who has it; where the group does not say, who committed last.
    pub fn owner(&self) -> Option<&str> {
        match &self.owner {
            Owner::Member(name) => Some(name),
            Owner::Nobody => None,
            Owner::Unsaid => self.report.as_ref().map(|report| report.pod.as_str()),
        }
    }

    fn stuck(&self) -> Option<String> {
        let stuck = self.report.as_ref()?.stuck.as_ref()?;
        Some(format!(
            "{} ({}): {}",
            stuck.offset, stuck.attempts, stuck.error
        ))
    }

    /// That what is committed cannot be of what is there, in words.
    fn elsewhere(&self) -> Option<String> {
        let (committed, end) = (self.committed?, self.end?);
        (committed > end).then(|| {
            format!(
                "{}: the committed offset {committed} lies beyond the end {end}, so what waits is not known; was the topic re-created?\n",
                self.partition
            )
        })
    }

    /// Its records that wait for a later attempt, in words.
    fn later(&self) -> Option<String> {
        let Later {
            records,
            behind,
            next_at,
            ..
        } = self.report.as_ref()?.later?;
        let next = moment(next_at)?;
        let behind = match behind {
            0 => String::new(),
            some => format!("; {some} {} behind", noun("record", some)),
        };
        Some(format!(
            "{}: {} for a later attempt, the next at {next}{behind}\n",
            self.partition,
            match records {
                1 => "1 record waits".to_owned(),
                more => format!("{more} records wait"),
            }
        ))
    }

    pub fn value(&self) -> Value {
        let report = self.report.as_ref();
        json!({
            "topic": self.partition.topic,
            "partition": self.partition.partition,
            "committed": self.committed,
            "end": self.end,
            "lag": self.lag(),
            "delaySeconds": self.delay().map(|delay| delay.as_secs_f64()),
            "owner": self.owner(),
            "ownerIsGone": self.owner_is_gone,
            "finishedAhead": self.ahead(),
            "attempts": self.attempts(),
            "stuck": report.and_then(|report| report.stuck.as_ref()).map(|stuck| json!({
                "offset": stuck.offset, "attempts": stuck.attempts, "error": stuck.error,
            })),
            "later": report.and_then(|report| report.later).map(|later| json!({
                "records": later.records, "behind": later.behind,
                "nextAt": moment(later.next_at).map(|at| at.to_string()),
            })),
        })
    }

    fn cells(&self) -> Vec<String> {
        let offset = |offset: Option<Offset>| count(offset.map(|offset| offset.0));
        let text = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
        let delay = self.delay();
        let delay = delay.map(|delay| Span::secs(delay.as_secs()).to_string());
        vec![
            self.partition.topic.to_string(),
            self.partition.partition.to_string(),
            offset(self.committed),
            offset(self.end),
            count(self.lag()),
            text(delay),
            text(self.owner().map(|owner| match self.owner_is_gone {
                Some(true) => format!("{owner} (gone)"),
                _ => owner.to_owned(),
            })),
            count(self.ahead()),
            count(self.attempts()),
            text(self.stuck()),
        ]
    }
}

/// All that wait; none where a partition's lag is not known.
pub(super) fn total(rows: &[Row]) -> Option<i64> {
    rows.iter().map(Row::lag).sum()
}

/// In lines of this width where there is one. Where it is too narrow for all columns rows are cut, and what holds a
/// partition up stands below them.
pub(super) fn table(rows: &[Row], width: Option<usize>) -> String {
    let heading = [
        "TOPIC",
        "PARTITION",
        "COMMITTED",
        "END",
        "LAG",
        "DELAY",
        "OWNER",
        "AHEAD",
        "ATTEMPTS",
        "STUCK",
    ];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(Row::cells));
    let later = rows.iter().filter_map(Row::elsewhere);
    let later = later.chain(rows.iter().filter_map(Row::later));
    let later: String = later.map(|line| wrapped_lines(&line, width)).collect();
    if width.is_none_or(|room| last_has_room(&lines, room)) {
        return aligned_within(&lines, "", width) + &later;
    }
    let whole = aligned(&lines, "");
    let mut text = cut_lines(&whole, width);
    if text != whole {
        for row in rows {
            if let Some(stuck) = row.stuck() {
                let line = format!("{} is stuck at {stuck}\n", row.partition);
                text.push_str(&wrapped_lines(&line, width));
            }
        }
    }
    text + &later
}

fn moment(since_1970: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(since_1970).ok()?).ok()
}

#[cfg(test)]
mod tests;
