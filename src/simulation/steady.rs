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

/// A fleet that has been at zero for a while finds a backlog of so many seconds of so many pods' work, and then so much of
/// the same goes on, for half an hour: the runs in which it was not raised exactly once in the first ten minutes of that, and
/// those in which it was again later.
fn raises_from_zero(pods: u32, backlog: f64, goes_on: f64) -> (Vec<String>, Vec<String>) {
    let (mut wrong, mut again) = (Vec::new(), Vec::new());
    for seed in 1..=5 {
        let setup = Setup {
            min: 0,
            seed,
            ..Setup::default()
        };
        let rate = setup.per_pod * f64::from(pods);
        let (at_once, then) = (rate * backlog, rate * goes_on);
        // Second by second, so that it is replayed as it is.
        let comes = |second: u32| match second {
            0..100 => 0.0,
            100 => at_once,
            _ => then,
        };
        let load = (0..1900).map(|second| format!("{second},{}\n", comes(second)));
        let trace = Trace::read(&load.collect::<String>()).unwrap();
        let outcome = run(&setup, &trace, &mut Drover::new(&setup));
        let changes = outcome.changes;
        assert_eq!(changes.first().map(|first| first.from), Some(0));
        let ups = changes.iter().filter(|change| change.to > change.from);
        let (soon, later): (Vec<_>, Vec<_>) = ups.partition(|change| change.at < 700.0);
        let told = || format!("{pods} pods, seed {seed}: {changes:?}");
        wrong.extend((soon.len() != 1).then(told));
        again.extend((!later.is_empty()).then(told));
    }
    (wrong, again)
}

#[test]
fn a_backlog_takes_a_fleet_at_zero_up_exactly_once() {
    for backlog in [5.0, 60.0, 600.0] {
        for pods in [1, 2, 9, 31] {
            let (wrong, again) = raises_from_zero(pods, backlog, 0.0);
            assert!(wrong.is_empty(), "{backlog} s of {pods} pods: {wrong:#?}");
            assert!(again.is_empty(), "{backlog} s of {pods} pods: {again:#?}");
        }
    }
}

/// Then it gives up what it needs no longer, and hardly ever so much that it must be raised again, although nobody knows how
/// the partitions will lie on fewer pods, and pods are slower at one time than at another.
#[test]
fn a_backlog_and_a_load_after_it_take_a_fleet_at_zero_up_once_and_seldom_again_much_later() {
    let mut again = Vec::new();
    for backlog in [60.0, 600.0] {
        for pods in [2, 5, 9, 17] {
            let (wrong, later) = raises_from_zero(pods, backlog, 1.0);
            assert!(wrong.is_empty(), "{backlog} s of {pods} pods: {wrong:#?}");
            again.extend(later);
        }
    }
    assert!(again.len() <= 2, "{} of 40: {again:#?}", again.len());
}

/// A load without a backlog says nothing of what a pod can do before there are some.
#[test]
fn a_load_that_begins_on_a_fleet_at_zero_takes_one_raise_and_seldom_a_second() {
    let (mut wrong, mut later) = (Vec::new(), Vec::new());
    for pods in [2, 5, 9, 17] {
        let raised = raises_from_zero(pods, 1.0, 1.0);
        wrong.extend(raised.0);
        later.extend(raised.1);
    }
    assert!(wrong.len() <= 1, "{} of 20: {wrong:#?}", wrong.len());
    assert!(later.len() <= 2, "{} of 20: {later:#?}", later.len());
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
