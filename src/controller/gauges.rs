//! What metrics say of a fleet. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::names::condition;
use crate::telemetry::controller_metrics::Attention;

/// Reasons for which sizes do not follow decisions because somebody wants it so.
const CHOSEN: [&str; 4] = ["Paused", "Manual", "External", "RecommendOnly"];

/// `Ready`, as far as it is known.
pub fn ready(conditions: &[Condition]) -> Option<bool> {
    let mut all = conditions.iter();
    let ready = all.find(|known| known.type_ == condition::READY)?;
    match ready.status.as_str() {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

/// The conditions that are not as on a good day. What is not known yet, and what goes on
/// (`Progressing`), asks for nobody's attention.
pub fn attention(conditions: &[Condition]) -> Vec<Attention> {
    let all = conditions.iter();
    all.filter_map(|known| {
        let (condition, bad) = BAD.into_iter().find(|(type_, _)| *type_ == known.type_)?;
        let chosen = condition == condition::SCALING_ACTIVE && CHOSEN.contains(&&*known.reason);
        (known.status == bad && !chosen).then(|| Attention {
            condition,
            reason: known.reason.clone(),
        })
    })
    .collect()
}

/// The status of each condition that asks for attention.
const BAD: [(&str, &str); 8] = [
    (condition::READY, "False"),
    (condition::KAFKA_REACHABLE, "False"),
    (condition::SCALING_ACTIVE, "False"),
    (condition::SCALING_LIMITED, "True"),
    (condition::STALLED, "True"),
    (condition::DEAD_LETTER_WRITABLE, "False"),
    (condition::GROUP_SHARED, "True"),
    (condition::PAUSED, "True"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn condition(type_: &str, status: &str, reason: &str) -> Condition {
        serde_json::from_value(json!({
            "type": type_, "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn a_fleet_in_order_asks_for_no_attention() {
        let good = [
            condition(condition::READY, "True", "AllReady"),
            condition(condition::PROGRESSING, "True", "ScalingUp"),
            condition(condition::SCALING_ACTIVE, "False", "Manual"),
            condition(condition::SCALING_LIMITED, "False", "NotLimited"),
            condition(condition::STALLED, "False", "NothingStuck"),
            condition(condition::KAFKA_REACHABLE, "Unknown", "NotAskedYet"),
        ];
        assert_eq!(attention(&good), []);
        assert_eq!(ready(&good), Some(true));
    }

    /// An alert leaves such fleets out by it.
    #[test]
    fn a_fleet_that_is_paused_says_so_once() {
        let paused = [
            condition(condition::READY, "True", "Paused"),
            condition(condition::SCALING_ACTIVE, "False", "Paused"),
            condition(condition::PAUSED, "True", "Paused"),
        ];
        let told = Attention {
            condition: condition::PAUSED,
            reason: "Paused".to_owned(),
        };
        assert_eq!(attention(&paused), [told]);
    }

    #[test]
    fn what_is_not_as_on_a_good_day_is_told_with_its_reason() {
        for (type_, status) in BAD {
            let bad = [condition(type_, status, "SomeReason")];
            let told = Attention {
                condition: type_,
                reason: "SomeReason".to_owned(),
            };
            assert_eq!(attention(&bad), [told]);
        }
        let unknown = [condition(condition::READY, "Unknown", "WaitingForOffsets")];
        assert_eq!(ready(&unknown), None);
        assert_eq!(ready(&[]), None);
    }
}
