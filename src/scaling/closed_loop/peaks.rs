//! Peaks that come again and again within minutes: taken at their word at first, ridden out once they are known.

use std::time::Duration;

use crate::scaling::State;
use crate::scaling::small_world::{Outcome, World};

const HOUR: f64 = 3600.0;

/// Pods that do 50 a second and take 30 s to start; 60 s are promised.
fn run(hours: f64, load: impl FnMut(f64) -> f64) -> Outcome {
    let mut world = World {
        partitions: 48,
        per_pod: 50.0,
        start_up: 30.0,
        pause: 5.0,
        period: 5.0,
        ..World::default()
    };
    world.policy.max_delay = Duration::from_secs(60);
    world.policy.min = 1;
    let state = State::resume(Some(50.0), Some(Duration::from_secs(30)));
    world.run(state, 3, hours * HOUR, load)
}

/// Ten times as much for 20 s of each 300.
fn peaks(time: f64) -> f64 {
    if time % 300.0 >= 280.0 { 1000.0 } else { 100.0 }
}

fn changes_after(outcome: &Outcome, time: f64) -> usize {
    let changes = outcome.changes.iter();
    changes.filter(|change| change.0 > time).count()
}

#[test]
fn peaks_that_come_each_five_minutes_are_ridden_out_once_they_are_known() {
    let outcome = run(4.0, peaks);
    let first = outcome.changes.iter().find(|change| change.1 > 5);
    assert!(
        first.is_some_and(|first| first.0 < 300.0),
        "the first is taken at its word: {:?}",
        outcome.changes
    );
    assert!(changes_after(&outcome, HOUR) <= 4, "{:?}", outcome.changes);
    assert_eq!(outcome.late, 0.0, "worst {}", outcome.worst);
    // What comes is 3.2 pods' worth, and 6 of them do a peak's backlog within the promise.
    let pods = outcome.pod_seconds / (4.0 * HOUR);
    assert!(pods < 14.0, "{pods:.1} pods, {:?}", outcome.changes);
}

#[test]
fn a_load_that_doubles_and_halves_each_minute_gets_pods_for_its_mean() {
    for (low, high, period, most) in [(100.0, 400.0, 60.0, 8), (25.0, 600.0, 60.0, 10)] {
        let share = if high > 500.0 { 0.25 } else { 0.5 };
        let load = move |time: f64| {
            if time % period < share * period {
                high
            } else {
                low
            }
        };
        let outcome = run(2.0, load);
        let last = outcome.changes.last().map_or(3, |change| change.1);
        assert!(last <= most, "{low} and {high}: {:?}", outcome.changes);
        assert!(
            changes_after(&outcome, HOUR) <= 2,
            "{low} and {high}: {:?}",
            outcome.changes
        );
        assert_eq!(
            outcome.late, 0.0,
            "{low} and {high}: worst {}",
            outcome.worst
        );
    }
}

/// It looks like those before for 20 s.
#[test]
fn a_peak_that_lasts_ten_times_longer_breaks_no_promise() {
    let outcome = run(2.5, |time| {
        if (7180.0..7380.0).contains(&time) {
            1000.0
        } else {
            peaks(time)
        }
    });
    assert_eq!(
        outcome.late, 0.0,
        "worst {}, {:?}",
        outcome.worst, outcome.changes
    );
    let raised = outcome
        .changes
        .iter()
        .any(|change| (7180.0..7260.0).contains(&change.0));
    assert!(raised, "{:?}", outcome.changes);
}

#[test]
fn a_rise_that_stays_after_many_peaks_is_answered_in_time() {
    let outcome = run(2.0, |time| if time > 5680.0 { 1000.0 } else { peaks(time) });
    assert_eq!(
        outcome.late, 0.0,
        "worst {}, {:?}",
        outcome.worst, outcome.changes
    );
}

/// No pods are kept for what comes no more.
#[test]
fn pods_for_peaks_go_soon_after_the_last_of_them() {
    let outcome = run(2.5, |time| if time < 5400.0 { peaks(time) } else { 100.0 });
    let last = outcome.changes.last().copied();
    assert!(
        last.is_some_and(|last| last.0 < 6400.0 && last.1 <= 4),
        "{:?}",
        outcome.changes
    );
}

/// Sixty pod-seconds within 5 s of each 300, which any look may cut in two.
#[test]
fn batches_that_a_look_cuts_in_two_get_no_pods_each_time() {
    // The later start is too late for any order to keep the promise.
    for (start_up, promise) in [(30.0, 60), (50.0, 60), (50.0, 30)] {
        let mut world = World {
            partitions: 48,
            per_pod: 50.0,
            start_up,
            pause: 5.0,
            period: 5.0,
            ..World::default()
        };
        world.policy.max_delay = Duration::from_secs(promise);
        world.policy.min = 1;
        let state = State::resume(Some(50.0), Some(Duration::from_secs_f64(start_up)));
        let batches = |time: f64| {
            if time % 300.0 >= 295.0 { 2000.0 } else { 100.0 }
        };
        let outcome = world.run(state, 3, 4.0 * HOUR, batches);
        let name = format!("start {start_up} s, promise {promise} s");
        let changes = changes_after(&outcome, 1.5 * HOUR);
        assert!(changes <= 3, "{name}: {:?}", outcome.changes);
        let late = outcome.late / (4.0 * HOUR);
        assert!(late < 0.01, "{name}: late {late}, {:?}", outcome.changes);
        let pods = outcome.pod_seconds / (4.0 * HOUR);
        assert!(pods < 16.0, "{name}: {pods:.1} pods, {:?}", outcome.changes);
    }
}

/// It looks like a batch for 10 s.
#[test]
fn a_rise_that_stays_after_many_batches_is_answered_in_time() {
    for rate in [2000.0, 1000.0, 500.0] {
        let outcome = run(2.0, |time| match time {
            time if time > 5695.0 => rate,
            time if time % 300.0 >= 295.0 => 2000.0,
            _ => 100.0,
        });
        assert!(
            outcome.late <= 0.0,
            "{rate}: late {}, worst {}, {:?}",
            outcome.late,
            outcome.worst,
            outcome.changes
        );
    }
}

/// They are over before pods come that are ordered when they begin, and none that is ordered then keeps the promise:
/// what would have to keep up with a peak for good is no measure for the size.
#[test]
fn peaks_that_no_order_comes_in_time_for_get_the_size_that_rides_them_out() {
    let mut world = World {
        partitions: 48,
        per_pod: 50.0,
        start_up: 45.0,
        pause: 5.0,
        period: 5.0,
        ..World::default()
    };
    world.policy.max_delay = Duration::from_secs(20);
    world.policy.min = 1;
    let state = State::resume(Some(50.0), Some(Duration::from_secs(45)));
    // Twelve pods' worth for 30 s, and two all the time.
    let peaks = |time: f64| if time % 300.0 >= 270.0 { 700.0 } else { 100.0 };
    let outcome = world.run(state, 3, 4.0 * HOUR, peaks);
    let changes = &outcome.changes;
    assert!(changes_after(&outcome, 1.5 * HOUR) <= 2, "{changes:?}");
    assert!(
        outcome.changes.last().is_some_and(|last| last.1 <= 12),
        "{changes:?}"
    );
    // The first are not known yet.
    assert!(outcome.late < 300.0, "late {}, {changes:?}", outcome.late);
}

/// A wave of ten minutes is up for longer than any one peak above, and going after it costs more than the size for its crest.
#[test]
fn waves_of_ten_minutes_are_ridden_out_once_they_are_known() {
    let mut world = World {
        partitions: 48,
        per_pod: 100.0,
        start_up: 30.0,
        pause: 5.0,
        period: 5.0,
        ..World::default()
    };
    world.policy.max_delay = Duration::from_secs(30);
    world.policy.min = 1;
    let state = State::resume(Some(100.0), Some(Duration::from_secs(30)));
    let sine = |time: f64| 600.0 + 400.0 * (time * std::f64::consts::TAU / 600.0).sin();
    let triangle = |time: f64| 200.0 + 800.0 * (1.0 - (time % 600.0 / 300.0 - 1.0).abs());
    for (name, wave) in [
        ("sine", &sine as &dyn Fn(f64) -> f64),
        ("triangle", &triangle),
    ] {
        let outcome = world.run(state.clone(), 8, 6.0 * HOUR, wave);
        let changes = &outcome.changes;
        assert!(
            changes_after(&outcome, 2.0 * HOUR) <= 4,
            "{name}: {changes:?}"
        );
        // The first are taken at their word.
        let late = outcome.late / (6.0 * HOUR);
        assert!(late < 0.01, "{name}: late {late}, {changes:?}");
        let pods = outcome.pod_seconds / (6.0 * HOUR);
        assert!(pods < 13.0, "{name}: {pods:.1} pods, {changes:?}");
    }
}

/// A load that is another one each quarter of an hour costs less to follow than the pods for the highest of them.
#[test]
fn loads_that_last_are_followed() {
    let load = |time: f64| if time % 1500.0 >= 750.0 { 900.0 } else { 100.0 };
    let outcome = run(5.0, load);
    let changes = &outcome.changes;
    let pods = outcome.pod_seconds / (5.0 * HOUR);
    assert!(pods < 16.0, "{pods:.1} pods, {changes:?}");
    assert!(changes_after(&outcome, 2.0 * HOUR) >= 10, "{changes:?}");
}
