//! `spec.scaling`, with its schedule.

use serde_json::{Value, json};

use super::{Wrong, wrong};
use crate::support::consumers::{http_url, with};

/// Limits, promises, modes.
pub(super) fn wrong_scaling() -> Vec<Wrong> {
    let url = |pointer: &str, value: Value| with(http_url(), pointer, value);
    vec![
        // A field that is missing, of the wrong type, out of bounds, or not one of the known words.
        wrong(
            url("/spec/scaling/maxReplicas", json!(0)),
            "spec.scaling.maxReplicas",
            "greater than or equal to 1",
        ),
        wrong(
            url("/spec/scaling/maxDelay", json!("1d")),
            "spec.scaling.maxDelay",
            "write a duration",
        ),
        wrong(
            url("/spec/scaling/maxDelay", json!("500ms")),
            "spec.scaling.maxDelay",
            "between 1s and 24h",
        ),
        wrong(
            url(
                "/spec/scaling",
                json!({ "minReplicas": 0, "idleTimeToZero": "500ms" }),
            ),
            "spec.scaling.idleTimeToZero",
            "must be between 1s and 24h",
        ),
        wrong(
            url(
                "/spec/scaling",
                json!({ "minReplicas": 1, "idleTimeToZero": "30s" }),
            ),
            "spec.scaling.idleTimeToZero",
            "set that to 0, or remove idleTimeToZero",
        ),
        wrong(
            url("/spec/scaling/mode", json!("Off")),
            "spec.scaling.mode",
            "supported values: \"Auto\", \"Recommend\", \"Manual\"",
        ),
        // Fields that contradict each other.
        wrong(
            url(
                "/spec/scaling",
                json!({ "minReplicas": 3, "maxReplicas": 2 }),
            ),
            "spec.scaling.minReplicas",
            "lower the first or raise the second",
        ),
    ]
}

/// A peak, and what is wrong with it.
pub(super) fn wrong_schedules() -> Vec<Wrong> {
    let peak = |change: Value| {
        let mut peak = json!({ "timeZone": "Europe/Berlin", "minReplicas": 6 });
        for (name, value) in change.as_object().into_iter().flatten() {
            peak[name] = value.clone();
        }
        with(http_url(), "/spec/scaling/schedule", json!([peak]))
    };
    let of = |change, field, remedy| wrong(peak(change), field, remedy);
    vec![
        of(
            json!({ "from": "8:00" }),
            "spec.scaling.schedule[0].from",
            "such as 08:00",
        ),
        of(
            json!({ "to": "24:30" }),
            "spec.scaling.schedule[0].to",
            "24:00 for the end of the day",
        ),
        of(
            json!({ "from": "08:00", "to": "08:00" }),
            "spec.scaling.schedule",
            "choose another to",
        ),
        of(
            json!({ "days": ["Monday"] }),
            "spec.scaling.schedule[0].days[0]",
            "supported values: \"Mon\", \"Tue\"",
        ),
        of(
            json!({ "daysOfMonth": [32] }),
            "spec.scaling.schedule[0].daysOfMonth[0]",
            "less than or equal to 31",
        ),
        of(
            json!({ "dates": ["27.11.2026"] }),
            "spec.scaling.schedule[0].dates[0]",
            "such as 2026-11-27",
        ),
        of(
            json!({ "days": ["Fri"], "dates": ["2026-11-27"] }),
            "spec.scaling.schedule",
            "keep one, and write another entry for the other",
        ),
        of(
            json!({ "timeZone": "Europe Berlin" }),
            "spec.scaling.schedule[0].timeZone",
            "such as Europe/Berlin or UTC",
        ),
        of(
            json!({ "minReplicas": 0 }),
            "spec.scaling.schedule[0].minReplicas",
            "greater than or equal to 1",
        ),
        wrong(
            with(
                http_url(),
                "/spec/scaling",
                json!({ "maxReplicas": 5, "schedule": [{ "timeZone": "UTC", "minReplicas": 6 }] }),
            ),
            "spec.scaling.schedule",
            "lower the first or raise the second",
        ),
    ]
}
