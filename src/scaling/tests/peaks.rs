//! The schedule: peaks bring their pods in time, within the limits.

use std::time::Duration;

use super::{at, known, labels, last, policy, rest, sample};
use crate::scaling::{Days, Peak, Policy, Schedule, State, Watch, step};

/// A peak of `pods` that begins `begins` seconds after the first sample and lasts as many.
fn peak(begins: f64, lasts: f64, pods: u32) -> Schedule {
    let utc = jiff::tz::TimeZone::UTC;
    let shown = |seconds: f64| utc.to_datetime(at(seconds)).time();
    Schedule(vec![Peak {
        days: Days::Every,
        from: shown(begins),
        to: shown(begins + lasts),
        zone: utc.clone(),
        min: pods,
    }])
}

#[test]
fn a_fleet_at_zero_has_its_pods_when_a_peak_begins_and_goes_back_after_it() {
    let policy = Policy {
        schedule: peak(100.0, 300.0, 5),
        idle_to_zero: Some(Duration::from_secs(10)),
        ..policy()
    };
    // Pods start in two seconds and take some more to share the partitions.
    let (mut state, mut size) = (known(), 0);
    let mut changes = Vec::new();
    for second in 0..600 {
        let time = f64::from(second);
        let (next, decision) = step(&policy, state, &sample(time, 1000, 1000, size), at(time));
        state = next;
        if decision.replicas != size {
            changes.push((second, decision.replicas, labels(&decision)[0]));
            size = decision.replicas;
        }
    }
    let [(raised, 5, "Scheduled"), .., (lowered, 0, "Idle")] = changes[..] else {
        panic!("{changes:?}");
    };
    assert!((90..98).contains(&raised), "{changes:?}");
    assert!((400..500).contains(&lowered), "{changes:?}");
}

#[test]
fn a_peak_that_pods_were_ordered_for_is_waited_for_though_they_were_ready_sooner_than_thought() {
    let policy = Policy {
        schedule: peak(100.0, 300.0, 5),
        idle_to_zero: Some(Duration::from_secs(1)),
        ..policy()
    };
    let (mut state, mut size) = (State::resume(Some(195.0), Some(Duration::from_secs(8))), 0);
    let mut sizes = Vec::new();
    for second in 0..200 {
        let time = f64::from(second);
        let (next, decision) = step(&policy, state, &sample(time, 1000, 1000, size), at(time));
        state = next;
        if decision.replicas != size {
            size = decision.replicas;
            sizes.push(size);
            // They were there at once.
            state.orders = known().orders;
        }
    }
    assert_eq!(sizes, [5]);
}

#[test]
fn a_peak_wakes_whoever_waits_for_it_and_needs_no_fresh_offsets() {
    let policy = Policy {
        schedule: peak(40.0, 300.0, 5),
        ..policy()
    };
    let mut state = known();
    for second in 0..5 {
        let time = f64::from(second);
        state = step(&policy, state, &sample(time, 0, 0, 0), at(time)).0;
    }
    let (state, waits) = step(&policy, state, &sample(5.0, 0, 0, 0), at(5.0));
    assert_eq!((waits.replicas, waits.watch), (0, Watch::ForArrivals));
    let wait = waits.look_again_at.duration_since(at(5.0)).as_secs_f64();
    assert!((25.0..34.0).contains(&wait), "{wait}");
    // At zero nobody reads offsets while nothing arrives.
    let (_, woken) = step(&policy, state, &sample(5.0, 0, 0, 0), waits.look_again_at);
    assert_eq!((woken.replicas, labels(&woken)[0]), (5, "Scheduled"));
    let words = woken.reasons[0].to_string();
    assert!(
        words.contains("scaling.schedule[0] keeps 5 from "),
        "{words}"
    );
    assert!(words.contains("(UTC)"), "{words}");
}

#[test]
fn a_peak_stays_within_the_limits_and_says_so() {
    let many = Policy {
        schedule: peak(-10.0, 300.0, 20),
        ..policy()
    };
    let decision = last(&many, known(), &[sample(0.0, 0, 0, 0)]);
    assert_eq!(decision.replicas, 12);
    let words = decision.reasons[0].to_string();
    assert!(words.contains("only 12 partitions"), "{words}");
    let few = Policy {
        min: 6,
        schedule: peak(-10.0, 300.0, 4),
        ..policy()
    };
    let decision = last(&few, known(), &[sample(0.0, 0, 0, 0)]);
    assert_eq!(
        (decision.replicas, labels(&decision)[0]),
        (6, "AtLeastMinReplicas")
    );
}

#[test]
fn a_peak_that_keeps_the_size_is_told_as_long_as_it_does() {
    let policy = Policy {
        schedule: peak(-10.0, 300.0, 5),
        ..policy()
    };
    let told =
        |seconds: usize| labels(&last(&policy, known(), &rest(seconds, 5))).contains(&"Scheduled");
    assert!(told(1) && told(200));
    assert!(!told(295), "it is over after 290 s");
}

#[test]
fn within_a_peak_the_load_may_ask_for_more() {
    let policy = Policy {
        schedule: peak(-10.0, 3000.0, 4),
        ..policy()
    };
    let decision = last(&policy, known(), &[sample(0.0, 3000, 0, 4)]);
    assert!(decision.replicas > 4, "{decision:?}");
    assert_eq!(labels(&decision)[0], "DelayProjected");
}
