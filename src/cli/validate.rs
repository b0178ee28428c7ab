//! `drover validate`: the controller's checks, offline, all problems of all documents at once.
//!
//! What only a cluster knows (does the Secret exist, does the topic) is not checked here; but a Secret or ConfigMap
//! that stands in one of the files is looked into.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;

use super::output;
use crate::api::names::reason;
use crate::fleet::{
    Contents, Known, Problem, References, Unused, check_document_with, check_replay,
    unused_of_document,
};
use crate::plural::noun;
use crate::yaml::{self, Place, Places};

/// Arguments of `drover validate`.
#[derive(Args, Clone, Debug)]
pub struct ValidateArgs {
    /// Files of YAML or JSON with one or more documents; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How to write what is found
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How problems are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What is wrong with one document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    file: String,
    /// The line on which the document begins.
    line: usize,
    /// Its kind is another one; it was not checked.
    skipped: bool,
    /// `namespace/name`, as far as it is written.
    name: String,
    problems: Vec<Placed<Problem>>,
    /// What is right, and has no effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Placed<Unused>>,
}

/// A problem or a note, and where its field stands, or would stand.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Placed<T> {
    #[serde(flatten)]
    told: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

impl<T> Placed<T> {
    fn at(told: T, place: Option<Place>) -> Self {
        Self {
            told,
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
        }
    }
}

impl Checked {
    /// What a line about it begins with; without a place the one of the document stands.
    fn head<T>(&self, at: Option<&Placed<T>>) -> String {
        let named = match self.name.as_str() {
            "" => String::new(),
            name => format!(" {name}"),
        };
        let file = &self.file;
        match at.and_then(|at| at.line.zip(at.column)) {
            Some((line, column)) => format!("{file}:{line}:{column}{named}"),
            None => format!("{file}:{}{named}", self.line),
        }
    }
}

/// Where a document stands.
#[derive(Clone, Copy)]
struct Origin<'a> {
    file: &'a str,
    line: usize,
    places: &'a Places,
}

impl Origin<'_> {
    fn place(&self, within: &str, field: &str) -> Option<Place> {
        self.places.find(&format!("{within}{field}"))
    }
}

/// A file that cannot be read, and why.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Unread {
    file: String,
    message: String,
}

/// What is wrong with all of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    valid: bool,
    documents: Vec<Checked>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<Unread>,
}

pub(super) fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let mut texts = Vec::new();
    let mut unread = Vec::new();
    for file in &args.files {
        let shown = file.display().to_string();
        match read(file) {
            Ok(text) => texts.push((shown, text)),
            // It hides nothing of the others.
            Err(error) => {
                eprintln!("{}", output::error_line(&error));
                unread.push(Unread {
                    file: shown,
                    message: format!("{error:#}"),
                });
            }
        }
    }
    let beside = Beside::of(texts.iter().map(|(_, text)| text.as_str()));
    let mut documents = Vec::new();
    for (file, text) in &texts {
        check_text(file, text, &beside, &mut documents);
    }
    let report = Report {
        valid: unread.is_empty() && documents.iter().all(|checked| checked.problems.is_empty()),
        documents,
        unread,
    };
    output::print(&match args.output {
        Output::Text => text(&report),
        Output::Json => serde_json::to_string_pretty(&report)? + "\n",
    })?;
    Ok(ExitCode::from(match &report {
        Report { unread, .. } if !unread.is_empty() => 2,
        Report { valid, .. } => u8::from(!valid),
    }))
}

pub(super) fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("read standard input; it must be UTF-8 text")?;
        return Ok(text);
    }
    fs::read_to_string(file)
        .with_context(|| format!("read {}; give a file of YAML or JSON", file.display()))
}

fn check_text(file: &str, text: &str, beside: &Beside, found: &mut Vec<Checked>) {
    let mut some = false;
    for document in yaml::documents(text) {
        some = true;
        match document.value {
            Ok(value) => {
                let origin = Origin {
                    file,
                    line: document.line,
                    places: &document.places,
                };
                check_value(origin, "", &value, beside, found);
            }
            Err(error) => found.push(unreadable(
                file,
                document.line,
                &format!("the document cannot be read: {error}; correct its YAML"),
            )),
        }
    }
    if !some {
        found.push(unreadable(
            file,
            1,
            "there is no document; write a KafkaConsumer",
        ));
    }
}

fn unreadable(file: &str, line: usize, message: &str) -> Checked {
    Checked {
        file: file.to_owned(),
        line,
        skipped: false,
        name: String::new(),
        problems: vec![Placed::at(
            Problem {
                field: String::new(),
                reason: reason::UNREADABLE,
                message: message.to_owned(),
                may_heal: false,
            },
            None,
        )],
        notes: Vec::new(),
    }
}

/// `within` is where in its document the value stands, with a dot at its end.
fn check_value(
    origin: Origin<'_>,
    within: &str,
    value: &Value,
    beside: &Beside,
    found: &mut Vec<Checked>,
) {
    if let Some(items) = listed(value) {
        for (index, item) in items.iter().enumerate() {
            let within = format!("{within}items[{index}].");
            check_value(origin, &within, item, beside, found);
        }
        return;
    }
    let skipped = is_of_another_group(value);
    let problems = match value["kind"] == "DeadLetterReplay" {
        _ if skipped => Vec::new(),
        true => check_replay(value),
        false => check_document_with(value, beside.of_namespace(value)),
    };
    // Of what is wrong nobody knows what it was meant to do.
    let notes = match skipped || !problems.is_empty() {
        true => Vec::new(),
        false => unused_of_document(value),
    };
    let problem = |told: Problem| {
        let place = origin.place(within, &told.field);
        Placed::at(told, place)
    };
    let note = |told: Unused| {
        let place = origin.place(within, told.field);
        Placed::at(told, place)
    };
    let mut problems: Vec<_> = problems.into_iter().map(problem).collect();
    problems.sort_by_key(|placed| (placed.line, placed.column));
    let mut notes: Vec<_> = notes.into_iter().map(note).collect();
    notes.sort_by_key(|placed| (placed.line, placed.column));
    found.push(Checked {
        file: origin.file.to_owned(),
        line: origin.line,
        skipped,
        name: name(value),
        problems,
        notes,
    });
}

/// What is in a list, as `kubectl get -o yaml` gives one.
pub(super) fn listed(value: &Value) -> Option<&Vec<Value>> {
    let kind = value["kind"].as_str()?;
    kind.ends_with("List").then(|| value["items"].as_array())?
}

/// The Secrets and ConfigMaps among the documents, by namespace. None of their values is kept.
#[derive(Default)]
struct Beside {
    namespaces: BTreeMap<String, References>,
    nothing: References,
}

impl Beside {
    fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut beside = Self::default();
        for document in texts.flat_map(yaml::documents) {
            // What cannot be read is said where it is checked.
            if let Ok(value) = document.value {
                beside.take(&value);
            }
        }
        beside
    }

    fn take(&mut self, value: &Value) {
        listed(value)
            .into_iter()
            .flatten()
            .for_each(|item| self.take(item));
        let is_secret = match (value["apiVersion"].as_str(), value["kind"].as_str()) {
            (Some("v1"), Some("Secret")) => true,
            (Some("v1"), Some("ConfigMap")) => false,
            _ => return,
        };
        let parts = ["data", "stringData", "binaryData"];
        let entries = parts.iter().filter_map(|part| value[part].as_object());
        let keys = entries.flat_map(|entries| entries.keys());
        let contents = Contents::of(keys.map(|key| (key.as_str(), &b""[..])));
        let references = self.namespaces.entry(namespace(value)).or_default();
        let kind = match is_secret {
            true => &mut references.secrets,
            false => &mut references.config_maps,
        };
        let name = value["metadata"]["name"].as_str().unwrap_or_default();
        kind.insert(name.to_owned(), Known::Found(contents));
    }

    /// What is known to a resource of this namespace.
    fn of_namespace(&self, value: &Value) -> &References {
        let known = self.namespaces.get(&namespace(value));
        known.unwrap_or(&self.nothing)
    }
}

fn namespace(value: &Value) -> String {
    let namespace = value["metadata"]["namespace"].as_str();
    namespace.unwrap_or_default().to_owned()
}

/// A Deployment in the same file is none of our business; a misspelt KafkaConsumer is.
fn is_of_another_group(value: &Value) -> bool {
    let group = value["apiVersion"].as_str().unwrap_or_default();
    !group.is_empty() && !group.starts_with("drover.dev/") && value["kind"] != "KafkaConsumer"
}

fn name(value: &Value) -> String {
    let part = |name: &str| value["metadata"][name].as_str().unwrap_or_default();
    let name = match (part("namespace"), part("name")) {
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    // Nothing that a file holds moves the terminal.
    let shown = name.chars().map(|c| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    shown.collect()
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for checked in &report.documents {
        let head = checked.head::<Problem>(None);
        if checked.skipped {
            out += &format!("{head}: not a resource of Drover, skipped\n");
        } else if checked.problems.is_empty() {
            out += &format!("{head}: valid\n");
        }
        for placed in &checked.problems {
            let Problem {
                reason, message, ..
            } = &placed.told;
            out += &format!("{}: {reason}: {message}\n", checked.head(Some(placed)));
        }
        for placed in &checked.notes {
            out += &format!(
                "{}: note: {}\n",
                checked.head(Some(placed)),
                placed.told.message
            );
        }
    }
    let problems: usize = report
        .documents
        .iter()
        .map(|checked| checked.problems.len())
        .sum();
    if problems > 0 {
        out += &format!("{problems} {}\n", noun("problem", problems));
    }
    out
}
