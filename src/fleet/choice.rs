//! The one KafkaConsumer that is meant among a file's documents.

use serde_json::Value;

use super::document::check_document;
use crate::api::KafkaConsumer;
use crate::api::names::reason;

/// The line and the column at which a field stands, of the document that begins on a line; none where that is not known.
pub type Place<'a> = dyn Fn(usize, &str) -> Option<(usize, usize)> + 'a;

/// The KafkaConsumer in `documents`, each with its line and what it says or why it cannot be read; by
/// its `name` where there are several. `shown` is the file, for messages, and `place` says at which line and column of it a
/// field of the document stands that begins on a line.
///
/// # Errors
/// In one line with its remedy.
pub fn choose(
    documents: &[(usize, Result<Value, String>)],
    shown: &str,
    name: Option<&str>,
    place: &Place<'_>,
) -> Result<KafkaConsumer, String> {
    let mut found = Vec::new();
    for (line, value) in documents {
        let value = value.as_ref().map_err(|error| {
            format!("{shown}:{line}: the document cannot be read: {error}; correct its YAML")
        })?;
        let named = value["metadata"]["name"].as_str();
        if value["kind"] != "KafkaConsumer" || name.is_some_and(|name| named != Some(name)) {
            continue;
        }
        let problems = check_document(value);
        // What was misspelt explains what is missing.
        let misspelt = problems
            .iter()
            .find(|it| it.reason == reason::UNKNOWN_FIELD);
        if let Some(problem) = misspelt.or(problems.first()) {
            let at = match place(*line, &problem.field) {
                Some((line, column)) => format!("{line}:{column}"),
                None => line.to_string(),
            };
            return Err(format!(
                "{shown}:{at}: {}; see all with drover validate {shown}",
                problem.message
            ));
        }
        let consumer = serde_json::from_value(value.clone());
        found.push(
            consumer.map_err(|error| format!("{shown}:{line}: read the KafkaConsumer: {error}"))?,
        );
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(match name {
            Some(name) => format!("there is no KafkaConsumer {name} in {shown}; correct the name"),
            None => {
                format!("there is no KafkaConsumer in {shown}; write one, or name another file")
            }
        }),
        many => Err(format!(
            "there are {many} KafkaConsumers in {shown}; say which one by its name"
        )),
    }
}
