//! A record's copy in the dead-letter topic: the record as it was, and headers that say why.
//!
//! All headers are text under one prefix; the reference is `docs/http-handler.md`.

use std::borrow::Cow;

use jiff::Timestamp;

use super::record::Record;
use crate::engine::{DeadLetterReason, Failure};
use crate::kafka::producer::Outgoing;
use crate::worker_config::HeaderStyle;

/// What the names of the headers begin with.
pub const PREFIX: &str = "drover-dlq-";
/// What the names of those headers begin with that say where a record was first read.
pub const ORIGIN: &str = "drover-dlq-origin-";

/// What the names of Spring's headers begin with.
const SPRING: &str = "kafka_dlt-";
const SPRING_ORIGIN: &str = "kafka_dlt-original-";
/// What the names of Connect's headers begin with.
const CONNECT: &str = "__connect.errors.";

/// Where a record is from, by names that all styles share.
fn place(record: &Record) -> impl Iterator<Item = (&'static str, String)> {
    let place = [
        ("topic", record.topic.to_string()),
        ("partition", record.partition.to_string()),
        ("offset", record.offset.to_string()),
    ];
    let timestamp = record.timestamp;
    let timestamp = timestamp.map(|millis| ("timestamp", millis.to_string()));
    place.into_iter().chain(timestamp)
}

/// For styles that have no words of their own for it.
fn sentence(why: &Circumstances<'_>) -> String {
    format!(
        "{} after {} attempts: {}",
        why.reason.word(),
        why.attempts,
        why.failure.message
    )
}

/// Why a record is dead-lettered, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Why.
    pub reason: DeadLetterReason,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt ended with.
    pub failure: &'a Failure,
    /// The consumer group.
    pub group: &'a str,
    /// `namespace/name` of the KafkaConsumer.
    pub consumer: &'a str,
    /// The pod.
    pub pod: &'a str,
    /// The time of the dead-lettering.
    pub at: Timestamp,
}

/// The headers of the copy: the record's own, without those that only we may write, and ours.
pub struct Headers<'a>(Vec<(Cow<'a, [u8]>, Value<'a>)>);

type Value<'a> = Option<Cow<'a, [u8]>>;

impl<'a> Headers<'a> {
    /// The headers for `record`. One of the retry topic is `replayed`.
    pub fn of(
        style: HeaderStyle,
        record: &'a Record,
        replayed: bool,
        why: &Circumstances<'_>,
    ) -> Self {
        let (prefix, origin) = match style {
            HeaderStyle::Drover => (PREFIX, ORIGIN),
            HeaderStyle::Spring => (SPRING, SPRING_ORIGIN),
            // It has no word for where a record was first.
            HeaderStyle::KafkaConnect => (CONNECT, "\0"),
        };
        let mut headers = Vec::with_capacity(record.headers.len() + 18);
        // A copy that came back and failed again keeps where it was first read, if it says all of that: a replay writes
        // it. On any other topic it is whatever its producer says, and any other header under our prefix is older than
        // what we are about to say, or forged.
        let has_origin = ["topic", "partition", "offset"].iter().all(|part| {
            let is = |name: &[u8]| name.strip_prefix(origin.as_bytes()) == Some(part.as_bytes());
            let mut headers = record.headers.iter();
            replayed && headers.any(|header| header.value.is_some() && is(&header.name))
        });
        for header in &record.headers {
            let keeps = has_origin && header.name.starts_with(origin.as_bytes());
            if keeps || !header.name.starts_with(prefix.as_bytes()) {
                let value = header.value.as_deref().map(Cow::Borrowed);
                headers.push((Cow::Borrowed(&*header.name), value));
            }
        }
        let mut ours = Self(headers);
        match style {
            HeaderStyle::Drover => ours.add_drover(record, why, has_origin),
            HeaderStyle::Spring => ours.add_spring(record, why),
            HeaderStyle::KafkaConnect => ours.add_connect(record, why),
        }
        ours
    }

    fn add_drover(&mut self, record: &Record, why: &Circumstances<'_>, has_origin: bool) {
        for (name, value) in place(record) {
            if !has_origin {
                self.add(&format!("{ORIGIN}{name}"), value.clone());
            }
            self.add(&format!("{PREFIX}{name}"), value);
        }
        for (name, value) in [
            ("reason", why.reason.word().to_owned()),
            ("attempts", why.attempts.to_string()),
            ("error-class", why.failure.class.to_owned()),
            ("error", why.failure.message.clone()),
            ("group", why.group.to_owned()),
            ("consumer", why.consumer.to_owned()),
            ("pod", why.pod.to_owned()),
            ("failed-at", why.at.to_string()),
            ("worker-version", env!("CARGO_PKG_VERSION").to_owned()),
        ] {
            self.add(&format!("{PREFIX}{name}"), value);
        }
        if let Some(status) = why.failure.status {
            self.add(&format!("{PREFIX}status"), status.to_string());
        }
    }

    /// The names of `KafkaHeaders.DLT_…`, and numbers in four or eight bytes, as Spring's readers want them. Where a record was read
    /// comes after where it was read before, as Spring appends it: the last one counts, and is nobody's but ours.
    fn add_spring(&mut self, record: &Record, why: &Circumstances<'_>) {
        let timestamp = record
            .timestamp
            .map(|millis| ("timestamp", millis.to_be_bytes().to_vec()));
        let place = [
            ("topic", record.topic.as_bytes().to_vec()),
            ("partition", record.partition.to_be_bytes().to_vec()),
            ("offset", record.offset.0.to_be_bytes().to_vec()),
        ];
        for (name, value) in place.into_iter().chain(timestamp) {
            self.add(&format!("{SPRING_ORIGIN}{name}"), value);
        }
        self.add(
            &format!("{SPRING_ORIGIN}consumer-group"),
            why.group.to_owned(),
        );
        let class = why.failure.class.to_owned();
        self.add(&format!("{SPRING}exception-fqcn"), class);
        self.add(&format!("{SPRING}exception-message"), sentence(why));
    }

    /// The names of Connect's `DeadLetterQueueReporter`, and the record's time, which Connect does not say: a replay needs it for
    /// the key that the record had.
    fn add_connect(&mut self, record: &Record, why: &Circumstances<'_>) {
        for (name, value) in place(record) {
            self.add(&format!("{CONNECT}{name}"), value);
        }
        for (name, value) in [
            ("connector.name", why.consumer.to_owned()),
            ("task.id", why.pod.to_owned()),
            ("stage", "TASK_PUT".to_owned()),
            ("class.name", "drover-worker".to_owned()),
            ("exception.class.name", why.failure.class.to_owned()),
            ("exception.message", sentence(why)),
        ] {
            self.add(&format!("{CONNECT}{name}"), value);
        }
    }

    fn add(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        let name = name.as_bytes().to_vec();
        self.0
            .push((Cow::Owned(name), Some(Cow::Owned(value.into()))));
    }

    /// The copy, for the topic `topic`.
    pub fn outgoing<'b>(&'b self, topic: &'b str, record: &'b Record) -> Outgoing<'b> {
        Outgoing {
            topic,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            // By the record's own time, retention might delete it at once; that is among the headers.
            timestamp: None,
            headers: self
                .0
                .iter()
                .map(|(name, value)| (&**name, value.as_deref()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::record::Header;
    use super::*;
    use crate::topic::Offset;

    fn copy(headers: &[(&'static str, Option<&'static str>)]) -> Vec<(String, Option<String>)> {
        copy_in(HeaderStyle::Drover, true, headers)
    }

    fn copy_in(
        style: HeaderStyle,
        replayed: bool,
        headers: &[(&'static str, Option<&'static str>)],
    ) -> Vec<(String, Option<String>)> {
        let record = Record {
            topic: "orders".into(),
            partition: 1,
            offset: Offset(7),
            timestamp: Some(5),
            key: None,
            value: None,
            headers: headers
                .iter()
                .map(|(name, value)| Header {
                    name: Bytes::from_static(name.as_bytes()),
                    value: value.map(|value| Bytes::from_static(value.as_bytes())),
                })
                .collect(),
        };
        let failure = Failure {
            class: "HttpStatus",
            status: Some(500),
            message: "boom".into(),
        };
        let why = Circumstances {
            reason: DeadLetterReason::AttemptsExhausted,
            attempts: 5,
            failure: &failure,
            group: "g",
            consumer: "shop/orders",
            pod: "orders-0",
            at: Timestamp::UNIX_EPOCH,
        };
        Headers::of(style, &record, replayed, &why)
            .0
            .into_iter()
            .map(|(name, value)| {
                let value = value.map(|value| String::from_utf8(value.into_owned()).unwrap());
                (String::from_utf8(name.into_owned()).unwrap(), value)
            })
            .collect()
    }

    fn of<'a>(headers: &'a [(String, Option<String>)], name: &str) -> Vec<Option<&'a str>> {
        let named = headers.iter().filter(|(n, _)| n == name);
        named.map(|(_, value)| value.as_deref()).collect()
    }

    #[test]
    fn a_copy_says_why_and_keeps_its_own_headers() {
        let headers = copy(&[("a", Some("1")), ("a", None)]);
        assert_eq!(of(&headers, "a"), [Some("1"), None]);
        for (name, value) in [
            ("drover-dlq-reason", "AttemptsExhausted"),
            ("drover-dlq-attempts", "5"),
            ("drover-dlq-status", "500"),
            ("drover-dlq-error", "boom"),
            ("drover-dlq-topic", "orders"),
            ("drover-dlq-partition", "1"),
            ("drover-dlq-offset", "7"),
            ("drover-dlq-origin-offset", "7"),
            ("drover-dlq-failed-at", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(of(&headers, name), [Some(value)], "{name}");
        }
    }

    #[test]
    fn names_that_are_no_text_stay_as_they_are() {
        let names: [&[u8]; 5] = [b"\xff", b"\xfe", b"", b"a\0b", b"drover-dlq-\xff"];
        let record = Record {
            topic: "orders".into(),
            partition: 1,
            offset: Offset(7),
            timestamp: None,
            key: None,
            value: None,
            headers: names
                .map(|name| Header {
                    name: Bytes::from_static(name),
                    value: None,
                })
                .into(),
        };
        let failure = Failure {
            class: "HttpStatus",
            status: None,
            message: String::new(),
        };
        let why = Circumstances {
            reason: DeadLetterReason::Rejected,
            attempts: 1,
            failure: &failure,
            group: "g",
            consumer: "shop/orders",
            pod: "orders-0",
            at: Timestamp::UNIX_EPOCH,
        };
        let headers = Headers::of(HeaderStyle::Drover, &record, false, &why);
        let outgoing = headers.outgoing("dead", &record);
        let copied: Vec<_> = outgoing.headers.iter().map(|(name, _)| *name).collect();
        // What has our prefix is ours to write.
        assert_eq!(copied[..4], names[..4]);
        assert!(!copied.contains(&names[4]));
    }

    #[test]
    fn the_names_of_other_tools_are_theirs_and_the_values_text() {
        let theirs = [("a", Some("1")), ("__connect.errors.topic", Some("forged"))];
        let headers = copy_in(HeaderStyle::KafkaConnect, true, &theirs);
        assert_eq!(of(&headers, "a"), [Some("1")]);
        for (name, value) in [
            ("topic", "orders"),
            ("partition", "1"),
            ("offset", "7"),
            ("timestamp", "5"),
            ("connector.name", "shop/orders"),
            ("task.id", "orders-0"),
            ("stage", "TASK_PUT"),
            ("class.name", "drover-worker"),
            ("exception.class.name", "HttpStatus"),
            (
                "exception.message",
                "AttemptsExhausted after 5 attempts: boom",
            ),
        ] {
            let name = format!("__connect.errors.{name}");
            assert_eq!(of(&headers, &name), [Some(value)], "{name}");
        }

        let headers = copy_in(HeaderStyle::Spring, true, &[]);
        for (name, value) in [
            ("original-topic", "orders"),
            ("original-partition", "\0\0\0\u{1}"),
            ("original-offset", "\0\0\0\0\0\0\0\u{7}"),
            ("original-timestamp", "\0\0\0\0\0\0\0\u{5}"),
            ("original-consumer-group", "g"),
            ("exception-fqcn", "HttpStatus"),
            (
                "exception-message",
                "AttemptsExhausted after 5 attempts: boom",
            ),
        ] {
            let name = format!("kafka_dlt-{name}");
            assert_eq!(of(&headers, &name), [Some(value)], "{name}");
        }
        assert!(!headers.iter().any(|(name, _)| name.starts_with(PREFIX)));

        // A copy that came back keeps where it was first, and no older reason.
        let again = [
            ("kafka_dlt-original-topic", Some("first")),
            ("kafka_dlt-original-partition", Some("3")),
            ("kafka_dlt-original-offset", Some("9")),
            ("kafka_dlt-exception-message", Some("older")),
        ];
        let headers = copy_in(HeaderStyle::Spring, true, &again);
        let topics = [Some("first"), Some("orders")];
        assert_eq!(of(&headers, "kafka_dlt-original-topic"), topics);
        assert_eq!(
            of(&headers, "kafka_dlt-original-offset"),
            [Some("9"), Some("\0\0\0\0\0\0\0\u{7}")]
        );
        assert_eq!(of(&headers, "kafka_dlt-exception-message").len(), 1);
    }

    /// A replay brings a letter back to where its headers say it was read, and by where it was first it is known again.
    #[test]
    fn where_a_record_was_read_is_not_its_producers_to_say() {
        for (style, prefix, offset) in [
            (
                HeaderStyle::Spring,
                "kafka_dlt-original-",
                "\0\0\0\0\0\0\0\u{7}",
            ),
            (HeaderStyle::Drover, "drover-dlq-origin-", "7"),
        ] {
            let name = |part: &str| -> &'static str { format!("{prefix}{part}").leak() };
            let whole = [
                (name("topic"), Some("victim")),
                (name("partition"), Some("0")),
                (name("offset"), Some("3")),
            ];
            for (replayed, headers) in [(true, &whole[..1]), (false, &whole[..])] {
                let headers = copy_in(style, replayed, headers);
                assert_eq!(of(&headers, name("topic")), [Some("orders")], "{style:?}");
                assert_eq!(of(&headers, name("offset")), [Some(offset)], "{style:?}");
            }
        }
    }

    #[test]
    fn a_copy_of_a_copy_keeps_the_first_origin_and_no_older_reason() {
        let headers = copy(&[
            ("drover-dlq-origin-topic", Some("first")),
            ("drover-dlq-origin-partition", Some("0")),
            ("drover-dlq-origin-offset", Some("1")),
            ("drover-dlq-reason", Some("forged")),
        ]);
        assert_eq!(of(&headers, "drover-dlq-origin-topic"), [Some("first")]);
        assert_eq!(of(&headers, "drover-dlq-origin-offset"), [Some("1")]);
        assert_eq!(of(&headers, "drover-dlq-origin-partition"), [Some("0")]);
        assert_eq!(
            of(&headers, "drover-dlq-reason"),
            [Some("AttemptsExhausted")]
        );
        assert_eq!(of(&headers, "drover-dlq-topic"), [Some("orders")]);
    }
}
