//! What is read from headers in each style, and records to try it on.

use super::*;

/// A record with these headers.
pub fn letter(headers: &[(&'static str, &str)]) -> Letter<'static> {
    let header = |(name, value): &(&'static str, &str)| {
        let value = Cow::Owned(value.as_bytes().to_vec());
        (Cow::Borrowed(name.as_bytes()), Some(value))
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
        (
            "kafka_dlt-original-timestamp",
            1_700_000_000_000_i64.to_be_bytes().to_vec(),
        ),
    ] {
        let header = (name.as_bytes().into(), Some(bytes.into()));
        spring.headers.push(header);
    }
    assert_eq!(spring.reason(), "java.lang.IllegalStateException");
    assert_eq!(spring.attempts(), None);
    assert_eq!(spring.origin().partition, Some(3));
    assert_eq!(spring.origin().offset, Some(77));
    assert_eq!(spring.origin_timestamp(), Some(1_700_000_000_000));
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
    let name = b"kafka_original-offset".as_slice();
    let offset = (name.into(), Some(offset.into()));
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
    assert!(!says_why(b"kafka_correlationId") && !says_why(b"kafka_original-topic"));
    assert!(says_why(b"kafka_exception-message") && says_why(b"retry_topic-attempts"));
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
