//! What the generated schema says of a value: types, bounds, enums, forms of texts.
//!
//! The schema is the one statement of these rules. The API server checks it at apply; this checks
//! it where there is no API server, in words that say what to do. Rules between fields are in
//! `rules`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use regex::Regex;
use serde_json::{Map, Value};

use super::nearest::nearest;
use super::problem::Problems;
use crate::api::names::reason;
use crate::api::{KafkaConsumerSpec, crd, replay_crd};

/// Checks what has been read already; unknown fields are gone by then.
pub(super) fn check_spec(spec: &KafkaConsumerSpec, problems: &mut Problems) {
    match serde_json::to_value(spec) {
        Ok(value) => check(spec_schema(), &value, "spec", &mut Vec::new(), problems),
        Err(error) => problems.invalid(
            "spec",
            format!("spec cannot be written as JSON: {error}; correct it"),
        ),
    }
}

/// The schema of `spec` in `crd()`.
pub(super) fn spec_schema() -> &'static Node {
    static SCHEMA: OnceLock<Node> = OnceLock::new();
    SCHEMA.get_or_init(|| of_spec(&crd()))
}

/// The schema of `spec` in `replay_crd()`.
pub(super) fn replay_schema() -> &'static Node {
    static SCHEMA: OnceLock<Node> = OnceLock::new();
    SCHEMA.get_or_init(|| of_spec(&replay_crd()))
}

fn of_spec(definition: &CustomResourceDefinition) -> Node {
    let definition = serde_json::to_value(definition).unwrap_or_default();
    let spec = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    Node::read(spec.unwrap_or(&Value::Null))
}

/// One place of a structural schema.
#[derive(Default)]
pub(super) struct Node {
    kind: Option<String>,
    int_or_string: bool,
    /// Any object: what is not in `properties` is kept.
    open: bool,
    pub(super) properties: BTreeMap<String, Node>,
    values: Option<Box<Node>>,
    items: Option<Box<Node>>,
    pub(super) required: Vec<String>,
    choices: Vec<String>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    least: Option<u64>,
    most: Option<u64>,
    set: bool,
    forms: Vec<(Regex, String)>,
}

impl Node {
    /// Reads a structural schema, or one of schemars without references.
    pub(super) fn read(schema: &Value) -> Self {
        let strings = |key: &str| -> Vec<String> {
            let list = schema[key].as_array().into_iter().flatten();
            list.filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        let size = |keys: [&str; 3]| keys.iter().find_map(|key| schema[key].as_u64());
        let properties = schema["properties"].as_object();
        Self {
            kind: strings("type")
                .into_iter()
                .find(|kind| kind != "null")
                .or_else(|| schema["type"].as_str().map(str::to_owned)),
            int_or_string: schema["x-kubernetes-int-or-string"] == true,
            open: schema["x-kubernetes-preserve-unknown-fields"] == true,
            properties: properties
                .into_iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), Self::read(schema)))
                .collect(),
            values: schema["additionalProperties"]
                .is_object()
                .then(|| Box::new(Self::read(&schema["additionalProperties"]))),
            items: schema["items"]
                .is_object()
                .then(|| Box::new(Self::read(&schema["items"]))),
            required: strings("required"),
            choices: strings("enum"),
            minimum: schema["minimum"].as_f64(),
            maximum: schema["maximum"].as_f64(),
            least: size(["minLength", "minItems", "minProperties"]),
            most: size(["maxLength", "maxItems", "maxProperties"]),
            set: schema["x-kubernetes-list-type"] == "set",
            forms: forms(schema),
        }
    }

    fn is_object(&self) -> bool {
        self.kind.as_deref() == Some("object") || !self.properties.is_empty()
    }
}

/// The rules of the form `self.matches(r'…')`, with their messages.
fn forms(schema: &Value) -> Vec<(Regex, String)> {
    let rules = schema["x-kubernetes-validations"].as_array();
    rules
        .into_iter()
        .flatten()
        .filter_map(|rule| {
            let form = rule["rule"]
                .as_str()?
                .strip_prefix("self.matches(r'")?
                .strip_suffix("')")?;
            Some((Regex::new(form).ok()?, rule["message"].as_str()?.to_owned()))
        })
        .collect()
}

/// Adds a problem for everything in `value` that `node` does not allow, and to `bad` the path of
/// each value that is wrong.
pub(super) fn check(
    node: &Node,
    value: &Value,
    field: &str,
    bad: &mut Vec<String>,
    problems: &mut Problems,
) {
    let before = problems.0.len();
    match value {
        Value::Object(map) if node.is_object() || node.open => {
            object(node, map, field, bad, problems)
        }
        Value::Array(items) if node.kind.as_deref() == Some("array") => {
            array(node, items, field, bad, problems)
        }
        _ => {
            scalar(node, value, field, problems);
            if problems.0.len() > before {
                bad.push(field.to_owned());
            }
        }
    }
}

fn object(
    node: &Node,
    map: &Map<String, Value>,
    field: &str,
    bad: &mut Vec<String>,
    problems: &mut Problems,
) {
    size(node, map.len(), "entries", field, problems);
    for required in &node.required {
        if map.get(required).is_none_or(Value::is_null) {
            let field = format!("{field}.{required}");
            problems.add(
                reason::MISSING_FIELD,
                &field,
                format!("{field} is missing; add it"),
            );
            bad.push(field);
        }
    }
    for (name, value) in map {
        let is_map = node.values.is_some();
        let at = if is_map {
            format!("{field}[{name}]")
        } else {
            format!("{field}.{name}")
        };
        match node.properties.get(name).or(node.values.as_deref()) {
            // A null is as good as not written: the API server drops it.
            Some(child) if !value.is_null() => check(child, value, &at, bad, problems),
            None if !node.open && node.is_object() && !node.properties.is_empty() => {
                problems.add(reason::UNKNOWN_FIELD, &at, unknown(&at, name, node));
                bad.push(at);
            }
            _ => {}
        }
    }
}

fn unknown(at: &str, name: &str, node: &Node) -> String {
    match nearest(name, node.properties.keys().map(String::as_str)) {
        Some(known) => format!("{at} is not a field; did you mean {known}?"),
        None => {
            let known: Vec<&str> = node
                .properties
                .keys()
                .map(String::as_str)
                .take(12)
                .collect();
            format!(
                "{at} is not a field; remove it or write one of {}",
                known.join(", ")
            )
        }
    }
}

fn array(
    node: &Node,
    items: &[Value],
    field: &str,
    bad: &mut Vec<String>,
    problems: &mut Problems,
) {
    size(node, items.len(), "entries", field, problems);
    for (index, item) in items.iter().enumerate() {
        let at = format!("{field}[{index}]");
        if node.set && items[..index].contains(item) {
            problems.invalid(&at, format!("{at} is a repetition of {item}; remove it"));
        }
        if let Some(child) = &node.items {
            check(child, item, &at, bad, problems);
        }
    }
}

fn scalar(node: &Node, value: &Value, field: &str, problems: &mut Problems) {
    if let Some(wanted) = wrong_type(node, value) {
        return problems.invalid(field, of_another_type(node, wanted, value, field));
    }
    if let Value::String(text) = value {
        if !node.choices.is_empty() && !node.choices.contains(text) {
            let hint = nearest(text, node.choices.iter().map(String::as_str));
            return problems.invalid(
                field,
                match hint {
                    Some(known) => format!(
                        "{field} cannot be \"{text}\"; did you mean {known}? Known are {}",
                        node.choices.join(", ")
                    ),
                    None => format!(
                        "{field} cannot be \"{text}\"; write one of {}",
                        node.choices.join(", ")
                    ),
                },
            );
        }
        size(node, text.chars().count(), "characters", field, problems);
        for (form, message) in &node.forms {
            if !form.is_match(text) {
                problems.invalid(
                    field,
                    format!("{field} cannot be {}: {message}", short(value)),
                );
            }
        }
    }
    if let Some(number) = value.as_f64() {
        let (minimum, maximum) = (
            node.minimum.unwrap_or(f64::MIN),
            node.maximum.unwrap_or(f64::MAX),
        );
        if number < minimum {
            problems.invalid(
                field,
                format!("{field} is {number}, less than {minimum}; raise it"),
            );
        }
        if number > maximum {
            problems.invalid(
                field,
                format!("{field} is {number}, more than {maximum}; lower it"),
            );
        }
    }
}

/// What is wrong with a value whose type is another one.
fn of_another_type(node: &Node, wanted: &str, value: &Value, field: &str) -> String {
    let number = value.is_number().then(|| value.to_string());
    let unlike = |text: &String| node.forms.iter().find(|(form, _)| !form.is_match(text));
    // `maxDelay: 30`: quotes alone would not help.
    if let Some((_, form)) = number.as_ref().and_then(unlike) {
        return format!("{field} cannot be {value}: {form}");
    }
    let entry = node.items.as_deref();
    let fields = entry.unwrap_or(node).properties.keys();
    let fields: Vec<&str> = fields.map(String::as_str).take(12).collect();
    if value.is_string() && !fields.is_empty() {
        // It may be a key or a password, in place of the Secret that holds it: it is not repeated.
        let whose = entry.map_or("its fields are", |_| "the fields of an entry are");
        let fields = fields.join(", ");
        return format!("{field} must be {wanted}, not a text; {whose} {fields}");
    }
    format!("{field} must be {wanted}, not {}; correct it", short(value))
}

/// The wanted type in words, if the value is not of it.
fn wrong_type(node: &Node, value: &Value) -> Option<&'static str> {
    if node.int_or_string {
        return (!value.is_string() && !value.is_number()).then_some("a number or a text");
    }
    let (fits, words) = match node.kind.as_deref()? {
        "string" => (value.is_string(), "a text (in quotes)"),
        "integer" => (
            value.is_i64()
                || value.is_u64()
                || value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "a whole number",
        ),
        "number" => (value.is_number(), "a number"),
        "boolean" => (value.is_boolean(), "true or false"),
        "array" => (value.is_array(), "a list"),
        "object" => (value.is_object(), "a mapping"),
        _ => (true, ""),
    };
    (!fits).then_some(words)
}

fn size(node: &Node, size: usize, unit: &str, field: &str, problems: &mut Problems) {
    let size = size as u64;
    if let Some(least) = node.least.filter(|least| size < *least) {
        problems.invalid(
            field,
            format!("{field} has {size} {unit}, fewer than {least}; add some"),
        );
    }
    if let Some(most) = node.most.filter(|most| size > *most) {
        problems.invalid(
            field,
            format!("{field} has {size} {unit}, more than {most}; shorten it"),
        );
    }
}

/// A value for people, cut to one line; of an address with a user, and so perhaps a password, only the rest.
fn short(value: &Value) -> String {
    let mut text = value.to_string();
    if let (Some(scheme), Some(at)) = (text.find("://"), text.rfind('@'))
        && scheme < at
    {
        text.replace_range(scheme + 3..at, "…");
    }
    if text.chars().count() <= 80 {
        return text;
    }
    let cut: String = text.chars().take(77).collect();
    format!("{cut}…")
}
