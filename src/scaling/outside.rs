//! A size that somebody else has chosen, kept inside of what the user and the partitions allow.

use std::time::Duration;

use jiff::Timestamp;

use super::{Policy, Why};

/// A size from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounded {
    /// Pods.
    pub replicas: u32,
    /// What kept it from being as it was chosen.
    pub why: Option<Why>,
    /// When a peak begins or ends.
    pub changes_at: Option<Timestamp>,
}

/// The allowed size that is nearest to `chosen`. `partitions` are none while nobody has counted them; pods
/// for a peak are ordered `lead` before it. Sizes that bring nothing are not passed over: whoever decides
/// is told what became of the decision.
pub fn bounded(
    policy: &Policy,
    chosen: u32,
    partitions: Option<u32>,
    lead: Duration,
    now: Timestamp,
) -> Bounded {
    let standing = policy.schedule.at(now, lead);
    let peak = standing.floor.filter(|peak| peak.min > policy.min);
    let least = peak.as_ref().map_or(policy.min, |peak| peak.min);
    let counted = partitions.unwrap_or(u32::MAX);
    let most = policy.max.unwrap_or(u32::MAX).min(counted);
    let least = least.min(most);
    let why = if chosen > most {
        Some(match policy.max {
            Some(max) if max < counted => Why::CappedByMax {
                wanted: chosen,
                max,
                useful: max,
            },
            _ => Why::CappedByPartitions {
                wanted: chosen,
                partitions: counted,
            },
        })
    } else if chosen < least {
        let partitions = partitions.unwrap_or(0);
        Some(match peak {
            Some(peak) => Why::Scheduled {
                peak: Box::new(peak),
                partitions,
            },
            None => Why::AtLeastMin {
                min: policy.min,
                partitions,
            },
        })
    } else {
        None
    };
    Bounded {
        replicas: chosen.clamp(least, most),
        why,
        changes_at: standing.changes_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::{Days, Peak, Schedule};
    use jiff::civil::Time;
    use jiff::tz::TimeZone;

    #[test]
    fn a_peak_is_a_bound_like_the_others() {
        let policy = Policy {
            min: 1,
            schedule: Schedule(vec![Peak {
                days: Days::Every,
                from: Time::constant(8, 0, 0, 0),
                to: Time::constant(18, 0, 0, 0),
                zone: TimeZone::UTC,
                min: 6,
            }]),
            max: Some(8),
            max_delay: Duration::from_secs(60),
            idle_to_zero: None,
            rate: None,
            concurrency: 1,
        };
        let at = |time: &str, chosen| {
            let now = format!("2026-11-26T{time}Z").parse().expect("a time");
            bounded(&policy, chosen, Some(12), Duration::from_secs(60), now)
        };
        let before = at("07:58:00", 2);
        assert_eq!((before.replicas, before.why), (2, None));
        let ordered = "2026-11-26T07:59:00Z".parse().expect("a time");
        assert_eq!(before.changes_at, Some(ordered));
        for (time, chosen, replicas) in [
            ("07:59:30", 2, 6),
            ("12:00:00", 2, 6),
            ("12:00:00", 7, 7),
            ("12:00:00", 20, 8),
            ("18:00:00", 2, 2),
        ] {
            assert_eq!(at(time, chosen).replicas, replicas, "{chosen} at {time}");
        }
        let held = at("12:00:00", 2).why.expect("a reason");
        assert_eq!(held.label(), "Scheduled");
        assert!(!held.is_limit());
    }
}
