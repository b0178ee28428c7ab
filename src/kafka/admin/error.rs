//! Why Kafka gave no answer, in our words.

use crate::kafka::native::answers::Failure;
use crate::kafka::right::{Denial, Right};

/// Why Kafka gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The client cannot be made.
    #[error("make a Kafka client: {0}")]
    Config(String),
    /// No broker answers in time.
    #[error("no Kafka broker answered in time: {0}")]
    Unreachable(String),
    /// A broker is there, and TLS with it fails: its certificate, ours, or no TLS on its side.
    #[error("no TLS connection to Kafka: {0}")]
    Tls(String),
    /// A broker is there, and does not believe who we are.
    #[error("Kafka does not accept our credentials: {0}")]
    Authentication(String),
    /// There is no token to show to brokers.
    #[error("no OAuth token for Kafka: {0}; check spec.kafka.sasl.oauth")]
    Token(String),
    /// They are not asked: this process may not outlive their answers.
    #[error("{0}")]
    Suspected(String),
    /// The topic or partition does not exist.
    #[error("the topic or partition does not exist")]
    Missing,
    /// Too few rights.
    #[error("Kafka refuses it: {0}")]
    NotAuthorized(Denial),
    /// The group has members, so its offsets are theirs.
    #[error("the group has members")]
    GroupBusy,
    /// The group does not exist.
    #[error("the group does not exist")]
    NoSuchGroup,
    /// The broker does not know this request.
    #[error("the broker does not support it: {0}")]
    Unsupported(String),
    /// The broker is no longer the group's coordinator; the next question goes to the new one.
    #[error("the group's coordinator has moved")]
    Moved,
    /// It may work if asked again: a leader or coordinator is moving.
    #[error("not at this moment: {0}")]
    Later(String),
    /// Anything else.
    #[error("{message} (code {code})")]
    Other {
        /// Kafka's or librdkafka's number.
        code: i32,
        /// In words.
        message: String,
    },
}

impl Error {
    /// A stable word for metrics and conditions.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Config(_) => "ClientConfig",
            Self::Unreachable(_) => "Unreachable",
            Self::Tls(_) => "TlsFailed",
            Self::Authentication(_) | Self::Token(_) => "AuthenticationFailed",
            Self::Suspected(_) => "BrokersSuspected",
            Self::Missing => "TopicMissing",
            Self::NotAuthorized(_) => "NotAuthorized",
            Self::GroupBusy => "GroupBusy",
            Self::NoSuchGroup => "NoSuchGroup",
            Self::Unsupported(_) => "Unsupported",
            Self::Later(_) | Self::Moved => "Later",
            Self::Other { .. } => "Other",
        }
    }

    /// In OpenSSL's words, which leave open what it is.
    pub(super) fn tls(said: &str) -> Self {
        Self::Tls(format!(
            "{said}; check spec.kafka.tls, the certificates' authorities, names and dates, and that the port speaks TLS"
        ))
    }

    pub(super) fn authentication(said: &str) -> Self {
        // So a broker answers where it asks nobody who he is.
        Self::Authentication(match said.contains("not valid in current SASL state") {
            true => format!(
                "the port wants none ({said}); name a port with SASL in spec.kafka.bootstrapServers, or leave spec.kafka.sasl out"
            ),
            false => {
                format!("{said}; check mechanism, user and password, or oauth, in spec.kafka.sasl")
            }
        })
    }

    /// Of a refusal with the right that was missing; anything else as it is.
    pub(in crate::kafka) fn lacking(self, right: impl FnOnce() -> Right) -> Self {
        match self {
            Self::NotAuthorized(denial) if denial.right.is_none() => Self::NotAuthorized(Denial {
                right: Some(right()),
                ..denial
            }),
            other => other,
        }
    }

    pub(in crate::kafka) fn of(failure: Failure) -> Self {
        let Failure { code, message } = failure;
        match code {
            // librdkafka's own: transport, resolve, brokers down, timed out, waiting for the
            // coordinator, outdated, destroyed; the broker's request time-out.
            -195 | -193 | -187 | -185 | -180 | -167 | -197 | 7 => Self::Unreachable(message),
            -181 => Self::tls(&message),
            // librdkafka's; mechanism not enabled; refused.
            -169 | 33 | 34 | 58 => Self::authentication(&message),
            29..=31 => Self::NotAuthorized(message.into()),
            -190 | -188 | 3 | 17 | 100 => Self::Missing,
            25 | 68 | 27 => Self::GroupBusy,
            69 => Self::NoSuchGroup,
            -165 | 35 => Self::Unsupported(message),
            16 => Self::Moved,
            // No leader is known; no leader, no coordinator, loading, fenced epochs.
            -156 | 5 | 6 | 9 | 13 | 14 | 15 | 72 | 74 | 75 | 76 | 77 | 80 => Self::Later(message),
            code => Self::Other { code, message },
        }
    }
}
