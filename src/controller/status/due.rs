//! When a status is worth a write.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::{KafkaConsumerStatus, ScalingStatus, StuckRecord};

/// Numbers that move all the time are written at most this often.
pub const NUMBERS_INTERVAL: Duration = Duration::from_secs(2);

/// When to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing changed.
    Never,
    /// Something that people wait for changed.
    Now,
    /// Only numbers changed, and they are due: once it is their turn.
    Numbers,
    /// Only numbers changed; they are due in this time.
    In(Duration),
}

/// When `next` should replace `written`, which is `age` old (none where it was never written by
/// this process).
pub fn due(
    written: &KafkaConsumerStatus,
    next: &KafkaConsumerStatus,
    age: Option<Duration>,
) -> Due {
    if written == next {
        return Due::Never;
    }
    if essence(written) != essence(next) {
        return Due::Now;
    }
    let rest = age.map_or(Duration::ZERO, |age| NUMBERS_INTERVAL.saturating_sub(age));
    if rest.is_zero() {
        Due::Numbers
    } else {
        Due::In(rest)
    }
}

/// A status without what moves all the time.
fn essence(status: &KafkaConsumerStatus) -> KafkaConsumerStatus {
    let condition = |condition: &Condition| Condition {
        message: String::new(),
        ..condition.clone()
    };
    let stuck = |stuck: &StuckRecord| StuckRecord {
        attempts: 0,
        ..stuck.clone()
    };
    KafkaConsumerStatus {
        lag: None,
        delay: None,
        scaling: status.scaling.as_ref().map(|scaling| ScalingStatus {
            wanted: scaling.wanted,
            since: scaling.since,
            ..Default::default()
        }),
        stuck: status.stuck.iter().map(stuck).collect(),
        conditions: status.conditions.iter().map(condition).collect(),
        ..status.clone()
    }
}
