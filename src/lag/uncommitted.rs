//! Where partitions end for a consumer of the user's own that does not wait for transactions: most clients read what is
//! not committed unless they are told otherwise. Its offsets lie beyond the last stable one while a transaction is open,
//! and all that is behind them, up to the high watermark, is there for it.
//!
//! Nobody says how it reads: its offsets show it. Until they do, a partition ends at its last stable offset.

use std::collections::BTreeMap;

use super::assemble::Ends;
use crate::kafka::admin::{Answers, Committed};
use crate::topic::{Offset, TopicPartition};

/// Ends of partitions of which the high watermark counts; none where it is not known.
pub(super) type OpenEnds = BTreeMap<TopicPartition, Option<Offset>>;

/// Partitions of a fleet that were last said to end at their high watermark, and where. An end that went back would be
/// that of another topic: so it counts until the last stable offset has come as far.
#[derive(Debug, Default)]
pub(super) struct Uncommitted(BTreeMap<TopicPartition, Offset>);

impl Uncommitted {
    /// Those of `partitions` whose high watermark counts.
    pub(super) fn among<'a>(
        &self,
        partitions: &'a [TopicPartition],
        commits: &Answers<Committed>,
        ends: &Ends,
    ) -> impl Iterator<Item = &'a TopicPartition> {
        partitions.iter().filter(|partition| {
            let Some(Ok(Some(stable))) = ends.end.get(partition) else {
                return false;
            };
            let told = self.0.get(*partition);
            told.is_some_and(|told| told > stable)
                || committed(commits, partition).is_some_and(|committed| committed > *stable)
        })
    }

    /// Takes in what was read. What is committed beyond the high watermark too is another topic's, or was set by hand.
    pub(super) fn pass(
        &mut self,
        partitions: &[TopicPartition],
        commits: &Answers<Committed>,
        ends: &Ends,
    ) -> OpenEnds {
        let mut open = OpenEnds::new();
        for partition in self.among(partitions, commits, ends) {
            let high = ends.high.get(partition).copied();
            let elsewhere = committed(commits, partition) > high && high.is_some();
            if !elsewhere {
                open.insert(partition.clone(), high);
            }
        }
        let is_unknown =
            |partition: &TopicPartition| !matches!(ends.end.get(partition), Some(Ok(Some(_))));
        self.0
            .retain(|partition, _| open.contains_key(partition) || is_unknown(partition));
        let known = open.iter();
        self.0
            .extend(known.filter_map(|(partition, high)| Some((partition.clone(), (*high)?))));
        open
    }
}

fn committed(commits: &Answers<Committed>, partition: &TopicPartition) -> Option<Offset> {
    commits.get(partition)?.as_ref().ok()?.offset
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is committed, the last stable offset, and the high watermark if it was told.
    type Look = (i64, i64, Option<i64>);

    /// Where the partition ends; none where its last stable offset counts.
    fn end(memory: &mut Uncommitted, (at, stable, high): Look) -> Option<Option<i64>> {
        let partition = TopicPartition::new("t", 0);
        let committed = Committed {
            offset: Some(Offset(at)),
            metadata: Vec::new(),
        };
        let commits = [(partition.clone(), Ok(committed))].into();
        let high = high.map(|high| (partition.clone(), Offset(high)));
        let ends = Ends {
            end: [(partition.clone(), Ok(Some(Offset(stable))))].into(),
            high: high.into_iter().collect(),
            ..Ends::default()
        };
        let open = memory.pass(std::slice::from_ref(&partition), &commits, &ends);
        let end = open.get(&partition)?;
        Some(end.map(|end| end.0))
    }

    #[test]
    fn who_commits_within_an_open_transaction_has_all_before_them_that_is_there() {
        let mut memory = Uncommitted::default();
        for (look, expected) in [
            ((10, 10, None), None),
            // Its records are taken before they are committed.
            ((13, 10, Some(15)), Some(Some(15))),
            // What was said does not go back with the next one.
            ((13, 14, Some(22)), Some(Some(22))),
            ((21, 14, None), Some(None)),
            ((21, 14, Some(22)), Some(Some(22))),
            ((21, 22, None), None),
            ((21, 23, None), None),
            // Made anew; that of before says nothing of this one.
            ((40, 3, Some(5)), None),
            ((0, 3, None), None),
        ] {
            assert_eq!(end(&mut memory, look), expected, "{look:?}");
        }
        assert!(memory.0.is_empty());
    }
}
