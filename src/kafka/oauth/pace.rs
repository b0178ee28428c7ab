//! When a token is asked for. Pure: luck, from 0 to 1, is an argument, so that clients that began together do not
//! ask together for ever.

use std::time::Duration;

/// A token is replaced when this share of its time is over, or a little later.
const USED: f64 = 0.75;
/// So much later at most, as a share of its time.
const SPREAD: f64 = 0.1;
/// Never sooner than this.
const SHORTEST: Duration = Duration::from_secs(1);
/// After a failure, and twice as long after each further one, up to
const AGAIN: Duration = Duration::from_secs(1);
/// this.
const AT_LAST: Duration = Duration::from_secs(30);

/// How long to wait with a token that holds for so long.
pub fn renewal(holds_for: Duration, luck: f64) -> Duration {
    holds_for.mul_f64(USED + SPREAD * luck).max(SHORTEST)
}

/// How long to wait after so many failures in a row, of which there is at least one.
pub fn again(failures: u32, luck: f64) -> Duration {
    let doubled = AGAIN.saturating_mul(1 << failures.saturating_sub(1).min(8));
    doubled.min(AT_LAST).mul_f64(0.75 + 0.25 * luck)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_well_before_it_expires() {
        for (holds_for, luck, after) in [
            (3600.0, 0.0, 2700.0),
            (3600.0, 1.0, 3060.0),
            (10.0, 1.0, 8.5),
            (0.5, 0.0, 1.0),
        ] {
            let wait = renewal(Duration::from_secs_f64(holds_for), luck);
            assert!((wait.as_secs_f64() - after).abs() < 1e-6, "{wait:?}");
        }
    }

    #[test]
    fn an_endpoint_that_fails_is_asked_ever_more_rarely_up_to_a_bound() {
        let waits: Vec<f64> = (1..=8).map(|n| again(n, 1.0).as_secs_f64()).collect();
        assert_eq!(waits, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(again(u32::MAX, 0.0), Duration::from_secs_f64(22.5));
    }
}
