//! `ScalingActive` and `ScalingLimited`: who sets the size, and what bounds it.

use serde_json::json;

use super::{Day, condition, decision, fleet, reason};
use crate::scaling::Why;

#[test]
fn modes_other_than_auto_say_who_sets_the_size() {
    for (spec, word) in [
        (
            json!({ "scaling": { "mode": "Manual" }, "replicas": 2 }),
            "False Manual",
        ),
        (
            json!({ "scaling": { "mode": "Recommend" } }),
            "False RecommendOnly",
        ),
        (json!({ "paused": true }), "False Paused"),
    ] {
        let mut day = Day::good();
        day.fleet = fleet(spec);
        assert_eq!(reason(&day.status(), "ScalingActive"), word);
    }
}

#[test]
fn a_limit_is_told_in_the_policys_words() {
    let mut day = Day::good();
    let why = Why::CappedByMax {
        wanted: 9,
        max: 2,
        useful: 2,
    };
    day.decision = Some(decision(why, 6));
    let status = day.status();
    assert_eq!(
        reason(&status, "ScalingLimited"),
        "True CappedByMaxReplicas"
    );
    assert!(condition(&status, "ScalingLimited").2.contains("raise it"));
}

#[test]
fn what_a_mode_does_not_use_is_named_beside_it() {
    let schedule = json!([{ "timeZone": "UTC", "minReplicas": 2 }]);
    for (spec, words) in [
        (
            json!({ "scaling": { "mode": "Manual", "minReplicas": 0, "idleTimeToZero": "30s", "schedule": schedule } }),
            "; spec.scaling.idleTimeToZero and spec.scaling.schedule are not used in mode Manual",
        ),
        (
            json!({ "scaling": { "mode": "External", "minReplicas": 0, "idleTimeToZero": "30s", "schedule": schedule } }),
            "; spec.scaling.idleTimeToZero is not used in mode External",
        ),
        (
            json!({ "replicas": 2 }),
            "; spec.replicas is not used in mode Auto",
        ),
    ] {
        let mut day = Day::good();
        day.fleet = fleet(spec);
        let (_, _, message) = condition(&day.status(), "ScalingActive");
        assert!(message.ends_with(words), "{message}");
    }
    let mut day = Day::good();
    day.fleet = fleet(json!({ "scaling": { "mode": "Manual" }, "replicas": 2 }));
    let (_, _, message) = condition(&day.status(), "ScalingActive");
    assert!(!message.contains("not used"), "{message}");
}
