//! What the planner does in worlds in which little happens, for hours.

use super::*;

/// A fleet that has found its size for a constant load leaves it alone, although its pods are faster at
/// one time and slower at another.
#[test]
fn a_constant_load_keeps_the_size_that_was_found_for_it() {
    for pods in [3, 13, 20] {
        let setup = Setup::default();
        let hours = 2.0;
        let trace = Trace::constant(setup.per_pod * f64::from(pods), hours * 3600.0);
        let outcome = run(&setup, &trace, &mut Drover::new(&setup));
        let later = outcome.changes.iter().filter(|change| change.at > 3600.0);
        assert_eq!(
            later.count(),
            0,
            "{pods} pods' worth: {:?}",
            outcome.changes
        );
        assert_eq!(outcome.figures.seconds_over, 0, "{pods} pods' worth");
    }
}

/// What was learned of a load that stays the same is forgotten where the handler becomes faster.
#[test]
fn a_constant_load_gets_fewer_pods_where_the_handler_becomes_faster() {
    let setup = Setup {
        faults: Faults {
            speed: Some(2.0),
            ..Faults::default()
        },
        ..Setup::default()
    };
    let trace = Trace::constant(setup.per_pod * 5.0, 2.0 * 3600.0);
    let outcome = run(&setup, &trace, &mut Drover::new(&setup));
    let before = outcome.course.replicas[outcome.course.replicas.len() / 2 - 1];
    let after = outcome.course.replicas.last();
    assert!(
        after.is_some_and(|after| 3 * after <= 2 * before),
        "{before} then {after:?}: {:?}",
        outcome.changes
    );
}

/// What lies behind the handler serves no more than four pods, and twice as much arrives.
#[test]
fn a_saturated_downstream_gets_few_pods() {
    let setup = Setup {
        faults: Faults {
            downstream_pods: Some(4.0),
            ..Faults::default()
        },
        ..Setup::default()
    };
    let trace = Trace::constant(setup.per_pod * 8.0, 3.0 * 3600.0);
    let pod_hours = |mut policy: Box<dyn Controller + Send>| {
        run(&setup, &trace, policy.as_mut()).figures.pod_hours
    };
    let keda = [Contender::KedaLagTuned, Contender::KedaRateTuned]
        .map(|keda| pod_hours(keda.controller(&setup)))
        .into_iter()
        .fold(f64::INFINITY, f64::min);
    let drover = pod_hours(Contender::Drover.controller(&setup));
    assert!(3.0 * drover <= keda, "{drover} pod-hours, KEDA {keda}");
}
