//! How long the oldest record waits.

use std::time::Duration;

use super::{known, last, policy, rest, sample};
use crate::scaling::Sample;

/// The delay after samples of one a second, of ends and positions that are given for each.
fn delay_after(seconds: &[(f64, i64, i64)]) -> f64 {
    let samples: Vec<_> = seconds
        .iter()
        .map(|&(second, ends, committed)| sample(second, ends, committed, 1))
        .collect();
    let outlook = last(&policy(), known(), &samples).outlook;
    outlook.delay.unwrap().as_secs_f64()
}

#[test]
fn how_long_a_record_waits_is_known_however_many_come_behind_it() {
    // Three minutes of silence, then a record that nothing gets past, and one a second behind it.
    let silence = (0..180).map(|n| (f64::from(n), 1000, 1000));
    for stuck in [30, 60, 200, 2000] {
        let behind = (0..stuck).map(|n| (f64::from(180 + n), 1001 + i64::from(n), 1000));
        let delay = delay_after(&silence.clone().chain(behind).collect::<Vec<_>>());
        let waited = f64::from(stuck);
        assert!(
            (waited - 1.5..=waited).contains(&delay),
            "{delay} of {waited}"
        );
    }
}

#[test]
fn delay_is_read_off_the_past_of_the_end_offset() {
    // Ten records a second arrive in each partition and nobody works: the oldest arrived at 0.
    let samples: Vec<Sample> = (0..21)
        .map(|second| sample(f64::from(second), 100 + 10 * i64::from(second), 100, 1))
        .collect();
    let delay = last(&policy(), known(), &samples)
        .outlook
        .delay
        .unwrap()
        .as_secs_f64();
    assert!((19.5..20.0).contains(&delay), "{delay}");
    // With the group at the end of the fifteenth second it waits since then.
    let mut samples = samples;
    samples.push(sample(21.0, 310, 250, 1));
    let delay = last(&policy(), known(), &samples)
        .outlook
        .delay
        .unwrap()
        .as_secs_f64();
    assert!((5.5..6.1).contains(&delay), "{delay}");
    // Where everything is done nothing waits.
    assert_eq!(
        last(&policy(), known(), &rest(2, 1)).outlook.delay,
        Some(Duration::ZERO)
    );
    // What arrived before anybody looked has no known age.
    assert_eq!(
        last(&policy(), known(), &[sample(0.0, 9, 0, 1)])
            .outlook
            .delay,
        None
    );
}
