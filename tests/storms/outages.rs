//! Storms in which brokers go away: workers wait, go on by themselves, and lose nothing.

use std::process::Command;
use std::time::Duration;

use crate::broker::Broker;
use crate::history::{Cause, Findings};
use crate::rough::SESSION;
use crate::storm::{Storm, Weather};
use crate::wait::pause;

/// What a broker's absence explains: a commit that did not arrive before a partition had to go, and
/// members that the group went on without.
const BY_OUTAGE: &[Cause] = &[Cause::Lost, Cause::LastCommitFailed];

/// The only broker is killed, then stopped in order, `times` times each, while workers come and go.
pub fn the_broker_comes_and_goes(weather: Weather, times: usize) -> Findings {
    let broker = Broker::start(weather.name, &[]).unwrap();
    let mut storm = Storm::begin(&broker.servers, weather);
    for _ in 0..times {
        storm.work(2 * times);
        broker.tell(&["stop", "kafka", "--kill"]).unwrap();
        broker.tell(&["start", "kafka"]).unwrap();
        storm.replace();
        storm.work(2 * times);
        broker.tell(&["stop", "kafka"]).unwrap();
        storm.fleet.start();
        broker.tell(&["start", "kafka"]).unwrap();
    }
    let findings = storm.finish();
    findings.assert_complete(BY_OUTAGE);
    findings
}

/// One of three brokers is killed and brought back, `times` times, each time another: leaders and
/// the group's coordinator move.
pub fn brokers_of_three_die(weather: Weather, times: usize) -> Findings {
    let broker = Broker::start(weather.name, &["--brokers", "3"]).unwrap();
    let mut storm = Storm::begin(&broker.servers, weather);
    for turn in 0..times {
        let number = (turn % 3 + 1).to_string();
        storm.work(times);
        let gone = ["stop", "kafka", "--broker", &number, "--kill"];
        broker.tell(&gone).unwrap();
        storm.replace();
        broker
            .tell(&["start", "kafka", "--broker", &number])
            .unwrap();
    }
    let findings = storm.finish();
    findings.assert_complete(BY_OUTAGE);
    findings
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn a_broker_that_comes_and_goes_costs_no_record() {
    the_broker_comes_and_goes(Weather::fair("outage", 7), 1);
}

fn signal(broker: &Broker, signal: &str) {
    let file = broker.folder.join("run/kafka-1.pid");
    let text = std::fs::read_to_string(file).unwrap();
    let sent = Command::new("kill")
        .args([signal, text.lines().next().unwrap()])
        .status();
    assert!(sent.unwrap().success(), "{signal} to the broker");
}

/// Its connections stay open and nobody answers, as with a network that swallows everything; for
/// longer than a session, twice.
#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn a_broker_that_freezes_costs_no_record() {
    let weather = Weather {
        properties: vec![("session.timeout.ms", SESSION)],
        ..Weather::fair("frozen-broker", 11)
    };
    let broker = Broker::start(weather.name, &[]).unwrap();
    let mut storm = Storm::begin(&broker.servers, weather);
    for _ in 0..2 {
        storm.work(4);
        signal(&broker, "-STOP");
        pause(Duration::from_secs(12));
        signal(&broker, "-CONT");
        storm.work(4);
    }
    storm.finish().assert_complete(BY_OUTAGE);
}
