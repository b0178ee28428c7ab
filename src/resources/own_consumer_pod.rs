//! A consumer of the user's own: told where to consume, else left as it is.

use k8s_openapi::api::core::v1::{Container, EnvVar};

use crate::fleet::Fleet;

/// Adds brokers, group and topics to the environment of the container that consumes. A variable
/// that the user has set is left; `validate` has seen that it says the same.
pub(super) fn with_environment(
    containers: Vec<Container>,
    consuming: &str,
    fleet: &Fleet,
) -> Vec<Container> {
    containers
        .into_iter()
        .map(|mut container| {
            if container.name == consuming {
                let env = container.env.get_or_insert_default();
                for (name, value) in fleet.consumer_environment() {
                    if !env.iter().any(|set| set.name == name) {
                        env.push(EnvVar {
                            name: name.to_owned(),
                            value: Some(value),
                            value_from: None,
                        });
                    }
                }
            }
            container
        })
        .collect()
}
