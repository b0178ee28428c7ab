//! Somebody else sets the Deployment's size: an autoscaler that targets it instead of the resource, or a person. The
//! policy goes on from there; but who does not know of each other fights, so it is told.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;

use super::apply::size_set_by;
use super::fleets::FleetMemory;
use crate::k8s::apply::version_of;
use crate::plural::noun;

/// It is told once in this time: an autoscaler looks every 15 s.
const AGAIN: Duration = Duration::from_secs(600);

/// A change of size that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resized {
    /// What we had set.
    pub from: u32,
    /// What is there.
    pub to: u32,
    /// Field managers.
    pub by: String,
}

impl fmt::Display for Resized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, by } = self;
        write!(
            f,
            "{by} set the Deployment from {from} to {to} {}; Drover decides its size. An autoscaler must target the KafkaConsumer, with scaling.mode: External; by hand it is scaling.mode: Manual and kubectl scale kc",
            noun("pod", *to)
        )
    }
}

/// What somebody did to the size since we set it, where that was not told lately. `now` is on the monotonic clock.
pub fn by_other(
    deployment: &Deployment,
    memory: &mut FleetMemory,
    now: Duration,
) -> Option<Resized> {
    let version = version_of(&deployment.metadata);
    let set = memory
        .size_set
        .as_mut()
        .filter(|set| set.version < version)?;
    if memory.size_unsure {
        return None;
    }
    let to = u32::try_from(deployment.spec.replicas.unwrap_or(1)).unwrap_or_default();
    let from = std::mem::replace(&mut set.size, to);
    let told = memory.resized_told.is_some_and(|at| now < at + AGAIN);
    if from == to || told {
        return None;
    }
    memory.resized_told = Some(now);
    let by = size_set_by(deployment).join(", ");
    let by = if by.is_empty() {
        "another installation of Drover, or somebody who writes in its name,".to_owned()
    } else {
        by
    };
    Some(Resized { from, to, by })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fleets::SizeSet;
    use serde_json::json;

    fn deployment(version: u64, replicas: u32, manager: &str) -> Deployment {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "orders",
                "resourceVersion": version.to_string(),
                "managedFields": [
                    { "manager": "drover-scale", "operation": "Apply" , "fieldsV1": { "f:metadata": {} } },
                    { "manager": manager, "operation": "Update", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
                ],
            },
            "spec": { "replicas": replicas, "selector": {}, "template": {} },
        }))
        .unwrap()
    }

    fn memory() -> FleetMemory {
        FleetMemory {
            size_set: Some(SizeSet {
                version: 10,
                size: 2,
            }),
            ..FleetMemory::default()
        }
    }

    #[test]
    fn who_else_sets_the_size_is_told_once_in_a_while() {
        let mut memory = memory();
        let hpa = "kube-controller-manager";
        let mut at = |version, replicas, seconds| {
            let now = Duration::from_secs(seconds);
            by_other(&deployment(version, replicas, hpa), &mut memory, now)
        };
        assert_eq!(at(10, 2, 0), None, "as we set it");
        assert_eq!(at(9, 1, 0), None, "the cache lags behind");
        assert_eq!(at(11, 2, 0), None, "something else changed");
        let resized = at(12, 3, 0).unwrap();
        assert_eq!((resized.from, resized.to, &*resized.by), (2, 3, hpa));
        assert!(resized.to_string().contains("scaling.mode: External"));
        assert_eq!(at(12, 3, 1), None, "told");
        assert_eq!(at(13, 4, 15), None, "lately");
        assert!(at(14, 5, 700).is_some());
    }

    #[test]
    fn what_we_cannot_know_is_not_told() {
        let mut memory = memory();
        memory.size_unsure = true;
        let other = deployment(12, 3, "kubectl");
        assert_eq!(by_other(&other, &mut memory, Duration::ZERO), None);
        let mut new = FleetMemory::default();
        assert_eq!(by_other(&other, &mut new, Duration::ZERO), None);
    }
}
