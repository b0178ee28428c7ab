//! What follows from KEDA and the HPA not knowing of each other.

use super::super::scaled_object::{ScaledObject, Spec as ObjectSpec};
use super::*;

/// The size that a constant lag ends at: trigger, cap and HPA together, as long as it takes.
fn settles(from: u32, partitions: usize, threshold: u64, lag: i64) -> u32 {
    let mut behavior = Behavior::default();
    behavior.down.window = 0.0;
    let mut hpa = hpa(1000, Some(behavior));
    let metric = average(
        metric(trigger(threshold), partitions, lag),
        threshold as f64,
    );
    *ramp(&mut hpa, from, 40, metric).last().unwrap()
}

#[test]
fn one_pod_more_than_partitions_where_the_lag_just_passes_the_cap() {
    // P * threshold + threshold - 1.
    for partitions in [3, 6, 9] {
        let lag = partitions * 1000 + 999;
        let size = partitions as u32;
        assert_eq!(settles(size, partitions as usize, 1000, lag), size + 1);
    }
    // From ten partitions on the tolerance hides it at P; from below it overshoots all the same.
    assert_eq!(settles(24, 24, 1000, 24_999), 24);
    assert_eq!(settles(13, 24, 1000, 24_999), 25);
}

#[test]
fn just_below_the_partitions_every_size_is_final_however_large_the_lag() {
    for (partitions, first) in [(64, 59), (100, 91), (24, 22)] {
        let settles = |from| settles(from, partitions as usize, 10, 1_000_000);
        for size in first..=partitions {
            assert_eq!(settles(size), size, "of {partitions}");
        }
        assert_eq!(settles(first - 1), partitions);
    }
    // The way there may lead into it: 15, 30, 60, and no further.
    assert_eq!(settles(15, 64, 10, 1_000_000), 60);
}

#[test]
fn zero_is_reached_from_fifty_whatever_the_behaviour_says() {
    let mut object = ScaledObject::new(ObjectSpec::default(), 0.0);
    let mut hpa = hpa(100, None);
    object.poll(0.0, 50, Some(true));
    let mut n = 50;
    let mut sizes = Vec::new();
    for at in (15..=330).step_by(15) {
        let now = f64::from(at);
        let mut written = None;
        if at % 30 == 0 {
            written = object.poll(now, n, Some(false));
        }
        // Its window still holds fifty, as wanted at the first sync.
        let metric = average(if at == 15 { 500.0 } else { 0.0 }, 10.0);
        let written = written.or_else(|| hpa.sync(now, scale(n), &[metric]));
        if let Some(size) = written {
            n = size;
            sizes.push((at, size));
        }
    }
    // The HPA alone would go to one at 315 s; the scale loop to zero, from wherever it is.
    assert_eq!(sizes, [(315, 1), (330, 0)]);
    let mut at_once = ScaledObject::new(ObjectSpec::default(), 0.0);
    at_once.poll(0.0, 50, Some(true));
    assert_eq!(at_once.poll(301.0, 50, Some(false)), Some(0));
}

#[test]
fn hundred_partitions_that_were_never_used_hold_ten_pods() {
    let never_used = vec![uncommitted(0, 0); 100];
    let reading = LagScaler::new(trigger(10)).read(&never_used);
    assert_eq!((reading.metric, reading.active), (100.0, true));
    let sizes = ramp(&mut hpa(100, None), 1, 10, average(reading.metric, 10.0));
    assert_eq!(sizes, [1, 4, 8, 10]);
}

#[test]
fn the_cap_of_several_topics_is_the_sum_of_their_partitions() {
    // Two topics of ten: twenty pods, of which range assignment can use ten.
    assert_eq!(settles(1, 20, 10, 1_000_000), 20);
}

#[test]
fn a_persistent_lag_never_lets_it_sleep() {
    let mut scaler = LagScaler::new(Trigger {
        exclude_persistent_lag: true,
        ..trigger(10)
    });
    let mut object = ScaledObject::new(ObjectSpec::default(), 0.0);
    for poll in 0..100 {
        let reading = scaler.read(&[lagging(3)]);
        assert_eq!(reading.metric, if poll == 0 { 3.0 } else { 0.0 });
        let written = object.poll(f64::from(poll) * 30.0, 1, Some(reading.active));
        assert_eq!(written, None);
    }
}

#[test]
fn only_divisors_of_the_partitions_are_sizes() {
    let even = Trigger {
        even_distribution: true,
        ..trigger(10)
    };
    let sizes = |partitions: usize| {
        let mut sizes: Vec<u32> = (0..2000)
            .map(|lag| (metric(even.clone(), partitions, lag) / 10.0) as u32)
            .collect();
        sizes.dedup();
        sizes
    };
    assert_eq!(sizes(13), [1, 13]);
    assert_eq!(sizes(126), [1, 2, 3, 6, 7, 9, 14, 18, 21, 42, 63, 126]);
}

#[test]
fn a_topic_with_more_partitions_than_the_default_maximum_is_cut_to_hundred() {
    assert_eq!(ObjectSpec::default().max, 100);
    let metric = average(metric(trigger(10), 200, 1_000_000), 10.0);
    let mut hpa = hpa(ObjectSpec::default().max, None);
    assert_eq!(ramp(&mut hpa, 1, 10, metric).last(), Some(&100));
}

#[test]
fn right_after_zero_the_average_of_no_pods_asks_by_the_metric_alone() {
    let waking = Scale {
        spec: 1,
        status: 0,
        ready: 0,
    };
    assert_eq!(
        hpa(100, None).sync(0.0, waking, &[average(35.0, 10.0)]),
        Some(4)
    );
}

#[test]
fn from_zero_it_takes_one_poll_and_six_syncs_to_a_hundred() {
    let mut object = ScaledObject::new(ObjectSpec::default(), 0.0);
    let first = object.poll(30.0, 0, Some(true)).unwrap();
    let metric = average(metric(trigger(10), 100, 1_000_000), 10.0);
    let sizes = ramp(&mut hpa(100, None), first, 10, metric);
    assert_eq!(sizes, [1, 4, 8, 16, 32, 64, 100]);
}
