//! Storms in which everybody goes in order: nothing is lost, and nothing is handled twice.

use std::sync::OnceLock;
use std::time::Duration;

use crate::broker::Broker;
use crate::storm::{Storm, Weather};
use crate::witness::Mood;

/// The broker of all storms in which it is not taken away itself.
pub fn broker() -> &'static Broker {
    static STARTED: OnceLock<Broker> = OnceLock::new();
    STARTED.get_or_init(|| {
        // The least that a group may ask for; what it gets without asking stays as it is.
        let quick = [
            "--set",
            "group.consumer.min.session.timeout.ms=6000",
            "--set",
            "group.consumer.min.heartbeat.interval.ms=500",
            "--set",
            "log.cleaner.backoff.ms=200",
        ];
        Broker::start("storms", &quick).unwrap()
    })
}

/// Stops, scale changes and roll-outs, `times` times, in an order of their own.
fn changes(storm: &mut Storm, times: usize) {
    let workers = storm.weather.workers;
    for turn in 0..times {
        storm.work(times);
        match turn % 4 {
            0 => storm.replace(),
            1 => storm.scale_to(workers + 2),
            2 => storm.roll_out(),
            _ => storm.scale_to(workers),
        }
    }
}

/// Stops, scale changes and roll-outs cost nothing at all.
#[track_caller]
pub fn nothing_is_lost_or_repeated(weather: Weather, times: usize) {
    let mut storm = Storm::begin(&broker().servers, weather);
    // Some are slow, so that there is always somebody whom a drain waits for.
    storm.witness.feel(Mood::Slow(Duration::from_secs(2)), 100);
    changes(&mut storm, times);
    let alarms = storm.fleet.alarms();
    let findings = storm.finish();
    assert_eq!(alarms, Vec::<String>::new());
    findings.assert_complete(&[]);
    assert_eq!(findings.dead_lettered_again, 0);
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn stops_scale_changes_and_roll_outs_repeat_nothing() {
    let weather = Weather::fair("quiet-classic", 1);
    nothing_is_lost_or_repeated(weather, 4);
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn stops_scale_changes_and_roll_outs_repeat_nothing_by_the_consumer_protocol() {
    let weather = Weather {
        protocol: "Consumer",
        ..Weather::fair("quiet-consumer", 2)
    };
    nothing_is_lost_or_repeated(weather, 4);
}
