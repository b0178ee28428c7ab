//! How long pods take to start, as their own times say.

use super::*;
use crate::scaling::PodStart;

/// A pod that was made then and became ready so many seconds later.
fn pod(made: f64, took: impl Into<Option<f64>>) -> PodStart {
    PodStart {
        made: at(made),
        ready: took.into().map(|took| at(made + took)),
    }
}

fn learned(samples: &[Sample]) -> Option<f64> {
    let decision = last(&policy(), State::default(), samples);
    decision.outlook.start_up.map(|took| took.as_secs_f64())
}

/// Seconds that are learned of these pods at the first look.
fn told(starts: &[PodStart]) -> Option<f64> {
    learned(&[Sample {
        starts: starts.to_vec(),
        ..sample(0.0, 10, 10, 3)
    }])
}

#[test]
fn what_the_pods_took_is_known_from_the_first_look_on() {
    assert_eq!(told(&[pod(-40.0, 30.0)]), Some(30.0));
    assert_eq!(told(&[pod(-40.0, 20.0), pod(-40.0, 26.0)]), Some(26.0));
    assert_eq!(told(&[pod(-40.0, None)]), None);
    assert_eq!(told(&[]), None);
}

#[test]
fn the_youngest_pods_tell_and_not_those_of_another_time() {
    let mut pods: Vec<PodStart> = (0..10).map(|n| pod(-9e5 - f64::from(n), 60.0)).collect();
    pods.extend((0..5).map(|n| pod(-90.0 - f64::from(n), 10.0)));
    assert_eq!(told(&pods), Some(10.0));
}

#[test]
fn what_is_no_start_teaches_nothing() {
    // Its handler was away for hours; and no pod starts in no time, or before it was made.
    assert_eq!(told(&[pod(-90_000.0, 20_000.0)]), None);
    assert_eq!(told(&[pod(-40.0, 0.0), pod(-40.0, -3.0)]), None);
    // One of several was kept waiting.
    let pods = [pod(-900.0, 400.0), pod(-800.0, 12.0), pod(-700.0, 9.0)];
    assert_eq!(told(&pods), Some(12.0));
}

#[test]
fn a_pod_that_was_seen_to_be_kept_waiting_tells_nothing() {
    let looks = |held_up: bool| {
        let look = |second: f64| Sample {
            starts: vec![pod(0.0, (second > 200.0).then_some(200.0))],
            ready: u32::from(second > 200.0),
            held_up: held_up && second < 190.0,
            ..sample(second, 10, 10, 1)
        };
        [50.0, 150.0, 250.0].map(look)
    };
    assert_eq!(learned(&looks(true)), None);
    assert_eq!(learned(&looks(false)), Some(200.0));
}

/// Raised at second 0 from one pod to three, and looked at each 15 s.
fn raised(starts: &[PodStart]) -> Option<f64> {
    let look = |second: f64, current: u32, ready: u32| Sample {
        current,
        ready,
        starts: starts.to_vec(),
        ..sample(second, 1000, 0, 1)
    };
    learned(&[look(0.0, 1, 1), look(1.5, 3, 1), look(15.0, 3, 3)])
}

#[test]
fn a_raise_has_taken_as_long_as_its_pods_say_and_not_until_the_next_look() {
    assert_eq!(raised(&[]), Some(15.0));
    let old = pod(-4000.0, 50.0);
    assert_eq!(raised(&[old, pod(0.0, 4.0), pod(0.5, 5.5)]), Some(6.0));
    // Times that are of no use are not used: those of pods that were there before, or that lie ahead.
    assert_eq!(raised(&[old]), Some(15.0));
    assert_eq!(raised(&[old, pod(0.5, 90.0)]), Some(15.0));
}

#[test]
fn the_pods_of_somebody_else_s_order_say_when_it_was() {
    let look = |second: f64, current: u32, ready: u32, starts: &[PodStart]| Sample {
        current,
        ready,
        starts: starts.to_vec(),
        ..sample(second, 1000, 1000, 1)
    };
    let of = |starts: &[PodStart]| {
        let policy = Policy { min: 1, ..policy() };
        let samples = [
            look(0.0, 1, 1, starts),
            look(50.0, 3, 1, starts),
            look(60.0, 3, 3, starts),
        ];
        let outlook = last(&policy, State::default(), &samples).outlook;
        outlook.start_up.map(|took| took.as_secs_f64())
    };
    assert_eq!(of(&[]), None);
    let starting = |made: f64| PodStart {
        ready: None,
        ..pod(made, None)
    };
    let starts = [pod(-40.0, 30.0), starting(44.0), starting(44.5)];
    assert_eq!(of(&starts), Some(16.0));
}
