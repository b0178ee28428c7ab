//! The annotation `drover.dev/skip`: single records that somebody gave up, as `drover skip` writes it.

use serde::{Deserialize, Serialize};

/// Records in the annotation at most: the worker is given them in one environment variable.
pub const MOST_SKIPS: usize = 50;
/// The longest reason, in characters.
pub const LONGEST_REASON: usize = 200;

/// One record that no handler is to be given any more.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Skip {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, in milliseconds since 1970: what lies at its place with another one is another
    /// record, of a topic that was made anew, and is not skipped.
    pub timestamp: i64,
    /// Why, in the words of who gave it up.
    pub reason: String,
    /// When that was; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Who it was, as the API server knows them; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Skip {
    /// What the text of the annotation says.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow its name.
    pub fn read(text: &str) -> Result<Vec<Self>, String> {
        let skips: Vec<Self> = serde_json::from_str(text).map_err(|error| {
            format!("is no JSON list of {{topic, partition, offset, timestamp, reason}}: {error}")
        })?;
        if skips.len() > MOST_SKIPS {
            let found = skips.len();
            return Err(format!("has {found} records; {MOST_SKIPS} are allowed"));
        }
        for (index, skip) in skips.iter().enumerate() {
            if let Some(flaw) = skip.flaw() {
                return Err(format!("says of record {index}: {flaw}"));
            }
        }
        Ok(skips)
    }

    /// The text of the annotation.
    pub fn write(skips: &[Self]) -> String {
        serde_json::to_string(skips).expect("texts and numbers are always JSON")
    }

    fn flaw(&self) -> Option<String> {
        if self.topic.is_empty() {
            return Some("topic is empty".to_owned());
        }
        if self.partition < 0 || self.offset < 0 {
            return Some("partition and offset begin at 0".to_owned());
        }
        reason_flaw(&self.reason)
    }
}

/// What is wrong with a reason: it goes into logs and lists, line by line.
pub fn reason_flaw(reason: &str) -> Option<String> {
    if reason.trim().is_empty() {
        return Some("reason is empty".to_owned());
    }
    if reason.chars().count() > LONGEST_REASON {
        return Some(format!("reason is longer than {LONGEST_REASON} characters"));
    }
    reason
        .contains(char::is_control)
        .then(|| "reason has a line break or another control character".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"[{"topic":"orders","partition":1,"offset":42,"timestamp":7,"reason":"no such user"}]"#;

    #[test]
    fn what_is_written_is_read_back() {
        let mut skips = Skip::read(GOOD).unwrap();
        assert_eq!((skips[0].partition, skips[0].offset), (1, 42));
        assert_eq!(Skip::write(&skips), GOOD);
        skips[0].at = Some("2026-11-26T11:00:00Z".to_owned());
        skips[0].by = Some("ann".to_owned());
        assert_eq!(Skip::read(&Skip::write(&skips)).unwrap(), skips);
        assert_eq!(Skip::read("[]").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |from: &str, to: &str| GOOD.replace(from, to);
        let many = format!("[{}]", vec![GOOD.trim_matches(['[', ']']); 51].join(","));
        for (text, says) in [
            ("orders/1/42".to_owned(), "is no JSON list"),
            (with("\"offset\":42,", ""), "missing field `offset`"),
            (with("\"timestamp\":7,", ""), "missing field `timestamp`"),
            (with("partition\"", "partitions\""), "unknown field"),
            (with("42", "-1"), "says of record 0: partition and offset"),
            (with("42", "\"42\""), "invalid type"),
            (with("no such user", " "), "reason is empty"),
            (with("no such user", "a\\nb"), "a line break"),
            (with("no such user", &"é".repeat(201)), "longer than 200"),
            (with("orders", ""), "topic is empty"),
            (many, "has 51 records; 50 are allowed"),
        ] {
            let flaw = Skip::read(&text).unwrap_err();
            assert!(flaw.contains(says), "{says}: {flaw}");
        }
    }
}
