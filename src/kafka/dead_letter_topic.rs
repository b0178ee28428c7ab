//! Whether a dead-letter topic will take what it is meant for, found out before it is needed.
//!
//! What the brokers do not tell is not held against the topic: to look at settings takes a right of
//! its own, and a dead letter that is refused stalls its record anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::admin::{Admin, Error};

/// What our headers may take beside the record: names, and an error of 200 characters.
pub const HEADER_ROOM: u64 = 4096;

/// What is known of a dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its name.
    pub topic: String,
    /// Whether it exists, has partitions, and may be written to.
    pub state: State,
    /// Its `cleanup.policy`, where it is known.
    pub cleanup: Option<String>,
    /// Its `max.message.bytes`, where it is known.
    pub max_bytes: Option<u64>,
    /// The topic with the largest `max.message.bytes` of those whose records it is for.
    pub source: Option<(String, u64)>,
}

/// The topic itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is there, and nothing says that it may not be written to.
    There,
    /// It does not exist, or has no partition.
    Missing,
    /// It may not be written to, or not even be seen.
    Refused,
    /// Kafka does not say.
    Unknown(String),
}

/// What is wrong with a dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Stable CamelCase word.
    pub reason: &'static str,
    /// What, why and what to do.
    pub message: String,
}

/// Reasons of flaws.
pub mod reason {
    /// It does not exist.
    pub const NOT_FOUND: &str = "DeadLetterTopicNotFound";
    /// It may not be written to.
    pub const NOT_AUTHORIZED: &str = "NotAuthorized";
    /// It is compacted.
    pub const COMPACTED: &str = "Compacted";
    /// It takes smaller records than the topics have.
    pub const TOO_SMALL: &str = "TooSmall";
    /// All of them.
    pub const ALL: [&str; 4] = [NOT_FOUND, NOT_AUTHORIZED, COMPACTED, TOO_SMALL];
}

impl Flaw {
    /// What a worker said in a word; none for a word that is no reason.
    pub fn told(reason: &str, topic: &str) -> Option<Self> {
        let reason = reason::ALL.into_iter().find(|known| *known == reason)?;
        let what = match reason {
            reason::NOT_FOUND => "does not exist; create it",
            reason::NOT_AUTHORIZED => "may not be written to; allow Write and Describe on it",
            reason::COMPACTED => "is compacted; set its cleanup.policy to delete",
            _ => "takes smaller records than the topics have; raise its max.message.bytes",
        };
        let message = format!("pods find that dead-letter topic {topic} {what}");
        Some(Self { reason, message })
    }
}

impl Facts {
    /// What is wrong with it: the first that must be mended.
    pub fn flaw(&self) -> Option<Flaw> {
        let topic = &self.topic;
        let flaw = |reason, message| Some(Flaw { reason, message });
        match &self.state {
            State::Missing => {
                return flaw(
                    reason::NOT_FOUND,
                    format!(
                        "dead-letter topic {topic} does not exist; create it, or name another in spec.delivery.deadLetter.topic"
                    ),
                );
            }
            State::Refused => {
                return flaw(
                    reason::NOT_AUTHORIZED,
                    format!(
                        "dead-letter topic {topic} may not be written to; allow Write and Describe on it for the user of spec.kafka"
                    ),
                );
            }
            State::There | State::Unknown(_) => {}
        }
        let policies = self.cleanup.as_deref().unwrap_or_default();
        if policies.split(',').any(|policy| policy.trim() == "compact") {
            return flaw(
                reason::COMPACTED,
                format!(
                    "dead-letter topic {topic} is compacted: it refuses records without a key and drops all but the last of each key; set its cleanup.policy to delete"
                ),
            );
        }
        if let (Some(max), Some((source, largest))) = (self.max_bytes, &self.source)
            && max < *largest
        {
            return flaw(
                reason::TOO_SMALL,
                format!(
                    "dead-letter topic {topic} takes records up to {max} bytes (max.message.bytes), topic {source} has them up to {largest}; raise it to {} at least",
                    largest.saturating_add(HEADER_ROOM)
                ),
            );
        }
        None
    }

    /// What is worth knowing of a topic without a flaw.
    pub fn advice(&self) -> Option<String> {
        let (max, (source, largest)) = (self.max_bytes?, self.source.as_ref()?);
        (max < largest.saturating_add(HEADER_ROOM)).then(|| {
            format!(
                "a record of {source} that is within {HEADER_ROOM} bytes of the largest does not fit with its headers; raise max.message.bytes of {} by as much",
                self.topic
            )
        })
    }
}

/// Asks for what is to be known of `topic` as the dead-letter topic of `sources`.
///
/// # Errors
/// No broker answers.
pub async fn look(
    admin: &Admin,
    topic: &str,
    sources: &[String],
    timeout: Duration,
) -> Result<Facts, Error> {
    let own = BTreeSet::from([topic.to_owned()]);
    let described = admin.topics(&own, true, timeout).await?.remove(topic);
    let state = match described {
        Some(Ok(topic)) if topic.partitions.is_empty() => State::Missing,
        Some(Ok(topic)) if topic.may_write == Some(false) => State::Refused,
        Some(Ok(_)) => State::There,
        Some(Err(Error::Missing)) => State::Missing,
        Some(Err(Error::NotAuthorized(_))) => State::Refused,
        Some(Err(error)) => State::Unknown(error.to_string()),
        None => State::Unknown("the answer does not name it".to_owned()),
    };
    let mut facts = Facts {
        topic: topic.to_owned(),
        state,
        cleanup: None,
        max_bytes: None,
        source: None,
    };
    if facts.state != State::There {
        return Ok(facts);
    }
    let all: BTreeSet<String> = sources.iter().cloned().chain(own).collect();
    // Not every cluster lets everybody see settings.
    let settings = admin.topic_settings(&all, timeout).await;
    let settings = settings.unwrap_or_default();
    let of = |topic: &str, name: &str| -> Option<String> {
        let settings: &BTreeMap<_, _> = settings.get(topic)?.as_ref().ok()?;
        settings.get(name).cloned()
    };
    let max_bytes = |topic: &str| of(topic, "max.message.bytes")?.parse::<u64>().ok();
    facts.cleanup = of(topic, "cleanup.policy");
    facts.max_bytes = max_bytes(topic);
    let sizes = sources
        .iter()
        .filter_map(|source| Some((source.clone(), max_bytes(source)?)));
    facts.source = sizes.max_by_key(|(_, bytes)| *bytes);
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(change: impl FnOnce(&mut Facts)) -> Facts {
        let mut facts = Facts {
            topic: "dlq".to_owned(),
            state: State::There,
            cleanup: Some("delete".to_owned()),
            max_bytes: Some(1_048_588),
            source: Some(("orders".to_owned(), 1_000_000)),
        };
        change(&mut facts);
        facts
    }

    #[test]
    fn each_flaw_is_named_with_what_to_do() {
        type Change = fn(&mut Facts);
        let cases: [(Change, Option<&str>, &str); 9] = [
            (|_| {}, None, ""),
            (
                |f| f.state = State::Missing,
                Some(reason::NOT_FOUND),
                "create it",
            ),
            (
                |f| f.state = State::Refused,
                Some(reason::NOT_AUTHORIZED),
                "allow Write",
            ),
            (|f| f.state = State::Unknown(String::new()), None, ""),
            (
                |f| f.cleanup = Some("compact".to_owned()),
                Some(reason::COMPACTED),
                "to delete",
            ),
            (
                |f| f.cleanup = Some("compact,delete".to_owned()),
                Some(reason::COMPACTED),
                "key",
            ),
            (
                |f| f.max_bytes = Some(999_999),
                Some(reason::TOO_SMALL),
                "raise it to 1004096",
            ),
            (|f| f.max_bytes = None, None, ""),
            (|f| (f.cleanup, f.source) = (None, None), None, ""),
        ];
        for (number, (change, reason, words)) in cases.into_iter().enumerate() {
            let flaw = facts(change).flaw();
            assert_eq!(flaw.as_ref().map(|flaw| flaw.reason), reason, "{number}");
            assert!(
                flaw.is_none_or(|flaw| flaw.message.contains(words)),
                "{number}"
            );
        }
    }

    #[test]
    fn a_topic_without_room_for_headers_takes_nearly_all_and_that_is_said() {
        let tight = facts(|f| f.max_bytes = Some(1_000_000));
        assert_eq!(tight.flaw(), None);
        assert!(tight.advice().unwrap().contains("orders"));
        assert_eq!(facts(|_| {}).advice(), None);
    }
}
