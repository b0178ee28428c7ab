//! What can go wrong with Kafka, by what follows from it.

use rdkafka::error::KafkaError;

/// A broker's or librdkafka's error.
pub use rdkafka::types::RDKafkaErrorCode as Code;

/// A client could not be made or told what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// librdkafka refuses the settings, or has no more threads or memory.
    #[error("create a Kafka {kind}")]
    Create {
        /// Consumer or producer.
        kind: &'static str,
        /// Its words.
        #[source]
        source: KafkaError,
    },
    /// librdkafka refuses the subscription.
    #[error("subscribe to {topics}")]
    Subscribe {
        /// With commas.
        topics: String,
        /// Its words.
        #[source]
        source: KafkaError,
    },
}

/// Why a commit failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitError {
    /// "Not yet": the same commit may succeed soon.
    Later(Code),
    /// This membership is over: the group will say what is ours.
    Dropped(Code),
    /// The same commit can never succeed.
    Fatal(Code),
}

impl CommitError {
    /// Sorts a broker's or librdkafka's answer.
    ///
    /// What is not known counts as "not yet": trying again is harmless, giving up is not. So does an
    /// illegal generation: a commit that was on its way while the group began a new generation fails
    /// with it, and the same partitions may be committed in the new one. Who is really out of the
    /// group is told so by losing its partitions.
    pub fn of(code: Code) -> Self {
        match code {
            Code::UnknownMemberId
            | Code::FencedMemberEpoch
            | Code::FencedInstanceId
            | Code::AssignmentLost
            | Code::State
            | Code::UnknownGroup
            | Code::Fenced => Self::Dropped(code),
            Code::GroupAuthorizationFailed
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::OffsetMetadataTooLarge
            | Code::InvalidCommitOffsetSize
            | Code::InvalidGroupId
            | Code::InvalidArgument => Self::Fatal(code),
            _ => Self::Later(code),
        }
    }

    /// The worst of several: a partition that can never be committed must not hide behind one
    /// that only has to wait.
    pub fn worst(errors: impl IntoIterator<Item = Code>) -> Option<Self> {
        errors
            .into_iter()
            .map(Self::of)
            .max_by_key(|error| match error {
                Self::Later(_) => 0,
                Self::Dropped(_) => 1,
                Self::Fatal(_) => 2,
            })
    }

    /// librdkafka's code.
    pub fn code(&self) -> Code {
        match self {
            Self::Later(code) | Self::Dropped(code) | Self::Fatal(code) => *code,
        }
    }
}

/// What an error outside of any request says about Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No broker can be reached.
    Unreachable,
    /// One broker cannot be reached, or not for the moment; librdkafka goes on by itself.
    Passing,
    /// A topic does not exist, or we may not know that it does.
    Topic,
    /// The broker refuses us.
    Refused,
    /// We did not poll for too long, and the group has gone on without us.
    PolledTooLate,
    /// Anything else.
    Other,
}

impl Trouble {
    /// Sorts librdkafka's code.
    pub fn of(code: Code) -> Self {
        match code {
            Code::AllBrokersDown | Code::Resolve => Self::Unreachable,
            Code::BrokerTransportFailure | Code::OperationTimedOut | Code::RequestTimedOut => {
                Self::Passing
            }
            Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::InvalidTopic => Self::Topic,
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::SSL => Self::Refused,
            Code::PollExceeded => Self::PolledTooLate,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_rebalances_means_not_yet() {
        for code in [
            Code::RebalanceInProgress,
            Code::IllegalGeneration,
            Code::StaleMemberEpoch,
        ] {
            assert_eq!(CommitError::of(code), CommitError::Later(code));
        }
    }

    #[test]
    fn the_worst_of_several_partitions_decides() {
        let errors = [
            Code::RequestTimedOut,
            Code::OffsetMetadataTooLarge,
            Code::UnknownMemberId,
        ];
        assert_eq!(
            CommitError::worst(errors),
            Some(CommitError::Fatal(Code::OffsetMetadataTooLarge))
        );
        assert_eq!(CommitError::worst([]), None);
    }
}
