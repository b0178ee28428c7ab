//! What can keep a reconcile from its end, and how it is told.

use super::status::Trouble;
use crate::k8s::chain;
use crate::lag;

/// What kept a reconcile from its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused or did not answer.
    #[error("{verb} {kind} {name}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// On which kind of object.
        kind: &'static str,
        /// On which object.
        name: String,
        /// Why not.
        #[source]
        source: kube::Error,
    },
    /// An object of the name that a child needs is not ours.
    #[error("{kind} {name} exists and is not owned by this KafkaConsumer")]
    NameTaken {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The child of a deleted resource of the same name is still being removed.
    #[error("{kind} {name} of a deleted KafkaConsumer is still being removed")]
    PredecessorLeaving {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// What connections to Kafka need is not known.
    #[error("connect to Kafka: {0}")]
    Credentials(String),
    /// Tokens for Kafka would come from where we ask nobody.
    #[error("connect to Kafka: {0}")]
    TokenHost(String),
    /// The first offsets of the group could not be written.
    #[error("write the first offsets of group {group}")]
    FirstOffsets {
        /// The group.
        group: String,
        /// Why not.
        #[source]
        source: lag::Error,
    },
}

impl Error {
    /// For status.
    pub fn trouble(&self) -> Trouble {
        let reason = match self {
            Self::Api {
                verb: "apply" | "delete",
                source: kube::Error::Api(_),
                ..
            } => "ApplyRefused",
            Self::Api { .. } => "ApiServerError",
            Self::NameTaken { .. } => "NameTaken",
            Self::PredecessorLeaving { .. } => "PredecessorLeaving",
            Self::FirstOffsets { .. } => "FirstOffsetsNotWritten",
            Self::Credentials(_) | Self::TokenHost(_) => "KafkaCredentials",
        };
        let remedy = match self {
            Self::Api {
                source: kube::Error::Api(status),
                ..
            } if is_of_a_policy(&status.message) => {
                "; that is a policy of this cluster: meet it by spec.template where that can, or have it spare Drover's objects"
            }
            Self::Api {
                source: kube::Error::Api(status),
                ..
            } if status.code == 403 => "; grant it to Drover's service account, or raise the quota",
            Self::Api {
                source: kube::Error::Api(status),
                ..
            } if status.code == 422 => "; correct spec.template",
            Self::Api { .. } => "; it is tried again",
            Self::NameTaken { .. } => {
                "; it is left alone: delete or rename it, or choose another name for the KafkaConsumer"
            }
            // It says it already.
            Self::TokenHost(_) => "",
            Self::PredecessorLeaving { .. } => "; wait, it is tried again",
            Self::Credentials(_) => "; correct the Secret, or its name in spec.kafka",
            Self::FirstOffsets { .. } => "; no pod starts before, it is tried again",
        };
        Trouble {
            reason,
            message: format!("{}{remedy}", chain(self)),
        }
    }
}

/// The API server's words for what a policy engine or an admission policy refused, which no right and no quota helps.
fn is_of_a_policy(message: &str) -> bool {
    ["admission webhook", "ValidatingAdmissionPolicy"]
        .iter()
        .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_refuses_is_not_blamed_on_a_field_that_could_not_help() {
        let refused = |code, message: &str| {
            let status = kube::core::Status::failure(message, "Invalid").with_code(code);
            Error::Api {
                verb: "apply",
                kind: "Deployment",
                name: "orders".to_owned(),
                source: kube::Error::Api(Box::new(status)),
            }
            .trouble()
            .message
        };
        let policy = "deployments.apps \"orders\" is forbidden: ValidatingAdmissionPolicy 'labels' denied request: no label team";
        for code in [403, 422] {
            let said = refused(code, policy);
            assert!(
                said.contains("no label team") && said.contains("a policy of this cluster"),
                "{said}"
            );
        }
        assert!(
            refused(
                422,
                "spec.template.spec.containers[0].image: Required value"
            )
            .ends_with("; correct spec.template")
        );
    }
}
