//! Where the partitions of a group begin and end.

use crate::cli::connection::Connection;
use crate::kafka::admin::{Admin, Answers, Committed, Error, Spec};
use crate::topic::{Offset, TopicPartition};

/// What Kafka says of all of them.
pub(super) struct Ends {
    starts: Answers<Option<Offset>>,
    ends: Answers<Option<Offset>>,
    /// The high watermarks of those that are committed beyond their last stable offset.
    high: Answers<Option<Offset>>,
}

/// Of one of them.
pub(super) struct Place {
    pub start: Option<Offset>,
    pub end: Option<Offset>,
    /// What is committed lies within a transaction that is open: it ends at its high watermark.
    pub is_open: bool,
}

impl Ends {
    /// Asks for them, after what is `committed`: only of another log is an end before that, or where the group waits
    /// for no transaction.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub async fn ask(
        connection: &Connection,
        admin: &Admin,
        partitions: &[TopicPartition],
        committed: &Answers<Committed>,
    ) -> anyhow::Result<Self> {
        let timeout = connection.timeout;
        let explain = |error: Error| connection.explain("read the ends of the topics", &error);
        let starts = admin.offsets(partitions, Spec::Earliest, timeout).await;
        let ends = admin.offsets(partitions, Spec::Latest, timeout).await;
        let (starts, ends) = (starts.map_err(explain)?, ends.map_err(explain)?);
        let is_past = |partition: &&TopicPartition| {
            let committed = committed.get(partition);
            let committed = committed.and_then(|answer| answer.as_ref().ok()?.offset);
            let end = known(&ends, partition);
            committed.zip(end).is_some_and(|(at, end)| at > end)
        };
        let past: Vec<_> = partitions.iter().filter(is_past).cloned().collect();
        let high = admin.offsets(&past, Spec::HighWatermark, timeout).await;
        Ok(Self {
            starts,
            ends,
            high: high.map_err(explain)?,
        })
    }

    /// Of `partition`, where that is committed.
    pub fn of(&self, partition: &TopicPartition, committed: Option<Offset>) -> Place {
        let high = known(&self.high, partition).filter(|high| committed <= Some(*high));
        Place {
            start: known(&self.starts, partition),
            end: high.or_else(|| known(&self.ends, partition)),
            is_open: high.is_some(),
        }
    }
}

fn known(answers: &Answers<Option<Offset>>, partition: &TopicPartition) -> Option<Offset> {
    answers.get(partition)?.as_ref().ok().copied()?
}
