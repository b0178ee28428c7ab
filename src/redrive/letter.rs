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
const REASONS: [&str; 4] = [
    "AttemptsExhausted",
    "Rejected",
    "DecryptionFailed",
    "WorkerKilled",
];

/// A header; None is Kafka's null.
pub type Header<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

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
            let name = String::from_utf8_lossy(name);
            headers.push((name, value.map(Cow::Borrowed)));
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
        let headers =
            headers.map(|(name, value)| (Cow::Owned(name.into_owned()), value.map(owned)));
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
        let mut named = self.headers.iter().rev().filter(|(n, _)| n == name);
        named.next()?.1.as_deref()
    }

    fn text(&self, prefix: &str, name: &str) -> Option<Cow<'_, str>> {
        let wanted = |n: &str| n.strip_prefix(prefix) == Some(name);
        let mut named = self.headers.iter().rev().filter(|(n, _)| wanted(n));
        Some(String::from_utf8_lossy(named.next()?.1.as_deref()?))
    }

    fn number(&self, prefix: &str, name: &str) -> Option<i64> {
        let wanted = |n: &str| n.strip_prefix(prefix) == Some(name);
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
            .filter(|(n, _)| spring(n) == Some(name));
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
            if name.starts_with(DROVER) && !name.starts_with(DROVER_ORIGIN) {
                Some(Style::Drover)
            } else if spring(name).is_some() {
                Some(Style::Spring)
            } else if name.starts_with(CONNECT) {
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
fn spring(name: &str) -> Option<&str> {
    let rest = SPRING
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    let known = rest.starts_with(SPRING_ORIGIN) || is_spring_why(rest);
    (known || name.starts_with(SPRING[0])).then_some(rest)
}

fn is_spring_why(rest: &str) -> bool {
    SPRING_WHY.into_iter().any(|kind| rest.starts_with(kind))
}

/// Whether a header says why the record is a dead letter, in any style, or counts for Spring's retry topics: a record
/// that is sent back is tried anew.
pub fn says_why(name: &str) -> bool {
    (name.starts_with(DROVER) && !name.starts_with(DROVER_ORIGIN))
        || spring(name).is_some_and(|rest| !rest.starts_with(SPRING_ORIGIN))
        || name.starts_with(SPRING_RETRIES)
        || name.starts_with(CONNECT)
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
pub(crate) mod tests {
    use super::*;

    /// A record with these headers.
    pub fn letter(headers: &[(&'static str, &str)]) -> Letter<'static> {
        let header = |(name, value): &(&'static str, &str)| {
            let value = Cow::Owned(value.as_bytes().to_vec());
            (Cow::Borrowed(*name), Some(value))
        };
        Letter {
            timestamp: Some(7_000),
            headers: headers.iter().map(header).collect(),
            ..Letter::default()
        }
    }

    #[test]
    fn drovers_own_headers_are_read() {
        let letter = letter(&[
            ("a", "1"),
            ("drover-dlq-origin-topic", "first"),
            ("drover-dlq-topic", "orders"),
            ("drover-dlq-partition", "3"),
            ("drover-dlq-offset", "77"),
            ("drover-dlq-reason", "Rejected"),
            ("drover-dlq-attempts", "1"),
            ("drover-dlq-error", "no such user"),
            ("drover-dlq-status", "422"),
            ("drover-dlq-failed-at", "1970-01-01T00:00:05Z"),
            ("drover-redrive-count", "2"),
        ]);
        assert_eq!(letter.style(), Some(Style::Drover));
        assert_eq!(letter.reason(), "Rejected");
        assert_eq!(letter.attempts(), Some(1));
        assert_eq!(letter.status(), Some(422));
        assert_eq!(letter.error().as_deref(), Some("no such user"));
        assert_eq!(letter.failed_at(), Some(5_000));
        assert_eq!(letter.replays(), Ok(2));
        let origin = letter.origin();
        assert_eq!(origin.topic.as_deref(), Some("orders"));
        assert_eq!((origin.partition, origin.offset), (Some(3), Some(77)));
        let first = letter.first_origin().unwrap();
        assert_eq!(first.topic.as_deref(), Some("first"));
    }

    #[test]
    fn a_count_that_cannot_be_read_is_not_none() {
        for (said, count) in [
            ("3", Ok(3)),
            ("-1", Err(Unreadable)),
            ("often", Err(Unreadable)),
        ] {
            assert_eq!(letter(&[(REPLAYS, said)]).replays(), count, "{said}");
        }
        assert_eq!(letter(&[]).replays(), Ok(0));
    }

    #[test]
    fn drovers_sentence_is_read_from_the_headers_of_other_tools() {
        for (class, message, topic, partition) in [
            (
                "kafka_dlt-exception-fqcn",
                "kafka_dlt-exception-message",
                "kafka_dlt-original-topic",
                "kafka_dlt-original-partition",
            ),
            (
                "__connect.errors.exception.class.name",
                "__connect.errors.exception.message",
                "__connect.errors.topic",
                "__connect.errors.partition",
            ),
        ] {
            let letter = letter(&[
                (topic, "orders"),
                (partition, "3"),
                (class, "HttpStatus"),
                (
                    message,
                    "AttemptsExhausted after 5 attempts: after 2 attempts: boom",
                ),
            ]);
            assert_eq!(letter.reason(), "AttemptsExhausted");
            assert_eq!(letter.attempts(), Some(5));
            assert_eq!(letter.error_class().as_deref(), Some("HttpStatus"));
            assert_eq!(letter.error().as_deref(), Some("after 2 attempts: boom"));
            assert_eq!(letter.origin_topic().as_deref(), Some("orders"));
            assert_eq!(letter.origin().partition, Some(3));
            assert_eq!(letter.failed_at(), Some(7_000));
        }
    }

    #[test]
    fn what_spring_itself_writes_is_read() {
        let mut spring = letter(&[
            ("kafka_dlt-original-topic", "orders"),
            (
                "kafka_dlt-exception-fqcn",
                "ListenerExecutionFailedException",
            ),
            (
                "kafka_dlt-exception-cause-fqcn",
                "java.lang.IllegalStateException",
            ),
            ("kafka_dlt-exception-message", "boom"),
        ]);
        for (name, bytes) in [
            ("kafka_dlt-original-partition", 3_i32.to_be_bytes().to_vec()),
            ("kafka_dlt-original-offset", 77_i64.to_be_bytes().to_vec()),
        ] {
            spring.headers.push((name.into(), Some(bytes.into())));
        }
        assert_eq!(spring.reason(), "java.lang.IllegalStateException");
        assert_eq!(spring.attempts(), None);
        assert_eq!(spring.origin().partition, Some(3));
        assert_eq!(spring.origin().offset, Some(77));
        assert_eq!(spring.error().as_deref(), Some("boom"));
    }

    #[test]
    fn what_springs_retry_topics_write_and_what_it_writes_of_keys_is_read() {
        let mut retried = letter(&[
            ("kafka_original-topic", "orders"),
            ("kafka_exception-fqcn", "ListenerExecutionFailedException"),
            (
                "kafka_exception-cause-fqcn",
                "java.lang.IllegalStateException",
            ),
            ("kafka_exception-message", "boom"),
            ("retry_topic-attempts", "4"),
            ("kafka_dlt-original-consumer-group", "shop"),
        ]);
        let offset = 77_i64.to_be_bytes().to_vec();
        let offset = ("kafka_original-offset".into(), Some(offset.into()));
        retried.headers.push(offset);
        assert_eq!(retried.style(), Some(Style::Spring));
        assert_eq!(retried.reason(), "java.lang.IllegalStateException");
        assert_eq!(retried.error().as_deref(), Some("boom"));
        assert_eq!(retried.origin_topic().as_deref(), Some("orders"));
        assert_eq!(retried.origin().offset, Some(77));
        assert_eq!(retried.by()[0].1.as_deref(), Some("shop"));

        let of_key = letter(&[
            ("kafka_dlt-original-topic", "orders"),
            ("kafka_dlt-key-exception-fqcn", "DeserializationException"),
            ("kafka_dlt-key-exception-message", "no key"),
        ]);
        assert_eq!(of_key.reason(), "DeserializationException");
        assert_eq!(of_key.error().as_deref(), Some("no key"));
        // Other headers of Spring's are the record's own.
        let received = letter(&[("kafka_correlationId", "1")]);
        assert_eq!(received.style(), None);
        assert!(!says_why("kafka_correlationId") && !says_why("kafka_original-topic"));
        assert!(says_why("kafka_exception-message") && says_why("retry_topic-attempts"));
    }

    #[test]
    fn the_newest_style_counts_and_none_is_unknown() {
        let both = letter(&[
            ("kafka_dlt-exception-fqcn", "Older"),
            ("drover-dlq-reason", "Rejected"),
        ]);
        assert_eq!(both.reason(), "Rejected");
        // Where it was first does not say why it is here.
        let replayed = letter(&[
            ("__connect.errors.exception.class.name", "X"),
            ("drover-dlq-origin-topic", "first"),
        ]);
        assert_eq!(replayed.style(), Some(Style::KafkaConnect));
        let foreign = letter(&[("a", "1")]);
        assert_eq!(foreign.style(), None);
        assert_eq!(foreign.reason(), "unknown");
        assert_eq!(foreign.origin(), Origin::default());
    }
}
