//! What is measured of pods, and what is still known after the controller was restarted.

use std::time::Duration;

use super::{at, decide, known, last, policy, rest, sample};
use crate::scaling::{PodSample, Policy, Sample, State, reading, scars, step};

#[test]
fn a_pod_that_restarts_does_not_spoil_the_measurement() {
    let mut samples = Vec::new();
    let (mut done, mut busy) = (50_000_u64, 250.0);
    for second in 0..120 {
        if second == 60 {
            (done, busy) = (0, 0.0);
        }
        done += 200;
        busy += 1.0;
        let mut sample = sample(f64::from(second), 10, 10, 1);
        let report = PodSample {
            done,
            busy: Duration::from_secs_f64(busy),
            slots: 1,
            failures: 0,
            slow_downs: 0,
        };
        sample.pods.insert("pod".to_owned(), report);
        samples.push(sample);
    }
    for decision in decide(&policy(), State::default(), &samples) {
        if let Some(capacity) = decision.outlook.capacity_per_pod {
            assert!((capacity - 200.0).abs() < 1.0, "{capacity}");
        }
    }
}

#[test]
fn capacity_counts_all_slots_of_a_pod() {
    let mut samples = Vec::new();
    for second in 0..20_u64 {
        let mut sample = sample(second as f64, 10, 10, 1);
        // Eight at once, 100 ms each.
        let report = PodSample {
            done: second * 40,
            busy: Duration::from_secs(second * 4),
            slots: 8,
            failures: 0,
            slow_downs: 0,
        };
        sample.pods.insert("pod".to_owned(), report);
        samples.push(sample);
    }
    let decision = last(&policy(), State::default(), &samples);
    let capacity = decision.outlook.capacity_per_pod.unwrap();
    assert!((capacity - 80.0).abs() < 0.1, "{capacity}");
}

#[test]
fn time_in_which_a_pod_is_kept_waiting_is_not_learned_as_its_start() {
    let learned = |held_up: bool| {
        let looks = (0..100).map(|second| {
            let (current, ready) = (u32::from(second > 0), u32::from(second > 90));
            Sample {
                current,
                ready,
                // Not at once: a pod may be on its way before anything is known to be in it.
                held_up: held_up && (5..90).contains(&second),
                ..sample(f64::from(second), 580, 0, 0)
            }
        });
        let samples: Vec<Sample> = looks.collect();
        let decision = last(&policy(), State::default(), &samples);
        decision.outlook.start_up.map(|took| took.as_secs())
    };
    assert_eq!(learned(true), None);
    assert_eq!(learned(false), Some(91));
}

#[test]
fn an_order_of_somebody_elses_does_not_say_how_long_pods_take() {
    let mut samples = rest(3, 1);
    // Nobody looks at an idle fleet for a while, and then two more pods are there.
    let mut resized = sample(50.0, 1000, 1000, 3);
    resized.ready = 1;
    samples.push(resized);
    samples.push(sample(53.0, 1000, 1000, 3));
    let policy = Policy { min: 1, ..policy() };
    let told = last(&policy, known(), &samples).outlook.start_up;
    assert_eq!(told, Some(Duration::from_secs(2)));
}

#[test]
fn what_status_kept_is_used_after_a_restart() {
    let first = last(&policy(), known(), &[sample(0.0, 580, 0, 0)]);
    assert_eq!(first.outlook.capacity_per_pod, Some(195.0));
    assert_eq!(first.outlook.start_up, Some(Duration::from_secs(2)));
    let nonsense = State::resume(Some(f64::NAN), Some(Duration::ZERO));
    let first = last(&policy(), nonsense, &[sample(0.0, 580, 0, 0)]);
    assert_eq!(first.outlook.capacity_per_pod, None);
    assert_eq!(first.outlook.start_up, None);
}

#[test]
fn a_restarted_controller_lowers_nothing_until_it_has_watched() {
    let samples: Vec<Sample> = (0..40)
        .map(|second| {
            sample(
                f64::from(second),
                1000 + i64::from(second),
                1000 + i64::from(second),
                12,
            )
        })
        .collect();
    let decisions = decide(&policy(), known(), &samples);
    assert!(decisions.iter().all(|decision| decision.replicas == 12));
}

#[test]
fn a_wait_that_status_knew_of_goes_on_after_a_restart_until_those_records_are_done() {
    let late = || known().late_since(Some(at(-1320.0)));
    let waits = |samples: &[Sample]| last(&policy(), late(), samples).outlook.delay.unwrap();
    let mut samples: Vec<_> = (0..10)
        .map(|second| sample(f64::from(second), 200, 100, 1))
        .collect();
    assert!((1328..=1330).contains(&waits(&samples).as_secs()));
    samples.push(sample(10.0, 200, 150, 1));
    assert!(waits(&samples).as_secs() >= 1328, "some of them are left");
    samples.push(sample(11.0, 200, 200, 1));
    assert_eq!(waits(&samples), Duration::ZERO);
    samples.push(sample(12.0, 300, 200, 1));
    samples.push(sample(15.0, 300, 200, 1));
    assert!(waits(&samples).as_secs() < 10, "these are new");
}

/// One pod worked until the six came, so records still wait from then.
#[test]
fn a_size_that_is_ample_is_not_blamed_for_what_came_before_its_pods() {
    let policy = Policy {
        max_delay: Duration::from_secs(60),
        ..policy()
    };
    for (load, to_blame) in [(475.0, false), (520.0, true)] {
        let mut state = State::resume(Some(100.0), Some(Duration::from_secs(40)));
        let at_second = |second: i32| {
            let time = f64::from(second);
            let done = 100.0 * time + 500.0 * (time - 40.0).max(0.0);
            let each = |records: f64| (records / 12.0) as i64;
            let mut sample = sample(time, each(load * time), each(done), 6);
            sample.current = if second < 10 { 1 } else { 6 };
            sample.ready = if second < 40 { 1 } else { 6 };
            sample
        };
        for second in (0..=60).step_by(5) {
            let sample = at_second(second);
            state = step(&policy, state, &sample, sample.at).0;
        }
        let sample = at_second(60);
        let reading = reading::read(&policy, &sample, &state, sample.at);
        let worth = load / 100.0;
        state.scars = scars::Scars::default();
        scars::learn(&policy, &mut state, &reading, 6);
        let blamed = state.scars.forbid(6, worth, None, sample.at);
        assert_eq!(blamed, to_blame, "{worth} pods' worth: {:?}", state.scars);
    }
}
