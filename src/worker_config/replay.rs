//! The contract with the Job of a `DeadLetterReplay`: what it is told, and what it leaves behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Security;

/// See [`crate::api::LeftOut`].
pub use crate::api::LeftOut;
/// See [`crate::api::WouldReplay`].
pub use crate::api::WouldReplay;

/// The environment variable that tells the Job's pods what to do.
pub const ENV_REPLAY: &str = "DROVER_REPLAY";
/// Where a container leaves its last words, which Kubernetes shows in the pod's status.
pub const RESULT_FILE: &str = "/dev/termination-log";
/// As much of them as Kubernetes keeps.
pub const RESULT_BYTES: usize = 4096;
/// The exit status where nothing is gained by another attempt.
pub const GIVEN_UP: u8 = 2;
/// The exit status where too many are dead letters again.
pub const TOO_MANY_FAIL: u8 = 3;
/// The exit status where all was dealt with that was there and that its topic takes, and that was not all.
pub const INCOMPLETE: u8 = 4;

/// The exit status where another replay of the topic has begun: another attempt would end that one.
pub const FENCED: u8 = 5;

/// Everything that a replay needs to know, complete: no field has a default here.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayConfig {
    /// `namespace/name` of the DeadLetterReplay, for logs.
    pub replay: String,
    /// In the headers of what it moves.
    pub id: String,
    /// Brokers to begin with.
    pub bootstrap_servers: String,
    /// Further librdkafka properties.
    pub properties: BTreeMap<String, String>,
    /// How connections to Kafka are encrypted and authenticated.
    pub security: Security,
    /// The name of the KafkaConsumer.
    pub consumer: String,
    /// What it reads.
    pub topics: Vec<String>,
    /// Its own topic for what is replayed.
    pub retry_topic: Option<String>,
    /// Where the dead letters are.
    pub dead_letter_topic: String,
    /// Which of them.
    pub filter: Filter,
    /// The topic that all of them go to.
    pub to: Option<String>,
    /// Not to the retry topic.
    pub to_source: bool,
    /// Records a second at most.
    pub rate: Option<f64>,
    /// Only count.
    pub dry_run: bool,
    /// Those that were replayed this often are left out.
    pub max_replays: u32,
    /// Stop when so many in a hundred are dead letters again.
    pub stop_at: u32,
    /// How long to look for them after the last one.
    pub settle_millis: u64,
    /// The header that makes a record a new one to the idempotency store.
    pub bypass: Option<String>,
}

/// Which dead letters. Equal filters have equal texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Of one of these reasons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// That failed then or later. Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// That failed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// With this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// In this partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// From the first of these offsets to before the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets: Option<(i64, i64)>,
    /// With each of these headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// That came from one of these topics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origin_topics: Vec<String>,
    /// That this consumer gave up, or nobody says who: several may have one dead-letter topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whose: Option<Whose>,
}

/// A consumer, as its dead letters name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    /// `namespace/name`, or the name alone where the namespace is not known.
    pub consumer: String,
    /// Its group; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Whose {
    /// Whether a letter with these names, as far as it says them, is somebody else's. One that has the group or the
    /// name is not: either may be changed.
    pub fn is_not(&self, consumer: Option<&str>, group: Option<&str>) -> bool {
        let ours = |consumer: &str| match self.consumer.contains('/') {
            true => consumer == self.consumer,
            false => consumer.rsplit('/').next() == Some(self.consumer.as_str()),
        };
        let is_known = consumer.is_some() || (group.is_some() && self.group.is_some());
        let same =
            consumer.is_some_and(ours) || (group.is_some() && group == self.group.as_deref());
        is_known && !same
    }
}

impl Filter {
    /// The same filter, written the one way that all equal ones are.
    ///
    /// # Errors
    /// If no dead letter can satisfy it.
    pub fn normal(mut self) -> Result<Self, NothingMeant> {
        for texts in [
            &mut self.reasons,
            &mut self.headers,
            &mut self.origin_topics,
        ] {
            texts.sort();
            texts.dedup();
        }
        let bounds = self.since.zip(self.until);
        if bounds.is_some_and(|(since, until)| since >= until) {
            return Err(NothingMeant);
        }
        Ok(self)
    }
}

/// A filter that no dead letter can satisfy: its end is not after its beginning.
#[derive(Debug, PartialEq, Eq)]
pub struct NothingMeant;

/// How an attempt ended.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All was dealt with.
    Complete,
    /// All that was there and that its topic takes; some were refused, or deleted before their turn.
    Incomplete,
    /// Too many are dead letters again.
    Failing,
    /// Another replay of the topic has begun, and ended this one.
    Fenced,
    /// It was told to stop.
    Interrupted,
    /// Something went wrong.
    Error,
}

impl Ending {
    /// Whether no attempt follows one that ended so.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Complete | Self::Incomplete | Self::Failing | Self::Fenced
        )
    }
}

/// What an attempt leaves behind.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ReplayResult {
    /// How it ended.
    pub ending: Ending,
    /// What went wrong, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The topic that all of them go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Moved, acknowledged and noted.
    pub replayed: u64,
    /// Dead letters again; unknown where something went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_again: Option<u64>,
    /// Left out; unknown where something went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// Of a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_replay: Option<WouldReplay>,
}

impl ReplayResult {
    /// As text with room where it is left: what is counted most rarely goes first, then the end of
    /// the error.
    pub fn text(&self) -> String {
        let mut shown = self.clone();
        let mut kept = 16;
        loop {
            let text = serde_json::to_string(&shown).expect("texts and numbers are always JSON");
            if text.len() <= RESULT_BYTES {
                return text;
            }
            if kept > 0 {
                kept -= 1;
                shown.would_replay = self.would_replay.as_ref().map(|all| fewer(all, kept));
            }
            if let Some(error) = &mut shown.error {
                let half = error.chars().count() / 2;
                *error = error.chars().take(half).chain(['…']).collect();
            }
        }
    }
}

/// The most frequent of each kind; the others together.
fn fewer(all: &WouldReplay, kept: usize) -> WouldReplay {
    let most = |counts: &BTreeMap<String, u64>| {
        let mut sorted: Vec<_> = counts.iter().collect();
        sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let mut fewer = BTreeMap::new();
        for (rank, (name, count)) in sorted.into_iter().enumerate() {
            // One long name must not keep all others out.
            let name = match rank < kept && name.len() <= LONGEST_NAME {
                true => name.clone(),
                false => OTHERS.to_owned(),
            };
            *fewer.entry(name).or_default() += count;
        }
        fewer
    };
    WouldReplay {
        total: all.total,
        reasons: most(&all.reasons),
        origins: most(&all.origins),
        statuses: most(&all.statuses),
        times: most(&all.times),
    }
}

/// What is counted together.
const OTHERS: &str = "others";
/// Bytes of a name that is told.
const LONGEST_NAME: usize = 280;

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(kinds: u64, name: &str) -> WouldReplay {
        let counts: BTreeMap<String, u64> = (1..=kinds)
            .map(|number| (format!("{name}{number}"), number))
            .collect();
        WouldReplay {
            total: counts.values().sum(),
            reasons: counts.clone(),
            origins: counts.clone(),
            statuses: counts.clone(),
            times: counts,
        }
    }

    fn result(would_replay: Option<WouldReplay>, error: Option<String>) -> ReplayResult {
        ReplayResult {
            ending: Ending::Complete,
            error,
            to: None,
            replayed: 0,
            failed_again: None,
            left_out: Some(LeftOut::default()),
            would_replay,
        }
    }

    #[test]
    fn what_has_room_is_left_as_it_is() {
        let left = result(Some(counted(5, "reason")), Some("words".to_owned()));
        let read: ReplayResult = serde_json::from_str(&left.text()).unwrap();
        assert_eq!(read, left);
    }

    #[test]
    fn what_has_no_room_is_counted_together_and_nothing_is_lost() {
        for name in [
            "a".to_owned(),
            "ä".repeat(100),
            "\u{1}".repeat(200),
            "x".repeat(400),
        ] {
            let all = counted(1_000, &name);
            let text = result(Some(all.clone()), Some("ü".repeat(9_000))).text();
            assert!(text.len() <= RESULT_BYTES, "{}", text.len());
            let read: ReplayResult = serde_json::from_str(&text).unwrap();
            let read = read.would_replay.unwrap();
            assert_eq!(read.total, all.total);
            for counts in [&read.reasons, &read.origins, &read.statuses, &read.times] {
                assert_eq!(counts.values().sum::<u64>(), all.total);
            }
        }
    }

    #[test]
    fn equal_filters_have_equal_texts_and_impossible_ones_are_refused() {
        let of = |reasons: [&str; 2]| Filter {
            reasons: reasons.map(str::to_owned).to_vec(),
            ..Filter::default()
        };
        assert_eq!(of(["b", "a"]).normal(), of(["a", "b"]).normal());
        let never = Filter {
            since: Some(5),
            until: Some(5),
            ..Filter::default()
        };
        assert_eq!(never.normal(), Err(NothingMeant));
    }
}
