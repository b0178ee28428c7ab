//! The scale loop: from nothing to one and back.

use super::super::scaled_object::{ScaledObject, Spec};

fn object(min: u32, idle: Option<u32>) -> ScaledObject {
    let spec = Spec {
        min,
        idle,
        ..Spec::default()
    };
    ScaledObject::new(spec, 0.0)
}

#[test]
fn work_wakes_a_fleet_to_its_minimum_or_one() {
    assert_eq!(object(0, None).poll(30.0, 0, Some(true)), Some(1));
    assert_eq!(object(3, None).poll(30.0, 0, Some(true)), Some(3));
    assert_eq!(object(0, None).poll(30.0, 2, Some(true)), None);
}

#[test]
fn without_work_it_goes_to_zero_from_any_size_once_the_cooldown_is_over() {
    let mut object = object(0, None);
    assert_eq!(object.poll(30.0, 1, Some(true)), None);
    for poll in 2..=11 {
        assert_eq!(object.poll(f64::from(poll) * 30.0, 50, Some(false)), None);
    }
    // 330 s is not yet after 30 s and 300 s; the next turn is.
    assert_eq!(object.poll(360.0, 50, Some(false)), Some(0));
}

#[test]
fn work_in_between_begins_the_cooldown_anew() {
    let mut object = object(0, None);
    object.poll(0.0, 1, Some(true));
    object.poll(270.0, 1, Some(true));
    assert_eq!(object.poll(330.0, 1, Some(false)), None);
    assert_eq!(object.poll(570.0, 1, Some(false)), None);
    assert_eq!(object.poll(600.0, 1, Some(false)), Some(0));
}

#[test]
fn a_fleet_that_never_worked_waits_for_the_initial_cooldown() {
    assert_eq!(object(0, None).poll(30.0, 4, Some(false)), Some(0));
    let spec = Spec {
        initial_cooldown: 60.0,
        ..Spec::default()
    };
    let mut object = ScaledObject::new(spec, 0.0);
    assert_eq!(object.poll(60.0, 4, Some(false)), None);
    assert_eq!(object.poll(90.0, 4, Some(false)), Some(0));
}

#[test]
fn with_a_minimum_activation_has_no_effect() {
    let mut object = object(2, None);
    for poll in 0..30 {
        assert_eq!(object.poll(f64::from(poll) * 30.0, 5, Some(false)), None);
        assert_eq!(object.poll(f64::from(poll) * 30.0, 5, Some(true)), None);
    }
    // Somebody has lowered it by hand.
    assert_eq!(object.poll(900.0, 1, Some(false)), Some(2));
}

#[test]
fn an_idle_count_is_gone_to_after_the_cooldown_and_left_for_the_minimum() {
    let mut object = object(2, Some(0));
    assert_eq!(object.poll(0.0, 0, Some(true)), Some(2));
    assert_eq!(object.poll(300.0, 5, Some(false)), None);
    assert_eq!(object.poll(330.0, 5, Some(false)), Some(0));
    assert_eq!(object.poll(360.0, 0, Some(false)), None);
}

#[test]
fn an_error_without_a_fallback_changes_nothing_and_refreshes_nothing() {
    let mut object = object(0, None);
    object.poll(0.0, 3, Some(true));
    for poll in 1..=20 {
        object.count(true);
        assert_eq!(object.poll(f64::from(poll) * 30.0, 3, None), None);
    }
    // It did not count as work.
    object.count(false);
    assert_eq!(object.poll(630.0, 3, Some(false)), Some(0));
}
