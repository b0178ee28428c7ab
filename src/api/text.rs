//! The schemas of texts with a form of their own.
//!
//! The form is a CEL rule instead of a `pattern`, because a rule carries a message for people; the
//! API server would print the bare pattern. `fleet` reads the same rules, so that there is one
//! statement of each form.

use super::librdkafka::PASSED_ON_PROPERTIES;
use schemars::{Schema, SchemaGenerator, json_schema};

/// All but `.` and `..`, which Kafka refuses.
const TOPIC: &str = "[.]*[a-zA-Z0-9_-][a-zA-Z0-9._-]*|[.]{3,249}";
const TOPIC_MESSAGE: &str = "a topic is up to 249 letters, digits, dots, underscores and hyphens, and not . or ..; correct the name";

/// A port, 1 to 65535.
macro_rules! port {
    () => {
        "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    };
}
/// A broker as host:port.
macro_rules! broker {
    () => {
        concat!(r"([^[:space:],:/\[\]]+|\[[0-9a-fA-F:.]+\]):", port!())
    };
}
/// An address of HTTP without user or fragment.
const URL: &str = concat!(
    r"https?://([^[:space:]:/?#@\[\]]+|\[[0-9a-fA-F:.]+\])(:",
    port!(),
    ")?(/[^[:space:]#]*)?"
);

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
        concat!(broker!(), "(,", broker!(), ")*"),
        "write brokers as host:port, with a port of 1 to 65535, several with commas and no blanks, such as kafka-0:9092,kafka-1:9092",
    )
}

pub(super) fn url(_: &mut SchemaGenerator) -> Schema {
    text(
        2048,
        URL,
        "write an address such as http://users.shop/kafka, or with https://, without user or fragment; a port is 1 to 65535",
    )
}

pub(super) fn token_endpoint(_: &mut SchemaGenerator) -> Schema {
    text(
        2048,
        URL,
        "write an address such as https://login.example.com/oauth2/token, without user or fragment; a port is 1 to 65535",
    )
}

/// As RFC 7628 has them. The comma is what parts them in librdkafka's configuration.
pub(super) fn extensions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": text(
            1024,
            "[!-+.-~-]+( [!-+.-~-]+)*",
            "an extension is visible ASCII without commas; correct it",
        ),
        "x-kubernetes-validations": [{
            "rule": "self.all(name, name.matches('^[a-zA-Z]+$') && name != 'auth')",
            "message": "spec.kafka.sasl.oauth.extensions has a name that is not only letters, or auth, which is the token's; correct it",
        }],
    })
}

pub(super) fn socket(_: &mut SchemaGenerator) -> Schema {
    text(
        107,
        "(/[a-zA-Z0-9._-]+){2,}",
        "a socket is the path of a file in a folder of its own, of at most 107 characters; write a path such as /run/handler/http.sock",
    )
}

pub(super) fn path(_: &mut SchemaGenerator) -> Schema {
    text(
        1024,
        "/[^[:space:]#]*",
        "a path begins with / and has no blanks, such as /kafka",
    )
}

pub(super) fn address(_: &mut SchemaGenerator) -> Schema {
    text(
        320,
        concat!(r"([^[:space:],:/@\[\]]+|\[[0-9a-fA-F:.]+\]):", port!()),
        "write an address as host:port, with a port of 1 to 65535, such as redis.shop:6379; user and password have fields of their own",
    )
}

pub(super) fn header_name(_: &mut SchemaGenerator) -> Schema {
    text(
        255,
        "[!-~]+",
        "a header's name is visible ASCII without blanks, such as message-id; correct the name",
    )
}

pub(super) fn json_pointer(_: &mut SchemaGenerator) -> Schema {
    text(
        1024,
        "(/([^~/]|~0|~1)*)+",
        "write a JSON pointer (RFC 6901), such as /id or /event/id",
    )
}

pub(super) fn scope(_: &mut SchemaGenerator) -> Schema {
    text(
        128,
        "[a-zA-Z0-9._-]+",
        "a scope is up to 128 letters, digits, dots, underscores and hyphens; correct it",
    )
}

pub(super) fn table(_: &mut SchemaGenerator) -> Schema {
    text(
        127,
        "([a-z_][a-z0-9_]{0,62}[.])?[a-z_][a-z0-9_]{0,62}",
        "a table is lower-case letters, digits and underscores, perhaps after a schema and a dot, such as drover_idempotency; correct the name",
    )
}

pub(super) fn secret_name(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        "[a-z0-9]([a-z0-9.-]*[a-z0-9])?",
        "a Secret's name is lower-case letters, digits, dots and hyphens; correct the name",
    )
}

pub(super) fn secret_key(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        "[a-zA-Z0-9._-]+",
        "a Secret's key is letters, digits, dots, underscores and hyphens; correct the key",
    )
}

pub(super) fn batch_bytes(_: &mut SchemaGenerator) -> Schema {
    text(
        16,
        "[1-9][0-9]{3,7}|[1-9][0-9]{0,4}Ki|([1-9]|[1-5][0-9]|6[0-4])Mi",
        "write bytes from 1000 to 64Mi, such as 500000, 512Ki or 4Mi",
    )
}

pub(super) fn span() -> Schema {
    text(
        32,
        "([0-9]{1,9}(ms|s|m|h))+",
        "write a duration as whole numbers with ms, s, m or h, such as 500ms or 1m30s",
    )
}

pub(super) fn moment() -> Schema {
    text(
        40,
        "([0-9]{1,9}(ms|s|m|h))+|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})",
        "write how long ago, such as 2h, or a time, such as 2026-11-01T06:00:00Z",
    )
}

pub(super) fn offsets() -> Schema {
    text(
        40,
        "[0-9]{1,18}([.][.][0-9]{0,18})?|[.][.][0-9]{1,18}",
        "write 100..200, 100.., ..200 or 100",
    )
}

pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        "[a-z0-9]([-a-z0-9.]*[a-z0-9])?",
        "a name is small letters, digits, hyphens and dots; correct the name",
    )
}

/// Some, none of them empty.
pub(super) fn short_texts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "atomic",
        "items": { "type": "string", "minLength": 1, "maxLength": 512 },
    })
}

pub(super) fn start_at() -> Schema {
    text(
        40,
        "Earliest|Latest|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})",
        "write Earliest, Latest or a time such as 2026-11-01T06:00:00Z",
    )
}

pub(super) fn time_of_day(_: &mut SchemaGenerator) -> Schema {
    text(
        5,
        "([01][0-9]|2[0-3]):[0-5][0-9]",
        "write a time of day with two digits each, such as 08:00",
    )
}

pub(super) fn end_of_day(_: &mut SchemaGenerator) -> Schema {
    text(
        5,
        "([01][0-9]|2[0-3]):[0-5][0-9]|24:00",
        "write a time of day with two digits each, such as 18:00, or 24:00 for the end of the day",
    )
}

pub(super) fn time_zone(_: &mut SchemaGenerator) -> Schema {
    text(
        64,
        "[a-zA-Z][a-zA-Z0-9+_-]*(/[a-zA-Z0-9+_-]+){0,2}",
        "write a name of the IANA time zone database, such as Europe/Berlin or UTC",
    )
}

pub(super) fn dates(_: &mut SchemaGenerator) -> Schema {
    let date = text(
        10,
        "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
        "write a date as year, month and day, such as 2026-11-27",
    );
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 100,
        "x-kubernetes-list-type": "set",
        "items": date,
    })
}

/// The names are a list, not a form; `fleet` says of each other one why it cannot be set.
pub(super) fn properties(_: &mut SchemaGenerator) -> Schema {
    let known: Vec<String> = PASSED_ON_PROPERTIES
        .iter()
        .map(|name| format!("'{name}'"))
        .collect();
    let known = known.join(",");
    let refusal = "cannot be set: Drover sets it, it holds a secret, or librdkafka does not know it; remove it (drover validate says why)";
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": { "type": "string", "maxLength": 4096 },
        "x-kubernetes-validations": [{
            "rule": format!("self.all(name, name in [{known}])"),
            "message": format!("spec.kafka.properties has one that {refusal}"),
            // One of them: to join them all is more than the API server lets a message cost.
            "messageExpression": format!(
                "'spec.kafka.properties: ' + self.filter(name, !(name in [{known}]))[0] + ' {refusal}'"
            ),
        }],
    })
}
