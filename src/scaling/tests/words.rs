//! What is said while the size stays: why fewer are not enough, and what really waits.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{known, last, policy, sample};
use crate::scaling::{PodSample, Policy, Sample, State};

/// Looks each 5 s at a load of so many records per second, which `pods` do.
fn looks(count: usize, rate: i64, pods: u32, behind: i64) -> Vec<Sample> {
    let look = |look: usize| {
        let seconds = 5 * look as i64;
        let done = 1000 + seconds * rate / 12;
        let mut sample = sample(seconds as f64, done, done - behind, pods);
        let of_pod = PodSample {
            done: (seconds * rate) as u64 / u64::from(pods),
            busy: Duration::from_secs_f64((seconds * rate) as f64 / f64::from(pods) / 195.0),
            slots: 1,
            failures: 0,
            slow_downs: 0,
        };
        let pods = (0..pods).map(|pod| (format!("pod-{pod}"), of_pod.clone()));
        sample.pods = pods.collect::<BTreeMap<_, _>>();
        sample
    };
    (0..count).map(look).collect()
}

#[test]
fn a_size_that_is_enough_says_why_the_next_smaller_one_is_not() {
    let policy = Policy { min: 1, ..policy() };
    let decision = last(&policy, known(), &looks(60, 600, 4, 0));
    assert_eq!(decision.replicas, 4);
    let words = decision.reasons[0].to_string();
    assert!(
        words.starts_with("4 pods are enough: 0 records wait, 600 per second arrive; 3 would do "),
        "{words}"
    );
    assert!(words.contains("a pod does 195"), "{words}");
    // There is no smaller one.
    let decision = last(&policy, known(), &looks(60, 120, 1, 0));
    let words = decision.reasons[0].to_string();
    assert!(words.ends_with("120 per second arrive"), "{words}");
}

/// Each look finds what has come since the last commit.
#[test]
fn what_is_done_and_not_committed_yet_is_not_said_to_wait() {
    let decision = last(&policy(), State::default(), &looks(60, 600, 4, 200));
    let words = decision.reasons[0].to_string();
    assert!(words.contains("enough: 0 records wait"), "{words}");
    let late = last(&policy(), State::default(), &looks(60, 600, 4, 900));
    let words = late.reasons[0].to_string();
    assert!(!words.contains(" 0 records wait"), "{words}");
}
