//! Containers that are killed and started again in their pods: with the classic protocol nobody else hears of it.

use std::time::Duration;

use crate::history::{Cause, Pod};
use crate::quiet::{broker, eager};
use crate::storm::{Storm, Weather};
use crate::wait::{eventually, pause};

/// Sessions longer than any test: who waits for one to run out waits for ever.
fn long_sessions(weather: Weather) -> Weather {
    Weather {
        records: 2_400,
        properties: [weather.properties, vec![("session.timeout.ms", "600000")]].concat(),
        // From which follows a poll interval that is longer still.
        handler_timeout: Duration::from_secs(400),
        ..weather
    }
}

/// Workers die one after the other, so that the leader of the group is among them; each has its partitions back, and
/// the others keep theirs without being asked.
#[track_caller]
fn have_their_partitions_back(weather: Weather) {
    let mut storm = Storm::begin(&broker().servers, long_sessions(weather));
    storm.work(5);
    let held = storm.fleet.held();
    let asked = storm.fleet.revocations();
    let times = storm.fleet.holdings().len();
    let mut again = 0;
    for pod in storm.fleet.running.keys().copied().collect::<Vec<_>>() {
        storm.work(5);
        storm.kill_and_start_again(pod);
        again += held.values().filter(|holder| **holder == pod).count();
        eventually("everybody to hold what they held", || {
            (storm.fleet.held() == held).then_some(())
        });
    }
    assert_eq!(
        storm.fleet.revocations(),
        asked,
        "somebody was asked to give back"
    );
    assert_eq!(storm.fleet.holdings().len(), times + again);
    storm.work(5);
    // A group in which all are known by name is still one that shares anew.
    storm.replace();
    storm.settle();
    let findings = storm.finish();
    findings.assert_complete(&[Cause::Killed]);
}

#[test]
fn killed_containers_have_their_partitions_back_and_nobody_is_asked() {
    have_their_partitions_back(Weather::fair("containers", 31));
}

#[test]
fn killed_containers_have_their_partitions_back_with_an_eager_assignor() {
    have_their_partitions_back(eager(Weather::fair("containers-eager", 32)));
}

/// A container that is killed again and again, at any moment of its joining, beside others that come and go.
#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn a_container_that_is_killed_while_it_joins_or_others_do_loses_nothing() {
    let weather = Weather {
        properties: vec![("session.timeout.ms", crate::rough::SESSION)],
        ..Weather::fair("containers-joining", 33)
    };
    let mut storm = Storm::begin(&broker().servers, weather);
    let turns = 24;
    for turn in 0..turns {
        storm.work(usize::try_from(turns).unwrap() + 1);
        let pod = storm.busy();
        storm.kill_and_start_again(pod);
        match turn % 4 {
            0 => {
                until_it_hears(&storm, pod);
                storm.replace();
            }
            1 => pause(Duration::from_millis(40 * turn)),
            2 => {
                until_it_hears(&storm, pod);
                storm.scale_to(3 + usize::try_from(turn % 3).unwrap());
            }
            _ => {}
        }
    }
    storm.settle();
    storm
        .finish()
        .assert_complete(&[Cause::Killed, Cause::Lost, Cause::LastCommitFailed]);
}

/// Before, a wish to stop would end it without a word.
fn until_it_hears(storm: &Storm, pod: Pod) {
    eventually("a worker that has begun", || {
        storm.fleet.has_begun(pod).then_some(())
    });
}
