//! What stands in for a metric that cannot be read.

use super::super::scaled_object::{Fallback, FallbackBehavior, ScaledObject, Spec};
use super::*;

fn object(behavior: FallbackBehavior) -> ScaledObject {
    let fallback = Fallback {
        failure_threshold: 3,
        replicas: 6,
        behavior,
    };
    let spec = Spec {
        fallback: Some(fallback),
        ..Spec::default()
    };
    ScaledObject::new(spec, 0.0)
}

#[test]
fn both_clocks_count_failures_and_one_success_forgets_them() {
    let mut object = object(FallbackBehavior::Static);
    // The scale loop at 0 s and 30 s, the HPA at 0 s, 15 s and 30 s: the fourth failure is the
    // first beyond the threshold, 30 s after the first and not 90.
    let mut falls_back = Vec::new();
    for at in [0, 0, 15, 30, 30] {
        object.count(true);
        falls_back.push((at, object.falls_back_to(2)));
    }
    let expected = [
        (0, None),
        (0, None),
        (15, None),
        (30, Some(6)),
        (30, Some(6)),
    ];
    assert_eq!(falls_back, expected);
    object.count(false);
    assert_eq!(object.falls_back_to(2), None);
}

#[test]
fn each_behaviour_has_its_own_pods() {
    use FallbackBehavior::{
        CurrentReplicas, CurrentReplicasIfHigher, CurrentReplicasIfLower, Static,
    };
    for (behavior, at_two, at_nine) in [
        (Static, 6, 6),
        (CurrentReplicas, 2, 9),
        (CurrentReplicasIfHigher, 6, 9),
        (CurrentReplicasIfLower, 2, 6),
    ] {
        let mut object = object(behavior);
        for _ in 0..4 {
            object.count(true);
        }
        assert_eq!(object.falls_back_to(2), Some(at_two), "{behavior:?}");
        assert_eq!(object.falls_back_to(9), Some(at_nine), "{behavior:?}");
    }
}

#[test]
fn the_hpa_gets_threshold_times_pods_and_treats_it_as_any_metric() {
    // Six pods' worth at threshold 10: from two pods straight to four, then to six.
    assert_eq!(
        ramp(&mut hpa(100, None), 2, 4, average(60.0, 10.0)),
        [2, 4, 6]
    );
}

#[test]
fn a_trigger_in_fallback_counts_as_work() {
    let mut object = object(FallbackBehavior::Static);
    for _ in 0..4 {
        object.count(true);
    }
    assert_eq!(object.poll(30.0, 0, None), Some(1));
}
