//! The headers that a replayed record has. Pure.

use super::letter::{DROVER_ORIGIN, Letter, Origin, REPLAY, REPLAYS, begins, says_why};

/// What a replay adds.
pub struct Added<'a> {
    count: String,
    id: &'a str,
    bypass: Option<&'a str>,
    /// Where it was first, if it does not say so itself.
    origin: Vec<(String, String)>,
}

impl<'a> Added<'a> {
    /// `id` is the replay's name, `bypass` the header that makes it a new record to the idempotency
    /// store.
    pub fn new(letter: &Letter<'_>, id: &'a str, bypass: Option<&'a str>) -> Self {
        Self {
            count: letter.replays().unwrap_or(0).saturating_add(1).to_string(),
            id,
            bypass,
            origin: origin(letter),
        }
    }

    /// The record's own headers, without what says why it was a dead letter, and ours. Where it was
    /// first stays: should it fail again, that is not forgotten.
    pub fn to<'b>(&'b self, letter: &'b Letter<'_>) -> Vec<(&'b [u8], Option<&'b [u8]>)> {
        let own = letter.headers.iter();
        let own = own.map(|(name, value)| (name.as_ref(), value.as_deref()));
        let mut headers: Vec<_> = own.filter(|(name, _)| self.keeps(name)).collect();
        for (name, value) in &self.origin {
            headers.push((name.as_bytes(), Some(value.as_bytes())));
        }
        headers.push((REPLAYS.as_bytes(), Some(self.count.as_bytes())));
        headers.push((REPLAY.as_bytes(), Some(self.id.as_bytes())));
        if let Some(bypass) = self.bypass {
            headers.push((bypass.as_bytes(), Some(self.id.as_bytes())));
        }
        headers
    }

    fn keeps(&self, name: &[u8]) -> bool {
        let ours = [Some(REPLAYS), Some(REPLAY), self.bypass];
        let ours = ours.into_iter().flatten().any(|our| our.as_bytes() == name);
        !says_why(name) && !ours
    }
}

/// Other tools' headers do not keep it, or in words of their own.
fn origin(letter: &Letter<'_>) -> Vec<(String, String)> {
    let mut names = letter.headers.iter().map(|(name, _)| name);
    if names.any(|name| begins(name, DROVER_ORIGIN)) {
        return Vec::new();
    }
    let Origin {
        topic,
        partition,
        offset,
    } = letter.origin();
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let parts = [
        ("topic", topic),
        ("partition", number(partition)),
        ("offset", number(offset)),
        ("timestamp", number(letter.origin_timestamp())),
    ];
    let said = parts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    said.map(|(name, value)| (format!("{DROVER_ORIGIN}{name}"), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter;
    use super::*;

    #[test]
    fn a_replayed_record_has_its_own_headers_and_a_count() {
        let letter = letter(&[
            ("tenant", "a"),
            ("tenant", "b"),
            ("drover-dlq-origin-topic", "first"),
            ("kafka_dlt-original-topic", "first"),
            ("drover-dlq-reason", "Rejected"),
            ("kafka_dlt-exception-message", "boom"),
            ("__connect.errors.stage", "TASK_PUT"),
            ("drover-redrive-count", "1"),
            ("drover-redrive-id", "older"),
            ("redrive", "older"),
        ]);
        let added = Added::new(&letter, "new", Some("redrive"));
        let headers = added.to(&letter);
        let expected: [(&str, &str); 7] = [
            ("tenant", "a"),
            ("tenant", "b"),
            ("drover-dlq-origin-topic", "first"),
            ("kafka_dlt-original-topic", "first"),
            ("drover-redrive-count", "2"),
            ("drover-redrive-id", "new"),
            ("redrive", "new"),
        ];
        assert_eq!(
            headers,
            expected.map(|(name, value)| (name.as_bytes(), Some(value.as_bytes())))
        );
        // One that does not say where it was first does after that.
        let connect = super::super::letter::tests::letter(&[
            ("__connect.errors.topic", "orders"),
            ("__connect.errors.partition", "3"),
            ("__connect.errors.timestamp", "1700000000000"),
        ]);
        let added = Added::new(&connect, "new", None);
        let said = added.to(&connect);
        assert_eq!(
            said[..3],
            [
                (&b"drover-dlq-origin-topic"[..], Some(&b"orders"[..])),
                (b"drover-dlq-origin-partition", Some(b"3")),
                (b"drover-dlq-origin-timestamp", Some(b"1700000000000")),
            ]
        );
        // A header that some other replay was given stays as it is without one.
        let added = Added::new(&letter, "new", None);
        assert!(
            added
                .to(&letter)
                .contains(&(&b"redrive"[..], Some(&b"older"[..])))
        );
    }
}
