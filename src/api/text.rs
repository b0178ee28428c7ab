//! The schemas of texts with a form of their own.
//!
//! The form is a CEL rule instead of a `pattern`, because a rule carries a message for people; the
//! API server would print the bare pattern. `fleet` reads the same rules, so that there is one
//! statement of each form.

use schemars::{Schema, SchemaGenerator, json_schema};

const TOPIC: &str = "[a-zA-Z0-9._-]{1,249}";
const TOPIC_MESSAGE: &str =
    "a topic is up to 249 letters, digits, dots, underscores and hyphens; correct the name";

fn text(max_length: u32, form: &str, message: &str) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": max_length,
        "x-kubernetes-validations": [{ "rule": rule(form), "message": message }],
    })
}

/// `form` is a regular expression for the whole text, without quotes.
fn rule(form: &str) -> String {
    format!("self.matches(r'^({form})$')")
}

pub(super) fn topic(_: &mut SchemaGenerator) -> Schema {
    text(249, TOPIC, TOPIC_MESSAGE)
}

pub(super) fn topics(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": topic(generator),
    })
}

pub(super) fn group_id(_: &mut SchemaGenerator) -> Schema {
    text(
        249,
        "[a-zA-Z0-9._-]+",
        "a consumer group is up to 249 letters, digits, dots, underscores and hyphens; correct the name",
    )
}

pub(super) fn bootstrap_servers(_: &mut SchemaGenerator) -> Schema {
    text(
        2048,
        r"([^[:space:],:/\[\]]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}(,([^[:space:],:/\[\]]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5})*",
        "write brokers as host:port, several with commas and no blanks, such as kafka-0:9092,kafka-1:9092",
    )
}

pub(super) fn url(_: &mut SchemaGenerator) -> Schema {
    text(
        2048,
        "http://[^[:space:]/?#@]+(/[^[:space:]#]*)?",
        "write an address such as http://users.shop/kafka; only http:// is served, without user or fragment",
    )
}

pub(super) fn path(_: &mut SchemaGenerator) -> Schema {
    text(
        1024,
        "/[^[:space:]#]*",
        "a path begins with / and has no blanks, such as /kafka",
    )
}

pub(super) fn span() -> Schema {
    text(
        32,
        "([0-9]{1,9}(ms|s|m|h))+",
        "write a duration as whole numbers with ms, s, m or h, such as 500ms or 1m30s",
    )
}

pub(super) fn start_at() -> Schema {
    text(
        40,
        "Earliest|Latest|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})",
        "write Earliest, Latest or a time such as 2026-11-01T06:00:00Z",
    )
}
