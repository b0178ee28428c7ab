//! `drover dlq show`: single dead letters, decoded. Their payload is shown only if asked for.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use base64::Engine as _;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::filter::FilterArgs;
use super::place::PlaceArgs;
use crate::api::KafkaConsumer;
use crate::cli::encryption::keys::KeyArgs;
use crate::cli::encryption::theirs;
use crate::cli::format::Format;
use crate::cli::progress::Reading;
use crate::clock;
use crate::encryption::{Field, Keyring, Pointer};
use crate::kafka::scan::Step;
use crate::plural::noun;
use crate::redrive::filter::Filter;
use crate::redrive::letter::{Letter, Origin};
use crate::redrive::place::{Log, Place};
use crate::redrive::printable;

/// The reason of what nothing says why it failed.
const UNKNOWN: &str = "unknown";

/// One wait for a record before looking around.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `drover dlq show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Show so many at most, the oldest of each partition first
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    limit: u64,
    /// Show keys and payloads too, which may be personal or secret
    #[arg(long)]
    payload: bool,
    /// Show what encrypted payloads hold, as ActiveRecord::Encryption wrote them
    #[arg(long, requires = "payload")]
    decrypt: bool,
    /// Where in the payload the message is; default is the KafkaConsumer's, else the whole of it
    #[arg(long, value_name = "POINTER", requires = "decrypt")]
    pointer: Option<String>,
    /// How to write it
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
    // Last, as what follows a group in `--help` stands below its heading.
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    keys: KeyArgs,
}

/// How payloads are opened.
struct Opener {
    keyring: Keyring,
    pointer: Option<Pointer>,
}

pub(super) async fn run(args: ShowArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        args.decrypt || !args.keys.any(),
        "keys are for --decrypt; add it"
    );
    let (place, consumer) = args.place.resolve().await?;
    let filter = args.filter.filter(clock::now())?;
    let such = if filter.is_all() { "" } else { "such " };
    let opener = args.decrypt.then(|| opener(&args, consumer.as_ref()));
    let opener = opener.transpose()?;
    let topic = place.topic.clone();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let found = super::reading(async {
        let admin = place.reach.admin()?;
        let (log, _) = place.log(&admin).await?;
        tokio::task::spawn_blocking(move || read(&place, &log, &filter, limit)).await?
    });
    let Found { letters, more } = found.await?;
    let shown: Vec<Value> = letters
        .iter()
        .map(|letter| value(letter, args.payload, opener.as_ref()))
        .collect();
    args.output.print(
        || json!({ "topic": topic, "letters": shown, "more": more }),
        || match shown.as_slice() {
            [] => format!("No {such}dead letters in {topic}."),
            shown => {
                let texts = shown.iter().map(|letter| text(&topic, letter));
                let mut texts: Vec<String> = texts.collect();
                if more {
                    texts.push(format!(
                        "There are more {such}dead letters in {topic} than these {}: --limit shows more, drover dlq list counts them.\n",
                        shown.len()
                    ));
                }
                texts.join("\n")
            }
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

fn opener(args: &ShowArgs, consumer: Option<&KafkaConsumer>) -> anyhow::Result<Opener> {
    let theirs = consumer
        .and_then(|consumer| consumer.spec.encryption.as_ref())
        .and_then(|encryption| encryption.active_record.pointer.clone());
    let pointer = match args.pointer.clone().or(theirs) {
        Some(text) => Some(Pointer::parse(&text).ok_or_else(|| {
            anyhow!("--pointer {text} is no JSON pointer; write one such as /data/payload")
        })?),
        None => None,
    };
    Ok(Opener {
        keyring: keyring(args, consumer)?,
        pointer,
    })
}

/// From the command line; else as the KafkaConsumer names them, from where `drover dev` finds them; else from the usual
/// variables.
fn keyring(args: &ShowArgs, consumer: Option<&KafkaConsumer>) -> anyhow::Result<Keyring> {
    let file = &args.place.connection.file;
    let (Some(consumer), Some(file), false) = (consumer, file, args.keys.any()) else {
        return args.keys.keyring(true);
    };
    // Standard input was read already.
    let files: &[_] = match file.as_os_str() == "-" {
        true => &[],
        false => std::slice::from_ref(file),
    };
    match theirs::of(consumer, files) {
        Ok(Some(theirs)) => Ok(theirs.keyring),
        Ok(None) => args.keys.keyring(true),
        Err(why) => args
            .keys
            .keyring(true)
            .map_err(|usual| anyhow!("{why:#}; or {usual:#}")),
    }
}

/// What was found.
struct Found {
    letters: Vec<Letter<'static>>,
    /// There are others that were meant, beyond the limit.
    more: bool,
}

fn read(place: &Place, log: &Log, filter: &Filter, limit: usize) -> anyhow::Result<Found> {
    let ranges = log
        .iter()
        .map(|(&number, range)| (number, filter.within(number, range.clone())));
    let mut scan = place.scan(&ranges.collect())?;
    let mut found = Vec::new();
    let mut reading = Reading::of(&scan);
    // One more than is shown tells whether there are more.
    while found.len() <= limit {
        let step = scan.step(LOOK, |message| {
            let letter = Letter::of(message);
            if filter.matches(&letter) {
                found.push(letter.into_owned());
            }
        });
        if step.map_err(|error| place.cannot_read(&error))? == Step::End {
            break;
        }
        reading.look(&scan);
    }
    let more = found.len() > limit;
    found.truncate(limit);
    found.sort_by_key(|letter| (letter.partition, letter.offset));
    Ok(Found {
        letters: found,
        more,
    })
}

fn value(letter: &Letter<'_>, payload: bool, opener: Option<&Opener>) -> Value {
    let time = |millis: Option<i64>| {
        let at = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
        at.map(|at| at.to_string())
    };
    let origin = |origin: Origin| json!({ "topic": origin.topic, "partition": origin.partition, "offset": origin.offset });
    let headers = letter
        .headers
        .iter()
        .map(|(name, value)| json!({ "name": bytes(name), "value": value.as_deref().map(bytes) }));
    let mut value = json!({
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": time(letter.timestamp),
        "failedAt": time(letter.failed_at()),
        "reason": letter.reason(),
        "errorClass": letter.error_class(),
        "error": letter.error(),
        "attempts": letter.attempts(),
        "status": letter.status(),
        "origin": origin(letter.origin()),
        "firstOrigin": letter.first_origin().map(origin),
        "replays": letter.replays().ok(),
        "keyBytes": letter.key.as_ref().map(|key| key.len()),
        "payloadBytes": letter.value.as_ref().map(|value| value.len()),
        "headers": headers.collect::<Vec<_>>(),
    });
    for (name, by) in letter.by() {
        value[name] = json!(by);
    }
    if payload {
        value["key"] = json!(letter.key.as_deref().map(bytes));
        value["payload"] = json!(letter.value.as_deref().map(bytes));
    }
    if let Some(opener) = opener {
        let opened = letter.value.as_deref().map(|value| opener.open(value));
        match opened {
            None => {}
            Some(Ok(opened)) => value["decrypted"] = bytes(&opened),
            Some(Err(why)) => value["notDecrypted"] = json!(why),
        }
    }
    value
}

impl Opener {
    fn open(&self, value: &[u8]) -> Result<Vec<u8>, String> {
        let failed = |error: crate::encryption::Error| format!("{}: {error}", error.class());
        let message = match &self.pointer {
            None => value.to_vec(),
            Some(pointer) => {
                let field = Field::find(value, pointer).map_err(failed)?;
                let field = field.ok_or("nothing encrypted is where the pointer leads")?;
                field.message.into_bytes()
            }
        };
        let decrypted = self.keyring.decrypt(&message).map_err(failed)?;
        Ok(decrypted.bytes)
    }
}

/// Text as such, other bytes as Base64 with a name.
fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) }),
    }
}

fn text(topic: &str, letter: &Value) -> String {
    let shown = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    };
    let place = |place: &Value| {
        let part = |name: &str| shown(&place[name]);
        format!(
            "{}[{}] offset {}",
            part("topic"),
            part("partition"),
            part("offset")
        )
    };
    let mut text = format!(
        "{topic}[{}] offset {}\n",
        letter["partition"], letter["offset"]
    );
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<12}{value}\n"));
    let class = shown(&letter["errorClass"]);
    if is_a_letter(letter) {
        line("reason", shown(&letter["reason"]));
        let error = shown(&letter["error"]);
        line(
            "error",
            match (letter["errorClass"].is_null(), letter["error"].is_null()) {
                (true, _) => error,
                (false, true) => class,
                (false, false) => format!("{class}: {error}"),
            },
        );
        line("attempts", shown(&letter["attempts"]));
        line("status", shown(&letter["status"]));
        line("failed at", shown(&letter["failedAt"]));
        line("origin", place(&letter["origin"]));
    } else {
        // A record of some other topic, such as one that a handler refuses.
        line("written at", shown(&letter["timestamp"]));
    }
    if !letter["firstOrigin"].is_null() && letter["firstOrigin"] != letter["origin"] {
        line("first", place(&letter["firstOrigin"]));
    }
    for name in ["group", "consumer", "pod"] {
        if !letter[name].is_null() {
            line(name, shown(&letter[name]));
        }
    }
    if is_a_letter(letter) {
        line(
            "replayed",
            match &letter["replays"] {
                Value::Null => "how often cannot be read".to_owned(),
                times => format!(
                    "{times} {}",
                    noun("time", times.as_u64().unwrap_or_default())
                ),
            },
        );
    }
    let size = |name: &str| match &letter[name] {
        Value::Null => "null".to_owned(),
        bytes => format!(
            "{bytes} {}",
            noun("byte", bytes.as_u64().unwrap_or_default())
        ),
    };
    let hidden = letter.get("payload").is_none();
    let aside = |name: &str, bytes: &str| match letter.get(name) {
        Some(value) => shown(value),
        None => size(bytes),
    };
    line("key", aside("key", "keyBytes"));
    let payload = aside("payload", "payloadBytes");
    line(
        "payload",
        if hidden {
            format!("{payload} (--payload shows it)")
        } else {
            payload
        },
    );
    for (name, key) in [("decrypted", "decrypted"), ("not opened", "notDecrypted")] {
        if let Some(value) = letter.get(key) {
            line(name, shown(value));
        }
    }
    for header in letter["headers"].as_array().into_iter().flatten() {
        let name = shown(&header["name"]);
        if !name.starts_with("drover-dlq-") {
            line("header", format!("{name}: {}", shown(&header["value"])));
        }
    }
    text
}

/// Whether anything says why it failed or where it came from.
fn is_a_letter(letter: &Value) -> bool {
    letter["reason"] != UNKNOWN || !letter["origin"]["topic"].is_null() || letter["replays"] != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redrive::letter::tests::letter;

    #[test]
    fn a_payload_is_shown_only_if_asked_for() {
        let mut letter = letter(&[
            ("tenant", "a"),
            ("drover-dlq-reason", "Rejected"),
            ("drover-dlq-error", "boom\u{1b}[2J"),
        ]);
        letter.key = Some(b"hush-key".as_slice().into());
        letter.value = Some(b"hush-value".as_slice().into());
        let hidden = text("dlq", &value(&letter, false, None));
        assert!(!hidden.contains("hush"), "{hidden}");
        assert!(hidden.contains("10 bytes (--payload shows it)"), "{hidden}");
        assert!(
            hidden.contains("tenant: a") && hidden.contains("Rejected"),
            "{hidden}"
        );
        assert!(!hidden.contains('\u{1b}'), "{hidden}");
        let shown = text("dlq", &value(&letter, true, None));
        assert!(
            shown.contains("hush-key") && shown.contains("hush-value"),
            "{shown}"
        );
    }

    #[test]
    fn of_one_byte_and_one_replay_it_speaks_in_the_singular() {
        let mut letter = letter(&[("drover-dlq-reason", "Rejected")]);
        letter.key = Some(b"k".as_slice().into());
        let mut letter = value(&letter, false, None);
        letter["replays"] = json!(1);
        let shown = text("dlq", &letter);
        assert!(
            shown.contains("1 byte\n") && shown.contains("1 time\n"),
            "{shown}"
        );
        letter["replays"] = json!(0);
        let shown = text("dlq", &letter);
        assert!(shown.contains("0 times\n"), "{shown}");
    }

    #[test]
    fn a_record_of_another_topic_is_not_told_to_have_failed() {
        let mut record = letter(&[("tenant", "a")]);
        record.timestamp = Some(0);
        let shown = text("orders", &value(&record, false, None));
        assert!(
            shown.contains("written at  1970-01-01T00:00:00Z"),
            "{shown}"
        );
        for words in ["failed", "origin", "replayed", "unknown"] {
            assert!(!shown.contains(words), "{words}: {shown}");
        }
    }

    #[test]
    fn null_empty_and_binary_are_told_apart() {
        let mut letter = letter(&[]);
        let payload = |letter: &Letter<'_>| value(letter, true, None)["payload"].clone();
        assert_eq!(payload(&letter), Value::Null);
        letter.value = Some(b"".as_slice().into());
        assert_eq!(payload(&letter), json!(""));
        letter.value = Some([0xff, 0x00].as_slice().into());
        assert_eq!(payload(&letter), json!({ "base64": "/wA=" }));
    }
}
