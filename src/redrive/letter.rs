//! A record of a dead-letter topic, and what its headers say of why it is there. Pure.
//!
//! Reads what Drover writes (`docs/http-handler.md`), and what Spring for Apache Kafka and Kafka
//! Connect write: by their names, with numbers as text or in their own binary form.

use std::borrow::Cow;

use crate::kafka::Message;

/// What the names of Drover's headers begin with.
pub const DROVER: &str = "drover-dlq-";
/// Those that say where a record was first read.
pub const DROVER_ORIGIN: &str = "drover-dlq-origin-";
/// What the names of Spring's headers begin with: those of its dead-letter recoverer, and, without `dlt-`, those of
/// its retry topics.
const SPRING: [&str; 2] = ["kafka_dlt-", "kafka_"];
/// What follows: where a record was first read,
const SPRING_ORIGIN: &str = "original-";
/// and why it is here: its listener failed, or its value or key could not be read.
const SPRING_WHY: [&str; 3] = ["exception-", "value-exception-", "key-exception-"];
/// What Spring's retry topics count with.
const SPRING_RETRIES: &str = "retry_topic-";
/// What the names of Connect's headers begin with.
pub const CONNECT: &str = "__connect.errors.";
/// How often a record was replayed.
pub const REPLAYS: &str = "drover-redrive-count";
/// Which replay did it last.
pub const REPLAY: &str = "drover-redrive-id";

/// Why Drover dead-letters; the first word of its sentence in other tools' headers.
const REASONS: [&str; 5] = [
    "AttemptsExhausted",
    "Rejected",
    "DecryptionFailed",
    "NotJson",
    "WorkerKilled",
];

/// A header, whose name need not be text; None is Kafka's null.
pub type Header<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

/// A record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Letter<'a> {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    pub key: Option<Cow<'a, [u8]>>,
    pub value: Option<Cow<'a, [u8]>>,
    pub headers: Vec<Header<'a>>,
}

/// Whose names the headers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Drover,
    Spring,
    KafkaConnect,
}

/// Where a record came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub topic: Option<String>,
    pub partition: Option<i64>,
    pub offset: Option<i64>,
}

impl<'a> Letter<'a> {
    /// A record, in the client's memory.
    pub fn of(message: &Message<'a>) -> Self {
        let mut headers = Vec::new();
        message.each_header(|name, value| {
            headers.push((Cow::Borrowed(name), value.map(Cow::Borrowed)));
        });
        Self {
            partition: message.partition(),
            offset: message.offset().0,
            timestamp: message.timestamp(),
            key: message.key().map(Cow::Borrowed),
            value: message.value().map(Cow::Borrowed),
            headers,
        }
    }

    /// A copy that outlives the client's.
    pub fn into_owned(self) -> Letter<'static> {
        let owned = |bytes: Cow<'_, [u8]>| Cow::Owned(bytes.into_owned());
        let headers = self.headers.into_iter();
        let headers = headers.map(|(name, value)| (owned(name), value.map(owned)));
        Letter {
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.map(owned),
            value: self.value.map(owned),
            headers: headers.collect(),
        }
    }

    /// The value of the last header of that name, as Kafka's own clients give it.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let name = name.as_bytes();
        let mut named = self.headers.iter().rev().filter(|(n, _)| **n == *name);
        named.next()?.1.as_deref()
    }

    fn text(&self, prefix: &str, name: &str) -> Option<Cow<'_, str>> {
        let wanted = |n: &[u8]| n.strip_prefix(prefix.as_bytes()) == Some(name.as_bytes());
        let mut named = self.headers.iter().rev().filter(|(n, _)| wanted(n));
        Some(String::from_utf8_lossy(named.next()?.1.as_deref()?))
    }

    fn number(&self, prefix: &str, name: &str) -> Option<i64> {
        let wanted = |n: &[u8]| n.strip_prefix(prefix.as_bytes()) == Some(name.as_bytes());
        let mut named = self.headers.iter().rev().filter(|(n, _)| wanted(n));
        number(named.next()?.1.as_deref()?)
    }

    /// The last of Spring's headers of that name.
    fn spring(&self, name: &str) -> Option<Cow<'_, str>> {
        Some(String::from_utf8_lossy(self.spring_bytes(name)?))
    }

    fn spring_bytes(&self, name: &str) -> Option<&[u8]> {
        let mut named = self
            .headers
            .iter()
            .rev()
            .filter(|(n, _)| spring(n) == Some(name.as_bytes()));
        named.next()?.1.as_deref()
    }

    /// One of the two is there: why the listener failed, or why the key could not be read.
    fn spring_why(&self, what: &str) -> Option<Cow<'_, str>> {
        let mut kinds = SPRING_WHY.into_iter();
        kinds.find_map(|kind| self.spring(&format!("{kind}{what}")))
    }

    /// The style of the newest headers; None where none of them is known.
    pub fn style(&self) -> Option<Style> {
        self.headers.iter().rev().find_map(|(name, _)| {
            if begins(name, DROVER) && !begins(name, DROVER_ORIGIN) {
                Some(Style::Drover)
            } else if spring(name).is_some() {
                Some(Style::Spring)
            } else if begins(name, CONNECT) {
                Some(Style::KafkaConnect)
            } else {
                None
            }
        })
    }

    /// Why it is here, in a word: Drover's reason, or the other tool's class of error.
    pub fn reason(&self) -> Cow<'_, str> {
        let unknown = Cow::Borrowed("unknown");
        match self.style() {
            None => unknown,
            Some(Style::Drover) => self.text(DROVER, "reason").unwrap_or(unknown),
            Some(_) => match self.sentence() {
                Some(Sentence { reason, .. }) => Cow::Borrowed(reason),
                None => self.error_class().unwrap_or(unknown),
            },
        }
    }

    /// The class of the last error.
    pub fn error_class(&self) -> Option<Cow<'_, str>> {
        match self.style()? {
            Style::Drover => self.text(DROVER, "error-class"),
            Style::Spring => self
                .spring_why("cause-fqcn")
                .or_else(|| self.spring_why("fqcn")),
            Style::KafkaConnect => self.text(CONNECT, "exception.class.name"),
        }
    }

    /// The last error in words.
    pub fn error(&self) -> Option<Cow<'_, str>> {
        if let Some(Sentence { error, .. }) = self.sentence() {
            return Some(Cow::Owned(error));
        }
        match self.style()? {
            Style::Drover => self.text(DROVER, "error"),
            Style::Spring => self.spring_why("message"),
            Style::KafkaConnect => self.text(CONNECT, "exception.message"),
        }
    }

    /// How often it was tried.
    pub fn attempts(&self) -> Option<i64> {
        match self.style()? {
            Style::Drover => self.number(DROVER, "attempts"),
            Style::Spring | Style::KafkaConnect => self.sentence().map(|said| said.attempts),
        }
    }

    /// The handler's status.
    pub fn status(&self) -> Option<i64> {
        match self.style()? {
            Style::Drover => self.number(DROVER, "status"),
            Style::Spring | Style::KafkaConnect => None,
        }
    }

    /// What the consumer that gave it up had read it from: where a replay brings it back to.
    pub fn origin(&self) -> Origin {
        let of = |prefix: &str| Origin {
            topic: self.text(prefix, "topic").map(Cow::into_owned),
            partition: self.number(prefix, "partition"),
            offset: self.number(prefix, "offset"),
        };
        match self.style() {
            None => Origin::default(),
            Some(Style::Drover) => of(DROVER),
            Some(Style::Spring) => Origin {
                topic: self.spring("original-topic").map(Cow::into_owned),
                partition: self.spring_bytes("original-partition").and_then(number),
                offset: self.spring_bytes("original-offset").and_then(number),
            },
            Some(Style::KafkaConnect) => of(CONNECT),
        }
    }

    /// The time of the record at [`Letter::origin`], milliseconds since 1970.
    pub fn origin_timestamp(&self) -> Option<i64> {
        match self.style()? {
            Style::Drover => self.number(DROVER, "timestamp"),
            Style::Spring => number(self.spring_bytes("original-timestamp")?),
            Style::KafkaConnect => self.number(CONNECT, "timestamp"),
        }
    }

    /// Where it was read first, if that is said.
    pub fn first_origin(&self) -> Option<Origin> {
        let origin = Origin {
            topic: self.text(DROVER_ORIGIN, "topic").map(Cow::into_owned),
            partition: self.number(DROVER_ORIGIN, "partition"),
            offset: self.number(DROVER_ORIGIN, "offset"),
        };
        (origin != Origin::default()).then_some(origin)
    }

    /// The topic of [`Letter::origin`], without copying it.
    pub fn origin_topic(&self) -> Option<Cow<'_, str>> {
        match self.style()? {
            Style::Drover => self.text(DROVER, "topic"),
            Style::Spring => self.spring("original-topic"),
            Style::KafkaConnect => self.text(CONNECT, "topic"),
        }
    }

    /// Group, consumer and pod, as far as they are said.
    pub fn by(&self) -> [(&'static str, Option<Cow<'_, str>>); 3] {
        let [group, consumer, pod] = match self.style() {
            None => [None, None, None],
            Some(Style::Drover) => ["group", "consumer", "pod"].map(|name| self.text(DROVER, name)),
            Some(Style::Spring) => [self.spring("original-consumer-group"), None, None],
            Some(Style::KafkaConnect) => [
                None,
                self.text(CONNECT, "connector.name"),
                self.text(CONNECT, "task.id"),
            ],
        };
        [("group", group), ("consumer", consumer), ("pod", pod)]
    }

    /// Group and consumer that gave it up, where it was a worker of Drover: what other tools call so is no
    /// KafkaConsumer's. None where that is not said.
    pub fn given_up_by(&self) -> Option<[Option<Cow<'_, str>>; 2]> {
        let ours = self.style()? == Style::Drover || self.sentence().is_some();
        let [(_, group), (_, consumer), _] = self.by();
        (ours && (group.is_some() || consumer.is_some())).then_some([group, consumer])
    }

    /// When it failed, milliseconds since 1970: as its header says, else the record's own time.
    pub fn failed_at(&self) -> Option<i64> {
        let said = match self.style() {
            Some(Style::Drover) => self.text(DROVER, "failed-at"),
            _ => None,
        };
        let said = said.and_then(|said| said.parse::<jiff::Timestamp>().ok());
        said.map(|at| at.as_millisecond()).or(self.timestamp)
    }

    /// How often it was replayed before.
    ///
    /// # Errors
    /// If something is said of it that is no such number.
    pub fn replays(&self) -> Result<u32, Unreadable> {
        let Some(said) = self.header(REPLAYS) else {
            return Ok(0);
        };
        let count = number(said).and_then(|count| u32::try_from(count).ok());
        count.ok_or(Unreadable)
    }

    /// Drover's sentence in the headers of other tools.
    fn sentence(&self) -> Option<Sentence> {
        let message = match self.style()? {
            Style::Drover => return None,
            Style::Spring => self.spring_why("message")?,
            Style::KafkaConnect => self.text(CONNECT, "exception.message")?,
        };
        let (reason, rest) = message.split_once(" after ")?;
        let reason = REASONS.into_iter().find(|known| *known == reason)?;
        let (attempts, error) = rest.split_once(" attempts: ")?;
        Some(Sentence {
            reason,
            attempts: attempts.parse().ok()?,
            error: error.to_owned(),
        })
    }
}

/// What Spring's header is called, without what all their names begin with; none if it is not Spring's.
fn spring(name: &[u8]) -> Option<&[u8]> {
    let rest = SPRING
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix.as_bytes()))?;
    let known = begins(rest, SPRING_ORIGIN) || is_spring_why(rest);
    (known || begins(name, SPRING[0])).then_some(rest)
}

fn is_spring_why(rest: &[u8]) -> bool {
    SPRING_WHY.into_iter().any(|kind| begins(rest, kind))
}

/// Whether a name, which need not be text, begins with a text.
pub fn begins(name: &[u8], with: &str) -> bool {
    name.starts_with(with.as_bytes())
}

/// Whether a header says why the record is a dead letter, in any style, or counts for Spring's retry topics: a record
/// that is sent back is tried anew.
pub fn says_why(name: &[u8]) -> bool {
    (begins(name, DROVER) && !begins(name, DROVER_ORIGIN))
        || spring(name).is_some_and(|rest| !begins(rest, SPRING_ORIGIN))
        || begins(name, SPRING_RETRIES)
        || begins(name, CONNECT)
}

/// A header that is there and says nothing that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

struct Sentence {
    reason: &'static str,
    attempts: i64,
    error: String,
}

/// As text, or as Java's four or eight bytes.
fn number(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok();
    if let Some(number) = text.and_then(|text| text.parse().ok()) {
        return Some(number);
    }
    match bytes.len() {
        4 => Some(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        8 => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
