//! News as lines for people. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Broken, Content, Encrypts, Failed, News, Place, Summary};
use crate::api::Span;
use crate::plural::noun;
use crate::worker::delivery::answer::class;

/// The most characters of a key, or of a value, in a line.
const SHOWN: usize = 100;

impl News {
    /// For people; without a line's end, and without anything that a terminal would obey.
    pub fn text(&self) -> String {
        match self {
            Self::Begins {
                consumer,
                brokers,
                embedded,
                topics,
                group,
                handler,
                dead_letters,
                encrypts,
            } => {
                let kind = if *embedded { "embedded Kafka" } else { "Kafka" };
                let mut text = format!(
                    "{consumer}: {kind} at {brokers}, group {group}\n  {} -> {handler}",
                    topics.join(", ")
                );
                if let Some(topic) = dead_letters {
                    let _ = write!(text, ", dead letters to {topic}");
                }
                if let (true, Some(topic)) = (embedded, topics.first()) {
                    let pointer = encrypts.as_ref().and_then(|how| how.pointer.as_deref());
                    let _ = write!(
                        text,
                        "\n  feed it: drover produce --bootstrap {brokers} --topic {topic} --key k{} {}",
                        encrypts
                            .as_ref()
                            .map_or_else(String::new, Encrypts::options),
                        shell_word(&example(pointer))
                    );
                }
                text
            }
            Self::GroupBegins { group, offsets } => {
                let offsets: Vec<_> = offsets.iter().map(|(p, o)| format!("{p}@{o}")).collect();
                format!("group {group} is new and begins at {}", offsets.join(" "))
            }
            Self::Assigned { partitions } => {
                format!("ready: reads {}", partitions.join(" "))
            }
            Self::GivenBack { partitions } => format!("given back: {}", partitions.join(" ")),
            Self::Record {
                place,
                attempt,
                content,
            } => match content {
                Some(content) => format!("{place}  {}", shown(content)),
                None => format!("{place}  again, attempt {attempt}"),
            },
            Self::Answer {
                place,
                attempt,
                attempts,
                outcome,
                took_ms,
                again_in_ms,
                failure,
            } => {
                let again = match *outcome {
                    "retry" | "slowDown" => again_in_ms.as_ref().map(again),
                    _ => None,
                };
                let comma = if *outcome == "slowDown" { "," } else { "" };
                let again = again.map_or_else(String::new, |again| format!("{comma}{again}"));
                let class = failure.as_ref().map_or("", |why| why.class);
                let what = match *outcome {
                    "done" => "done",
                    "skip" => "skipped, as the handler wishes",
                    "duplicate" => "handled before, passed over",
                    "cancelled" => "cancelled, comes again",
                    "retry" if attempt < attempts => match again_in_ms {
                        Some(_) => "failed, is tried",
                        None => "failed, is tried again",
                    },
                    "retry" => "failed for the last time",
                    "reject" => "rejected",
                    "slowDown" if class == class::CONNECT => "waits: the handler cannot be reached",
                    "slowDown" if class == class::START => "waits: the command does not run",
                    "slowDown" => "waits: the handler asks for less",
                    "misconfigured" => "the handler is misconfigured",
                    "notYet" => "cannot be delivered yet",
                    "postponed" => "not its turn yet",
                    _ => "cannot be delivered",
                };
                let count = match *outcome {
                    "retry" => format!(", attempt {attempt} of {attempts}"),
                    _ => String::new(),
                };
                let why = failure.as_ref().map(|why| format!(": {}", why.words()));
                let why = why.unwrap_or_default();
                format!("{place}  {what}{again} ({took_ms} ms{count}){why}")
            }
            Self::DeadLetter {
                place,
                dead_letter_topic,
                reason,
                attempts,
                failure,
            } => format!(
                "{place}  dead letter in {dead_letter_topic}: {reason} after {}: {}",
                several((*attempts).into(), "attempt"),
                failure.words()
            ),
            Self::DeadLetterRefused { place, error } => {
                format!("{place}  the dead letter was not taken, tried again: {error}")
            }
            Self::PassedOver { place, failure } => {
                format!(
                    "{place}  skipped after its last attempt: {}",
                    failure.words()
                )
            }
            Self::Stalled {
                place,
                attempts,
                failure,
            } => {
                let after = match attempts {
                    0 => "which costs it no attempt".to_owned(),
                    some => format!("after {}", several((*some).into(), "attempt")),
                };
                format!(
                    "{place}  STALLED, {after}; what must wait for it waits: {}",
                    failure.words()
                )
            }
            Self::Unstalled { place } => format!("{place}  no longer stalled"),
            Self::Breaker { open: true, why } => {
                let why = why.as_ref().map_or_else(String::new, |why| {
                    let Broken { bad, of, failure } = why;
                    format!(" ({bad} of {of}, the last with {})", failure.words())
                });
                format!(
                    "the breaker is open: too many records would be dead-lettered{why}, so none is, and records are tried one at a time until the handler takes them; those not tried yet wait as well"
                )
            }
            Self::Breaker { open: false, .. } => {
                "the breaker is closed: the handler takes records again, and what fails is dead-lettered"
                    .to_owned()
            }
            Self::FileGone { file } => format!(
                "{file} is gone or cannot be read: the worker goes on as it was, and begins anew when it is back and says something else"
            ),
            Self::FileAsBefore { file } => {
                format!("{file} says again what runs: the worker goes on")
            }
            Self::NotReloaded { problem } => {
                format!(
                    "the file has changed and cannot be run; the worker goes on as it was: {problem}"
                )
            }
            Self::Draining { to_reload: true } => {
                "the file has changed: finishing what is in flight, then the worker begins anew"
                    .to_owned()
            }
            Self::Draining { to_reload: false } => {
                "finishing what is in flight; Ctrl-C again ends at once".to_owned()
            }
            Self::Summary(summary) => summary.text(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}@{}", self.topic, self.partition, self.offset)
    }
}

impl Failed {
    fn words(&self) -> String {
        format!("{}: {}", self.class, tame(&self.message))
    }
}

impl Summary {
    fn text(&self) -> String {
        let mut text = format!("{}: {} done", several(self.records, "record"), self.done);
        for (count, what) in [
            (self.dead_lettered, "dead-lettered"),
            (self.skipped, "skipped"),
            (self.duplicates, "handled before"),
            (self.unfinished, "not finished, and so not committed"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        let failed = several(self.failed_attempts, "failed attempt");
        let _ = write!(text, "; {failed}");
        if self.slow_downs > 0 {
            let _ = write!(text, ", {} times asked for less", self.slow_downs);
        }
        for place in &self.stalled {
            let _ = write!(text, "\n  stalled: {place}");
        }
        text
    }
}

impl Encrypts {
    /// Of `drover produce`.
    fn options(&self) -> String {
        let mut options = format!(" --encrypt-for {}", shell_word(&self.file));
        for file in &self.secrets {
            let _ = write!(options, " --secrets {}", shell_word(file));
        }
        options
    }
}

/// A value that has something where the pointer leads.
fn example(pointer: Option<&str>) -> String {
    let mut value = r#"{"id":1}"#.to_owned();
    for token in pointer
        .unwrap_or_default()
        .split('/')
        .skip(1)
        .collect::<Vec<_>>()
        .iter()
        .rev()
    {
        let name = token.replace("~1", "/").replace("~0", "~");
        value = format!("{{{}:{value}}}", serde_json::Value::from(name));
    }
    value
}

/// ` again in 1h`.
fn again(&ms: &u64) -> String {
    // Of more than a second nobody counts the milliseconds.
    let ms = if ms < 1000 {
        ms
    } else {
        (ms + 500) / 1000 * 1000
    };
    format!(" again in {}", Span::millis(ms))
}

/// `1 record`, `2 records`.
fn several(count: u64, what: &str) -> String {
    format!("{count} {}", noun(what, count))
}

fn shown(content: &Content) -> String {
    let mut text = String::new();
    if let Some(key) = &content.key {
        let (begin, is_all) = beginning(key);
        let _ = match content.key_bytes.filter(|_| !is_all) {
            Some(bytes) => write!(text, "key {begin} ({bytes} bytes)  "),
            None => write!(text, "key {begin}  "),
        };
    }
    match (&content.value, content.bytes) {
        (_, None) => text.push_str("tombstone"),
        (Some(value), Some(_)) if !content.base64 => text.push_str(&beginning(value).0),
        (_, Some(bytes)) => {
            let _ = write!(text, "{bytes} bytes");
        }
    }
    text
}

/// As much of a text as a line shows, and whether that is all of it.
fn beginning(text: &str) -> (String, bool) {
    let mut characters = text.chars();
    let begin: String = characters.by_ref().take(SHOWN).collect();
    let is_all = characters.next().is_none();
    let dots = if is_all { "" } else { "…" };
    (format!("{}{dots}", tame(&begin)), is_all)
}

/// What a terminal would obey, as it is written in programs.
fn tame(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            tamed.extend(c.escape_default());
        } else {
            tamed.push(c);
        }
    }
    tamed
}

/// `text` as one word of a command in a shell.
fn shell_word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', r"'\''")).into()
}

#[cfg(test)]
mod tests;
