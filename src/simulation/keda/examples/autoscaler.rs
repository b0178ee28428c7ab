//! One sync of the HPA after the other.

use super::super::hpa::{Limit, Rules, Select};
use super::*;

#[test]
fn a_tenth_more_or_less_is_no_change() {
    for (lag, wanted) in [
        (90.0, None),
        (110.0, None),
        (111.0, Some(12)),
        (89.0, Some(9)),
    ] {
        // Nothing of the past holds it: no window.
        let mut behavior = Behavior::default();
        behavior.down.window = 0.0;
        let mut hpa = hpa(100, Some(behavior));
        assert_eq!(
            hpa.sync(0.0, scale(10), &[average(lag, 10.0)]),
            wanted,
            "{lag}"
        );
    }
}

#[test]
fn each_direction_may_have_a_tolerance_of_its_own() {
    let mut behavior = Behavior::default();
    behavior.up.tolerance = 0.0;
    behavior.down.tolerance = 0.5;
    behavior.down.window = 0.0;
    for (lag, wanted) in [(101.0, Some(11)), (60.0, None), (49.0, Some(5))] {
        let mut hpa = hpa(100, Some(behavior.clone()));
        assert_eq!(
            hpa.sync(0.0, scale(10), &[average(lag, 10.0)]),
            wanted,
            "{lag}"
        );
    }
}

#[test]
fn a_value_is_held_against_the_ready_pods() {
    let value = |value| Metric {
        value: Some(value),
        target: Target::Value(100.0),
    };
    let scale = Scale {
        spec: 4,
        status: 4,
        ready: 6,
    };
    // 1.5 times the target and six ready pods, of which two are leaving.
    assert_eq!(hpa(100, None).sync(0.0, scale, &[value(150.0)]), Some(8));
    assert_eq!(
        hpa(100, Some(Behavior::default())).sync(0.0, scale, &[value(150.0)]),
        Some(8)
    );
    assert_eq!(hpa(100, None).sync(0.0, scale, &[value(105.0)]), None);
}

#[test]
fn the_limits_of_the_spec_come_first_and_know_no_policies() {
    let metric = average(0.0, 10.0);
    assert_eq!(hpa(10, None).sync(0.0, scale(60), &[metric]), Some(10));
    let mut five_at_least = Hpa::new(Spec {
        min: 5,
        max: 50,
        behavior: None,
    });
    assert_eq!(five_at_least.sync(0.0, scale(2), &[metric]), Some(5));
    // A minimum that is not zero, and no pods: somebody has switched it off.
    assert_eq!(five_at_least.sync(0.0, scale(0), &[metric]), None);
}

#[test]
fn the_largest_metric_wins_and_a_failed_one_only_lets_it_grow() {
    let failed = Metric {
        value: None,
        target: Target::AverageValue(10.0),
    };
    let sync =
        |metrics: &[Metric]| hpa(100, Some(Behavior::default())).sync(0.0, scale(5), metrics);
    assert_eq!(sync(&[average(20.0, 10.0), average(70.0, 10.0)]), Some(7));
    assert_eq!(sync(&[failed, failed]), None);
    assert_eq!(sync(&[failed, average(20.0, 10.0)]), None);
    assert_eq!(sync(&[failed, average(70.0, 10.0)]), Some(7));
}

#[test]
fn without_behaviour_a_fleet_doubles_or_goes_to_four() {
    let huge = average(1e9, 10.0);
    assert_eq!(
        ramp(&mut hpa(100, None), 1, 6, huge),
        [1, 4, 8, 16, 32, 64, 100]
    );
}

#[test]
fn with_any_behaviour_it_grows_by_four_or_doubles() {
    let huge = average(1e9, 10.0);
    assert_eq!(
        ramp(&mut hpa(100, Some(Behavior::default())), 1, 6, huge),
        [1, 5, 10, 20, 40, 80, 100]
    );
}

#[test]
fn for_five_minutes_the_highest_recommendation_holds_a_fleet_up() {
    for behavior in [None, Some(Behavior::default())] {
        let mut hpa = hpa(100, behavior);
        assert_eq!(hpa.sync(0.0, scale(8), &[average(80.0, 10.0)]), None);
        for sync in 1..20 {
            let at = f64::from(sync) * 15.0;
            assert_eq!(hpa.sync(at, scale(8), &[average(20.0, 10.0)]), None, "{at}");
        }
        // At 300 s the eight of the first sync is no longer recent.
        assert_eq!(hpa.sync(300.0, scale(8), &[average(20.0, 10.0)]), Some(2));
    }
}

#[test]
fn what_is_remembered_is_what_was_wanted_and_not_what_was_done() {
    // Ten are wanted and four are got: five minutes later the ten still count.
    let mut hpa = hpa(100, None);
    assert_eq!(hpa.sync(0.0, scale(1), &[average(100.0, 10.0)]), Some(4));
    assert_eq!(hpa.sync(15.0, scale(4), &[average(10.0, 10.0)]), Some(8));
    assert_eq!(hpa.sync(30.0, scale(8), &[average(10.0, 10.0)]), Some(10));
    assert_eq!(hpa.sync(299.0, scale(10), &[average(10.0, 10.0)]), None);
    assert_eq!(hpa.sync(300.0, scale(10), &[average(10.0, 10.0)]), Some(1));
}

#[test]
fn a_window_for_growing_takes_the_lowest_of_its_time() {
    let mut behavior = Behavior::default();
    behavior.up.window = 60.0;
    let mut hpa = hpa(100, Some(behavior));
    // The first sync seeds the memory with the present size.
    for at in [0.0, 15.0, 30.0, 45.0] {
        assert_eq!(hpa.sync(at, scale(2), &[average(60.0, 10.0)]), None, "{at}");
    }
    assert_eq!(hpa.sync(60.0, scale(2), &[average(90.0, 10.0)]), Some(6));
}

fn down(select: Select, policies: Vec<Limit>) -> Behavior {
    let defaults = Behavior::default();
    Behavior {
        down: Rules {
            window: 0.0,
            select,
            policies,
            ..defaults.down
        },
        ..defaults
    }
}

#[test]
fn policies_limit_what_goes_within_their_period() {
    let pods = Limit::Pods {
        value: 3,
        period: 60.0,
    };
    let percent = Limit::Percent {
        value: 25,
        period: 60.0,
    };
    let idle = average(0.0, 10.0);
    // 25 % of 10 leaves 7.5, cut to 7; three pods leave 7 too. A minute later 7 leaves 5.25 or 4.
    for (select, sizes) in [(Select::Max, [10, 7, 4]), (Select::Min, [10, 7, 5])] {
        let mut hpa = hpa(100, Some(down(select, vec![pods, percent])));
        assert_eq!(ramp(&mut hpa, 10, 5, idle), sizes, "{select:?}");
    }
    let mut disabled = hpa(100, Some(down(Select::Disabled, vec![pods])));
    assert_eq!(ramp(&mut disabled, 10, 40, idle), [10]);
}

#[test]
fn a_period_counts_what_has_grown_and_what_has_gone_in_it() {
    let mut behavior = Behavior::default();
    behavior.up.policies = vec![Limit::Pods {
        value: 4,
        period: 60.0,
    }];
    let mut hpa = hpa(100, Some(behavior));
    // Four now; within the same minute none more, and then four again.
    assert_eq!(ramp(&mut hpa, 2, 9, average(1e6, 10.0)), [2, 6, 10, 14]);
}

#[test]
fn another_controller_manager_remembers_nothing() {
    let mut hpa = hpa(100, None);
    hpa.sync(0.0, scale(8), &[average(80.0, 10.0)]);
    assert_eq!(hpa.sync(15.0, scale(8), &[average(20.0, 10.0)]), None);
    hpa.forget();
    // It seeds the memory with the size that it finds; what was wanted before is gone.
    assert_eq!(hpa.sync(30.0, scale(8), &[average(20.0, 10.0)]), None);
    assert_eq!(hpa.sync(330.0, scale(8), &[average(20.0, 10.0)]), Some(2));
}
