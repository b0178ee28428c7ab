//! The lag of one partition, and from there the total, its cap and the metric.

use super::*;

/// For scaling and for activation, as one call of a scaler with this trigger reads one partition
/// beside one with a lag of 50.
fn read(trigger: Trigger, offsets: Offsets) -> (f64, bool) {
    let reading = LagScaler::new(trigger).read(&[offsets, lagging(50)]);
    (reading.metric - 50.0, reading.active)
}

#[test]
fn without_a_commit_latest_counts_one_record() {
    assert_eq!(read(trigger(100), uncommitted(0, 0)).0, 1.0);
    assert_eq!(read(trigger(100), uncommitted(100, 5000)).0, 1.0);
}

#[test]
fn without_a_commit_earliest_counts_the_whole_log_with_what_is_gone() {
    let earliest = Trigger {
        earliest: true,
        ..trigger(10_000)
    };
    assert_eq!(read(earliest.clone(), uncommitted(100, 5000)).0, 5000.0);
    // From 2.21 on only what Kafka still has; the whole log where the start cannot be read.
    let newer = Trigger {
        since_2_21: true,
        ..earliest
    };
    assert_eq!(read(newer.clone(), uncommitted(100, 5000)).0, 4900.0);
    let unread = Offsets {
        start: None,
        ..uncommitted(100, 5000)
    };
    assert_eq!(read(newer, unread).0, 5000.0);
}

#[test]
fn an_invalid_offset_may_be_told_to_count_nothing() {
    for earliest in [false, true] {
        let trigger = Trigger {
            earliest,
            zero_on_invalid_offset: true,
            ..trigger(100)
        };
        let reading = LagScaler::new(trigger).read(&[uncommitted(0, 5000)]);
        assert_eq!((reading.metric, reading.active), (0.0, false));
    }
}

#[test]
fn an_end_that_is_missing_is_no_lag() {
    let offsets = Offsets {
        end: None,
        ..lagging(70)
    };
    assert_eq!(read(trigger(100), offsets).0, 0.0);
}

#[test]
fn a_commit_beyond_the_end_lowers_the_sum_and_only_the_sum_is_floored() {
    assert_eq!(read(trigger(100), lagging(-20)).0, -20.0);
    let reading = LagScaler::new(trigger(100)).read(&[lagging(-80), lagging(50)]);
    assert_eq!((reading.metric, reading.active), (0.0, false));
}

#[test]
fn retention_that_has_passed_the_commit_is_not_consulted() {
    let offsets = Offsets {
        end: Some(1000),
        start: Some(990),
        committed: Some(100),
    };
    assert_eq!(read(trigger(1000), offsets).0, 900.0);
}

#[test]
fn persistent_lag_counts_on_the_first_call_and_then_only_for_activation() {
    let mut scaler = LagScaler::new(Trigger {
        exclude_persistent_lag: true,
        ..trigger(100)
    });
    let at = |committed: i64, end: i64| Offsets {
        end: Some(end),
        start: Some(0),
        committed: Some(committed),
    };
    let mut call = |committed, end| {
        let reading = scaler.read(&[at(committed, end)]);
        (reading.metric, reading.active)
    };
    assert_eq!(call(10, 40), (30.0, true));
    assert_eq!(call(10, 60), (0.0, true));
    assert_eq!(call(20, 60), (40.0, true));
    assert_eq!(call(20, 60), (0.0, true));
    // Built anew after an error it has forgotten.
    scaler.rebuild();
    assert_eq!(scaler.read(&[at(20, 60)]).metric, 40.0);
}

#[test]
fn activation_is_strictly_above_its_threshold() {
    let trigger = Trigger {
        activation_lag_threshold: 5,
        ..trigger(10)
    };
    for (lag, active) in [(5, false), (6, true)] {
        let reading = LagScaler::new(trigger.clone()).read(&[lagging(lag)]);
        assert_eq!(reading.active, active, "{lag}");
    }
}

#[test]
fn the_cap_is_partitions_times_threshold_by_whole_division() {
    // Four partitions, threshold 10.
    for (lag, metric_is) in [
        (0, 0.0),
        (37, 37.0),
        (40, 40.0),
        // 49 / 10 is 4, not more than four partitions: it passes, and asks for five pods.
        (49, 49.0),
        (50, 40.0),
        (5000, 40.0),
    ] {
        assert_eq!(metric(trigger(10), 4, lag), metric_is, "{lag}");
    }
}

#[test]
fn idle_consumers_may_be_allowed_and_partitions_with_lag_may_be_the_cap() {
    let idle = Trigger {
        allow_idle_consumers: true,
        ..trigger(10)
    };
    assert_eq!(metric(idle.clone(), 4, 5000), 5000.0);
    let with_lag = Trigger {
        limit_to_partitions_with_lag: true,
        ..trigger(10)
    };
    // All of the lag is in one partition.
    assert_eq!(metric(with_lag.clone(), 4, 5000), 10.0);
    let two = [lagging(500), lagging(0), lagging(500), lagging(0)];
    assert_eq!(LagScaler::new(with_lag.clone()).read(&two).metric, 20.0);
    // The stricter one wins.
    let both = Trigger {
        allow_idle_consumers: true,
        ..with_lag
    };
    assert_eq!(LagScaler::new(both).read(&two).metric, 20.0);
}

#[test]
fn even_distribution_rounds_up_to_a_divisor_and_is_never_below_one() {
    let even = Trigger {
        even_distribution: true,
        ..trigger(10)
    };
    // Divisors of 12: 1, 2, 3, 4, 6, 12.
    for (lag, pods) in [
        (0, 1.0),
        (10, 1.0),
        (11, 2.0),
        (41, 6.0),
        (61, 12.0),
        (9999, 12.0),
    ] {
        assert_eq!(metric(even.clone(), 12, lag), pods * 10.0, "{lag}");
    }
    // Activation is by the true lag, so that zero works.
    let idle = LagScaler::new(even).read(&[lagging(0), lagging(0)]);
    assert_eq!((idle.metric, idle.active), (10.0, false));
}
