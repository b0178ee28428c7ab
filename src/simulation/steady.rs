//! What the planner does in worlds in which little happens, for hours.

use super::*;

/// Changes of the size after the first hour of a load of so many pods' worth, which stays the same.
fn changes_when_settled(pods: u32, hours: f64) -> (Outcome, usize) {
    let setup = Setup::default();
    let trace = Trace::constant(setup.per_pod * f64::from(pods), hours * 3600.0);
    let outcome = run(&setup, &trace, &mut Drover::new(&setup));
    let later = outcome.changes.iter().filter(|change| change.at > 3600.0);
    let later = later.count();
    (outcome, later)
}

/// A fleet that has found its size for a constant load leaves it alone, although its pods are faster at
/// one time and slower at another.
#[test]
fn a_constant_load_keeps_the_size_that_was_found_for_it() {
    for pods in [1, 3, 7, 13, 20, 31, 44] {
        let (outcome, later) = changes_when_settled(pods, 2.5);
        assert_eq!(later, 0, "{pods} pods' worth: {:?}", outcome.changes);
        // From about thirty on the busiest partition alone is more than a pod can do.
        let over = outcome.figures.seconds_over;
        assert!(over == 0 || pods > 30, "{pods} pods' worth: {over} s");
    }
}

/// A fleet at zero that finds a backlog is raised once. Then it gives up what it needs no longer, and not so
/// much that it must be raised again, although nobody knows how the partitions will lie on fewer pods.
#[test]
fn a_fleet_at_zero_that_finds_a_backlog_is_raised_once() {
    let mut again = Vec::new();
    for (pods, seed) in [2, 5, 9, 17]
        .into_iter()
        .flat_map(|pods| (1..=5).map(move |seed| (pods, seed)))
    {
        let setup = Setup {
            min: 0,
            seed,
            ..Setup::default()
        };
        let rate = setup.per_pod * f64::from(pods);
        let trace = Trace::constant_after(30.0, rate, 1800.0);
        let outcome = run(&setup, &trace, &mut Drover::new(&setup));
        let ups = outcome
            .changes
            .iter()
            .filter(|change| change.to > change.from);
        if ups.count() != 1 {
            again.push((pods, seed, outcome.changes));
        }
    }
    // How they lie is chance, and once in a while it is worse than can be paid for.
    assert!(again.len() <= 2, "{} of 20: {again:#?}", again.len());
}

/// Of a consumer of the user's own only commits tell what a pod can do, and only while it is short of pods. One that copes
/// is not made larger for what nobody knows, and comes down from far too many pods step by step, without going up and
/// down for ever.
#[test]
fn a_consumer_that_does_not_report_comes_down_to_what_it_needs_and_stays_there() {
    let mut wrong = Vec::new();
    let addresses = [true, false].into_iter();
    for (one_address, pods) in addresses.flat_map(|one| [2, 5, 9, 17].map(|pods| (one, pods))) {
        let setup = Setup {
            min: 0,
            own_consumer: true,
            one_address,
            ..Setup::default()
        };
        let rate = setup.per_pod * f64::from(pods);
        let trace = Trace::constant_after(30.0, rate, 3.0 * 3600.0);
        let outcome = run(&setup, &trace, &mut Drover::new(&setup));
        let size = outcome.course.replicas.last().copied().unwrap_or(0);
        // Once, when too few pods have shown what they can do.
        let over = outcome.figures.seconds_over;
        if outcome.changes.len() > 20 || size > 2 * pods || over > 300 {
            wrong.push((one_address, pods, size, over, outcome.changes));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// It is not believed to do less for doing less: while the load grows, it gets the pods that the load needs. Where Kafka
/// says which pod has which partitions, hardly more than one that reports.
#[test]
fn a_consumer_that_does_not_report_grows_with_its_load() {
    let load = |hour: u32| format!("{},{}\n", (hour - 1) * 3600, hour * 100);
    let trace = Trace::read(&(1..=8).map(load).collect::<String>()).unwrap();
    let of = |own_consumer, one_address| {
        let setup = Setup {
            own_consumer,
            one_address,
            ..Setup::default()
        };
        run(&setup, &trace, &mut Drover::new(&setup))
    };
    let told = of(false, false).figures.pod_hours;
    for (one_address, most) in [(true, 1.5), (false, 1.15)] {
        let silent = of(true, one_address);
        let pod_hours = silent.figures.pod_hours;
        assert!(
            pod_hours < most * told && silent.figures.share_over < 0.01,
            "{one_address}: {pod_hours} pod-hours instead of {told}, {:?}",
            silent.changes
        );
    }
}

/// The same for each load up to the number of partitions, and for a whole day: minutes of CPU.
#[test]
#[ignore = "takes minutes: make test-constant-loads"]
fn every_constant_load_keeps_its_size_for_a_day() {
    let unsettled: Vec<u32> = (1..=48)
        .filter(|&pods| {
            let (outcome, later) = changes_when_settled(pods, 24.0);
            let (ups, downs) = outcome.changes.iter().fold((0, 0), |(ups, downs), change| {
                let up = u32::from(change.to > change.from);
                (ups + up, downs + 1 - up)
            });
            let size = outcome.course.replicas.last().copied().unwrap_or(0);
            println!("{pods:2} pods' worth: {size} pods, up {ups} and down {downs} in the first hour, {later} later");
            later > 0
        })
        .collect();
    assert!(unsettled.is_empty(), "{unsettled:?}");
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
