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
    /// Something that people wait for changed, or the numbers are due.
    Now,
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
    if *written == without_first_silence(written, next) {
        return Due::Never;
    }
    if essence(written) != essence(next) {
        return Due::Now;
    }
    let rest = age.map_or(Duration::ZERO, |age| NUMBERS_INTERVAL.saturating_sub(age));
    if rest.is_zero() {
        Due::Now
    } else {
        Due::In(rest)
    }
}

/// That nothing arrives is no news of a fleet of which it was not known yet: it is the second of two
/// writes that every fleet at rest would cost.
fn without_first_silence(
    written: &KafkaConsumerStatus,
    next: &KafkaConsumerStatus,
) -> KafkaConsumerStatus {
    let mut next = next.clone();
    let before = written.scaling.as_ref();
    if let Some(scaling) = &mut next.scaling
        && scaling.arrival_per_second == Some(0.0)
        && before.is_none_or(|before| before.arrival_per_second.is_none())
    {
        scaling.arrival_per_second = None;
    }
    next
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(arrival: Option<f64>, lag: i64) -> KafkaConsumerStatus {
        KafkaConsumerStatus {
            lag: Some(lag),
            scaling: Some(ScalingStatus {
                wanted: Some(0),
                arrival_per_second: arrival,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn that_nothing_arrives_is_news_only_where_something_did() {
        let age = Some(NUMBERS_INTERVAL);
        for (written, next, expected) in [
            (told(None, 0), told(Some(0.0), 0), Due::Never),
            (told(None, 0), told(Some(0.1), 0), Due::Now),
            (told(Some(3.0), 0), told(Some(0.0), 0), Due::Now),
            (told(Some(0.0), 0), told(None, 0), Due::Now),
            (told(None, 0), told(Some(0.0), 1), Due::Now),
        ] {
            assert_eq!(due(&written, &next, age), expected, "{next:?}");
        }
    }
}
