//! What holds in the world whatever is tried in it.

use super::keda::{Keda, Tuning};
use super::*;

/// `rate` whole records in every second.
fn steady(rate: u32, seconds: u32) -> Trace {
    let lines: Vec<String> = (0..seconds).map(|t| format!("{t},{rate}")).collect();
    Trace::read(&lines.join("\n")).unwrap()
}

/// From `low` to `high` and back every ten minutes.
fn waves(low: u32, high: u32, seconds: u32) -> Trace {
    let rate = |t: u32| {
        if (t / 600).is_multiple_of(2) {
            low
        } else {
            high
        }
    };
    let lines: Vec<String> = (0..seconds).map(|t| format!("{t},{}", rate(t))).collect();
    Trace::read(&lines.join("\n")).unwrap()
}

fn policies(setup: &Setup) -> Vec<(&'static str, Box<dyn Controller>)> {
    let tuned = Tuning {
        lag_seconds: Some(10.0),
        rate_share: Some(0.7),
        down_window: Some(120.0),
        ..Tuning::default()
    };
    vec![
        ("fixed", Box::new(Fixed(4))),
        ("drover", Box::new(Drover::new(setup))),
        ("keda", Box::new(Keda::new(setup, &Tuning::default()))),
        ("keda tuned", Box::new(Keda::new(setup, &tuned))),
    ]
}

fn faults() -> Vec<Faults> {
    let none = Faults::default();
    vec![
        Faults {
            speed: Some(0.6),
            ..none.clone()
        },
        Faults {
            downstream_pods: Some(2.0),
            ..none.clone()
        },
        Faults {
            stuck: Some(600.0),
            ..none.clone()
        },
        Faults {
            blind: Some(600.0),
            ..none.clone()
        },
        none,
    ]
}

#[test]
fn what_arrives_is_done_or_still_waits_and_the_same_seed_gives_the_same_run() {
    let trace = waves(40, 350, 3000);
    for faults in faults() {
        for seed in [1, 2] {
            let setup = Setup {
                partitions: 12,
                seed,
                max: 12,
                min: 0,
                faults: faults.clone(),
                ..Setup::default()
            };
            let mut arrived = Vec::new();
            for ((name, mut one), (_, mut other)) in
                policies(&setup).into_iter().zip(policies(&setup))
            {
                let outcome = run(&setup, &trace, one.as_mut());
                let figures = &outcome.figures;
                if setup.faults.stuck.is_none() {
                    assert_eq!(
                        figures.arrived,
                        figures.done + figures.left,
                        "{name} {faults:?}"
                    );
                }
                assert_eq!(
                    outcome,
                    run(&setup, &trace, other.as_mut()),
                    "{name} {faults:?}"
                );
                let sizes = outcome.changes.iter().map(|change| change.to);
                assert!(sizes.max().unwrap_or(0) <= 12, "{name}");
                arrived.push(figures.arrived);
            }
            // Every policy got the same load.
            assert!(arrived.iter().all(|&n| n == arrived[0]), "{arrived:?}");
        }
    }
}

#[test]
fn another_seed_is_another_run_of_the_same_load() {
    let trace = waves(40, 350, 3000);
    let outcome = |seed| {
        let setup = Setup {
            seed,
            ..Setup::default()
        };
        run(&setup, &trace, &mut Fixed(4))
    };
    assert_eq!(outcome(1).figures.arrived, outcome(2).figures.arrived);
    assert_ne!(outcome(1).course.delay, outcome(2).course.delay);
}

#[test]
fn a_fleet_that_is_large_enough_has_only_the_handlers_time_as_delay() {
    let setup = Setup {
        partitions: 8,
        per_pod: 50.0,
        concurrency: 5,
        ..Setup::default().without_chance()
    };
    let figures = run(&setup, &steady(160, 3600), &mut Fixed(4)).figures;
    // Five at once at 50 a second: a tenth of a second each.
    for delay in [figures.p50, figures.p99] {
        assert!((delay - 0.1).abs() < 0.01, "{figures:?}");
    }
    assert_eq!((figures.seconds_over, figures.left), (0, 0));
    assert_eq!(figures.pod_hours, 4.0);
}

#[test]
fn a_fleet_that_is_too_small_has_the_delay_of_a_queue_that_grows() {
    // 100 a second for pods that do 80: after t seconds 20 t wait, which takes t / 4.
    let setup = Setup {
        partitions: 8,
        per_pod: 20.0,
        min: 4,
        max: 4,
        ..Setup::default().without_chance()
    };
    let seconds = 4000;
    let outcome = run(&setup, &steady(100, seconds), &mut Fixed(4));
    let figures = &outcome.figures;
    assert!(
        (figures.left as f64 - 20.0 * 4000.0).abs() < 100.0,
        "{figures:?}"
    );
    // The oldest waiting record of the end arrived when the done ones had, after 80 / 100 of the
    // time; some more in the partition that chance gave the most.
    let worst = *outcome.course.delay.last().unwrap();
    assert!((795.0..840.0).contains(&worst), "{worst}");
    // The done ones waited evenly from nothing to that.
    assert!((figures.p50 - 400.0).abs() < 15.0, "{figures:?}");
    assert!((figures.p99 - 792.0).abs() < 20.0, "{figures:?}");
    // The age of the oldest reaches 60 s after 300 s.
    assert!(
        (figures.seconds_over as f64 - 3700.0).abs() < 60.0,
        "{figures:?}"
    );
    assert!(
        (figures.share_late - 3700.0 / 4000.0).abs() < 0.02,
        "{figures:?}"
    );
}

#[test]
fn a_new_pod_costs_from_its_creation_and_works_after_start_and_pause() {
    /// One pod, and from 100 s on two.
    struct Doubles;
    impl Controller for Doubles {
        fn due(&self, now: f64, _: bool) -> bool {
            now == 100.0
        }
        fn decide(&mut self, _: &Seen<'_>) -> Option<Order> {
            Some(Order {
                replicas: 2,
                why: String::new(),
            })
        }
    }
    let setup = Setup {
        partitions: 8,
        per_pod: 50.0,
        start_up: 30.0,
        pause: 5.0,
        ..Setup::default().without_chance()
    };
    let outcome = run(&setup, &steady(50, 1000), &mut Doubles);
    let figures = &outcome.figures;
    assert_eq!(figures.pod_hours, (1000.0 + 900.0) / 3600.0);
    assert_eq!((figures.rebalances, figures.moved), (1, 4));
    // Half of the partitions rest for five seconds.
    let lag = outcome.course.lag.iter().max().unwrap();
    assert!((100..=200).contains(lag), "{lag}");
    let eager = Setup {
        eager: true,
        ..setup
    };
    let outcome = run(&eager, &steady(50, 1000), &mut Doubles);
    let lag = outcome.course.lag.iter().max().unwrap();
    assert!((220..=320).contains(lag), "{lag}");
}

#[test]
fn a_pod_that_goes_drains_and_is_paid_for_until_it_is_gone() {
    let setup = Setup {
        partitions: 8,
        per_pod: 100.0,
        drain: 10.0,
        min: 1,
        max: 8,
        ..Setup::default().without_chance()
    };
    // Begins with four, as the first minute asks for; told to have one.
    let figures = run(&setup, &steady(350, 100), &mut Fixed(1)).figures;
    assert_eq!(figures.pod_hours, (4.0 + 99.0 + 3.0 * 10.0) / 3600.0);
    assert_eq!(
        (figures.orders, figures.peak, figures.rebalances),
        (1, 4, 1)
    );
}

#[test]
fn a_handler_that_slows_down_and_a_downstream_limit_are_felt() {
    let setup = |faults| Setup {
        partitions: 8,
        per_pod: 50.0,
        faults,
        ..Setup::default().without_chance()
    };
    let slower = Faults {
        speed: Some(0.5),
        ..Faults::default()
    };
    // 200 a second for 150; in the second half for 75.
    let left = |faults| {
        run(&setup(faults), &steady(200, 1000), &mut Fixed(3))
            .figures
            .left
    };
    let close = |left: u64, expected: f64| (left as f64 - expected).abs() < 300.0;
    let (none, slow) = (left(Faults::default()), left(slower));
    assert!(close(none, 50.0 * 1000.0), "{none}");
    assert!(close(slow, 50.0 * 500.0 + 125.0 * 500.0), "{slow}");
    // As many pods as you like, the work of two.
    let limited = Faults {
        downstream_pods: Some(2.0),
        ..Faults::default()
    };
    let left = run(&setup(limited), &steady(200, 1000), &mut Fixed(8))
        .figures
        .left;
    assert!(close(left, 100.0 * 1000.0), "{left}");
}

#[test]
fn what_waits_behind_a_stuck_record_is_nobodys_fault() {
    let faults = Faults {
        stuck: Some(500.0),
        ..Faults::default()
    };
    let setup = Setup {
        partitions: 8,
        per_pod: 100.0,
        faults,
        ..Setup::default().without_chance()
    };
    let outcome = run(&setup, &steady(160, 2000), &mut Fixed(2));
    let lag = outcome.course.lag.iter().max().unwrap();
    assert!(*lag > 8000, "{lag}");
    assert_eq!(outcome.figures.left, 0);
    assert_eq!(outcome.figures.seconds_over, 0);
}

#[test]
fn a_blind_controller_of_either_kind_leaves_the_size() {
    let faults = Faults {
        blind: Some(1000.0),
        ..Faults::default()
    };
    let setup = Setup {
        partitions: 12,
        max: 12,
        faults,
        ..Setup::default()
    };
    let trace = waves(40, 700, 4000);
    for (name, mut policy) in policies(&setup) {
        let outcome = run(&setup, &trace, policy.as_mut());
        let blind = outcome
            .changes
            .iter()
            .filter(|change| (2015.0..3000.0).contains(&change.at));
        assert_eq!(blind.count(), 0, "{name}: {:?}", outcome.changes);
    }
}
