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
    /// Somebody deleted a child, and it is still there.
    #[error("{kind} {name} was deleted by somebody and is still being removed")]
    ChildLeaving {
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

/// The reason of what cannot be made since its namespace is being deleted.
pub const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";

impl Error {
    /// The API server makes nothing new in a namespace that is being deleted, which is as it should be.
    fn is_of_leaving_namespace(&self) -> bool {
        matches!(self, Self::Api { source: kube::Error::Api(status), .. }
            if status.code == 403 && status.message.contains("because it is being terminated"))
    }

    /// For status.
    pub fn trouble(&self) -> Trouble {
        let reason = match self {
            _ if self.is_of_leaving_namespace() => NAMESPACE_TERMINATING,
            Self::Api {
                verb: "apply" | "delete",
                source: kube::Error::Api(_),
                ..
            } => "ApplyRefused",
            Self::Api { .. } => "ApiServerError",
            Self::NameTaken { .. } => "NameTaken",
            Self::PredecessorLeaving { .. } | Self::ChildLeaving { .. } => "PredecessorLeaving",
            Self::FirstOffsets { .. } => "FirstOffsetsNotWritten",
            Self::Credentials(_) | Self::TokenHost(_) => "KafkaCredentials",
        };
        let remedy = match self {
            _ if self.is_of_leaving_namespace() => {
                "; the namespace is being deleted, and nothing is made in it any more"
            }
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
            Self::NameTaken {
                kind: "ServiceAccount",
                ..
            } => {
                "; it is left alone: if the pods are to run under it, name it in spec.template.spec.serviceAccountName; else delete or rename it, or choose another name for the KafkaConsumer"
            }
            Self::NameTaken { .. } => {
                "; it is left alone: delete or rename it, or choose another name for the KafkaConsumer"
            }
            // It says it already.
            Self::TokenHost(_) => "",
            Self::PredecessorLeaving { .. } => "; wait, it is tried again",
            Self::ChildLeaving { .. } => "; it is made again as soon as it is gone",
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
    fn a_namespace_that_is_being_deleted_asks_for_no_right_and_no_quota() {
        let message = "deployments.apps \"orders\" is forbidden: unable to create new content in namespace shop because it is being terminated";
        let status = kube::core::Status::failure(message, "Forbidden").with_code(403);
        let told = Error::Api {
            verb: "apply",
            kind: "Deployment",
            name: "orders".to_owned(),
            source: kube::Error::Api(Box::new(status)),
        }
        .trouble();
        assert_eq!(told.reason, "NamespaceTerminating");
        assert!(!told.message.contains("grant"), "{}", told.message);
    }

    #[test]
    fn what_is_deleted_by_somebody_is_not_said_to_be_of_a_deleted_kafka_consumer() {
        let (kind, name) = ("Deployment", "orders".to_owned());
        let told = Error::ChildLeaving { kind, name }.trouble();
        assert_eq!(
            told.message,
            "Deployment orders was deleted by somebody and is still being removed; it is made again as soon as it is gone"
        );
    }

    #[test]
    fn who_has_a_service_account_already_is_told_how_to_use_it() {
        let taken = |kind| {
            let name = "orders".to_owned();
            Error::NameTaken { kind, name }.trouble().message
        };
        assert!(taken("ServiceAccount").contains("spec.template.spec.serviceAccountName"));
        assert!(!taken("Deployment").contains("serviceAccountName"));
    }

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
