//! How long to wait before the next attempt: doubled each time, capped, with jitter; or as long as is written for it.
//!
//! Jitter comes from a hash of what is tried, not from a random number: the same history gives the
//! same waits, and a thousand records that failed together still come back apart.

use std::time::Duration;

/// The wait after `failures` failures: between half and all of `initial` doubled `failures - 1`
/// times, `max` at most.
pub(super) fn growing(initial: Duration, max: Duration, failures: u32, seed: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let full = initial.saturating_mul(1 << doublings).min(max);
    jittered(full, seed)
}

/// At least `wait`, and up to a twentieth more: what somebody has written is never cut short.
pub(super) fn at_least(wait: Duration, seed: u64) -> Duration {
    wait + jittered(wait / 10, seed).saturating_sub(wait / 20)
}

/// The longest that [`at_least`] gives.
pub(super) fn longest(wait: Duration) -> Duration {
    wait + wait / 10
}

/// Between half and all of `full`.
pub(super) fn jittered(full: Duration, seed: u64) -> Duration {
    let half = full / 2;
    let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
    let part = (u128::from(nanos) * u128::from(scrambled(seed))) >> 64;
    full - half + Duration::from_nanos(u64::try_from(part).unwrap_or(nanos))
}

/// A seed of what is tried: lane, offset and attempt.
pub(super) fn seed(lane: u32, offset: i64, attempt: u32) -> u64 {
    scrambled(scrambled(u64::from(lane)) ^ offset.cast_unsigned()) ^ u64::from(attempt)
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014).
fn scrambled(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIAL: Duration = Duration::from_millis(500);
    const MAX: Duration = Duration::from_secs(30);

    #[test]
    fn waits_double_up_to_the_cap_and_are_at_least_half() {
        for (failures, full_ms) in [(1, 500), (2, 1000), (3, 2000), (7, 30_000), (999, 30_000)] {
            for offset in 0..100 {
                let wait = growing(INITIAL, MAX, failures, seed(0, offset, failures));
                let full = Duration::from_millis(full_ms);
                assert!(wait <= full && wait >= full / 2, "{failures}: {wait:?}");
            }
        }
    }

    #[test]
    fn what_is_written_is_waited_and_a_twentieth_more_at_most() {
        let hour = Duration::from_secs(3600);
        for offset in 0..100 {
            let wait = at_least(hour, seed(0, offset, 6));
            assert!(wait >= hour && wait <= hour + hour / 20, "{wait:?}");
        }
    }

    #[test]
    fn records_that_fail_together_come_back_apart() {
        let waits: std::collections::HashSet<_> = (0..100)
            .map(|offset| growing(INITIAL, MAX, 3, seed(1, offset, 3)).as_millis())
            .collect();
        assert!(waits.len() > 80, "{}", waits.len());
    }

    #[test]
    fn the_same_history_gives_the_same_wait() {
        assert_eq!(
            growing(INITIAL, MAX, 3, seed(1, 7, 3)),
            growing(INITIAL, MAX, 3, seed(1, 7, 3))
        );
    }
}
