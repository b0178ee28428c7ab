//! A fleet that has nothing to do: when its pods go, and the last one.

use std::time::Duration;

use super::{at, decide, known, labels, last, policy, rest};
use crate::scaling::{Policy, State};

/// The user lets the last pod go after thirty idle seconds.
fn half_a_minute() -> Policy {
    Policy {
        idle_to_zero: Some(Duration::from_secs(30)),
        ..policy()
    }
}

#[test]
fn the_last_pod_stays_as_long_as_the_user_wants_it_to() {
    let decisions = decide(&half_a_minute(), known(), &rest(100, 1));
    let zero = decisions
        .iter()
        .position(|decision| decision.replicas == 0)
        .unwrap();
    assert!((30..32).contains(&zero), "{zero}");
    assert_eq!(labels(&decisions[zero - 1])[0], "StaysAwake");
    assert_eq!(labels(&decisions[zero])[0], "Idle");
    // Decisions say when it is time, even if no sample comes before that.
    let soon = &decisions[zero - 2];
    assert!(soon.look_again_at <= at(zero as f64 + 1.0), "{soon:?}");
}

/// What is told of when a size may change is when it does.
#[test]
fn a_decision_that_waits_says_until_when() {
    let lowered = |policy: &Policy, pods: u32| {
        let decisions = decide(policy, known(), &rest(400, pods));
        let lowered = decisions.iter().position(|one| one.replicas < pods);
        let lowered = lowered.expect("an idle fleet is lowered");
        for (second, decision) in decisions[..lowered].iter().enumerate().skip(2) {
            let next = decision.next_at.expect("it is known how long that takes");
            let told = next.duration_since(at(0.0)).as_secs_f64();
            assert!(
                (told - lowered as f64).abs() <= 1.5,
                "{told} is told at {second}, and it is {lowered}"
            );
        }
        decisions
    };
    // Until the user lets it, and until it is worth it.
    let decisions = lowered(&half_a_minute(), 1);
    lowered(&policy(), 12);
    // At rest nothing is waited for.
    let zero = rest(60, 0).into_iter().map(|mut sample| {
        sample.at += jiff::SignedDuration::from_secs(1000);
        sample
    });
    let zero: Vec<_> = zero.collect();
    let at_rest = decide(&policy(), known(), &zero);
    assert!(at_rest.iter().all(|decision| decision.next_at.is_none()));
    assert_eq!(decisions.last().unwrap().next_at, None);
}

/// One of two crashes again and again, now and then ready for a moment; or a roll-out comes to no end.
#[test]
fn what_pods_do_keeps_no_idle_fleet_awake() {
    let mut never = rest(100, 2);
    let mut again = rest(100, 2);
    let mut rolling = rest(100, 2);
    for second in 0..100 {
        never[second].ready = 1;
        again[second].ready = if second % 25 == 3 { 2 } else { 1 };
        rolling[second].rolling = true;
    }
    for samples in [never, again, rolling] {
        let decisions = decide(&half_a_minute(), known(), &samples);
        let zero = decisions
            .iter()
            .position(|decision| decision.replicas == 0)
            .expect("it goes to zero");
        assert!((30..32).contains(&zero), "{zero}");
        // Nor where it is Drover's to say when that is worth it.
        let decisions = decide(&policy(), known(), &samples);
        assert_eq!(decisions.last().unwrap().replicas, 0);
    }
}

#[test]
fn the_others_of_an_idle_fleet_go_before_the_last_one_if_that_is_worth_it() {
    let decisions = decide(&half_a_minute(), known(), &rest(100, 12));
    let lower = decisions
        .iter()
        .position(|decision| decision.replicas < 12)
        .unwrap();
    assert_eq!(decisions[lower].replicas, 1);
    assert!((8..20).contains(&lower), "{lower}");
    // Nine seconds before the end two pods are not worth a rebalance of their own.
    let two = decide(&half_a_minute(), known(), &rest(100, 2));
    assert!(two.iter().all(|decision| decision.replicas != 1));
}

#[test]
fn a_longer_wait_than_is_worth_it_is_kept_too() {
    let policy = Policy {
        idle_to_zero: Some(Duration::from_secs(600)),
        ..policy()
    };
    let decisions = decide(&policy, known(), &rest(590, 1));
    assert!(decisions.iter().all(|decision| decision.replicas == 1));
}

#[test]
fn an_idle_fleet_goes_to_zero_once_it_is_worth_it() {
    let decisions = decide(&policy(), known(), &rest(200, 12));
    let zero = decisions
        .iter()
        .position(|decision| decision.replicas == 0)
        .unwrap();
    assert!((8..20).contains(&zero), "{zero}");
    assert_eq!(labels(&decisions[zero - 1])[0], "NotWorthItYet");
    assert_eq!(labels(&decisions[zero])[0], "Idle");
    // One pod costs less, so it is kept for longer.
    let decisions = decide(&policy(), known(), &rest(400, 1));
    let zero = decisions
        .iter()
        .position(|decision| decision.replicas == 0)
        .unwrap();
    assert!((100..200).contains(&zero), "{zero}");
}

#[test]
fn a_decision_to_lower_says_when_it_is_due() {
    let decisions = decide(&policy(), known(), &rest(3, 12));
    let due = decisions[2].look_again_at;
    assert!(due > at(2.0) && due <= at(7.1), "{due}");
}

#[test]
fn zero_is_not_allowed_where_waking_up_breaks_the_promise() {
    let slow = State::resume(Some(195.0), Some(Duration::from_secs(40)));
    let samples = rest(600, 2);
    let decisions = decide(&policy(), slow.clone(), &samples);
    assert!(decisions.iter().all(|decision| decision.replicas >= 1));
    let held = decisions.last().unwrap();
    assert_eq!(held.replicas, 1, "{held:?}");
    let last = last(&policy(), slow, &rest(600, 1));
    assert_eq!(last.replicas, 1);
    // With a longer promise it may.
    let patient = Policy {
        max_delay: Duration::from_secs(60),
        ..policy()
    };
    let slow = State::resume(Some(195.0), Some(Duration::from_secs(40)));
    let decisions = decide(&patient, slow, &rest(600, 1));
    assert_eq!(decisions.last().unwrap().replicas, 0);
}
