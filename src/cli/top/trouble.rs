//! How much a fleet needs somebody. Pure.

use std::cmp::Reverse;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::{KafkaConsumer, Span, names::condition};
use crate::cli::status::is_well;

/// How a fleet is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    pub level: Level,
    /// The delay beside the promise, in percent; None where one is not known.
    pub late: Option<u64>,
    /// What is not well, in the condition's words.
    pub why: Option<String>,
    lag: Option<i64>,
}

/// From bad to good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// A condition says so.
    Broken,
    /// The promise is not kept.
    Late,
    /// A roll-out or a change of size is under way.
    Changing,
    /// Whether it is well is not known, or not yet.
    Unknown,
    Well,
    Paused,
}

impl Trouble {
    /// What is sorted by: the worst first.
    pub fn rank(&self) -> (Level, Reverse<Option<u64>>, Reverse<Option<i64>>) {
        (self.level, Reverse(self.late), Reverse(self.lag))
    }
}

pub(super) fn trouble(consumer: &KafkaConsumer) -> Trouble {
    let status = consumer.status.clone().unwrap_or_default();
    let promise = consumer.spec.scaling.max_delay.0.as_millis().max(1);
    let delay = status
        .delay
        .as_deref()
        .and_then(|text| text.parse::<Span>().ok());
    let late =
        delay.map(|delay| u64::try_from(delay.0.as_millis() * 100 / promise).unwrap_or(u64::MAX));
    // What bounds the size, what is under way and what somebody chose is no fault.
    let expected = [
        condition::SCALING_LIMITED,
        condition::PROGRESSING,
        condition::PAUSED,
    ];
    let wrong: Vec<&Condition> = status
        .conditions
        .iter()
        .filter(|c| !expected.contains(&&*c.type_) && c.status != "Unknown")
        .filter(|c| !is_well(c))
        .collect();
    // Ready only says that something is not well; what that is says more.
    let other = wrong.iter().find(|c| c.type_ != condition::READY);
    let is_changing = status
        .conditions
        .iter()
        .any(|c| c.type_ == condition::PROGRESSING && c.status == "True");
    let is_known = status
        .conditions
        .iter()
        .any(|c| c.type_ == condition::READY && c.status != "Unknown");
    let told = other.or(wrong.first()).copied();
    let level = match () {
        () if consumer.spec.paused => Level::Paused,
        () if other.is_some() || (told.is_some() && !is_changing) => Level::Broken,
        () if late.is_some_and(|late| late > 100) => Level::Late,
        () if is_changing => Level::Changing,
        () if !is_known => Level::Unknown,
        () => Level::Well,
    };
    Trouble {
        level,
        late,
        why: told.map(|c| format!("{} ({}): {}", c.type_, c.reason, c.message)),
        lag: status.lag,
    }
}
