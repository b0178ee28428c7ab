//! A KafkaConsumer as it was written, before it is read into types.
//!
//! Reading stops at the first wrong value; this does not.

use std::sync::OnceLock;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::problem::{Problem, Problems};
use super::schema::{self, Node};
use super::{References, validate};
use crate::api::KafkaConsumer;
use crate::api::names::reason;

pub(super) const API_VERSION: &str = "drover.dev/v1alpha1";
pub(super) const KIND: &str = "KafkaConsumer";

/// Everything that is wrong with a document that should be a KafkaConsumer: what [`validate`]
/// says, and besides fields that do not exist, in the pod template too.
pub fn check_document(document: &Value) -> Vec<Problem> {
    check_document_with(document, &References::default())
}

/// The same, where something is known of what it refers to.
pub fn check_document_with(document: &Value, references: &References) -> Vec<Problem> {
    let mut problems = Problems::default();
    if document["kind"] != KIND || document["apiVersion"] != API_VERSION {
        problems.add(
            reason::UNKNOWN_KIND,
            "kind",
            format!(
                "kind {} of apiVersion {} is not known here; write {KIND} or DeadLetterReplay of {API_VERSION}",
                document["kind"], document["apiVersion"]
            ),
        );
        return problems.0;
    }
    let mut bad = Vec::new();
    check_top(document, schema::spec_schema(), &mut problems, &mut bad);
    let template = &document["spec"]["template"];
    if template.is_object() {
        let field = "spec.template";
        schema::check(template_schema(), template, field, &mut bad, &mut problems);
    }

    // What is wrong is taken out, so that reading goes on and finds the rest.
    let mut readable = document.clone();
    bad.iter().for_each(|field| remove(&mut readable, field));
    strip_nulls(&mut readable);
    write_whole_numbers(&mut readable);
    fill_in(&mut readable);
    match serde_json::from_value::<KafkaConsumer>(readable) {
        Ok(consumer) => {
            let found = validate(&consumer, references).err();
            for problem in found.unwrap_or_default() {
                let echo = bad.iter().any(|field| related(field, &problem.field));
                if !echo && !problem.message.contains(STAND_IN) {
                    problems.0.push(problem);
                }
            }
        }
        Err(error) if problems.0.is_empty() => {
            let message = format!("the document cannot be read: {error}; correct it");
            problems.add(reason::UNREADABLE, "", message);
        }
        Err(_) => {}
    }
    let mut seen = Vec::new();
    problems.0.retain(|problem| {
        let new = !seen.contains(problem);
        seen.push(problem.clone());
        new
    });
    problems.0
}

/// Problems that are named of a document that cannot be read: each tells what to do.
const MOST_NAMED: usize = 3;

/// Why a document cannot be read, and what to do: the fields that [`check_document`] names, or `error`, which
/// is what its reader says.
pub fn why_unreadable(document: &Value, error: &str) -> String {
    let problems = check_document(document);
    let named = problems.iter().filter(|problem| !problem.field.is_empty());
    let named: Vec<&str> = named
        .map(|problem| problem.message.as_str())
        .take(MOST_NAMED)
        .collect();
    match named.is_empty() {
        true => format!("{error}; correct it"),
        false => named.join("; "),
    }
}

/// A KafkaConsumer without what cannot be read in its pod template, which the API server does not look into. None
/// where that is not enough to read it.
pub fn with_readable_template(document: &Value) -> Option<KafkaConsumer> {
    let mut readable = document.clone();
    let template = &document["spec"]["template"];
    let (mut bad, mut problems) = (Vec::new(), Problems::default());
    schema::check(
        template_schema(),
        template,
        "spec.template",
        &mut bad,
        &mut problems,
    );
    bad.iter().for_each(|field| remove(&mut readable, field));
    if let Some(template) = readable.pointer_mut("/spec/template") {
        strip_nulls(template);
    }
    serde_json::from_value(readable).ok()
}

/// What is to be said of fields of `spec.template` that do not exist. The API server keeps and warns of none, since the
/// CRD leaves the template's schema out, and who reads the template drops them.
pub fn unknown_in_template(document: &Value) -> Vec<String> {
    let template = &document["spec"]["template"];
    if !template.is_object() {
        return Vec::new();
    }
    let (mut bad, mut problems) = (Vec::new(), Problems::default());
    let field = "spec.template";
    schema::check(template_schema(), template, field, &mut bad, &mut problems);
    let unknown = problems.0.into_iter();
    let unknown = unknown.filter(|problem| problem.reason == reason::UNKNOWN_FIELD);
    unknown.map(|problem| problem.message).collect()
}

/// What the schema says of the whole document; the paths of what is wrong go to `bad`.
pub(super) fn check_top(
    document: &Value,
    of_spec: &Node,
    problems: &mut Problems,
    bad: &mut Vec<String>,
) {
    for name in document.as_object().into_iter().flat_map(|map| map.keys()) {
        if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&name.as_str()) {
            problems.add(
                reason::UNKNOWN_FIELD,
                name,
                format!("{name} is not a field; did you mean to write it under spec?"),
            );
            bad.push(name.clone());
        }
    }
    match &document["metadata"] {
        Value::Null => {}
        metadata @ Value::Object(_) => {
            schema::check(metadata_schema(), metadata, "metadata", bad, problems);
        }
        _ => {
            problems.invalid(
                "metadata",
                "metadata must be a mapping with a name; correct it",
            );
            bad.push("metadata".to_owned());
        }
    }
    let spec = &document["spec"];
    if !spec.is_object() {
        problems.add(reason::MISSING_FIELD, "spec", "spec is missing; add it");
        bad.push("spec".to_owned());
        return;
    }
    schema::check(of_spec, spec, "spec", bad, problems);
}

/// The schema of the metadata of every object.
fn metadata_schema() -> &'static Node {
    static SCHEMA: OnceLock<Node> = OnceLock::new();
    SCHEMA.get_or_init(of_type::<ObjectMeta>)
}

fn of_type<T: JsonSchema>() -> Node {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    Node::read(schema.as_value())
}

/// The schema of a pod template, which the CRD leaves out for its size.
fn template_schema() -> &'static Node {
    static SCHEMA: OnceLock<Node> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut template = of_type::<PodTemplateSpec>();
        // With handler.http.url a template may have no container at all; `template` checks the rest.
        if let Some(pod) = template.properties.get_mut("spec") {
            pod.required.clear();
        }
        template
    })
}

/// One field lies inside the other: a rule about the outer one is only an echo of the inner one.
fn related(bad: &str, field: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    inside(bad, field) || inside(field, bad)
}

/// Stands in for a value that must be there and is not, so that reading goes on.
pub(super) const STAND_IN: &str = "stand-in.invalid:1";

fn fill_in(document: &mut Value) {
    for outer in ["metadata", "spec"] {
        if !document[outer].is_object() {
            document[outer] = json!({});
        }
    }
    let Some(spec) = document["spec"].as_object_mut() else {
        return;
    };
    for (name, value) in [
        ("kafka", json!({})),
        ("topics", json!([STAND_IN])),
        (
            "handler",
            json!({ "http": { "url": format!("http://{STAND_IN}") } }),
        ),
    ] {
        spec.entry(name).or_insert(value);
    }
    let inner = [
        ("/kafka", "bootstrapServers"),
        ("/delivery/deadLetter", "topic"),
    ];
    for (outer, name) in inner {
        let outer = document["spec"]
            .pointer_mut(outer)
            .and_then(Value::as_object_mut);
        if let Some(outer) = outer {
            outer.entry(name).or_insert(STAND_IN.into());
        }
    }
}

/// Takes out the value at a path such as `spec.topics[0]` or `spec.kafka.properties[a.b]`.
pub(super) fn remove(document: &mut Value, field: &str) {
    let mut steps = steps(field);
    let Some(last) = steps.pop() else { return };
    let mut place = document;
    for step in steps {
        let next = match place {
            Value::Object(map) => map.get_mut(step),
            Value::Array(items) => step
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get_mut(index)),
            _ => None,
        };
        let Some(next) = next else { return };
        place = next;
    }
    match place {
        Value::Object(map) => {
            map.remove(last);
        }
        // The others keep their numbers.
        Value::Array(items) => {
            let item = last
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get_mut(index));
            if let Some(item) = item {
                *item = if item.is_string() {
                    STAND_IN.into()
                } else {
                    Value::Null
                };
            }
        }
        _ => {}
    }
}

fn steps(field: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            steps.push(&inner[..end]);
            rest = inner.get(end + 1..).unwrap_or_default();
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            steps.push(&name[..end]);
            rest = &name[end..];
        }
    }
    steps
}

/// As the API server does: `3.0` is 3.
pub(super) fn write_whole_numbers(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(write_whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers),
        Value::Number(number) if number.is_f64() => {
            let whole = number
                .as_f64()
                .filter(|it| it.fract() == 0.0 && it.abs() < 1e15);
            if let Some(whole) = whole {
                *value = Value::from(whole as i64);
            }
        }
        _ => {}
    }
}

/// As the API server does: a null is as good as not written.
pub(super) fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(strip_nulls);
        }
        _ => {}
    }
}
