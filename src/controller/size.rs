//! Whose word counts for the size of a fleet: pause, the user, or the policy.
//!
//! Pure. `scale` carries the order out.

use crate::api::ScalingMode;
use crate::fleet::Fleet;
use crate::scaling::Decision;

/// The size that a fleet is to have, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Pods wanted; what status shows.
    pub wanted: u32,
    /// Pods to set; none where the size stays as it is.
    pub set: Option<u32>,
    /// Who says so.
    pub by: By,
    /// In words, the first decided.
    pub reasons: Vec<String>,
}

/// Who ordered a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `spec.paused`.
    Pause,
    /// `spec.replicas` in mode `Manual`.
    User,
    /// The policy.
    Policy,
    /// The policy, but nobody acts on it.
    Recommendation,
}

/// What `order` needs to know.
pub struct Situation<'a> {
    /// What the policy decided; none without a sample to decide on.
    pub decision: Option<&'a Decision>,
    /// The Deployment's size; none before it exists.
    pub current: Option<u32>,
    /// Nobody has set the Deployment's size yet, or it does not exist.
    pub never_sized: bool,
    /// The group has offsets to begin at: before that no pod may start.
    pub offsets_ready: bool,
}

/// Whose word counts now. None where nobody has one: the size stays as it is.
pub fn order(fleet: &Fleet, situation: &Situation<'_>) -> Option<Order> {
    if fleet.paused {
        return Some(Order {
            wanted: 0,
            set: Some(0),
            by: By::Pause,
            reasons: vec!["paused by spec.paused".to_owned()],
        });
    }
    match fleet.mode {
        ScalingMode::Manual => Some(manual(fleet, situation)),
        ScalingMode::Auto => situation.decision.map(|decision| Order {
            wanted: decision.replicas,
            set: startable(decision.replicas, situation),
            by: By::Policy,
            reasons: sentences(decision),
        }),
        ScalingMode::Recommend => situation.decision.map(|decision| Order {
            wanted: decision.replicas,
            set: first_size(fleet, situation),
            by: By::Recommendation,
            reasons: sentences(decision),
        }),
    }
}

fn manual(fleet: &Fleet, situation: &Situation<'_>) -> Order {
    match fleet.manual_replicas {
        Some(replicas) => Order {
            wanted: replicas,
            set: startable(replicas, situation),
            by: By::User,
            reasons: vec!["set by spec.replicas (scaling.mode: Manual)".to_owned()],
        },
        None => Order {
            wanted: situation.current.unwrap_or(fleet.policy.min),
            set: first_size(fleet, situation),
            by: By::User,
            reasons: vec![
                "scaling.mode is Manual and spec.replicas is not set: the size stays as it is"
                    .to_owned(),
            ],
        },
    }
}

/// Where nobody may change the size, a fleet that was never sized begins at its minimum.
fn first_size(fleet: &Fleet, situation: &Situation<'_>) -> Option<u32> {
    let minimum = || startable(fleet.policy.min, situation);
    situation.never_sized.then(minimum).flatten()
}

/// A fleet at zero stays there until its group has offsets.
fn startable(replicas: u32, situation: &Situation<'_>) -> Option<u32> {
    let asleep = situation.current.unwrap_or(0) == 0;
    if asleep && !situation.offsets_ready {
        None
    } else {
        Some(replicas)
    }
}

fn sentences(decision: &Decision) -> Vec<String> {
    decision.reasons.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::KafkaConsumer;
    use crate::fleet::{References, validate};
    use crate::scaling::{Outlook, Watch, Why};
    use jiff::Timestamp;
    use serde_json::{Value, json};

    fn fleet(change: Value) -> Fleet {
        let mut document = json!({
            "apiVersion": "drover.dev/v1alpha1",
            "kind": "KafkaConsumer",
            "metadata": { "name": "fleet", "namespace": "shop", "uid": "u" },
            "spec": {
                "kafka": { "bootstrapServers": "kafka:9092" },
                "topics": ["orders"],
                "handler": { "http": { "url": "http://users/kafka" } },
                "scaling": { "minReplicas": 2 },
            },
        });
        for (key, value) in change.as_object().into_iter().flatten() {
            document["spec"][key] = value.clone();
        }
        let consumer: KafkaConsumer = serde_json::from_value(document).unwrap();
        validate(&consumer, &References::default()).unwrap()
    }

    fn decision(replicas: u32) -> Decision {
        Decision {
            replicas,
            reasons: vec![Why::Rolling],
            look_again_at: Timestamp::UNIX_EPOCH,
            watch: Watch::Usual,
            outlook: Outlook::default(),
        }
    }

    /// Wanted and set, for a fleet of `current` pods whose policy wants five.
    fn ordered(spec: Value, current: Option<u32>, ready: bool) -> Option<(u32, Option<u32>)> {
        let decision = decision(5);
        let situation = Situation {
            decision: ready.then_some(&decision),
            current,
            never_sized: current.is_none(),
            offsets_ready: ready,
        };
        order(&fleet(spec), &situation).map(|order| (order.wanted, order.set))
    }

    #[test]
    fn whose_word_counts() {
        let manual = json!({ "scaling": { "mode": "Manual", "minReplicas": 2 } });
        let set = json!({ "scaling": { "mode": "Manual" }, "replicas": 3 });
        let recommend = json!({ "scaling": { "mode": "Recommend", "minReplicas": 2 } });
        for (spec, current, expected) in [
            (json!({}), Some(1), Some((5, Some(5)))),
            (json!({}), None, Some((5, Some(5)))),
            (json!({ "paused": true }), Some(4), Some((0, Some(0)))),
            (set.clone(), Some(4), Some((3, Some(3)))),
            (manual.clone(), Some(4), Some((4, None))),
            (manual.clone(), None, Some((2, Some(2)))),
            (recommend.clone(), Some(4), Some((5, None))),
            (recommend.clone(), None, Some((5, Some(2)))),
        ] {
            assert_eq!(
                ordered(spec.clone(), current, true),
                expected,
                "{spec} {current:?}"
            );
        }
    }

    #[test]
    fn no_pod_starts_before_the_group_has_offsets() {
        let set = json!({ "scaling": { "mode": "Manual" }, "replicas": 3 });
        assert_eq!(ordered(json!({}), None, false), None);
        assert_eq!(ordered(set.clone(), None, false), Some((3, None)));
        assert_eq!(ordered(set.clone(), Some(0), false), Some((3, None)));
        // Where pods run, they have begun somewhere.
        assert_eq!(ordered(set, Some(1), false), Some((3, Some(3))));
        assert_eq!(
            ordered(json!({ "paused": true }), Some(3), false),
            Some((0, Some(0)))
        );
    }
}
