use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn ceiling(pods: u32) -> Ceiling {
    Ceiling {
        pods,
        since: at(0),
        lasts: 600.0,
        shown: None,
        check: None,
        least: false,
    }
}

fn rung(pods: u32, per_pod: f64) -> Rung {
    let at = at(0);
    Rung { pods, per_pod, at }
}

/// Chance hides what one pod more in six brings; what a third more brings it does not.
#[test]
fn a_ceiling_is_tried_with_a_size_whose_gain_shows() {
    let behind = Behind {
        ceiling: Some(ceiling(6)),
        ..Behind::default()
    };
    let sizes = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12];
    assert_eq!(behind.most_of(at(599), &sizes), Some(6));
    assert_eq!(behind.most_of(at(600), &sizes), Some(8));
    assert_eq!(behind.most_of(at(600), &sizes[..7]), Some(7));
    assert_eq!(behind.most_of(at(600), &[]), Some(6));
}

/// The size to go back to is the least that does what the fleet is seen to do.
#[test]
fn a_fleet_goes_back_to_what_does_the_same() {
    let scale = Scale { partitions: 48 };
    for (rungs, now, most) in [
        // Four pods' worth, in one step and in several.
        (vec![rung(1, 100.0)], rung(24, 17.0), 4),
        (vec![rung(1, 100.0), rung(4, 98.0)], rung(6, 66.0), 4),
        (vec![rung(4, 98.0), rung(6, 67.0)], rung(8, 50.0), 4),
        // The pods of the first size shared it already: as many are known to do the same.
        (vec![rung(8, 50.0)], rung(12, 33.0), 8),
        // A last step that brought a little.
        (vec![rung(4, 100.0), rung(6, 72.0)], rung(8, 56.0), 5),
        // Each step brought its share, until the last: fewer than that are not known to be enough.
        (vec![rung(4, 100.0), rung(8, 70.0)], rung(12, 47.0), 8),
    ] {
        let trial = Trial {
            rungs,
            to: now.pods,
            probe: false,
        };
        let gain = trial.gain(&now, &scale);
        let mut behind = Behind::default();
        behind.limited(&trial, &now, 0.0, &scale);
        let pods = behind.ceiling.unwrap().pods;
        assert_eq!(pods, most, "{trial:?} {now:?} {gain:?}");
    }
}

#[test]
fn fewer_pods_that_do_less_are_given_back() {
    let scale = Scale { partitions: 48 };
    let checked = |does: f64, broken: bool| {
        let mut behind = Behind {
            ceiling: Some(Ceiling {
                check: Some(rung(12, 40.0)),
                ..ceiling(6)
            }),
            free: Some(80.0),
            ..Behind::default()
        };
        behind.check(&rung(6, does), &scale, broken);
        behind.ceiling.unwrap().pods
    };
    assert_eq!(checked(80.0, false), 6);
    // The handler is slower than it was.
    assert_eq!(checked(60.0, false), 8);
    // Whether five would do nobody knows; nobody waits longer for that than promised.
    assert_eq!(checked(80.0, true), 5);
}
