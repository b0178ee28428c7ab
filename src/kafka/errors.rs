//! What can go wrong with Kafka, by what follows from it.

use rdkafka::error::KafkaError;

/// A broker's or librdkafka's error.
pub use rdkafka::types::RDKafkaErrorCode as Code;

/// What librdkafka said, without the value of a property that it refuses: that may be a secret.
pub fn without_values(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, words, name, _) => format!("{words} ({name})"),
        error => error.to_string(),
    }
}

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
    /// The group has begun a new generation while the commit was on its way. The same partitions may
    /// be committed in the new one, as soon as this answer is there: the client knows it by then.
    Outdated(Code),
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
    /// What is not known counts as "not yet": trying again is harmless, giving up is not. Who is
    /// really out of the group is told so by losing its partitions.
    pub fn of(code: Code) -> Self {
        match code {
            Code::IllegalGeneration | Code::StaleMemberEpoch => Self::Outdated(code),
            Code::UnknownMemberId
            | Code::FencedMemberEpoch
            | Code::FencedInstanceId
            | Code::AssignmentLost
            | Code::State
            | Code::UnknownGroup
            | Code::GroupIdNotFound
            | Code::UnreleasedInstanceId
            | Code::Fenced => Self::Dropped(code),
            Code::GroupAuthorizationFailed
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::OffsetMetadataTooLarge
            | Code::InvalidCommitOffsetSize
            | Code::InvalidGroupId
            | Code::InvalidRequest
            | Code::UnsupportedVersion
            | Code::UnsupportedFeature
            | Code::UnsupportedForMessageFormat
            | Code::SaslAuthenticationFailed
            | Code::Authentication
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
                Self::Outdated(_) => 0,
                Self::Later(_) => 1,
                Self::Dropped(_) => 2,
                Self::Fatal(_) => 3,
            })
    }

    /// librdkafka's code.
    pub fn code(&self) -> Code {
        match self {
            Self::Outdated(code) | Self::Later(code) | Self::Dropped(code) | Self::Fatal(code) => {
                *code
            }
        }
    }
}

/// Asked again, Kafka would say the same: it refuses the question, or there is nothing to ask for. Anything else may
/// pass: a coordinator that moves, or reads its log.
pub fn is_an_answer(error: &KafkaError) -> bool {
    let Some(code) = error.rdkafka_error_code() else {
        return false;
    };
    let unknown = matches!(
        code,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition
    );
    unknown
        || matches!(
            CommitError::of(code),
            CommitError::Dropped(_) | CommitError::Fatal(_)
        )
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
    /// The group's members agree on partitions in a way that we do not know.
    OtherAssignor,
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
            Code::InconsistentGroupProtocol => Self::OtherAssignor,
            _ => Self::Other,
        }
    }
}

/// What an error that concerns one partition says about reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// librdkafka stays where it is and goes on by itself.
    Passing,
    /// Kafka does not have the offset any more, or not yet; librdkafka has stopped reading, as
    /// `auto.offset.reset=error` wants it.
    OutOfRange,
    /// A record, or a batch of them, cannot be read: librdkafka goes on **behind** it.
    Unreadable,
}

impl ReadError {
    /// Sorts librdkafka's code.
    ///
    /// What is not known counts as unreadable: to stop and read again harms nothing, to go on may
    /// jump over records. Aborted transactions are no error: librdkafka leaves them out.
    pub fn of(code: Code) -> Self {
        match code {
            Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => {
                Self::OutOfRange
            }
            // The topic, its leader or our rights are not there at present: see `Trouble`.
            Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::UnknownTopicId
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::ReplicaNotAvailable
            | Code::BrokerNotAvailable
            | Code::OffsetNotAvailable
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::KafkaStorageError
            | Code::NetworkException
            | Code::RequestTimedOut
            // librdkafka's own: no answer, no broker, an outdated request.
            | Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::BrokerDestroy
            | Code::WaitCache
            | Code::Outdated
            | Code::State => Self::Passing,
            // BadMessage, BadCompression, NotImplemented, UnsupportedCompressionType,
            // InvalidMessage, MessageSizeTooLarge, InvalidRecord, and whatever comes.
            _ => Self::Unreadable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinator_that_moves_has_not_answered() {
        for (code, answer) in [
            (Code::NotCoordinator, false),
            (Code::CoordinatorNotAvailable, false),
            (Code::CoordinatorLoadInProgress, false),
            (Code::OperationTimedOut, false),
            (Code::AllBrokersDown, false),
            (Code::StaleMemberEpoch, false),
            (Code::UnknownMemberId, true),
            (Code::GroupAuthorizationFailed, true),
            (Code::TopicAuthorizationFailed, true),
            (Code::UnknownTopicOrPartition, true),
        ] {
            let error = KafkaError::OffsetFetch(code);
            assert_eq!(is_an_answer(&error), answer, "{code}");
        }
    }

    #[test]
    fn a_group_that_rebalances_means_not_yet() {
        let code = Code::RebalanceInProgress;
        assert_eq!(CommitError::of(code), CommitError::Later(code));
        for code in [Code::IllegalGeneration, Code::StaleMemberEpoch] {
            assert_eq!(CommitError::of(code), CommitError::Outdated(code));
        }
    }

    #[test]
    fn each_answer_to_a_commit_waits_ends_or_is_told() {
        let later = [
            Code::CoordinatorLoadInProgress,
            Code::CoordinatorNotAvailable,
            Code::NotCoordinator,
            Code::WaitingForCoordinator,
            Code::RequestTimedOut,
            Code::OperationTimedOut,
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::NetworkException,
            Code::UnknownTopicOrPartition,
            Code::ThrottlingQuotaExceeded,
            Code::NotEnoughReplicas,
            Code::KafkaStorageError,
            Code::NoOffset,
            Code::Unknown,
        ];
        let dropped = [
            Code::UnknownMemberId,
            Code::FencedMemberEpoch,
            Code::FencedInstanceId,
            Code::UnreleasedInstanceId,
            Code::GroupIdNotFound,
            Code::AssignmentLost,
            Code::Fenced,
        ];
        let fatal = [
            Code::GroupAuthorizationFailed,
            Code::TopicAuthorizationFailed,
            Code::SaslAuthenticationFailed,
            Code::OffsetMetadataTooLarge,
            Code::InvalidCommitOffsetSize,
            Code::InvalidGroupId,
            Code::InvalidRequest,
            Code::UnsupportedVersion,
        ];
        for code in later {
            assert_eq!(CommitError::of(code), CommitError::Later(code));
        }
        for code in dropped {
            assert_eq!(CommitError::of(code), CommitError::Dropped(code));
        }
        for code in fatal {
            assert_eq!(CommitError::of(code), CommitError::Fatal(code));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_from_what_passes_by_itself() {
        for (code, kind) in [
            (Code::BadMessage, ReadError::Unreadable),
            (Code::BadCompression, ReadError::Unreadable),
            (Code::NotImplemented, ReadError::Unreadable),
            (Code::InvalidMessage, ReadError::Unreadable),
            (Code::MessageSizeTooLarge, ReadError::Unreadable),
            (Code::UnsupportedCompressionType, ReadError::Unreadable),
            (Code::InvalidRecord, ReadError::Unreadable),
            (Code::Unknown, ReadError::Unreadable),
            (Code::AutoOffsetReset, ReadError::OutOfRange),
            (Code::OffsetOutOfRange, ReadError::OutOfRange),
            (Code::LogTruncation, ReadError::OutOfRange),
            (Code::TopicAuthorizationFailed, ReadError::Passing),
            (Code::UnknownTopicOrPartition, ReadError::Passing),
            (Code::NotLeaderForPartition, ReadError::Passing),
            (Code::BrokerTransportFailure, ReadError::Passing),
        ] {
            assert_eq!(ReadError::of(code), kind, "{code}");
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
