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
        ScalingMode::Manual => manual(fleet, situation),
        ScalingMode::Auto => situation.decision.map(|decision| Order {
            wanted: decision.replicas,
            set: startable(decision.replicas, situation),
            by: By::Policy,
            reasons: sentences(decision),
        }),
        ScalingMode::Recommend => situation.decision.map(|decision| Order {
            wanted: decision.replicas,
            // A fleet that was never sized begins at its minimum.
            set: if situation.never_sized {
                startable(fleet.policy.min, situation)
            } else {
                None
            },
            by: By::Recommendation,
            reasons: sentences(decision),
        }),
    }
}

fn manual(fleet: &Fleet, situation: &Situation<'_>) -> Option<Order> {
    let (wanted, reason) = match fleet.manual_replicas {
        Some(replicas) => (
            replicas,
            "set by spec.replicas (scaling.mode: Manual)".to_owned(),
        ),
        None => (
            situation.current.unwrap_or(fleet.policy.min),
            "scaling.mode is Manual and spec.replicas is not set: the size stays as it is"
                .to_owned(),
        ),
    };
    Some(Order {
        wanted,
        set: startable(wanted, situation),
        by: By::User,
        reasons: vec![reason],
    })
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
