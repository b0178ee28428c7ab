//! A commit came back: what Kafka said of it, partition by partition.

use tracing::{debug, info, warn};

use super::consume::Loop;
use crate::engine::{CommitFailure, Event, Refused};
use crate::kafka::errors::{Code, CommitError};
use crate::telemetry::worker_metrics::Outcome;
use crate::topic::TopicPartition;

impl Loop {
    /// A commit came back.
    pub fn committed(
        &mut self,
        error: Option<Code>,
        partitions: &[(TopicPartition, Option<Code>)],
    ) {
        self.commit_is_answered();
        let refused = refused(error, partitions);
        if !refused.is_empty() {
            return self.committed_in_part(&refused, refused.len() < partitions.len());
        }
        let errors = error
            .into_iter()
            .chain(partitions.iter().filter_map(|(_, error)| *error));
        let worst = CommitError::worst(errors);
        let of_worst = |(_, error): &&(_, Option<Code>)| {
            worst
                .as_ref()
                .is_some_and(|worst| *error == Some(worst.code()))
        };
        let place = partitions.iter().find(of_worst);
        self.commit_over(worst, place.map(|(partition, _)| partition));
    }

    fn commit_is_answered(&mut self) {
        if let Some(took) = self.commits.answered(self.now) {
            info!(seconds = took.as_secs(), "commits are answered again");
        }
    }

    /// Says so where Kafka does not answer a commit.
    pub fn look_at_commit(&mut self) {
        if let Some(waits) = self.commits.overdue(self.now) {
            warn!(
                seconds = waits.as_secs(),
                "a commit is not answered, as while the group waits for a member that is dead or frozen; records are delivered on, and what is handled meanwhile is handled again if this worker is killed"
            );
        }
    }

    /// A commit was not taken for some partitions, each for a reason of its own; `others` if some were.
    fn committed_in_part(&mut self, refused: &[(TopicPartition, Code)], others: bool) {
        for (partition, code) in refused {
            debug!(%partition, %code, "commit");
        }
        let codes = refused.iter().map(|(_, code)| *code);
        let failed = codes.filter(|code| *code != Code::UnknownTopicOrPartition);
        let result = match CommitError::worst(failed) {
            None => "ok",
            Some(CommitError::Fatal(Code::OffsetMetadataTooLarge)) => "later",
            Some(error) => result_of(&error),
        };
        self.metrics
            .commits
            .get_or_create(&Outcome { result })
            .inc();
        if others || result == "ok" {
            self.heard_from_kafka();
            self.commits_are_allowed();
        }
        let why = |(partition, code): &(TopicPartition, Code)| {
            let why = match code {
                Code::UnknownTopicOrPartition => Refused::Gone,
                Code::OffsetMetadataTooLarge => Refused::TooLarge,
                code => {
                    let words = self.commit_words(*code, Some(partition));
                    Refused::Failed(failure(&CommitError::of(*code), words))
                }
            };
            (partition.clone(), why)
        };
        let refused = refused.iter().map(why).collect();
        let room = self.engine.report_room();
        self.tell(Event::CommittedInPart { refused });
        let bytes = self.engine.report_room();
        if bytes < room {
            warn!(
                bytes,
                "the brokers take no more metadata with an offset (offset.metadata.max.bytes): reports are kept this short from now on, and say less to the next owner of a partition; 4096 is Kafka's default"
            );
        }
    }

    /// A commit is over, without an error or with one, of which `place` is an example.
    pub fn commit_over(&mut self, error: Option<CommitError>, place: Option<&TopicPartition>) {
        self.commit_is_answered();
        let result = error.as_ref().map_or("ok", result_of);
        self.metrics
            .commits
            .get_or_create(&Outcome { result })
            .inc();
        let words = |error: &CommitError| self.commit_words(error.code(), place);
        let outcome = match &error {
            None => Ok(()),
            Some(error) => Err(failure(error, words(error))),
        };
        match &outcome {
            Ok(()) => {
                self.heard_from_kafka();
                self.commits_are_allowed();
            }
            Err(why) => debug!(?why, "commit"),
        }
        self.tell(Event::Committed(outcome));
    }
}

/// As the metric has it.
fn result_of(error: &CommitError) -> &'static str {
    match error {
        CommitError::Outdated(_) | CommitError::Later(_) => "later",
        CommitError::Dropped(_) => "dropped",
        CommitError::Fatal(_) => "fatal",
    }
}

fn failure(error: &CommitError, words: String) -> CommitFailure {
    match error {
        CommitError::Outdated(_) => CommitFailure::Outdated(words),
        CommitError::Later(_) => CommitFailure::Later(words),
        CommitError::Dropped(_) => CommitFailure::Dropped(words),
        CommitError::Fatal(_) => CommitFailure::Fatal(words),
    }
}

/// The partitions that were refused, where Kafka took the commits of others, or each for a reason of its own; none where
/// one answer is for all. librdkafka's word for the whole is one of theirs, or none.
fn refused(
    error: Option<Code>,
    partitions: &[(TopicPartition, Option<Code>)],
) -> Vec<(TopicPartition, Code)> {
    let refused = partitions.iter();
    let refused = refused.filter_map(|(partition, code)| Some((partition.clone(), (*code)?)));
    let refused: Vec<_> = refused.collect();
    let Some((_, first)) = refused.first() else {
        return refused;
    };
    let is_theirs = error.is_none_or(|error| refused.iter().any(|(_, code)| *code == error));
    let all_the_same = refused.len() == partitions.len()
        && refused.iter().all(|(_, code)| code == first)
        && !is_of_a_partition(*first);
    match is_theirs && !all_the_same {
        true => refused,
        false => Vec::new(),
    }
}

/// What is never said of a group, but of each of its partitions.
fn is_of_a_partition(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownTopicOrPartition
            | Code::TopicAuthorizationFailed
            | Code::OffsetMetadataTooLarge
            | Code::InvalidCommitOffsetSize
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_for_all_or_for_each_partition() {
        let unknown = Code::UnknownTopicOrPartition;
        let denied = Code::TopicAuthorizationFailed;
        let (late, large) = (Code::RequestTimedOut, Code::OffsetMetadataTooLarge);
        let over = Code::IllegalGeneration;
        for (error, codes, places) in [
            (None, vec![None, None], vec![]),
            (None, vec![None, Some(denied)], vec![1]),
            (Some(denied), vec![Some(denied), Some(denied)], vec![0, 1]),
            (Some(large), vec![Some(large)], vec![0]),
            (None, vec![Some(unknown), None], vec![0]),
            (Some(unknown), vec![Some(unknown)], vec![0]),
            (Some(late), vec![Some(denied), Some(late)], vec![0, 1]),
            (None, vec![None, Some(late)], vec![1]),
            (Some(over), vec![Some(over), Some(over)], vec![]),
            (Some(late), vec![Some(late), Some(late)], vec![]),
            (Some(late), vec![None, None], vec![]),
            (Some(late), vec![None, Some(denied)], vec![]),
        ] {
            let partitions: Vec<_> = (0..)
                .zip(codes)
                .map(|(number, code)| (TopicPartition::new("orders", number), code))
                .collect();
            let found = refused(error, &partitions);
            let found: Vec<_> = found.iter().map(|(place, _)| place.partition).collect();
            assert_eq!(found, places, "{error:?} {partitions:?}");
        }
    }
}
