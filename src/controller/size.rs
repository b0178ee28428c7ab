//! Whose word counts for the size of a fleet: pause, the user, an autoscaler of theirs, or the policy.
//!
//! Pure. `scale` carries the order out.

use crate::api::ScalingMode;
use crate::fleet::Fleet;
use crate::scaling::{Bounded, Decision, Why};

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
    /// What kept a size from outside from being as it was chosen: the word and the sentence.
    pub limit: Option<(&'static str, String)>,
}

/// Who ordered a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `spec.paused`.
    Pause,
    /// `spec.replicas` in mode `Manual`.
    User,
    /// `spec.replicas` in mode `External`.
    Outside,
    /// The policy.
    Policy,
    /// The policy, but nobody acts on it.
    Recommendation,
}

/// What `order` needs to know.
pub struct Situation<'a> {
    /// What the policy decided; none without a sample to decide on.
    pub decision: Option<&'a Decision>,
    /// The Deployment's size, or what it was of one that somebody has deleted; none before there is any.
    pub current: Option<u32>,
    /// Nobody has set the Deployment's size yet, or it does not exist.
    pub never_sized: bool,
    /// The group has offsets to begin at: before that no pod may start.
    pub offsets_ready: bool,
    /// What is allowed of `spec.replicas`; none where it is not set.
    pub bounded: Option<Bounded>,
}

/// Whose word counts now. None where nobody has one: the size stays as it is.
pub fn order(fleet: &Fleet, situation: &Situation<'_>) -> Option<Order> {
    if fleet.paused {
        return Some(stop());
    }
    match fleet.mode {
        ScalingMode::Manual => Some(manual(fleet, situation)),
        ScalingMode::External => Some(external(fleet, situation)),
        ScalingMode::Auto => situation.decision.map(|decision| Order {
            wanted: decision.replicas,
            set: startable(decision.replicas, situation),
            by: By::Policy,
            reasons: sentences(decision),
            limit: None,
        }),
        ScalingMode::Recommend => situation.decision.map(|decision| Order {
            wanted: decision.replicas,
            set: first_size(fleet, situation),
            by: By::Recommendation,
            reasons: sentences(decision),
            limit: None,
        }),
    }
}

/// What `spec.paused` orders, whatever else the spec says.
pub fn stop() -> Order {
    Order {
        wanted: 0,
        set: Some(0),
        by: By::Pause,
        reasons: vec!["paused by spec.paused".to_owned()],
        limit: None,
    }
}

fn manual(fleet: &Fleet, situation: &Situation<'_>) -> Order {
    match fleet.manual_replicas {
        Some(replicas) => Order {
            wanted: replicas,
            set: startable(replicas, situation),
            by: By::User,
            reasons: vec!["set by spec.replicas (scaling.mode: Manual)".to_owned()],
            limit: None,
        },
        None => Order {
            wanted: situation.current.unwrap_or(fleet.policy.min),
            set: first_size(fleet, situation),
            by: By::User,
            reasons: vec![
                "scaling.mode is Manual and spec.replicas is not set: the size stays as it is"
                    .to_owned(),
            ],
            limit: None,
        },
    }
}

/// What an autoscaler has chosen, as far as it is allowed.
fn external(fleet: &Fleet, situation: &Situation<'_>) -> Order {
    let chosen = fleet.manual_replicas.zip(situation.bounded.as_ref());
    let Some((chosen, bounded)) = chosen else {
        return Order {
            wanted: situation.current.unwrap_or(fleet.policy.min),
            set: first_size(fleet, situation),
            by: By::Outside,
            reasons: vec![
                "scaling.mode is External and spec.replicas is not set yet: the size stays as it is"
                    .to_owned(),
            ],
            limit: None,
        };
    };
    let limit = bounded.why.as_ref();
    let limit = limit.map(|why| (why.label(), of_a_choice(why), why.is_limit()));
    let said = format!(
        "spec.replicas is {chosen}, as an autoscaler or kubectl scale has set it (scaling.mode: External)"
    );
    let sentence = limit.iter().map(|(_, sentence, _)| sentence.clone());
    Order {
        wanted: bounded.replicas,
        set: startable(bounded.replicas, situation),
        by: By::Outside,
        reasons: sentence.chain([said]).collect(),
        limit: limit
            .filter(|(_, _, limits)| *limits)
            .map(|(label, sentence, _)| (label, sentence)),
    }
}

/// Why a choice is not as it was made. Whoever chose knows of no promise that it would keep.
fn of_a_choice(why: &Why) -> String {
    let said = why.to_string();
    match (why, said.split_once("; ")) {
        (Why::CappedByMax { .. }, Some((so, _))) => format!("{so}; raise it to have more"),
        _ => said,
    }
}

/// What an autoscaler finds where nobody has set `spec.replicas`: it takes a size that is not there, or
/// zero, for a fleet that must not be scaled.
pub fn first_choice(fleet: &Fleet, current: Option<u32>) -> u32 {
    current.unwrap_or(0).max(fleet.policy.min).max(1)
}

/// Where nobody may change the size, a fleet that was never sized begins at its minimum; one whose Deployment is made
/// again, with no less than that had.
fn first_size(fleet: &Fleet, situation: &Situation<'_>) -> Option<u32> {
    let first = situation.current.unwrap_or(0).max(fleet.policy.min);
    situation.never_sized.then(|| startable(first, situation))?
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
    use crate::scaling::{Outlook, Watch};
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
            next_at: None,
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
            bounded: None,
        };
        order(&fleet(spec), &situation).map(|order| (order.wanted, order.set))
    }

    /// What becomes of a size that an autoscaler chose for a fleet of two to six pods.
    fn chosen(chosen: Option<u32>, current: Option<u32>, partitions: Option<u32>) -> Order {
        let spec = json!({
            "scaling": { "mode": "External", "minReplicas": 2, "maxReplicas": 6 },
            "replicas": chosen,
        });
        let fleet = fleet(spec);
        let now = Timestamp::UNIX_EPOCH;
        let bounded = chosen.map(|size| {
            let lead = std::time::Duration::ZERO;
            crate::scaling::bounded(&fleet.policy, size, partitions, lead, now)
        });
        let situation = Situation {
            decision: None,
            current,
            never_sized: current.is_none(),
            offsets_ready: true,
            bounded,
        };
        order(&fleet, &situation).expect("somebody has a word")
    }

    #[test]
    fn a_size_from_outside_is_carried_over_within_the_bounds() {
        for (size, partitions, expected, limit) in [
            (4, Some(12), 4, None),
            (5, Some(12), 5, None),
            (0, Some(12), 2, None),
            (9, Some(12), 6, Some("CappedByMaxReplicas")),
            (9, Some(4), 4, Some("CappedByPartitions")),
            (5, Some(1), 1, Some("CappedByPartitions")),
            (9, None, 6, Some("CappedByMaxReplicas")),
        ] {
            let order = chosen(Some(size), Some(3), partitions);
            assert_eq!((order.wanted, order.set), (expected, Some(expected)));
            assert_eq!(order.by, By::Outside);
            let label = order.limit.map(|(label, _)| label);
            assert_eq!(label, limit, "{size} of {partitions:?}");
            let said = order.reasons.last().expect("a reason");
            assert!(said.contains(&format!("spec.replicas is {size}")), "{said}");
        }
    }

    #[test]
    fn who_chooses_from_outside_is_told_of_no_promise() {
        let order = chosen(Some(50), Some(3), Some(12));
        let said = "50 pods are wanted, but scaling.maxReplicas allows 6; raise it to have more";
        assert_eq!(order.reasons[0], said);
        assert_eq!(order.limit.unwrap().1, said);
    }

    #[test]
    fn a_size_that_nobody_has_chosen_yet_is_offered_and_changes_nothing() {
        let order = chosen(None, Some(5), Some(12));
        assert_eq!((order.wanted, order.set), (5, None));
        let external = fleet(json!({ "scaling": { "mode": "External", "minReplicas": 0 } }));
        for (current, offered) in [(None, 1), (Some(0), 1), (Some(5), 5)] {
            assert_eq!(first_choice(&external, current), offered);
        }
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
    fn a_deployment_that_is_made_again_is_as_large_as_before_where_nobody_decides() {
        let size = |mode: &str| {
            let situation = Situation {
                decision: Some(&decision(5)),
                current: Some(3),
                never_sized: true,
                offsets_ready: true,
                bounded: None,
            };
            let spec = json!({ "scaling": { "mode": mode, "minReplicas": 2 } });
            order(&fleet(spec), &situation).unwrap().set
        };
        assert_eq!(
            ["Manual", "Recommend", "External", "Auto"].map(size),
            [Some(3), Some(3), Some(3), Some(5)]
        );
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
