//! `drover convert`: from the manifests of KEDA and Knative, or a plain Deployment, to the KafkaConsumer that replaces
//! them.
//!
//! Offline. What cannot be carried is told on standard error, a line each. No value of a Secret is ever written.

mod attempt;
mod beside;
mod converter;
mod deployment;
mod draft;
mod environment;
mod input;
mod keda;
mod knative;
mod notes;
mod ordered;
mod security;
mod template;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::converter::{Consumer, Outcome, convert};
use self::draft::Draft;
use self::input::{Input, Object};
use self::notes::Note;
use self::ordered::Ordered;
use super::output;
use super::validate::{listed, read};
use crate::api::Span;
use crate::plural::noun;
use crate::yaml::{self, Places};

/// Arguments of `drover convert`.
#[derive(Args, Clone, Debug)]
pub struct ConvertArgs {
    /// Files of YAML or JSON, or folders of them, with ScaledObjects, KafkaSources, Deployments and what they name; - is standard input
    #[arg(long = "file", short = 'f', value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// A topic, where the input names none; several with commas, or given again
    #[arg(long, value_name = "TOPIC", value_delimiter = ',')]
    topic: Vec<String>,
    /// The consumer group, where the input names none
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Brokers to begin with, where the input names none
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: Option<String>,
    /// How long a record may wait, from 1s to 24h: scaling.maxDelay. Default: 60s, with a comment that it is a guess
    #[arg(long, value_name = "DURATION", value_parser = max_delay)]
    max_delay: Option<Span>,
    /// Write scaling.mode Recommend, which says what it would do and changes no size
    #[arg(long)]
    recommend: bool,
    /// How the password is proved, where that stands in a Secret which the input does not have
    #[arg(long, value_enum, value_name = "MECHANISM")]
    sasl_mechanism: Option<Mechanism>,
    /// The user, where the name stands in a Secret
    #[arg(long, value_name = "NAME")]
    sasl_username: Option<String>,
    /// How to write the KafkaConsumers
    #[arg(long, short, value_enum, default_value_t = Output::Yaml)]
    output: Output,
}

/// How KafkaConsumers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Documents with comments.
    Yaml,
    /// A List, as kubectl takes it.
    Json,
}

/// SASL mechanisms that go with a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mechanism {
    /// PLAIN.
    Plain,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "Plain",
            Self::ScramSha256 => "ScramSha256",
            Self::ScramSha512 => "ScramSha512",
        }
    }
}

fn max_delay(text: &str) -> Result<Span, String> {
    let span = text.parse::<Span>().map_err(|error| error.to_string())?;
    let within = Span::secs(1) <= span && span <= Span::secs(86_400);
    within
        .then_some(span)
        .ok_or_else(|| "it must be between 1s and 24h".to_owned())
}

/// What is promised where nobody chose.
const MAX_DELAY: &str = "60s";

/// What somebody says beside the input. Where the input says it, that counts.
#[derive(Clone, Debug, Default)]
struct Wishes {
    bootstrap: Option<String>,
    topics: Vec<String>,
    group: Option<String>,
    max_delay: Option<Span>,
    recommend: bool,
    sasl_mechanism: Option<&'static str>,
    sasl_username: Option<String>,
}

impl Wishes {
    /// They say what a plain Deployment consumes.
    fn name_a_source(&self) -> bool {
        self.bootstrap.is_some() || self.group.is_some() || !self.topics.is_empty()
    }

    /// For a Deployment beside what names its own source: flags are for that.
    fn beside_others(&self) -> Self {
        Self {
            bootstrap: None,
            topics: Vec::new(),
            group: None,
            ..self.clone()
        }
    }

    /// What every KafkaConsumer gets of them.
    fn write(&self, draft: &mut Draft) {
        let max_delay = self.max_delay.map(|delay| delay.to_string());
        let max_delay = max_delay.unwrap_or_else(|| MAX_DELAY.to_owned());
        draft.set("scaling.maxDelay", max_delay, None);
        if self.max_delay.is_none() {
            draft.remark("maxDelay, how long a record may wait, is a guess: nothing there says it. Choose yours.");
        }
        if self.recommend {
            draft.set("scaling.mode", "Recommend", None);
            draft.remark("mode Recommend says what it would do and changes no size; take the line away when you trust it.");
        }
    }
}

/// Where an object stands.
#[derive(Debug)]
struct Place<'a> {
    file: &'a str,
    line: usize,
    places: &'a Places,
    /// Where in its document, with a dot at its end.
    within: String,
}

pub(super) fn run(args: &ConvertArgs) -> anyhow::Result<ExitCode> {
    let mut texts = Vec::new();
    for file in files(&args.files)? {
        texts.push((file.display().to_string(), read(&file)?));
    }
    let documents: Vec<_> = texts
        .iter()
        .flat_map(|(file, text)| {
            yaml::documents(text)
                .into_iter()
                .map(move |document| (file, document))
        })
        .collect();
    let (mut input, mut places) = (Input::default(), Vec::new());
    let mut lines = Vec::new();
    for (file, document) in &documents {
        let place = Place {
            file,
            line: document.line,
            places: &document.places,
            within: String::new(),
        };
        match &document.value {
            Ok(value) => take(value, place, &mut input, &mut places, &mut lines),
            Err(error) => lines.push(unreadable(&place, error)),
        }
    }
    let is_whole = lines.is_empty();
    let wishes = args.wishes();
    let outcome = convert(&input, &wishes);
    output::print(&written(&outcome.consumers, args.output)?)?;
    lines.extend(outcome.notes.iter().map(|note| line(note, &input, &places)));
    lines.push(summary(&outcome, is_whole));
    eprintln!("{}", lines.join("\n"));
    let failed = outcome.notes.iter().any(|note| note.verdict.is_failure());
    let done = is_whole && !failed && !outcome.consumers.is_empty();
    Ok(ExitCode::from(u8::from(!done)))
}

impl ConvertArgs {
    fn wishes(&self) -> Wishes {
        Wishes {
            bootstrap: self.bootstrap.clone(),
            topics: self.topic.clone(),
            group: self.group.clone(),
            max_delay: self.max_delay,
            recommend: self.recommend,
            sasl_mechanism: self.sasl_mechanism.map(Mechanism::name),
            sasl_username: self.sasl_username.clone(),
        }
    }
}

/// Files as they are; of a folder those that kubectl would take, by their names.
fn files(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut within =
            folder(path).with_context(|| format!("read the folder {}", path.display()))?;
        ensure!(
            !within.is_empty(),
            "there is no file in {} that ends with .yaml, .yml or .json; name the files, or another folder",
            path.display()
        );
        files.append(&mut within);
    }
    Ok(files)
}

fn folder(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Objects of a document, those of a list among them.
fn take<'a>(
    value: &Value,
    place: Place<'a>,
    input: &mut Input,
    places: &mut Vec<Place<'a>>,
    lines: &mut Vec<String>,
) {
    if let Some(items) = listed(value) {
        for (index, item) in items.iter().enumerate() {
            let within = format!("{}items[{index}].", place.within);
            take(item, Place { within, ..place }, input, places, lines);
        }
        return;
    }
    match Object::of(value.clone()) {
        Some(object) => {
            input.0.push(object);
            places.push(place);
        }
        None => lines.push(unreadable(&place, "it has no apiVersion and kind")),
    }
}

fn unreadable(place: &Place<'_>, why: &str) -> String {
    format!(
        "{}:{}: Unreadable: the document cannot be read: {why}; correct it, or leave it out",
        place.file, place.line
    )
}

/// As `drover validate` tells a problem: where, of what, which kind, what and what to do.
fn line(note: &Note, input: &Input, places: &[Place<'_>]) -> String {
    let Some(spot) = &note.spot else {
        return shown(&format!("{}: {}", note.verdict.word(), note.text));
    };
    let (object, place) = (&input.0[spot.object], &places[spot.object]);
    let at = match place
        .places
        .find(&format!("{}{}", place.within, spot.field))
    {
        Some((line, column)) if !spot.field.is_empty() => format!("{}:{line}:{column}", place.file),
        _ => format!("{}:{}", place.file, place.line),
    };
    // Of a template's field the message says the name already.
    let field = match spot.field.as_str() {
        "" => String::new(),
        field if note.text.starts_with(field) => String::new(),
        field => format!("{field}: "),
    };
    shown(&format!(
        "{at} {}: {}: {field}{}",
        object.called(),
        note.verdict.word(),
        note.text
    ))
}

/// Nothing that a file holds moves the terminal.
fn shown(text: &str) -> String {
    let shown = text.chars().map(|c| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    shown.collect()
}

/// `is_whole`: every document could be read.
fn summary(outcome: &Outcome, is_whole: bool) -> String {
    let written = outcome.consumers.len();
    let mut text = match written {
        0 => "nothing is written".to_owned(),
        _ => format!("{written} {} written", noun("KafkaConsumer", written)),
    };
    let passed: usize = outcome.passed_over.values().sum();
    if passed > 0 {
        let kinds: Vec<String> = outcome.passed_over.keys().map(|kind| shown(kind)).collect();
        text += &format!(
            "; {passed} {} of other kinds passed over ({})",
            noun("object", passed),
            kinds.join(", ")
        );
    }
    if written == 0 && is_whole && outcome.notes.is_empty() {
        text += ": there is no ScaledObject, no KafkaSource and no Deployment that consumes; give the files that have them";
    }
    text
}

fn written(consumers: &[Consumer], output: Output) -> anyhow::Result<String> {
    if output == Output::Json {
        let items: Vec<&Value> = consumers
            .iter()
            .map(|consumer| &consumer.document)
            .collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        return Ok(serde_json::to_string_pretty(&Ordered(&list))? + "\n");
    }
    let mut documents = Vec::new();
    for consumer in consumers {
        let head = consumer
            .head
            .iter()
            .map(|line| format!("# {}\n", shown(line)));
        let body = yaml::to_string(&Ordered(&consumer.document)).map_err(|error| anyhow!(error))?;
        documents.push(format!("{}{}\n", head.collect::<String>(), body.trim_end()));
    }
    Ok(documents.join("---\n"))
}
