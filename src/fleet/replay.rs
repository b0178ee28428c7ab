//! A DeadLetterReplay as it was written: what the API server would refuse, and what the controller
//! would, as far as both can be known offline.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::document::{API_VERSION, STAND_IN, check_top, remove, strip_nulls};
use super::problem::{Problem, Problems};
use super::schema;
use crate::api::names::reason;
use crate::api::{DeadLetterReplay, Moment};

/// The names of the Job's pods are made from it: five characters and a hyphen more, 63 at most.
const LONGEST_NAME: usize = 57;

/// Everything that is wrong with a document that is a DeadLetterReplay.
pub fn check_replay(document: &Value) -> Vec<Problem> {
    let mut problems = Problems::default();
    if document["apiVersion"] != API_VERSION {
        let message = format!(
            "apiVersion {} is not known here; write {API_VERSION}",
            document["apiVersion"]
        );
        problems.add(reason::UNKNOWN_KIND, "apiVersion", message);
        return problems.0;
    }
    let mut bad = Vec::new();
    check_top(document, schema::replay_schema(), &mut problems, &mut bad);
    let name = document["metadata"]["name"].as_str().unwrap_or_default();
    if name.len() > LONGEST_NAME {
        problems.invalid(
            "metadata.name",
            format!(
                "metadata.name is longer than {LONGEST_NAME} characters: the names of the Job's pods are made from it; choose a shorter name"
            ),
        );
    }

    // What is wrong is taken out, so that reading goes on and finds the rest.
    let mut readable = document.clone();
    bad.iter().for_each(|field| remove(&mut readable, field));
    strip_nulls(&mut readable);
    fill_in(&mut readable);
    match serde_json::from_value::<DeadLetterReplay>(readable) {
        Ok(replay) => between_fields(&replay, &mut problems),
        Err(error) if problems.0.is_empty() => {
            let message = format!("the document cannot be read: {error}; correct it");
            problems.add(reason::UNREADABLE, "", message);
        }
        Err(_) => {}
    }
    problems.0
}

fn between_fields(replay: &DeadLetterReplay, problems: &mut Problems) {
    let spec = &replay.spec;
    if spec.to.is_some() && spec.to_source {
        problems.contradiction(
            "spec.toSource",
            "spec.to and spec.toSource exclude each other; remove one of them",
        );
    }
    if spec.rate.is_some_and(|rate| (0.0..0.001).contains(&rate)) {
        problems.invalid(
            "spec.rate",
            "spec.rate is less than 0.001 records a second; raise it, or leave it out for no limit",
        );
    }
    // Which "ago" is meant is known when it is applied; two of them, or two times, are in order
    // whenever that is.
    let (since, until) = (spec.filter.since, spec.filter.until);
    if let (Some(since), Some(until)) = (since, until)
        && matches!(
            (since, until),
            (Moment::At(_), Moment::At(_)) | (Moment::Ago(_), Moment::Ago(_))
        )
        && until.millis(Timestamp::UNIX_EPOCH) <= since.millis(Timestamp::UNIX_EPOCH)
    {
        problems.contradiction(
            "spec.filter.until",
            "spec.filter.until is not after spec.filter.since, so no dead letter is meant; correct one of them",
        );
    }
}

/// Stands in for what must be there and is not.
fn fill_in(document: &mut Value) {
    for outer in ["metadata", "spec"] {
        if !document[outer].is_object() {
            document[outer] = json!({});
        }
    }
    let consumer = &mut document["spec"]["consumerRef"];
    if !consumer["name"].is_string() {
        *consumer = json!({ "name": STAND_IN });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, spec: &Value) -> Vec<Problem> {
        check_replay(&json!({
            "apiVersion": API_VERSION, "kind": "DeadLetterReplay",
            "metadata": { "name": name }, "spec": spec,
        }))
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_with_its_field() {
        let spec = json!({
            "consumerRef": {}, "filter": { "since": "1h", "until": "2h", "partition": "three" },
            "rate": 0, "to": "x", "toSource": true, "stopat": 20,
        });
        let found = problems(&"a".repeat(58), &spec);
        let fields: Vec<&str> = found.iter().map(|problem| problem.field.as_str()).collect();
        for field in [
            "metadata.name",
            "spec.consumerRef.name",
            "spec.filter.partition",
            "spec.filter.until",
            "spec.rate",
            "spec.stopat",
            "spec.toSource",
        ] {
            assert!(fields.contains(&field), "{field}: {found:#?}");
        }
    }

    #[test]
    fn a_time_that_is_none_is_told_and_what_is_good_is_not() {
        let good = json!({ "consumerRef": { "name": "orders" },
            "filter": { "since": "2026-11-01T06:00:00Z", "until": "1h" }, "rate": 0.5 });
        assert_eq!(problems("again", &good), []);
        let never = json!({ "consumerRef": { "name": "orders" },
            "filter": { "since": "2026-13-01T06:00:00Z" } });
        let found = problems("again", &never);
        assert!(
            found[0].message.contains("cannot be read") && found[0].message.contains("such as 2h"),
            "{found:?}"
        );
    }
}
