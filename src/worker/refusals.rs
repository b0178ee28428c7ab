//! What Kafka does not allow us, each told apart by what is missing, until it is allowed.
//!
//! Nothing is lost by a refusal: librdkafka asks again by itself, and what is not read or committed
//! waits where it is.

use std::collections::BTreeMap;

use tracing::{info, warn};

use super::consume::Loop;
use super::health::Health;
use crate::kafka::errors::Code;
use crate::topic::TopicPartition;

/// Whose rights they are.
const FOR_WHOM: &str = "for the user of spec.kafka";

/// What Kafka refuses at present, by what it is.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<Refused, String>);

/// What may be refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Refused {
    /// To be a member of the group.
    Group,
    /// To read a topic.
    Topic(String),
    /// To see one of the topics; Kafka says which only in words.
    SomeTopic,
}

impl Refusals {
    fn add(&mut self, what: Refused, words: String, health: &Health) {
        if self.0.insert(what, words.clone()).is_none() {
            warn!(why = words, "Kafka refuses it; still trying");
            self.tell(health);
        }
    }

    fn lift(&mut self, health: &Health, is_over: impl Fn(&Refused) -> bool) {
        let before = self.0.len();
        self.0.retain(|what, words| {
            let over = is_over(what);
            if over {
                info!(what = words, "Kafka allows it now");
            }
            !over
        });
        if self.0.len() != before {
            self.tell(health);
        }
    }

    fn tell(&self, health: &Health) {
        let all: Vec<_> = self.0.values().map(String::as_str).collect();
        health.refused((!all.is_empty()).then(|| all.join("; ")).as_deref());
    }
}

impl Loop {
    /// Kafka refuses us, where it is known in which topic.
    pub fn refused(&mut self, code: Code, topic: Option<&str>, reason: &str) {
        let (what, words) = match (code, topic) {
            (Code::GroupAuthorizationFailed, _) => (Refused::Group, group_words(&self.group_id)),
            (_, Some(topic)) => (
                Refused::Topic(topic.to_owned()),
                format!("topic {topic} may not be read; allow Read on it {FOR_WHOM}"),
            ),
            (_, None) => (
                Refused::SomeTopic,
                format!("{reason}; allow Read and Describe on the topic {FOR_WHOM}"),
            ),
        };
        self.refusals.add(what, words, &self.health);
    }

    /// The group has given us something: it takes us, and its topics are seen.
    pub fn group_takes_us(&mut self) {
        self.refusals
            .lift(&self.health, |what| !matches!(what, Refused::Topic(_)));
    }

    /// A commit was taken.
    pub fn commits_are_allowed(&mut self) {
        self.refusals
            .lift(&self.health, |what| *what == Refused::Group);
    }

    /// Something was read of a topic.
    pub fn topic_allows(&mut self, topic: &str) {
        if !self.refusals.0.is_empty() {
            let read = |what: &Refused| *what == Refused::Topic(topic.to_owned());
            self.refusals.lift(&self.health, read);
        }
    }

    /// What is missing where a commit is refused.
    pub fn commit_words(&self, code: Code, refused: Option<&TopicPartition>) -> String {
        match (code, refused) {
            (Code::GroupAuthorizationFailed, _) => group_words(&self.group_id),
            (Code::TopicAuthorizationFailed, Some(TopicPartition { topic, .. })) => {
                format!("for topic {topic}; allow Read on it {FOR_WHOM}")
            }
            _ => code.to_string(),
        }
    }
}

fn group_words(group: &str) -> String {
    format!("consumer group {group} may not be used; allow Read on it {FOR_WHOM}")
}
