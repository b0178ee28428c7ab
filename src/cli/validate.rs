//! `drover validate`: the controller's checks, offline, all problems of all documents at once.
//!
//! What only a cluster knows (does the Secret exist, does the topic) is not checked here.

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
use crate::fleet::{Problem, check_document, check_replay};
use crate::yaml;

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
    problems: Vec<Problem>,
}

/// What is wrong with all of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    valid: bool,
    documents: Vec<Checked>,
}

pub(super) fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let mut documents = Vec::new();
    // Every file is read before anything is said, so that the answer is whole or an error.
    for file in &args.files {
        let text = read(file)?;
        check_text(&file.display().to_string(), &text, &mut documents);
    }
    let report = Report {
        valid: documents.iter().all(|checked| checked.problems.is_empty()),
        documents,
    };
    output::print(&match args.output {
        Output::Text => text(&report),
        Output::Json => serde_json::to_string_pretty(&report)? + "\n",
    })?;
    Ok(ExitCode::from(u8::from(!report.valid)))
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

fn check_text(file: &str, text: &str, found: &mut Vec<Checked>) {
    let mut some = false;
    for document in yaml::documents(text) {
        some = true;
        match document.value {
            Ok(value) => check_value(file, document.line, &value, found),
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
        problems: vec![Problem {
            field: String::new(),
            reason: reason::UNREADABLE,
            message: message.to_owned(),
            may_heal: false,
        }],
    }
}

fn check_value(file: &str, line: usize, value: &Value, found: &mut Vec<Checked>) {
    // `kubectl get -o yaml` gives a list.
    if value["kind"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("List"))
        && value["items"].is_array()
    {
        for item in value["items"].as_array().into_iter().flatten() {
            check_value(file, line, item, found);
        }
        return;
    }
    let skipped = is_of_another_group(value);
    found.push(Checked {
        file: file.to_owned(),
        line,
        skipped,
        name: name(value),
        problems: if skipped {
            Vec::new()
        } else {
            match value["kind"] == "DeadLetterReplay" {
                true => check_replay(value),
                false => check_document(value),
            }
        },
    });
}

/// A Deployment in the same file is none of our business; a misspelt KafkaConsumer is.
fn is_of_another_group(value: &Value) -> bool {
    let group = value["apiVersion"].as_str().unwrap_or_default();
    !group.is_empty() && !group.starts_with("drover.dev/") && value["kind"] != "KafkaConsumer"
}

fn name(value: &Value) -> String {
    let part = |name: &str| value["metadata"][name].as_str().unwrap_or_default();
    match (part("namespace"), part("name")) {
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for checked in &report.documents {
        let kind = if checked.name.is_empty() {
            String::new()
        } else {
            format!(" {}", checked.name)
        };
        let head = format!("{}:{}{kind}", checked.file, checked.line);
        if checked.skipped {
            out += &format!("{head}: not a resource of Drover, skipped\n");
        } else if checked.problems.is_empty() {
            out += &format!("{head}: valid\n");
        }
        for problem in &checked.problems {
            out += &format!("{head}: {}: {}\n", problem.reason, problem.message);
        }
    }
    let problems: usize = report
        .documents
        .iter()
        .map(|checked| checked.problems.len())
        .sum();
    if problems > 0 {
        let plural = if problems == 1 { "" } else { "s" };
        out += &format!("{problems} problem{plural}\n");
    }
    out
}
